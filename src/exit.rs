//! The exit codes of the program: scripts rely on them.

use engine::plan::EndKind;
use engine::walk::Ending;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Resolved, nothing to do, or the command did what it was asked.
    Done = 0,
    /// The program itself broke.
    Internal = 1,
    /// The command line is wrong, or the runbook does not check.
    Usage = 2,
    /// Waits for a person at a gate or a question.
    Parked = 3,
    /// A person has to take over.
    Escalated = 4,
    /// A step broke or a person said no; the evidence is kept.
    Held = 5,
    /// Taking changes back broke half-way.
    Stuck = 6,
    /// Another run has the target, or another process walks this run.
    Locked = 7,
    /// Stopped by a signal; the run can be resumed.
    Interrupted = 130,
}

impl From<&Ending> for Exit {
    fn from(ending: &Ending) -> Self {
        match ending {
            Ending::Ended { end: EndKind::Resolved | EndKind::NoAction, .. } => Self::Done,
            Ending::Ended { end: EndKind::Escalated, .. } => Self::Escalated,
            Ending::Parked { .. } => Self::Parked,
            Ending::Held { .. } => Self::Held,
            Ending::Stuck { .. } => Self::Stuck,
            Ending::RolledBack { broke: Some(_), .. } => Self::Held,
            Ending::RolledBack { broke: None, .. } => Self::Done,
            Ending::Locked { .. } => Self::Locked,
            Ending::Interrupted => Self::Interrupted,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
