//! What the walker needs of locks.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::run::RunId;

/// Time for which a lock of a process that was killed may still be held: a child that it was about to start has its files
/// and connections open until it runs its own program.
pub(crate) const DYING: Duration = Duration::from_secs(2);

/// Who wants a target, or has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// What is acted on: `job/123456`, `node/gpu-21`.
    pub target: String,
    /// The run that acts.
    pub run: RunId,
    /// Account that walks it.
    pub account: String,
    /// Host of its process.
    pub host: String,
    /// Process id on that host.
    pub pid: u32,
    /// When it was asked for.
    pub since: Timestamp,
}

impl Claim {
    /// Who and where, since when: `ada, pid 4711 on login2, since 2026-11-24 03:12:44Z`.
    pub fn holder(&self) -> String {
        let since = self.since.strftime("%Y-%m-%d %H:%M:%SZ");
        format!("{}, pid {} on {}, since {since}", self.account, self.pid, self.host)
    }
}

/// A lock that somebody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Who.
    pub claim: Claim,
    /// The fencing number: it grows with every holder of a target.
    pub fence: u64,
}

/// Why a lock was not taken, or is no longer held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it and is not provably gone.
    #[error("run {} works on {}: {}", .0.claim.run, .0.claim.target, .0.claim.holder())]
    Taken(Box<Held>),
    /// It was ours and somebody has taken it over since.
    #[error("run {} has taken {} over: {}", .0.claim.run, .0.claim.target, .0.claim.holder())]
    Fenced(Box<Held>),
    /// The file system refused.
    #[error("cannot {action} the lock of {target}: {path}: {source}")]
    Io {
        /// `take`, `look at` …
        action: &'static str,
        /// The target.
        target: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Where locks are kept is not as it should be.
    #[error("cannot {action} the lock of {target}: {why}")]
    Broken {
        /// `take`, `look at` …
        action: &'static str,
        /// The target.
        target: String,
        /// What is wrong, with the place.
        why: String,
    },
}

/// A lock that was taken.
pub struct Taken {
    /// Holds it until it is dropped.
    pub lease: Box<dyn Lease>,
    /// Who had it before, as far as is kept.
    pub before: Option<Claim>,
    /// They never let go of it: their process is gone, or it was taken over.
    pub lost: bool,
}

/// A lock that is held until this is dropped.
pub trait Lease: Send + Sync {
    /// The fencing number.
    fn fence(&self) -> u64;

    /// Looks whether it is still held: asked right before each effect.
    ///
    /// # Errors
    /// If it is not, or if that cannot be told.
    fn check(&self) -> Result<(), LockError>;
}

/// The locks of all runs that share a state.
pub trait Locks: Send + Sync {
    /// Takes the lock of a target. What this run's own process has already is [`LockError::Taken`] too.
    ///
    /// # Errors
    /// If somebody has it who is not provably gone; if it cannot be told.
    fn take(&self, claim: &Claim) -> Result<Taken, LockError>;

    /// Takes it from a run that a person named, whether or not that one is gone: it is fenced off.
    ///
    /// # Errors
    /// If another run than the named one has it; if it cannot be told.
    fn take_over(&self, claim: &Claim, from: &RunId) -> Result<Taken, LockError>;

    /// All that are held now, by target.
    ///
    /// # Errors
    /// If they cannot be listed.
    fn held(&self) -> Result<Vec<Held>, LockError>;
}
