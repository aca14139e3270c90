use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

/// Runs a script in a real bash in which every launcher is a function that tells its environment, one block a launch.
fn launch_environments(script: &str) -> Vec<BTreeMap<String, String>> {
    let mut text = String::from("exec 9>&1\n");
    for launcher in ["srun", "torchrun", "accelerate", "deepspeed", "mpirun", "mpiexec", "python", "python3"]
    {
        text.push_str(&format!("{launcher}() {{ {{ printf '@@\\n'; /usr/bin/env -0; }} >&9; }}\n"));
    }
    for quiet in ["module", "source", ".", "nvidia-smi", "scontrol", "conda", "sleep", "mkdir", "cd", "clear"]
    {
        text.push_str(&format!("{quiet}() {{ :; }}\n"));
    }
    text.push_str(script);
    let output = bash(&[], &text);
    let stdout = String::from_utf8(output.stdout).unwrap();
    stdout
        .split("@@\n")
        .skip(1)
        .map(|block| {
            block
                .split('\0')
                .filter(|line| !["BASH_FUNC_", "_=", "PWD="].iter().any(|own| line.starts_with(own)))
                .filter_map(|line| line.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        })
        .collect()
}

/// Gives bash a script on standard input, in an empty directory and an environment that is the same everywhere.
fn bash(arguments: &[&str], stdin: &str) -> std::process::Output {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new("bash")
        .args(arguments)
        .current_dir(directory.path())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("SLURM_JOB_ID", "1")
        .env("SLURM_NNODES", "1")
        .env("SLURM_JOB_NODELIST", "n1")
        .env("SLURM_SUBMIT_DIR", "/")
        .env("SLURM_ARRAY_TASK_ID", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn accepts(script: &str) -> bool {
    let output = bash(&["-n"], script);
    output.status.success()
}

fn read(script: &str) -> Reading {
    Script::parse(script).unwrap().reading("A")
}

/// The value, `-` for absent, the reason for unclear.
fn short(script: &str) -> String {
    match read(script) {
        Reading::Absent => "-".to_owned(),
        Reading::Known(s) if s.exported => s.value,
        Reading::Known(s) if s.used => format!("{} (shell)", s.value),
        Reading::Known(s) => format!("{} (unused)", s.value),
        Reading::Unclear(why) => why.to_string(),
    }
}

#[test]
fn values_are_read_as_bash_would() {
    for (script, value) in [
        ("srun x.py", "-"),
        ("export A=b\nsrun x.py", "b"),
        ("A=b\nexport A\nsrun x.py", "b"),
        ("export A\nA=b\nsrun x.py", "b"),
        ("A=b\nsrun x.py $A", "b (shell)"),
        ("A=b\nsrun x.py", "b (unused)"),
        ("A=b srun x.py", "b"),
        ("export A=c\nA=b srun x.py", "b"),
        ("export A=c\nA=b true\nsrun x.py", "c"),
        ("export A='b c' # A=d\nsrun x.py", "b c"),
        ("# export A=1\nsrun x.py", "-"),
        ("export A=\"b \\\"c\\\"\"\nsrun x.py", "b \"c\""),
        ("export A=a'b'\"c\"\nsrun x.py", "abc"),
        ("export A=\nsrun x.py", ""),
        ("export A=b\nsrun x.py\nexport A=c", "b"),
        ("export A=b\nunset A\nsrun x.py", "-"),
        ("export A=${A:-4}\nsrun x.py", "4"),
        ("export A=\"${A:-4}\"\nsrun x.py", "4"),
        ("export A=3\nexport A=${A:-4}\nsrun x.py", "3"),
        ("export A=\nexport A=${A:-4}\nsrun x.py", "4"),
        ("export A=\nexport A=${A-4}\nsrun x.py", ""),
        (": \"${A:=8}\"\nexport A\nsrun x.py", "8"),
        ("A=1 B=2\nexport A=3\nsrun x.py", "3"),
        ("A=1 B=2 # both\nsrun x.py $A", "1 (shell)"),
        ("B=1 A=2\nA=3 true\nsrun x.py $A", "2 (shell)"),
        ("A=1 \\\n  srun x.py", "1"),
        ("set -a\nA=1\nset +a\nsrun x.py", "1"),
        ("set -a\nset +a\nA=1\nsrun x.py $A", "1 (shell)"),
        ("set -euo pipefail\nA=1\nsrun x.py $A", "1 (shell)"),
        ("declare -x A=1\nsrun x.py", "1"),
        ("export A=1; export -n A\nsrun x.py $A", "1 (shell)"),
        ("(export A=1)\nsrun x.py", "-"),
        ("(export A=1; srun x.py)", "1"),
        ("export A=1 | cat\nsrun x.py", "-"),
        ("f() { export A=1; }\nf\nsrun x.py", "1"),
        ("f() { local A=1; }\nf\nsrun x.py", "-"),
        ("f() { export A=1; }\nsrun x.py", "-"),
        ("run() {\n srun x.py\n}\nexport A=5\nrun", "5"),
        ("run() {\n srun x.py\n}\nA=5 run", "5"),
        ("if c; then\n export A=1\n srun x.py\nelse\n export A=2\nfi", "1"),
        ("if c; then export A=1; fi\nexport A=2\nsrun x.py", "2"),
        ("echo \"A=$A\"\nsrun x.py", "-"),
        ("srun --export=ALL,A=$A x.py", "-"),
        ("srun prog --A=1 --BA=2", "-"),
        ("export A=1\nsrun hostname\nexport A=2\nsrun python x.py", "2"),
        ("unset -f A\nexport A=1\nunset -f A\nsrun x.py", "1"),
        ("declare -ix A=1+1\nsrun x.py", "line 1 computes it"),
        ("export A=~/x\nsrun x.py", "line 1 computes it"),
        ("export A=$(hostname)\nsrun x.py", "line 1 computes it"),
        ("export A=$B\nsrun x.py", "line 1 computes it"),
        ("export A=1\nexport A=$A,2\nsrun x.py", "line 2 computes it"),
        ("export A=1\nA+=2\nsrun x.py", "line 2 computes it"),
        ("export A=1\n((A++))\nsrun x.py", "line 2 computes it"),
        ("for A in 1 2; do srun x.py $A; done", "line 1 computes it"),
        ("read -r A < f\nsrun x.py $A", "line 1 computes it"),
        ("if c; then export A=1; fi\nsrun x.py", "line 1 sets it only under some condition"),
        ("[ -z \"$A\" ] && export A=5\nsrun x.py", "line 1 sets it only under some condition"),
        ("A=5\n[ -n x ] && export A\nsrun x.py", "line 1 sets it only under some condition"),
        ("while c; do srun x.py; export A=2; done", "line 1 sets it only under some condition"),
        ("srun --export=ALL,A=1 x.py", "line 1 sets it in text that another program reads"),
        ("#SBATCH --export=ALL,A=1\nsrun x.py", "line 1 sets it in text that another program reads"),
        ("env A=1 torchrun x.py", "line 1 sets it in text that another program reads"),
        ("srun bash <<'E'\nexport A=1\nE", "line 2 sets it in text that another program reads"),
        ("srun bash -c 'A=1 torchrun x.py'", "line 1 sets it in text that another program reads"),
        (
            "export A=1\ntorchrun x.py\nexport A=2\ntorchrun y.py",
            "the launches on lines 2, 4 see different values",
        ),
    ] {
        assert_eq!(short(script), value, "{script}");
        assert!(accepts(script), "{script}");
    }
}

fn edited(script: &str, value: &str) -> String {
    match set(&Script::parse(script).unwrap(), "A", value) {
        Ok(script) => script.text().to_owned(),
        Err(refusal) => format!("! {refusal}"),
    }
}

#[test]
fn setting_edits_as_little_as_possible() {
    for (script, value, after) in [
        ("export A=b # why\nsrun x.py\n", "c", "export A=c # why\nsrun x.py\n"),
        ("export A='b'\nsrun x.py", "c d", "export A='c d'\nsrun x.py"),
        ("export A=\"b\"\nsrun x.py", "c$d", "export A=\"c\\$d\"\nsrun x.py"),
        ("export A=b\nsrun x.py", "x[1:2,>:3]", "export A='x[1:2,>:3]'\nsrun x.py"),
        ("export A=${A:-4}\nsrun x.py", "2", "export A=${A:-2}\nsrun x.py"),
        ("export A=${A:-4}\nsrun x.py", "2 3", "export A='2 3'\nsrun x.py"),
        ("export A=3\nexport A=${A:-4}\nsrun x.py", "2", "export A=3\nexport A=2\nsrun x.py"),
        (": ${A:=8}\nsrun x.py $A", "4", ": ${A:=4}\nsrun x.py $A"),
        (": ${A:=8}\nsrun x.py", "8", ": ${A:=8}\nexport A\nsrun x.py"),
        ("A=4\nsrun x.py $A", "2", "A=2\nsrun x.py $A"),
        ("A=4\nsrun x.py", "2", "export A=2\nsrun x.py"),
        ("A=4 B=3\nsrun x.py", "2", "A=2 B=3\nexport A\nsrun x.py"),
        ("A=4 srun x.py", "2", "A=2 srun x.py"),
        (
            "#!/bin/bash\n#SBATCH -N 1\n\ncd x\n# go\nsrun x.py",
            "2",
            "#!/bin/bash\n#SBATCH -N 1\n\ncd x\n# go\nexport A=2\nsrun x.py",
        ),
        ("if c; then\n\tsrun x.py\nfi", "2", "if c; then\n\texport A=2\n\tsrun x.py\nfi"),
        ("if c; then srun x.py; fi", "2", "export A=2\nif c; then srun x.py; fi"),
        ("if ! srun x.py; then exit 1; fi", "2", "export A=2\nif ! srun x.py; then exit 1; fi"),
        (
            "f() {\n  time srun x.py | tee log\n}\nf",
            "2",
            "f() {\n  export A=2\n  time srun x.py | tee log\n}\nf",
        ),
        ("cd x && \\\n  srun x.py", "2", "export A=2\ncd x && \\\n  srun x.py"),
        ("case c in\n  a) srun x.py ;;\nesac", "2", "export A=2\ncase c in\n  a) srun x.py ;;\nesac"),
        ("srun x.py\r\nwait\r\n", "2", "export A=2\r\nsrun x.py\r\nwait\r\n"),
        ("out=$(srun x.py)", "2", "export A=2\nout=$(srun x.py)"),
        ("unset A\nsrun x.py", "2", "unset A\nexport A=2\nsrun x.py"),
        (
            "if c; then\n  srun x.py\nelse\n  srun y.py\nfi",
            "2",
            "if c; then\n  export A=2\n  srun x.py\nelse\n  export A=2\n  srun y.py\nfi",
        ),
        (
            "torchrun x.py\nexport A=3\ntorchrun y.py",
            "2",
            "export A=2\ntorchrun x.py\nexport A=2\ntorchrun y.py",
        ),
        ("export A=2\nsrun x.py", "2", "export A=2\nsrun x.py"),
        ("export A=$B\nsrun x.py", "2", "! A: line 1 computes it"),
        (
            "true",
            "2",
            "! A: no command that starts the training was found (srun, torchrun, python -m torch.distributed…, accelerate launch, deepspeed, mpirun)",
        ),
    ] {
        let text = edited(script, value);
        assert_eq!(text, after, "{script}");
        assert!(text.starts_with('!') || accepts(&text), "{text}");
    }
}

#[test]
fn removing_leaves_nothing_behind() {
    for (script, after) in [
        ("export A=b # why\nsrun x.py\n", "srun x.py\n"),
        ("A=b srun x.py", "srun x.py"),
        ("export A=b B=c\nsrun x.py", "export B=c\nsrun x.py"),
        ("A=b C=d\nexport A\nsrun x.py", "C=d\nexport A\nsrun x.py"),
        ("export A=1; srun x.py", "srun x.py"),
        ("export A=1\nexport A=2\nsrun x.py", "srun x.py"),
        ("if c; then\n  export A=1\n  srun x.py\nfi", "if c; then\n  export A=1\n  unset A\n  srun x.py\nfi"),
        ("f() { export A=1; }\nf\nsrun x.py", "f() { export A=1; }\nf\nunset A\nsrun x.py"),
        ("srun x.py", "srun x.py"),
        ("export A=1\nsrun x.py --a $A", "! A: line 2 reads it, so it cannot be removed"),
    ] {
        let text = match remove(&Script::parse(script).unwrap(), "A") {
            Ok(script) => script.text().to_owned(),
            Err(refusal) => format!("! {refusal}"),
        };
        assert_eq!(text, after, "{script}");
        assert!(text.starts_with('!') || accepts(&text), "{text}");
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    assert_eq!(Script::parse("echo ok\nif then fi (\n").unwrap_err(), Misread::NotUnderstood { line: 2 });
    for first in ["#!/bin/csh -f", "#!/usr/bin/env python3", "#!/usr/bin/env -S fish --login", "#!/bin/zsh"] {
        let misread = Script::parse(format!("{first}\nsrun x.py\n")).unwrap_err();
        assert!(matches!(misread, Misread::OtherShell { .. }), "{first}");
    }
    for first in ["#!/bin/sh", "#! /bin/bash -l", "#!/usr/bin/env bash", "#!/usr/bin/env -S LC_ALL=C bash -l"]
    {
        assert!(Script::parse(format!("{first}\nsrun x.py\n")).is_ok(), "{first}");
    }
    assert_eq!(Script::parse("#".repeat(Script::LONGEST + 1)).unwrap_err(), Misread::TooLong);
    assert_eq!(Script::parse("A=1\n".repeat(3_000)).unwrap_err(), Misread::TooLong);
    assert_eq!(Script::parse("srun python x.py\n".repeat(100)).unwrap_err(), Misread::TooLong);
    let long = Script::parse("A=${A:-1} B=2\n".repeat(900) + "srun python x.py").unwrap();
    assert!(matches!(long.reading("A"), Reading::Unclear(Unclear::Computed { .. })));
    let nested = format!("{}srun x.py{}", "( ".repeat(400), " )".repeat(400));
    assert_eq!(Script::parse(nested).unwrap_err(), Misread::TooDeep);
}

#[test]
fn the_gallery_is_edited_as_bash_sees_it() {
    let mut edited = 0;
    for (name, script) in super::super::tests::GALLERY {
        let before = launch_environments(script);
        assert!(!before.is_empty(), "{name} launches nothing");
        let parsed = Script::parse(*script).unwrap();
        for (variable, value) in [
            ("PYTORCH_CUDA_ALLOC_CONF", "roundup_power2_divisions:[256:1,>:8]"),
            ("MICRO_BATCH", "3"),
            ("SOMETHING_NEW", "a b"),
        ] {
            let Ok(after) = set(&parsed, variable, value) else { continue };
            edited += 1;
            let seen = launch_environments(after.text());
            let wanted: Vec<_> = before
                .iter()
                .cloned()
                .map(|mut environment| {
                    environment.insert(variable.to_owned(), value.to_owned());
                    environment
                })
                .collect();
            // A check that runs before the launch, such as `srun nvidia-smi`, need not see it.
            let first = wanted.len() - seen.iter().filter(|seen| seen.contains_key(variable)).count();
            assert_eq!(seen[first..], wanted[first..], "{name}: {}", after.text());
            assert!(first < wanted.len(), "{name}");
        }
    }
    assert!(edited > 20, "{edited}");
}

/// A line of a script; they may stand in any order.
fn line() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        "[a-z0-9:,=]{1,6}".prop_map(|v| v),
        "[a-z $;#|&()]{0,6}".prop_map(|v| format!("'{v}'")),
        "[a-z;#|&() ]{0,6}".prop_map(|v| format!("\"{v}\"")),
        "[a-z0-9]{1,3}".prop_map(|v| format!("${{A:-{v}}}")),
        "[a-z0-9]{1,3}".prop_map(|v| format!("\"${{A:-{v}}}\"")),
        Just("$B".to_owned()),
        Just("$(hostname)".to_owned()),
        Just(String::new()),
    ];
    let simple = prop_oneof![
        4 => value.clone().prop_map(|v| format!("export A={v}")),
        3 => value.clone().prop_map(|v| format!("A={v}")),
        1 => value.clone().prop_map(|v| format!("B=1 A={v}")),
        1 => value.clone().prop_map(|v| format!("A={v} B=2 # note")),
        1 => value.clone().prop_map(|v| format!("A={v} srun python x.py")),
        1 => value.clone().prop_map(|v| format!("declare -x A={v}")),
        1 => value.prop_map(|v| format!("A={v} true")),
        2 => Just("export A".to_owned()),
        1 => Just("export -n A".to_owned()),
        1 => Just("unset A".to_owned()),
        1 => Just(": ${A:=q}".to_owned()),
        1 => Just("set -a".to_owned()),
        1 => Just("set +a".to_owned()),
        3 => Just("srun python x.py --n 1".to_owned()),
        1 => Just("srun python x.py \\\n   --n 2".to_owned()),
        1 => Just(":\n# export A=commented".to_owned()),
        1 => Just("echo A=$A >&2".to_owned()),
        1 => Just("cat <<E >&2\nsome text\nE".to_owned()),
    ];
    simple.prop_recursive(3, 12, 3, |inner| {
        let some = prop::collection::vec(inner, 1..3).prop_map(|lines| lines.join("\n"));
        prop_oneof![
            some.clone().prop_map(|s| format!("if true; then\n{s}\nfi")),
            some.clone().prop_map(|s| format!("if false; then\n{s}\nelse\n  true\nfi")),
            (some.clone(), some.clone()).prop_map(|(a, b)| format!("if false; then\n{a}\nelse\n{b}\nfi")),
            some.clone().prop_map(|s| format!("(\n{s}\n)")),
            some.clone().prop_map(|s| format!("{{\n{s}\n}}")),
            some.clone().prop_map(|s| format!("for i in 1 2; do\n{s}\ndone")),
            some.clone().prop_map(|s| format!("f() {{\n{s}\n}}\nf")),
            some.clone().prop_map(|s| format!("case a in\n a)\n{s}\n ;;\n b) true ;;\nesac")),
            some.clone().prop_map(|s| format!("{{\n{s}\n}} | cat")),
            some.clone().prop_map(|s| format!("g() {{\n{s}\n}}\nA=y g")),
            some.clone().prop_map(|s| format!("h() {{\nlocal A=z\n{s}\n}}\nh")),
            some.clone().prop_map(|s| format!("t() {{\n{s}\n}}\nt; t")),
            some.prop_map(|s| format!("true && {{\n{s}\n}}")),
        ]
    })
}

fn any_script() -> impl Strategy<Value = String> {
    prop::collection::vec(line(), 1..7).prop_map(|lines| format!("#!/bin/bash\n{}\n", lines.join("\n")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Whatever is claimed of a script is what bash does with it.
    #[test]
    fn a_reading_is_what_bash_does(script in any_script()) {
        prop_assert!(accepts(&script));
        let Ok(parsed) = Script::parse(script.as_str()) else { return Ok(()) };
        let launches = launch_environments(&script);
        match parsed.reading("A") {
            Reading::Known(setting) => for seen in launches {
                prop_assert_eq!(seen.get("A"), setting.exported.then_some(&setting.value), "{}", script);
            },
            Reading::Absent => for seen in launches {
                prop_assert_eq!(seen.get("A"), None, "{}", script);
            },
            Reading::Unclear(_) => {}
        }
    }

    /// An edit has the wanted effect, in bash, and no other.
    #[test]
    fn an_edit_changes_the_environment_and_nothing_else(
        script in any_script(),
        value in "[a-zA-Z0-9_.,:/=\\[\\]> $'\"\\\\!#&;|()*?~-]{0,12}",
        crlf in any::<bool>(),
        cut in any::<bool>(),
    ) {
        let mut script = script;
        if cut {
            script.pop();
        }
        if crlf {
            // Only its bytes are looked at: no shell runs such a script.
            let dos = script.replace('\n', "\r\n");
            if let Ok(after) = Script::parse(dos.as_str()).map_err(Refusal::from).and_then(|s| set(&s, "A", &value)) {
                prop_assert_eq!(after.text().matches('\n').count(), after.text().matches("\r\n").count());
                prop_assert_eq!(after.text().ends_with('\n'), dos.ends_with('\n'));
            }
        }
        let Ok(parsed) = Script::parse(script.as_str()) else { return Ok(()) };
        let Ok(after) = set(&parsed, "A", &value) else { return Ok(()) };
        prop_assert!(accepts(after.text()), "{}", after.text());
        prop_assert_eq!(script.ends_with('\n'), after.text().ends_with('\n'));
        let (old, new) = (launch_environments(&script), launch_environments(after.text()));
        prop_assert_eq!(old.len(), new.len(), "{}", after.text());
        let reading = after.reading("A");
        let Reading::Known(setting) = reading else { panic!("{reading:?}") };
        prop_assert_eq!(&setting.value, &value);
        for (mut old, mut new) in old.into_iter().zip(new) {
            let (_, seen) = (old.remove("A"), new.remove("A"));
            prop_assert_eq!(seen.as_ref(), setting.exported.then_some(&value), "{}\n---\n{}", script, after.text());
            prop_assert_eq!(old, new);
        }
        // Lines are only replaced one by one or inserted.
        let diff = similar::TextDiff::from_lines(script.as_str(), after.text());
        for change in diff.iter_all_changes().filter(|c| c.tag() != similar::ChangeTag::Equal) {
            prop_assert!(change.value().contains('A'), "{}", change.value());
        }
        // Setting it again is no edit.
        let again = set(&after, "A", &value).unwrap();
        prop_assert_eq!(again.text(), after.text());
    }

    /// Removing takes it out of the environment, in bash, and touches nothing else.
    #[test]
    fn a_removal_removes(script in any_script()) {
        let Ok(parsed) = Script::parse(script.as_str()) else { return Ok(()) };
        let Ok(after) = remove(&parsed, "A") else { return Ok(()) };
        prop_assert!(accepts(after.text()), "{}", after.text());
        let (old, new) = (launch_environments(&script), launch_environments(after.text()));
        prop_assert_eq!(old.len(), new.len(), "{}", after.text());
        for (mut old, new) in old.into_iter().zip(new) {
            old.remove("A");
            if let Some((name, value)) = new.get_key_value("B") {
                old.insert(name.clone(), value.clone());
            }
            prop_assert_eq!(old, new, "{}\n---\n{}", script, after.text());
        }
    }

    /// Any bytes at all are parsed or refused.
    #[test]
    fn nothing_panics(text in "(export |A=|srun |\\$\\{|\\}|\"|'|\\(|\\)|\n|;|#|<<E|if |fi|[ -~]|é|\r){0,60}") {
        if let Ok(script) = Script::parse(text.as_str()) {
            let _ = (script.reading("A"), set(&script, "A", "b"), remove(&script, "A"), script.caveats(&["A"]));
        }
    }
}
