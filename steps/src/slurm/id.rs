//! Job ids as people type them.

use std::borrow::Cow;
use std::fmt;

use engine::step::{StepError, StepErrorKind};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// A Slurm job id: `123`, one task of an array `123_4`, one component of a heterogeneous job `123+1`.
///
/// Nothing else is a `JobId`, so one can stand in an argument list without being taken for an option.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub(crate) struct JobId(String);

impl JobId {
    /// Checks a job id as it was typed.
    ///
    /// # Errors
    /// [`StepErrorKind::Params`] if it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, StepError> {
        let digits = |part: &str| (1..=10).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let text = text.trim();
        let fits = match text.split_once(['_', '+']) {
            Some((job, part)) => digits(job) && digits(part),
            None => digits(text),
        };
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err(StepError::new(StepErrorKind::Params, format!("{text:?} is no Slurm job id")).help(
            "Give a number, or 123_4 for one task of an array, or 123+1 for a part of a heterogeneous job.",
        ))
    }

    /// The id as it was typed.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The number before `_` or `+`.
    pub(crate) fn number(&self) -> &str {
        self.0.split(['_', '+']).next().unwrap_or_default()
    }

    /// The array task, if one was named.
    pub(crate) fn task(&self) -> Option<&str> {
        self.0.split_once('_').map(|(_, task)| task)
    }

    /// The component of a heterogeneous job, if one was named.
    pub(crate) fn component(&self) -> Option<&str> {
        self.0.split_once('+').map(|(_, component)| component)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A number is taken too: YAML makes one of an id that is not in quotes.
impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdVisitor;
        impl Visitor<'_> for IdVisitor {
            type Value = JobId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a Slurm job id")
            }

            fn visit_u64<E: de::Error>(self, id: u64) -> Result<JobId, E> {
                self.visit_str(&id.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<JobId, E> {
                JobId::parse(text).map_err(|error| E::custom(error.message))
            }
        }
        deserializer.deserialize_any(IdVisitor)
    }
}

impl JsonSchema for JobId {
    fn schema_name() -> Cow<'static, str> {
        "JobId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "pattern": r"^\d+([_+]\d+)?$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_slurm_prints() {
        for id in ["1", "123456", "123_4", "123+1"] {
            assert_eq!(JobId::parse(id).unwrap().as_str(), id);
        }
        assert_eq!(serde_json::from_str::<JobId>("123").unwrap().as_str(), "123");
        assert_eq!(JobId::parse("12_3").unwrap().task(), Some("3"));
        assert_eq!(JobId::parse("12+3").unwrap().component(), Some("3"));
        assert_eq!(JobId::parse("12+3").unwrap().number(), "12");
    }

    #[test]
    fn refuses_what_could_be_an_option_or_a_shell_word() {
        for id in ["", "-1", "--help", "1;2", "1_", "_1", "1_2_3", "1 2", "1_[1-3]", "$(id)", "99999999999"] {
            assert_eq!(JobId::parse(id).unwrap_err().kind, StepErrorKind::Params, "{id}");
        }
    }
}
