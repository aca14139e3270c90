use std::collections::BTreeMap;

use proptest::prelude::*;

use super::parse::Script;
use super::trace::Word;

fn words(text: &str) -> Vec<Word> {
    let given = BTreeMap::from([("SLURM_NTASKS".to_owned(), "8".to_owned())]);
    Script::parse(text).unwrap().lines(&given).remove(0).words
}

fn shown(text: &str) -> String {
    let one = |word: &Word| {
        let mark = match (word.known(), word.wild, word.sure()) {
            (_, true, _) => "*",
            (false, ..) => "?",
            (.., false) => "~",
            _ => "",
        };
        format!("[{}{mark}]", word.text())
    };
    words(text).iter().map(one).collect()
}

#[test]
fn words_are_those_that_the_shell_makes() {
    for (script, expected) in [
        ("srun python x.py --a 1 '--b c' \"d $E\"", "[srun][python][x.py][--a][1][--b c][d $E?]"),
        (
            "A=4\nsrun python x.py --a $A \"$A\" --b=${A} x${A}y",
            "[srun][python][x.py][--a][4][4][--b=4][x4y]",
        ),
        (
            "A='--a 1   --b 2'\nsrun python x.py $A \"$A\"",
            "[srun][python][x.py][--a][1][--b][2][--a 1   --b 2]",
        ),
        (
            "M=4\nARGS=(--a $M\n  # note\n  --b 'c d')\nARGS+=(--e)\nsrun python x.py \"${ARGS[@]}\"",
            "[srun][python][x.py][--a][4][--b][c d][--e]",
        ),
        (
            "ARGS=\"\n --a 1 \\\n --b 2\n\"\nsrun python x.py $ARGS --c",
            "[srun][python][x.py][--a][1][--b][2][--c]",
        ),
        ("A=${A:-4}\nB=${B:=$A}\nsrun python x.py $A $B ${C:-5} ${D-}", "[srun][python][x.py][4][4][5]"),
        (": \"${A:=4}\" ${A:=5}\nsrun python x.py $A", "[srun][python][x.py][4]"),
        ("A=4\nB=\"$A\"\nA=5\nsrun python x.py $A $B", "[srun][python][x.py][5][4]"),
        ("A=4\nA+=2\nsrun python x.py $A", "[srun][python][x.py][42]"),
        (
            "A=4\nG=$((A * SLURM_NTASKS / 2))\nsrun python x.py $G $((G+X))",
            "[srun][python][x.py][16][$((G+X))?]",
        ),
        (
            "srun python x.py \"$@\" $EXTRA $SLURM_NNODES --n=$N $(cmd)",
            "[srun][python][x.py][$@*][$EXTRA*][$SLURM_NNODES?][--n=$N?][$(cmd)*]",
        ),
        ("A=1\nif x; then A+=\" --d\"; fi\nsrun python x.py --a $A", "[srun][python][x.py][--a][1][--d~]"),
        ("A=1\nif x; then A=2; fi\nsrun python x.py --a $A", "[srun][python][x.py][--a][$A*]"),
        (
            "C='x.py --a 1'\nsrun bash -c \"python \\$H --r \\${R} $C 'b c' && true\"",
            "[srun][bash][-c][python][$H?][--r][${R}?][x.py][--a][1][b c][&][&][true]",
        ),
        ("A=''\nsrun python x.py $A \"$A\" '' --b", "[srun][python][x.py][][][--b]"),
        ("A=$A\nB=$B$B\nsrun python x.py $A$B", "[srun][python][x.py][$A$B$B?]"),
    ] {
        assert_eq!(shown(script), expected, "{script}");
    }
}

#[test]
fn every_byte_says_where_it_is_written() {
    let script = "M=${M:-4}\nARGS=\"--mbs $M --x 12\"\nsrun python x.py $ARGS --last '7'\n";
    let words = words(script);
    let written = |text: &str| {
        let word = words.iter().find(|word| word.text() == text).unwrap();
        let range = word.written(text.len()).unwrap();
        (range.start, &script[range])
    };
    assert_eq!(written("4"), (7, "4"));
    assert_eq!(written("12"), (script.find("12").unwrap(), "12"));
    assert_eq!(written("7"), (script.find('7').unwrap(), "7"));
    let level = |text: &str| words.iter().find(|word| word.text() == text).unwrap().level();
    assert_eq!((level("--last"), level("--mbs"), level("4")), (0, 1, 3));
}

#[test]
fn the_directory_is_that_of_the_last_cd() {
    let dir = |text: &str| {
        let given = [("PWD", "/w/run"), ("SLURM_SUBMIT_DIR", "/w/run")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Script::parse(format!("{text}\nsrun python x.py\n")).unwrap().lines(&given).remove(0).dir
    };
    for (text, expected) in [
        ("", Some("/w/run")),
        ("D=/data\ncd \"$D/a\" || exit 1", Some("/data/a")),
        ("cd $SLURM_SUBMIT_DIR\ncd ../x/./y", Some("/w/x/y")),
        ("(cd /tmp; ls)", Some("/w/run")),
        ("if x; then cd /a; fi", None),
        ("cd $(mktemp -d)", None),
        ("cd", None),
        ("cd ~/x", None),
    ] {
        assert_eq!(dir(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn what_repeats_itself_without_end_is_bounded() {
    let mut script = String::from("A0=xxxxxxxxxxxxxxxx\n");
    for n in 1..200 {
        script.push_str(&format!("A{n}=\"$A{0}$A{0}\"\n", n - 1));
    }
    script.push_str("srun python x.py $A199\n");
    let size: usize = words(&script).iter().map(|word| word.text().len()).sum();
    assert!(size < 70_000, "{size}");
}

proptest! {
    #[test]
    fn what_is_written_stands_there(
        lines in prop::collection::vec(prop::sample::select(vec![
            "A=1", "A=\"2 3\"", "B=${A:-4}", "B+=\" $A\"", "C=(a $A 'b c')", "C+=(\"${C[@]}\" d)", "A=$((A+1))", "unset A",
            "if x; then", "fi", "f() {", "}", "f", "export B=\"$B\\\"q\"",
        ]), 0..12),
        launch in prop::sample::select(vec![
            "srun python x.py $A \"$B\" ${C[@]}", "srun bash -c \"python x.py $A '$B'\"", "torchrun x.py --a=$A$B \"${C[@]}\"",
        ]),
    ) {
        let text = format!("{}\n{launch}\n", lines.join("\n"));
        if let Ok(script) = Script::parse(text.clone()) {
            for line in script.lines(&BTreeMap::new()) {
                for piece in line.words.iter().flat_map(|word| &word.pieces) {
                    if let Some(start) = piece.start {
                        prop_assert_eq!(&text[start..start + piece.text.len()], piece.text.as_str());
                    }
                }
            }
        }
    }
}
