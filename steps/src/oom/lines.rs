//! A window of bytes as lines with their printers and times.

use super::logtime::LogTime;
use super::prefix::{Prefixes, Who};
use super::scan::{Window, trigger};
use crate::text::visible;

/// One line, or one part of a line between carriage returns.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Its number in the file, from 1.
    pub(crate) number: u64,
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

/// Longer lines are cut to the surroundings of their trigger.
const LONGEST: usize = 32 << 10;

/// Splits a window. `prefixes` learns whether the file carries labels.
pub(crate) fn lines(window: &Window, prefixes: &mut Prefixes) -> Vec<Line> {
    let mut parts: Vec<(u64, usize, String)> = Vec::new();
    let mut offset = 0;
    for (index, line) in window.bytes.split(|byte| *byte == b'\n').enumerate() {
        let number = window.first_line + index as u64;
        let end = offset + line.len() + 1;
        for part in line.split(|byte| *byte == b'\r').filter(|part| !part.is_empty()) {
            parts.push((number, end, visible(bounded(part))));
        }
        offset = end;
    }
    if !prefixes.labelled {
        prefixes.labelled = Prefixes::are_labels(parts.iter().map(|(_, _, text)| text.as_str()));
    }
    parts
        .into_iter()
        .map(|(number, end, text)| {
            let (who, rest) = prefixes.split(&text);
            Line {
                number,
                who,
                time: LogTime::find(rest).or_else(|| epoch(rest)),
                fresh: end > window.fresh,
                prefix: text[..text.len() - rest.len()].to_owned(),
                text: rest.to_owned(),
            }
        })
        .collect()
}

/// The part of a line that can matter.
fn bounded(line: &[u8]) -> &[u8] {
    if line.len() <= LONGEST {
        return line;
    }
    let at = trigger(&String::from_utf8_lossy(line)).unwrap_or(0).min(line.len());
    let start = at.saturating_sub(LONGEST / 4);
    &line[start..line.len().min(start + LONGEST)]
}

/// The time in torchelastic's `error.json`: seconds, as a string.
fn epoch(line: &str) -> Option<LogTime> {
    let at = line.find("\"timestamp\"")?;
    let digits: String = line[at + 11..]
        .chars()
        .skip_while(|c| matches!(c, ' ' | ':' | '"' | '\\'))
        .take_while(char::is_ascii_digit)
        .take(11)
        .collect();
    LogTime::from_epoch(digits.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carriage_returns_split_and_keep_the_number() {
        let window = Window { first_line: 7, bytes: b"a\r\n 1%\r 2%\rboom\nlast".to_vec(), fresh: 3 };
        let all = lines(&window, &mut Prefixes::default());
        let short: Vec<_> = all.iter().map(|line| (line.number, line.text.as_str(), line.fresh)).collect();
        assert_eq!(
            short,
            [(7, "a", false), (8, " 1%", true), (8, " 2%", true), (8, "boom", true), (9, "last", true)]
        );
    }

    #[test]
    fn a_huge_line_keeps_its_message() {
        let mut line = vec![b'x'; 3 << 20];
        line.extend_from_slice(b" RuntimeError: CUDA out of memory. Tried to allocate 1.00 GiB");
        line.resize(4 << 20, 0xff);
        let all = lines(&Window { first_line: 1, bytes: line, fresh: 0 }, &mut Prefixes::default());
        assert!(all[0].text.contains("Tried to allocate 1.00 GiB") && all[0].text.len() < 200_000);
    }

    #[test]
    fn the_time_of_an_error_file_is_read() {
        let json =
            r#"{"message": {"message": "OutOfMemoryError: x", "extraInfo": {"timestamp": "1795420196"}}}"#;
        let window = Window { first_line: 1, bytes: json.as_bytes().to_vec(), fresh: 0 };
        let all = lines(&window, &mut Prefixes::default());
        assert_eq!(all[0].time.unwrap().to_string(), "2026-11-23T07:49:56Z");
    }
}
