//! The driver's side: capacity and addresses, and what was asked of it.

use super::settings::ROUND_LARGE;
use crate::size::GIB;

/// A call of the driver, in the order in which they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// `cudaMalloc`; the address, or `None` where it was refused.
    Malloc { bytes: u64, address: Option<u64> },
    /// `cudaFree`.
    Free { bytes: u64 },
    /// `cuMemAddressReserve`.
    Reserve { bytes: u64 },
    /// `cuMemCreate` of so many pages.
    Create { page: u64, count: u64 },
    /// `cuMemCreate` of a page, refused.
    CreateRefused { page: u64 },
    /// `cuMemRelease` of so many pages.
    Release { page: u64, count: u64 },
}

/// A device of so many bytes, of which others hold some.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    total: u64,
    others: u64,
    used: u64,
    next_address: u64,
    next_range: u64,
    calls: Option<Vec<Call>>,
}

impl Device {
    /// A device of `total` bytes, at most 2^46, of which `others` bytes are not to be had.
    pub(crate) fn new(total: u64, others: u64) -> Self {
        Self {
            total,
            others,
            used: 0,
            next_address: 0x7f00_0000_0000,
            next_range: 0x6f00_0000_0000,
            calls: None,
        }
    }

    /// Keeps every call from now on, for [`Device::calls`].
    #[cfg(test)]
    pub(super) fn recording(mut self) -> Self {
        self.calls = Some(Vec::new());
        self
    }

    /// The calls since the last time.
    #[cfg(test)]
    pub(super) fn calls(&mut self) -> Vec<Call> {
        self.calls.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Others hold so many bytes from now on.
    pub(super) fn set_others(&mut self, others: u64) {
        self.others = others;
    }

    /// Bytes that can be had.
    pub(crate) fn free(&self) -> u64 {
        self.total.saturating_sub(self.others).saturating_sub(self.used)
    }

    fn note(&mut self, call: Call) {
        if let Some(calls) = &mut self.calls {
            calls.push(call);
        }
    }

    /// Takes what is held already and ends at this address; what comes later lies behind it.
    pub(super) fn take(&mut self, bytes: u64, end: u64) -> Option<()> {
        let behind = end.checked_next_multiple_of(ROUND_LARGE)?.checked_add(ROUND_LARGE)?;
        if bytes > self.free() {
            return None;
        }
        self.used += bytes;
        self.next_address = self.next_address.max(behind);
        Some(())
    }

    pub(super) fn malloc(&mut self, bytes: u64) -> Option<u64> {
        // A hole between any two segments: they never look adjacent.
        let behind = self.next_address.checked_add(bytes.next_multiple_of(ROUND_LARGE) + ROUND_LARGE);
        let behind = behind.filter(|_| bytes <= self.free());
        let address = behind.map(|_| self.next_address);
        if let Some(behind) = behind {
            self.used += bytes;
            self.next_address = behind;
        }
        self.note(Call::Malloc { bytes, address });
        address
    }

    pub(super) fn release(&mut self, bytes: u64) {
        self.used -= bytes;
        self.note(Call::Free { bytes });
    }

    /// Reserves a range of addresses that can hold the device and an eighth more; its first address and its bytes.
    pub(super) fn reserve(&mut self, page: u64) -> Option<(u64, u64)> {
        let bytes = (self.total + self.total / 8).next_multiple_of(page).max(page);
        let address = self.next_range;
        self.next_range = address.checked_add(bytes.next_multiple_of(GIB))?;
        self.note(Call::Reserve { bytes });
        Some((address, bytes))
    }

    /// Takes so many pages, all or none.
    pub(super) fn create_pages(&mut self, page: u64, count: u64) -> bool {
        let possible = count.min(self.free() / page);
        if possible > 0 {
            self.note(Call::Create { page, count: possible });
        }
        if possible < count {
            self.note(Call::CreateRefused { page });
            if possible > 0 {
                self.note(Call::Release { page, count: possible });
            }
            return false;
        }
        self.used += page * count;
        true
    }

    pub(super) fn release_pages(&mut self, page: u64, count: u64) {
        self.used -= page * count;
        self.note(Call::Release { page, count });
    }
}
