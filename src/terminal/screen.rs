//! Where words for people go: stdout, or stderr where stdout carries JSON.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

use console::{Style, Term};
use engine::redact::Redactor;

use super::glyphs::Glyphs;

/// Colours and weights, or none of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    #[cfg(test)]
    pub(crate) const NONE: Self = Self { on: false };

    /// Whether there are colours.
    pub(crate) fn on(self) -> bool {
        self.on
    }

    fn with(self, text: &str, style: &Style) -> String {
        if text.is_empty() {
            String::new()
        } else {
            style.clone().force_styling(self.on).apply_to(text).to_string()
        }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with(text, &Style::new().bold())
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.with(text, &Style::new().dim())
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.with(text, &Style::new().green())
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.with(text, &Style::new().red().bold())
    }

    pub(crate) fn minus(self, text: &str) -> String {
        self.with(text, &Style::new().red())
    }

    pub(crate) fn warn(self, text: &str) -> String {
        self.with(text, &Style::new().yellow().bold())
    }

    pub(crate) fn word(self, text: &str) -> String {
        self.with(text, &Style::new().cyan())
    }
}

/// Which of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// What no screen of this process shows: the last sieve, for what was said outside of a walk.
static HIDDEN: OnceLock<Redactor> = OnceLock::new();

/// From now on no screen of this process shows these secrets. Told once, before the first is needed.
pub(crate) fn hide(redactor: Redactor) {
    // A second time would be a second run in one process, which there is none of.
    let _ = HIDDEN.set(redactor);
}

/// A text of this process as it may be shown.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    HIDDEN.get().map_or(Cow::Borrowed(text), |redactor| redactor.text(text))
}

/// Asks for a secret at the terminal, without showing what is typed. `None` if there is no terminal, or nothing was typed.
pub(crate) fn secret(prompt: &str) -> Option<String> {
    let term = Term::stderr();
    if !(term.is_term() && std::io::stdin().is_terminal()) {
        return None;
    }
    term.write_str(prompt).ok()?;
    term.read_secure_line().ok().filter(|typed| !typed.is_empty())
}

/// A stream that people read.
pub(crate) struct Screen {
    writer: Mutex<Box<dyn Write + Send>>,
    term: Option<Term>,
    /// A failed write is final: the terminal or the reader is gone. The run is not.
    lost: AtomicBool,
    /// The last line was empty: one is enough.
    blank: AtomicBool,
    pub(crate) paint: Paint,
    pub(crate) glyphs: &'static Glyphs,
}

/// Columns where there is no terminal to ask.
const WIDTH: usize = 100;
/// Beyond this, lines are hard to follow with the eye.
const WIDEST: usize = 120;

impl Screen {
    /// The screen on a stream of this process.
    pub(crate) fn on(stream: Stream) -> Self {
        let (term, tty): (Term, bool) = match stream {
            Stream::Out => (Term::stdout(), std::io::stdout().is_terminal()),
            Stream::Err => (Term::stderr(), std::io::stderr().is_terminal()),
        };
        let writer: Box<dyn Write + Send> = match stream {
            Stream::Out => Box::new(std::io::stdout()),
            Stream::Err => Box::new(std::io::stderr()),
        };
        Self {
            writer: Mutex::new(writer),
            term: tty.then_some(term),
            lost: AtomicBool::new(false),
            blank: AtomicBool::new(false),
            paint: Paint { on: colours(tty) },
            glyphs: Glyphs::of_locale(),
        }
    }

    /// A plain screen that writes into `writer`.
    #[cfg(test)]
    pub(crate) fn plain(writer: impl Write + Send + 'static) -> Self {
        Self {
            writer: Mutex::new(Box::new(writer)),
            term: None,
            lost: AtomicBool::new(false),
            blank: AtomicBool::new(false),
            paint: Paint::NONE,
            glyphs: &Glyphs::UNICODE,
        }
    }

    /// The terminal, if it is one.
    pub(crate) fn terminal(&self) -> Option<&Term> {
        self.term.as_ref()
    }

    /// Columns to use.
    pub(crate) fn width(&self) -> usize {
        let columns = self.term.as_ref().map_or(WIDTH, |term| usize::from(term.size().1));
        columns.clamp(40, WIDEST)
    }

    /// Writes one line.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        let text = text.as_ref();
        self.blank.store(text.is_empty(), Ordering::Relaxed);
        self.write(&format!("{text}\n"));
    }

    /// Writes lines of a layout, in which one empty line is as good as two.
    pub(crate) fn lines(&self, lines: &[String]) {
        for line in lines {
            if !(line.is_empty() && self.blank.load(Ordering::Relaxed)) {
                self.line(line);
            }
        }
    }

    /// Writes text as it is.
    pub(crate) fn raw(&self, text: &str) {
        self.blank.store(false, Ordering::Relaxed);
        self.write(text);
    }

    fn write(&self, text: &str) {
        if self.lost.load(Ordering::Relaxed) {
            return;
        }
        let text = HIDDEN.get().map_or(Cow::Borrowed(text), |redactor| redactor.secrets(text));
        let mut writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if writer.write_all(text.as_bytes()).and_then(|()| writer.flush()).is_err() {
            self.lost.store(true, Ordering::Relaxed);
        }
    }
}

/// <https://bixense.com/clicolors/> and <https://no-color.org/>: `NO_COLOR` wins, then `CLICOLOR_FORCE`, then whether
/// somebody looks.
fn colours(tty: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is = |name: &str, value: &str| std::env::var_os(name).is_some_and(|found| found == value);
    if set("NO_COLOR") {
        return false;
    }
    if set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0") {
        return true;
    }
    tty && !is("TERM", "dumb") && !is("CLICOLOR", "0")
}
