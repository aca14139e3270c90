//! Text of a kernel log: when each line was written, and the NVIDIA errors in it.

use jiff::tz::Offset;
use jiff::{Timestamp, civil};

use super::xid::{Report, report};

/// A node's clock, for logs that tell neither year nor offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    now: civil::DateTime,
    offset: Offset,
}

impl Clock {
    /// Reads what `date +%Y-%m-%dT%H:%M:%S%z` printed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let parsed = jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%z", text.trim()).ok()?;
        Some(Self { now: parsed.to_datetime().ok()?, offset: parsed.offset()? })
    }

    fn place(self, local: civil::DateTime) -> Option<Timestamp> {
        self.offset.to_timestamp(local).ok()
    }
}

/// When a line was written: the forms of `journalctl -o short-iso`, `dmesg --time-format iso`, `dmesg -T`,
/// and of syslog files (ISO 8601, or `Nov 24 03:12:44` of the year that lies before the clock's now).
pub(crate) fn written(line: &str, clock: Option<Clock>) -> Option<Timestamp> {
    let (first, _) = line.split_once(' ')?;
    if first.len() > 10 && first.as_bytes()[0].is_ascii_digit() {
        return first.parse().ok();
    }
    if let Some(stamp) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(stamp, _)| stamp)
    {
        let local = civil::DateTime::strptime("%a %b %d %H:%M:%S %Y", stamp.trim()).ok()?;
        return clock?.place(local);
    }
    let clock = clock?;
    let stamp = line.get(..15)?;
    let in_year = |year: i16| civil::DateTime::strptime("%Y %b %d %H:%M:%S", format!("{year} {stamp}")).ok();
    let this_year = clock.now.year();
    let tomorrow = clock.now.saturating_add(jiff::Span::new().days(1));
    match in_year(this_year) {
        Some(local) if local <= tomorrow => clock.place(local),
        _ => clock.place(in_year(this_year.checked_sub(1)?)?),
    }
}

/// One NVIDIA error with its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// When the line was written; `None` if that cannot be read.
    pub(crate) at: Option<Timestamp>,
    /// The error.
    pub(crate) report: Report,
}

/// What was found in the text of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// NVIDIA errors in the order of the lines.
    pub(crate) events: Vec<Event>,
    /// Time of the earliest line: how far back the log reaches.
    pub(crate) earliest: Option<Timestamp>,
    /// Lines with text.
    pub(crate) lines: usize,
}

/// Searches a log. In a `syslog` file only lines of the kernel are believed: any user can write others there.
pub(crate) fn search(text: &str, clock: Option<Clock>, syslog: bool) -> Found {
    let mut found = Found::default();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("-- ")) {
        found.lines += 1;
        if found.earliest.is_none() {
            found.earliest = written(line, clock);
        }
        if syslog && !from_kernel(line) {
            continue;
        }
        if let Some(report) = report(line) {
            found.events.push(Event { at: written(line, clock), report });
        }
    }
    found
}

/// The tag of a syslog line is the first word that ends in a colon after the host's name.
fn from_kernel(line: &str) -> bool {
    line.split_ascii_whitespace().take(6).find(|word| word.ends_with(':')).is_some_and(|tag| tag == "kernel:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const XID: &str =
        "NVRM: Xid (PCI:0000:05:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.";

    fn at(line: &str, clock: Option<&str>) -> String {
        let clock = clock.and_then(Clock::parse);
        written(line, clock).map_or("-".to_owned(), |at| at.to_string())
    }

    #[test]
    fn places_the_lines_of_every_source() {
        assert_eq!(at("2026-03-05T11:00:00+0000 gpu-21 kernel: x", None), "2026-03-05T11:00:00Z");
        assert_eq!(at("2026-03-05T11:00:00+01:00 gpu-21 kernel: x", None), "2026-03-05T10:00:00Z");
        assert_eq!(at("2026-03-05T11:00:00,123456+00:00 x", None), "2026-03-05T11:00:00.123456Z");
        let clock = Some("2026-03-05T13:00:00+0100");
        assert_eq!(at("[Thu Mar  5 12:00:00 2026] x", clock), "2026-03-05T11:00:00Z");
        assert_eq!(at("Mar  5 12:00:00 gpu-21 kernel: x", clock), "2026-03-05T11:00:00Z");
        // New Year lies between: December is last year's.
        assert_eq!(at("Dec 31 23:00:00 gpu-21 kernel: x", clock), "2025-12-31T22:00:00Z");
    }

    #[test]
    fn an_unplaceable_line_has_no_time() {
        assert_eq!(at("[Thu Mar  5 12:00:00 2026] x", None), "-");
        assert_eq!(at("[   12.345678] x", Some("2026-03-05T13:00:00+0100")), "-");
        assert_eq!(at("Mar  5 12:00:00 gpu-21 kernel: x", None), "-");
    }

    #[test]
    fn finds_the_errors_and_how_far_back_it_reaches() {
        let text = format!(
            "-- Boot 1 --\n2026-03-05T10:00:00+0000 n kernel: Linux version 6\n2026-03-05T11:00:00+0000 n kernel: {XID}\n-- No entries --\n"
        );
        let found = search(&text, None, false);
        assert_eq!((found.events.len(), found.lines), (1, 2));
        assert_eq!(found.earliest.unwrap().to_string(), "2026-03-05T10:00:00Z");
    }

    #[test]
    fn in_a_syslog_file_only_the_kernel_is_believed() {
        let clock = Clock::parse("2026-03-05T13:00:00+0000");
        let text = format!(
            "Mar  5 12:00:00 gpu-21 eve[12]: kernel: {XID}\nMar  5 12:00:01 gpu-21 kernel: [ 12.3] {XID}\n2026-03-05T12:00:02+00:00 gpu-21 kernel: {XID}\n"
        );
        assert_eq!(search(&text, clock, true).events.len(), 2);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let text = String::from_utf8_lossy(&bytes);
            let clock = Clock::parse("2026-03-05T13:00:00+0100");
            let _ = (search(&text, clock, true), search(&text, None, false), Clock::parse(&text));
        }
    }
}
