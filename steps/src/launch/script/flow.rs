//! When things happen: the moments at which a place in a script is executed, and what is certain at them.

use super::facts::{Facts, Place};

/// One execution of a place. A function that is called twice gives two.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    /// Offsets of the calls that lead there and of the place itself: compares as the order of execution.
    pub(super) order: Vec<usize>,
    arms: Vec<(usize, usize)>,
    shells: Vec<usize>,
    loops: Vec<usize>,
    functions: Vec<String>,
    commands: Vec<usize>,
}

/// How something stands to a later moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bearing {
    /// It has happened before.
    Certain,
    /// It may have.
    Possible,
    /// It has no effect there.
    None,
}

/// Most moments that one place may have.
const MOST: usize = 64;
/// Deepest chain of function calls that is followed.
const DEEPEST: usize = 6;

/// The moments of a place, or `None` where its function's calls cannot be told.
pub(super) fn moments(facts: &Facts, place: &Place) -> Option<Vec<Moment>> {
    chain(facts, place, 0)
}

fn chain(facts: &Facts, place: &Place, depth: usize) -> Option<Vec<Moment>> {
    let own = Moment {
        order: vec![place.at],
        arms: place.arms.clone(),
        shells: place.shells.clone(),
        loops: place.loops.clone(),
        functions: place.function.iter().cloned().collect(),
        commands: place.command.into_iter().collect(),
    };
    let Some(function) = &place.function else { return Some(vec![own]) };
    if depth == DEEPEST || facts.functions.get(function) != Some(&1) {
        return None;
    }
    let mut all = Vec::new();
    for call in facts.calls.iter().filter(|call| call.words.first() == Some(function)) {
        for outer in chain(facts, &call.place, depth + 1)? {
            all.push(outer.then(&own));
        }
        if all.len() > MOST {
            return None;
        }
    }
    Some(all)
}

impl Moment {
    /// This moment, and inside what it calls, that one.
    fn then(mut self, inner: &Self) -> Self {
        self.order.extend(&inner.order);
        self.arms.extend(&inner.arms);
        self.shells.extend(&inner.shells);
        self.loops.extend(&inner.loops);
        self.functions.extend(inner.functions.iter().cloned());
        self.commands.extend(&inner.commands);
        self
    }

    /// Whether it belongs to that simple command or is executed by it.
    pub(super) fn within(&self, command: usize) -> bool {
        self.commands.contains(&command)
    }

    /// Whether it is executed by that function.
    pub(super) fn inside(&self, function: &str) -> bool {
        self.functions.iter().any(|name| name == function)
    }

    /// What a deed done at this moment means for `later`.
    pub(super) fn bearing(&self, later: &Self) -> Bearing {
        if !self.shells.iter().all(|shell| later.shells.contains(shell)) {
            return Bearing::None;
        }
        let same_loop = self.loops.iter().any(|id| later.loops.contains(id));
        if self.order >= later.order {
            // In the next round of a loop it comes first.
            return if same_loop { Bearing::Possible } else { Bearing::None };
        }
        let mut certain = true;
        for (node, arm) in &self.arms {
            match later.arms.iter().find(|(other, _)| other == node) {
                Some((_, other)) if other == arm => {}
                Some(_) if !same_loop => return Bearing::None,
                _ => certain = false,
            }
        }
        if certain { Bearing::Certain } else { Bearing::Possible }
    }
}
