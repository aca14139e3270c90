//! PCI addresses of GPUs, which the driver and nvidia-smi write in different ways.

use std::fmt;

use crate::gpu::params::Word;

/// A PCI address without its function: every GPU is function 0 of its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BusId {
    domain: u32,
    bus: u8,
    device: u8,
}

impl BusId {
    /// Reads nvidia-smi's `00000000:3B:00.0`, the kernel's `0000:3b:00`, lspci's `3b:00.0`, and the same
    /// after a leading `GPU` or `PCI:`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches("PCI:").trim_start_matches("GPU").trim();
        let parts: Vec<&str> = text.split(':').collect();
        let (domain, bus, device) = match parts[..] {
            [domain, bus, device] => (hex(domain, 8)?, bus, device),
            [bus, device] => (0, bus, device),
            _ => return None,
        };
        let device = match device.split_once('.') {
            Some((device, function)) => {
                hex(function, 1)?;
                device
            }
            None => device,
        };
        Some(Self { domain, bus: hex(bus, 2)?.try_into().ok()?, device: hex(device, 2)?.try_into().ok()? })
    }
}

fn hex(digits: &str, most: usize) -> Option<u32> {
    let fits = !digits.is_empty() && digits.len() <= most && digits.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| u32::from_str_radix(digits, 16).ok())?
}

/// As lspci writes it: `0000:3b:00.0`.
impl fmt::Display for BusId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.0", self.domain, self.bus, self.device)
    }
}

/// How a GPU was named by whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Device {
    /// By its address.
    Bus(BusId),
    /// By its `GPU-…` or `MIG-…` uuid.
    Uuid(String),
    /// By an index. The one in an out-of-memory text counts the GPUs that one process saw, so it identifies
    /// nothing.
    Index(u32),
}

impl Device {
    /// Reads a bus id, a uuid or an index; `None` for anything else.
    pub(crate) fn parse(word: &Word) -> Option<Self> {
        let text = word.0.as_str();
        if text.starts_with("GPU-") || text.starts_with("MIG-") {
            return Some(Self::Uuid(text.to_owned()));
        }
        text.parse().ok().map(Self::Index).or_else(|| BusId::parse(text).map(Self::Bus))
    }

    /// Whether it is the GPU at this address with this uuid; `None` where that cannot be told.
    pub(crate) fn is(&self, bus: Option<BusId>, uuid: Option<&str>) -> Option<bool> {
        match self {
            Self::Bus(wanted) => bus.map(|bus| bus == *wanted),
            Self::Uuid(wanted) => uuid.map(|uuid| uuid == wanted),
            Self::Index(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_spellings_are_one_address() {
        for text in [
            "00000000:3B:00.0",
            "0000:3b:00",
            "3b:00.0",
            "PCI:0000:3b:00",
            "GPU0000:3B:00.0",
            " 0000:3B:00.0",
        ] {
            assert_eq!(BusId::parse(text).map(|b| b.to_string()).as_deref(), Some("0000:3b:00.0"), "{text}");
        }
        assert_eq!(BusId::parse("00010000:01:00.0").map(|b| b.to_string()).as_deref(), Some("10000:01:00.0"));
        for text in ["", "3", "0000:3b", "::", "zz:00.0", "0000:3b:00.00", "0000:03b:00", "+0:00:00"] {
            assert_eq!(BusId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_index_identifies_nothing() {
        let device = |text: &str| Device::parse(&Word(text.to_owned()));
        assert_eq!(device("3"), Some(Device::Index(3)));
        assert_eq!(device("3").and_then(|d| d.is(BusId::parse("3b:00"), Some("GPU-a"))), None);
        assert_eq!(device("GPU-a").and_then(|d| d.is(None, Some("GPU-a"))), Some(true));
        assert_eq!(device("3b:00.0").and_then(|d| d.is(BusId::parse("0000:3b:00"), None)), Some(true));
        assert_eq!(device("cuda:3x"), None);
    }

    proptest! {
        #[test]
        fn never_panics_and_round_trips(text in "\\PC{0,24}") {
            if let Some(bus) = BusId::parse(&text) {
                prop_assert_eq!(BusId::parse(&bus.to_string()), Some(bus));
            }
        }
    }
}
