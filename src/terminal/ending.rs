//! The last words of a run: what happened, what was changed, what to do next.

use engine::plan::EndKind;
use engine::run::{Change, RunId};
use engine::step::Undone;
use engine::walk::Ending;

use super::clean::{clean, line};
use super::reporter::Reporter;
use super::screen::Screen;
use super::wrap::{cut, labelled, wrap};

/// Changes listed at the end.
const CHANGES: usize = 12;

/// How a run came to rest, and how to go on. `resumable` is false for a run that keeps no journal.
pub(crate) fn last_words(
    screen: &Screen,
    reporter: &Reporter,
    ending: &Ending,
    resumable: bool,
) -> Vec<String> {
    let (paint, glyphs, width) = (screen.paint, screen.glyphs, screen.width());
    let node = match ending {
        Ending::Ended { node, .. } | Ending::Parked { node } => node,
        Ending::Held { node, .. } | Ending::Stuck { node, .. } | Ending::Locked { node, .. } => node,
        Ending::Interrupted | Ending::RolledBack { .. } => "",
    };
    let title = line(&reporter.place(node).title);
    let (run, changes, waiting, rehearsal) = reporter.ledger(|ledger| {
        let changes: Vec<String> = ledger.changes.iter().map(|(_, text)| text.clone()).collect();
        (ledger.run.clone(), changes, ledger.waiting.clone(), ledger.rehearsal)
    });
    let run = run.map(|run| run.to_string()).unwrap_or_default();
    let mut lines = vec![String::new()];
    let mut next = None;
    match ending {
        Ending::Ended { end, message, .. } => {
            lines.push(match end {
                EndKind::Resolved => format!("{} {}", paint.good(glyphs.done), paint.good("RESOLVED")),
                EndKind::NoAction => {
                    format!("{} {}", paint.good(glyphs.done), paint.good("NO ACTION NEEDED"))
                }
                EndKind::Escalated => {
                    let words = "ESCALATED: a person has to take over";
                    format!("{} {}", paint.warn(glyphs.escalated), paint.warn(words))
                }
            });
            lines.extend(message.iter().flat_map(|text| wrap(clean(text).trim(), 2, width)));
        }
        Ending::Parked { .. } => {
            let words = paint.warn("WAITING: nobody was there to answer");
            lines.push(format!("{} {words}", paint.warn(glyphs.waiting)));
            lines.extend(labelled("at", &title, 2, width));
            if let Some(waiting) = waiting {
                if waiting.prompt != title {
                    lines.extend(labelled("asks", &waiting.prompt, 2, width));
                }
                lines.extend(labelled(
                    "answer",
                    &format!("at a terminal, with {}, or from elsewhere: {}", waiting.flag, waiting.command),
                    2,
                    width,
                ));
            }
            next = Some("shows it again and asks");
        }
        Ending::Held { why, help, .. } => {
            lines.push(format!("{} {}", paint.bad(glyphs.failed), paint.bad("HELD: the evidence is kept")));
            lines.extend(labelled("at", &title, 2, width));
            lines.extend(labelled("why", clean(why).trim(), 2, width));
            lines.extend(help.iter().flat_map(|help| labelled("hint", clean(help).trim(), 2, width)));
            next = Some("tries it again");
        }
        Ending::Stuck { why, changes, .. } => {
            let words = match stuck(changes) {
                Some(change) if change.irreversible => "STOPPED at a point of no return",
                _ => "STUCK: a change could not be taken back",
            };
            lines.push(format!("{} {}", paint.bad(glyphs.failed), paint.bad(words)));
            lines.extend(labelled("at", &title, 2, width));
            lines.extend(labelled("why", clean(why).trim(), 2, width));
            lines.extend(became(screen, reporter, changes));
        }
        Ending::RolledBack { broke, changes } => {
            let words = match changes.is_empty() {
                true => paint.good("ROLLED BACK: nothing had been changed"),
                false => paint.good("ROLLED BACK: what was changed is taken back"),
            };
            lines.push(format!("{} {words}", paint.good(glyphs.done)));
            if let Some((node, why)) = broke {
                lines.extend(labelled("broke", &line(&reporter.place(node).title), 2, width));
                lines.extend(labelled("why", clean(why).trim(), 2, width));
            }
            lines.extend(became(screen, reporter, changes));
        }
        Ending::Locked { why, holder, .. } => {
            let words = "LOCKED: another run acts on the target; nothing was done to it";
            lines.push(format!("{} {}", paint.bad(glyphs.failed), paint.bad(words)));
            lines.extend(labelled("at", &title, 2, width));
            lines.extend(labelled("why", clean(why).trim(), 2, width));
            lines.extend(labelled("hint", &locked_hint(holder), 2, width));
            next = Some("goes on when that one has let go");
        }
        Ending::Interrupted => {
            let words = paint.warn("INTERRUPTED: stopped at a safe point");
            lines.push(format!("{} {words}", paint.warn(glyphs.waiting)));
            next = Some("goes on from here");
        }
    }
    lines.push(String::new());
    if matches!(ending, Ending::Stuck { .. } | Ending::RolledBack { .. }) {
        // What became of each change stands above.
    } else if changes.is_empty() {
        lines.extend(labelled("changed", "nothing", 2, width));
    } else {
        let all = changes
            .iter()
            .enumerate()
            .flat_map(|(at, text)| labelled(if at == 0 { "changed" } else { "" }, text, 2, width));
        lines.extend(cut(all.collect(), CHANGES, |left| format!("           {} {left} more", glyphs.more)));
    }
    if rehearsal {
        lines.push(paint.warn("  This was a rehearsal: nothing real was touched."));
    }
    if resumable {
        lines.extend(labelled("run", &run, 2, width));
        if let Ending::Stuck { node, changes, .. } = ending {
            let command = format!("runbook rollback {run}");
            let leave = format!("{command} --leave {}", line(node));
            let mut ways = vec![(leave, "(leaves it as it is)")];
            if stuck(changes).is_none_or(|change| !change.irreversible) {
                ways.insert(0, (command, "(tries it again)"));
            }
            for (at, (command, hint)) in ways.into_iter().enumerate() {
                let label = if at == 0 { "go on" } else { "" };
                lines.push(format!("  {label:<8} {}  {}", paint.bold(&command), paint.dim(hint)));
            }
        }
        if let Some(next) = next {
            let command = format!("runbook resume {run}");
            lines.push(format!("  go on    {}  {}", paint.bold(&command), paint.dim(&format!("({next})"))));
        }
    }
    lines
}

/// The change that could not be taken back.
fn stuck(changes: &[Change]) -> Option<&Change> {
    changes.iter().find(|change| change.undone.is_some() && !change.settled())
}

/// What became of every change when they were taken back, newest first.
fn became(screen: &Screen, reporter: &Reporter, changes: &[Change]) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut restored, mut left) = (Vec::new(), Vec::new());
    for change in changes {
        let title = line(&reporter.place(&change.node).title);
        match &change.undone {
            Some(Ok(Undone::Restored(text) | Undone::NothingToDo(text))) => {
                restored.push(format!("{title}: {}", line(text)));
            }
            Some(Ok(Undone::Left(by))) => left.push(format!("{title}: left as it is by {}", line(by))),
            Some(Ok(Undone::Cannot(_)) | Err(_)) => left.push(format!("{title}: could not be taken back")),
            None => left.push(format!("{title}: not tried")),
        }
    }
    for (label, list) in [("restored", restored), ("not", left)] {
        let words = list.iter().enumerate();
        let words =
            words.flat_map(|(at, text)| labelled(if at == 0 { label } else { "" }, text, 2, screen.width()));
        lines.extend(words);
    }
    lines
}

/// What to say when the journal cannot be written any more. `known` is what came of changes and is not in it.
pub(crate) fn unwritten(screen: &Screen, reporter: &Reporter, known: &[String]) -> Vec<String> {
    let (paint, glyphs, width) = (screen.paint, screen.glyphs, screen.width());
    let run = reporter.ledger(|ledger| ledger.run.clone()).map(|run| run.to_string()).unwrap_or_default();
    let words = paint.bad("STOPPED: the journal cannot be written, so nothing more is done");
    let mut lines = vec![String::new(), format!("{} {words}", paint.bad(glyphs.failed))];
    if known.is_empty() {
        lines.extend(labelled(
            "changes",
            "all that were begun are in the journal with what came of them",
            2,
            width,
        ));
    }
    for text in known {
        let text = format!("{}; it is looked up when the run goes on, not repeated", line(text));
        lines.extend(labelled("changes", &text, 2, width));
    }
    lines.extend(labelled("run", &run, 2, width));
    let command = format!("runbook resume {run}");
    lines.push(format!(
        "  go on    {}  {}",
        paint.bold(&command),
        paint.dim("(once it can be written again)")
    ));
    lines
}

/// What to do where another run has a lock.
pub(crate) fn locked_hint(holder: &RunId) -> String {
    format!(
        "wait for it, or look at it: runbook runs show {holder}; if nobody goes on with it: --take-over {holder}"
    )
}

/// What to say when the process is stopped at once.
pub(crate) fn interrupted_hint(run: &RunId) -> String {
    format!("interrupted; go on with: runbook resume {run}")
}
