//! `ask`: a person chooses the outcome.

use async_trait::async_trait;
use engine::step::{Choice, Effect, Outcomes, Performed, Question, ReadStep, StepCx, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `ask`.
pub(crate) struct Ask;

/// What is asked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// The question, one sentence.
    #[schemars(extend("x-text" = true))]
    prompt: String,
    /// What the person should look at before answering, one line or paragraph each.
    #[serde(default)]
    #[schemars(extend("x-text" = true))]
    details: Vec<String>,
    /// Outcome → what it means.
    #[schemars(extend("x-text" = true))]
    choices: Map<String, Value>,
}

/// What was asked.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Output {
    /// The question as it was put.
    prompt: String,
}

#[async_trait]
impl ReadStep for Ask {
    const KIND: &'static str = "ask";
    const SUMMARY: &'static str = "Ask a person to choose the outcome";
    const EFFECT: Effect = Effect::Pure;
    type Params = Params;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::keys(Some("choices"), &[])
    }

    async fn read(&self, _cx: &StepCx, params: Params) -> Result<Performed<Output>, StepError> {
        let choices = params.choices.into_iter().map(|(outcome, label)| {
            let label = label.as_str().map_or_else(|| label.to_string(), str::to_owned);
            Choice { outcome, label }
        });
        let lines = params.details.iter().flat_map(|detail| detail.lines());
        let details = lines.map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        let question = Question { prompt: params.prompt.clone(), details, choices: choices.collect() };
        Ok(Performed::Ask(question, Output { prompt: params.prompt }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testkit::FakeSite;

    #[tokio::test]
    async fn the_choices_are_the_outcomes_in_written_order() {
        let with =
            json!({"prompt": "Go on?", "details": ["a\nb\n"], "choices": {"yes": "go on", "no": "stop"}});
        let names: Vec<String> = Ask::outcomes().of(&with).into_iter().map(|outcome| outcome.name).collect();
        assert_eq!(names, ["yes", "no"]);
        let cx = StepCx::new(std::sync::Arc::new(FakeSite::new()), "run/1");
        let Performed::Ask(question, _) = Ask.read(&cx, serde_json::from_value(with).unwrap()).await.unwrap()
        else {
            panic!("it asks")
        };
        assert_eq!(question.details, ["a", "b"]);
        assert_eq!(question.choices[1], Choice { outcome: "no".to_owned(), label: "stop".to_owned() });
    }
}
