//! The words of a launch line after expansion, each byte with the place in the script that it comes from.
//!
//! Launch lines are put together from variables, arrays and strings (`torchrun "${ARGS[@]}" $OPTIONS`); who wants to edit a
//! flag must know where its value was really written. What only running the script tells stays in the words as it is
//! written, and is marked.

use std::collections::BTreeMap;
use std::ops::Range;

use tree_sitter::Node;

use super::facts::{Call, Deed, Event};
use super::flow::{Bearing, Moment, moments};
use super::lexer::lex;
use super::parse::{Launch, Script};
use super::tracer::Tracer;

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

impl Script {
    /// The launch lines, with variables that the script does not set taken from `given`; `PWD` is where it is started.
    pub(in crate::launch) fn lines(&self, given: &BTreeMap<String, String>) -> Vec<Line> {
        let line = |launch: &Launch| {
            let mut words = Tracer::new(self, given).words(&launch.range, &launch.moment);
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
            let words = Tracer::new(self, given).words(&call.range, &moment);
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
    pub(super) fn writes(&self, name: &str, at: &Moment) -> Option<Vec<(&Event, Moment, Bearing)>> {
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

    pub(super) fn assignment(&self, event: &Event) -> Option<Node<'_>> {
        self.of_kind(&event.whole, "variable_assignment")
    }

    /// The default that `${A:=default}` assigns where nothing has.
    pub(super) fn default(&self, event: &Event) -> Option<Node<'_>> {
        let node = self.of_kind(&event.whole, "expansion")?;
        node.child(u32::try_from(node.child_count().checked_sub(2)?).ok()?)
    }

    /// The node of a kind that covers exactly this range.
    pub(super) fn of_kind(&self, range: &Range<usize>, kind: &str) -> Option<Node<'_>> {
        let mut node = self.node(range).filter(|node| node.byte_range() == *range)?;
        while node.kind() != kind {
            node = node.parent().filter(|parent| parent.byte_range() == *range)?;
        }
        Some(node)
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
