//! Times and states in words.

use std::time::Duration;

use engine::journal::SummaryState;
use jiff::Timestamp;

use super::model::{GateState, Report};
use crate::terminal::span;

/// A time as reports have it, in UTC: they are read in other places.
pub(super) fn time(at: &str) -> String {
    at.parse::<Timestamp>()
        .map_or_else(|_| at.to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// The time of day of it.
pub(super) fn clock(at: &str) -> String {
    at.parse::<Timestamp>().map_or_else(|_| at.to_owned(), |at| at.strftime("%H:%M:%S").to_string())
}

/// A span of time; nothing where it is not worth saying.
pub(super) fn lasted(seconds: f64) -> String {
    if seconds < 1.0 { String::new() } else { length(seconds) }
}

/// A span of time.
pub(super) fn length(seconds: f64) -> String {
    span(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// How a run stands.
pub(super) fn state(report: &Report) -> &'static str {
    match (report.state, report.end.as_ref().map(|end| end.kind.as_str())) {
        (SummaryState::Ended, Some("resolved")) => "resolved",
        (SummaryState::Ended, Some("no_action")) => "no action needed",
        (SummaryState::Ended, Some("escalated")) => "escalated: a person has to take over",
        (SummaryState::Ended, _) => "ended",
        (SummaryState::Running, _) => "running",
        (SummaryState::Parked, _) => "waiting for an answer",
        (SummaryState::Held, _) => "held: the evidence is kept",
        (SummaryState::Interrupted, _) => "interrupted",
        (SummaryState::Stuck, _) => "stuck: a change could not be taken back",
        (SummaryState::RolledBack, _) => "rolled back",
    }
}

/// Whether that is good, to be looked at, or bad.
pub(super) fn mood(report: &Report) -> &'static str {
    match (report.state, report.end.as_ref().map(|end| end.kind.as_str())) {
        (SummaryState::Ended, Some("resolved" | "no_action")) => "good",
        (SummaryState::Held | SummaryState::Stuck, _) => "bad",
        _ => "warn",
    }
}

/// What came of a gate.
pub(super) fn gate(state: GateState) -> &'static str {
    match state {
        GateState::Agreed => "agreed",
        GateState::Declined => "declined",
        GateState::Void => "void: it was asked anew",
        GateState::Open => "waits for an answer",
    }
}
