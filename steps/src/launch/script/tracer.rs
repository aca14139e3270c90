//! The walk over a launch line that expands its words.

use std::collections::BTreeMap;
use std::ops::Range;

use tree_sitter::Node;

use super::arithmetic;
use super::facts::Deed;
use super::flow::{Bearing, Moment};
use super::parse::Script;
use super::trace::{Piece, Word};

/// Deepest chain of variables that is followed.
const DEEPEST: usize = 12;
/// Most bytes and pieces that one launch line may grow to.
const MOST: (usize, usize) = (64 << 10, 4_000);

/// What a walk yields: text, or a whole element of `"${A[@]}"`.
enum Part {
    Piece(Piece),
    Word(Word),
}

impl Part {
    fn pieces(&mut self) -> &mut [Piece] {
        match self {
            Self::Piece(piece) => std::slice::from_mut(piece),
            Self::Word(word) => &mut word.pieces,
        }
    }
}

/// A walk over one launch line.
pub(super) struct Tracer<'s> {
    script: &'s Script,
    given: &'s BTreeMap<String, String>,
    /// Bytes and pieces that are left.
    budget: (usize, usize),
}

impl<'s> Tracer<'s> {
    /// Variables that the script does not set are taken from `given`.
    pub(super) fn new(script: &'s Script, given: &'s BTreeMap<String, String>) -> Self {
        Self { script, given, budget: MOST }
    }

    /// The words of the command at this place, at this moment.
    pub(super) fn words(&mut self, range: &Range<usize>, at: &Moment) -> Vec<Word> {
        let Some(command) = self.script.of_kind(range, "command") else { return Vec::new() };
        let mut cursor = command.walk();
        let mut nodes: Vec<Node<'s>> = command.child_by_field_name("name").into_iter().collect();
        nodes.extend(command.children_by_field_name("argument", &mut cursor));
        let mut words = Vec::new();
        for node in nodes {
            let node = if node.kind() == "command_name" { node.named_child(0).unwrap_or(node) } else { node };
            self.word(node, at, &[], &mut words);
        }
        words
    }

    /// A word as written, after expansion and splitting.
    fn word(&mut self, node: Node<'s>, at: &Moment, sites: &[Range<usize>], words: &mut Vec<Word>) {
        let mut parts = Vec::new();
        self.node(node, at, sites, true, &mut parts);
        let before = words.len();
        split(parts, words);
        if matches!(node.kind(), "string" | "raw_string") && words.len() == before && !self.has_list(node) {
            words.push(Word::default());
        }
        // What came out as one word is written as one.
        if let [word] = &mut words[before..] {
            word.node = word.node.take().or(Some((sites.len(), node.byte_range())));
        }
    }

    /// `"${A[@]}"`: no element gives no word.
    fn has_list(&self, node: Node<'s>) -> bool {
        self.script.text()[node.byte_range()].contains("[@]")
    }

    fn node(
        &mut self,
        node: Node<'s>,
        at: &Moment,
        sites: &[Range<usize>],
        split: bool,
        out: &mut Vec<Part>,
    ) {
        let text = self.script.text();
        let range = node.byte_range();
        match node.kind() {
            "word" | "number" if node.named_child_count() == 0 => self.literal(range, sites, |_| true, out),
            "raw_string" => self.literal(range.start + 1..range.end - 1, sites, |_| false, out),
            "string_content" => self.quoted(range, sites, out),
            "string" => {
                let mut from = range.start + 1;
                let mut cursor = node.walk();
                for child in node.named_children(&mut cursor) {
                    self.quoted(from..child.start_byte(), sites, out);
                    self.node(child, at, sites, false, out);
                    from = child.end_byte();
                }
                self.quoted(from..range.end.saturating_sub(1), sites, out);
            }
            "concatenation" => {
                let mut cursor = node.walk();
                for child in node.children(&mut cursor) {
                    self.node(child, at, sites, split, out);
                }
            }
            "simple_expansion" => {
                let name = &text[range.start + 1..range.end];
                self.variable(name, false, range, at, sites, split, out);
            }
            "expansion" => self.expansion(node, at, sites, split, out),
            "arithmetic_expansion" => {
                let inner = text[range.clone()].strip_prefix("$((").and_then(|rest| rest.strip_suffix("))"));
                let value = inner.and_then(|inner| {
                    arithmetic::evaluate(inner, &mut |name| self.number(name, at, sites.len()))
                });
                match value {
                    Some(value) => self.computed(value.to_string(), range, sites, out),
                    None => self.unknown(range, sites, false, out),
                }
            }
            _ => self.unknown(range, sites, split, out),
        }
    }

    /// Text in double quotes: a backslash escapes only these (bash manual, "Double Quotes").
    fn quoted(&mut self, range: Range<usize>, sites: &[Range<usize>], out: &mut Vec<Part>) {
        self.literal(range, sites, |c| matches!(c, '$' | '`' | '"' | '\\' | '\n'), out);
    }

    fn literal(
        &mut self,
        range: Range<usize>,
        sites: &[Range<usize>],
        escapes: impl Fn(char) -> bool,
        out: &mut Vec<Part>,
    ) {
        let Some(text) = self.script.text().get(range.clone()) else { return };
        let mut start = 0;
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            if c != '\\' {
                continue;
            }
            let Some((next, escaped)) = chars.next() else { break };
            if !escapes(escaped) {
                continue;
            }
            self.piece(&text[start..at], Some(range.start + start), sites, out);
            start = next;
            if escaped == '\n' {
                start = next + 1;
            } else if escaped == '$' {
                // A dollar that this shell leaves to the next one.
                self.piece("$", None, sites, out);
                start = next + 1;
            }
        }
        self.piece(&text[start..], Some(range.start + start), sites, out);
    }

    fn piece(&mut self, text: &str, start: Option<usize>, sites: &[Range<usize>], out: &mut Vec<Part>) {
        self.push(text, start, sites, (true, false), out);
    }

    fn computed(&mut self, text: String, range: Range<usize>, sites: &[Range<usize>], out: &mut Vec<Part>) {
        let sites: Vec<Range<usize>> = sites.iter().cloned().chain([range]).collect();
        self.push(&text, None, &sites, (true, false), out);
    }

    fn unknown(&mut self, range: Range<usize>, sites: &[Range<usize>], split: bool, out: &mut Vec<Part>) {
        let sites: Vec<Range<usize>> = sites.iter().cloned().chain([range.clone()]).collect();
        let text = self.script.text().get(range).filter(|text| !text.is_empty()).unwrap_or("?");
        self.push(text, None, &sites, (false, split), out);
    }

    fn push(
        &mut self,
        text: &str,
        start: Option<usize>,
        sites: &[Range<usize>],
        (known, split): (bool, bool),
        out: &mut Vec<Part>,
    ) {
        if text.is_empty() {
            return;
        }
        let (bytes, pieces) = self.budget;
        if text.len() > bytes || pieces == 0 {
            self.budget = (0, 0);
            return;
        }
        self.budget = (bytes - text.len(), pieces - 1);
        out.push(Part::Piece(Piece {
            text: text.to_owned(),
            start,
            sites: sites.to_vec(),
            known,
            sure: true,
            split,
        }));
    }

    /// `${A}`, `${A:-default}`, `${A[@]}`.
    fn expansion(
        &mut self,
        node: Node<'s>,
        at: &Moment,
        sites: &[Range<usize>],
        split: bool,
        out: &mut Vec<Part>,
    ) {
        let text = self.script.text();
        let range = node.byte_range();
        let mut cursor = node.walk();
        let children: Vec<Node<'s>> = node.children(&mut cursor).collect();
        match children.as_slice() {
            [_, name, _] if name.kind() == "variable_name" => {
                self.variable(&text[name.byte_range()], false, range, at, sites, split, out);
            }
            [_, list, _] if list.kind() == "subscript" => {
                let inner = &text[list.byte_range()];
                match inner.strip_suffix("[@]").or_else(|| inner.strip_suffix("[*]")) {
                    Some(name) => self.variable(name, true, range, at, sites, split, out),
                    None => self.unknown(range, sites, split, out),
                }
            }
            [_, name, operator, rest @ .., _]
                if name.kind() == "variable_name" && matches!(operator.kind(), ":-" | "-" | ":=" | "=") =>
            {
                let name = &text[name.byte_range()];
                let set = self.value(name, at, sites.len());
                let takes_default = match &set {
                    Some(Some(value)) => value.is_empty() && operator.kind().starts_with(':'),
                    Some(None) => true,
                    None => false,
                };
                match (set, rest) {
                    (None, _) => self.unknown(range, sites, split, out),
                    (Some(_), [only]) if takes_default => {
                        let first = out.len();
                        let inner: Vec<Range<usize>> = sites.iter().cloned().chain([range]).collect();
                        self.node(*only, at, &inner, split, out);
                        mark_split(&mut out[first..], split);
                    }
                    (Some(_), []) if takes_default => {}
                    (Some(_), _) if takes_default => self.unknown(range, sites, split, out),
                    (Some(_), _) => self.variable(name, false, range, at, sites, split, out),
                }
            }
            _ => self.unknown(range, sites, split, out),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one recursive walk")]
    fn variable(
        &mut self,
        name: &str,
        list: bool,
        range: Range<usize>,
        at: &Moment,
        sites: &[Range<usize>],
        split: bool,
        out: &mut Vec<Part>,
    ) {
        let writes = if sites.len() < DEEPEST { self.script.writes(name, at) } else { None };
        let inner: Vec<Range<usize>> = sites.iter().cloned().chain([range.clone()]).collect();
        let Some(writes) = writes else { return self.unknown(range, sites, split, out) };
        if writes.is_empty() {
            return match self.given.get(name) {
                Some(value) => self.computed(value.clone(), range, sites, out),
                // The script's own arguments are as many as there are.
                None => self.unknown(range, sites, split || name == "@", out),
            };
        }
        let all = out.len();
        for (event, moment, bearing) in &writes {
            let first = out.len();
            if let Some(default) = self.script.default(event) {
                // It only assigns where nothing has.
                if out.len() == all {
                    self.node(default, moment, &inner, false, out);
                    mark_split(&mut out[first..], split);
                }
                continue;
            }
            let value = self.script.assignment(event).map(|node| node.child_by_field_name("value"));
            match (value, &event.deed) {
                (_, Deed::Unset) | (Some(None), _) => {}
                (Some(Some(value)), _) if (value.kind() == "array") == list => {
                    if list {
                        self.elements(value, moment, &inner, out);
                    } else {
                        self.node(value, moment, &inner, false, out);
                        mark_split(&mut out[first..], split);
                    }
                }
                _ => self.unknown(range.clone(), sites, split, out),
            }
            if *bearing == Bearing::Possible {
                out[first..].iter_mut().flat_map(Part::pieces).for_each(|piece| piece.sure = false);
            }
        }
    }

    fn elements(&mut self, array: Node<'s>, at: &Moment, sites: &[Range<usize>], out: &mut Vec<Part>) {
        let mut cursor = array.walk();
        for element in array.named_children(&mut cursor).filter(|child| child.kind() != "comment") {
            let mut words = Vec::new();
            self.word(element, at, sites, &mut words);
            out.extend(words.into_iter().map(Part::Word));
        }
    }

    /// The value of a variable: `None` unknown, `Some(None)` not set.
    fn value(&mut self, name: &str, at: &Moment, depth: usize) -> Option<Option<String>> {
        if depth >= DEEPEST {
            return None;
        }
        let writes = self.script.writes(name, at)?;
        if writes.is_empty() {
            return Some(self.given.get(name).cloned());
        }
        if writes.iter().all(|(event, ..)| matches!(event.deed, Deed::Unset)) {
            return Some(None);
        }
        let mut parts = Vec::new();
        let sites = vec![0..0; depth + 1];
        self.variable(name, false, 0..0, at, &sites, false, &mut parts);
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Piece(piece) if piece.known && piece.sure => text.push_str(&piece.text),
                Part::Piece(_) | Part::Word(_) => return None,
            }
        }
        Some(Some(text))
    }

    fn number(&mut self, name: &str, at: &Moment, depth: usize) -> Option<i64> {
        self.value(name, at, depth)??.trim().parse().ok()
    }
}

fn mark_split(parts: &mut [Part], split: bool) {
    parts.iter_mut().flat_map(Part::pieces).for_each(|piece| piece.split = split);
}

/// Makes words of parts: unquoted expansions are split at blanks.
fn split(parts: Vec<Part>, words: &mut Vec<Word>) {
    let mut open: Option<Word> = None;
    for part in parts {
        let piece = match part {
            Part::Word(word) => {
                words.extend(open.take().into_iter().chain([word]));
                continue;
            }
            Part::Piece(piece) => piece,
        };
        if !piece.split || !piece.known {
            open.get_or_insert_default().pieces.push(piece);
            continue;
        }
        let mut from = 0;
        for (at, c) in piece.text.char_indices().chain([(piece.text.len(), ' ')]) {
            if !matches!(c, ' ' | '\t' | '\n') {
                continue;
            }
            if at > from {
                let start = piece.start.map(|start| start + from);
                let text = piece.text[from..at].to_owned();
                open.get_or_insert_default().pieces.push(Piece { text, start, ..piece.clone() });
            }
            if at < piece.text.len() {
                words.extend(open.take());
            }
            from = at + c.len_utf8();
        }
    }
    words.extend(open.take());
    for word in words.iter_mut() {
        // Slurm's own variables and numbers are single words.
        let single = |text: &str| text.contains("SLURM_") || text.starts_with("$((");
        word.wild = matches!(word.pieces.as_slice(), [one] if !one.known && one.split && !single(&one.text));
    }
}
