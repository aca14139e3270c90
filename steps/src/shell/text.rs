//! Text from elsewhere, made fit for a line that a person reads.

/// The first `limit` characters of a text without control characters; line breaks become blanks.
pub(crate) fn plain(text: &str, limit: usize) -> String {
    let mut line = String::new();
    let shown = text.trim().chars().filter_map(|c| match c {
        '\n' | '\r' | '\t' => Some(' '),
        // Beside terminal escapes: characters that reorder what stands around them.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
        c if c.is_control() => None,
        c => Some(c),
    });
    for (count, c) in shown.enumerate() {
        if count == limit {
            line.push('…');
            break;
        }
        line.push(c);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(plain("a\nb\x1b[31mc\u{202e}d\u{9b}", 9), "a b[31mcd");
        assert_eq!(plain("abcdef", 3), "abc…");
    }
}
