//! One engine of the race: a process of its own that takes the locks of a job and a node, and acts while it has them.
//!
//! The test program is started once more for each, with the name of the test below and a part to play in its environment.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::journal::{DirStore, Store};
use engine::lock::{Claim, Lease, LockError, Locks};
use engine::run::RunId;

use super::witness::Witness;

/// Names this test for whoever starts an engine.
pub(super) const ENGINE: &str = "race::driver::engine";
/// What is raced for.
pub(super) const TARGETS: [&str; 2] = ["job/1", "node/gpu-1"];
/// Times that an engine has both before it is done.
pub(super) const ROUNDS: usize = 3;
/// Longer than the race takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// What an engine does once it has the locks for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Acts and lets go.
    Plain,
    /// Waits to be killed.
    Dies,
    /// Waits to be paused and to wake up, and goes on as if nothing had been.
    Sleeps,
}

/// The store of a race: `$RUNBOOK_STATE` as the program takes it.
pub(super) fn store(state: &str) -> Arc<dyn Store> {
    #[cfg(feature = "postgres")]
    if state_postgres::is_address(state) {
        return Arc::new(state_postgres::Database::open(state).unwrap());
    }
    Arc::new(DirStore::new(state))
}

/// Where an engine is told that it was woken up.
pub(super) fn woken(ground: &Path, run: &str) -> PathBuf {
    ground.join(format!("woken-{run}"))
}

/// Where engines are told that they may take over from a run.
pub(super) fn named(ground: &Path, run: &str) -> PathBuf {
    ground.join(format!("over-{run}"))
}

/// Waits until something holds.
pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "{what}: waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

struct Engine {
    ground: PathBuf,
    locks: Arc<dyn Locks>,
    witness: Witness,
    run: String,
    host: String,
}

type Leases = Vec<Box<dyn Lease>>;

impl Engine {
    /// Takes both locks or none.
    fn take(&self) -> Option<Leases> {
        let mut leases = Leases::new();
        for target in TARGETS {
            let claim = Claim {
                target: target.to_owned(),
                run: RunId::parse(&self.run).unwrap(),
                account: "ada".to_owned(),
                host: self.host.clone(),
                pid: std::process::id(),
                since: jiff::Timestamp::now(),
            };
            let taken = match self.locks.take(&claim) {
                Err(LockError::Taken(held)) if named(&self.ground, held.claim.run.as_str()).exists() => {
                    self.locks.take_over(&claim, &held.claim.run)
                }
                taken => taken,
            };
            match taken {
                Ok(taken) => leases.push(taken.lease),
                Err(LockError::Taken(_)) => return None,
                Err(error) => panic!("{error}"),
            }
        }
        Some(leases)
    }

    fn write(&self, word: &str, leases: &Leases) {
        for (target, lease) in TARGETS.iter().zip(leases) {
            self.witness.write(&[word, &self.run, target, &lease.fence().to_string()]);
        }
    }

    /// An effect, each only while the lock is held. Whether all were.
    fn act(&self, leases: &Leases) -> bool {
        for (target, lease) in TARGETS.iter().zip(leases) {
            let word = match lease.check() {
                Ok(()) => "act",
                Err(LockError::Fenced(_)) => "fenced",
                Err(error) => panic!("{error}"),
            };
            self.witness.write(&[word, &self.run, target, &lease.fence().to_string()]);
            if word == "fenced" {
                return false;
            }
        }
        true
    }

    fn race(&self, part: Part) {
        let mut rounds = 0;
        until("both locks", || {
            let Some(leases) = self.take() else { return false };
            self.write("enter", &leases);
            if part != Part::Plain {
                self.witness.write(&["ready", &self.run]);
                until("the signal", || woken(&self.ground, &self.run).exists());
            }
            if !self.act(&leases) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
            assert!(self.act(&leases), "nobody may take over from {}", self.run);
            self.write("leave", &leases);
            rounds += 1;
            rounds == ROUNDS
        });
    }
}

#[test]
#[ignore = "plays a part in the race; started by it"]
fn engine() {
    let Ok(part) = std::env::var("RACE_PART") else { return };
    let set = |name: &str| std::env::var(name).unwrap();
    let ground = PathBuf::from(set("RACE_GROUND"));
    let host = std::env::var("RACE_HOST");
    let host = host.unwrap_or_else(|_| rustix::system::uname().nodename().to_string_lossy().into_owned());
    let engine = Engine {
        locks: store(&set("RUNBOOK_STATE")).locks(),
        witness: Witness::open(&ground),
        run: set("RACE_RUN"),
        ground,
        host,
    };
    engine.witness.write(&["begin", &engine.run, &engine.host, &std::process::id().to_string()]);
    engine.race(match part.as_str() {
        "Dies" => Part::Dies,
        "Sleeps" => Part::Sleeps,
        _ => Part::Plain,
    });
}
