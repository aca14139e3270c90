//! `ask`: something only a person can answer.

use async_trait::async_trait;
use engine::step::{
    Choice, Effect, Outcomes, Performed, Question, ReadStep, StepCx, StepError, StepErrorKind,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ordered::Ordered;

/// Asks the person who runs the runbook.
pub(super) struct Ask;

/// The question.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// The question, one sentence.
    prompt: String,
    /// What the person should look at before answering, line by line; unknown lines are left out.
    #[serde(default)]
    details: Vec<Option<String>>,
    /// Outcome → what the answer means, in the order in which they are offered.
    choices: Ordered<String>,
}

/// Always empty: the answer is the outcome.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// Always `null`; the answer is the node's outcome.
    choice: Option<String>,
}

#[async_trait]
impl ReadStep for Ask {
    const KIND: &'static str = "ask";
    const SUMMARY: &'static str = "Let the person choose the outcome";
    const EFFECT: Effect = Effect::Reads;
    type Params = Params;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::keys(Some("choices"), &[])
    }

    async fn read(&self, _: &StepCx, params: Params) -> Result<Performed<Output>, StepError> {
        let Ordered(choices) = params.choices;
        if choices.is_empty() {
            return Err(StepError::new(StepErrorKind::Params, "ask: `choices` is empty"));
        }
        let question = Question {
            prompt: params.prompt,
            details: params.details.into_iter().flatten().collect(),
            choices: choices.into_iter().map(|(outcome, label)| Choice { outcome, label }).collect(),
        };
        Ok(Performed::Ask(question, Output { choice: None }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::step::{Read, Step};
    use serde_json::{Value, json};

    use super::*;
    use crate::testkit::FakeSite;

    #[tokio::test]
    async fn the_question_keeps_its_order() {
        let cx = Arc::new(FakeSite::new()).cx();
        let with = json!({
            "prompt": "Is the node yours?",
            "details": ["gpu-1", null],
            "choices": { "yes": "It is mine", "no": "It is not" },
        });
        let Performed::Ask(question, output) =
            Read::new(Ask).perform(&cx, &with, &Value::Null).await.unwrap()
        else {
            panic!("it has to ask");
        };
        assert_eq!(question.details, ["gpu-1"]);
        let outcomes: Vec<&str> = question.choices.iter().map(|choice| choice.outcome.as_str()).collect();
        assert_eq!(outcomes, ["yes", "no"]);
        assert_eq!(output, json!({ "choice": null }));
        let nothing = json!({ "prompt": "?", "choices": {} });
        assert!(Read::new(Ask).perform(&cx, &nothing, &Value::Null).await.is_err());
    }
}
