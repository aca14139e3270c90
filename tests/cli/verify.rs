//! `runbook runs verify`: what was done to a journal is named.

use std::os::unix::net::UnixDatagram;

use super::bench::{Bench, Said};
use super::slurm::bench;

/// A run that is over, its id and the lines of its journal.
fn done() -> (Bench, String, Vec<String>) {
    let bench = bench();
    bench.run(&["run", "stop", "--job", "1", "--yes"]).exits(0);
    let run = bench.only_run();
    let lines = bench.read(&journal(&run)).split_inclusive('\n').map(str::to_owned).collect();
    (bench, run, lines)
}

fn journal(run: &str) -> String {
    format!("state/runs/{run}/journal.jsonl")
}

fn verify(bench: &Bench, run: &str, lines: &[String]) -> Said {
    bench.write(&journal(run), &lines.concat());
    bench.run(&["runs", "verify", run])
}

#[test]
fn each_kind_of_tampering_is_named() {
    let (bench, run, lines) = done();
    let whole = verify(&bench, &run, &lines).exits(0);
    assert!(
        whole.out.contains("the chain holds") && whole.out.contains("compared up to entry"),
        "{}",
        whole.out
    );
    let json = bench.run(&["runs", "verify", &run, "--json"]).exits(0).json();
    assert_eq!((&json["holds"], &json["entries"]), (&true.into(), &lines.len().into()));

    let named = |lines: &[String], words: &[&str]| {
        let said = verify(&bench, &run, lines).exits(1);
        for word in words {
            assert!(said.out.contains(word), "{word}: {}", said.out);
        }
        assert_eq!(bench.run(&["resume", &run]).code == Some(0), words[0] == "truncated", "{words:?}");
    };
    let mut flipped = lines.clone();
    flipped[1] = flipped[1].replacen("RUNNING", "PENDING", 1);
    named(&flipped, &["altered", "line 2 was altered"]);
    named(&[&lines[..2], &lines[3..]].concat(), &["dropped", "entry 3 is missing"]);
    let mut swapped = lines.clone();
    swapped.swap(1, 3);
    named(&swapped, &["swapped", "lines 2 and 4 were swapped"]);
    named(&[&lines[..2], &lines[1..]].concat(), &["repeated", "line 3 repeats line 2"]);

    let (_other, other, others) = done();
    named(&[&lines[..2], &others[2..]].concat(), &["spliced", &other]);
    named(&lines[..lines.len() - 1], &["truncated", &format!("it ends with entry {}", lines.len() - 1)]);
}

#[test]
fn all_runs_at_once_and_the_head_that_somebody_kept() {
    let (bench, run, lines) = done();
    let head = bench.run(&["runs", "verify", &run, "--json"]).exits(0).json()["head"]["hash"].clone();
    let head = head.as_str().unwrap();
    bench.run(&["runs", "verify", &run, "--head", &head[..12]]).exits(0);
    bench.run(&["runs", "verify", &run, "--head", "no"]).exits(2);
    bench.run(&["runs", "verify", "nothing"]).exits(2);
    std::fs::remove_file(bench.path(&format!("state/runs/{run}/run.json"))).unwrap();
    bench.write(&journal(&run), &lines[..lines.len() - 1].concat());
    let cut = bench.run(&["runs", "verify", &run]).exits(0);
    assert!(cut.out.contains("a tail that was cut off would not show"), "{}", cut.out);
    bench.run(&["runs", "verify", &run, "--head", head]).exits(1);
    bench.run(&["run", "stop", "--job", "1", "--yes"]).exits(0);
    bench.write(&journal(&run), "nothing\n");
    let all = bench.run(&["runs", "verify", "--all", "--json"]).exits(1).json();
    let rows = all.as_array().unwrap();
    let holds = |mine: bool| rows.iter().find(|row| (row["run"] == *run) == mine).unwrap()["holds"].clone();
    assert_eq!((holds(true), holds(false)), (false.into(), true.into()), "a damaged one does not hide");
}

#[test]
fn a_cut_tail_shows_by_what_the_systems_log_holds() {
    let bench = bench();
    let log = UnixDatagram::bind(bench.path("log")).unwrap();
    let mut command = bench.command(&["run", "stop", "--job", "1", "--yes"]);
    Said::of(command.env("RUNBOOK_SYSLOG", bench.path("log")).output().unwrap()).exits(0);
    log.set_nonblocking(true).unwrap();
    let mut heard = String::new();
    let mut bytes = [0; 1024];
    while let Ok(length) = log.recv(&mut bytes) {
        heard.push_str(&String::from_utf8_lossy(&bytes[..length]));
        heard.push('\n');
    }
    assert_eq!(heard.lines().count(), 3, "its start, its change and its end: {heard}");
    assert!(heard.starts_with("<86>runbook["), "{heard}");
    bench.write("auth.log", &heard);
    let run = bench.only_run();
    bench.run(&["runs", "verify", &run, "--log", "auth.log"]).exits(0);
    std::fs::remove_file(bench.path(&format!("state/runs/{run}/run.json"))).unwrap();
    let text = bench.read(&journal(&run));
    let kept: Vec<&str> = text.split_inclusive('\n').take(2).collect();
    bench.write(&journal(&run), &kept.concat());
    bench.run(&["runs", "verify", &run]).exits(0);
    let said = bench.run(&["runs", "verify", &run, "--log", "auth.log"]).exits(1);
    assert!(said.out.contains("truncated") && said.out.contains("was noted (auth.log)"), "{}", said.out);
}

#[test]
fn a_newer_programs_journal_is_neither_continued_nor_guessed_at() {
    let bench = bench();
    bench.run(&["run", "stop", "--job", "1"]).exits(3);
    let run = bench.only_run();
    let text = bench.read(&journal(&run));
    let newer = |from: &str, to: &str| {
        let last = text.lines().last().unwrap();
        let changed = text.replace(last, &last.replacen(from, to, 1));
        bench.write(&journal(&run), &changed);
        let said = bench.run(&["resume", &run, "--yes"]).exits(1).words();
        assert!(said.contains("a newer program wrote it hint: use the newer program"), "{said}");
        assert_eq!(bench.read(&journal(&run)), changed, "nothing is written to it");
        said
    };
    assert!(newer("\"format\":2", "\"format\":3").contains("has format 3; this program knows 2"));
    assert!(newer("\"type\":\"stopped\"", "\"type\":\"handed_over\"").contains("is a `handed_over`"));
    assert_eq!(super::slurm::scancels(&bench), 0);
}
