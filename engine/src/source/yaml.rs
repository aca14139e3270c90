//! YAML text → [`Node`]: what is plain by its events, everything else by one recursive visitor over the parser's spans.

use std::fmt;

use hashbrown::HashMap;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_yaml::options::DuplicateKeyPolicy;
use serde_yaml::{Location, Options, Spanned};

use super::events::{self, Part};
use super::node::{Node, Value, Word};
use super::parts;
use crate::check::Findings;
use crate::check::codes;
use crate::diagnostic::{SourceFile, Span};
use crate::spread;

/// Nesting of maps and lists. A runbook needs about ten; each level costs tens of kilobytes of stack in a debug build.
pub(super) const MAX_DEPTH: usize = 24;
/// Keys, values and items in one file, what aliases repeat included.
pub(super) const MAX_NODES: usize = 1_000_000;

/// Bytes of a text that are worth a thread, which takes a megabyte of memory, too.
const PART: usize = 512 << 10;

/// Reads one file. What is wrong goes to `findings`; `None` if there is no tree at all.
pub(crate) fn parse(file: &SourceFile, index: usize, findings: &mut Findings) -> Option<Node> {
    match plain(&file.text).map_or_else(|| whole(&file.text), Ok) {
        Ok(mut tree) => {
            settle(&mut tree, index, findings);
            Some(tree)
        }
        Err(error) => {
            report(&error, &file.text, index, findings);
            None
        }
    }
}

/// The tree of a text in which nothing is unusual, the file of its places not yet known.
fn plain(text: &str) -> Option<Node> {
    parts::read(text, spread::parts(text.len(), PART)).or_else(|| events::read(text, Part::WHOLE))
}

/// The tree of any YAML, the file of its places not yet known.
pub(super) fn whole(text: &str) -> Result<Node, serde_yaml::Error> {
    serde_yaml::from_str_with_options(text, options())
}

/// What a text means that stands alone.
pub(super) fn alone(text: &str) -> Option<Value> {
    serde_yaml::from_str_with_options(text, options()).ok()
}

/// Words and numbers keep their spelling wherever YAML 1.1 would have bent them: `yes` and `on` are words, `123_4`
/// (a task of a job array) and `0755` are text.
fn options() -> Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
            max_documents: 2,
            max_aliases: 1_000,
            max_anchors: 1_000,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 16,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        emit_comments: false,
        with_snippet: false,
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The parser's places are large: each is made small before the next is read.
        let read = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { span: span(read.defined), value: read.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Str(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Str(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        items.shrink_to_fit();
        Ok(Value::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        let mut bare = false;
        while let Some((key, node)) = map.next_entry::<Spanned<Key>, Node>()? {
            match key.value {
                Key::Text(text) => entries.push((Word { text: text.into(), span: span(key.defined) }, node)),
                Key::Complex => bare = true,
            }
        }
        entries.shrink_to_fit();
        Ok(if bare { Value::BareTemplate } else { Value::Map(entries) })
    }
}

enum Key {
    Text(String),
    /// A map or a list.
    Complex,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Value::deserialize(deserializer)? {
            Value::Str(text) => Self::Text(text.into()),
            Value::Null => Self::Text("null".to_owned()),
            Value::Bool(value) => Self::Text(value.to_string()),
            Value::Number(value) => Self::Text(value.to_string()),
            Value::Seq(_) | Value::Map(_) | Value::BareTemplate => Self::Complex,
        })
    }
}

/// The place in a file that is not yet known.
fn span(location: Location) -> Span {
    let span = location.span();
    let byte = |value: Option<u64>| value.and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    Span { file: 0, start: byte(span.byte_offset()), len: byte(span.byte_len()) }
}

/// Tells every place its file, and reports what a tree of ours cannot hold.
fn settle(node: &mut Node, file: usize, findings: &mut Findings) {
    node.span.file = file;
    match &mut node.value {
        Value::Seq(items) => items.iter_mut().for_each(|item| settle(item, file, findings)),
        Value::Map(entries) => {
            unique(entries, file, findings);
            entries.iter_mut().for_each(|(_, value)| settle(value, file, findings));
        }
        Value::BareTemplate => {
            findings
                .error(codes::YAML_BARE_TEMPLATE, "this is a template without quotes", node.span.clone())
                .label("YAML reads `{{` as the start of a map")
                .help("Write it in quotes: \"{{ … }}\".");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Str(_) => {}
    }
}

/// Keeps the first of several entries of one key, and reports the others.
fn unique(entries: &mut Vec<(Word, Node)>, file: usize, findings: &mut Findings) {
    entries.iter_mut().for_each(|(key, _)| key.span.file = file);
    for (at, before) in repeated(entries).into_iter().rev() {
        let (key, _) = entries.remove(at);
        findings
            .error(codes::YAML_DUPLICATE_KEY, format!("`{}` is written twice", key.text), key.span)
            .label("again here")
            .related(entries[before].0.span.clone(), "first here")
            .help("Keep one of the two. Neither wins silently.");
    }
}

/// The places of keys that were written before, each with that of the first.
fn repeated(entries: &[(Word, Node)]) -> Vec<(usize, usize)> {
    // Most maps are so small that looking through them takes less time than a table.
    let few = entries.len() <= 8;
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(if few { 0 } else { entries.len() });
    let mut again = Vec::new();
    for (at, (key, _)) in entries.iter().enumerate() {
        let before = if few {
            entries[..at].iter().position(|(other, _)| other.text == key.text).unwrap_or(at)
        } else {
            *first.entry(&key.text).or_insert(at)
        };
        if before != at {
            again.push((at, before));
        }
    }
    again
}

fn report(error: &serde_yaml::Error, text: &str, file: usize, findings: &mut Findings) {
    use serde_yaml::Error;
    let start = error.location().map_or(0, |location| byte_at(text, location));
    let len = text.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    let at = Span { file, start, len };
    let reason = reason(error);
    match error.without_snippet() {
        // The parser has a limit of its own below ours, and wraps what happens inside of an alias.
        error if matches!(error, Error::Budget { .. }) || reason.contains("limit exceeded") => {
            findings
                .error(codes::YAML_LIMITS, "this YAML is nested too deeply or repeats itself too often", at)
                .label("refused here")
                .help(format!(
                    "A runbook nests at most {MAX_DEPTH} levels and repeats little by aliases. \
                     If this file came from somebody else, do not trust it."
                ));
        }
        Error::MultipleDocuments { .. } => {
            findings
                .error(codes::YAML_SYNTAX, "a runbook is one YAML document, and here a second one begins", at)
                .label("second document")
                .help("Remove the `---`, or put the second runbook into a file of its own.");
        }
        Error::UnsupportedTag { .. } => {
            findings
                .error(codes::YAML_SYNTAX, format!("YAML tags have no meaning here: {reason}"), at)
                .label("tagged value")
                .help("Remove the tag.");
        }
        _ => {
            let line = line_around(text, start);
            let help = if reason.contains("tabs") {
                "Indent with spaces."
            } else if line.contains("{{") {
                "A value that contains `{{` must be in quotes: \"{{ … }}\"."
            } else if reason.contains("mapping values") {
                "Text that contains `: ` must be in quotes; otherwise check the indentation of this line."
            } else {
                "Check quotes, brackets and indentation here and on the line before."
            };
            findings
                .error(codes::YAML_SYNTAX, format!("this is not YAML: {reason}"), at)
                .label("the parser stopped here")
                .help(help);
        }
    }
}

/// The parser's sentence without the place, which we show ourselves.
fn reason(error: &serde_yaml::Error) -> String {
    let text = error.without_snippet().to_string();
    match text.find(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

fn line_around(text: &str, at: usize) -> &str {
    let at = at.min(text.len());
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
    &text[start..end]
}

/// The byte of a place: the parser's own where it has one, else found by line and column (which count from 1, in
/// characters).
fn byte_at(text: &str, location: Location) -> usize {
    if let Some(at) = location.span().byte_offset().and_then(|at| usize::try_from(at).ok()) {
        return floor_char_boundary(text, at);
    }
    let line = usize::try_from(location.line()).unwrap_or(1).saturating_sub(1);
    let column = usize::try_from(location.column()).unwrap_or(1).saturating_sub(1);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = &text[start..];
    start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Node>, Findings) {
        let mut findings = Findings::default();
        let file = SourceFile { name: "t.yaml".to_owned(), text: text.to_owned() };
        (parse(&file, 0, &mut findings), findings)
    }

    fn codes_of(text: &str) -> Vec<&'static str> {
        read(text).1.into_sorted().into_iter().map(|found| found.code).collect()
    }

    /// Every scalar and key of the tree with the text at its place.
    fn places(text: &str) -> Vec<(String, &str)> {
        fn walk<'t>(node: &Node, text: &'t str, out: &mut Vec<(String, &'t str)>) {
            let cut = |span: &Span| &text[span.start..span.start + span.len];
            match &node.value {
                Value::Map(entries) => {
                    for (key, value) in entries {
                        out.push((key.text.to_string(), cut(&key.span)));
                        walk(value, text, out);
                    }
                }
                Value::Seq(items) => items.iter().for_each(|item| walk(item, text, out)),
                _ => out.push((node.to_json().to_string(), cut(&node.span))),
            }
        }
        let mut out = Vec::new();
        walk(&read(text).0.unwrap(), text, &mut out);
        out
    }

    #[test]
    fn places_are_bytes_also_after_umlauts_marks_and_crlf() {
        let text = "\u{feff}größe: \"ü\u{1f525}\"\r\nb: é\r\nc: [1, 'zwei']\r\n";
        let expected = [
            ("größe", "größe"),
            ("\"ü\u{1f525}\"", "\"ü\u{1f525}\""),
            ("b", "b"),
            ("\"é\"", "é"),
            ("c", "c"),
            ("1", "1"),
            ("\"zwei\"", "'zwei'"),
        ];
        let expected: Vec<_> = expected.iter().map(|(value, place)| ((*value).to_owned(), *place)).collect();
        assert_eq!(places(text), expected);
    }

    #[test]
    fn words_and_job_ids_keep_their_spelling() {
        let (node, findings) = read("yes: no\non: off\njob: 123_4\nmode: 0755\nn: 12\nx: ~\n");
        assert!(findings.is_empty());
        assert_eq!(
            node.unwrap().to_json().to_string(),
            r#"{"yes":"no","on":"off","job":"123_4","mode":"0755","n":12,"x":null}"#
        );
    }

    #[test]
    fn both_places_of_a_duplicate_key_are_told_and_the_first_stays() {
        let (node, findings) = read("a: 1\nb: 2\na: 3\n");
        let found = findings.into_sorted();
        assert_eq!(found[0].code, codes::YAML_DUPLICATE_KEY);
        assert_eq!((found[0].at.start, found[0].related[0].0.start), (10, 0));
        assert_eq!(node.unwrap().to_json().to_string(), r#"{"a":1,"b":2}"#);
    }

    #[test]
    fn aliases_and_merges_point_to_what_was_written() {
        let text = "base: &b {k: v}\nuse: {<<: *b, z: 1}\n";
        let places = places(text);
        assert_eq!(places.iter().filter(|(value, place)| value == "\"v\"" && *place == "v").count(), 2);
    }

    #[test]
    fn a_template_without_quotes_is_called_that() {
        assert_eq!(codes_of("a: {{ x }}\nb: 1\n"), [codes::YAML_BARE_TEMPLATE]);
    }

    #[test]
    fn what_would_exhaust_memory_or_stack_is_refused() {
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
            + &["ba", "cb", "dc", "ed", "fe", "gf"]
                .map(|pair| {
                    let (new, old) = pair.split_at(1);
                    format!(
                        "{new}: &{new} [*{old},*{old},*{old},*{old},*{old},*{old},*{old},*{old},*{old}]\n"
                    )
                })
                .concat();
        assert_eq!(codes_of(&bomb), [codes::YAML_LIMITS]);
        let indented: String = (0..2000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        for deep in ["[".repeat(10_000), "{a: ".repeat(10_000), indented] {
            // The main thread's stack is larger; tests and workers have two megabytes.
            let codes = std::thread::Builder::new()
                .stack_size(2 << 20)
                .spawn(move || codes_of(&deep))
                .unwrap()
                .join()
                .unwrap();
            assert_eq!(codes.len(), 1);
        }
        let full = format!("{}1{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert_eq!(codes_of(&full), [] as [&str; 0]);
    }

    #[test]
    fn syntax_errors_have_their_byte() {
        let (node, findings) = read("ä: ö\nb: c: d\n");
        assert!(node.is_none());
        let found = findings.into_sorted();
        assert_eq!((found[0].code, found[0].at.start, found[0].at.len), (codes::YAML_SYNTAX, 11, 1));
        for broken in [
            "a: [1\nb: 2",
            "a: \"x\nb: 1\n",
            "---\na: 1\n---\nb: 2\n",
            "a: !x y\n",
            "a: \u{7}\n",
            "a: .nan\n",
        ] {
            assert_eq!(codes_of(broken), [codes::YAML_SYNTAX], "{broken:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-a:\\[\\]{}'\"|>&*!#% \n\r\té~,?0-9]{0,60}") {
            let (_, findings) = read(&text);
            for found in findings.into_sorted() {
                proptest::prop_assert!(text.get(found.at.start..found.at.start + found.at.len).is_some());
            }
        }
    }
}
