//! `wait`: let time pass.

use std::time::Duration;

use async_trait::async_trait;
use engine::step::{Done, Outcomes, Performed, Progress, ReadStep, StepCx, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Timespan;

/// Lets time pass.
pub(super) struct Wait;

/// How long.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// How long to wait: `30s`, `5m`, `2h`.
    duration: Timespan,
}

/// How long it was.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// Seconds that were waited.
    waited_seconds: f64,
}

/// The person sees that time passes at least this often.
const SLICE: Duration = Duration::from_secs(5);

#[async_trait]
impl ReadStep for Wait {
    const KIND: &'static str = "wait";
    const SUMMARY: &'static str = "Let time pass";
    type Params = Params;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[("done", "the time has passed")])
    }

    async fn read(&self, cx: &StepCx, params: Params) -> Result<Performed<Output>, StepError> {
        let Timespan(whole) = params.duration;
        let mut waited = Duration::ZERO;
        while waited < whole {
            (cx.progress)(Progress {
                message: format!("waiting {}", params.duration),
                fraction: Some((waited.as_secs(), whole.as_secs())),
            });
            let slice = SLICE.min(whole - waited);
            tokio::select! {
                biased;
                () = cx.cancel.cancelled() => {
                    return Err(StepError::failed(format!("stopped after waiting {} of {}", Timespan(waited), params.duration)));
                }
                () = cx.site.sleep(slice) => waited += slice,
            }
        }
        let output = Output { waited_seconds: whole.as_secs_f64() };
        Ok(Done::new("done", output).line(format!("waited {}", params.duration)).into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::site::Site;
    use engine::step::{Read, Step};
    use serde_json::{Value, json};

    use super::*;
    use crate::testkit::FakeSite;

    #[tokio::test]
    async fn waits_on_the_sites_clock() {
        let site = Arc::new(FakeSite::new());
        let before = site.now();
        let done =
            Read::new(Wait).perform(&site.cx(), &json!({ "duration": "12s" }), &Value::Null).await.unwrap();
        assert_eq!(site.now().duration_since(before).as_secs(), 12);
        let Performed::Done(done) = done else { panic!("it asks nobody") };
        assert_eq!((done.outcome.as_str(), done.output), ("done", json!({ "waited_seconds": 12.0 })));
    }

    #[tokio::test]
    async fn stops_when_the_person_wants() {
        let site = Arc::new(FakeSite::new());
        let cx = site.cx();
        let cancel = cx.cancel.clone();
        site.later(Duration::from_secs(20), move |_| cancel.cancel());
        let with = json!({ "duration": "1h" });
        let error = Read::new(Wait).perform(&cx, &with, &Value::Null).await.unwrap_err();
        assert_eq!(error.message, "stopped after waiting 15s of 1h");
    }
}
