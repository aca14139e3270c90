//! Times in log lines. Most name no zone, so they compare with each other but only roughly with an absolute time.

use std::cmp::Ordering;

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp, ToSpan};
use regex::{Captures, Regex};

use crate::text::{Pattern, cut, pattern};

/// A time as a line gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogTime {
    civil: DateTime,
    /// Known only where the line names its zone.
    offset: Option<Offset>,
    /// The line tells parts of a second.
    fine: bool,
}

/// The day on which the logs are read, for times without a year.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock {
    today: Option<Date>,
}

impl Clock {
    /// The clock at this time.
    pub(crate) fn at(now: Timestamp) -> Self {
        Self { today: Some(Offset::UTC.to_datetime(now).date()) }
    }

    /// The latest year in which this day is not in the future.
    fn year(self, month: i8, day: i8) -> Option<i16> {
        let today = self.today?;
        // Zones differ.
        let tomorrow = today.checked_add(1.day()).ok()?;
        let this = Date::new(today.year(), month, day).is_ok_and(|date| date <= tomorrow);
        Some(if this { today.year() } else { today.year() - 1 })
    }
}

/// A clock that names no zone may be this far from UTC.
const WIDEST_OFFSET: SignedDuration = SignedDuration::from_hours(14);
/// Characters of a line in which its time is looked for.
const HEAD: usize = 160;

macro_rules! pattern {
    ($name:ident, $($part:expr),+) => {
        static $name: Pattern = Pattern::new(|| pattern(concat!($($part),+)));
    };
}

// ISO 8601, also with a space or, as torchrun does, `_` between; `2026/11/23 07:49:56`.
pattern!(
    ISO,
    r"\b(?P<Y>\d{4})[-/](?P<M>\d\d)[-/](?P<D>\d\d)[T _](?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)",
    r"(?:[.,](?P<f>\d{1,9}))?(?P<z>Z|[+-]\d\d:?\d\d)?"
);
// Month first, as `logging` is set up in Hugging Face's scripts, and with two digits by `rich`.
pattern!(
    AMERICAN,
    r"\b(?P<M>\d\d)/(?P<D>\d\d)/(?P<Y>\d{4}|\d\d)[ _,]{1,2}(?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)(?:[.,](?P<f>\d{1,9}))?"
);
// glog and Python's absl, Kubernetes' klog, PyTorch's C++ (`[E1206 18:44:12.755 File.cpp:607]`) and torchrun since 2.4.
pattern!(
    GLOG,
    r"\b[IWEFCV](?P<M>\d\d)(?P<D>\d\d) (?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)(?:[.,](?P<f>\d{1,9}))?"
);
// vLLM: `INFO 11-23 07:49:56 [core.py:58]`.
pattern!(
    SHORT,
    r"(?:^|[A-Z] |\[)(?P<M>\d\d)-(?P<D>\d\d) (?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)(?:[.,](?P<f>\d{1,9}))?"
);
// ctime(3) and `dmesg -T` (with a year), syslog (without).
pattern!(
    CTIME,
    r"\b(?P<b>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(?P<D>\d{1,2}) (?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)",
    r"(?:\.(?P<f>\d{1,9}))?(?: (?P<Y>20\d\d)\b)?"
);
/// The keys under which structured logs and collectors write it.
static JSON: Pattern = Pattern::new(|| {
    pattern(r#"\\?"(?:@?timestamp|time|ts|asctime|datetime|date)\\?"\s*:\s*\\?"?([0-9][^"\\,}]{7,40})"#)
});

impl LogTime {
    /// The first time in the first characters of a line.
    pub(crate) fn find(line: &str, clock: Clock) -> Option<Self> {
        let head = cut(line, HEAD);
        if !has_time(head.as_bytes()) {
            return None;
        }
        let read = |pattern: &Regex| {
            let found = pattern.captures(head)?;
            Some((found.get(0)?.start(), Self::of(&found, clock)?))
        };
        // Nearly all lines that have a time begin with this one.
        if let Some((_, time)) = read(&ISO).filter(|(at, _)| *at < 8) {
            return Some(time);
        }
        let shapes: [&Pattern; 5] = [&ISO, &AMERICAN, &GLOG, &SHORT, &CTIME];
        shapes.into_iter().filter_map(|shape| read(shape)).min_by_key(|(at, _)| *at).map(|(_, time)| time)
    }

    /// The time that a structured record gives: text, or seconds, milliseconds … since 1970 (torchelastic's `error.json`
    /// has seconds, as a string).
    pub(crate) fn find_in_json(line: &str, clock: Clock) -> Option<Self> {
        if !line.contains("\":") && !line.contains("\" :") {
            return None;
        }
        JSON.captures_iter(line).take(4).find_map(|found| {
            let value = &found[1];
            let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
            match (digits, value[digits..].chars().next()) {
                (10..=19, None | Some('.')) => Self::from_epoch(value),
                _ => Self::find(value, clock),
            }
        })
    }

    /// From seconds since 1970, or from milli-, micro- or nanoseconds, which have more digits.
    fn from_epoch(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = whole.len();
        let number: i128 = whole.parse().ok()?;
        let power = match digits {
            10 => 9,
            13 => 6,
            16 => 3,
            19 => 0,
            _ => return None,
        };
        let nanoseconds = number.checked_mul(10i128.pow(power))?;
        let part = if power == 9 { i128::from(nanos(fraction)) } else { 0 };
        let time = Timestamp::from_nanosecond(nanoseconds + part).ok()?;
        let fine = power < 9 || !fraction.is_empty();
        Some(Self { civil: Offset::UTC.to_datetime(time), offset: Some(Offset::UTC), fine })
    }

    fn of(found: &Captures<'_>, clock: Clock) -> Option<Self> {
        let text = |name: &str| found.name(name).map(|part| part.as_str());
        let small = |name: &str| text(name)?.parse::<i8>().ok();
        let month = match text("b") {
            Some(name) => month(name)?,
            None => small("M")?,
        };
        let day = small("D")?;
        let year = match text("Y") {
            Some(year) if year.len() == 2 => 2000 + year.parse::<i16>().ok()?,
            Some(year) => year.parse().ok()?,
            None => clock.year(month, day)?,
        };
        let fraction = text("f").unwrap_or_default();
        let part = nanos(fraction);
        let civil = DateTime::new(year, month, day, small("h")?, small("m")?, small("s")?, part).ok()?;
        Some(Self { civil, offset: text("z").and_then(zone), fine: !fraction.is_empty() })
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

    /// The order of two times, if they can be compared: both with a zone or both without. Parts of a second count only
    /// where both tell them.
    pub(crate) fn order(&self, other: &Self) -> Option<Ordering> {
        let fine = self.fine && other.fine;
        let whole = |time: &Self| if fine { time.civil } else { time.seconds() };
        let (a, b) = (whole(self), whole(other));
        match (self.offset, other.offset) {
            (None, None) => Some(a.cmp(&b)),
            (Some(one), Some(two)) => Some(one.to_timestamp(a).ok()?.cmp(&two.to_timestamp(b).ok()?)),
            _ => None,
        }
    }

    fn seconds(&self) -> DateTime {
        self.civil.with().subsec_nanosecond(0).build().unwrap_or(self.civil)
    }
}

/// Whether there is `12:34:56` in it: most lines have no time, and this is faster than patterns.
fn has_time(text: &[u8]) -> bool {
    memchr::memchr_iter(b':', text).any(|at| {
        let digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
        at >= 2
            && digit(at - 2)
            && digit(at - 1)
            && digit(at + 1)
            && digit(at + 2)
            && text.get(at + 3) == Some(&b':')
    })
}

fn month(name: &str) -> Option<i8> {
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    (1..).zip(names).find(|(_, known)| *known == name).map(|(number, _)| number)
}

/// Digits behind a decimal point, as nanoseconds.
fn nanos(digits: &str) -> i32 {
    format!("{digits:0<9.9}").parse().unwrap_or(0)
}

fn zone(text: &str) -> Option<Offset> {
    if text == "Z" {
        return Some(Offset::UTC);
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes: i32 = digits.get(2..)?.parse().ok()?;
    let seconds = (hours * 60 + minutes) * 60;
    Offset::from_seconds(if text.starts_with('-') { -seconds } else { seconds }).ok()
}

/// ISO 8601 in whole seconds; with an offset only if the line named one.
impl std::fmt::Display for LogTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let civil = self.seconds();
        match self.offset {
            Some(Offset::UTC) => write!(f, "{civil}Z"),
            Some(offset) => write!(f, "{civil}{offset}"),
            None => write!(f, "{civil}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Clock::at("2026-11-24T03:00:00Z".parse().unwrap())
    }

    fn find(line: &str) -> Option<LogTime> {
        LogTime::find(line, clock()).or_else(|| LogTime::find_in_json(line, clock()))
    }

    fn shown(line: &str) -> Option<String> {
        find(line).map(|time| time.to_string())
    }

    #[test]
    fn the_usual_shapes() {
        for line in [
            "[2026-11-23 07:49:56,123] [ERROR] x",
            "  time      : 2026-11-23_07:49:56",
            "2026/11/23 07:49:56 x",
            "11/23/2026 07:49:56 - INFO",
            "[11/23/26 07:49:56] INFO     x",
            "[rank4]:[E1123 07:49:56.755 ProcessGroupNCCL.cpp:607] x",
            "E1123 07:49:56.000000 4711 torch/distributed/elastic/multiprocessing/api.py:826] failed (exitcode: 1)",
            "ERROR 11-23 07:49:56 [core.py:58] EngineCore failed",
            "[Mon Nov 23 07:49:56 2026] Memory cgroup out of memory: Killed process 1",
            "Nov 23 07:49:56 gpu-21 kernel: oom-kill:constraint=CONSTRAINT_MEMCG",
        ] {
            assert_eq!(shown(line).as_deref(), Some("2026-11-23T07:49:56"), "{line}");
        }
        assert_eq!(shown("2026-11-23T07:49:56.5Z x"), Some("2026-11-23T07:49:56Z".to_owned()));
        assert_eq!(shown("2026-11-23T07:49:56+01:00 x"), Some("2026-11-23T07:49:56+01".to_owned()));
        assert_eq!(shown("2026-13-23 07:49:56"), None);
        assert_eq!(shown("no time"), None);
        assert_eq!(LogTime::find("E1123 07:49:56.000000 4711 api.py:826] x", Clock::default()), None);
    }

    #[test]
    fn a_day_that_is_still_to_come_was_last_year() {
        assert_eq!(shown("E1231 23:00:00.5 1 a.py:1] x"), Some("2025-12-31T23:00:00".to_owned()));
        assert_eq!(shown("E1124 23:00:00.5 1 a.py:1] x"), Some("2026-11-24T23:00:00".to_owned()));
    }

    #[test]
    fn records_tell_it_at_their_end() {
        let long = "x".repeat(500);
        for (value, expected) in [
            (r#""2026-11-23T07:49:56.5Z""#, "2026-11-23T07:49:56Z"),
            (r#""1795420196""#, "2026-11-23T07:49:56Z"),
            ("1795420196.25", "2026-11-23T07:49:56Z"),
            ("1795420196250", "2026-11-23T07:49:56Z"),
            (r#""2026-11-23 07:49:56,123""#, "2026-11-23T07:49:56"),
        ] {
            let line = format!(r#"{{"log":"{long}\n","stream":"stderr","time": {value}}}"#);
            assert_eq!(shown(&line).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(shown(r#"{"time": 12.5, "ts": "soon"}"#), None);
    }

    #[test]
    fn parts_of_a_second_order() {
        let order = |a: &str, b: &str| find(a).unwrap().order(&find(b).unwrap()).unwrap();
        assert_eq!(order("2026-11-23 07:49:56,123", "2026-11-23 07:49:56.200"), Ordering::Less);
        assert_eq!(order("2026-11-23 07:49:56,123", "2026-11-23 07:49:56"), Ordering::Equal);
        assert_eq!(order("2026-11-23 07:49:56,9", "2026-11-23 07:49:57"), Ordering::Less);
    }

    #[test]
    fn a_zoneless_time_is_older_only_beyond_all_zones() {
        let from: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let before = |line: &str| find(line).unwrap().surely_before(from);
        assert!(before("2026-11-22 07:00:00"));
        assert!(!before("2026-11-23 01:00:00"));
        assert!(before("2026-11-23T11:59:59Z"));
        assert!(!before("2026-11-23T11:59:59-01:00"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[0-9TZ:/_ +.-]{0,40}", json in "[\"tims:{} 0-9.E]{0,60}", words in "\\PC{0,60}") {
            for text in [text, json, words] {
                let _ = shown(&text);
            }
        }
    }
}
