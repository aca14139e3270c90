//! From a place in a scalar's value to the place in the file.

use std::ops::Range;

use crate::diagnostic::Span;

/// The place in the file of `range` (bytes of `value`, the scalar at `scalar`).
///
/// Value and source are walked side by side: white space in one matches white space in the other (indentation and
/// folding), `''` and the simple escapes of double quotes match what they stand for. Where the two cannot be matched
/// the scalar itself is the answer.
pub(crate) fn place_in_scalar(text: &str, scalar: &Span, value: &str, range: Range<usize>) -> Span {
    let Some(source) = text.get(scalar.start..scalar.start + scalar.len) else {
        return scalar.clone();
    };
    let range = range.start.min(value.len())..range.end.min(value.len());
    // A block scalar's text may itself begin with a quote, so the text as it stands is tried first.
    let quote = source.chars().next().filter(|first| matches!(first, '\'' | '"'));
    let found = align(source, value, &range, None)
        .or_else(|| quote.and_then(|quote| align(source, value, &range, Some(quote))));
    match found {
        Some(found) => {
            Span { file: scalar.file, start: scalar.start + found.start, len: found.end - found.start }
        }
        None => scalar.clone(),
    }
}

fn align(source: &str, value: &str, range: &Range<usize>, quote: Option<char>) -> Option<Range<usize>> {
    let mut at = quote.map_or(0, char::len_utf8);
    // Most scalars stand as they are.
    if source.get(at..source.len() - at) == Some(value) && value.get(range.clone()).is_some() {
        return Some(at + range.start..at + range.end);
    }
    let (mut start, mut end) = (None, None);
    for (offset, wanted) in value.char_indices() {
        let rest = source.get(at..)?;
        let (skipped, taken) = step(rest, wanted, quote)?;
        if offset >= range.start && start.is_none() {
            start = Some(at + skipped);
        }
        at += skipped + taken;
        if offset < range.end {
            end = Some(at);
        }
    }
    let start = start.unwrap_or(at);
    Some(start..end.unwrap_or(start).max(start))
}

/// How many bytes of `rest` to skip and how many then stand for `wanted`.
fn step(rest: &str, wanted: char, quote: Option<char>) -> Option<(usize, usize)> {
    let first = rest.chars().next();
    if wanted.is_whitespace() {
        return Some(match first {
            Some('\\') if quote == Some('"') => (0, escape(rest, wanted)?),
            // Folding: several line ends may stand for one, or none may be left at the end.
            Some(first) if first.is_whitespace() => (0, first.len_utf8()),
            _ => (0, 0),
        });
    }
    let space = rest.len() - rest.trim_start().len();
    let rest = &rest[space..];
    match (quote, rest.chars().next()?) {
        (Some('\''), '\'') => (wanted == '\'' && rest.starts_with("''")).then_some((space, 2)),
        (Some('"'), '\\') => {
            // A backslash at the end of a line joins the lines.
            if let Some(joined) = rest.strip_prefix("\\\r\n").or_else(|| rest.strip_prefix("\\\n")) {
                let skipped = space + rest.len() - joined.trim_start().len();
                return joined.trim_start().starts_with(wanted).then_some((skipped, wanted.len_utf8()));
            }
            Some((space, escape(rest, wanted)?))
        }
        (_, found) => (found == wanted).then_some((space, wanted.len_utf8())),
    }
}

/// The length of the escape at the start of `rest` if it stands for `wanted`.
fn escape(rest: &str, wanted: char) -> Option<usize> {
    let stands_for = match rest.chars().nth(1)? {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'e' => '\u{1b}',
        '0' => '\0',
        same @ ('"' | '\\' | '/' | ' ') => same,
        _ => return None,
    };
    (stands_for == wanted).then_some(2)
}

#[cfg(test)]
mod tests {
    use super::super::node::{Node, Value};
    use super::*;
    use crate::check::Findings;
    use crate::diagnostic::SourceFile;

    /// Finds `HERE` in the value of key `a` and cuts the file at the mapped place.
    fn cut(text: &str) -> String {
        let file = SourceFile { name: "t.yaml".to_owned(), text: text.to_owned() };
        let node = super::super::parse(&file, 0, &mut Findings::default()).unwrap();
        let Value::Map(entries) = node.value else { panic!("no map") };
        let Node { span, value: Value::Str(value) } = &entries[0].1 else { panic!("no text") };
        let at = value.find("HERE").unwrap();
        let found = place_in_scalar(text, span, value, at..at + 4);
        text[found.start..found.start + found.len].to_owned()
    }

    #[test]
    fn every_style_of_scalar_is_mapped() {
        for text in [
            "a: x HERE y\n",
            "a: ü x\n  folded HERE y\n",
            "a: 'it''s HERE'\n",
            "a: \"tab\\tand \\\"quote\\\" HERE\"\n",
            "a: \"joined \\\n   lines HERE\"\n",
            "a: \"first\n\n  second HERE\"\n",
            "a: |\n  one\n    two HERE\n  three\n",
            "a: |-\r\n  \"one\"\r\n  é HERE\r\n",
            "a: >\n  one\n  two\n\n  three HERE\n",
            "a: >-\n  'quoted HERE'\n",
            "a: \"'HERE'\"\n",
            "{a: HERE}\n",
        ] {
            assert_eq!(cut(text), "HERE", "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_mapped_points_at_the_scalar() {
        assert_eq!(cut("a: \"\\u00e9 HERE\"\n"), "\"\\u00e9 HERE\"");
    }

    proptest::proptest! {
        #[test]
        fn places_lie_in_the_file(text in "[ab\\\\\"'é \n]{0,20}", value in "[ab\\\\\"'é \n]{0,20}", start in 0usize..20, len in 0usize..5) {
            let scalar = Span { file: 0, start: 0, len: text.len() };
            let found = place_in_scalar(&text, &scalar, &value, start..start + len);
            proptest::prop_assert!(text.get(found.start..found.start + found.len).is_some());
        }
    }
}
