//! Waiting politely: SchedMD asks clients not to loop on slurmctld.

use std::time::Duration;

use engine::step::{StepCx, StepError};
use jiff::Timestamp;

/// A wait with an end: pauses grow from one second to a bound.
pub(crate) struct Poll {
    began: Timestamp,
    limit: Duration,
    pause: Duration,
    longest: Duration,
}

impl Poll {
    /// Longest pause if nothing else is said.
    pub(crate) const LONGEST: Duration = Duration::from_secs(10);

    /// A wait of at most `limit` from now on.
    pub(crate) fn start(cx: &StepCx, limit: Duration, longest: Duration) -> Self {
        Self { began: cx.site.now(), limit, pause: Duration::from_secs(1).min(longest), longest }
    }

    /// Time since the start.
    pub(crate) fn waited(&self, cx: &StepCx) -> Duration {
        Duration::try_from(cx.site.now().duration_since(self.began)).unwrap_or_default()
    }

    /// Pauses, but not past the end; `false` if the time is up.
    pub(crate) async fn pause(&mut self, cx: &StepCx) -> bool {
        let left = self.limit.saturating_sub(self.waited(cx));
        if left.is_zero() {
            return false;
        }
        cx.site.sleep(self.pause.min(left)).await;
        self.pause = (self.pause * 2).min(self.longest);
        true
    }

    /// The same for a read, which ends early when the person wants to stop; `what` goes on.
    ///
    /// # Errors
    /// The person wants to stop.
    pub(crate) async fn pause_of_read(&mut self, cx: &StepCx, what: &str) -> Result<bool, StepError> {
        tokio::select! {
            biased;
            () = cx.cancel.cancelled() => Err(StepError::failed(format!("stopped watching {what}; it goes on"))),
            more = self.pause(cx) => Ok(more),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::FakeSite;

    #[tokio::test(flavor = "current_thread")]
    async fn pauses_grow_and_end_with_the_limit() {
        let site = FakeSite::shared();
        let cx = site.cx();
        let mut poll = Poll::start(&cx, Duration::from_secs(30), Poll::LONGEST);
        let mut pauses = 0;
        while poll.pause(&cx).await {
            pauses += 1;
        }
        assert_eq!(poll.waited(&cx), Duration::from_secs(30));
        assert_eq!(pauses, 6, "1 2 4 8 10 5");
    }
}
