use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::config::{Doc, Format};
use super::super::script::Script;
use super::*;

fn launch(script: &str) -> Launch {
    let given = BTreeMap::from([("SLURM_NTASKS".to_owned(), "8".to_owned())]);
    Launch::new(Script::parse(script).unwrap(), given)
}

fn flag(name: &str) -> At {
    At::Flag(name.to_owned())
}

fn found(launch: &Launch, at: &At) -> Found {
    match launch.read_at(at) {
        Reading::Found(found) => found,
        other => panic!("{at:?}: {other:?}"),
    }
}

/// The lines that differ.
fn differing(before: &str, after: &str) -> Vec<String> {
    let old: Vec<&str> = before.lines().collect();
    after.lines().filter(|line| !old.contains(line)).map(str::to_owned).collect()
}

#[test]
fn the_program_is_told_from_what_starts_it() {
    for (line, name, launchers, argument) in [
        ("srun python -u train.py a", "train.py", &["srun"][..], "a"),
        ("torchrun --nproc-per-node 8 --module torchtitan.train a", "torchtitan.train", &["torchrun"], "a"),
        (
            "srun python -m torch.distributed.run --nnodes 2 /x/pretrain_gpt.py a",
            "pretrain_gpt.py",
            &["srun", "torch.distributed.run"],
            "a",
        ),
        ("accelerate launch -m axolotl.cli.train a", "axolotl.cli.train", &["accelerate"], "a"),
        ("srun llamafactory-cli train a", "llamafactory-cli", &["srun"], "train"),
        ("srun torchrun $SCRIPT", "", &["srun", "torchrun"], "$SCRIPT"),
        ("deepspeed --hostfile h train.py a", "train.py", &["deepspeed"], "a"),
    ] {
        let launch = launch(line);
        let program = launch.programs().next().unwrap();
        assert_eq!(
            (program.name.as_str(), program.launchers.iter().map(String::as_str).collect::<Vec<_>>()),
            (name, launchers.to_vec())
        );
        assert_eq!(launch.lines[0].0.words[program.first].text(), argument);
    }
}

#[test]
fn the_last_writer_is_read_and_edited() {
    for (script, value, line) in [
        ("srun python x.py --mbs 4 --b 1", "4", "srun python x.py --mbs 2 --b 1"),
        ("srun python x.py --mbs=4", "4", "srun python x.py --mbs=2"),
        ("srun python x.py --mbs '4'", "4", "srun python x.py --mbs '2'"),
        ("srun python x.py --mbs 8 --mbs \"4\"", "4", "srun python x.py --mbs 8 --mbs \"2\""),
        ("M=4 # per GPU\nsrun python x.py --mbs $M", "4", "M=2 # per GPU"),
        ("M=${M:-4}\nsrun python x.py --mbs \"$M\"", "4", "M=${M:-2}"),
        ("A=(\n  --mbs 4  # per GPU\n  --b 1\n)\nsrun python x.py \"${A[@]}\"", "4", "  --mbs 2  # per GPU"),
        ("M=4\nA=\"--mbs $M \\\n --b 1\"\nsrun bash -c \"python x.py $A\"", "4", "M=2"),
        // The variable's other uses keep their value.
        ("M=4\nsrun python x.py --mbs $M --out run_$M", "4", "srun python x.py --mbs 2 --out run_$M"),
        ("M=4\nA=\"--mbs $M\"\nsrun python x.py $A --out run_$M", "4", "A=\"--mbs 2\""),
        (
            "M=4\nN=x$M\nsrun python x.py --mbs $M --out $(date)_$((N + X))",
            "4",
            "srun python x.py --mbs 2 --out $(date)_$((N + X))",
        ),
        // Computed from what is known.
        ("G=64\nM=$((G / 16))\nsrun python x.py --mbs $M --out x", "4", "srun python x.py --mbs 2 --out x"),
    ] {
        let launch = launch(script);
        let at = flag("--mbs");
        let before = found(&launch, &at);
        assert_eq!(before.value.as_deref(), Some(value), "{script}");
        let after = launch.set(&before, "2").unwrap();
        assert_eq!(found(&after, &at).value.as_deref(), Some("2"), "{script}");
        assert_eq!(differing(script, after.script.text()), [line]);
    }
}

#[test]
fn a_flag_is_added_beside_another() {
    for (script, line) in [
        ("srun python x.py --mbs 4 --b 1", "srun python x.py --mbs 4 --ga 2 --b 1"),
        ("srun python x.py --mbs \"4\" \\\n  --b", "srun python x.py --mbs \"4\" --ga 2 \\"),
        ("M=4\nsrun python x.py --mbs $M", "srun python x.py --mbs $M --ga 2"),
        ("M=4\nA=\"--mbs ${M} --b\"\nsrun python x.py $A", "A=\"--mbs ${M} --ga 2 --b\""),
        ("M=4\nA=(--mbs \"$M\"\n--b)\nsrun python x.py ${A[@]}", "A=(--mbs \"$M\" --ga 2"),
        ("srun bash -c 'python x.py --mbs 4'", "srun bash -c 'python x.py --mbs 4 --ga 2'"),
    ] {
        let launch = launch(script);
        let after = launch.add(&flag("--ga"), "2", &found(&launch, &flag("--mbs"))).unwrap();
        assert_eq!(differing(script, after.script.text()), [line]);
        assert_eq!(found(&after, &flag("--ga")).value.as_deref(), Some("2"));
    }
    let bare = launch("srun python x.py --sel \\\n --b 1\n");
    let after = bare.replace(&found(&bare, &flag("--sel")), "--gran full --layers 1").unwrap();
    assert_eq!(after.script.text(), "srun python x.py --gran full --layers 1 \\\n --b 1\n");
    let hydra = launch("srun python x.py model.mbs=4 +x=1");
    let at = At::Word("model.mbs".to_owned());
    let after = hydra.set(&found(&hydra, &at), "2").unwrap();
    let after = after.add(&At::Word("+y".to_owned()), "3", &found(&after, &at)).unwrap();
    assert_eq!(after.script.text(), "srun python x.py model.mbs=2 +y=3 +x=1");
}

#[test]
fn what_cannot_be_told_is_not_edited() {
    let at = flag("--mbs");
    for (script, why) in [
        ("srun python x.py --mbs $1", "--mbs: only running the script tells what $1 is"),
        ("if x; then A=--mbs\nfi\nsrun python x.py $A 4", ""),
        (
            "A=x\nif x; then A+=\" --mbs 4\"; fi\nsrun python $A.py y.py $A",
            "--mbs: line 3 gives it only under some condition",
        ),
        ("srun python x.py --mbs 4\nsrun python x.py --mbs 8", "--mbs: the launch lines do not agree"),
        ("srun python x.py --mbs 4\nsrun python x.py", "--mbs: the launch lines do not agree"),
    ] {
        match launch(script).read_at(&at) {
            Reading::Unclear(told) => assert_eq!(told, why),
            Reading::Absent => assert_eq!(why, "", "{script}"),
            Reading::Found(found) => panic!("{script}: {found:?}"),
        }
    }
    let again = launch("srun python x.py --mbs 4 $EXTRA --n $N");
    assert_eq!(
        found(&again, &at).notes,
        ["What $EXTRA adds to the launch line is not known; it may give --mbs again."]
    );
    let both = launch("M=4\nsrun python x.py --mbs $M\nsrun python y.py --mbs $M");
    let after = both.set(&found(&both, &at), "2").unwrap();
    assert_eq!(after.script.text(), "M=2\nsrun python x.py --mbs $M\nsrun python y.py --mbs $M");
}

#[test]
fn keys_of_files_are_settings_too() {
    let mut launch = launch("srun python x.py --deepspeed ds.json");
    let doc = Doc::parse(Format::Json, "{\n  \"a\": {\"b\": 4},\n  \"c\": \"auto\"\n}\n").unwrap();
    launch.files.insert("ds".to_owned(), File::Read { path: "/w/ds.json".to_owned(), doc });
    let at = At::Key("ds:a.b".to_owned());
    let before = found(&launch, &at);
    assert_eq!((before.value.as_deref(), before.place.as_str()), (Some("4"), "a.b (ds.json line 2)"));
    let after = launch.set(&before, "2").unwrap();
    let File::Read { doc, .. } = &after.files["ds"] else { panic!() };
    assert_eq!(doc.text(), "{\n  \"a\": {\"b\": 2},\n  \"c\": \"auto\"\n}\n");
    assert_eq!(launch.read_at(&At::Key("ds:x".to_owned())), Reading::Absent);
    assert_eq!(launch.read_at(&At::Key("other:x".to_owned())), Reading::Absent);
    // The first place that has it counts.
    let both = [flag("--deepspeed"), at];
    assert!(matches!(launch.read(&both), Reading::Found(found) if found.value.as_deref() == Some("ds.json")));
}

proptest! {
    #[test]
    fn an_edit_keeps_everything_but_the_edited_bytes(
        before in prop::collection::vec(prop::sample::select(vec![
            "M=4", "M=${M:-4}", "export M=4  # note", "A=\"--mbs $M\"", "A='--mbs 4'", "A=(--mbs $M)", "A+=(--c)", "B=$((M*2))",
            "if x; then", "fi", "echo $M", "",
        ]), 0..8),
        launches in prop::collection::vec(prop::sample::select(vec![
            "srun python x.py --mbs $M", "srun python x.py $A --out $B", "srun python x.py \"${A[@]}\"", "srun python x.py --mbs=4 --out o$M",
        ]), 1..3),
    ) {
        let text = format!("#!/bin/bash\n{}\n{}\n", before.join("\n"), launches.join("\n"));
        if let Ok(script) = Script::parse(text.clone()) {
            let launch = Launch::new(script, BTreeMap::new());
            let at = flag("--mbs");
            if let Reading::Found(before) = launch.read_at(&at)
                && before.value.is_some()
                && let Ok(after) = launch.set(&before, "2")
            {
                prop_assert_eq!(found(&after, &at).value, Some("2".to_owned()));
                // Each line is as it was, or has one value changed.
                let new = after.script.text();
                prop_assert_eq!(new.lines().count(), text.lines().count());
                for (old, new) in text.lines().zip(new.lines()) {
                    prop_assert!(old == new || old.replace("$M", "2").replace('4', "2") == new.replace("$M", "2"), "{} -> {}", old, new);
                }
            }
        }
    }
}
