//! Times in log lines. Most name no zone, so they compare with each other but only roughly with an absolute time.

use std::cmp::Ordering;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use regex::Captures;

use crate::text::{Pattern, pattern};

/// A time as a line gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogTime {
    civil: DateTime,
    /// Known only where the line names its zone.
    offset: Option<Offset>,
}

/// A clock that names no zone may be this far from UTC.
const WIDEST_OFFSET: SignedDuration = SignedDuration::from_hours(14);

impl LogTime {
    /// The first time in the first characters of a line.
    ///
    /// Known: ISO 8601 (also with a space or, as torchrun does, `_` between), `2026/11/23 07:49:56`, and
    /// `11/23/2026 07:49:56` (month first, as `logging` is set up in Hugging Face's scripts).
    pub(crate) fn find(line: &str) -> Option<Self> {
        static SHAPE: Pattern = Pattern::new(|| {
            pattern(concat!(
                r"\b(?:(\d{4})[-/](\d\d)[-/](\d\d)|(\d\d)/(\d\d)/(\d{4}))[T _](\d\d):(\d\d):(\d\d)",
                r"(?:[.,]\d{1,9})?(Z|[+-]\d\d:?\d\d)?",
            ))
        });
        let found = SHAPE.captures(crate::text::cut(line, 160))?;
        let number = |group: usize| found.get(group).and_then(|m| m.as_str().parse::<i16>().ok());
        let (year, month, day) = match number(1) {
            Some(year) => (year, number(2)?, number(3)?),
            None => (number(6)?, number(4)?, number(5)?),
        };
        let small = |value: i16| i8::try_from(value).ok();
        let civil = DateTime::new(
            year,
            small(month)?,
            small(day)?,
            small(number(7)?)?,
            small(number(8)?)?,
            small(number(9)?)?,
            0,
        )
        .ok()?;
        Some(Self { civil, offset: zone(&found) })
    }

    /// From seconds since 1970, as torchelastic's `error.json` has them.
    pub(crate) fn from_epoch(seconds: i64) -> Option<Self> {
        let time = Timestamp::from_second(seconds).ok()?;
        Some(Self { civil: Offset::UTC.to_datetime(time), offset: Some(Offset::UTC) })
    }

    /// Whether it is surely before `time`: a time without a zone must be older by more than zones differ.
    pub(crate) fn surely_before(&self, time: Timestamp) -> bool {
        match self.offset {
            Some(offset) => offset.to_timestamp(self.civil).is_ok_and(|own| own < time),
            None => Offset::UTC
                .to_timestamp(self.civil)
                .and_then(|own| own.checked_add(WIDEST_OFFSET))
                .is_ok_and(|latest| latest < time),
        }
    }

    /// The order of two times, if they can be compared: both with a zone or both without.
    pub(crate) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self.offset, other.offset) {
            (None, None) => Some(self.civil.cmp(&other.civil)),
            (Some(a), Some(b)) => {
                Some(a.to_timestamp(self.civil).ok()?.cmp(&b.to_timestamp(other.civil).ok()?))
            }
            _ => None,
        }
    }
}

fn zone(found: &Captures<'_>) -> Option<Offset> {
    let text = found.get(10)?.as_str();
    if text == "Z" {
        return Some(Offset::UTC);
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes: i32 = digits.get(2..)?.parse().ok()?;
    let seconds = (hours * 60 + minutes) * 60;
    Offset::from_seconds(if text.starts_with('-') { -seconds } else { seconds }).ok()
}

/// ISO 8601; with an offset only if the line named one.
impl std::fmt::Display for LogTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.offset {
            Some(Offset::UTC) => write!(f, "{}Z", self.civil),
            Some(offset) => write!(f, "{}{offset}", self.civil),
            None => write!(f, "{}", self.civil),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Option<String> {
        LogTime::find(line).map(|time| time.to_string())
    }

    #[test]
    fn the_usual_shapes() {
        let same = Some("2026-11-23T07:49:56".to_owned());
        assert_eq!(shown("[2026-11-23 07:49:56,123] [ERROR] x"), same);
        assert_eq!(shown("  time      : 2026-11-23_07:49:56"), same);
        assert_eq!(shown("2026/11/23 07:49:56 x"), same);
        assert_eq!(shown("11/23/2026 07:49:56 - INFO"), same);
        assert_eq!(shown("2026-11-23T07:49:56.5Z x"), Some("2026-11-23T07:49:56Z".to_owned()));
        assert_eq!(shown("2026-11-23T07:49:56+01:00 x"), Some("2026-11-23T07:49:56+01".to_owned()));
        assert_eq!(shown("2026-13-23 07:49:56"), None);
        assert_eq!(shown("no time"), None);
    }

    #[test]
    fn a_zoneless_time_is_older_only_beyond_all_zones() {
        let from: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        assert!(LogTime::find("2026-11-22 07:00:00").unwrap().surely_before(from));
        assert!(!LogTime::find("2026-11-23 01:00:00").unwrap().surely_before(from));
        assert!(LogTime::find("2026-11-23T11:59:59Z").unwrap().surely_before(from));
        assert!(!LogTime::find("2026-11-23T11:59:59-01:00").unwrap().surely_before(from));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[0-9TZ:/_ +.-]{0,40}") {
            let _ = shown(&text);
        }
    }
}
