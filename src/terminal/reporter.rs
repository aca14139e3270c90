//! Tells a person what happens, from events alone: a live run, a resumed one and a replayed journal look the same.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::event::Event;
use engine::journal::Record;
use engine::run::{Entry, Gate, Started};

use super::card::{self, Detail, Place};
use super::clean::line;
use super::entry::{self, words};
use super::ledger::Ledger;
use super::screen::Screen;
use super::spinner::Spinner;
use super::wrap::{span, wrap};

/// Where nothing can be redrawn, a long step says a word this often.
const WORD_EVERY: Duration = Duration::from_secs(30);

/// Reads events, writes lines.
pub(crate) struct Reporter {
    screen: Arc<Screen>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ledger: Ledger,
    spinner: Option<Spinner>,
    /// When the present step began or last said a word.
    spoke: Option<Instant>,
    /// Digest of the card that the person sees.
    card: Option<String>,
}

impl Reporter {
    /// A reporter that writes to `screen`.
    pub(crate) fn new(screen: Arc<Screen>) -> Self {
        Self { screen, state: Mutex::default() }
    }

    /// Takes in what happened before, without a word.
    pub(crate) fn recall(&self, records: &[Record]) {
        let mut state = self.state();
        for record in records {
            state.ledger.note(record);
        }
    }

    /// Looks at what is remembered of the run.
    pub(crate) fn ledger<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.state().ledger)
    }

    /// What is known of a node.
    pub(crate) fn place(&self, node: &str) -> Place {
        self.state().ledger.place(node)
    }

    /// Whether the card of this gate is what the person sees.
    pub(crate) fn shows(&self, digest: &str) -> bool {
        self.state().card.as_deref() == Some(digest)
    }

    /// Says what takes time now, where a line can be redrawn.
    pub(crate) fn busy(&self, text: &str) {
        self.state().wait_for(&self.screen, text);
    }

    /// Clears the line that is redrawn, before somebody is asked or the program ends.
    pub(crate) fn quiet(&self) {
        self.state().spinner = None;
    }

    /// Whether nobody sees what this reporter writes.
    pub(crate) fn blind(&self) -> bool {
        self.screen.terminal().is_none()
    }

    /// Shows a gate that is no event.
    pub(crate) fn gate(&self, node: &str, gate: &Gate) {
        let mut state = self.state();
        state.spinner = None;
        state.card = Some(gate.digest.clone());
        self.screen.lines(&card::gate(&self.screen, &state.ledger.place(node), gate, Detail::Glance));
    }

    /// Shows what a run is, and `note` below it.
    pub(crate) fn head(&self, started: &Started, note: &str) {
        self.screen.lines(&entry::head(&self.screen, started, note));
    }

    /// Shows a line that is no event.
    pub(crate) fn note(&self, text: &str) {
        self.state().print(&self.screen, &[text.to_owned()]);
    }

    /// Shows what an event says.
    pub(crate) fn hear(&self, event: &Event) {
        let mut state = self.state();
        match event {
            Event::Began { visit, node, title, .. } => {
                state.ledger.began(*visit, node, title);
                state.wait_for(&self.screen, &line(title));
            }
            Event::Progress { node, progress, .. } => {
                let counted =
                    progress.fraction.map(|(done, of)| format!("{done} of {of}, ")).unwrap_or_default();
                let title = line(&state.ledger.place(node).title);
                state.word(&self.screen, &format!("{title}: {counted}{}", line(&progress.message)));
            }
            Event::Retrying { message, seconds, .. } => {
                let again = span(Duration::try_from_secs_f64(*seconds).unwrap_or_default());
                let text = format!("{} {}; trying again in {again}", self.screen.glyphs.again, line(message));
                state.print(&self.screen, &wrap(&text, 5, self.screen.width()));
            }
            Event::Recorded(record) => {
                let took = state.ledger.note(record);
                let lines = match &record.entry {
                    Entry::GateOpened { gate, .. } if state.card.as_ref() == Some(&gate.digest) => {
                        vec!["   asked again, about the same".to_owned()]
                    }
                    entry => words(&self.screen, &state.ledger, entry, took),
                };
                state.entry(&self.screen, &record.entry, &lines);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn entry(&mut self, screen: &Screen, entry: &Entry, lines: &[String]) {
        // A step that is over, or that waits for a person, is not being worked on.
        let busy = matches!(
            entry,
            Entry::Started(_)
                | Entry::Resumed { .. }
                | Entry::ItemDone { .. }
                | Entry::Confirmed { .. }
                | Entry::Intended { .. }
                | Entry::UndoBegan { .. }
                | Entry::UndoIntended { .. }
        );
        if !busy {
            self.spinner = None;
        }
        if let Entry::GateOpened { gate, .. } = entry {
            self.card = Some(gate.digest.clone());
        }
        self.print(screen, lines);
        let title = |node: &str| line(&self.ledger.place(node).title);
        match entry {
            Entry::Intended { node, .. } => self.wait_for(screen, &title(node)),
            Entry::UndoBegan { node, .. } => self.wait_for(screen, &format!("looking at {}", title(node))),
            Entry::UndoIntended { visit, .. } => {
                self.wait_for(screen, &format!("taking back {}", title(self.ledger.node_of(*visit))));
            }
            _ => {}
        }
    }

    fn print(&self, screen: &Screen, lines: &[String]) {
        match &self.spinner {
            Some(spinner) => spinner.aside(|| screen.lines(lines)),
            None => screen.lines(lines),
        }
    }

    fn wait_for(&mut self, screen: &Screen, title: &str) {
        self.spoke = Some(Instant::now());
        match &self.spinner {
            Some(spinner) => spinner.say(title),
            None => self.spinner = Spinner::start(screen, title),
        }
    }

    fn word(&mut self, screen: &Screen, text: &str) {
        match &self.spinner {
            Some(spinner) => spinner.say(text),
            None if self.spoke.is_none_or(|spoke| spoke.elapsed() >= WORD_EVERY) => {
                self.spoke = Some(Instant::now());
                screen.lines(&wrap(&format!("{} {text}", screen.glyphs.more), 2, screen.width()));
            }
            None => {}
        }
    }
}
