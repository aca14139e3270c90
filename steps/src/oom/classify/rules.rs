//! From numbers to a verdict.
//!
//! The inequality behind it (c10/cuda/CUDACachingAllocator.cpp, `DeviceCachingAllocator::malloc`, v2.1–v2.15): at the
//! throw everything whole was already returned to the driver, so the gap is what is stranded in partly used segments.
//! Packing it better can help only if free + gap ≥ tried, but for what blocks are rounded up by (up to 1 MiB each), which
//! counts as allocated: where that decides, next to nothing is left over, so it changes no verdict. A gap larger than the
//! request proves nothing by itself, and a smaller one excludes nothing.
//!
//! Every verdict but `unknown` must hold for all that the message leaves open. So losing a number can make a verdict
//! unknown and never another one. Three clauses are exempt, because a message prints them only where they apply and
//! their absence says that they do not: the cap, the private pools, and that expandable segments are on.

use super::evidence::Snapshot;
use super::facts::{ErrorFields, Facts};
use super::foreign::{Foreign, Tenants};
use super::verdict::{Classification, Verdict};
use crate::oom::identities::{HELD_BACK, ROUNDING};
use crate::oom::kind::Kind;
use crate::oom::snapshot::Cure;
use crate::size::{GIB, MIB, exact};

/// Shares of the device, in thousandths. They were chosen on public reports whose cause is known: see the tests.
mod share {
    /// Others matter from this share on (and 1 GiB).
    pub(super) const OTHERS: u64 = 100;
    /// A gap below this share is what any training leaves.
    pub(super) const GAP: u64 = 50;
    /// A gap smaller than the request counts only if packing would leave this share free.
    pub(super) const ROOM: u64 = 100;
}
/// Requests up to 1 MiB are served from segments of 2 MiB of their own, which the large gaps cannot serve.
const SMALL_SEGMENT: u64 = 2 * MIB;
/// Where the margin is not given: this share of the device, in thousandths.
pub(super) const DEFAULT_MARGIN: f64 = 0.02;

/// What was gathered beside the message.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Around<'a> {
    /// Who else is on the device.
    pub(super) tenants: Option<&'a Tenants>,
    /// A memory snapshot of the process.
    pub(super) snapshot: Option<&'a Snapshot>,
}

/// Classifies an error. `margin` is the share of the device (or of the cap) that must be left over, 0 to 1.
pub(crate) fn classify(error: &ErrorFields, around: Around, margin: f64) -> Classification {
    let mut case = Case::new(error, around, margin);
    case.out.verdict = case.verdict();
    case.table();
    case.out
}

pub(super) struct Case<'a> {
    pub(super) error: &'a ErrorFields,
    /// What a snapshot that shows this failure says of the lever.
    pub(super) cure: Option<Cure>,
    /// Expandable segments are on already.
    pub(super) on: bool,
    facts: Result<Facts, String>,
    foreign: Option<Foreign>,
    pub(super) out: Classification,
}

fn thousandths(bytes: u64, share: u64) -> u64 {
    (bytes / 1000).saturating_mul(share)
}

impl<'a> Case<'a> {
    fn new(error: &'a ErrorFields, around: Around<'a>, margin: f64) -> Self {
        let facts = Facts::of(error);
        let known = facts.as_ref().ok().copied();
        let foreign = known.as_ref().and_then(|facts| Foreign::of(error, facts, around.tenants));
        let margin_bytes = known
            .and_then(|facts| facts.budget())
            .map(|budget| ((budget as f64 * margin) as u64).max(ROUNDING));
        let could_fit =
            known.and_then(|facts| facts.capped().or(facts.free)?.checked_add(facts.unallocated?));
        let out = Classification {
            verdict: Verdict::Unknown,
            margin_bytes,
            could_fit,
            shortfall: could_fit.zip(error.tried).map(|(fit, tried)| tried.saturating_sub(fit)),
            gap: known.and_then(|facts| facts.unallocated),
            foreign_bytes: foreign.map(|foreign| foreign.least),
            reasons: Vec::new(),
        };
        // A message that lost its sizes cannot be compared: the last failure of the trace is the one.
        let lost = error.kind == Some(Kind::NvmlAssert);
        let shown =
            around.snapshot.filter(|snapshot| lost || known.is_some_and(|facts| snapshot.shows(&facts)));
        let told = [
            error.hint_expandable,
            error.memory_summary.as_ref().and_then(|table| table.expandable),
            around.snapshot.and_then(|snapshot| snapshot.expandable),
        ];
        let (cure, on) = (shown.and_then(|snapshot| snapshot.cure), told.contains(&Some(true)));
        Self { error, cure, on, facts, foreign, out }
    }

    pub(super) fn because(&mut self, reason: impl Into<String>) {
        self.out.reasons.push(reason.into());
    }

    fn verdict(&mut self) -> Verdict {
        let facts = match self.facts.clone() {
            Ok(facts) => facts,
            Err(contradiction) => {
                self.because(contradiction);
                return Verdict::Unknown;
            }
        };
        if let Some(verdict) = self.elsewhere(&facts) {
            return verdict;
        }
        let (Some(tried), Some(capacity)) = (facts.tried, facts.capacity) else {
            self.missing(&[("tried", facts.tried), ("capacity", facts.capacity)]);
            return Verdict::Unknown;
        };
        if let Some(verdict) = self.cannot_ever_fit(&facts, tried, capacity) {
            return verdict;
        }
        let (Some(free), Some(margin)) = (facts.free, self.out.margin_bytes) else {
            self.missing(&[("free", facts.free)]);
            return Verdict::Unknown;
        };
        let (Some(reserved), Some(gap), Some(foreign)) = (facts.reserved, facts.unallocated, self.foreign)
        else {
            self.missing(&[("reserved", facts.reserved), ("reserved_unallocated", facts.unallocated)]);
            return Verdict::Unknown;
        };
        let available = facts.capped().unwrap_or(free);
        if available >= tried.saturating_add(if facts.capped().is_some() { ROUNDING } else { HELD_BACK }) {
            let (available, tried) = (exact(available), exact(tried));
            self.because(format!(
                "{available} were free for a request of {tried}: something else refused it (a memory fraction that the message does \
                 not print, MIG, WSL, graph capture, another process that has ended since)"
            ));
            return Verdict::Unknown;
        }
        if facts.capped().is_none() {
            if let Some(verdict) = self.others(&foreign, tried, capacity, free, gap, margin) {
                return verdict;
            }
            if free >= tried {
                let (free, tried) = (exact(free), exact(tried));
                self.because(format!(
                    "{free} were free for a request of {tried}: too close to tell what refused it"
                ));
                return Verdict::Unknown;
            }
            if reserved.saturating_add(free) > capacity.saturating_add(4 * ROUNDING) {
                let (reserved, free, capacity) = (exact(reserved), exact(free), exact(capacity));
                self.because(format!(
                    "reserved {reserved} + free {free} is more than the device's {capacity}: the driver moves memory to the host (WSL, \
                     Windows), the numbers do not tell"
                ));
                return Verdict::Unknown;
            }
        }
        self.packing(&facts, tried, available, gap, margin)
    }

    /// What the allocator's own table adds, for a person to weigh.
    fn table(&mut self) {
        let Some(table) = &self.error.memory_summary else { return };
        let part = |bytes: Option<u64>, words: &str| bytes.map(|bytes| format!("{words} {}", exact(bytes)));
        let mut parts = Vec::new();
        parts.extend(part(table.peak_allocated, "at most allocated"));
        parts.extend(part(table.peak_reserved, "at most reserved"));
        parts.extend(
            table.retries.map(|retries| format!("everything flushed {retries} times for want of memory")),
        );
        if !parts.is_empty() {
            self.because(format!("memory_summary: {}", parts.join(", ")));
        }
    }

    /// From how many bytes on others matter.
    pub(super) fn matters(capacity: u64) -> u64 {
        thousandths(capacity, share::OTHERS).max(GIB)
    }

    fn missing(&mut self, fields: &[(&str, Option<u64>)]) {
        let names: Vec<&str> =
            fields.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
        self.because(format!("the message does not say: {}", names.join(", ")));
    }

    /// What is impossible in any packing.
    fn cannot_ever_fit(&mut self, facts: &Facts, tried: u64, capacity: u64) -> Option<Verdict> {
        if tried > capacity.saturating_add(ROUNDING) {
            self.because(format!(
                "tried {} is more than the whole device, {}",
                exact(tried),
                exact(capacity)
            ));
            return Some(Verdict::TrueOom);
        }
        if let Some(limit) = facts.limit
            && tried > limit.saturating_add(ROUNDING)
        {
            self.because(format!(
                "tried {} is more than the process is allowed, {}",
                exact(tried),
                exact(limit)
            ));
            return Some(Verdict::TrueOom);
        }
        let live = facts.allocated?.saturating_sub(facts.pools);
        let need = live.saturating_add(tried);
        if need > capacity.saturating_add(ROUNDING) {
            let (live, tried, need, capacity) = (exact(live), exact(tried), exact(need), exact(capacity));
            self.because(format!("live {live} + tried {tried} = {need} is more than the device, {capacity}: no packing holds both"));
            return Some(Verdict::TrueOom);
        }
        None
    }

    /// Whether others decide it.
    fn others(
        &mut self,
        foreign: &Foreign,
        tried: u64,
        capacity: u64,
        free: u64,
        gap: u64,
        margin: u64,
    ) -> Option<Verdict> {
        let matters = Self::matters(capacity);
        let need = tried.saturating_add(margin);
        let own = foreign.own.map_or(String::new(), |own| format!("; this process holds {}", exact(own)));
        if foreign.least >= matters && free.saturating_add(foreign.least) >= need {
            let (least, all) = (exact(foreign.least), exact(capacity));
            self.because(format!("others hold {least} of the device's {all}{own}"));
            let (sum, tried) = (exact(free.saturating_add(foreign.least)), exact(tried));
            self.because(format!("without them {sum} would be free for a request of {tried}"));
            if gap >= thousandths(capacity, share::GAP) {
                self.because(format!("the pool also strands {}: see to the others first", exact(gap)));
            }
            return Some(Verdict::CoTenant);
        }
        if foreign.most >= matters && free.saturating_add(gap).saturating_add(foreign.most) >= tried {
            let (outside, all) = (exact(foreign.outside), exact(capacity));
            self.because(format!(
                "{outside} of the device's {all} lie outside PyTorch's reserve{own}: this process's context and libraries, or others; \
                 who holds them decides"
            ));
            return Some(Verdict::Unknown);
        }
        None
    }

    /// Whether better packing would have made room.
    fn packing(&mut self, facts: &Facts, tried: u64, available: u64, gap: u64, margin: u64) -> Verdict {
        let budget = facts.budget().unwrap_or_default();
        let fit = available.saturating_add(gap);
        let need = tried.saturating_add(margin);
        let from = if facts.capped().is_some() { "left by the cap" } else { "free" };
        let sum = format!("{from} {} + unallocated {} = {}", exact(available), exact(gap), exact(fit));
        let cure = self.cure.filter(|_| !self.on);
        if fit >= tried && cure == Some(Cure::Served) {
            self.because(format!("{sum} for a request of {}", exact(tried)));
            self.because("the snapshot's trace, replayed with expandable segments, serves the request");
            return Verdict::Fragmentation;
        }
        if fit < need {
            if facts.pools > 0 && fit.saturating_add(facts.pools) >= need {
                self.because(format!("{sum} for a request of {}", exact(tried)));
                self.because(format!(
                    "with the {} that lie idle in private pools it would fit, but they are free only once the CUDA graphs are released",
                    exact(facts.pools)
                ));
                return Verdict::Unknown;
            }
            if fit < tried {
                self.because(format!(
                    "{sum} is {} less than tried {}: packing makes room for it only if blocks in use are rounded up by that much, \
                     and then leaves nothing",
                    exact(tried - fit),
                    exact(tried)
                ));
            } else {
                let (left, margin) = (exact(fit - tried), exact(margin));
                self.because(format!(
                    "{sum}; packed without a gap only {left} would be left, less than the margin of {margin}"
                ));
            }
            return Verdict::TrueOom;
        }
        self.because(format!("{sum} for a request of {}", exact(tried)));
        if cure == Some(Cure::Refused) {
            self.because("the snapshot's trace, replayed with expandable segments, fails as well: the working set must shrink");
            return Verdict::TrueOom;
        }
        if tried <= SMALL_SEGMENT {
            self.because(
                "a request of 2 MiB is for small tensors, which the gaps between large ones cannot serve"
                    .to_owned(),
            );
            return Verdict::Unknown;
        }
        if self.on {
            self.because(
                "expandable segments are on already: what strands the memory is something else".to_owned(),
            );
            return Verdict::Unknown;
        }
        if gap < thousandths(budget, share::GAP) {
            let (gap, budget) = (exact(gap), exact(budget));
            self.because(format!("a gap of {gap} in {budget} is what any training leaves: it does not tell"));
            return Verdict::Unknown;
        }
        if gap < tried && fit - tried < thousandths(budget, share::ROOM) {
            let (gap, left) = (exact(gap), exact(fit - tried));
            self.because(format!(
                "the gap of {gap} alone is less than the request, and packing would leave only {left}"
            ));
            return Verdict::Unknown;
        }
        self.because(format!("packed without a gap it would fit, with {} to spare", exact(fit - tried)));
        if facts.pools > 0 {
            let pools = exact(facts.pools);
            self.because(format!(
                "{pools} more lie idle in private pools, free only once the CUDA graphs are released"
            ));
        }
        Verdict::Fragmentation
    }
}
