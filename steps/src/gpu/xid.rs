//! Lines by which the driver reports an error to the kernel log.
//!
//! Sources: the printf forms of `kernel_rc.c` in NVIDIA/open-gpu-kernel-modules 515 to 595; older drivers
//! printed neither `PCI:` nor a process name, newer ones (570+) leave an unknown process out.

use std::sync::LazyLock;

use super::bus::BusId;
use super::policy::fatal;
use crate::text::{Pattern, clean_to, pattern};

/// Characters of a line that are kept.
const TEXT: usize = 200;

/// One error that the driver reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// Where.
    pub(crate) bus: Option<BusId>,
    /// Xid number; `None` for an error of an NVSwitch.
    pub(crate) xid: Option<u32>,
    /// Process that the driver names.
    pub(crate) pid: Option<u32>,
    /// Its name.
    pub(crate) name: Option<String>,
    /// The line from `NVRM:` on, bounded and clean.
    pub(crate) text: String,
    /// Whether an NVSwitch called it fatal.
    pub(crate) fatal_switch: bool,
}

static XID: Pattern = Pattern::new(|| {
    pattern(
        r"NVRM: Xid \((?:PCI:)?([0-9a-fA-F:.]+)(?: GPU-I:\d+)?(?: GPU-CI:\d+)?\): (\d+)(?:, pid='?([^,']*)'?)?(?:, name=([^,]*))?",
    )
});
static LOST: Pattern = Pattern::new(|| {
    pattern(r"NVRM: (?:The NVIDIA )?GPU (?:at (?:PCI:)?)?([0-9a-fA-F:.]+):? (?:GPU )?has fallen off the bus")
});
static SWITCH: Pattern =
    LazyLock::new(|| pattern(r"nvidia-nvswitch\d+: SXid \((?:PCI:)?([0-9a-fA-F:.]+)\): \d+,"));

/// Reads one line of a kernel log; `None` if no NVIDIA error is in it.
pub(crate) fn report(line: &str) -> Option<Report> {
    if let Some(found) = XID.captures(line) {
        let group = |n: usize| found.get(n).map(|m| m.as_str().trim());
        let name = group(4).filter(|name| !name.is_empty() && *name != "<unknown>");
        return Some(Report {
            bus: group(1).and_then(BusId::parse),
            xid: Some(group(2)?.parse().ok()?),
            pid: group(3).and_then(|pid| pid.parse().ok()),
            name: name.map(|name| clean_to(name, 64)),
            text: clean_to(line.get(found.get(0)?.start()..)?, TEXT),
            fatal_switch: false,
        });
    }
    if let Some(found) = LOST.captures(line) {
        return Some(Report {
            bus: found.get(1).and_then(|m| BusId::parse(m.as_str().trim_end_matches(':'))),
            xid: Some(79),
            pid: None,
            name: None,
            text: clean_to(line.get(found.get(0)?.start()..)?, TEXT),
            fatal_switch: false,
        });
    }
    let found = SWITCH.captures(line)?;
    let text = clean_to(line.get(found.get(0)?.start()..)?, TEXT);
    let bus = found.get(1).and_then(|m| BusId::parse(m.as_str()));
    Some(Report { bus, xid: None, pid: None, name: None, fatal_switch: fatal(&text), text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn short(line: &str) -> String {
        report(line).map_or("-".to_owned(), |r| {
            let bus = r.bus.map(|b| b.to_string());
            format!("{:?} {:?} {:?} {:?}", bus.unwrap_or_default(), r.xid, r.pid, r.name.unwrap_or_default())
        })
    }

    #[test]
    fn reads_the_lines_of_all_driver_generations() {
        let lines = [
            "NVRM: Xid (PCI:0000:05:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
            "NVRM: Xid (PCI:0000:05:00): 94, pid=7062, Contained: CE User Channel (0x9). RST: No, D-RST: No",
            "NVRM: Xid (PCI:0000:9b:00): 119, pid=1240590, name=gpud, Timeout after 6s of waiting for RPC response from GPU4 GSP!",
            "NVRM: Xid (PCI:0000:9b:00): 43, pid=2924364, name=pt_main_thread, Ch 00000008",
            "NVRM: Xid (PCI:0000:9b:00): 154, GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)",
            "NVRM: Xid (PCI:0000:01:00 GPU-I:05): 13, pid=1, name=a, x",
            "NVRM: Xid (PCI:0000:01:00 GPU-I:05 GPU-CI:02): 31, pid=1, name=a, x",
            "NVRM: Xid (PCI:0000:10:1c): 63, pid=1896, Row Remapper: New row marked for remapping, reset gpu to activate.",
            "NVRM: Xid (0000:03:00): 14, Channel 00000001",
            "NVRM: GPU 0000:18:00.0: GPU has fallen off the bus.",
            "nvidia-nvswitch0: SXid (PCI:0000:c0:00.0): 12028, Non-fatal, Link 32 egress non-posted PRIV error (First)",
            "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.90.07  Fri May 31 09:35:42 UTC 2024",
        ];
        insta::assert_snapshot!(lines.map(short).join("\n"), @r#"
        "0000:05:00.0" Some(79) None ""
        "0000:05:00.0" Some(94) Some(7062) ""
        "0000:9b:00.0" Some(119) Some(1240590) "gpud"
        "0000:9b:00.0" Some(43) Some(2924364) "pt_main_thread"
        "0000:9b:00.0" Some(154) None ""
        "0000:01:00.0" Some(13) Some(1) "a"
        "0000:01:00.0" Some(31) Some(1) "a"
        "0000:10:1c.0" Some(63) Some(1896) ""
        "0000:03:00.0" Some(14) None ""
        "0000:18:00.0" Some(79) None ""
        "0000:c0:00.0" None None ""
        -
        "#);
    }

    #[test]
    fn text_starts_at_the_report_and_holds_no_escapes() {
        let line = format!(
            "2026-01-01T00:00:00+0000 n kernel: NVRM: Xid (PCI:0000:05:00): 13, \x1b]0;x\x07{}",
            "A".repeat(500)
        );
        let text = report(&line).unwrap().text;
        assert!(text.starts_with("NVRM: Xid (PCI:0000:05:00): 13, AAA"), "{text}");
        assert_eq!(text.chars().count(), TEXT);
    }

    #[test]
    fn a_switch_error_is_fatal_only_if_it_says_so() {
        let fatal = |line: &str| report(line).unwrap().fatal_switch;
        assert!(fatal("nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 20034, Fatal, Link 30 LTSSM Fault Up"));
        assert!(!fatal("nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 12028, Non-fatal, Link 32 egress"));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let text = String::from_utf8_lossy(&bytes);
            let _ = report(&text);
            let _ = report(&format!("NVRM: Xid (PCI:0000:05:00): {text}"));
        }
    }
}
