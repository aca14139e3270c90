//! Lengths of time in parameters.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A length of time: `30s`, `10m`, `2h 30m`, or a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

impl Time {
    pub(crate) const fn minutes(minutes: u64) -> Self {
        Self(Duration::from_secs(minutes * 60))
    }

    pub(crate) const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}s", self.0.as_secs()))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;
        impl Visitor<'_> for TimeVisitor {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time such as 30s, 10m or 2h, or a number of seconds")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Time, E> {
                Ok(Time::seconds(seconds))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
                let span: jiff::SignedDuration = text
                    .parse()
                    .map_err(|_| E::custom(format!("{text:?} is no length of time (30s, 10m, 2h)")))?;
                Duration::try_from(span).map(Time).map_err(|_| E::custom("a length of time is not negative"))
            }
        }
        deserializer.deserialize_any(TimeVisitor)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "description": "A length of time: 30s, 10m, 2h" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let read = |text: &str| serde_json::from_str::<Time>(text).map(|time| time.0.as_secs());
        assert_eq!(read("\"10m\"").unwrap(), 600);
        assert_eq!(read("\"2h 30m\"").unwrap(), 9000);
        assert_eq!(read("45").unwrap(), 45);
        assert_eq!(read("\"0s\"").unwrap(), 0);
        assert!(read("\"soon\"").is_err() && read("\"-5m\"").is_err() && read("-5").is_err());
        assert_eq!(serde_json::to_string(&Time::minutes(5)).unwrap(), "\"300s\"");
    }
}
