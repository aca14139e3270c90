//! Commands that never come to an end by themselves, or say more than an output keeps.
//!
//! This is advice for authors. It looks at the usual ways to write such a command; nothing relies on it.

use engine::step::Unbounded;
use serde_json::Value;
use tree_sitter::{Node, Parser};

/// A program, and the words with which it goes on for ever.
struct Endless {
    program: &'static str,
    /// The words; with none it always does.
    follows: &'static [&'static str],
    /// Words that bound it.
    unless: &'static [&'static str],
    /// Its short flags may stand in one word.
    joined: bool,
}

const ENDLESS: &[Endless] = &[
    Endless { program: "tail", follows: &["-f", "-F", "--follow"], unless: &["--pid"], joined: true },
    Endless { program: "journalctl", follows: &["-f", "--follow"], unless: &[], joined: true },
    Endless {
        program: "dmesg",
        follows: &["-w", "-W", "--follow", "--follow-new"],
        unless: &[],
        joined: true,
    },
    Endless {
        program: "kubectl",
        follows: &["-f", "--follow", "-w", "--watch"],
        unless: &["apply", "create", "delete", "replace"],
        joined: false,
    },
    Endless {
        program: "docker",
        follows: &["-f", "--follow"],
        unless: &["ps", "images", "inspect", "build", "rm", "rmi"],
        joined: false,
    },
    Endless {
        program: "podman",
        follows: &["-f", "--follow"],
        unless: &["ps", "images", "inspect", "build", "rm", "rmi"],
        joined: false,
    },
    Endless {
        program: "nvidia-smi",
        follows: &["-l", "-lms", "--loop", "--loop-ms"],
        unless: &[],
        joined: false,
    },
    Endless { program: "nvidia-smi", follows: &["dmon", "pmon"], unless: &["-c"], joined: false },
    Endless { program: "squeue", follows: &["-i", "--iterate"], unless: &[], joined: false },
    Endless { program: "sinfo", follows: &["-i", "--iterate"], unless: &[], joined: false },
    Endless { program: "top", follows: &[], unless: &["-n"], joined: true },
    Endless { program: "ping", follows: &[], unless: &["-c", "-w"], joined: false },
    Endless { program: "tcpdump", follows: &[], unless: &["-c"], joined: false },
    Endless { program: "watch", follows: &[], unless: &[], joined: false },
    Endless { program: "yes", follows: &[], unless: &[], joined: false },
];

/// A program that says a whole log unless one of the words is there.
const WHOLE: &[(&str, &[&str])] = &[
    (
        "journalctl",
        &[
            "-n",
            "--lines",
            "-S",
            "--since",
            "-g",
            "--grep",
            "--list-boots",
            "--disk-usage",
            "--header",
            "--vacuum-size",
            "--vacuum-time",
            "--vacuum-files",
            "--rotate",
            "--flush",
            "--sync",
            "--verify",
        ],
    ),
    ("kubectl", &["--tail", "--since", "--since-time", "--limit-bytes"]),
    ("docker", &["-n", "--tail", "--since"]),
    ("podman", &["-n", "--tail", "--since"]),
];

/// Words before a command that change nothing about when it ends.
const BEFORE: [&str; 5] = ["sudo", "nohup", "nice", "exec", "command"];

/// What is unbounded in the parameters of `shell` and `ssh`, as they are written.
pub(super) fn unbounded(with: &Value) -> Vec<Unbounded> {
    let mut found = Vec::new();
    if let Some(argv) = with.get("argv").and_then(Value::as_array) {
        let words: Vec<&str> = argv.iter().map(|word| word.as_str().unwrap_or_default()).collect();
        found.extend(command(&words, true).map(|said| said.at("argv")));
    }
    // Parsing is dear: most texts name none of the programs.
    let named = |run: &&str| {
        let endless = ENDLESS.iter().map(|known| known.program);
        endless.chain(WHOLE.iter().map(|(name, _)| *name)).chain(["cat"]).any(|name| run.contains(name))
    };
    if let Some(run) = with.get("run").and_then(Value::as_str).filter(named) {
        let text = without_templates(run);
        let mut parser = Parser::new();
        let language = parser.set_language(&tree_sitter_bash::LANGUAGE.into());
        if let Some(tree) = language.ok().and_then(|()| parser.parse(&text, None)) {
            found.extend(first(tree.root_node(), &text).map(|said| said.at("run")));
        }
    }
    found
}

struct Said {
    message: String,
    help: &'static str,
}

impl Said {
    fn at(self, param: &'static str) -> Unbounded {
        Unbounded { param, message: self.message, help: self.help.to_owned() }
    }
}

/// The text with a plain word for every `{{ … }}`.
fn without_templates(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        plain.push_str(before);
        plain.push('x');
        rest = after.split_once("}}").map_or("", |(_, rest)| rest);
    }
    plain + rest
}

/// The first command of the text that is unbounded. Trees of shell text that somebody wrote are shallow; one that is
/// not is left alone.
fn first(root: Node<'_>, text: &str) -> Option<Said> {
    const MOST: usize = 10_000;
    let mut stack = vec![root];
    let mut seen = 0;
    while let Some(node) = stack.pop() {
        seen += 1;
        if seen > MOST {
            return None;
        }
        if node.kind() == "command" {
            let mut walk = node.walk();
            let words: Vec<&str> = node
                .children(&mut walk)
                .filter(|child| !matches!(child.kind(), "variable_assignment" | "file_redirect"))
                .map(|child| text.get(child.byte_range()).unwrap_or_default().trim_matches(['\'', '"']))
                .collect();
            if let Some(said) = command(&words, is_output(node)) {
                return Some(said);
            }
        }
        let mut walk = node.walk();
        let children: Vec<Node<'_>> = node.children(&mut walk).collect();
        stack.extend(children.into_iter().rev());
    }
    None
}

/// Whether what a command says is what the step yields: it is not piped on, redirected or substituted.
fn is_output(command: Node<'_>) -> bool {
    let mut node = command;
    while let Some(parent) = node.parent() {
        let last = parent.child(u32::try_from(parent.child_count().saturating_sub(1)).unwrap_or_default());
        match parent.kind() {
            "pipeline" if last != Some(node) => return false,
            "redirected_statement" | "command_substitution" | "process_substitution" => return false,
            _ => node = parent,
        }
    }
    true
}

fn command(words: &[&str], is_output: bool) -> Option<Said> {
    let begin = words.iter().position(|word| !BEFORE.contains(word))?;
    let (program, rest) = words[begin..].split_first()?;
    let program = program.rsplit('/').next().unwrap_or(program);
    let given = |flag: &&str, joined: bool| {
        rest.iter().any(|word| {
            word == flag
                || word
                    .strip_prefix(flag)
                    .is_some_and(|value| flag.starts_with("--") && value.starts_with('='))
                || (flag.len() == 2 && !flag.starts_with("--") && in_one_word(word, flag, joined))
        })
    };
    let endless = ENDLESS.iter().filter(|known| known.program == program).find_map(|known| {
        let follows = known.follows.iter().find(|flag| given(flag, known.joined)).copied();
        let goes_on = follows.or(known.follows.is_empty().then_some(""))?;
        (!known.unless.iter().any(|flag| given(flag, known.joined))).then_some(goes_on)
    });
    if let Some(flag) = endless {
        let written = format!("{program} {flag}");
        return Some(Said {
            message: format!("`{}` does not end by itself", written.trim_end()),
            help: "Take what there is now, as in `tail -n 200`, or bound its time: `timeout 30 …`.",
        });
    }
    let log = |word: &&&str| {
        [".log", ".out", ".err"].iter().any(|end| word.ends_with(end)) || word.starts_with("/var/log/")
    };
    let whole = match program {
        "cat" | "zcat" => rest.iter().any(|word| log(&word)),
        "kubectl" | "docker" | "podman" if !rest.contains(&"logs") => false,
        _ => WHOLE
            .iter()
            .any(|(name, unless)| *name == program && !unless.iter().any(|flag| given(flag, true))),
    };
    (whole && is_output).then(|| Said {
        message: format!("`{program}` says the whole log, and an output keeps its first 64 KiB"),
        help: "Take a part of it, as in `tail -n 200 FILE`, `journalctl -n 200` or `… | grep -m 50 WORD`.",
    })
}

/// `-n200` and, with others, `-nf`: whether the word holds the short flag.
fn in_one_word(word: &str, flag: &str, joined: bool) -> bool {
    let letter = &flag[1..];
    let Some(inner) = word.strip_prefix('-').filter(|inner| !inner.starts_with('-')) else { return false };
    let attached =
        inner.strip_prefix(letter).is_some_and(|value| value.starts_with(|c: char| c.is_ascii_digit()));
    let short = inner.len() <= 4 && inner.chars().all(|c| c.is_ascii_alphanumeric());
    attached || (joined && short && inner.contains(letter))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn says(run: &str) -> String {
        unbounded(&json!({ "run": run })).into_iter().map(|found| found.message).collect()
    }

    #[test]
    fn what_has_no_end_is_found() {
        for (run, what) in [
            ("tail -f train.log", "tail -f"),
            ("tail -n5 -F x", "tail -F"),
            ("tail -5f x", "tail -f"),
            ("sudo journalctl -fu slurmd", "journalctl -f"),
            ("cd x && dmesg -Tw | grep Xid", "dmesg -w"),
            ("kubectl logs -f {{ vars.pod }}", "kubectl -f"),
            ("nvidia-smi --loop=5", "nvidia-smi --loop"),
            ("nvidia-smi dmon -s u", "nvidia-smi dmon"),
            ("/usr/bin/squeue -i 5", "squeue -i"),
            ("for h in a b; do ping $h; done", "ping"),
            ("watch nvidia-smi", "watch"),
            ("top -b", "top"),
        ] {
            assert_eq!(says(run), format!("`{what}` does not end by itself"), "{run}");
        }
        let argv = unbounded(&json!({ "argv": ["tail", "-f", "{{ vars.log }}"] }));
        assert_eq!(argv.iter().map(|found| found.param).collect::<Vec<_>>(), ["argv"]);
    }

    #[test]
    fn whole_logs_are_found_where_they_are_what_is_yielded() {
        for run in [
            "cat /var/log/messages",
            "cat {{ vars.folder }}/rank0.log",
            "journalctl -u slurmd",
            "docker logs c1",
        ] {
            assert!(says(run).contains("whole log"), "{run}: {}", says(run));
        }
    }

    #[test]
    fn what_has_a_bound_is_left_alone() {
        for run in [
            "timeout 30 tail -f x",
            "tail -n 200 train.log",
            "journalctl -u slurmd -n200",
            "journalctl --since=-1h -u x",
            "journalctl --vacuum-size=200M",
            "cat train.log | grep -m 5 oom",
            "cat train.log > copy.log",
            "wc -l $(cat files.out)",
            "cat /proc/meminfo",
            "nvidia-smi dmon -c 1",
            "nvidia-smi -L",
            "top -bn1",
            "ping -c3 host",
            "kubectl logs p --tail=50",
            "kubectl apply -f x.yaml",
            "docker ps -f name=x",
            "squeue -t idle",
            "grep -f words x",
            "echo 'tail -f x'",
            "",
            "if (",
        ] {
            assert_eq!(says(run), "", "{run}");
        }
        assert_eq!(unbounded(&json!({ "run": 5, "argv": [1] })), []);
    }
}
