//! Connections, sessions and servers that are lost: nothing twice, nothing acknowledged lost, nobody two at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use engine::conformance::{begun, now, run, stopped};
use engine::journal::{Journal, JournalError, Store};
use engine::lock::{Claim, LockError};
use engine::run::RunId;
use state_postgres::Database;

use super::server::{Base, Server};
use crate::cli::bench::Bench;

/// A handle that gives up after a second.
fn hasty(base: &Base<'_>) -> Database {
    Database::open(&format!("{}&connect_timeout=1", base.address("ada"))).unwrap()
}

/// Ends all sessions of operators.
// Waits until they are gone: until then their locks are held.
const END: &str = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE usename = 'ada' AND datname = current_database()";

fn claim(run: RunId) -> Claim {
    Claim {
        target: "job/1".to_owned(),
        run,
        account: "ada".to_owned(),
        host: "login1".to_owned(),
        pid: 1,
        since: now(),
    }
}

fn count(base: &Base<'_>, run: &RunId) -> usize {
    base.sql(&format!("SELECT count(*) FROM runbook.entries WHERE run = '{run}'")).parse().unwrap()
}

#[test]
fn an_entry_whose_fate_is_unknown_is_looked_up_and_never_written_twice() {
    let Some(server) = Server::shared() else { return };
    let base = server.database();
    let (store, id) = (Database::open(&base.address("ada")).unwrap(), run(60));
    let mut journal = begun(&store, &id);
    let lease = store.locks().take(&claim(id.clone())).unwrap().lease;
    let (written, over, cuts) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut before = 0;
            while !over.load(Ordering::Relaxed) {
                // Once it got on after the last cut; where in an entry that falls is up to the machine.
                let now = written.load(Ordering::Relaxed);
                if now > before {
                    before = now;
                    cuts.fetch_add(base.sql(END).parse::<usize>().unwrap(), Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        // A fast machine writes many entries between two cuts.
        for number in 1.. {
            if number > 150 && cuts.load(Ordering::Relaxed) > 5 {
                break;
            }
            assert!(number < 100_000, "it is not cut off");
            journal.append(now(), stopped(&format!("entry {number}"))).unwrap();
            written.store(number, Ordering::Relaxed);
            if number % 10 == 0 {
                lease.check().unwrap();
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    drop(journal);
    let records = store.records(&id).unwrap();
    assert_eq!(records.len(), written.load(Ordering::Relaxed) + 1);
    for (number, record) in records.iter().enumerate().skip(1) {
        assert_eq!(record.entry, stopped(&format!("entry {number}")));
    }
}

#[test]
fn a_server_that_goes_down_stops_the_journal_and_loses_nothing_that_it_acknowledged() {
    let Some(server) = Server::own() else { return };
    let base = server.database();
    let (store, id) = (hasty(&base), run(61));
    let mut journal = begun(&store, &id);
    let lease = store.locks().take(&claim(id.clone())).unwrap().lease;
    for number in 1..=20 {
        journal.append(now(), stopped(&format!("entry {number}"))).unwrap();
    }
    server.crash();
    let begin = Instant::now();
    let error = journal.append(now(), stopped("not acknowledged")).unwrap_err();
    assert!(matches!(error, JournalError::Io { action: "write", .. }), "{error}");
    assert!(error.to_string().contains(id.as_str()), "{error}");
    assert!(matches!(lease.check(), Err(LockError::Broken { .. })), "what cannot be told is not held");
    assert!(begin.elapsed() < Duration::from_secs(30));
    server.restart();
    assert!(lease.check().is_ok(), "nobody took it in between");
    assert!(journal.append(now(), stopped("after a gap")).is_err(), "what came next would not follow");
    drop((journal, lease));

    let other = hasty(&base);
    let (mut journal, records) = other.open(&id).unwrap();
    assert_eq!(records.len(), 21, "all that was acknowledged, and not what was refused");
    journal.append(now(), stopped("went on")).unwrap();
    drop(journal);

    // Down for less than its patience, a server is waited for.
    let patient = Database::open(&base.address("ada")).unwrap();
    let (mut journal, _) = patient.open(&id).unwrap();
    server.crash();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(500));
            server.restart();
        });
        journal.append(now(), stopped("waited")).unwrap();
    });
    assert_eq!(count(&base, &id), 23);
}

#[test]
fn a_writer_that_was_cut_off_is_fenced_by_whoever_took_its_run_up() {
    let Some(server) = Server::shared() else { return };
    let base = server.database();
    let (first, second): (Arc<dyn Store>, Arc<dyn Store>) = (
        Arc::new(Database::open(&base.address("ada")).unwrap()),
        Arc::new(Database::open(&base.address("ben")).unwrap()),
    );
    let id = run(62);
    let mut journal = begun(&*first, &id);
    let lease = first.locks().take(&claim(id.clone())).unwrap().lease;
    base.sql(END);
    let (mut taken_up, _) = second.open(&id).unwrap();
    let taken = second.locks().take(&claim(run(63))).unwrap();
    assert!(taken.lost);

    let Err(JournalError::Locked { holder, .. }) = journal.append(now(), stopped("too late")) else {
        panic!("two write one journal")
    };
    assert!(holder.ends_with(", ben"), "{holder}");
    assert!(matches!(lease.check(), Err(LockError::Fenced(_))));
    drop((journal, lease));
    taken_up.append(now(), stopped("took it up")).unwrap();
    assert!(taken.lease.check().is_ok());
    assert_eq!(count(&base, &id), 2);
    assert!(matches!(first.open(&id).map(|_| ()), Err(JournalError::Locked { .. })));
}

const OOM: &str = "[rank3]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 3 has a total \
capacity of 79.10 GiB of which 417.19 MiB is free. Including non-PyTorch memory, this process has 78.68 GiB memory in \
use. Of the allocated memory 60.92 GiB is allocated by PyTorch, and 16.40 GiB is reserved by PyTorch but unallocated.\n";

#[test]
fn a_walk_whose_database_goes_down_stops_before_the_effect_and_goes_on_later() {
    let Some(server) = Server::own() else { return };
    let base = server.database();
    let mut bench = Bench::new();
    bench.keep_runs_in(&format!("{}&connect_timeout=1", base.address("ada")));
    bench.runbook("mend").write("train.err", OOM);
    bench.write("train.sbatch", "#!/bin/bash\nsrun python train.py\n");
    let mut terminal = bench.terminal(&["run", "mend", "--log", "train.err", "--script", "train.sbatch"]);
    terminal.see("Approve?");
    let run = base.sql("SELECT run FROM runbook.runs");
    server.crash();
    terminal.type_in("y\n").see("cannot write postgres:///").see("hint:").see("runbook resume");
    terminal.exits(1);
    assert!(!bench.read("train.sbatch").contains("PYTORCH"), "nothing was done that was not announced");
    server.restart();
    let said = bench.run(&["resume", &run, "--approve", "edit"]).exits(0);
    assert!(bench.read("train.sbatch").contains("PYTORCH"), "{}", said.out);
    assert!(!bench.path("state").exists());
}
