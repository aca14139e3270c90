//! Whether a job has let go of its nodes, and waiting until it has.

use std::time::Duration;

use engine::step::{StepCx, StepError};

use super::call::{Refusal, ask};
use super::id::JobId;
use super::poll::Poll;
use super::query;
use super::sacct::{SEPARATOR, rows};
use super::state::State;
use crate::text::{clean, names, span};

/// Where a job stands in slurmctld.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// slurmctld knows it no more: it has ended, and longer ago than `MinJobAge`.
    Forgotten,
    /// In this state. While it is completing, the folded list holds only nodes that are not back in service yet
    /// (manual page of squeue, `%N`).
    At(State, Option<String>),
}

impl Standing {
    pub(crate) fn released(&self) -> bool {
        match self {
            Self::Forgotten => true,
            Self::At(state, _) => state.is_released(),
        }
    }

    pub(crate) fn state(&self) -> Option<&State> {
        match self {
            Self::Forgotten => None,
            Self::At(state, _) => Some(state),
        }
    }
}

/// Asks where a job stands. Of several components the one that holds its nodes longest counts.
///
/// # Errors
/// Slurm's programs are not there.
pub(crate) async fn standing(cx: &StepCx, id: &JobId) -> Result<Result<Standing, Refusal>, StepError> {
    let format = format!("%T{SEPARATOR}%N");
    let answer = match ask(cx, ["squeue", "-h", "-j", id.as_str(), "-t", "all", "-o", &format]).await? {
        Ok(answer) => answer,
        Err(Refusal::NoSuch) => return Ok(Ok(Standing::Forgotten)),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let text = String::from_utf8_lossy(&answer);
    let mut worst = Standing::Forgotten;
    for row in rows(&text, 2) {
        let &[state, nodes] = row.as_slice() else { continue };
        let Some(state) = State::read(state) else {
            return Err(StepError::malformed(format!("squeue names no state of job {id}: {}", clean(state))));
        };
        if worst.released() {
            worst = Standing::At(state, super::value::known(nodes).map(str::to_owned));
        }
    }
    Ok(Ok(worst))
}

/// How a wait for release ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waited {
    /// The last that was seen; `None` if slurmctld never answered.
    pub(crate) standing: Option<Standing>,
    pub(crate) seconds: u64,
    /// Nodes that were not free when the time was up.
    pub(crate) held: Vec<String>,
}

impl Waited {
    pub(crate) fn released(&self) -> bool {
        self.standing.as_ref().is_some_and(Standing::released)
    }
}

/// Waits until a job has let go of its nodes, at most `limit`. It is the end of a change, so it is not broken off.
///
/// # Errors
/// Slurm's programs are not there.
pub(crate) async fn wait(cx: &StepCx, id: &JobId, limit: Duration) -> Result<Waited, StepError> {
    let mut poll = Poll::start(cx, limit, Poll::LONGEST);
    let mut last = None;
    loop {
        if let Ok(standing) = standing(cx, id).await? {
            last = Some(standing);
        }
        if last.as_ref().is_some_and(Standing::released) {
            break;
        }
        let waited = poll.waited(cx).as_secs();
        cx.say(match &last {
            Some(Standing::At(state, nodes)) => {
                format!(
                    "job {id} is {} on {}, waited {}",
                    state.word(),
                    clean(nodes.as_deref().unwrap_or("no nodes")),
                    span(waited)
                )
            }
            _ => format!("slurmctld does not answer, waited {}", span(waited)),
        });
        if !poll.pause(cx).await {
            break;
        }
    }
    let held = match &last {
        Some(Standing::At(state, nodes)) if !state.is_released() => {
            query::nodes(cx, nodes.as_deref()).await?.unwrap_or_default()
        }
        _ => Vec::new(),
    };
    Ok(Waited { standing: last, seconds: poll.waited(cx).as_secs(), held })
}

/// What a person should know of a wait that was not enough.
pub(crate) fn stuck(id: &JobId, waited: &Waited) -> String {
    let state = waited.standing.as_ref().and_then(Standing::state).map_or("not known", State::word);
    let nodes = if waited.held.is_empty() { String::new() } else { format!(" on {}", names(&waited.held)) };
    format!("job {id} is still {state}{nodes} after {}", span(waited.seconds))
}
