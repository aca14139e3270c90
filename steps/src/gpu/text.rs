//! Making foreign text safe to show.

/// The text on one line, without control characters, cut to `limit` characters (`…` marks the cut).
///
/// Lines of a kernel log, process names and file names are written by others; they may hold escape sequences
/// that would reach a terminal.
pub(crate) fn clean(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let visible = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut kept = text.trim().chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| visible(*c));
    for _ in 0..limit {
        match kept.next() {
            Some(c) => out.push(c),
            None => return out,
        }
    }
    if kept.next().is_some() {
        out.pop();
        out.push('…');
    }
    out
}

/// Bytes in GiB with one decimal, as people say sizes of GPU memory.
pub(crate) fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64)
}

/// `1 line`, `3 lines`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    format!(
        "{n} {noun}{}",
        if n == 1 {
            ""
        } else if noun.ends_with('s') {
            "es"
        } else {
            "s"
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_escapes_and_cuts() {
        assert_eq!(clean(" a\x1b[31mb\tc\u{202e}\n", 20), "a[31mb c");
        assert_eq!(clean("abcdef", 4), "abc…");
        assert_eq!(clean("abcd", 4), "abcd");
        assert_eq!(gib(85_899_345_920), "80.0 GiB");
        assert_eq!(
            (count(1, "process"), count(2, "process"), count(0, "line")),
            ("1 process".into(), "2 processes".into(), "0 lines".into())
        );
    }
}
