//! What all logs together say: which error was the first, and what follows from it.

use std::collections::BTreeMap;

use engine::step::Done;

use super::event::{Event, Events, Place, Stand};
use super::identities::contradiction;
use super::kind::Nature;
use super::launcher::Launchers;
use super::logs::Logs;
use super::message::Proof;
use super::placing::{Layout, place};
use super::report::OomError;
use crate::text::clean_to;

/// What all files hold.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) events: Events,
    pub(crate) launchers: Launchers,
    /// There were more events than are kept.
    pub(crate) overflowed: bool,
    /// The last training step that any file reports.
    pub(crate) last_step: Option<u64>,
    /// The lines of the places that are told, from 1.
    pub(crate) lines: BTreeMap<Place, u64>,
}

impl Found {
    /// The first fatal event, and one of another nature that may have been before it.
    fn first(&self) -> Option<(&Event, Option<&Event>)> {
        let fatal = self.events.fatal();
        let first = *fatal.first()?;
        let nature = first.message.kind.nature();
        let rival = fatal
            .into_iter()
            .find(|event| event.message.kind.nature() != nature && !event.is_ordered_with(first));
        Some((first, rival))
    }

    /// Without a fatal one: what may have been fatal.
    fn doubtful(&self) -> Option<&Event> {
        let open = |event: &&Event| !event.survived && event.message.kind.nature() != Nature::Harmless;
        let all = || self.events.all().iter().filter(open);
        let warned = all().find(|event| event.stand == Stand::Warned);
        warned.or_else(|| all().find(|event| event.message.proof == Proof::Suggests))
    }

    /// Whether something died of it, as far as was read.
    pub(crate) fn is_fatal(&self) -> bool {
        self.first().is_some()
    }

    /// Whether the first fatal event does not tell the step it died at.
    pub(crate) fn lacks_step(&self) -> bool {
        let event = self.first().map(|(first, _)| first).or_else(|| self.doubtful());
        event.is_some_and(|event| event.step.is_none())
    }

    /// The places that the answer tells.
    pub(crate) fn told(&self) -> Vec<Place> {
        let events = match self.first() {
            Some((first, rival)) => vec![Some(first), rival],
            None => vec![self.doubtful().or_else(|| self.events.all().first())],
        };
        events.into_iter().flatten().map(|event| event.place).collect()
    }

    /// The answer of the step.
    pub(crate) fn answer(&self, logs: &Logs, layout: &Layout) -> Done<OomError> {
        let mut done = match self.first() {
            Some((first, rival)) => self.fatal(first, rival, logs, layout),
            None => self.nothing_fatal(logs, layout),
        };
        if let Some(problem) = logs.problems.first() {
            let more = logs.problems.len() - 1;
            let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
            done = done.line(format!("not read: {}{more}", clean_to(problem, 300)));
        }
        done
    }

    fn fatal(&self, first: &Event, rival: Option<&Event>, logs: &Logs, layout: &Layout) -> Done<OomError> {
        let report = self.report(first, logs, layout);
        let contradiction = contradiction(&report.identities);
        let outcome = match (rival, first.message.kind.nature()) {
            (Some(_), _) => "unknown",
            _ if contradiction.is_some() => "unknown",
            (None, Nature::Host) => "host_oom",
            (None, _) => "gpu_oom",
        };
        let mut done = Done::new(outcome, report.clone()).line(report.headline());
        done.summary.extend(report.sizes());
        done.summary.extend(report.place());
        done.summary.extend(contradiction);
        if let Some(rival) = rival {
            let other = self.mention(rival, logs);
            let (what, place) = (rival.kind().words(), other.place().unwrap_or_default());
            return done.line(format!("also {what} in {place}: which came first cannot be told"));
        }
        if report.first_of.len() > 1 {
            done = done.line(format!("{} ranks ran out of memory", report.first_of.len()));
        }
        done
    }

    fn nothing_fatal(&self, logs: &Logs, layout: &Layout) -> Done<OomError> {
        if let Some(event) = self.doubtful() {
            let report = self.report(event, logs, layout);
            let why = if event.message.proof == Proof::Suggests {
                "a process was killed; want of host memory is the usual cause, the logs do not prove it"
            } else {
                "out of memory, printed as a warning; whether the job died of it the logs do not show"
            };
            let mut done = Done::new("unknown", report.clone()).line(why);
            done.summary.extend(report.place());
            return done;
        }
        let all = self.events.all();
        let mention = all.first().map_or_else(OomError::default, |event| self.mention(event, logs));
        if !logs.problems.is_empty() || self.overflowed || self.events.overflowed {
            return Done::new("unknown", mention).line("no out-of-memory error in what could be read");
        }
        let files = logs.files.len();
        let place = mention.place();
        let mut done = Done::new("none", mention)
            .line(format!("no fatal out-of-memory error in {files} logs, all read to the end"));
        if let Some(event) = all.first() {
            done = done.line(format!("only: {}", event.kind().words()));
            done.summary.extend(place);
        }
        done
    }

    /// Everything an event says, and how many there are.
    fn report(&self, event: &Event, logs: &Logs, layout: &Layout) -> OomError {
        let placed = |event| place(event, &self.launchers, layout);
        let line = self.lines.get(&event.place).copied();
        let mut report = OomError::of(event, placed(event), &logs.files, line);
        // Only one rank may print steps, into its own file; no rank gets past a collective that another misses.
        report.step = report.step.or(self.last_step);
        let fatal = self.events.fatal();
        report.ooms_seen = fatal.len() as u64;
        for rank in fatal.into_iter().filter_map(|event| placed(event).rank) {
            if !report.first_of.contains(&rank) {
                report.first_of.push(rank);
            }
        }
        report
    }

    fn mention(&self, event: &Event, logs: &Logs) -> OomError {
        OomError::mention(event, &logs.files, self.lines.get(&event.place).copied())
    }
}
