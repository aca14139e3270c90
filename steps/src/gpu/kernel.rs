//! Reading a node's kernel log, from whichever source lets itself be read.
//!
//! "May not be read" is never taken as "nothing in it": an unprivileged `journalctl` prints nothing and
//! returns 0, and `dmesg` is refused where `kernel.dmesg_restrict` is 1.

use std::time::Duration;

use engine::site::{Command, Exit, Output, Site};
use engine::step::StepError;
use jiff::Timestamp;

use super::ask::{Ran, run};
use super::klog::{Clock, Event, Found, search};
use crate::text::clean_to;

/// Bytes of a log that are taken.
const LIMIT: usize = 32 << 20;

/// What a node's kernel log told.
#[derive(Debug, Clone, Default)]
pub(crate) struct KernelLog {
    /// The sources that were read.
    pub(crate) sources: Vec<&'static str>,
    /// NVIDIA errors, each once.
    pub(crate) events: Vec<Event>,
    /// Why there may be errors that were not seen.
    pub(crate) gaps: Vec<String>,
}

/// The same journal without the limit to this boot.
const EARLIER_BOOTS: &str = "journalctl (earlier boots)";

struct Source {
    name: &'static str,
    argv: &'static [&'static str],
    /// Lines tell a local time: the node's clock is needed.
    local_time: bool,
    /// Other programs write there, too.
    syslog: bool,
}

const fn source(name: &'static str, argv: &'static [&'static str], local_time: bool, syslog: bool) -> Source {
    Source { name, argv, local_time, syslog }
}

/// In the order of trust. No `--since`: that the log reaches back to the window's start is seen from its
/// first line.
const SOURCES: &[Source] = &[
    source("journalctl", &["journalctl", "-k", "-o", "short-iso", "--no-pager"], false, false),
    source(
        EARLIER_BOOTS,
        &["journalctl", "_TRANSPORT=kernel", "-o", "short-iso", "--no-pager"],
        false,
        false,
    ),
    source("dmesg", &["dmesg", "--time-format", "iso"], false, false),
    source("dmesg -T", &["dmesg", "-T"], true, false),
    source("/var/log/kern.log", &["tail", "-c", "33554432", "/var/log/kern.log"], true, true),
    source("/var/log/messages", &["tail", "-c", "33554432", "/var/log/messages"], true, true),
    source("/var/log/syslog", &["tail", "-c", "33554432", "/var/log/syslog"], true, true),
];

/// Reads the kernel log back to `from`, source by source until one reaches back that far.
///
/// # Errors
/// The node could not be reached. That a source refuses is a gap, not an error.
pub(crate) async fn kernel_log(
    site: &dyn Site,
    node: &str,
    from: Option<Timestamp>,
    timeout: Duration,
) -> Result<KernelLog, StepError> {
    let mut log = KernelLog::default();
    let mut refused = Vec::new();
    let mut reaches: Option<Timestamp> = None;
    let mut clock = None;
    let mut hung = 0;
    for source in SOURCES {
        // A node on which two readers hang will not answer the third.
        if hung == 2 {
            break;
        }
        // Earlier boots are in the same journal: refused once, refused twice.
        if source.name == EARLIER_BOOTS && log.sources.is_empty() {
            continue;
        }
        if source.local_time && clock.is_none() {
            clock = node_clock(site, node, timeout).await?;
        }
        let argv = source.argv.iter().copied();
        let mut command = Command::argv(argv).on(node).timeout(timeout);
        command.output_limit = LIMIT + (1 << 20);
        let output = match run(site, command).await? {
            Ran::Ended(output) => output,
            Ran::Hung => {
                hung += 1;
                refused.push(format!("{}: no answer within {} s", source.name, timeout.as_secs()));
                continue;
            }
            Ran::Denied(why) => {
                refused.push(format!("{}: {why}", source.name));
                continue;
            }
        };
        let found = match readable(source, &output) {
            Ok(()) => search(&output.text(), clock.filter(|_| source.local_time), source.syslog),
            Err(why) => {
                refused.push(format!("{}: {why}", source.name));
                continue;
            }
        };
        if found.lines == 0 {
            refused.push(format!("{}: holds no line", source.name));
            continue;
        }
        if output.truncated {
            log.gaps.push(format!(
                "{} is longer than {} MiB: its end was not read",
                source.name,
                LIMIT >> 20
            ));
        }
        reaches = [reaches, found.earliest].into_iter().flatten().min();
        take(&mut log, source.name, found);
        let Some(from) = from else { break };
        if reaches.is_some_and(|earliest| earliest <= from) {
            break;
        }
    }
    if log.sources.is_empty() {
        log.gaps.push(format!("the kernel log could not be read ({})", refused.join("; ")));
    } else if let Some(from) = from {
        match reaches {
            Some(earliest) if earliest <= from => {}
            Some(earliest) => log.gaps.push(format!(
                "the kernel log reaches back to {earliest:.0} only, the window starts at {from:.0} (a reboot, or older lines are gone)"
            )),
            None => log.gaps.push("the kernel log's lines tell no time that can be read".to_owned()),
        }
    }
    Ok(log)
}

/// Adds what a source told and an earlier one did not: the same line stands in several sources, with stamps
/// that differ.
fn take(log: &mut KernelLog, name: &'static str, found: Found) {
    if name == EARLIER_BOOTS {
        log.events.clear();
    }
    let known: Vec<String> = log.events.iter().map(|event| event.report.text.clone()).collect();
    log.events.extend(found.events.into_iter().filter(|event| !known.contains(&event.report.text)));
    log.sources.push(name);
}

/// Whether an output is the log, or the reason why it is not.
fn readable(source: &Source, output: &Output) -> Result<(), String> {
    let (stdout, stderr) = (output.text(), output.err_text());
    let said = format!("{}\n{stderr}", stdout.lines().take(5).collect::<Vec<_>>().join("\n"));
    // Without the right to read the system's journal, journalctl says so in a hint and returns 0.
    if said.contains("not seeing messages") || said.contains("insufficient permissions") {
        return Err("not allowed to see the system's messages".to_owned());
    }
    let first = clean_to(stderr.lines().find(|line| !line.trim().is_empty()).unwrap_or_default(), 120);
    match output.exit {
        Exit::Code(0) => Ok(()),
        // grep and journalctl return 1 for "nothing there" in some releases; without a word on stderr it is
        // that.
        Exit::Code(1) if first.is_empty() && source.argv[0] == "journalctl" => Ok(()),
        Exit::Code(126 | 127) => Err("no such program".to_owned()),
        Exit::Code(code) if first.is_empty() => Err(format!("ended with status {code}")),
        Exit::Code(_) => Err(first),
        Exit::Signal(signal) => Err(format!("ended by signal {signal}")),
    }
}

async fn node_clock(site: &dyn Site, node: &str, timeout: Duration) -> Result<Option<Clock>, StepError> {
    let date = Command::argv(["date", "+%Y-%m-%dT%H:%M:%S%z"]).on(node).timeout(timeout);
    Ok(match run(site, date).await? {
        Ran::Ended(output) => Clock::parse(&output.text()),
        Ran::Hung | Ran::Denied(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::testkit::FakeSite;
    use crate::testkit::told::{Told, told};
    use engine::site::SiteErrorKind;

    const JOURNAL: &str = "ssh gpu-21 journalctl -k -o short-iso --no-pager";
    const BOOTS: &str = "ssh gpu-21 journalctl _TRANSPORT=kernel -o short-iso --no-pager";
    const DMESG: &str = "ssh gpu-21 dmesg --time-format iso";
    const DMESG_T: &str = "ssh gpu-21 dmesg -T";
    const DATE: &str = "ssh gpu-21 date +%Y-%m-%dT%H:%M:%S%z";
    const HINT: &str = "Hint: You are currently not seeing messages from other users and the system.\n      Users in groups 'adm', 'systemd-journal' can see all messages.\n      Pass -q to turn off this notice.\n";
    const XID: &str =
        "NVRM: Xid (PCI:0000:05:00): 95, pid=7062, Uncontained: LTC TAG (0x2,0x1). RST: Yes, D-RST: No";

    fn without_files(fake: Arc<FakeSite>) -> Arc<FakeSite> {
        ["kern.log", "messages", "syslog"].iter().fold(fake, |fake, name| {
            let path = format!("/var/log/{name}");
            let denied = format!("tail: cannot open '{path}' for reading: Permission denied\n");
            fake.ran(&format!("ssh gpu-21 tail -c 33554432 {path}"), 1, "", &denied)
        })
    }

    async fn read(fake: Arc<FakeSite>, from: &str) -> KernelLog {
        kernel_log(&*fake, "gpu-21", from.parse().ok(), Duration::from_secs(20)).await.unwrap()
    }

    #[tokio::test]
    async fn the_journal_of_this_boot_is_enough_if_it_reaches_back() {
        let text = format!(
            "2026-03-05T09:00:00+0000 gpu-21 kernel: Linux\n2026-03-05T11:00:00+0000 gpu-21 kernel: {XID}\n"
        );
        let log = read(told().ran(JOURNAL, 0, &text, ""), "2026-03-05T10:00:00Z").await;
        assert_eq!((log.sources, log.events.len(), log.gaps), (vec!["journalctl"], 1, vec![]));
    }

    #[tokio::test]
    async fn after_a_reboot_earlier_boots_are_read_and_each_error_counts_once() {
        let now = format!(
            "2026-03-05T11:30:00+0000 gpu-21 kernel: Linux\n2026-03-05T11:31:00+0000 gpu-21 kernel: {XID}\n"
        );
        let all = format!(
            "2026-03-01T11:30:00+0000 gpu-21 kernel: Linux\n2026-03-05T11:00:00+0000 gpu-21 kernel: {}\n{now}",
            XID.replace("95", "79")
        );
        let log =
            read(told().ran(JOURNAL, 0, &now, "").ran(BOOTS, 0, &all, ""), "2026-03-05T10:00:00Z").await;
        assert_eq!(log.events.iter().map(|e| e.report.xid.unwrap()).collect::<Vec<_>>(), [79, 95]);
        assert_eq!(log.gaps, Vec::<String>::new());
    }

    #[tokio::test]
    async fn an_unprivileged_reader_learns_that_nothing_was_seen() {
        let fake = without_files(told())
            .ran(JOURNAL, 0, "-- No entries --\n", HINT)
            .ran(DMESG, 1, "", "dmesg: read kernel buffer failed: Operation not permitted\n")
            .ran(DMESG_T, 1, "", "dmesg: read kernel buffer failed: Operation not permitted\n")
            .ran(DATE, 0, "2026-03-05T12:00:00+0000\n", "");
        let log = read(fake, "2026-03-05T10:00:00Z").await;
        assert!(log.sources.is_empty() && log.events.is_empty());
        insta::assert_snapshot!(log.gaps.join("\n"), @"the kernel log could not be read (journalctl: not allowed to see the system's messages; dmesg: dmesg: read kernel buffer failed: Operation not permitted; dmesg -T: dmesg: read kernel buffer failed: Operation not permitted; /var/log/kern.log: tail: cannot open '/var/log/kern.log' for reading: Permission denied; /var/log/messages: tail: cannot open '/var/log/messages' for reading: Permission denied; /var/log/syslog: tail: cannot open '/var/log/syslog' for reading: Permission denied)");
    }

    #[tokio::test]
    async fn an_old_dmesg_is_placed_by_the_nodes_own_clock() {
        let fake = told()
            .broke(JOURNAL, SiteErrorKind::Timeout)
            .ran(DMESG, 1, "", "dmesg: unrecognized option '--time-format'\n")
            .ran(DATE, 0, "2026-03-05T13:00:00+0100\n", "")
            .ran(
                DMESG_T,
                0,
                &format!("[Thu Mar  5 09:00:00 2026] Linux\n[Thu Mar  5 12:00:00 2026] {XID}\n"),
                "",
            );
        let log = read(fake, "2026-03-05T10:00:00Z").await;
        assert_eq!(log.events[0].at.unwrap().to_string(), "2026-03-05T11:00:00Z");
        assert_eq!((log.sources, log.gaps), (vec!["dmesg -T"], vec![]));
    }

    #[tokio::test]
    async fn a_log_that_starts_too_late_is_a_gap() {
        let text = "2026-03-05T11:30:00,000000+00:00 x\n";
        let fake = without_files(told())
            .ran(JOURNAL, 127, "", "sh: journalctl: not found\n")
            .ran(DMESG, 0, text, "")
            .ran(DATE, 0, "2026-03-05T12:00:00+0000\n", "")
            .ran(DMESG_T, 0, "[Thu Mar  5 11:30:00 2026] x\n", "");
        let log = read(fake, "2026-03-05T10:00:00Z").await;
        insta::assert_snapshot!(log.gaps.join("\n"), @"the kernel log reaches back to 2026-03-05T11:30:00Z only, the window starts at 2026-03-05T10:00:00Z (a reboot, or older lines are gone)");
    }

    #[tokio::test]
    async fn an_unreachable_node_is_an_error_that_retry_knows() {
        let fake = told().broke(JOURNAL, SiteErrorKind::Unreachable);
        let error = kernel_log(&*fake, "gpu-21", None, Duration::from_secs(20)).await.unwrap_err();
        assert_eq!(error.kind, engine::step::StepErrorKind::Unreachable);
    }
}
