//! The stretch of a log that one message may fill.

/// A line with a trigger in it, and the lines of the same source that follow it.
#[derive(Debug, Clone)]
pub(crate) struct Passage {
    /// The line with the trigger, cleaned and without its prefixes.
    pub(crate) line: String,
    /// That line and the following ones, joined by line feeds.
    pub(crate) text: String,
    /// All of it without white space.
    pub(crate) squeezed: String,
    /// Bytes of it that come from the first line.
    pub(crate) first: usize,
}

impl Passage {
    /// From the line with the trigger and what follows it.
    pub(crate) fn new(line: &str, following: &[&str]) -> Self {
        let mut text = line.to_owned();
        for next in following {
            text.push('\n');
            text.push_str(next);
        }
        let squeezed = squeeze(&text);
        Self { line: line.to_owned(), text, squeezed, first: squeeze(line).len() }
    }
}

/// The text without white space, mark-up and JSON escapes.
///
/// Messages reach a log wrapped in mid-word, with lost or doubled spaces, in boxes, bold or escaped. All of that is
/// white space or one of a few marks, none of which a message needs to be understood.
fn squeeze(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                if chars.peek().is_some_and(|next| matches!(next, 'n' | 'r' | 't' | '"' | '\\' | '\'')) {
                    chars.next();
                }
            }
            '*' | '`' | '│' | '┃' | '|' => {}
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squeezing_undoes_wrapping_and_marks() {
        assert_eq!(squeeze("of which **1.27\n GiB** is fr\nee."), "ofwhich1.27GiBisfree.");
        assert_eq!(squeeze(r#"\"a\nb\" c:\dir"#), r#"abc:dir"#);
    }
}
