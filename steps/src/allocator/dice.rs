//! Chance that is the same anywhere: what tests and the measured quality of a rule draw from.

use crate::size::MIB;

/// splitmix64 (Steele, Lea, Flood 2014).
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From `low` up to and without `high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low)
    }

    /// Once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A size, its logarithm evenly spread between 1 and 2^`most` bytes, sometimes at a boundary.
    pub(crate) fn size(&mut self, most: u64) -> u64 {
        let magnitude = self.below(most) + 1;
        let size = (1 << magnitude) + self.below(1 << magnitude);
        match self.below(8) {
            0 => size.next_multiple_of(2 * MIB),
            1 => 1 << magnitude,
            2 => (1 << magnitude) + 1,
            _ => size,
        }
    }
}
