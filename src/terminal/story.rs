//! A dry run as a story: the likeliest path, what else may come at each of its nodes in a line, and every change that
//! may be asked for elsewhere. The whole tree of a real runbook has thousands of lines.

use std::collections::{BTreeMap, HashMap, HashSet};

use engine::dry_run::{Branch, DryRun, How, Shown};
use engine::run::GateItem;
use engine::template::Standing;

use super::card::{self, Detail};
use super::clean::line;
use super::screen::Screen;
use super::tree::{Tree, all};
use super::wrap::wrap;

/// The likeliest path and what else may happen.
pub(crate) fn story(screen: &Screen, dry: &DryRun) -> Vec<String> {
    let by_number = all(&dry.first).map(|shown| (shown.number, shown)).collect();
    let mut story = Story { tree: Tree::new(screen), by_number, told: HashSet::new(), forks: false };
    story.path(&dry.first);
    story.elsewhere(dry);
    story.tree.close(dry);
    if story.forks {
        story
            .tree
            .lines
            .push(screen.paint.dim("`--all-paths` shows every path, `--json` all there is to know."));
    }
    story.tree.lines
}

struct Story<'a> {
    tree: Tree<'a>,
    by_number: HashMap<usize, &'a Shown>,
    /// Nodes of the path.
    told: HashSet<&'a str>,
    /// There is more than the path.
    forks: bool,
}

impl<'a> Story<'a> {
    fn path(&mut self, first: &'a Shown) {
        let mut shown = self.meant(first);
        loop {
            self.told.insert(&shown.node);
            self.tree.node(shown, "");
            let Some(likeliest) = likeliest(&shown.branches) else { return };
            self.tree.found(likeliest, "     ");
            self.others(&shown.branches, likeliest);
            shown = self.meant(&likeliest.then);
            if self.told.contains(shown.node.as_str()) {
                self.tree.lines.push(self.target(shown));
                return;
            }
        }
    }

    /// What a reference refers to.
    fn meant(&self, shown: &'a Shown) -> &'a Shown {
        match &shown.how {
            How::Again { number } => self.by_number.get(number).copied().unwrap_or(shown),
            _ => shown,
        }
    }

    /// The other outcomes, those that lead to the same place in one line.
    fn others(&mut self, branches: &'a [Branch], likeliest: &Branch) {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for branch in branches.iter().filter(|branch| !std::ptr::eq(*branch, likeliest)) {
            let target = self.target(self.meant(&branch.then));
            let outcome = line(&branch.outcome);
            match groups.iter_mut().find(|(known, _)| *known == target) {
                Some((_, outcomes)) => outcomes.push(outcome),
                None => groups.push((target, vec![outcome])),
            }
        }
        let (paint, arrow) = (self.tree.screen.paint, self.tree.screen.glyphs.arrow);
        for (target, outcomes) in groups {
            self.forks = true;
            let outcomes = paint.word(&outcomes.join(", "));
            self.tree.lines.push(format!("     {} {outcomes} {arrow} {target}", paint.dim("or")));
        }
    }

    /// Where a branch leads, in a line.
    fn target(&self, shown: &Shown) -> String {
        let (paint, glyphs) = (self.tree.screen.paint, self.tree.screen.glyphs);
        let title = line(&shown.title);
        match &shown.how {
            How::End { end, .. } => {
                let title = if shown.title == shown.node { String::new() } else { format!(" ({title})") };
                format!("{}{title}", line(end.word()))
            }
            How::Failed { error, .. } => format!("{title}: {}", paint.bad(&line(error))),
            _ => {
                let flow = shown.flow.as_deref().map(|flow| format!("{} ", line(flow))).unwrap_or_default();
                let again = if self.told.contains(shown.node.as_str()) {
                    format!("{} ", glyphs.again)
                } else {
                    String::new()
                };
                format!("{again}{flow}{title}")
            }
        }
    }

    /// Changes that are not on the path, each once and as exactly as it is known.
    fn elsewhere(&mut self, dry: &'a DryRun) {
        let mut changes: BTreeMap<&str, (&Shown, &[GateItem])> = BTreeMap::new();
        let mut order = Vec::new();
        for shown in all(&dry.first).filter(|shown| !self.told.contains(shown.node.as_str())) {
            let items: &[GateItem] = match &shown.how {
                How::Change { items, .. } if !items.is_empty() => items,
                How::Open { changes: true, .. } => &[],
                _ => continue,
            };
            let known = changes.entry(&shown.node).or_insert_with(|| {
                order.push(shown.node.as_str());
                (shown, items)
            });
            if known.1.is_empty() {
                *known = (shown, items);
            }
        }
        if order.is_empty() {
            return;
        }
        let screen = self.tree.screen;
        self.tree.lines.push(String::new());
        self.tree.lines.push(screen.paint.bold("Changes that other paths may ask for"));
        for (shown, items) in order.iter().filter_map(|node| changes.get(node)) {
            let flow = screen.paint.dim(&line(shown.flow.as_deref().unwrap_or(screen.glyphs.dot)));
            let sign = screen.paint.warn(if items.is_empty() { "?" } else { screen.glyphs.changed });
            self.tree.lines.push(format!("{sign} {flow}  {}", line(&shown.title)));
            match items {
                [] => self.tree.lines.extend(wrap(
                    "what exactly is known when a run comes there",
                    5,
                    screen.width(),
                )),
                [first, rest @ ..] => {
                    let card = card::item(screen, first, Detail::Glance);
                    self.tree.lines.extend(card.iter().map(|text| format!("  {text}")));
                    if !rest.is_empty() {
                        self.tree.lines.push(format!(
                            "     {} {} more of the same kind",
                            screen.glyphs.more,
                            rest.len()
                        ));
                    }
                }
            }
        }
    }
}

/// What was measured, else what is predicted, else what the step names first: the outcome it is there for.
fn likeliest(branches: &[Branch]) -> Option<&Branch> {
    let standing = |wanted: Standing| branches.iter().find(move |branch| branch.standing == wanted);
    standing(Standing::Known).or_else(|| standing(Standing::Predicted)).or(branches.first())
}
