//! The YAML that runbooks are written in, read straight from the parser's events: a third of the time that the whole
//! language takes.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span as Place, StrInput};

use super::node::{Node, Value, Word};
use super::yaml::{MAX_DEPTH, MAX_NODES, alone};
use crate::diagnostic::Span;

/// Nodes that aliases may repeat.
const MAX_REPEATED: usize = 10_000;

/// Which part of a file a text is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Where it begins, in bytes.
    pub(super) at: usize,
    /// How many parts the file is read in: each has its share of what a file may have.
    pub(super) of: usize,
}

impl Part {
    /// All of it.
    pub(super) const WHOLE: Self = Self { at: 0, of: 1 };
}

/// The tree of one document, the file of its places not yet known; `None` for whatever is wrong or unusual (merges, tags,
/// keys that are no text), which is for [`super::yaml`] to read and to explain.
pub(super) fn read(text: &str, part: Part) -> Option<Node> {
    let options = granit_parser::options! { emit_comments: false };
    let parser = Parser::new_from_str_with_options(text, options);
    let (items, entries) = (Vec::new(), Vec::new());
    let (left, repeated) = (MAX_NODES / part.of, MAX_REPEATED / part.of);
    let mut reader = Reader { parser, at: part.at, items, entries, anchors: HashMap::new(), left, repeated };
    let (Event::StreamStart, _) = reader.next()? else { return None };
    let (Event::DocumentStart(..), _) = reader.next()? else { return None };
    let (event, place) = reader.next()?;
    let tree = reader.node(event, &place, 0)?;
    let (Event::DocumentEnd, _) = reader.next()? else { return None };
    let (Event::StreamEnd, _) = reader.next()? else { return None };
    Some(tree)
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    /// Where the text begins in its file, in bytes.
    at: usize,
    /// What open lists hold so far, the innermost last; closed ones take as much memory as they need.
    items: Vec<Node>,
    /// The same of maps.
    entries: Vec<(Word, Node)>,
    anchors: HashMap<usize, Node>,
    /// Keys, values and items that may still come.
    left: usize,
    /// Those that may still be repeated.
    repeated: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Option<(Event<'t>, Place)> {
        self.parser.next_event()?.ok()
    }

    fn node(&mut self, event: Event<'t>, place: &Place, depth: usize) -> Option<Node> {
        self.left = self.left.checked_sub(1)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, None) => (scalar(text, style)?, anchor),
            Event::SequenceStart(_, anchor, None) if depth < MAX_DEPTH => (self.items(depth + 1)?, anchor),
            Event::MappingStart(_, anchor, None) if depth < MAX_DEPTH => (self.entries(depth + 1)?, anchor),
            Event::Alias(anchor) => return self.repeat(anchor, depth),
            _ => return None,
        };
        let node = Node { span: self.span(place)?, value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Some(node)
    }

    fn repeat(&mut self, anchor: usize, depth: usize) -> Option<Node> {
        let node = self.anchors.get(&anchor)?;
        self.repeated = self.repeated.checked_sub(node.size())?;
        (depth + node.depth() <= MAX_DEPTH).then(|| node.clone())
    }

    fn items(&mut self, depth: usize) -> Option<Value> {
        let first = self.items.len();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => break,
                (event, place) => {
                    let item = self.node(event, &place, depth)?;
                    self.items.push(item);
                }
            }
        }
        Some(Value::Seq(self.items.split_off(first)))
    }

    fn entries(&mut self, depth: usize) -> Option<Value> {
        let first = self.entries.len();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => break,
                (Event::Scalar(text, style, 0, None), place) => {
                    let (span, Value::Str(text)) = (self.span(&place)?, scalar(text, style)?) else {
                        return None;
                    };
                    Word { text, span }
                }
                _ => return None,
            };
            if key.text == "<<" {
                return None;
            }
            self.left = self.left.checked_sub(1)?;
            let (event, place) = self.next()?;
            let value = self.node(event, &place, depth)?;
            self.entries.push((key, value));
        }
        Some(Value::Map(self.entries.split_off(first)))
    }

    fn span(&self, place: &Place) -> Option<Span> {
        let bytes = place.byte_range()?;
        Some(Span { file: 0, start: self.at + bytes.start, len: bytes.len() })
    }
}

/// What a scalar means.
fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Option<Value> {
    if style == ScalarStyle::Plain {
        if text.is_empty() {
            return Some(Value::Null);
        }
        if is_short_number(&text) {
            return text.parse::<u64>().ok().map(|number| Value::Number(number.into()));
        }
        if may_be_other_than_text(&text) {
            return alone(&text);
        }
    }
    Some(Value::Str(text.into()))
}

/// Whether plain text is a number as most are written: a few digits, the first of them no zero.
fn is_short_number(text: &str) -> bool {
    text.len() < 10 && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether plain text may be a number, a truth value or nothing, all of which are one word.
fn may_be_other_than_text(text: &str) -> bool {
    // `0x1F`, `1e-3`, `-.inf`, but not `5s`.
    let numeric = |byte: u8| byte.is_ascii_hexdigit() || b"+-._xoinXOIN".contains(&byte);
    (text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first))
        && text.bytes().all(numeric)
        // `...` and `---` alone in a document are marks of its ends.
        && text.contains(|any: char| any.is_ascii_alphanumeric()))
        || ["~", "null", "true", "false", "inf", "infinity", "nan"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::yaml::whole;

    fn text() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            "[a-c]",
            "[0-9]{1,3}",
            "[-+.0-9_:eExo~<>é/*&! ]{1,5}",
            "'[a ü\n]{0,3}'",
            "\"[a\\\\nü ]{0,4}\"",
            prop::sample::select(vec![
                "true",
                "True",
                "no",
                "null",
                "NULL",
                "~",
                ".inf",
                "-.INF",
                "inf",
                "nan",
                ".nan",
                "infinity",
                "1e3",
                "0x1F",
                "0o17",
                "0755",
                "1_000",
                "...",
                "---",
                "1.5",
                "5s",
                "<<",
                "&x a",
                "*x",
                "!t v",
                "|\n  t\n",
                ">\n  t\n  u\n",
                "\u{feff}",
                "[1, a]",
                "{a: 1, b: }",
                "[]",
                "{}",
                "{{ x }}",
                "[a: 1]",
                "# c",
                "%Y",
                "18446744073709551616",
                "-9223372036854775808",
            ])
            .prop_map(str::to_owned),
        ];
        let line = (
            prop::sample::select(vec!["", "  ", "    ", "- ", "  - ", "? ", "--- "]),
            word.clone(),
            prop::option::of(word),
        )
            .prop_map(|(before, key, value)| match value {
                Some(value) => format!("{before}{key}: {value}"),
                None => format!("{before}{key}"),
            });
        (any::<bool>(), prop::collection::vec(line, 0..8), prop::sample::select(vec!["\n", "\r\n"])).prop_map(
            |(marked, lines, end)| format!("{}{}", if marked { "\u{feff}" } else { "" }, lines.join(end)),
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]
        #[test]
        fn what_it_reads_is_what_the_whole_language_says(text in text()) {
            if let Some(tree) = read(&text, Part::WHOLE) {
                prop_assert_eq!(Some(tree), whole(&text).ok());
            }
        }
    }

    #[test]
    fn it_reads_what_runbooks_are_written_in() {
        for text in [
            include_str!("../../../runbooks/training-oom/runbook.yaml"),
            "a: { b: [1, 2.5, true, ~, 'x', \"y\"] }\nc: |\n  z\n",
        ] {
            let tree = whole(text).expect("YAML");
            assert_eq!(read(text, Part::WHOLE), Some(tree));
        }
    }
}
