//! The GPUs of a node as nvidia-smi tells of them.

use std::time::Duration;

use engine::site::Site;
use engine::step::StepError;
use schemars::JsonSchema;
use serde::Serialize;

use super::ask::{Answer, Problem, query};
use super::bus::BusId;
use super::smi::{Cell, Refusal, Row};
use super::xml::complete;

/// One GPU. A value that was not got is null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Gpu {
    /// nvidia-smi's index on this node.
    pub(crate) index: Option<u32>,
    /// `GPU-…`.
    pub(crate) uuid: Option<String>,
    /// PCI address, `0000:3b:00.0`.
    pub(crate) bus_id: Option<String>,
    /// Product.
    pub(crate) name: Option<String>,
    /// Memory, bytes.
    pub(crate) memory_total: Option<u64>,
    /// Memory in use when asked, bytes.
    pub(crate) memory_used: Option<u64>,
    /// Uncorrected ECC errors since the driver was loaded.
    pub(crate) ecc_volatile_uncorrected: Option<u64>,
    /// Uncorrected ECC errors in the card's life: history, no fault.
    pub(crate) ecc_aggregate_uncorrected: Option<u64>,
    /// Whether it has had more uncorrected SRAM errors in its life than NVIDIA tolerates; asked only of a card that had any.
    pub(crate) sram_threshold_exceeded: Option<bool>,
    /// A row remapping waits for the next reset: no fault.
    pub(crate) remap_pending: Option<bool>,
    /// A row could not be remapped: the card needs to be looked at.
    pub(crate) remap_failure: Option<bool>,
    /// Whether MIG is on.
    pub(crate) mig: Option<bool>,
    /// What the driver wants done: `None`, `Reset`, `Reboot`, `Drain P2P`, `Drain and Reset`; null where the
    /// driver does not tell (before 565 or so).
    pub(crate) recovery_action: Option<String>,
}

/// What nvidia-smi told of a node's GPUs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cards {
    /// Those that answered.
    pub(crate) gpus: Vec<Gpu>,
    /// Version of the driver.
    pub(crate) driver: Option<String>,
    /// Findings that are faults.
    pub(crate) faults: Vec<String>,
    /// What could not be read and would have decided.
    pub(crate) gaps: Vec<String>,
    /// What could not be read and does not matter, or is merely odd.
    pub(crate) notes: Vec<String>,
    /// nvidia-smi did not come back.
    pub(crate) hung: bool,
}

/// The gaps that a report may fill, after the GPU's label.
pub(crate) const NO_ECC: &str = ": ECC errors could not be read";
/// See [`NO_ECC`].
pub(crate) const NO_REMAP: &str = ": remapped rows could not be read";

const GPU_FIELDS: &[&str] = &[
    "index",
    "uuid",
    "pci.bus_id",
    "driver_version",
    "memory.total",
    "memory.used",
    "mig.mode.current",
    "ecc.mode.current",
    "ecc.errors.uncorrected.volatile.total",
    "ecc.errors.uncorrected.volatile.sram",
    "ecc.errors.uncorrected.volatile.dram",
    "ecc.errors.uncorrected.aggregate.total",
    "ecc.errors.uncorrected.aggregate.sram",
    "ecc.errors.uncorrected.aggregate.dram",
    "gpu_recovery_action",
    "name",
];

const REMAP_FIELDS: &[&str] = &["gpu_uuid", "remapped_rows.pending", "remapped_rows.failure"];

/// Asks for the GPUs of a node and their remapped rows.
///
/// # Errors
/// The node could not be reached.
pub(crate) async fn cards(site: &dyn Site, node: &str, timeout: Duration) -> Result<Cards, StepError> {
    let answer = query(site, node, "--query-gpu", GPU_FIELDS, timeout).await?;
    let mut cards = read_gpus(&answer, timeout);
    if !cards.hung && !cards.gpus.is_empty() {
        let remap = query(site, node, "--query-remapped-rows", REMAP_FIELDS, timeout).await?;
        add_remap(&mut cards, &remap, timeout);
        complete(site, node, &mut cards, timeout).await?;
    }
    Ok(cards)
}

fn read_gpus(answer: &Answer, timeout: Duration) -> Cards {
    let mut cards = Cards::default();
    problem(&mut cards, answer, "nvidia-smi --query-gpu", timeout);
    for row in &answer.table.rows {
        let cell = |field: &str| answer.cell(row, field);
        let ecc = |span: &str| uncorrected(answer, row, span);
        let gpu = Gpu {
            index: cell("index").and_then(Cell::number).and_then(|index| index.try_into().ok()),
            uuid: cell("uuid").and_then(Cell::text).map(str::to_owned),
            bus_id: cell("pci.bus_id").and_then(Cell::text).and_then(BusId::parse).map(|bus| bus.to_string()),
            name: cell("name").and_then(Cell::text).map(str::to_owned),
            memory_total: cell("memory.total").and_then(Cell::bytes),
            memory_used: cell("memory.used").and_then(Cell::bytes),
            ecc_volatile_uncorrected: ecc("volatile"),
            ecc_aggregate_uncorrected: ecc("aggregate"),
            sram_threshold_exceeded: None,
            remap_pending: None,
            remap_failure: None,
            mig: cell("mig.mode.current").and_then(Cell::flag),
            recovery_action: cell("gpu_recovery_action").and_then(Cell::text).map(str::to_owned),
        };
        let label = gpu.label();
        if cards.driver.is_none() {
            cards.driver = cell("driver_version").and_then(Cell::text).map(str::to_owned);
        }
        let lost = row.iter().find_map(|cell| if let Cell::Lost(word) = cell { Some(word) } else { None });
        if let Some(word) = lost {
            cards.faults.push(format!("{label}: nvidia-smi says \"{word}\""));
        }
        match gpu.ecc_volatile_uncorrected {
            Some(0) => {}
            Some(n) => {
                cards.faults.push(format!("{label}: {n} uncorrected ECC errors since the driver was loaded"))
            }
            // `[N/A]` with ECC off or not there is this card's nature; anything else hides an answer.
            None => match cell("ecc.mode.current") {
                Some(Cell::Unsupported) => cards.notes.push(format!("{label}: has no ECC")),
                Some(Cell::Value(mode)) if mode.eq_ignore_ascii_case("disabled") => {
                    cards.notes.push(format!("{label}: ECC is off"));
                }
                _ if lost.is_some() => {}
                _ => cards.gaps.push(format!("{label}{NO_ECC}")),
            },
        }
        match gpu.recovery_action.as_deref() {
            Some(action) if !action.eq_ignore_ascii_case("none") => {
                cards.faults.push(format!("{label}: the driver asks for recovery action \"{action}\""));
            }
            _ => {}
        }
        cards.gpus.push(gpu);
    }
    cards
}

/// The larger of the total and the sum of its parts: drivers differ in which of them they know.
fn uncorrected(answer: &Answer, row: &Row, span: &str) -> Option<u64> {
    let part = |kind: &str| {
        answer.cell(row, &format!("ecc.errors.uncorrected.{span}.{kind}")).and_then(Cell::number)
    };
    let parts = [part("sram"), part("dram")].into_iter().flatten().reduce(u64::saturating_add);
    part("total").into_iter().chain(parts).max()
}

fn add_remap(cards: &mut Cards, answer: &Answer, timeout: Duration) {
    if answer.problem == Some(Problem::Refused(Refusal::NoSuchQuery)) {
        cards.notes.push("this driver does not tell of remapped rows".to_owned());
        return;
    }
    problem(cards, answer, "nvidia-smi --query-remapped-rows", timeout);
    let failed = answer.problem.is_some();
    for gpu in &mut cards.gpus {
        let label = gpu.label();
        let row = answer.table.rows.iter().find(|row| {
            let uuid = answer.cell(row, "gpu_uuid").and_then(Cell::text);
            uuid.is_some() && uuid == gpu.uuid.as_deref()
        });
        let cell = |field: &str| row.and_then(|row| answer.cell(row, field));
        gpu.remap_pending = cell("remapped_rows.pending").and_then(Cell::flag);
        gpu.remap_failure = cell("remapped_rows.failure").and_then(Cell::flag);
        match (gpu.remap_failure, cell("remapped_rows.failure")) {
            (Some(true), _) => cards.faults.push(format!("{label}: a memory row could not be remapped")),
            (Some(false), _) if gpu.remap_pending == Some(true) => {
                cards
                    .notes
                    .push(format!("{label}: a row remapping waits for the next reset (no fault by itself)"));
            }
            (Some(false), _) => {}
            (None, Some(Cell::Unsupported)) => {
                let why = if gpu.mig == Some(true) { "not told while MIG is on" } else { "not supported" };
                cards.notes.push(format!("{label}: remapped rows: {why}"));
            }
            (None, _) if failed => {}
            (None, _) => cards.gaps.push(format!("{label}{NO_REMAP}")),
        }
    }
}

fn problem(cards: &mut Cards, answer: &Answer, what: &str, timeout: Duration) {
    for line in &answer.table.lost {
        if !cards.faults.contains(line) {
            cards.faults.push(line.clone());
        }
    }
    cards.notes.extend(answer.table.other.iter().filter(|_| answer.problem.is_none()).cloned());
    match &answer.problem {
        None => {}
        Some(Problem::Hung) => {
            cards.hung = true;
            cards.gaps.push(format!("{what} did not come back within {} s", timeout.as_secs()));
        }
        Some(Problem::Refused(Refusal::Missing)) => {
            cards.gaps.push("there is no nvidia-smi on the node".to_owned())
        }
        Some(Problem::Refused(Refusal::NoSuchQuery)) => {
            cards.gaps.push(format!("{what} is not known to this driver"))
        }
        Some(Problem::Refused(Refusal::Denied(why))) => {
            cards.gaps.push(format!("{what} is not allowed: {why}"))
        }
        // The lines about the lost GPUs say it better, and the second query repeats the first.
        Some(Problem::Refused(Refusal::Lost(_)))
            if !answer.table.lost.is_empty() || !cards.faults.is_empty() => {}
        Some(Problem::Refused(Refusal::Lost(why))) => cards.faults.push(format!("nvidia-smi: {why}")),
        // A lost GPU among others gives status 15 or 255, depending on the driver.
        Some(Problem::Refused(Refusal::Failed(_))) if !answer.table.lost.is_empty() => {}
        Some(Problem::Refused(Refusal::Failed(why))) => cards.gaps.push(why.clone()),
    }
}

impl Gpu {
    /// `GPU 3 (0000:3b:00.0)`.
    pub(crate) fn label(&self) -> String {
        let index = self.index.map_or("?".to_owned(), |index| index.to_string());
        format!("GPU {index} ({})", self.bus_id.as_deref().unwrap_or("address unknown"))
    }
}
