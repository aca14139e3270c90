//! From what a node told to a verdict: pure.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::klog::Event;
use super::policy::{Action, Policy};

/// Whether a node may be trusted with work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Everything that decides was read, and nothing speaks against the node.
    Healthy,
    /// Something speaks against the node.
    Faulty,
    /// Nothing does, but not everything could be read.
    Unknown,
}

impl Verdict {
    /// The word: also the step's outcome.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Faulty => "faulty",
            Self::Unknown => "unknown",
        }
    }
}

/// One Xid line of the kernel log, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Xid {
    /// When it was written.
    #[schemars(with = "Option<String>")]
    pub(crate) at: Option<Timestamp>,
    /// PCI address of the GPU, `0000:3b:00.0`.
    pub(crate) bus_id: Option<String>,
    /// The number.
    pub(crate) xid: u32,
    /// Process that the driver names.
    pub(crate) pid: Option<u32>,
    /// Its name.
    pub(crate) name: Option<String>,
    /// The line, at most 200 characters.
    pub(crate) text: String,
    /// What the table of Xids says.
    pub(crate) action: Action,
    /// Whether it speaks against the node.
    pub(crate) counts: bool,
    /// Why it does or does not.
    pub(crate) why: String,
}

/// The times between which an error matters; an end that is `None` is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// Start.
    pub(crate) from: Option<Timestamp>,
    /// End.
    pub(crate) to: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Inside,
    Before,
    After,
    Unknown,
}

impl Window {
    /// A log's stamps may be cut to the second, so the start is cut, too.
    fn place(self, at: Option<Timestamp>) -> Place {
        if self.from.is_none() && self.to.is_none() {
            return Place::Inside;
        }
        let Some(at) = at else { return Place::Unknown };
        match (self.from, self.to) {
            (Some(from), _) if at.as_second() < from.as_second() => Place::Before,
            (_, Some(to)) if at > to => Place::After,
            _ => Place::Inside,
        }
    }
}

/// The errors of a kernel log, judged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Judged {
    /// Xids; those that count first, then by time.
    pub(crate) xids: Vec<Xid>,
    /// What speaks against the node.
    pub(crate) faults: Vec<String>,
    /// What cannot be judged and would decide.
    pub(crate) gaps: Vec<String>,
}

/// Judges the errors of a kernel log. `hung`: nvidia-smi did not come back, so an Xid that makes it hang is
/// no thing of the past whenever it was written. `pids` are the job's own processes.
pub(crate) fn judge(events: &[Event], policy: &Policy, window: Window, hung: bool, pids: &[u32]) -> Judged {
    let mut judged = Judged::default();
    for event in events {
        let report = &event.report;
        let place = window.place(event.at);
        let when = event.at.map_or("at an unknown time".to_owned(), |at| format!("at {at:.0}"));
        let Some(number) = report.xid else {
            match place {
                Place::Inside if report.fatal_switch => {
                    judged.faults.push(format!("{} ({when})", report.text))
                }
                Place::Unknown if report.fatal_switch => judged.gaps.push(format!("{}: {when}", report.text)),
                _ => {}
            }
            continue;
        };
        let ruling = policy.rule(number, &report.text);
        let fault = ruling.action == Action::Fault;
        let now = hung && ruling.hangs;
        let counts = fault && (place == Place::Inside || now);
        let bus_id = report.bus.map(|bus| bus.to_string());
        let on = bus_id.as_deref().unwrap_or("an unknown GPU");
        let mut why = match (place, fault) {
            (_, true) if counts && place != Place::Inside => {
                format!("{}; nvidia-smi hangs now, so it still holds", ruling.meaning)
            }
            (Place::Before, _) => format!("{}; before the window", ruling.meaning),
            (Place::After, _) => format!("{}; after the window", ruling.meaning),
            (Place::Unknown, _) => format!("{}; its time is unknown", ruling.meaning),
            (Place::Inside, _) => ruling.meaning.clone(),
        };
        if report.pid.is_some_and(|pid| pids.contains(&pid)) {
            why.push_str("; the process is the job's own");
        }
        let line = format!("Xid {number} on {on} {when}: {}", ruling.meaning);
        if counts {
            judged.faults.push(line);
        } else if place == Place::Unknown && fault
            || place == Place::Inside && ruling.action == Action::Unknown
        {
            judged.gaps.push(line);
        }
        judged.xids.push(Xid {
            at: event.at,
            bus_id,
            xid: number,
            pid: report.pid,
            name: report.name.clone(),
            text: report.text.clone(),
            action: ruling.action,
            counts,
            why,
        });
    }
    judged.xids.sort_by_key(|xid| (!xid.counts, xid.at));
    judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::xid::report;
    use jiff::SignedDuration;
    use proptest::prelude::*;

    fn event(at: &str, rest: &str) -> Event {
        Event { at: at.parse().ok(), report: report(&format!("NVRM: Xid (PCI:0000:05:00): {rest}")).unwrap() }
    }

    fn window() -> Window {
        Window { from: "2026-03-05T10:00:00.9Z".parse().ok(), to: "2026-03-05T11:00:00Z".parse().ok() }
    }

    fn faults(events: &[Event], hung: bool) -> Judged {
        judge(events, &Policy::shipped().unwrap(), window(), hung, &[7062])
    }

    #[test]
    fn only_faults_inside_the_window_count() {
        let judged = faults(
            &[
                event("2026-03-05T09:59:59Z", "95, pid=1, Uncontained"),
                event("2026-03-05T10:00:00Z", "48, pid=1, An uncorrectable double bit error"),
                event("2026-03-05T10:30:00Z", "43, pid=7062, name=python, Ch 00000008"),
                event("2026-03-05T11:00:01Z", "64, pid=1, Row Remapper"),
            ],
            false,
        );
        assert_eq!(judged.faults, ["Xid 48 on 0000:05:00.0 at 2026-03-05T10:00:00Z: double-bit ECC error"]);
        let why: Vec<String> =
            judged.xids.iter().map(|x| format!("{} {} {}", x.xid, x.counts, x.why)).collect();
        insta::assert_snapshot!(why.join("\n"), @r"
        48 true double-bit ECC error
        95 false uncontained memory error; results since are not to be trusted; before the window
        43 false a process's channel was reset; the process is the job's own
        64 false row remapping could not be recorded; after the window
        ");
    }

    #[test]
    fn a_hang_makes_an_old_fault_a_present_one() {
        let old = [event(
            "2026-03-05T11:30:00Z",
            "119, pid=1, name=a, Timeout after 6s of waiting for RPC response",
        )];
        assert!(faults(&old, false).faults.is_empty());
        assert_eq!(faults(&old, true).faults.len(), 1);
    }

    #[test]
    fn what_cannot_be_placed_or_judged_is_a_gap_and_no_fault() {
        let judged = faults(
            &[event("?", "79, GPU has fallen off the bus."), event("2026-03-05T10:30:00Z", "250, new")],
            false,
        );
        assert!(judged.faults.is_empty());
        assert_eq!(judged.gaps.len(), 2);
        let known = faults(&[event("?", "43, pid=1, Ch 8")], false);
        assert!(known.gaps.is_empty());
    }

    #[test]
    fn a_fatal_switch_error_counts() {
        let line = "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 20034, Fatal, Link 30 LTSSM Fault Up";
        let at = "2026-03-05T10:30:00Z".parse().ok();
        assert_eq!(faults(&[Event { at, report: report(line).unwrap() }], false).faults.len(), 1);
    }

    proptest! {
        #[test]
        fn every_counted_xid_is_a_fault_line(xids in proptest::collection::vec((0u32..200, 0i64..7200, any::<bool>()), 0..20), hung: bool) {
            let start: Timestamp = "2026-03-05T09:30:00Z".parse().unwrap();
            let events: Vec<Event> = xids
                .iter()
                .map(|(xid, after, timed)| Event {
                    at: timed.then(|| start + SignedDuration::from_secs(*after)),
                    report: report(&format!("NVRM: Xid (PCI:0000:05:00): {xid}, x")).unwrap(),
                })
                .collect();
            let judged = judge(&events, &Policy::shipped().unwrap(), window(), hung, &[]);
            prop_assert_eq!(judged.xids.iter().filter(|x| x.counts).count(), judged.faults.len());
            prop_assert_eq!(judged.xids.len(), events.len());
        }
    }
}
