//! A site that answers from a script: what the tests of steps, engine and command line act on.
//!
//! Commands answer what the test said they would, files live in memory, the clock moves only by
//! [`FakeSite::advance`] and by sleeping, and every call is kept for the test to look at.

mod acting;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod told;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::site::{Command, Exit, Output, Program, SiteError, SiteErrorKind};
use engine::step::StepCx;
use jiff::Timestamp;

/// One scripted answer to a command.
pub type Answer = Result<Output, SiteError>;

/// A command that returned 0 and printed this.
pub fn ok(stdout: impl Into<Vec<u8>>) -> Answer {
    exit(0, stdout, "")
}

/// A command that returned `code` and printed this to stdout and stderr.
pub fn exit(code: i32, stdout: impl Into<Vec<u8>>, stderr: impl Into<Vec<u8>>) -> Answer {
    Ok(Output {
        exit: Exit::Code(code),
        stdout: stdout.into(),
        stderr: stderr.into(),
        truncated: false,
        took: Duration::from_millis(10),
    })
}

/// A command that gave no answer.
pub fn fails(kind: SiteErrorKind, message: impl Into<String>) -> Answer {
    Err(SiteError::new(kind, message))
}

/// Something that was asked of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A command.
    Run(Command),
    /// Part of a file.
    Read {
        /// The file.
        path: String,
        /// From this byte.
        offset: u64,
        /// So many bytes.
        length: usize,
    },
    /// What a path is.
    Stat(String),
    /// The entries of a directory.
    List(String),
    /// A file's new content.
    Replace {
        /// The file.
        path: String,
        /// Digest of the content it should have had.
        expected: Option<String>,
        /// The new content.
        content: Vec<u8>,
    },
    /// A file's removal.
    Remove {
        /// The file.
        path: String,
        /// Digest of the content it should have had.
        expected: String,
    },
    /// A wait.
    Sleep(Duration),
}

/// A site that answers from a script. Share it as `Arc<FakeSite>`; all methods take `&self`.
pub struct FakeSite {
    state: Mutex<State>,
}

type Matcher = Box<dyn Fn(&Command) -> bool + Send>;
type Reply = Box<dyn FnMut(&Command) -> Answer + Send>;
type Event = Box<dyn FnOnce(&FakeSite) + Send>;
type Hook = Box<dyn FnMut(&FakeSite) + Send>;

struct State {
    now: Timestamp,
    rules: Vec<(Matcher, Reply)>,
    lines: Vec<(String, VecDeque<Answer>)>,
    files: BTreeMap<String, Entry>,
    broken: BTreeMap<String, SiteErrorKind>,
    on_sleep: Option<Hook>,
    events: Vec<(Timestamp, Event)>,
    calls: Vec<Call>,
}

#[derive(Clone)]
struct Entry {
    /// `None` is a directory.
    content: Option<Vec<u8>>,
    modified: Timestamp,
    mode: u32,
}

impl Default for FakeSite {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeSite {
    /// An empty site on which it is 2026-11-24 03:12:44 UTC.
    pub fn new() -> Self {
        let now = Timestamp::from_second(1_795_489_964).unwrap_or_default();
        let state = State {
            now,
            rules: Vec::new(),
            lines: Vec::new(),
            files: BTreeMap::new(),
            broken: BTreeMap::new(),
            on_sleep: None,
            events: Vec::new(),
            calls: Vec::new(),
        };
        Self { state: Mutex::new(state) }
    }

    /// [`FakeSite::new`], to be shared with a step's context.
    pub fn shared() -> Arc<Self> {
        Arc::new(Self::new())
    }

    /// A step's context on this site, with the token `run/1`.
    pub fn cx(self: &Arc<Self>) -> StepCx {
        StepCx::new(self.clone(), "run/1")
    }

    /// Local commands whose argv begins with `prefix` get these answers in turn; the last one repeats.
    ///
    /// Of several rules that match, the one added last answers.
    pub fn local<'a>(&self, prefix: impl IntoIterator<Item = &'a str>, answers: impl IntoAnswers) {
        self.begins(None, prefix, answers);
    }

    /// Commands on `host` whose argv begins with `prefix` get these answers in turn; the last one repeats.
    pub fn host<'a>(&self, host: &str, prefix: impl IntoIterator<Item = &'a str>, answers: impl IntoAnswers) {
        self.begins(Some(host.to_owned()), prefix, answers);
    }

    fn begins<'a>(
        &self,
        host: Option<String>,
        prefix: impl IntoIterator<Item = &'a str>,
        answers: impl IntoAnswers,
    ) {
        let prefix: Vec<String> = prefix.into_iter().map(str::to_owned).collect();
        let matches = move |command: &Command| match &command.program {
            Program::Argv(argv) => command.host == host && argv.starts_with(&prefix),
            Program::Script(_) => false,
        };
        self.when(matches, answers);
    }

    /// Scripts, on any host, whose text contains `fragment` get these answers in turn; the last one repeats.
    pub fn script(&self, fragment: &str, answers: impl IntoAnswers) {
        let fragment = fragment.to_owned();
        let matches =
            move |command: &Command| matches!(&command.program, Program::Script(t) if t.contains(&fragment));
        self.when(matches, answers);
    }

    /// Commands for which `matches` is true get these answers in turn; the last one repeats.
    pub fn when(&self, matches: impl Fn(&Command) -> bool + Send + 'static, answers: impl IntoAnswers) {
        let mut answers = answers.into_answers();
        assert!(!answers.is_empty(), "a rule needs at least one answer");
        answers.reverse();
        let reply = move |_: &Command| {
            let last = answers.len() == 1;
            let answer = if last { answers.last().cloned() } else { answers.pop() };
            answer.unwrap_or_else(|| fails(SiteErrorKind::NotStarted, "no answers left"))
        };
        self.when_run(matches, reply);
    }

    /// Commands for which `matches` is true are answered by `reply`.
    pub fn when_run(
        &self,
        matches: impl Fn(&Command) -> bool + Send + 'static,
        reply: impl FnMut(&Command) -> Answer + Send + 'static,
    ) {
        self.state().rules.push((Box::new(matches), Box::new(reply)));
    }

    /// Command lines (as a person would type them, without variables) that begin so and that no other rule matches get
    /// this answer after those given before for the same beginning; the last one repeats. The longest beginning counts.
    pub fn line(&self, start: &str, answer: Answer) {
        let mut state = self.state();
        match state.lines.iter_mut().find(|(known, _)| known == start) {
            Some((_, answers)) => answers.push_back(answer),
            None => state.lines.push((start.to_owned(), VecDeque::from([answer]))),
        }
    }

    /// [`FakeSite::line`]: it prints this and returns 0.
    pub fn answer(&self, start: &str, stdout: impl Into<Vec<u8>>) {
        self.line(start, ok(stdout));
    }

    /// [`FakeSite::line`]: it says this on standard error and returns `code`.
    pub fn fail(&self, start: &str, code: i32, stderr: &str) {
        self.line(start, exit(code, "", stderr));
    }

    /// [`FakeSite::line`]: it does not come to its end.
    pub fn error(&self, start: &str, kind: SiteErrorKind) {
        self.line(start, fails(kind, format!("{start}: {kind:?}")));
    }

    /// Puts a file there, modified now, with mode `0o644`; its directories come by themselves.
    pub fn file(&self, path: &str, content: impl Into<Vec<u8>>) {
        let mut state = self.state();
        let (modified, mode) = (state.now, state.files.get(path).map_or(0o644, |entry| entry.mode));
        state.parents_of(path);
        state.files.insert(path.to_owned(), Entry { content: Some(content.into()), modified, mode });
    }

    /// Puts an empty directory there.
    pub fn dir(&self, path: &str) {
        let mut state = self.state();
        state.parents_of(path);
        let modified = state.now;
        state.files.entry(path.to_owned()).or_insert(Entry { content: None, modified, mode: 0o755 });
    }

    /// Sets the time of last modification of a file or directory that is there.
    pub fn modified(&self, path: &str, when: Timestamp) {
        let mut state = self.state();
        state.files.get_mut(path).unwrap_or_else(|| panic!("{path} is not there")).modified = when;
    }

    /// Sets the permission bits of a file or directory that is there.
    pub fn mode(&self, path: &str, mode: u32) {
        let mut state = self.state();
        state.files.get_mut(path).unwrap_or_else(|| panic!("{path} is not there")).mode = mode;
    }

    /// Takes a file, or a directory with all below it, away.
    pub fn gone(&self, path: &str) {
        let below = format!("{path}/");
        self.state().files.retain(|name, _| name != path && !name.starts_with(&below));
    }

    /// Lets every read or listing of a path fail.
    pub fn broken(&self, path: &str, kind: SiteErrorKind) {
        self.state().broken.insert(path.to_owned(), kind);
    }

    /// The present content of a file, or `None` if it is not there.
    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        self.state().files.get(path).and_then(|entry| entry.content.clone())
    }

    /// Lets `event` happen when the clock has moved on by `after`: a log grows, a job ends.
    pub fn later(&self, after: Duration, event: impl FnOnce(&FakeSite) + Send + 'static) {
        let mut state = self.state();
        let when = state.now + after;
        state.events.push((when, Box::new(event)));
    }

    /// Calls this after each pause: a world that moves while a step waits.
    pub fn on_sleep(&self, hook: impl FnMut(&FakeSite) + Send + 'static) {
        self.state().on_sleep = Some(Box::new(hook));
    }

    /// Moves the clock; what was due in between happens in order.
    pub fn advance(&self, by: Duration) {
        let end = self.state().now + by;
        loop {
            let mut state = self.state();
            let next = state
                .events
                .iter()
                .enumerate()
                .filter(|(_, (when, _))| *when <= end)
                .min_by_key(|(_, (when, _))| *when)
                .map(|(index, _)| index);
            let Some(index) = next else {
                state.now = end;
                return;
            };
            let (when, event) = state.events.remove(index);
            state.now = state.now.max(when);
            drop(state); // the event calls back into the site
            event(self);
        }
    }

    /// Sets the clock; nothing that is due in between happens.
    pub fn set_now(&self, now: Timestamp) {
        self.state().now = now;
    }

    /// Everything that was asked so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// The commands that were run so far, as a person would type them.
    pub fn commands(&self) -> Vec<String> {
        self.runs().iter().map(Command::to_string).collect()
    }

    /// [`FakeSite::commands`] without their variables.
    pub fn lines(&self) -> Vec<String> {
        self.runs().iter().map(line).collect()
    }

    /// The commands that were run so far.
    pub fn runs(&self) -> Vec<Command> {
        let run = |call: &Call| match call {
            Call::Run(command) => Some(command.clone()),
            _ => None,
        };
        self.state().calls.iter().filter_map(run).collect()
    }

    /// How long was slept in all.
    pub fn slept(&self) -> Duration {
        let pause = |call: &Call| match call {
            Call::Sleep(pause) => *pause,
            _ => Duration::ZERO,
        };
        self.state().calls.iter().map(pause).sum()
    }

    /// Whether no file was replaced or removed so far. Commands are judged by the test itself.
    pub fn files_untouched(&self) -> bool {
        !self.state().calls.iter().any(|call| matches!(call, Call::Replace { .. } | Call::Remove { .. }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command as a person would type it, without its variables.
fn line(command: &Command) -> String {
    let mut bare = command.clone();
    bare.env.clear();
    bare.to_string()
}

/// One answer, or several in turn.
pub trait IntoAnswers {
    /// The answers, first to last.
    fn into_answers(self) -> Vec<Answer>;
}

impl IntoAnswers for Answer {
    fn into_answers(self) -> Vec<Answer> {
        vec![self]
    }
}

impl IntoAnswers for Vec<Answer> {
    fn into_answers(self) -> Vec<Answer> {
        self
    }
}

impl<const N: usize> IntoAnswers for [Answer; N] {
    fn into_answers(self) -> Vec<Answer> {
        self.into()
    }
}
