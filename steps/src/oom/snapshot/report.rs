//! From the bytes of a snapshot to what `oom.snapshot` says of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::content::{KEYS, Snapshot, read};
use super::holes::{Holdings, holdings};
use super::pickle::{Bounds, load};
use super::replay::{Cure, Failure, failure, replay};
use crate::size::{MIB, exact};

/// What an allocator's message says; to find the same failure in a snapshot. Other keys are accepted and not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) struct Wanted {
    /// Bytes that were refused.
    #[serde(default)]
    pub(crate) tried: Option<u64>,
    /// Bytes free on the device.
    #[serde(default)]
    pub(crate) free: Option<u64>,
    /// Bytes that a memory fraction allows the process.
    #[serde(default)]
    pub(crate) limit: Option<u64>,
}

/// What a snapshot says. Bytes; null: not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Evidence {
    /// The file.
    pub(crate) file: Option<String>,
    /// Ordinal of the device as the process counts.
    pub(crate) device: Option<u64>,
    /// How its memory is laid out, when the snapshot was taken.
    pub(crate) holdings: Option<Holdings>,
    /// Entries of its trace.
    pub(crate) entries: u64,
    /// True, false: expandable segments were on, off. Null: the snapshot does not say.
    pub(crate) expandable: Option<bool>,
    /// `max_split_size_mb`, in bytes; null: unlimited or not said.
    pub(crate) max_split: Option<u64>,
    /// The settings' text as it was read.
    pub(crate) conf: Option<String>,
    /// Bytes that the failed request asked of the driver; null: no failure in the trace, or another one.
    pub(crate) tried: Option<u64>,
    /// Bytes free on the device then.
    pub(crate) free: Option<u64>,
    /// What a replay with expandable segments says of it.
    pub(crate) cure: Option<Cure>,
    /// Bytes that were in use before the trace begins; their place is assumed.
    pub(crate) assumed: Option<u64>,
    /// What is worth knowing, a line each.
    pub(crate) reasons: Vec<String>,
}

/// How much a snapshot tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worth {
    /// It does not show the failure.
    Silent,
    /// It shows it.
    Shows,
    /// And its replay has an answer.
    Decides,
}

impl Evidence {
    pub(super) fn worth(&self) -> Worth {
        match (self.cure, self.tried) {
            (Some(Cure::Served | Cure::Refused), _) => Worth::Decides,
            (_, Some(_)) => Worth::Shows,
            _ => Worth::Silent,
        }
    }
}

/// What a message's figure may differ from the snapshot's by: two decimals of a GiB.
const ROUNDING: u64 = 8 * MIB;

impl Wanted {
    fn is_like(&self, failure: &Failure) -> bool {
        let like =
            |wanted: Option<u64>, found: u64| wanted.is_none_or(|wanted| wanted.abs_diff(found) <= ROUNDING);
        like(self.tried, failure.tried()) && like(self.free, failure.free)
    }
}

/// Reads a snapshot; nothing in it is run, whatever it holds.
///
/// # Errors
/// It is no snapshot, it is cut off, too large, or it would run something; a line that says so.
pub(crate) fn examine(bytes: &[u8], wanted: &Wanted) -> Result<Evidence, String> {
    let snapshot = read(&load(bytes, KEYS, Bounds::default())?)?;
    Ok(look(&snapshot, wanted))
}

fn look(snapshot: &Snapshot, wanted: &Wanted) -> Evidence {
    let mut out = Evidence::default();
    if let Some(in_force) = &snapshot.settings {
        out.expandable = in_force.expandable;
        out.max_split = in_force.max_split;
        out.conf = in_force.conf.clone();
    }
    let devices = snapshot.traces.len() as u64;
    let failed = (0..devices)
        .find_map(|device| Some((device, failure(snapshot, device, |found| wanted.is_like(found))?)));
    let held: Vec<u64> = snapshot.segments.iter().map(|segment| segment.device).collect();
    let only = held.first().copied().filter(|first| held.iter().all(|device| device == first));
    out.device = failed.map(|(device, _)| device).or(only);
    let Some(device) = out.device else {
        out.reasons.push("it shows several devices, and none of them failed so".to_owned());
        return out;
    };
    let held = holdings(snapshot, device);
    out.reasons.push(format!(
        "when it was taken {} of {} reserved were free, {} of them stranded, the largest piece {}",
        exact(held.free),
        exact(held.reserved),
        exact(held.stranded),
        exact(held.largest_free)
    ));
    out.holdings = Some(held);
    out.entries = usize::try_from(device)
        .ok()
        .and_then(|device| snapshot.traces.get(device))
        .map_or(0, |trace| trace.len() as u64);
    let Some((_, failed)) = failed else {
        out.reasons.push(if out.entries == 0 {
            "it holds no trace: the history was not recorded".to_owned()
        } else {
            "its trace shows no such failure".to_owned()
        });
        return out;
    };
    (out.tried, out.free) = (Some(failed.tried()), Some(failed.free));
    let played = replay(snapshot, device, &failed, wanted.limit);
    out.cure = Some(played.answer);
    out.assumed = Some(played.assumed);
    out.reasons.extend(played.reasons);
    out
}
