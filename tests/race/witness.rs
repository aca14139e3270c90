//! What all engines write down as they do it, in one file in which lines never mix, and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file.
pub(super) struct Witness {
    path: PathBuf,
    file: File,
}

/// What holds of a target at a line.
#[derive(Default)]
struct Standing {
    holder: Option<String>,
    fence: u64,
}

impl Witness {
    pub(super) fn open(ground: &Path) -> Self {
        let path = ground.join("witness");
        let file = OpenOptions::new().append(true).create(true).open(&path).unwrap();
        Self { path, file }
    }

    /// One line, by one write at the end of the file.
    pub(super) fn write(&self, words: &[&str]) {
        (&self.file).write_all(format!("{}\n", words.join(" ")).as_bytes()).unwrap();
    }

    pub(super) fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }

    pub(super) fn has(&self, line: &str) -> bool {
        self.text().lines().any(|one| one.starts_with(line))
    }
}

/// How often each run had each target, after it was made sure that never two had one.
///
/// - Nobody enters while another is in, unless that one was killed or paused before.
/// - Numbers grow strictly.
/// - Only who is in acts or leaves; one that is fenced off was paused.
pub(super) fn judge(text: &str) -> BTreeMap<String, usize> {
    let mut targets: BTreeMap<&str, Standing> = BTreeMap::new();
    let mut silenced: BTreeSet<&str> = BTreeSet::new();
    let mut rounds = BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split(' ').collect();
        let (word, run, target, fence) = match words[..] {
            ["killed" | "paused", run] => {
                silenced.insert(run);
                continue;
            }
            ["begin" | "ready", ..] => continue,
            [word, run, target, fence] => (word, run, target, fence.parse::<u64>().unwrap()),
            _ => panic!("line {}: {line}", at + 1),
        };
        let standing = targets.entry(target).or_default();
        let holds = standing.holder.as_deref() == Some(run) && standing.fence == fence;
        let fine = match word {
            "enter" => {
                let gone = standing.holder.as_deref().is_none_or(|holder| silenced.contains(holder));
                let fine = gone && fence > standing.fence;
                *standing = Standing { holder: Some(run.to_owned()), fence };
                fine
            }
            "act" => holds,
            "leave" => {
                standing.holder = None;
                *rounds.entry(format!("{run} {target}")).or_default() += 1;
                holds
            }
            "fenced" => silenced.contains(run) && !holds,
            _ => false,
        };
        assert!(fine, "line {}: `{line}` after\n{}", at + 1, before(text, at));
    }
    rounds
}

fn before(text: &str, at: usize) -> String {
    let lines: Vec<&str> = text.lines().take(at).collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

#[test]
fn the_judge_sees_two_holders_numbers_that_do_not_grow_and_acts_of_others() {
    assert_eq!(judge("enter a job/1 1\nact a job/1 1\nleave a job/1 1\n")["a job/1"], 1);
    judge("enter a job/1 1\nkilled a\nenter b job/1 2\nact b job/1 2\n");
    judge("enter a job/1 1\npaused a\nenter b job/1 2\nfenced a job/1 1\n");
    for wrong in [
        "enter a job/1 1\nenter b job/1 2\n",
        "enter a job/1 1\nleave a job/1 1\nenter b job/1 1\n",
        "enter a job/1 2\nkilled a\nenter b job/1 1\n",
        "enter a job/1 1\npaused a\nenter b job/1 2\nact a job/1 1\n",
        "enter a job/1 1\npaused a\nenter b job/1 2\nleave a job/1 1\n",
        "act a job/1 1\n",
        "enter a job/1 1\nfenced a job/1 1\n",
    ] {
        assert!(std::panic::catch_unwind(|| judge(wrong)).is_err(), "{wrong}");
    }
}
