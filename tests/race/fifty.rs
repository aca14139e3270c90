//! The race itself, over any store: another than a directory runs the same.

use std::collections::BTreeMap;
use std::process::Child;

use rustix::process::Signal;

use super::driver::{Part, ROUNDS, TARGETS, named, store, until, woken};
use super::hosts::{Hosts, signal};
use super::witness::{Witness, judge};

const ENGINES: usize = 50;

/// Some die and some sleep, on either host.
fn part(number: usize) -> Part {
    match number {
        4 | 31 => Part::Dies,
        10 | 37 => Part::Sleeps,
        _ => Part::Plain,
    }
}

/// Lets 50 engines of two hosts race over the store at `state`.
fn race(state: &str) {
    let ground = tempfile::tempdir().unwrap();
    let witness = Witness::open(ground.path());
    let hosts = Hosts::here();
    let mut engines: BTreeMap<String, (Part, Child)> = BTreeMap::new();
    for number in 0..ENGINES {
        let (run, host) = (format!("race-{number}"), ["login1", "login2"][number % 2]);
        let child = hosts.engine(host, state, ground.path(), &run, part(number));
        engines.insert(run, (part(number), child));
    }

    // Each has the locks when its signal comes, so they come one after the other, in whatever order.
    let mut left: Vec<String> =
        engines.iter().filter(|(_, (part, _))| *part != Part::Plain).map(|(run, _)| run.clone()).collect();
    while !left.is_empty() {
        let mut ready = None;
        until("one that is to be silenced has the locks", || {
            ready = left.iter().position(|run| witness.has(&format!("ready {run}")));
            ready.is_some()
        });
        let run = left.remove(ready.unwrap());
        let (part, child) = engines.get_mut(&run).unwrap();
        if *part == Part::Dies {
            signal(child, Signal::KILL);
            child.wait().unwrap();
            witness.write(&["killed", &run]);
            continue;
        }
        signal(child, Signal::STOP);
        until("it stands still", || stands_still(child));
        witness.write(&["paused", &run]);
        let held = store(state).locks().held().unwrap();
        assert!(
            TARGETS.iter().all(|target| {
                held.iter().any(|held| held.claim.target == *target && held.claim.run.as_str() == run)
            }),
            "{held:?}"
        );
        // Paused it keeps its locks, until it is named.
        let entered = |witness: &Witness| witness.text().matches("enter ").count();
        let before = entered(&witness);
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(entered(&witness), before, "nobody takes a paused one for dead");
        std::fs::write(named(ground.path(), &run), "").unwrap();
        until("it is taken over", || entered(&witness) >= before + TARGETS.len());
        std::fs::write(woken(ground.path(), &run), "").unwrap();
        signal(child, Signal::CONT);
    }

    for (run, (part, child)) in &mut engines {
        let status = child.wait().unwrap();
        assert!(status.success() || *part == Part::Dies, "{run} ended with {status}");
    }
    let text = witness.text();
    let rounds = judge(&text);
    for (run, (part, _)) in &engines {
        for target in TARGETS {
            let had = rounds.get(&format!("{run} {target}")).copied().unwrap_or_default();
            assert_eq!(had, if *part == Part::Plain { ROUNDS } else { 0 }, "{run}, {target}");
        }
        assert_eq!(text.contains(&format!("fenced {run} ")), *part == Part::Sleeps, "{run}");
    }
    for host in ["login1", "login2"] {
        assert!(text.lines().any(|line| line.starts_with("begin ") && line.contains(host)), "{host}");
    }
    assert!(store(state).locks().held().unwrap().is_empty());
}

/// Whether a process is stopped: its state in `/proc/PID/stat` (proc(5)) and that of its children is `T`.
fn stands_still(child: &Child) -> bool {
    let mut pids = vec![child.id()];
    while let Some(pid) = pids.pop() {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        if stat.rsplit_once(')').is_none_or(|(_, rest)| !rest.starts_with(" T")) {
            return false;
        }
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        pids.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    true
}

#[test]
fn of_fifty_engines_on_two_hosts_never_two_hold_one_target_of_a_directory() {
    let state = tempfile::tempdir().unwrap();
    race(&state.path().to_string_lossy());
}

#[cfg(feature = "postgres")]
#[test]
fn of_fifty_engines_on_two_hosts_never_two_hold_one_target_of_a_database() {
    let Some(server) = crate::state::Server::shared() else { return };
    race(&server.database().address("ada"));
}
