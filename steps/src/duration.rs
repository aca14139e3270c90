//! A length of time as people write it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A length of time as people write it: `30s`, `5m`, `1h 30m`, `250ms`, or a whole number of seconds where a template or
/// YAML delivers one. At most a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Timespan(pub Duration);

const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

impl Timespan {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many minutes.
    pub const fn minutes(minutes: u64) -> Self {
        Self::seconds(minutes * 60)
    }

    fn bounded(self) -> Result<Self, String> {
        if self.0 > LONGEST { Err(format!("{self} is more than a year")) } else { Ok(self) }
    }
}

impl FromStr for Timespan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown: String = text.chars().take(40).collect();
        let parsed: SignedDuration = text
            .parse()
            .map_err(|_| format!("{shown:?} is no length of time; write it like 30s, 5m or 1h 30m"))?;
        let duration = Duration::try_from(parsed)
            .map_err(|_| format!("{shown:?} is negative; a length of time is not"))?;
        Self(duration).bounded()
    }
}

impl fmt::Display for Timespan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // At most a year if parsed, so the conversion holds; one made from a longer `Duration` shows as the longest.
        write!(f, "{:#}", SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX))
    }
}

impl Serialize for Timespan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timespan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl Visitor<'_> for Form {
            type Value = Timespan;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time such as 30s, 5m or 2h, or a whole number of seconds")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Timespan, E> {
                Timespan::seconds(seconds).bounded().map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timespan, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

impl JsonSchema for Timespan {
    fn schema_name() -> Cow<'static, str> {
        "Timespan".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "description": "A length of time: `30s`, `5m`, `1h 30m`, or a whole number of seconds.",
            "examples": ["30s", "5m", "2h"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Option<Duration> {
        text.parse().ok().map(|Timespan(duration)| duration)
    }

    #[test]
    fn reads_what_people_write() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("2h", 7200), ("1h30m", 5400), ("1h 30m", 5400)] {
            assert_eq!(parsed(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parsed("250ms"), Some(Duration::from_millis(250)));
        for text in ["", "5", "-5m", "soon", "5 parsecs", "9000000h"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn takes_numbers_of_seconds_from_templates() {
        let read = |text: &str| serde_json::from_str(text).ok().map(|Timespan(duration)| duration.as_secs());
        assert_eq!([read("45"), read("\"0s\""), read("\"10m\"")], [Some(45), Some(0), Some(600)]);
        for wrong in ["-5", "4.5", "\"45\"", "\"soon\"", "9000000000", "18446744073709551615", "null"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(serde_json::to_string(&Timespan::minutes(5)).unwrap(), "\"5m\"");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanoseconds in 0..LONGEST.as_nanos() as u64) {
            let span = Timespan(Duration::from_nanos(nanoseconds));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }
    }
}
