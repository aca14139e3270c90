//! Errors of other allocators, and vLLM's check at its start: their messages say less, and a little can be told from it.

use super::facts::Facts;
use super::foreign::OWN_EXTRA;
use super::rules::Case;
use super::verdict::Verdict;
use crate::oom::identities::ROUNDING;
use crate::oom::kind::Kind;
use crate::oom::snapshot::Cure;
use crate::size::exact;

impl Case<'_> {
    /// The verdict on what did not come from PyTorch's caching allocator; `None`: it did.
    pub(super) fn elsewhere(&mut self, facts: &Facts) -> Option<Verdict> {
        let Some(kind) = self.error.kind else {
            self.because("the kind of error is not known");
            return Some(Verdict::Unknown);
        };
        if kind.is_caching_allocator() {
            return None;
        }
        let told = self.told_elsewhere(kind, facts);
        if told.is_some() {
            return told;
        }
        self.because(match kind {
            Kind::XpuBlockLimit => {
                "a single block of more than 4 GB was refused; the memory is not exhausted".to_owned()
            }
            Kind::NvmlAssert => {
                "the sizes were lost: PyTorch failed while it composed the message".to_owned()
            }
            kind => format!("{}: its message does not carry the sizes that tell", kind.words()),
        });
        Some(Verdict::Unknown)
    }

    /// What the numbers of other allocators and of vLLM's check at its start allow to say.
    fn told_elsewhere(&mut self, kind: Kind, facts: &Facts) -> Option<Verdict> {
        match kind {
            Kind::CudaAsyncAllocator | Kind::MpsAllocator => {
                let (live, tried) = (facts.allocated?, facts.tried?);
                let bound = [facts.capacity, facts.limit].into_iter().flatten().min()?;
                let need = live.saturating_add(tried);
                (need > bound.saturating_add(ROUNDING)).then(|| {
                    let (live, tried, need, bound) = (exact(live), exact(tried), exact(need), exact(bound));
                    self.because(format!(
                        "live {live} + tried {tried} = {need} is more than there is, {bound}"
                    ));
                    Verdict::TrueOom
                })
            }
            Kind::NvmlAssert => (self.cure == Some(Cure::Served) && !self.on).then(|| {
                self.because("the sizes were lost: PyTorch failed while it composed the message");
                self.because("the snapshot's trace, replayed with expandable segments, serves the request that failed last");
                Verdict::Fragmentation
            }),
            // It looks before it allocates anything: what is in use is its context, or others'.
            Kind::VllmStartupCheck => {
                let (wanted, capacity, free) = (facts.tried?, facts.capacity?, facts.free?);
                let others = capacity.saturating_sub(free).saturating_sub(OWN_EXTRA);
                (others >= Self::matters(capacity) && wanted <= capacity).then(|| {
                    self.out.foreign_bytes = Some(others);
                    let used = exact(capacity.saturating_sub(free));
                    self.because(format!(
                        "{used} of {} are in use before this process allocates; its context takes at most {}",
                        exact(capacity),
                        exact(OWN_EXTRA)
                    ));
                    Verdict::CoTenant
                })
            }
            _ => None,
        }
    }
}
