//! The step `oom.read`: the first out-of-memory error in the logs of a job.

use async_trait::async_trait;
use engine::site::{Site, SiteErrorKind};
use engine::step::{Done, Outcomes, Performed, ReadStep, StepCx, StepError, StepErrorKind};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::event::{Event, Events, Stand};
use super::extract::FileReader;
use super::kind::Nature;
use super::launcher::Launchers;
use super::logs::{Logs, find};
use super::message::Proof;
use super::placing::{Layout, noticed, place};
use super::prefix::from_path;
use super::report::OomError;
use super::scan::Scanner;
use crate::text::clean;

/// What `oom.read` takes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadParams {
    /// Logs of the job: files, directories that hold them (torchrun's log directory), or paths with `*` and `?`.
    #[serde(default)]
    logs: Option<Vec<String>>,
    /// Errors before this time (RFC 3339) are ignored where the lines tell when. A log that names no time zone is
    /// believed to be older only beyond 14 hours.
    #[serde(default)]
    from: Option<String>,
    /// Hosts of the job in the order of its tasks.
    #[serde(default)]
    nodes: Option<Vec<String>>,
    /// Slurm tasks on each host.
    #[serde(default)]
    tasks_per_node: Option<u32>,
}

impl ReadParams {
    /// These logs, from this time on.
    pub(crate) fn of(logs: Vec<String>, from: Option<String>) -> Self {
        Self { logs: Some(logs), from, ..Self::default() }
    }
}

/// `oom.read`.
pub(crate) struct OomRead;

#[async_trait]
impl ReadStep for OomRead {
    const KIND: &'static str = "oom.read";
    const SUMMARY: &'static str = "Find the first out-of-memory error in a job's logs and read its fields";
    type Params = ReadParams;
    type Output = OomError;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[
            ("gpu_oom", "GPU memory was refused and a process died of it, before anything else ran out"),
            ("host_oom", "host memory (RAM, its cgroup limit, /dev/shm) ran out first"),
            ("none", "every log was read to its end and nothing died for want of memory"),
            (
                "unknown",
                "a log is missing or unreadable and the others show nothing; or there are only signs (a SIGKILL, a warning) \
                 or two errors whose order cannot be told",
            ),
        ])
    }

    async fn read(&self, cx: &StepCx, params: ReadParams) -> Result<Performed<OomError>, StepError> {
        let from = params.from.as_deref().map(parse_from).transpose()?;
        let layout =
            Layout { nodes: params.nodes.unwrap_or_default(), tasks_per_node: params.tasks_per_node };
        let named = params.logs.unwrap_or_default();
        let mut logs = find(&*cx.site, &named).await?;
        if named.is_empty() {
            logs.problems.push("no logs are named".to_owned());
        }
        let mut found = Found::default();
        for index in 0..logs.files.len() {
            let path = logs.files[index].clone();
            cx.say(format!("reading {}", clean(&path)));
            let owner = from_path(&path, &logs.files, &layout.nodes);
            let mut reader = FileReader::new(index, owner, &layout.nodes);
            if let Err(why) = read_file(cx, &path, &mut reader, &mut found.launchers).await? {
                logs.problem(&path, &why);
            }
            let file = reader.finish(&mut found.launchers);
            found.last_steps.push(file.last_step);
            found.overflowed |= file.overflowed;
            for event in file.events {
                if !from.is_some_and(|from| event.is_before(from)) {
                    found.events.add(event);
                }
            }
        }
        let Found { events, launchers, .. } = &mut found;
        events.date(|event| noticed(event, launchers));
        Ok(found.answer(&logs, &layout).into())
    }
}

fn parse_from(text: &str) -> Result<Timestamp, StepError> {
    text.parse().map_err(|error| {
        StepError::new(StepErrorKind::Params, format!("oom.read: `from` is no RFC 3339 time: {error}"))
            .help("write it like 2026-11-24T03:12:44Z")
    })
}

/// Reads one file; the inner error is why it could not be read to its end.
async fn read_file(
    cx: &StepCx,
    path: &str,
    reader: &mut FileReader,
    launchers: &mut Launchers,
) -> Result<Result<(), String>, StepError> {
    let site: &dyn Site = &*cx.site;
    let mut scanner = Scanner::new(site, path);
    loop {
        let next = tokio::select! {
            biased;
            () = cx.cancel.cancelled() => None,
            next = scanner.next() => Some(next),
        };
        let Some(next) = next else {
            let path = clean(path);
            return Err(StepError::failed(format!(
                "oom.read: stopped at byte {} of {path}",
                scanner.position()
            ))
            .help("run it again: reading changes nothing"));
        };
        match next {
            Ok(Some(window)) => reader.window(&window, launchers),
            Ok(None) => return Ok(Ok(())),
            // A recording that lacks the file is incomplete; that is no finding.
            Err(error) if error.kind == SiteErrorKind::NotRecorded => return Err(error.into()),
            Err(error) => return Ok(Err(error.message)),
        }
    }
}

/// What all files hold.
#[derive(Default)]
struct Found {
    events: Events,
    launchers: Launchers,
    /// There were more events than are kept.
    overflowed: bool,
    /// The last step that each file reports.
    last_steps: Vec<Option<u64>>,
}

impl Found {
    fn answer(&self, logs: &Logs, layout: &Layout) -> Done<OomError> {
        let fatal = self.events.fatal();
        let report = |event: &Event| {
            let mut report = OomError::of(event, place(event, &self.launchers, layout), &logs.files);
            // Only one rank may print steps, into its own file; no rank gets past a collective that another misses.
            let elsewhere = (0..).zip(&self.last_steps).filter(|(file, _)| *file != event.place.file);
            report.step = report.step.or(elsewhere.filter_map(|(_, step)| *step).max());
            self.count(report, &fatal, layout)
        };
        let mut done = match fatal.first() {
            Some(first) => {
                let nature = first.message.kind.nature();
                let rival = fatal
                    .iter()
                    .find(|event| event.message.kind.nature() != nature && !event.is_ordered_with(first));
                let report = report(first);
                let outcome = match (rival, nature) {
                    (Some(_), _) => "unknown",
                    (None, Nature::Host) => "host_oom",
                    (None, _) => "gpu_oom",
                };
                let mut done = Done::new(outcome, report.clone()).line(report.headline());
                done.summary.extend(report.sizes());
                done.summary.extend(report.place());
                if let Some(rival) = rival {
                    let other = OomError::mention(rival, &logs.files);
                    let (what, place) = (rival.kind().words(), other.place().unwrap_or_default());
                    done = done.line(format!("also {what} in {place}: which came first cannot be told"));
                } else if report.first_of.len() > 1 {
                    done = done.line(format!("{} ranks ran out of memory", report.first_of.len()));
                }
                done
            }
            None => self.nothing_fatal(logs, report),
        };
        if let Some(problem) = logs.problems.first() {
            let more = logs.problems.len() - 1;
            let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
            done = done.line(format!("not read: {}{more}", crate::text::clean_to(problem, 300)));
        }
        done
    }

    fn nothing_fatal(&self, logs: &Logs, report: impl Fn(&Event) -> OomError) -> Done<OomError> {
        let all = self.events.all();
        let open = |event: &&Event| !event.survived && event.message.kind.nature() != Nature::Harmless;
        let warned = all.iter().filter(open).find(|event| event.stand == Stand::Warned);
        let suggested = all.iter().filter(open).find(|event| event.message.proof == Proof::Suggests);
        if let Some(event) = warned.or(suggested) {
            let report = report(event);
            let why = if event.message.proof == Proof::Suggests {
                "a process was killed; want of host memory is the usual cause, the logs do not prove it"
            } else {
                "out of memory, printed as a warning; whether the job died of it the logs do not show"
            };
            let mut done = Done::new("unknown", report.clone()).line(why);
            done.summary.extend(report.place());
            return done;
        }
        let mention =
            all.first().map_or_else(OomError::default, |event| OomError::mention(event, &logs.files));
        if !logs.problems.is_empty() || self.overflowed || self.events.overflowed {
            return Done::new("unknown", mention).line("no out-of-memory error in what could be read");
        }
        let files = logs.files.len();
        let mut done = Done::new("none", mention)
            .line(format!("no fatal out-of-memory error in {files} logs, all read to the end"));
        if let Some(event) = all.first() {
            done = done.line(format!("only: {}", event.kind().words()));
            done.summary.extend(OomError::mention(event, &logs.files).place());
        }
        done
    }

    fn count(&self, mut report: OomError, fatal: &[&Event], layout: &Layout) -> OomError {
        report.ooms_seen = fatal.len() as u64;
        for event in fatal {
            if let Some(rank) = place(event, &self.launchers, layout).rank
                && !report.first_of.contains(&rank)
            {
                report.first_of.push(rank);
            }
        }
        report
    }
}
