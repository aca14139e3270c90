//! The model beside other implementations.

use std::fs::OpenOptions;
use std::io::{Error, ErrorKind, Seek, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::traces::Trace;

/// Answers of the reference, `(first seed, digest)`, for 50 traces each.
fn reference() -> impl Iterator<Item = (u64, &'static str)> {
    include_str!("reference.txt").lines().map(|line| {
        let (seed, digest) = line.split_once(' ').unwrap();
        (seed.parse().unwrap(), digest)
    })
}

fn answers(seeds: Range<u64>) -> String {
    seeds.map(|seed| format!("# {seed}\n{}", Trace::of(seed).told())).collect()
}

/// `reference.txt` was made with a simulator that agrees line by line with the libraries that PyTorch 2.1 to 2.15 ship
/// (2.12 differs in which of two blocks of one size it takes).
#[test]
fn it_does_what_the_released_allocator_does() {
    assert_eq!(reference().count(), 40);
    for (seed, digest) in reference() {
        let ours = engine::site::digest(answers(seed..seed + 50).as_bytes());
        assert_eq!(ours, digest, "seeds {seed} to {}", seed + 49);
    }
}

#[test]
fn the_traces_reach_what_they_are_for() {
    let text = answers(0..400);
    for word in ["OOM[", "cudaFree", "cuMemRelease", "cuMemCreate 20971520 -> OOM", "emptyCache"] {
        assert!(text.matches(word).count() > 20, "{word}");
    }
}

/// The stand-in trainer of the test cluster has an allocator of its own; what it suffers must be what the model predicts.
#[test]
fn the_trainers_allocator_agrees() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let seeds = 100_000..100_100;
    let traces: String = seeds.clone().map(|seed| Trace::of(seed).script()).collect();
    let run = || -> Result<Output, Error> {
        let mut input = tempfile::tempfile()?;
        input.write_all(traces.as_bytes())?;
        input.rewind()?;
        Command::new("python3")
            .args(["-I", "-B"])
            .arg(here.join("src/allocator/tests/peer.py"))
            .arg(here.join("../tests/cluster/trainer"))
            .stdin(input)
            .output()
    };
    let output = match run() {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return left_out("the comparison of the allocator model with the trainer's: it needs python3");
        }
        Err(error) => panic!("{error}"),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs = String::from_utf8(output.stdout).unwrap();
    let ours: String =
        seeds.enumerate().map(|(at, seed)| format!("# {at}\n{}", Trace::of(seed).told())).collect();
    if let Some((line, (ours, theirs))) =
        ours.lines().zip(theirs.lines()).enumerate().find(|(_, (ours, theirs))| ours != theirs)
    {
        panic!("line {line}: the model says {ours:?}, the trainer {theirs:?}");
    }
    assert_eq!(ours.len(), theirs.len());
}

/// Tells `tests/all` what was not run.
fn left_out(what: &str) {
    if let Some(list) = std::env::var_os("RUNBOOK_NOT_RUN") {
        let mut list = OpenOptions::new().append(true).open(list).unwrap();
        writeln!(list, "{what}").unwrap();
    }
}

/// Writes traces and what the model makes of them into the directory that `RUNBOOK_TRACES` names, to be compared with
/// another implementation: `traces.txt` and `model.txt`.
#[test]
#[ignore = "writes files; see docs/classification.md"]
fn write_traces() {
    let dir = PathBuf::from(std::env::var_os("RUNBOOK_TRACES").expect("RUNBOOK_TRACES names a directory"));
    let count = std::env::var("RUNBOOK_TRACES_COUNT").map_or(400, |count| count.parse().expect("a number"));
    let traces: String = (0..count).map(|seed| Trace::of(seed).script()).collect();
    std::fs::write(dir.join("traces.txt"), traces).unwrap();
    std::fs::write(dir.join("model.txt"), answers(0..count)).unwrap();
}
