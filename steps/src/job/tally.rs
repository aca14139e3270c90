//! What the lines of a job's logs add up to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::bar;
use super::memory::{Memory, of_line};

/// Which way the gap between reserved and allocated memory goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trend {
    /// It grows from step to step: the pool fragments.
    Growing,
    /// It has stopped growing.
    Steady,
}

/// Steps whose gaps do not count: the pool fills up.
const WARM_UP: usize = 3;
/// Fewest gaps after these that say anything.
const FEWEST: usize = 6;
/// Gaps kept of each log.
const MOST: usize = 4096;
/// Growth that is none: a tenth, or 256 MiB.
const NOISE: (f64, f64) = (1.1, 268_435_456.0);

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The step that each log reported last. Not the highest: a log that is appended to holds an earlier run's steps.
    last: BTreeMap<usize, u64>,
    /// The highest total of a log's progress bars; `None`: it reports steps in words, so bars do not count.
    bars: BTreeMap<usize, Option<u64>>,
    gaps: BTreeMap<usize, Vec<u64>>,
    pub(crate) peak_reserved: Option<u64>,
    pub(crate) capacity: Option<u64>,
}

impl Tally {
    /// Takes in one line of log number `log`; `true` if it reports a step that is not the one that was known.
    pub(crate) fn line(&mut self, log: usize, line: &str, step_of: fn(&str) -> Option<u64>) -> bool {
        let Memory { peak_reserved, gap, capacity } = of_line(line);
        self.peak_reserved = self.peak_reserved.max(peak_reserved);
        // Of GPUs that differ the smallest counts.
        self.capacity = [self.capacity, capacity].into_iter().flatten().min();
        if let Some(gap) = gap {
            let gaps = self.gaps.entry(log).or_default();
            if gaps.len() < MOST {
                gaps.push(gap);
            }
        }
        let step = match step_of(line) {
            Some(step) => {
                self.bars.insert(log, None);
                Some(step)
            }
            None => bar::of_line(line).and_then(|(done, all)| self.of_bar(log, done, all)),
        };
        step.is_some_and(|step| self.last.insert(log, step) != Some(step))
    }

    /// The step that a bar reports, if it is the longest one of its log so far.
    fn of_bar(&mut self, log: usize, done: u64, all: u64) -> Option<u64> {
        let total = self.bars.entry(log).or_insert(Some(0)).as_mut()?;
        *total = all.max(*total);
        (all == *total).then_some(done)
    }

    /// The step that was reported last by the log that is furthest.
    pub(crate) fn last_step(&self) -> Option<u64> {
        self.last.values().copied().max()
    }

    /// Which way the gap goes; `None` if too little was printed. One rank whose gap grows is enough.
    pub(crate) fn trend(&self) -> Option<Trend> {
        let trends: Vec<Trend> = self.gaps.values().filter_map(|gaps| trend(gaps.get(WARM_UP..)?)).collect();
        if trends.contains(&Trend::Growing) { Some(Trend::Growing) } else { trends.first().copied() }
    }
}

/// The last third against the first.
fn trend(gaps: &[u64]) -> Option<Trend> {
    if gaps.len() < FEWEST {
        return None;
    }
    let third = gaps.len() / 3;
    let mean = |part: &[u64]| part.iter().map(|&gap| gap as f64).sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&gaps[..third]), mean(&gaps[gaps.len() - third..]));
    let grows = last > first * NOISE.0 && last > first + NOISE.1;
    Some(if grows { Trend::Growing } else { Trend::Steady })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step(line: &str) -> Option<u64> {
        line.strip_prefix("step ")?.split(' ').next()?.parse().ok()
    }

    #[test]
    fn the_last_step_not_the_highest() {
        let mut tally = Tally::default();
        for line in ["step 40 of an earlier run", "step 41 of it", "step 31 of this one"] {
            assert!(tally.line(0, line, step));
        }
        assert!(!tally.line(0, "step 31 of this one", step), "nothing new");
        assert_eq!(tally.last_step(), Some(31));
        tally.line(1, "step 33 by another rank", step);
        assert_eq!(tally.last_step(), Some(33));
    }

    #[test]
    fn the_longest_bar_counts_where_no_words_do() {
        let bar = |done: u64, all: u64| format!("  1%|   | {done}/{all} [00:01<00:02, 1.0s/it]");
        let mut tally = Tally::default();
        assert!(tally.line(0, &bar(41, 5000), step));
        assert!(!tally.line(0, &bar(3, 20), step), "that of the evaluation");
        assert!(tally.line(0, &bar(42, 5000), step));
        assert_eq!(tally.last_step(), Some(42));
        assert!(tally.line(1, "step 43 in words", step));
        assert!(!tally.line(1, &bar(1, 9), step));
        assert_eq!(tally.last_step(), Some(43));
    }

    #[test]
    fn peaks_and_capacity() {
        let mut tally = Tally::default();
        tally.line(0, "max_reserved 2GiB", step);
        tally.line(1, "max_reserved 3GiB", step);
        tally.line(1, "max_reserved 1GiB free_total=[1, 4096]MiB", step);
        assert_eq!((tally.peak_reserved, tally.capacity), (Some(3 << 30), Some(4 << 30)));
    }

    #[test]
    fn a_growing_gap_is_told_from_a_steady_one() {
        let gib = 1u64 << 30;
        let growing: Vec<u64> = (0..12).map(|step| gib + step * gib / 4).collect();
        assert_eq!(trend(&growing), Some(Trend::Growing));
        assert_eq!(trend(&[3 * gib; 12]), Some(Trend::Steady));
        assert_eq!(trend(&growing[..5]), None);
        let mut tally = Tally::default();
        for gap in [0, 1, 2, 3, 3, 3, 3, 3, 3] {
            tally.line(0, &format!("gap={gap}GiB"), step);
        }
        assert_eq!(tally.trend(), Some(Trend::Steady), "warm-up does not count");
    }

    proptest! {
        #[test]
        fn no_gaps_panic(gaps in prop::collection::vec(any::<u64>(), 0..40)) {
            let _ = trend(&gaps);
        }
    }
}
