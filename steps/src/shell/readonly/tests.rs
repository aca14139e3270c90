use proptest::prelude::*;

use super::list::programs;
use super::{Verdict, of_argv, of_script};

const CORPUS: &str = include_str!("corpus.tsv");

/// What is true of a command of the corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    /// It only reads, and this is shown.
    Reads,
    /// It only reads, and this is not shown.
    Unshown,
    /// It may change something, or is no command.
    Changes,
}

/// The corpus: what is true of a command, and the command. `\n`, `\t` and `\r` of a command are written `␤`, `␉` and `␍`.
fn corpus() -> Vec<(Label, String)> {
    let rows = CORPUS.lines().filter(|line| !line.is_empty() && !line.starts_with("##"));
    rows.map(|line| {
        let (label, command) = line.split_once('\t').expect("label, tab, command");
        let label = match label {
            "reads" => Label::Reads,
            "unshown" => Label::Unshown,
            "changes" => Label::Changes,
            _ => panic!("{line}"),
        };
        (label, command.replace('␤', "\n").replace('␉', "\t").replace('␍', "\r"))
    })
    .collect()
}

fn reads(text: &str) -> bool {
    of_script(text) == Verdict::Reads
}

#[test]
fn the_list_is_read() {
    assert!(programs().expect("commands.yaml").len() > 80);
}

#[test]
fn the_corpus_is_told_apart() {
    let rows = corpus();
    let wrong: Vec<String> = rows
        .iter()
        .filter(|(label, command)| (*label == Label::Reads) != reads(command))
        .map(|(label, command)| format!("{label:?} {command:?}: {:?}", of_script(command)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let count = |wanted| rows.iter().filter(|(label, _)| *label == wanted).count();
    let (shown, unshown, changes) = (count(Label::Reads), count(Label::Unshown), count(Label::Changes));
    println!("{changes} changes, none taken for a read; {shown} of {} reads shown to read", shown + unshown);
    assert!(changes >= 800 && shown >= 500, "{changes} {shown}");
    // Of what only reads, most is recognised; what is not costs a question at a gate.
    assert!(shown * 10 >= (shown + unshown) * 7, "{shown} of {}", shown + unshown);
}

#[test]
fn reasons_are_short_and_clean() {
    for (_, command) in corpus() {
        if let Verdict::MayChange { why } = of_script(&command) {
            assert!(
                !why.is_empty() && why.chars().count() < 160 && !why.chars().any(char::is_control),
                "{why:?}"
            );
        }
    }
}

#[test]
fn reasons_name_what_was_not_shown() {
    let why = |text: &str| match of_script(text) {
        Verdict::MayChange { why } => why,
        Verdict::Reads => "reads".to_owned(),
    };
    assert_eq!(why("rm -rf /tmp/x"), "`rm` is not on the read-only list");
    assert_eq!(why("dmesg -TC"), "dmesg `-TC` is not on the read-only list");
    assert_eq!(why("nvidia-smi -q -r"), "nvidia-smi `-r` is not on the read-only list");
    assert_eq!(why("echo x >f"), "the redirection `>f`");
    assert_eq!(why("scontrol update job=1"), "scontrol `update` is not on the read-only list");
    assert_eq!(why("sort $x"), "an expansion could become a flag of sort");
    assert_eq!(why("uniq a b"), "uniq may take `b` as something to change");
    assert_eq!(why("ls &"), "`&`");
    assert_eq!(why("PATH=/tmp ls"), "setting `PATH` may change what commands do");
}

#[test]
fn argv_is_not_shell_text() {
    let verdict = |argv: &[&str]| of_argv(&argv.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    for argv in [
        &["nvidia-smi", "-q", "-d", "ECC"][..],
        &["/usr/bin/grep", "-e", "a; rm x > $(y)", "--", "-o"],
        &["timeout", "5", "dmesg", "-T"],
        &["[", "-f", "/etc/hosts", "]"],
    ] {
        assert_eq!(verdict(argv), Verdict::Reads, "{argv:?}");
    }
    for argv in [
        &[][..],
        &[""],
        &["/tmp/ls"],
        &["../bin/ls"],
        &["/usr/bin/../../tmp/ls"],
        &["bash", "-c", "ls"],
        &["ls; rm x"],
        &["sort", "-uo", "f"],
        &["timeout", "5", "rm", "x"],
        &["timeout", "5"],
        &["[", "-v", "a[$(rm x)]", "]"],
        &["cat", "a\0b"],
    ] {
        assert!(matches!(verdict(argv), Verdict::MayChange { .. }), "{argv:?}");
    }
}

/// What makes any command that reads one that changes.
fn harm() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        ";rm x",
        "; rm x",
        "\nrm x",
        "&& rm x",
        "|| rm x",
        "| sh",
        "|tee f",
        ">f",
        ">>f",
        "&>f",
        ">|f",
        "2>f",
        "<>f",
        "$(rm x)",
        " $(rm x) ",
        "`rm x`",
        " \"$(rm x)\"",
        "<(rm x)",
        " >(rm x)",
        "& rm x",
        " &",
        " $((a[$(rm x)]))",
        " ${x:=1}",
        " ${x@P}",
        " $'a\\'b'",
        ";eval x",
        "\n. f\n",
        " <<E\n$(rm x)\nE\n",
        "; f() { rm x; }; f",
        ";PATH=. ls",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    /// Harm at the end of a command is seen, whatever stands before it (but for a comment, which ends with its line).
    #[test]
    fn harm_at_the_end_is_seen(row in any::<prop::sample::Index>(), harm in harm()) {
        let rows: Vec<_> = corpus().into_iter().filter(|(label, text)| *label == Label::Reads && !text.contains('#')).collect();
        let text = format!("{}{harm}", row.get(&rows).1);
        prop_assert!(!reads(&text), "{text:?}");
    }

    /// Harm at any blank outside quotes is seen.
    #[test]
    fn harm_within_is_seen(row in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), harm in harm()) {
        let rows: Vec<_> = corpus()
            .into_iter()
            .filter(|(label, text)| *label == Label::Reads && text.contains(' ') && !text.contains(['\'', '"', '#', '\\']))
            .collect();
        let text = &row.get(&rows).1;
        let blanks: Vec<usize> = text.match_indices(' ').map(|(at, _)| at).collect();
        let at = *place.get(&blanks);
        let text = format!("{}{harm} {}", &text[..at], &text[at..]);
        prop_assert!(!reads(&text), "{text:?}");
    }

    /// What stands in single quotes is text.
    #[test]
    fn text_in_quotes_is_text(inner in "[ -~]{0,30}") {
        let text = format!("grep -e 'x{}' log", inner.replace('\'', ""));
        prop_assert!(reads(&text), "{text:?}");
    }

    /// No text makes it fail, and the reason is always one line.
    #[test]
    fn any_text_has_a_verdict(text in "[ -~\n\t\u{a0}–]{0,80}", argv in prop::collection::vec(".{0,12}", 0..6)) {
        for verdict in [of_script(&text), of_argv(&argv)] {
            if let Verdict::MayChange { why } = verdict {
                prop_assert!(!why.is_empty() && !why.contains('\n'));
            }
        }
    }

    /// No program that is not on the list reads, however it is written.
    #[test]
    fn strangers_change(name in "rm|mv|sh|bash|tee|dd|sudo|scancel|kill|python3|ssh|curl|eval|exec|source|\\.|trap|alias|unset|shopt|declare|mapfile|let|watch|wait|coproc|ionice",
                        rest in "[ -~\n]{0,20}") {
        let text = format!("{name} {rest}");
        prop_assert!(!reads(&text), "{text:?}");
    }
}
