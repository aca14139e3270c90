//! The last words of a run: what happened, what was changed, what to do next.

use engine::plan::EndKind;
use engine::run::RunId;
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
        Ending::Interrupted => "",
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
                    &format!("at a terminal, or with {}", waiting.flag),
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
        Ending::Stuck { why, .. } => {
            let words = "STUCK: a change could not be taken back; look at it by hand";
            lines.push(format!("{} {}", paint.bad(glyphs.failed), paint.bad(words)));
            lines.extend(labelled("at", &title, 2, width));
            lines.extend(labelled("why", clean(why).trim(), 2, width));
        }
        Ending::Locked { why, .. } => {
            let words = "LOCKED: another run acts on the target; nothing was done to it";
            lines.push(format!("{} {}", paint.bad(glyphs.failed), paint.bad(words)));
            lines.extend(labelled("at", &title, 2, width));
            lines.extend(labelled("why", clean(why).trim(), 2, width));
            next = Some("goes on when that one has let go");
        }
        Ending::Interrupted => {
            let words = paint.warn("INTERRUPTED: stopped at a safe point");
            lines.push(format!("{} {words}", paint.warn(glyphs.waiting)));
            next = Some("goes on from here");
        }
    }
    lines.push(String::new());
    if changes.is_empty() {
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
        if let Some(next) = next {
            let command = format!("runbook resume {run}");
            lines.push(format!("  go on    {}  {}", paint.bold(&command), paint.dim(&format!("({next})"))));
        }
    }
    lines
}

/// What to say when the process is stopped at once.
pub(crate) fn interrupted_hint(run: &RunId) -> String {
    format!("interrupted; go on with: runbook resume {run}")
}
