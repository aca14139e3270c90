//! `decide`: the first expression that is true.

use async_trait::async_trait;
use engine::step::{Done, Effect, Outcomes, Performed, ReadStep, StepCx, StepError, StepErrorKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ordered::Ordered;

/// Chooses between outcomes by facts that earlier nodes found.
pub(super) struct Decide;

/// Outcome → expression, in the order in which they are asked. An expression that reads an unknown value is `null`.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Params(Ordered<Option<bool>>);

/// What was decided.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// The outcome whose expression was true; `null` if that cannot be told.
    chosen: Option<String>,
}

#[async_trait]
impl ReadStep for Decide {
    const KIND: &'static str = "decide";
    const SUMMARY: &'static str = "Take the first outcome whose expression is true";
    const EFFECT: Effect = Effect::Pure;
    type Params = Params;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::keys(
            None,
            &[("unknown", "a value that an expression reads is unknown, or no expression is true")],
        )
    }

    async fn read(
        &self,
        _: &StepCx,
        Params(Ordered(branches)): Params,
    ) -> Result<Performed<Output>, StepError> {
        if branches.is_empty() || branches.iter().any(|(name, _)| name == "unknown") {
            let message = "decide: needs at least one outcome, and `unknown` is its own";
            return Err(StepError::new(StepErrorKind::Params, message));
        }
        let deciding = branches.iter().find(|(_, value)| *value != Some(false));
        let (chosen, line) = match deciding {
            Some((name, Some(_))) => (Some(name.clone()), format!("{name}: true")),
            Some((name, None)) => (None, format!("cannot tell: `{name}` reads a value that is unknown")),
            None => {
                let names: Vec<&str> = branches.iter().map(|(name, _)| name.as_str()).collect();
                (None, format!("none of {} holds", names.join(", ")))
            }
        };
        let outcome = chosen.clone().unwrap_or_else(|| "unknown".to_owned());
        Ok(Done::new(outcome, Output { chosen }).line(line).into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::step::{Read, Step};
    use serde_json::{Value, json};

    use super::*;
    use crate::testkit::FakeSite;

    async fn decide(with: Value) -> Result<(String, String), StepError> {
        let cx = Arc::new(FakeSite::new()).cx();
        match Read::new(Decide).perform(&cx, &with, &Value::Null).await? {
            Performed::Done(done) => Ok((done.outcome, done.summary.join("\n"))),
            Performed::Ask(..) => unreachable!("decide asks nobody"),
        }
    }

    #[tokio::test]
    async fn the_first_true_wins_in_written_order() {
        let both = decide(json!({ "z": true, "a": true })).await.unwrap();
        assert_eq!(both, ("z".to_owned(), "z: true".to_owned()));
        assert_eq!(decide(json!({ "z": false, "a": true, "b": null })).await.unwrap().0, "a");
    }

    #[tokio::test]
    async fn an_unknown_value_before_any_true_is_unknown() {
        let (outcome, line) = decide(json!({ "faulty": null, "healthy": true })).await.unwrap();
        assert_eq!(outcome, "unknown");
        assert_eq!(line, "cannot tell: `faulty` reads a value that is unknown");
        let (outcome, line) = decide(json!({ "a": false, "b": false })).await.unwrap();
        assert_eq!((outcome.as_str(), line.as_str()), ("unknown", "none of a, b holds"));
    }

    #[tokio::test]
    async fn what_is_no_truth_value_is_refused() {
        for with in [json!({ "a": "true" }), json!({ "a": 1 }), json!({}), json!({ "unknown": true })] {
            assert_eq!(decide(with).await.unwrap_err().kind, StepErrorKind::Params);
        }
    }

    #[test]
    fn outcomes_are_the_keys() {
        let step = Read::new(Decide);
        let names: Vec<String> =
            step.spec().outcomes.of(&json!({ "z": "", "a": "" })).into_iter().map(|o| o.name).collect();
        assert_eq!(names, ["z", "a", "unknown"]);
    }
}
