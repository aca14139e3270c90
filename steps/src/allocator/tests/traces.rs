//! Random traces: the same seed gives the same trace anywhere.

use super::told::{Deed, script, told};
use crate::allocator::dice::Dice;
use crate::allocator::{Device, Settings};
use crate::size::{GIB, MIB};

/// One random trace and the world in which it runs.
pub(super) struct Trace {
    /// As the reference reads its settings.
    pub(super) conf: String,
    pub(super) settings: Settings,
    pub(super) total: u64,
    pub(super) others: u64,
    pub(super) deeds: Vec<Deed>,
}

impl Trace {
    pub(super) fn of(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let (settings, conf) = match seed % 4 {
            0 => (Settings::default(), String::new()),
            1 => {
                let limit = [21, 64, 128, 512][dice.below(4) as usize];
                let settings = Settings { max_split: Some(limit * MIB), ..Settings::default() };
                (settings, format!("max_split_size_mb:{limit}"))
            }
            2 => {
                let divisions = [2, 4, 8, 16][dice.below(4) as usize];
                let settings = Settings::default().rounding_up(divisions);
                (settings, format!("roundup_power2_divisions:{divisions}"))
            }
            _ => {
                (Settings { expandable: true, ..Settings::default() }, "expandable_segments:True".to_owned())
            }
        };
        let total = [GIB / 2, 2 * GIB, 8 * GIB, 81105 * MIB][dice.below(4) as usize];
        let others = dice.below(total / 8 / MIB) * MIB;
        // Up to a quarter of the device in one request, so that it runs full.
        let most = u64::from(total.ilog2()) - 2 - dice.below(4);
        let keep = 20 + dice.below(200);
        let mut live: Vec<u64> = Vec::new();
        let mut deeds = Vec::new();
        for name in 0..300 + dice.below(700) {
            let crowded = live.len() as u64 > dice.below(keep);
            if crowded || (!live.is_empty() && dice.below(3) == 0) {
                let at = dice.below(live.len() as u64) as usize;
                deeds.push(Deed::Free(live.swap_remove(at)));
            } else {
                // What is refused is freed all the same: both sides must shrug.
                deeds.push(Deed::Ask(name, dice.size(most)));
                live.push(name);
            }
            match dice.below(200) {
                0 => deeds.push(Deed::Flush),
                1..10 => deeds.push(Deed::Stats),
                _ => {}
            }
        }
        deeds.push(Deed::Stats);
        Self { conf, settings, total, others, deeds }
    }

    pub(super) fn told(&self) -> String {
        told(Device::new(self.total, self.others), self.settings, &self.deeds)
    }

    /// The trace as text, with a line before it that tells the world.
    pub(super) fn script(&self) -> String {
        format!("# {} {} {}\n{}", self.total / MIB, self.others / MIB, self.conf, script(&self.deeds))
    }
}
