//! Small parameter types that a template may deliver in more than one shape.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A word that may have been written as a number: a job id, the index of a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) String);

/// A time limit: whole seconds, or text with a unit (`20s`, `2m`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) Duration);

impl JsonSchema for Word {
    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"] })
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
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

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(Scalar("a time such as `20s`, or seconds"))?;
        let bad = || de::Error::custom(format!("`{text}` is not a time such as `20s` or `2m`"));
        let duration = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let span: jiff::SignedDuration = text.parse().map_err(|_| bad())?;
                Duration::try_from(span).map_err(|_| bad())?
            }
        };
        if duration.is_zero() || duration > Duration::from_secs(86_400) {
            return Err(de::Error::custom(format!("`{text}` is not between one second and a day")));
        }
        Ok(Self(duration))
    }
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
        let limit = |json: &str| serde_json::from_str::<Limit>(json).map(|l| l.0.as_secs()).ok();
        assert_eq!(
            (limit("20"), limit("\"2m\""), limit("\"0s\""), limit("-3"), limit("\"soon\"")),
            (Some(20), Some(120), None, None, None)
        );
    }
}
