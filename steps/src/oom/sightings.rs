//! Where in a file which training step was reported: how far training was before an error, and whether it went on.

use std::collections::HashMap;

use super::event::Stand;
use super::prefix::Who;

/// A report of a step.
#[derive(Debug, Clone, Copy)]
struct Sighting {
    /// Offset of the line.
    line: u64,
    rank: Option<u32>,
    task: Option<u32>,
    step: u64,
}

/// The step reports of one file, in the order of their lines.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    all: Vec<Sighting>,
}

/// More reports than this are not remembered.
const MOST: usize = 1 << 17;
/// Reports that are looked at on either side of an error.
const NEAR: usize = 1 << 15;
/// Ranks do not wait for each other inside a step that gathers gradients, so others may report some more after one
/// died: only this many further steps show that nobody did.
pub(super) const AHEAD: u64 = 100;
/// As many show it where the text itself speaks of a warning.
const AHEAD_OF_WARNING: u64 = 2;

impl Sightings {
    /// Adds a report; lines that are shown again are left out.
    pub(crate) fn add(&mut self, line: u64, who: &Who, step: u64) {
        if self.all.len() < MOST && self.all.last().is_none_or(|last| last.line <= line) {
            self.all.push(Sighting { line, rank: who.rank, task: who.task, step });
        }
    }

    /// The last step that the file reports.
    pub(crate) fn last(&self) -> Option<u64> {
        self.all.last().map(|sighting| sighting.step)
    }

    /// Makes it ready for questions.
    pub(crate) fn finish(self) -> Progress {
        let mut by_rank: HashMap<u32, Vec<(u64, u64)>> = HashMap::new();
        for sighting in &self.all {
            if let Some(rank) = sighting.rank {
                by_rank.entry(rank).or_default().push((sighting.line, sighting.step));
            }
        }
        by_rank.values_mut().for_each(|steps| highest_from_here(steps));
        let mut highest: Vec<(u64, u64)> =
            self.all.iter().map(|sighting| (sighting.line, sighting.step)).collect();
        highest_from_here(&mut highest);
        Progress { all: self.all, highest, by_rank }
    }
}

/// Replaces each step by the highest from there to the end.
fn highest_from_here(steps: &mut [(u64, u64)]) {
    let mut highest = 0;
    for (_, step) in steps.iter_mut().rev() {
        highest = highest.max(*step);
        *step = highest;
    }
}

/// The step reports of a whole file.
#[derive(Debug)]
pub(crate) struct Progress {
    all: Vec<Sighting>,
    /// The highest step from a line to the end: of all, and of each rank.
    highest: Vec<(u64, u64)>,
    by_rank: HashMap<u32, Vec<(u64, u64)>>,
}

impl Progress {
    /// The last step before a line: the printer's own, or else anybody's.
    pub(crate) fn before(&self, line: u64, who: &Who) -> Option<u64> {
        let near =
            || self.all[..self.all.partition_point(|sighting| sighting.line < line)].iter().rev().take(NEAR);
        let own = |sighting: &&Sighting| match (who.rank.zip(sighting.rank), who.task.zip(sighting.task)) {
            (Some((a, b)), _) | (None, Some((a, b))) => a == b,
            (None, None) => false,
        };
        near().find(own).or_else(|| near().next()).map(|sighting| sighting.step)
    }

    /// Whether training went on after a line: the same rank took a further step, others took more than they can without
    /// it, or everybody went back to a checkpoint and got past the step.
    pub(crate) fn went_on(&self, line: u64, who: &Who, stand: Stand) -> bool {
        let after = |steps: &[(u64, u64)]| {
            steps.get(steps.partition_point(|(at, _)| *at <= line)).map(|(_, highest)| *highest)
        };
        let before = self.before(line, who);
        let own = who.rank.and_then(|rank| self.by_rank.get(&rank));
        if let Some(highest) = own.and_then(|steps| after(steps))
            && before.is_none_or(|before| highest > before)
        {
            return true;
        }
        let Some(highest) = after(&self.highest) else { return false };
        let ahead = if stand == Stand::Warned { AHEAD_OF_WARNING } else { AHEAD };
        if highest >= before.map_or(ahead, |before| before.saturating_add(ahead)) {
            return true;
        }
        let Some(before) = before.filter(|before| highest > *before) else { return false };
        let later = &self.all[self.all.partition_point(|sighting| sighting.line <= line)..];
        let back = later.iter().take(NEAR).find(|sighting| sighting.step < before);
        back.is_some_and(|back| {
            let from = self.highest.partition_point(|(at, _)| *at <= back.line);
            self.highest.get(from).is_some_and(|(_, highest)| *highest > before)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(reports: &[(u64, Option<u32>, u64)]) -> Progress {
        let mut sightings = Sightings::default();
        for (line, rank, step) in reports {
            sightings.add(*line, &Who { rank: *rank, ..Who::default() }, *step);
        }
        sightings.finish()
    }

    #[test]
    fn ones_own_step_comes_before_that_of_others() {
        let found = progress(&[(1, Some(0), 40), (2, Some(3), 40), (3, Some(0), 41)]);
        let who = Who { rank: Some(3), ..Who::default() };
        assert_eq!(found.before(9, &who), Some(40));
        assert_eq!(found.before(9, &Who { rank: Some(5), ..Who::default() }), Some(41));
        assert_eq!(found.before(1, &who), None);
    }

    #[test]
    fn others_may_run_ahead_a_little() {
        let who = Who { rank: Some(3), ..Who::default() };
        let found = progress(&[(1, Some(3), 40), (9, Some(0), 48)]);
        assert!(!found.went_on(5, &who, Stand::Raised));
        assert!(found.went_on(5, &who, Stand::Warned));
        assert!(progress(&[(1, Some(3), 40), (9, Some(3), 41)]).went_on(5, &who, Stand::Raised));
        assert!(progress(&[(1, None, 40), (9, None, 140)]).went_on(5, &who, Stand::Raised));
        assert!(!progress(&[]).went_on(5, &who, Stand::Raised));
    }

    #[test]
    fn a_second_attempt_that_gets_further_went_on() {
        let who = Who::default();
        assert!(progress(&[(1, None, 41), (6, None, 30), (9, None, 42)]).went_on(5, &who, Stand::Raised));
        assert!(!progress(&[(1, None, 41), (6, None, 30), (9, None, 41)]).went_on(5, &who, Stand::Raised));
        assert!(!progress(&[(1, None, 41), (6, None, 42), (9, None, 30)]).went_on(5, &who, Stand::Raised));
    }
}
