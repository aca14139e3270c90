//! Where boxes and arrows are written. The parser tells the place of every name and label; which of them an arrow is between
//! follows from what is written between them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;

use merman_core::{EditorSemanticFacts, EditorSemanticRole};

/// The places of a flowchart.
#[derive(Debug, Default)]
pub(super) struct Spots {
    boxes: HashMap<String, Range<usize>>,
    /// Where each box first turns up.
    first: HashMap<String, usize>,
    /// Words in brackets after those of `A@{ label: … }`, which the parser takes for the older ones, and whether they are
    /// Markdown.
    later: HashMap<String, (String, bool)>,
    arrows: Vec<(String, String, Range<usize>)>,
}

/// A name or a label in the order in which they are written.
pub(super) struct Spot<'a> {
    name: &'a str,
    pub(super) at: Range<usize>,
    pub(super) what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Name,
    BoxLabel,
    ArrowLabel,
    /// A box of which is said how it looks.
    Styled,
    Other,
}

/// All places of names and labels, in written order.
pub(super) fn all<'a>(text: &str, facts: &'a EditorSemanticFacts) -> Vec<Spot<'a>> {
    let mut spots: Vec<Spot<'_>> = facts
        .symbols
        .iter()
        .map(|symbol| {
            let what = match (symbol.detail.as_deref(), symbol.role) {
                (Some("flowchart node"), _) => What::Name,
                (Some("flowchart node label"), _) => What::BoxLabel,
                (Some("flowchart edge label"), EditorSemanticRole::Payload) => What::ArrowLabel,
                (Some("flowchart style target"), _) => What::Styled,
                _ => What::Other,
            };
            // A label's place covers its brackets, a name's only itself.
            Spot { name: &symbol.name, at: symbol.span.start..symbol.span.end, what }
        })
        .filter(|spot| text.get(spot.at.clone()).is_some())
        .collect();
    spots.sort_by_key(|spot| spot.at.start);
    spots
}

impl Spots {
    pub(super) fn of(text: &str, spots: &[Spot<'_>]) -> Self {
        let mut first = HashMap::new();
        for spot in spots.iter().filter(|spot| matches!(spot.what, What::Name | What::Styled)) {
            first.entry(spot.name.to_owned()).or_insert(spot.at.start);
        }
        Self { boxes: boxes(spots), first, later: later(text, spots), arrows: arrows(text, spots) }
    }

    /// What a box says, if the parser does not know better.
    pub(super) fn later(&self, id: &str) -> Option<(&str, bool)> {
        self.later.get(id).map(|(label, markdown)| (label.as_str(), *markdown))
    }

    /// Where a box first turns up.
    pub(super) fn first(&self, id: &str) -> usize {
        self.first.get(id).copied().unwrap_or(usize::MAX)
    }

    pub(super) fn of_box(&self, id: &str) -> Range<usize> {
        self.boxes.get(id).cloned().unwrap_or(0..0)
    }

    /// The arrows in written order, to be asked for one after the other.
    pub(super) fn arrows(&self) -> Seen<'_> {
        Seen { spots: self, left: self.arrows.iter().collect() }
    }
}

/// The arrows that were not asked for yet.
pub(super) struct Seen<'a> {
    spots: &'a Spots,
    left: VecDeque<&'a (String, String, Range<usize>)>,
}

impl Seen<'_> {
    /// The place of the next arrow between these two.
    pub(super) fn next(&mut self, from: &str, to: &str) -> Range<usize> {
        // Both lists are in written order, so it is the first that is left.
        let at = self.left.iter().position(|(a, b, _)| a == from && b == to);
        let found = at.and_then(|at| self.left.remove(at));
        found.map_or_else(|| self.spots.of_box(from), |(_, _, at)| at.clone())
    }
}

/// Each box where its words are, the last time they are said; else where its name first is.
fn boxes(spots: &[Spot<'_>]) -> HashMap<String, Range<usize>> {
    let mut boxes: HashMap<String, Range<usize>> = HashMap::new();
    for (at, spot) in spots.iter().enumerate().filter(|(_, spot)| spot.what == What::Name) {
        match spots.get(at + 1).filter(|next| next.what == What::BoxLabel && next.at.start >= spot.at.end) {
            Some(label) => drop(boxes.insert(spot.name.to_owned(), spot.at.start..label.at.end)),
            None => drop(boxes.entry(spot.name.to_owned()).or_insert_with(|| spot.at.clone())),
        }
    }
    for spot in spots.iter().filter(|spot| spot.what == What::Styled) {
        boxes.entry(spot.name.to_owned()).or_insert_with(|| spot.at.clone());
    }
    boxes
}

/// The labels in brackets of boxes that had words as data before.
fn later(text: &str, spots: &[Spot<'_>]) -> HashMap<String, (String, bool)> {
    let (mut data, mut later) = (HashSet::new(), HashMap::new());
    for (at, spot) in spots.iter().enumerate().filter(|(_, spot)| spot.what == What::Name) {
        let label =
            spots.get(at + 1).filter(|next| next.what == What::BoxLabel && next.at.start == spot.at.end);
        let end = label.map_or(spot.at.end, |label| label.at.end);
        if let Some(label) = label.filter(|_| data.contains(spot.name)) {
            let markdown = text[label.at.clone()].contains("\"`");
            later.insert(spot.name.to_owned(), (label.name.to_owned(), markdown));
        }
        if text[end..].starts_with("@{") {
            data.insert(spot.name);
            later.remove(spot.name);
        }
    }
    later
}

/// Every arrow with its place: its label, else from the box before it to the box after it.
fn arrows(text: &str, spots: &[Spot<'_>]) -> Vec<(String, String, Range<usize>)> {
    let mut arrows = Vec::new();
    let (mut before, mut group): (Vec<&Spot<'_>>, Vec<&Spot<'_>>) = (Vec::new(), Vec::new());
    let (mut label, mut old_label): (Option<&Spot<'_>>, Option<&Spot<'_>>) = (None, None);
    // What was read up to here; labels are skipped, so that nothing in them is taken for an arrow.
    let (mut read, mut between) = (0, String::new());
    let mut close = |before: &[&Spot<'_>], group: &[&Spot<'_>], label: Option<&Spot<'_>>| {
        for from in before {
            for to in group {
                let at = label.map_or(from.at.start..to.at.end.max(from.at.end), |label| label.at.clone());
                arrows.push((from.name.to_owned(), to.name.to_owned(), at));
            }
        }
    };
    for spot in spots {
        between.push_str(text.get(read..spot.at.start.max(read)).unwrap_or_default());
        read = read.max(spot.at.end);
        match spot.what {
            What::BoxLabel => {}
            What::ArrowLabel => label = Some(spot),
            What::Styled | What::Other => {
                close(&before, &group, old_label);
                (before, group, label) = (Vec::new(), Vec::new(), None);
                between.clear();
            }
            What::Name => {
                let linked = ["--", "==", "-.", "~~"].iter().any(|sign| between.contains(sign));
                if linked {
                    close(&before, &group, old_label);
                    before = std::mem::replace(&mut group, vec![spot]);
                    old_label = label.take();
                } else if between.contains('&') && !group.is_empty() {
                    group.push(spot);
                } else {
                    close(&before, &group, old_label);
                    (before, group, label, old_label) = (Vec::new(), vec![spot], None, None);
                }
                between.clear();
            }
        }
    }
    close(&before, &group, old_label);
    arrows
}
