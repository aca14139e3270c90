//! A window of bytes as lines with their printers and times.

use super::logtime::{Clock, LogTime};
use super::prefix::{Prefixes, Who};
use super::scan::Window;
use super::triggers::trigger;
use crate::text::visible;

/// One line, or one part of a line between carriage returns or escaped line feeds.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Offset in the file at which the whole line begins, or this piece of a very long one.
    pub(crate) offset: u64,
    /// Cleaned, without prefixes.
    pub(crate) text: String,
    /// Who printed it, as far as its prefixes say.
    pub(crate) who: Who,
    pub(crate) time: Option<LogTime>,
    /// No earlier window showed it.
    pub(crate) fresh: bool,
    /// The prefixes as printed, for what they tell of the version.
    pub(crate) prefix: String,
}

/// Of longer lines only the surroundings of their triggers are kept, in pieces of at most this many bytes.
const LONGEST: usize = 32 << 10;

/// Splits a window. `prefixes` learns whether the file carries labels.
pub(crate) fn lines(window: &Window, prefixes: &mut Prefixes, clock: Clock) -> Vec<Line> {
    let mut parts: Vec<Part> = Vec::new();
    let mut offset = 0;
    for line in window.bytes.split(|byte| *byte == b'\n') {
        let end = offset + line.len() + 1;
        for part in line.split(|byte| *byte == b'\r').filter(|part| !part.is_empty()) {
            for (at, piece) in pieces(part) {
                let text = visible(piece);
                let begin = offset + at;
                let end = if at == 0 { end } else { begin + piece.len() };
                parts.push(Part { offset: window.offset + begin as u64, fresh: end > window.fresh, text });
            }
        }
        offset = end;
    }
    if !prefixes.labelled {
        prefixes.labelled = Prefixes::are_labels(parts.iter().map(|part| part.text.as_str()));
    }
    parts.iter().flat_map(|part| part.lines(prefixes, clock)).collect()
}

/// What stands between two line ends.
struct Part {
    offset: u64,
    fresh: bool,
    text: String,
}

impl Part {
    /// As the program printed it: where a collector of logs has put several lines into one JSON string, those.
    fn lines(&self, prefixes: &Prefixes, clock: Clock) -> Vec<Line> {
        let (who, rest) = prefixes.split(&self.text);
        let prefix = &self.text[..self.text.len() - rest.len()];
        let line = |who: Who, text: &str, time, prefix: &str| Line {
            offset: self.offset,
            fresh: self.fresh,
            who,
            time,
            prefix: prefix.to_owned(),
            text: text.to_owned(),
        };
        let time = LogTime::find(rest, clock).or_else(|| LogTime::find_in_json(rest, clock));
        if !rest.contains("\\n") {
            return vec![line(who, rest, time, prefix)];
        }
        let inner = |(at, text): (usize, &str)| {
            if at == 0 {
                return line(who.clone(), text, time, prefix);
            }
            let (mut own, text_rest) = prefixes.split(text);
            own.fill(&who);
            let time = LogTime::find(text_rest, clock).or(time);
            line(own, text_rest, time, &text[..text.len() - text_rest.len()])
        };
        rest.split("\\n").enumerate().map(inner).collect()
    }
}

/// The parts of a line that can matter, with their offsets in it: the whole line if it is not very long; else its
/// beginning and the surroundings of its triggers.
fn pieces(line: &[u8]) -> Vec<(usize, &[u8])> {
    if line.len() <= LONGEST {
        return vec![(0, line)];
    }
    let first = trigger(line).map_or(LONGEST, |at| at.saturating_sub(LONGEST / 4).clamp(256, LONGEST));
    let mut pieces = vec![(0, &line[..first])];
    let mut from = first;
    while let Some(at) = trigger(&line[from..]) {
        let start = from.max((from + at).saturating_sub(LONGEST / 4));
        let end = line.len().min(start + LONGEST);
        pieces.push((start, &line[start..end]));
        from = end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(bytes: &[u8], fresh: usize) -> Vec<Line> {
        let window = Window { offset: 70, bytes: bytes.to_vec(), fresh };
        lines(&window, &mut Prefixes::default(), Clock::default())
    }

    #[test]
    fn carriage_returns_split_and_keep_the_place() {
        let all = split(b"a\r\n 1%\r 2%\rboom\nlast", 3);
        let short: Vec<_> = all.iter().map(|line| (line.offset, line.text.as_str(), line.fresh)).collect();
        assert_eq!(
            short,
            [(70, "a", false), (73, " 1%", true), (73, " 2%", true), (73, "boom", true), (86, "last", true)]
        );
    }

    #[test]
    fn a_huge_line_keeps_all_its_messages() {
        let mut line = vec![0xff; 3 << 20];
        line.extend_from_slice(b" SIGKILL ");
        line.resize(4 << 20, b'x');
        line.extend_from_slice(b" RuntimeError: CUDA out of memory. Tried to allocate 1.00 GiB");
        line.resize(5 << 20, 0xff);
        let all = split(&line, 0);
        assert!(all.iter().all(|line| line.text.len() < 200_000));
        let found = |words: &str| all.iter().filter(|line| line.text.contains(words)).count();
        assert_eq!((found("SIGKILL"), found("Tried to allocate 1.00 GiB")), (1, 1));
    }

    #[test]
    fn the_time_of_an_error_file_is_read() {
        let json =
            r#"{"message": {"message": "OutOfMemoryError: x", "extraInfo": {"timestamp": "1795420196"}}}"#;
        assert_eq!(split(json.as_bytes(), 0)[0].time.unwrap().to_string(), "2026-11-23T07:49:56Z");
    }

    #[test]
    fn lines_in_a_json_string_are_lines() {
        let json = br#"{"log":"[rank3]: Traceback\n[rank3]:   File \"t.py\"\n2026-11-23 07:00:01 boom\n","time":"2026-11-23T07:49:56.5Z"}"#;
        let all = split(json, 0);
        let short: Vec<_> = all.iter().map(|line| (line.text.as_str(), line.who.rank)).collect();
        assert_eq!(short[1..3], [("  File \\\"t.py\\\"", Some(3)), ("2026-11-23 07:00:01 boom", Some(3))]);
        assert_eq!(all[1].time.unwrap().to_string(), "2026-11-23T07:49:56Z");
        assert_eq!(all[2].time.unwrap().to_string(), "2026-11-23T07:00:01");
    }
}
