//! One entry of a journal in words.

use std::time::Duration;

use engine::run::{Entry, Mode, Started, Verdict};
use engine::step::{StepError, Undone};

use super::card::{self, Detail};
use super::clean::{clean, line};
use super::ledger::Ledger;
use super::screen::Screen;
use super::wrap::{cut, span, wrap};

/// Summary lines shown per node.
const SUMMARY: usize = 10;
/// A shorter time is not worth a tired person's attention.
const WORTH_SAYING: Duration = Duration::from_secs(1);
/// Where text under a node's line begins.
const UNDER: usize = 5;

/// What to show of an entry that the ledger has taken in.
pub(crate) fn words(screen: &Screen, ledger: &Ledger, entry: &Entry, took: Option<Duration>) -> Vec<String> {
    let (paint, glyphs) = (screen.paint, screen.glyphs);
    match entry {
        Entry::Started(started) => {
            let note = match &started.mode {
                Mode::Live => String::new(),
                Mode::Rehearsal { recording } => {
                    format!("REHEARSAL on the recording {}: nothing real is touched", line(recording))
                }
            };
            head(screen, started, &note)
        }
        Entry::Resumed { operator, host } => {
            vec![
                String::new(),
                paint.dim(&format!("resumed by {} on {}", line(operator), line(host))),
                String::new(),
            ]
        }
        Entry::GateOpened { node, gate, .. } => {
            let mut lines = vec![String::new()];
            lines.extend(card::gate(screen, &ledger.place(node), gate, Detail::Glance));
            lines
        }
        Entry::GateAnswered { approved, by, via, reason, refused, .. } => {
            let word = if *approved { paint.good("approved") } else { paint.warn("declined") };
            let reason = reason.as_deref().map(|reason| format!(": {}", line(reason))).unwrap_or_default();
            let by = via.as_ref().map_or_else(|| line(by), |via| format!("{} ({})", line(by), line(via)));
            let of = match ledger.by {
                0 | 1 => String::new(),
                _ if !approved || refused.is_some() => String::new(),
                of => format!(" ({} of {of})", ledger.agreed()),
            };
            let mut lines = vec![format!("   {word} by {by}{of}{reason}")];
            lines.extend(
                refused.iter().map(|why| format!("   {} {}", paint.warn("does not count:"), line(why))),
            );
            lines.push(String::new());
            lines
        }
        Entry::Asked { node, question, .. } => {
            let mut lines = vec![String::new()];
            lines.extend(card::question(screen, &ledger.place(node), question));
            lines
        }
        Entry::Confirmed { visit, verdict, by, .. } => {
            let word = match verdict {
                Verdict::Happened => "it had happened",
                Verdict::DidNot => "it did not happen",
            };
            let title = line(&ledger.place(ledger.node_of(*visit)).title);
            under(screen, &format!("{title}: looked into what was begun: {word} ({})", line(by)))
        }
        Entry::ItemDone { item, result: Err(error), .. } => {
            under(screen, &format!("{} item {}: {}", glyphs.failed, item + 1, line(&error.message)))
        }
        Entry::Finished { node, outcome, summary, changed, .. } => {
            let sign = if *changed { paint.warn(glyphs.changed) } else { paint.good(glyphs.done) };
            let outcome = line(outcome);
            let word = if outcome == "unknown" { paint.warn(&outcome) } else { paint.word(&outcome) };
            let changed = if *changed { paint.warn("  changed") } else { String::new() };
            let mut lines = vec![format!(
                "{} {} {word}{changed}{}",
                node_line(screen, ledger, node, &sign),
                glyphs.arrow,
                lasted(screen, took)
            )];
            let text = summary.iter().flat_map(|text| under(screen, text)).collect();
            lines.extend(cut(text, SUMMARY, |left| {
                paint.dim(&format!(
                    "     {} {left} more lines; `runbook runs show --json` has all",
                    glyphs.more
                ))
            }));
            lines
        }
        Entry::Entered { node, .. } => vec![node_line(screen, ledger, node, &paint.word(glyphs.into))],
        Entry::Failed { node, error, .. } => {
            let sign = paint.bad(glyphs.failed);
            let head = node_line(screen, ledger, node, &sign);
            let mut lines =
                vec![format!("{head} {} {}{}", glyphs.arrow, paint.bad("broke"), lasted(screen, took))];
            lines.extend(break_of(screen, error));
            lines
        }
        Entry::Declined { node, .. } => {
            let head = node_line(screen, ledger, node, &paint.warn(glyphs.failed));
            vec![format!("{head} {} {}", glyphs.arrow, paint.warn("declined"))]
        }
        Entry::Undone { visit, result, .. } => {
            let node = ledger.node_of(*visit);
            let (sign, word, text) = match result {
                Ok(Undone::Restored(text)) => (paint.good(glyphs.done), paint.good("taken back"), line(text)),
                Ok(Undone::NothingToDo(text)) => {
                    (paint.good(glyphs.done), paint.good("nothing to take back"), line(text))
                }
                Ok(Undone::Left(by)) => {
                    (paint.warn(glyphs.done), paint.warn("left as it is"), format!("by {}", line(by)))
                }
                Ok(Undone::Cannot(text)) => {
                    (paint.bad(glyphs.failed), paint.bad("not taken back"), line(text))
                }
                Err(error) => (paint.bad(glyphs.failed), paint.bad("not taken back"), line(&error.message)),
            };
            let mut lines =
                vec![format!("{} {} {word}", node_line(screen, ledger, node, &sign), glyphs.arrow)];
            lines.extend(under(screen, &text));
            lines
        }
        Entry::RollbackBegan { operator, host, .. } => {
            let text = format!("taking back what was changed, for {} on {}", line(operator), line(host));
            vec![String::new(), paint.dim(&text), String::new()]
        }
        Entry::TookOver { target, from, by, .. } => {
            let why = match by {
                Some(by) => format!("{} agreed", line(by)),
                None => "its process is gone".to_owned(),
            };
            let text = format!("{target} was taken over from run {} ({}): {why}", from.run, from.holder());
            wrap(&paint.warn(&line(&text)), 0, screen.width())
        }
        // The last lines of the program say how it ended; the spinner shows what is being done.
        Entry::ItemDone { .. }
        | Entry::Intended { .. }
        | Entry::UndoBegan { .. }
        | Entry::UndoIntended { .. }
        | Entry::RolledBack { .. }
        | Entry::Stopped { .. }
        | Entry::Ended { .. } => Vec::new(),
    }
}

/// Sign, box and title of a node, as deep as it lies.
fn node_line(screen: &Screen, ledger: &Ledger, node: &str, sign: &str) -> String {
    let place = ledger.place(node);
    let pad = "  ".repeat(Ledger::depth(node));
    let flow = line(place.flow.as_deref().unwrap_or(screen.glyphs.dot));
    format!("{pad}{sign} {}  {}", screen.paint.dim(&flow), screen.paint.bold(&line(&place.title)))
}

fn under(screen: &Screen, text: &str) -> Vec<String> {
    wrap(clean(text).trim_end(), UNDER, screen.width())
}

/// What broke and what to do about it.
fn break_of(screen: &Screen, error: &StepError) -> Vec<String> {
    let mut lines = under(screen, &error.message);
    lines.extend(error.help.iter().flat_map(|help| under(screen, &format!("hint: {help}"))));
    lines
}

fn lasted(screen: &Screen, took: Option<Duration>) -> String {
    let took = took.filter(|took| *took >= WORTH_SAYING);
    took.map(|took| screen.paint.dim(&format!("  {}", span(took)))).unwrap_or_default()
}

/// What a run is, and a word of warning.
pub(super) fn head(screen: &Screen, started: &Started, note: &str) -> Vec<String> {
    let (paint, dot) = (screen.paint, screen.glyphs.dot);
    let plan = &started.plan;
    let mut first = format!("{} {dot} {}", paint.bold(&line(&plan.runbook)), line(&plan.title));
    if let Some(severity) = &plan.severity {
        first.push_str(&format!(" {dot} {}", paint.warn(&line(severity))));
    }
    let mut second = format!("run {}", started.run);
    for part in [&started.target, &format!("{} on {}", started.operator, started.host)] {
        if !part.is_empty() {
            second.push_str(&format!(" {dot} {}", line(part)));
        }
    }
    let mut lines = vec![first, paint.dim(&second)];
    if !note.is_empty() {
        lines.push(paint.warn(note));
    }
    lines.push(String::new());
    lines
}
