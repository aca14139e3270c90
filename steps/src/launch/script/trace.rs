//! The words of a launch line after expansion, each byte with the place in the script that it comes from.
//!
//! Launch lines are put together from variables, arrays and strings (`torchrun "${ARGS[@]}" $OPTIONS`); who wants to edit a
//! flag must know where its value was really written. What only running the script tells stays in the words as it is
//! written, and is marked.

use std::collections::BTreeMap;
use std::ops::Range;

use tree_sitter::Node;

use super::arithmetic;
use super::facts::{Call, Deed, Event};
use super::flow::{Bearing, Moment, moments};
use super::lexer::lex;
use super::parse::{Launch, Script};

/// Text of one origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::launch) struct Piece {
    /// The text.
    pub(in crate::launch) text: String,
    /// Where it stands in the script, letter by letter; `None` if it is computed or escaped.
    pub(in crate::launch) start: Option<usize>,
    /// The expansions that it came through, the one on the launch line first.
    pub(in crate::launch) sites: Vec<Range<usize>>,
    /// The text is what the shell will see; otherwise it is an expansion as written.
    pub(in crate::launch) known: bool,
    /// It is there whatever branches the script takes.
    pub(in crate::launch) sure: bool,
    /// The shell splits it at blanks.
    pub(super) split: bool,
}

/// A word that a launched program gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::launch) struct Word {
    /// What it is made of.
    pub(in crate::launch) pieces: Vec<Piece>,
    /// Where it is written as a word of its own: through how many expansions, and the bytes.
    pub(in crate::launch) node: Option<(usize, Range<usize>)>,
    /// It may turn out as none or several words.
    pub(in crate::launch) wild: bool,
}

/// A launch line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::launch) struct Line {
    /// Where it begins, counted from 1.
    pub(in crate::launch) line: usize,
    /// Its words.
    pub(in crate::launch) words: Vec<Word>,
    /// The directory in which it is executed, from the root; `None` if that cannot be told.
    pub(in crate::launch) dir: Option<String>,
}

impl Word {
    /// Its text; unknown parts as they are written.
    pub(in crate::launch) fn text(&self) -> String {
        self.pieces.iter().map(|piece| piece.text.as_str()).collect()
    }

    /// All of it is known.
    pub(in crate::launch) fn known(&self) -> bool {
        self.pieces.iter().all(|piece| piece.known)
    }

    /// It is there whatever branches the script takes.
    pub(in crate::launch) fn sure(&self) -> bool {
        self.pieces.iter().all(|piece| piece.sure)
    }

    /// Where the last `length` bytes of it are written, if they are written in one place.
    pub(in crate::launch) fn written(&self, length: usize) -> Option<Range<usize>> {
        let mut left = length;
        let mut range: Option<Range<usize>> = None;
        for piece in self.pieces.iter().rev() {
            if left == 0 {
                break;
            }
            let start = piece.start?;
            let taken = left.min(piece.text.len());
            let part = start + piece.text.len() - taken..start + piece.text.len();
            range = match range {
                None => Some(part),
                Some(after) if part.end == after.start => Some(part.start..after.end),
                Some(_) => return None,
            };
            left -= taken;
        }
        range.filter(|_| left == 0)
    }

    /// Through how many expansions its first letter came.
    pub(in crate::launch) fn level(&self) -> usize {
        self.pieces.first().map_or(0, |piece| piece.sites.len())
    }
}

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

impl Script {
    /// The launch lines, with variables that the script does not set taken from `given`; `PWD` is where it is started.
    pub(in crate::launch) fn lines(&self, given: &BTreeMap<String, String>) -> Vec<Line> {
        let line = |launch: &Launch| {
            let mut words = Tracer { script: self, given, budget: MOST }.words(&launch.range, &launch.moment);
            lex(&mut words);
            Line { line: self.line(launch.range.start), words, dir: self.directory(launch, given) }
        };
        self.launches().iter().map(line).collect()
    }

    /// The directory at a launch, as `cd` makes it.
    fn directory(&self, launch: &Launch, given: &BTreeMap<String, String>) -> Option<String> {
        let mut turns = Vec::new();
        let moves =
            |call: &&Call| matches!(call.words.first().map(String::as_str), Some("cd" | "pushd" | "popd"));
        for call in self.facts.calls.iter().filter(moves) {
            for moment in moments(&self.facts, &call.place)? {
                match moment.bearing(&launch.moment) {
                    Bearing::None => {}
                    Bearing::Possible => return None,
                    Bearing::Certain => turns.push((moment, call)),
                }
            }
        }
        turns.sort_by(|a, b| a.0.order.cmp(&b.0.order));
        let mut dir = given.get("PWD").cloned();
        for (moment, call) in turns {
            let words = Tracer { script: self, given, budget: MOST }.words(&call.range, &moment);
            let [verb, to] = words.as_slice() else { return None };
            if verb.text() == "popd" || !to.known() || to.text().starts_with(['~', '-']) {
                return None;
            }
            dir = join(dir.as_deref(), &to.text());
        }
        dir
    }

    /// The writes of a variable that matter at a moment: the last that surely starts it anew, and what may follow.
    /// `None` where that cannot be told.
    fn writes(&self, name: &str, at: &Moment) -> Option<Vec<(&Event, Moment, Bearing)>> {
        let mut all = Vec::new();
        for event in self.facts.events.iter() {
            if event.name != name || event.prefix || matches!(event.deed, Deed::Export(_)) {
                continue;
            }
            for moment in moments(&self.facts, &event.place)? {
                let bearing = self.bearing(event, &moment, at);
                if bearing == Bearing::Possible && moment.order >= at.order {
                    return None;
                }
                if bearing != Bearing::None {
                    all.push((event, moment, bearing));
                }
            }
        }
        all.sort_by(|a, b| a.1.order.cmp(&b.1.order));
        let anew = |event: &Event| !self.appends(event) && self.default(event).is_none();
        let fresh = all
            .iter()
            .rposition(|(event, _, bearing)| *bearing == Bearing::Certain && anew(event))
            .unwrap_or(0);
        let all = all.split_off(fresh);
        // A branch that may start it anew leaves two values.
        let doubtful = all.iter().any(|(event, _, bearing)| *bearing == Bearing::Possible && anew(event));
        (!doubtful).then_some(all)
    }

    /// Whether it is `A+=…`.
    fn appends(&self, event: &Event) -> bool {
        self.assignment(event).is_some_and(|node| node.child(1).is_some_and(|sign| sign.kind() == "+="))
    }

    fn assignment(&self, event: &Event) -> Option<Node<'_>> {
        self.of_kind(&event.whole, "variable_assignment")
    }

    /// The default that `${A:=default}` assigns where nothing has.
    fn default(&self, event: &Event) -> Option<Node<'_>> {
        let node = self.of_kind(&event.whole, "expansion")?;
        node.child(u32::try_from(node.child_count().checked_sub(2)?).ok()?)
    }

    /// The node of a kind that covers exactly this range.
    fn of_kind(&self, range: &Range<usize>, kind: &str) -> Option<Node<'_>> {
        let mut node = self.node(range).filter(|node| node.byte_range() == *range)?;
        while node.kind() != kind {
            node = node.parent().filter(|parent| parent.byte_range() == *range)?;
        }
        Some(node)
    }
}

struct Tracer<'s> {
    script: &'s Script,
    given: &'s BTreeMap<String, String>,
    /// Bytes and pieces that are left.
    budget: (usize, usize),
}

impl<'s> Tracer<'s> {
    fn words(&mut self, range: &Range<usize>, at: &Moment) -> Vec<Word> {
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

/// A path seen from a directory; `None` if the directory is needed and not known.
pub(in crate::launch) fn join(dir: Option<&str>, path: &str) -> Option<String> {
    let whole = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{}/{path}", dir?),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
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
