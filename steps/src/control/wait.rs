//! `wait`: lets time pass.

use std::time::Duration;

use async_trait::async_trait;
use engine::step::{Done, Outcomes, Performed, Progress, ReadStep, StepCx, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Timespan;

/// Longest stretch of sleep in which nobody looks whether the person wants to stop.
const SLICE: Duration = Duration::from_secs(1);

/// `wait`.
pub(crate) struct Wait;

/// How long.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// How long to wait.
    r#for: Timespan,
}

/// How long it was.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Output {
    /// Time waited, seconds.
    waited_seconds: f64,
}

#[async_trait]
impl ReadStep for Wait {
    const KIND: &'static str = "wait";
    const SUMMARY: &'static str = "Let time pass";
    type Params = Params;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[("done", "The time has passed")])
    }

    async fn read(&self, cx: &StepCx, params: Params) -> Result<Performed<Output>, StepError> {
        let mut left = params.r#for.0;
        while !left.is_zero() {
            if cx.cancel.is_cancelled() {
                return Err(StepError::failed("stopped while waiting")
                    .help("waiting changes nothing: resume begins it again"));
            }
            let message = format!("{} s left", left.as_secs());
            (cx.progress)(Progress { message, fraction: None });
            let slice = left.min(SLICE);
            cx.site.sleep(slice).await;
            left -= slice;
        }
        Ok(Done::new("done", Output { waited_seconds: params.r#for.0.as_secs_f64() }).into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::site::Site;

    use super::*;
    use crate::testkit::FakeSite;

    #[tokio::test]
    async fn only_the_clock_of_the_site_moves() {
        let site = Arc::new(FakeSite::new());
        let before = site.now();
        let params = serde_json::from_str(r#"{"for": "2m 1500ms"}"#).unwrap();
        let Performed::Done(done) = Wait.read(&site.cx(), params).await.unwrap() else {
            panic!("it asks nobody")
        };
        assert_eq!(done.output.waited_seconds, 121.5);
        assert_eq!(site.now().duration_since(before).as_millis(), 121_500);
    }

    #[tokio::test]
    async fn it_stops_when_the_person_does() {
        let cx = Arc::new(FakeSite::new()).cx();
        cx.cancel.cancel();
        let params = serde_json::from_str(r#"{"for": "2h"}"#).unwrap();
        assert!(Wait.read(&cx, params).await.is_err());
    }
}
