//! Tells how long a run asked nothing of its site, because nobody but the clock knows of that.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// Less is the run's own work between two questions.
const SHORT: Duration = Duration::from_secs(1);

/// When a site was last asked something.
#[derive(Debug)]
pub(super) struct Idle(Mutex<State>);

#[derive(Debug)]
struct State {
    asking: usize,
    since: Timestamp,
}

/// Something that is being asked, until it is dropped: a question may be given up at any moment.
pub(super) struct Asking<'a, N: Fn() -> Timestamp> {
    idle: &'a Idle,
    now: N,
}

impl Idle {
    /// Nothing was asked since then.
    pub(super) fn since(since: Timestamp) -> Self {
        Self(Mutex::new(State { asking: 0, since }))
    }

    /// Something is asked from now on; also how long nothing was asked before, if that is worth telling.
    pub(super) fn ends<N: Fn() -> Timestamp>(&self, now: N) -> (Asking<'_, N>, Option<Duration>) {
        let mut state = self.state();
        state.asking += 1;
        let idle = Duration::try_from(now().duration_since(state.since)).unwrap_or_default();
        let idle = (state.asking == 1 && idle >= SHORT).then_some(idle);
        (Asking { idle: self, now }, idle)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<N: Fn() -> Timestamp> Drop for Asking<'_, N> {
    fn drop(&mut self) {
        let mut state = self.idle.state();
        state.asking -= 1;
        state.since = (self.now)();
    }
}
