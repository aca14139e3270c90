//! Small parameter types that a template may deliver in more than one shape.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use engine::step::{StepError, StepErrorKind};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::duration::Timespan;

/// A word that may have been written as a number: the index of a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) String);

impl JsonSchema for Word {
    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"] })
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar("a word or a number")).map(Self)
    }
}

/// The time limit of each command on a node: 20 s if none is given.
///
/// # Errors
/// It is not between one second and a day: a command that gets no time would look as if it hung.
pub(crate) fn limit(timeout: Option<Timespan>) -> Result<Duration, StepError> {
    let Timespan(limit) = timeout.unwrap_or(Timespan::seconds(20));
    if limit < Duration::from_secs(1) || limit > Duration::from_secs(86_400) {
        let what = format!("a time limit of {} is not between a second and a day", Timespan(limit));
        return Err(StepError::new(StepErrorKind::Params, what));
    }
    Ok(limit)
}

struct Scalar(&'static str);

impl Visitor<'_> for Scalar {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        let text = text.trim();
        if text.is_empty() {
            return Err(E::custom(format!("is empty where {} is needed", self.0)));
        }
        Ok(text.to_owned())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_shapes() {
        let word = |json: &str| serde_json::from_str::<Word>(json).map(|w| w.0).ok();
        assert_eq!(
            (word("123"), word("\" 123_4 \""), word("\"\""), word("[]")),
            (Some("123".into()), Some("123_4".into()), None, None)
        );
    }

    #[test]
    fn limits_leave_time_to_answer() {
        let seconds = |timeout| limit(timeout).ok().map(|limit| limit.as_secs());
        assert_eq!([seconds(None), seconds(Some(Timespan::minutes(2)))], [Some(20), Some(120)]);
        assert_eq!(
            [seconds(Some(Timespan::seconds(0))), seconds(Some(Timespan::seconds(90_000)))],
            [None, None]
        );
    }
}
