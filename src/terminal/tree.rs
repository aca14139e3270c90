//! A dry run as a tree of all paths.

use std::collections::{BTreeSet, HashMap};

use engine::dry_run::{Branch, DryRun, How, Shown};
use engine::plan::EndKind;
use engine::policy::Demand;
use engine::template::Standing;

use super::card::{self, Detail, who};
use super::clean::{clean, line};
use super::screen::Screen;
use super::wrap::{cut, wrap};

/// Changes of a fan-out that are shown in full.
const ITEMS: usize = 4;
/// Summary lines shown per outcome.
const SUMMARY: usize = 6;

/// Every path, and in the last lines what a real run would ask.
pub(crate) fn tree(screen: &Screen, dry: &DryRun) -> Vec<String> {
    let mut tree = Tree::new(screen);
    (tree.referred, tree.same) = references(&dry.first);
    tree.chain(&dry.first, "");
    tree.close(dry);
    tree.lines
}

/// Lines about the nodes of a dry run.
pub(super) struct Tree<'a> {
    pub(super) screen: &'a Screen,
    pub(super) lines: Vec<String>,
    /// Numbers that some `Again` refers to: only these are shown.
    referred: BTreeSet<usize>,
    /// Changes that were shown at another number already.
    same: HashMap<usize, usize>,
}

/// All nodes, top to bottom.
pub(super) fn all(first: &Shown) -> impl Iterator<Item = &Shown> {
    let mut open = vec![first];
    std::iter::from_fn(move || {
        let shown = open.pop()?;
        open.extend(shown.branches.iter().rev().map(|branch| &*branch.then));
        Some(shown)
    })
}

/// The numbers that something refers to, and the changes that repeat an earlier one.
fn references(first: &Shown) -> (BTreeSet<usize>, HashMap<usize, usize>) {
    let (mut referred, mut same) = (BTreeSet::new(), HashMap::new());
    let mut seen: HashMap<Vec<&str>, usize> = HashMap::new();
    for shown in all(first) {
        match &shown.how {
            How::Again { number } => drop(referred.insert(*number)),
            How::Change { items, .. } if !items.is_empty() => {
                let digests = items.iter().map(|item| item.digest.as_str()).collect();
                let at = *seen.entry(digests).or_insert(shown.number);
                if at != shown.number {
                    referred.insert(at);
                    same.insert(shown.number, at);
                }
            }
            _ => {}
        }
    }
    (referred, same)
}

impl<'a> Tree<'a> {
    pub(super) fn new(screen: &'a Screen) -> Self {
        Self { screen, lines: Vec::new(), referred: BTreeSet::new(), same: HashMap::new() }
    }

    /// Follows a path as long as it does not fork: only a fork is indented.
    fn chain(&mut self, first: &Shown, pad: &str) {
        let mut shown = first;
        loop {
            self.node(shown, pad);
            match &shown.branches[..] {
                [] => return,
                [only] => {
                    self.found(only, &format!("{pad}     "));
                    shown = &only.then;
                }
                forks => return self.fork(forks, pad),
            }
        }
    }

    fn fork(&mut self, forks: &[Branch], pad: &str) {
        let glyphs = self.screen.glyphs;
        for (at, branch) in forks.iter().enumerate() {
            let last = at + 1 == forks.len();
            let joint = if last { glyphs.corner } else { glyphs.tee };
            let bar = if last { " " } else { glyphs.bar };
            let below = format!("{pad}  {bar}  ");
            self.lines.push(format!("{pad}  {} {}", self.screen.paint.dim(joint), self.outcome(branch)));
            self.summary(branch, &format!("{below}  "));
            self.chain(&branch.then, &below);
        }
    }

    pub(super) fn found(&mut self, branch: &Branch, pad: &str) {
        self.lines.push(format!("{pad}{} {}", self.screen.glyphs.arrow, self.outcome(branch)));
        self.summary(branch, &format!("{pad}  "));
    }

    pub(super) fn outcome(&self, branch: &Branch) -> String {
        let paint = self.screen.paint;
        let label = branch.label.as_deref().map(|label| format!(" \"{}\"", line(label))).unwrap_or_default();
        let standing = match branch.standing {
            Standing::Known => paint.good("found now"),
            Standing::Predicted => paint.warn("predicted"),
            Standing::Open => paint.dim("possible"),
        };
        format!("{}{label}  {standing}", paint.word(&line(&branch.outcome)))
    }

    fn summary(&mut self, branch: &Branch, pad: &str) {
        let room = self.screen.width().saturating_sub(pad.len());
        let lines: Vec<String> =
            branch.summary.iter().flat_map(|text| wrap(clean(text).trim_end(), 0, room)).collect();
        let more = |left| format!("{} {left} more lines", self.screen.glyphs.more);
        for text in cut(lines, SUMMARY, more) {
            self.lines.push(format!("{pad}{text}"));
        }
    }

    pub(super) fn node(&mut self, shown: &Shown, pad: &str) {
        let (paint, glyphs) = (self.screen.paint, self.screen.glyphs);
        let (sign, note) = match &shown.how {
            How::Read | How::Enter | How::End { .. } | How::Again { .. } => {
                (paint.good(glyphs.done), String::new())
            }
            How::ReadTooEarly => {
                (paint.good(glyphs.done), paint.dim("read now; a change before it may alter this"))
            }
            How::Change { items, .. } if items.is_empty() => {
                (paint.good(glyphs.done), paint.dim("nothing to do"))
            }
            How::Change { gated: true, .. } => {
                (paint.warn(glyphs.changed), paint.warn("would change; asks first"))
            }
            How::Change { gated: false, .. } => {
                (paint.bad(glyphs.changed), paint.bad("would change WITHOUT asking"))
            }
            How::Open { changes: true, .. } => {
                (paint.warn("?"), paint.warn("would change; what exactly is not known yet"))
            }
            How::Open { changes: false, .. } => (paint.dim("?"), paint.dim("not known yet")),
            How::Ask { .. } => (paint.warn(glyphs.waiting), paint.warn("asks a person")),
            How::Failed { .. } => (paint.bad(glyphs.failed), paint.bad("broke")),
            How::TooOften => {
                (paint.bad(glyphs.failed), paint.bad("visited as often as it may be: a real run fails here"))
            }
            How::Cut => (paint.warn(glyphs.more), paint.warn("the tree is too large to show what follows")),
        };
        let sign = match &shown.how {
            How::Enter => paint.word(glyphs.into),
            How::Again { .. } => paint.dim(glyphs.again),
            How::End { end: EndKind::Escalated, .. } => paint.warn(glyphs.escalated),
            _ => sign,
        };
        let number = if self.referred.contains(&shown.number) {
            format!("  #{}", shown.number)
        } else {
            String::new()
        };
        let flow = paint.dim(&line(shown.flow.as_deref().unwrap_or(glyphs.dot)));
        let title = paint.bold(&line(&shown.title));
        let note = if note.is_empty() { note } else { format!("  {note}") };
        match &shown.how {
            How::End { end, message } => {
                let title = if shown.title == shown.node {
                    String::new()
                } else {
                    format!("  {}", line(&shown.title))
                };
                self.lines.push(format!("{pad}{sign} {}{title}{number}", paint.bold(end.word())));
                self.text(message.as_deref().unwrap_or_default(), pad);
                return;
            }
            How::Again { number } => {
                self.lines.push(format!("{pad}{sign} {flow}  {} as from #{number}", line(&shown.title)));
                return;
            }
            _ => self.lines.push(format!("{pad}{sign} {flow}  {title}{note}{}", paint.dim(&number))),
        }
        match &shown.policy {
            Some(Demand::Gate(rule)) => {
                self.text(&format!("the policy of this site: asks {}", who(rule, &BTreeSet::new())), pad);
            }
            Some(Demand::Forbidden(why)) => {
                self.text(&format!("the policy of this site FORBIDS it: {}", line(why)), pad);
            }
            Some(Demand::Nothing) | None => {}
        }
        match &shown.how {
            How::Open { on, .. } if !on.is_empty() => {
                self.text(&format!("depends on {}", on.join(", ")), pad);
            }
            How::Change { items, .. } => {
                if let Some(number) = self.same.get(&shown.number) {
                    self.text(&format!("the same change as at #{number}"), pad);
                    return;
                }
                let indent = format!("{pad}  ");
                for item in items.iter().take(ITEMS) {
                    for text in card::item(self.screen, item, Detail::Glance) {
                        self.lines.push(format!("{indent}{text}"));
                    }
                }
                if items.len() > ITEMS {
                    self.lines.push(format!(
                        "{indent}   {} {} more of the same kind",
                        glyphs.more,
                        items.len() - ITEMS
                    ));
                }
            }
            How::Ask { prompt } => self.text(prompt, pad),
            How::Failed { error, help } => {
                self.text(error, pad);
                help.iter().for_each(|help| self.text(&format!("hint: {help}"), pad));
            }
            _ => {}
        }
    }

    pub(super) fn text(&mut self, text: &str, pad: &str) {
        let width = self.screen.width().saturating_sub(pad.len());
        for text in wrap(clean(text).trim(), 5, width) {
            self.lines.push(format!("{pad}{text}"));
        }
    }

    /// What a real run would ask, and that nothing was changed.
    pub(super) fn close(&mut self, dry: &DryRun) {
        let paint = self.screen.paint;
        let (mut asks, mut ungated, mut failed) = (Vec::new(), false, false);
        for shown in all(&dry.first) {
            match &shown.how {
                How::Change { items, gated } if !items.is_empty() => {
                    ungated |= !gated;
                    asks.extend(gated.then_some(&shown.node));
                }
                How::Open { changes: true, .. } => asks.push(&shown.node),
                How::Failed { .. } => failed = true,
                _ => {}
            }
        }
        asks.sort_unstable();
        asks.dedup();
        self.lines.push(String::new());
        if !dry.complete {
            let why = if failed { "something broke above" } else { "there are too many" };
            self.lines.push(paint.bad(&format!("Not every path could be looked at: {why}.")));
        }
        let who = if dry.complete { "A real run" } else { "As far as is shown, a real run" };
        self.lines.push(match &asks[..] {
            [] => format!("{who} would ask for no change."),
            [_] => format!("{who} would ask before its one change."),
            many => format!("{who} would ask before each of its changes, at {} nodes.", many.len()),
        });
        if ungated {
            self.lines.push(paint.bad("Some changes would be made without asking (approve: never)."));
        }
        self.lines.push(paint.bold("Dry run: nothing was changed."));
    }
}
