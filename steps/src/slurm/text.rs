//! Foreign text made fit for one line on a terminal.

use jiff::Timestamp;

/// Characters that a foreign text may have in a line for people.
const LINE: usize = 200;

/// One bounded line without control characters.
pub(crate) fn clean(text: &str) -> String {
    let words: Vec<&str> = text.split(char::is_control).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    let line = line.trim();
    match line.char_indices().nth(LINE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Names in a row; the first eight, and how many more.
pub(crate) fn names(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| clean(name)).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `1 node`, `2 nodes`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Seconds as `45 s`, `12 min` or `3 h 20 min`.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A value as Slurm prints it, unless it is one of Slurm's words for "nothing there".
pub(crate) fn known(value: &str) -> Option<&str> {
    let value = value.trim();
    let nothing = ["", "(null)", "N/A", "None", "Unknown", "None assigned", "UNKNOWN"].contains(&value);
    (!nothing).then_some(value)
}

/// A time as Slurm prints it under `SLURM_TIME_FORMAT=%s TZ=UTC`: seconds since 1970, or, where a release does not
/// heed the format, `2026-11-24T02:04:35` in UTC.
pub(crate) fn time(value: &str) -> Option<Timestamp> {
    let value = known(value)?;
    if let Ok(seconds) = value.parse::<i64>() {
        return Timestamp::from_second(seconds).ok().filter(|_| seconds > 0);
    }
    let local: jiff::civil::DateTime = value.parse().ok()?;
    jiff::tz::Offset::UTC.to_timestamp(local).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_a_line() {
        assert_eq!(clean("a\u{1b}[31mb\nc\r"), "a [31mb c");
        assert_eq!(clean(&"x".repeat(500)).chars().count(), 201);
    }

    #[test]
    fn times_are_read_in_both_forms() {
        let expected: Timestamp = "2026-11-24T02:04:35Z".parse().unwrap();
        assert_eq!(time("1795485875"), Some(expected));
        assert_eq!(time("2026-11-24T02:04:35"), Some(expected));
        for nothing in ["Unknown", "N/A", "None", "", "0", "yesterday"] {
            assert_eq!(time(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let nodes: Vec<String> = (1..=10).map(|n| format!("n{n}")).collect();
        assert_eq!(names(&nodes), "n1, n2, n3, n4, n5, n6, n7, n8 and 2 more");
        assert_eq!(names(&nodes[..2]), "n1, n2");
    }

    #[test]
    fn spans_have_units() {
        assert_eq!([span(45), span(600), span(12_000)], ["45 s", "10 min", "3 h 20 min"]);
    }
}
