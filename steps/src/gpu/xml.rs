//! `nvidia-smi -q -x`: what the tables leave open. Older drivers lack fields of `--query-gpu`, and whether a card has had
//! more uncorrected SRAM errors than NVIDIA tolerates stands here only.
//!
//! Sources: public outputs of drivers 470 to 590 (`nvsmi_device_v*.dtd`); one combined `sram_uncorrectable` up to 530, parity and
//! SEC-DED apart since 535; NVIDIA, "GPU memory error management", RMA policy thresholds.

use std::time::Duration;

use engine::site::{Command, Exit, Site};
use engine::step::StepError;
use roxmltree::{Document, Node, ParsingOptions};

use super::ask::{Ran, run};
use super::bus::BusId;
use super::cards::{Cards, Gpu, NO_ECC, NO_REMAP};
use super::smi::Cell;

/// Elements that are read at most: a node of 16 GPUs has some ten thousand.
const MOST: u32 = 200_000;

/// One GPU of the report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    uuid: Option<String>,
    bus: Option<BusId>,
    volatile: Option<u64>,
    aggregate: Option<u64>,
    threshold: Option<bool>,
    pending: Option<bool>,
    failure: Option<bool>,
    recovery: Option<String>,
}

/// Reads a report; `None` if it is none.
pub(crate) fn reports(text: &str) -> Option<Vec<Report>> {
    let options = ParsingOptions { allow_dtd: true, nodes_limit: MOST, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).ok()?;
    let gpus = document.root_element().children().filter(|node| node.has_tag_name("gpu"));
    Some(gpus.map(report).collect())
}

fn report(gpu: Node<'_, '_>) -> Report {
    let cell = |path: &[&str]| {
        let node = path
            .iter()
            .try_fold(gpu, |node, name| node.children().find(|child| child.has_tag_name(*name)))?;
        Some(Cell::read(node.text().unwrap_or_default()))
    };
    let flag = |path: &[&str]| cell(path).and_then(|cell| cell.flag());
    // What is not there is not added; nothing there at all is not zero.
    let errors = |span: &str| {
        let kinds = [
            "sram_uncorrectable",
            "sram_uncorrectable_parity",
            "sram_uncorrectable_secded",
            "dram_uncorrectable",
        ];
        let counts = kinds.iter().filter_map(|kind| cell(&["ecc_errors", span, kind])?.number());
        counts.reduce(u64::saturating_add)
    };
    let word = |path: &[&str]| cell(path)?.text().map(str::to_owned);
    let bus = word(&["pci", "pci_bus_id"]).or_else(|| gpu.attribute("id").map(str::to_owned));
    Report {
        uuid: word(&["uuid"]),
        bus: bus.as_deref().and_then(BusId::parse),
        volatile: errors("volatile"),
        aggregate: errors("aggregate"),
        threshold: flag(&["ecc_errors", "aggregate", "sram_threshold_exceeded"]),
        pending: flag(&["remapped_rows", "remapped_row_pending"]),
        failure: flag(&["remapped_rows", "remapped_row_failure"]),
        recovery: word(&["gpu_recovery_action"]),
    }
}

/// Asks for the report where the tables left something open, and fills it in.
///
/// # Errors
/// The node could not be reached.
pub(crate) async fn complete(
    site: &dyn Site,
    node: &str,
    cards: &mut Cards,
    timeout: Duration,
) -> Result<(), StepError> {
    let open = |gap: &String| gap.ends_with(NO_ECC) || gap.ends_with(NO_REMAP);
    // Only a card that ever had an uncorrected error can have had too many.
    let ever = |gpu: &Gpu| gpu.ecc_aggregate_uncorrected.is_some_and(|errors| errors > 0);
    // What is known to be faulty is not asked more than it has to be: nvidia-smi hangs on sick cards.
    let decided = cards.hung || !cards.faults.is_empty();
    if decided || !(cards.gaps.iter().any(open) || cards.gpus.iter().any(ever)) {
        return Ok(());
    }
    let command = Command::argv(["nvidia-smi", "-q", "-x"]).on(node).timeout(timeout);
    let read = match run(site, command).await? {
        // 14 and 15 say that an infoROM is corrupted or a GPU lost; the others are in the report.
        Ran::Ended(output) if matches!(output.exit, Exit::Code(0 | 14 | 15)) => reports(&output.text()),
        Ran::Hung => {
            cards.hung = true;
            cards.gaps.push(format!("nvidia-smi -q did not come back within {} s", timeout.as_secs()));
            return Ok(());
        }
        Ran::Ended(_) | Ran::Denied(_) => None,
    };
    match read {
        Some(reports) => fill(cards, &reports),
        None => cards.notes.push("nvidia-smi -q -x gave no report that can be read".to_owned()),
    }
    Ok(())
}

/// Takes over what the tables did not tell.
fn fill(cards: &mut Cards, reports: &[Report]) {
    let Cards { gpus, faults, gaps, notes, .. } = cards;
    for gpu in gpus {
        let label = gpu.label();
        let bus = gpu.bus_id.as_deref().and_then(BusId::parse);
        let same = |report: &&Report| {
            (bus.is_some() && report.bus == bus) || (gpu.uuid.is_some() && report.uuid == gpu.uuid)
        };
        let Some(report) = reports.iter().find(same) else { continue };
        if gpu.ecc_volatile_uncorrected.is_none()
            && let Some(errors) = report.volatile
        {
            gpu.ecc_volatile_uncorrected = Some(errors);
            gaps.retain(|gap| *gap != format!("{label}{NO_ECC}"));
            if errors > 0 {
                faults.push(format!("{label}: {errors} uncorrected ECC errors since the driver was loaded"));
            }
        }
        gpu.ecc_aggregate_uncorrected = gpu.ecc_aggregate_uncorrected.or(report.aggregate);
        gpu.remap_pending = gpu.remap_pending.or(report.pending);
        if gpu.remap_failure.is_none()
            && let Some(failed) = report.failure
        {
            gpu.remap_failure = Some(failed);
            gaps.retain(|gap| *gap != format!("{label}{NO_REMAP}"));
            if failed {
                faults.push(format!("{label}: a memory row could not be remapped"));
            } else if gpu.remap_pending == Some(true) {
                notes.push(format!("{label}: a row remapping waits for the next reset (no fault by itself)"));
            }
        }
        gpu.sram_threshold_exceeded = report.threshold;
        if report.threshold == Some(true) {
            faults.push(format!("{label}: more uncorrected SRAM errors in its life than NVIDIA tolerates"));
        }
        if gpu.recovery_action.is_none()
            && let Some(action) = &report.recovery
        {
            gpu.recovery_action = Some(action.clone());
            if !action.eq_ignore_ascii_case("none") {
                faults.push(format!("{label}: the driver asks for recovery action \"{action}\""));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &str =
        "<?xml version=\"1.0\" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM \"nvsmi_device_v12.dtd\">\n";

    fn one(inside: &str) -> Report {
        let text =
            format!("{HEAD}<nvidia_smi_log><gpu id=\"00000000:1B:00.0\">{inside}</gpu></nvidia_smi_log>");
        reports(&text).unwrap().remove(0)
    }

    #[test]
    fn both_generations_of_counters_by_section() {
        let old = one(
            "<ecc_mode><pending_ecc>Enabled</pending_ecc></ecc_mode><ecc_errors><volatile><sram_uncorrectable>1</sram_uncorrectable>\
             <dram_uncorrectable>2</dram_uncorrectable></volatile><aggregate><dram_uncorrectable>9</dram_uncorrectable></aggregate></ecc_errors>",
        );
        assert_eq!((old.volatile, old.aggregate, old.threshold), (Some(3), Some(9), None));
        assert_eq!(old.bus.map(|bus| bus.to_string()).as_deref(), Some("0000:1b:00.0"));
        let new = one(
            "<uuid>GPU-1</uuid><gpu_recovery_action>Drain and Reset</gpu_recovery_action><ecc_errors><volatile>\
             <sram_uncorrectable_parity>0</sram_uncorrectable_parity><sram_uncorrectable_secded>0</sram_uncorrectable_secded>\
             <dram_uncorrectable>0</dram_uncorrectable></volatile><aggregate><sram_uncorrectable_parity>7</sram_uncorrectable_parity>\
             <sram_threshold_exceeded>Yes</sram_threshold_exceeded></aggregate></ecc_errors><remapped_rows>\
             <remapped_row_pending>Yes</remapped_row_pending><remapped_row_failure>No</remapped_row_failure></remapped_rows>",
        );
        assert_eq!((new.volatile, new.aggregate, new.threshold), (Some(0), Some(7), Some(true)));
        assert_eq!((new.pending, new.failure), (Some(true), Some(false)));
        assert_eq!(new.recovery.as_deref(), Some("Drain and Reset"));
    }

    #[test]
    fn not_there_and_not_applicable_are_not_zero() {
        let none =
            one("<ecc_errors><volatile><dram_uncorrectable>N/A</dram_uncorrectable></volatile></ecc_errors>");
        assert_eq!((none.volatile, none.aggregate, none.failure), (None, None, None));
    }

    #[test]
    fn an_alias_bomb_is_no_report() {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">\
                    <!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;\"><!ENTITY e \"&d;&d;&d;&d;&d;&d;&d;&d;\">]><x>&e;&e;&e;</x>";
        let read = reports(bomb);
        assert!(read.is_none_or(|reports| reports.is_empty()));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,200}") {
            let _ = reports(&text);
            let _ = reports(&format!("{HEAD}<nvidia_smi_log><gpu>{text}</gpu></nvidia_smi_log>"));
        }
    }
}
