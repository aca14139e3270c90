//! Traces as text: a line each in, a line for every answer and every call of the driver out.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::allocator::device::Call;
use crate::allocator::{Allocator, BlockId, Device, Settings};

/// Something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Ask for so many bytes under a number of one's own.
    Ask(u64, u64),
    /// Give that one back.
    Free(u64),
    /// `empty_cache()`.
    Flush,
    /// Say how things stand.
    Stats,
}

/// As the reference reads it.
pub(super) fn script(deeds: &[Deed]) -> String {
    let mut text = String::new();
    for deed in deeds {
        let _ = match deed {
            Deed::Ask(name, bytes) => writeln!(text, "a {name} {bytes}"),
            Deed::Free(name) => writeln!(text, "f {name}"),
            Deed::Flush => writeln!(text, "e"),
            Deed::Stats => writeln!(text, "s"),
        };
    }
    text
}

/// What the model does, as the reference prints it.
pub(super) fn told(device: Device, settings: Settings, deeds: &[Deed]) -> String {
    let mut allocator = Allocator::new(device.recording(), settings);
    let mut live: BTreeMap<u64, BlockId> = BTreeMap::new();
    let mut text = String::new();
    for deed in deeds {
        let line = match *deed {
            Deed::Ask(name, bytes) => match allocator.malloc(bytes, 0) {
                Ok(block) => {
                    live.insert(name, block);
                    format!("a {name} {bytes} ok {:#x}", allocator.address(block))
                }
                Err(_) => format!("OOM[a {name} {bytes}]"),
            },
            Deed::Free(name) => match live.remove(&name) {
                Some(block) => {
                    allocator.free(block);
                    format!("f {name}")
                }
                None => format!("f {name} -"),
            },
            Deed::Flush => {
                allocator.release_cached();
                "emptyCache".to_owned()
            }
            Deed::Stats => {
                let s = allocator.stats();
                format!(
                    "stats alloc={} reserved={} active={} requested={} inactive_split={} nsplit={} segs={} retries={} ooms={} ",
                    s.allocated,
                    s.reserved,
                    s.allocated,
                    s.requested,
                    s.inactive_split,
                    s.inactive_splits,
                    s.segments,
                    s.retries,
                    s.ooms
                )
            }
        };
        for call in allocator.device.calls() {
            tell(&mut text, call);
        }
        let _ = writeln!(text, "{line}");
    }
    text
}

fn tell(text: &mut String, call: Call) {
    let _ = match call {
        Call::Malloc { bytes, address: Some(address) } => {
            writeln!(text, "  cudaMalloc {bytes} -> {address:#x}")
        }
        Call::Malloc { bytes, address: None } => writeln!(text, "  cudaMalloc {bytes} -> OOM"),
        Call::Free { bytes } => writeln!(text, "  cudaFree {bytes}"),
        Call::Reserve { bytes } => writeln!(text, "  cuMemAddressReserve {bytes}"),
        Call::CreateRefused { page } => writeln!(text, "  cuMemCreate {page} -> OOM"),
        Call::Create { page, count } => {
            (0..count).for_each(|_| {
                let _ = writeln!(text, "  cuMemCreate {page}");
            });
            Ok(())
        }
        Call::Release { page, count } => {
            (0..count).for_each(|_| {
                let _ = writeln!(text, "  cuMemRelease {page}");
            });
            Ok(())
        }
    };
}
