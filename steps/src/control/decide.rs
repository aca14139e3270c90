//! `decide`: the first true condition names the outcome.

use async_trait::async_trait;
use engine::step::{Done, Effect, Outcomes, Performed, ReadStep, StepCx, StepError, StepErrorKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `decide`.
pub(crate) struct Decide;

/// Outcome → condition, in the order in which they are looked at. A condition is `true`, `false` or unknown.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Params(Map<String, Value>);

/// What was decided.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Output {
    /// The outcome whose condition was true, or `null` if that is unknown.
    decided: Option<String>,
}

#[async_trait]
impl ReadStep for Decide {
    const KIND: &'static str = "decide";
    const SUMMARY: &'static str = "Take the first outcome whose condition is true; never guess";
    const EFFECT: Effect = Effect::Pure;
    type Params = Params;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::keys(None, &[("unknown", "a condition that matters is unknown, or none is true")])
    }

    async fn read(&self, _cx: &StepCx, params: Params) -> Result<Performed<Output>, StepError> {
        for (name, condition) in params.0 {
            match condition {
                Value::Bool(true) => {
                    return Ok(Done::new(name.clone(), Output { decided: Some(name) }).into());
                }
                Value::Bool(false) => {}
                // What comes after it would only count if this were false, and that is not known.
                Value::Null => return Ok(unknown(format!("whether `{name}` holds is unknown")).into()),
                other => {
                    let message =
                        format!("decide: the condition of `{name}` yields {other}, not true or false");
                    return Err(StepError::new(StepErrorKind::Params, message));
                }
            }
        }
        Ok(unknown("none of the conditions holds".to_owned()).into())
    }
}

fn unknown(why: String) -> Done<Output> {
    Done::new("unknown", Output { decided: None }).line(why)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testkit::FakeSite;

    async fn decide(params: Value) -> Result<String, StepErrorKind> {
        let cx = StepCx::new(std::sync::Arc::new(FakeSite::new()), "run/1");
        match Decide.read(&cx, serde_json::from_value(params).unwrap()).await {
            Ok(Performed::Done(done)) => Ok(done.outcome),
            Ok(Performed::Ask(..)) => unreachable!("decide asks nobody"),
            Err(error) => Err(error.kind),
        }
    }

    #[tokio::test]
    async fn the_first_true_condition_wins_and_unknown_stops_the_search() {
        assert_eq!(decide(json!({"a": false, "b": true, "c": true})).await, Ok("b".to_owned()));
        assert_eq!(
            decide(json!({"z": true, "a": true})).await,
            Ok("z".to_owned()),
            "written order, not the alphabet's"
        );
        assert_eq!(decide(json!({"a": null, "b": true})).await, Ok("unknown".to_owned()));
        assert_eq!(decide(json!({"a": true, "b": null})).await, Ok("a".to_owned()));
        assert_eq!(decide(json!({"a": false})).await, Ok("unknown".to_owned()));
        assert_eq!(decide(json!({"a": 1})).await, Err(StepErrorKind::Params));
    }
}
