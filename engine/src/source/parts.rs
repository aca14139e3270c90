//! A large file read in several parts at once.
//!
//! Most of it is one block mapping below a key of the file, `nodes:`. A line of as many spaces as stand before the keys of an
//! open block mapping, and then a word, closes whatever is more indented and goes on with that mapping: what came before cannot
//! change how it is read, but for anchors. So the file is cut before such lines, each part is read as a file of its own, and
//! the entries of all are joined.

use std::ops::Range;

use super::events::{self, Part};
use super::node::{Node, Value, Word};
use crate::spread::side_by_side;

/// The tree of a text, read in about so many parts; `None` where it is not certain that they make up the whole.
pub(super) fn read(text: &str, parts: usize) -> Option<Node> {
    // Marks of documents would end the mapping, and so might ends of lines that are not seen here.
    if parts < 2 || text.contains('\r') || ["\n---", "\n..."].iter().any(|mark| text.contains(mark)) {
        return None;
    }
    let indent = indent(text)?;
    let cuts = cuts(text, indent, parts);
    if cuts.is_empty() {
        return None;
    }
    let bounds = [&[0], &cuts[..], &[text.len()]].concat();
    let (ranges, of) = (bounds.windows(2).map(|bound| bound[0]..bound[1]).collect(), cuts.len() + 1);
    let read = side_by_side(ranges, |at: Range<usize>| {
        let mut tree = events::read(&text[at.clone()], Part { at: at.start, of })?;
        if at.end < text.len() {
            reach(&mut tree, at.end, indent);
        }
        Some(tree)
    });
    let mut read = read.into_iter();
    let mut tree = read.next()??;
    let entries = open_mapping(&mut tree, text, indent)?;
    for part in read {
        let Node { value: Value::Map(more), .. } = part? else { return None };
        entries.extend(more);
    }
    Some(tree)
}

/// The place of a block scalar (`key: |`) ends where the next word begins, which may be in the next part.
fn reach(node: &mut Node, end: usize, indent: usize) {
    match &mut node.value {
        Value::Map(entries) => entries.last_mut().into_iter().for_each(|(_, last)| reach(last, end, indent)),
        Value::Seq(items) => items.last_mut().into_iter().for_each(|last| reach(last, end, indent)),
        Value::Str(_) if node.span.start + node.span.len == end => node.span.len += indent,
        _ => {}
    }
}

/// How far the first line is indented after the last one that is not and begins with a key.
fn indent(text: &str) -> Option<usize> {
    let mut after = None;
    for line in text.lines().rev() {
        let words = line.trim_start_matches(' ');
        match line.len() - words.len() {
            _ if words.trim_start().is_empty() || words.starts_with('#') => {}
            0 => return after.filter(|_| is_key(words)),
            indent => after = Some(indent),
        }
    }
    None
}

/// Whether what begins like this may be a key.
fn is_key(words: &str) -> bool {
    words.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
}

/// Where lines begin that are indented so far and then have a word, about one for each part but the first.
fn cuts(text: &str, indent: usize, parts: usize) -> Vec<usize> {
    let key = |line: &str| {
        let words = line.trim_start_matches(' ');
        line.len() - words.len() == indent && is_key(words)
    };
    let mut cuts: Vec<usize> = Vec::new();
    for part in 1..parts {
        let mut at = (text.len() / parts * part).max(cuts.last().map_or(0, |last| last + 1));
        while let Some(end) = memchr::memchr(b'\n', &text.as_bytes()[at..]) {
            at += end + 1;
            if key(text[at..].split('\n').next().unwrap_or_default()) && !ends_openly(&text[..at]) {
                cuts.push(at);
                break;
            }
        }
    }
    cuts
}

/// Whether a text may end with something that has no value yet: the place of the missing value is where the next word is.
fn ends_openly(text: &str) -> bool {
    let said = |line: &&str| !matches!(line.trim_start().chars().next(), None | Some('#'));
    text.lines().rev().find(said).is_some_and(|line| line.contains(['|', '>', '?']))
}

/// The entries of the block mapping that is still open at the end of a text, whose keys are indented so far.
fn open_mapping<'n>(tree: &'n mut Node, text: &str, indent: usize) -> Option<&'n mut Vec<(Word, Node)>> {
    // The place of a mapping in braces covers them.
    let block = |node: &'n mut Node| match &mut node.value {
        Value::Map(entries) if node.span.len == 0 => Some(entries),
        _ => None,
    };
    let (_, last) = block(tree)?.last_mut()?;
    let entries = block(last)?;
    let (key, _) = entries.last()?;
    let line = text[..key.span.start].rfind('\n').map_or(0, |end| end + 1);
    let before = &text[line..key.span.start];
    (before.len() == indent && before.bytes().all(|byte| byte == b' ')).then_some(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::yaml::whole;

    #[test]
    fn a_runbook_is_cut_and_joined() {
        let nodes: String = (0..100).map(|n| format!("  n{n}: {{ step: \"é {n}\" }}\n    # x\n\n")).collect();
        let text = format!("# a\nrunbook: ü\nvars: {{ a: 1 }}\nnodes:\n{nodes}  end: |\n    z\n");
        let tree = whole(&text).expect("YAML");
        for parts in [2, 3, 8, 50] {
            assert_eq!(cuts(&text, 2, parts).len(), parts - 1);
            assert!(read(&text, parts).as_ref() == Some(&tree), "{parts}");
        }
    }

    #[test]
    fn what_may_not_be_cut_is_not() {
        for text in [
            "a:\n  b: 1\n...\n  c: 2\n",
            "a:\n  b: 1\n---\n  c: 2\n",
            "a: {\n  b: 1 }\n  c: 2\n",
            "a: |\n  b: 1\n  c: 2\n",
            "a: &x\n  b: &y 1\n  c: *y\n",
            "a:\n  b: 'x\n  c: 2'\n",
            "a: x\n  b: 1\n  c: 2\n",
            "a:\n- b: 1\n  c: 2\n",
            "a:\n  b: 1\n  c: 2\nd: 3\ne:\n  f: 4\n",
            "a:\r  b: 1\n  c: 2\n",
        ] {
            assert_eq!(read(text, 1000), None, "{text:?}");
        }
    }

    fn text() -> impl Strategy<Value = String> {
        let words = [
            "a",
            "b",
            "a: 1",
            "b: x",
            "c:",
            "d: 'é",
            "x'",
            "e: \"",
            "\"",
            "f: |",
            "g: >-",
            "h: {",
            "}",
            "i: [1,",
            "]",
            "j: { k: 1 }",
            "- x",
            "- l: 1",
            "? m",
            ": n",
            "# o",
            "...",
            "---",
            "p: &q 1",
            "r: *q",
            "<<: *q",
            "&s t: 1",
            "!u v",
            "w: !x y",
            "z: {{ z }}",
            "%Y",
            "a: b: c",
            "\t",
            "",
            "'q': 1",
            "k: ''",
            "e: |2",
        ];
        let line = (0..5usize, prop::sample::select(words.to_vec())).prop_map(|(indent, word)| {
            let indent = [0, 2, 2, 2, 4][indent];
            format!("{}{word}", " ".repeat(indent))
        });
        prop::collection::vec(line, 0..12).prop_map(|lines| format!("a:\n  b: 1\n{}\n", lines.join("\n")))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]
        #[test]
        fn what_it_reads_is_what_the_whole_language_says(text in text(), parts in 2..40usize) {
            if let Some(tree) = read(&text, parts) {
                prop_assert_eq!(Some(tree), whole(&text).ok());
            }
        }
    }
}
