//! A site that answers from a script: what the tests of steps, engine and command line act on.
//!
//! Commands answer what the test said they would, files live in memory, the clock moves only by
//! [`FakeSite::advance`] and by sleeping, and every call is kept for the test to look at.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use engine::site::{
    Command, DirEntry, Exit, FileKind, FileStat, Output, Program, Site, SiteError, SiteErrorKind, digest,
};
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

struct State {
    now: Timestamp,
    rules: Vec<(Matcher, Reply)>,
    files: BTreeMap<String, Entry>,
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
        let state =
            State { now, rules: Vec::new(), files: BTreeMap::new(), events: Vec::new(), calls: Vec::new() };
        Self { state: Mutex::new(state) }
    }

    /// A step's context on this site, with the token `test-run/1`.
    pub fn cx(self: &Arc<Self>) -> StepCx {
        StepCx::new(self.clone(), "test-run/1")
    }

    /// Local commands whose argv begins with `prefix` get these answers in turn; the last one repeats.
    ///
    /// Of several rules that match, the one added last answers.
    pub fn local<'a>(&self, prefix: impl IntoIterator<Item = &'a str>, answers: impl IntoAnswers) {
        self.answer(None, prefix, answers);
    }

    /// Commands on `host` whose argv begins with `prefix` get these answers in turn; the last one repeats.
    pub fn host<'a>(&self, host: &str, prefix: impl IntoIterator<Item = &'a str>, answers: impl IntoAnswers) {
        self.answer(Some(host.to_owned()), prefix, answers);
    }

    fn answer<'a>(
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
        let line = |call: &Call| match call {
            Call::Run(command) => Some(command.to_string()),
            _ => None,
        };
        self.state().calls.iter().filter_map(line).collect()
    }

    /// Whether no file was replaced or removed so far. Commands are judged by the test itself.
    pub fn files_untouched(&self) -> bool {
        !self.state().calls.iter().any(|call| matches!(call, Call::Replace { .. } | Call::Remove { .. }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

impl State {
    fn parents_of(&mut self, path: &str) {
        let now = self.now;
        let mut rest = path;
        while let Some((parent, _)) = rest.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
            let directory = Entry { content: None, modified: now, mode: 0o755 };
            self.files.entry(parent.to_owned()).or_insert(directory);
            rest = parent;
        }
    }

    fn stat(&self, path: &str) -> Option<FileStat> {
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        let entry = self.files.get(path)?;
        let (kind, size) = match &entry.content {
            Some(content) => (FileKind::File, content.len() as u64),
            None => (FileKind::Dir, 4096),
        };
        Some(FileStat { kind, size, modified: entry.modified, mode: entry.mode })
    }

    fn file(&self, path: &str) -> Result<&Vec<u8>, SiteError> {
        let missing = || SiteError::new(SiteErrorKind::NotFound, format!("{path}: no such file"));
        let entry = self.files.get(path).ok_or_else(missing)?;
        let directory = || SiteError::new(SiteErrorKind::Io, format!("{path}: is a directory"));
        entry.content.as_ref().ok_or_else(directory)
    }
}

#[async_trait]
impl Site for FakeSite {
    async fn run(&self, command: &Command) -> Answer {
        let mut state = self.state();
        state.calls.push(Call::Run(command.clone()));
        let State { rules, .. } = &mut *state;
        let unknown = || fails(SiteErrorKind::NotStarted, format!("no scripted answer for: {command}"));
        let answer = rules
            .iter_mut()
            .rev()
            .find(|(matches, _)| matches(command))
            .map_or_else(unknown, |(_, reply)| reply(command));
        answer.map(|mut output| {
            for stream in [&mut output.stdout, &mut output.stderr] {
                output.truncated |= stream.len() > command.output_limit;
                stream.truncate(command.output_limit);
            }
            output
        })
    }

    async fn read(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        let mut state = self.state();
        state.calls.push(Call::Read { path: path.to_owned(), offset, length });
        let content = state.file(path)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let end = start.saturating_add(length).min(content.len());
        Ok(content[start..end].to_vec())
    }

    async fn stat(&self, path: &str) -> Result<Option<FileStat>, SiteError> {
        let mut state = self.state();
        state.calls.push(Call::Stat(path.to_owned()));
        Ok(state.stat(path))
    }

    async fn list(&self, path: &str) -> Result<Vec<DirEntry>, SiteError> {
        let mut state = self.state();
        state.calls.push(Call::List(path.to_owned()));
        let path = path.trim_end_matches('/');
        match state.stat(path) {
            Some(stat) if stat.kind == FileKind::Dir => {}
            Some(_) => return Err(SiteError::new(SiteErrorKind::Io, format!("{path}: not a directory"))),
            None => {
                return Err(SiteError::new(SiteErrorKind::NotFound, format!("{path}: no such directory")));
            }
        }
        let below = format!("{path}/");
        let names = state.files.keys().filter_map(|name| name.strip_prefix(&below));
        let entries = names.filter(|name| !name.contains('/')).filter_map(|name| {
            state.stat(&format!("{below}{name}")).map(|stat| DirEntry { name: name.to_owned(), stat })
        });
        Ok(entries.collect())
    }

    async fn replace(&self, path: &str, expected: Option<&str>, content: &[u8]) -> Result<(), SiteError> {
        let mut state = self.state();
        state.calls.push(Call::Replace {
            path: path.to_owned(),
            expected: expected.map(str::to_owned),
            content: content.to_vec(),
        });
        let present = state.files.get(path).and_then(|entry| entry.content.as_deref()).map(digest);
        if present.as_deref() != expected {
            let message = format!("{path}: is no longer what it was expected to be");
            return Err(SiteError::new(SiteErrorKind::Conflict, message));
        }
        drop(state);
        self.file(path, content);
        Ok(())
    }

    async fn remove(&self, path: &str, expected: &str) -> Result<(), SiteError> {
        let mut state = self.state();
        state.calls.push(Call::Remove { path: path.to_owned(), expected: expected.to_owned() });
        let Some(entry) = state.files.get(path) else { return Ok(()) };
        if entry.content.as_deref().map(digest).as_deref() != Some(expected) {
            let message = format!("{path}: is no longer what it was expected to be");
            return Err(SiteError::new(SiteErrorKind::Conflict, message));
        }
        state.files.remove(path);
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.state().now
    }

    async fn sleep(&self, duration: Duration) {
        self.state().calls.push(Call::Sleep(duration));
        self.advance(duration);
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_in_turn_and_the_last_repeats() {
        let site = FakeSite::new();
        site.local(["squeue"], [ok("PENDING"), ok("RUNNING")]);
        let ask =
            || async { site.run(&Command::argv(["squeue", "-j", "7"])).await.unwrap().text().into_owned() };
        assert_eq!([ask().await, ask().await, ask().await], ["PENDING", "RUNNING", "RUNNING"]);
        let elsewhere = site.run(&Command::argv(["squeue"]).on("gpu-1")).await.unwrap_err();
        assert_eq!(elsewhere.kind, SiteErrorKind::NotStarted);
        assert_eq!(site.commands()[3], "ssh gpu-1 squeue");
    }

    #[tokio::test]
    async fn the_last_rule_wins_and_output_is_bounded() {
        let site = FakeSite::new();
        site.script("a", ok("first"));
        site.script("ab", exit(3, "second", "x"));
        let mut command = Command::script("echo ab");
        command.output_limit = 2;
        let output = site.run(&command).await.unwrap();
        assert_eq!(
            (output.exit, output.stdout.as_slice(), output.truncated),
            (Exit::Code(3), &b"se"[..], true)
        );
    }

    #[tokio::test]
    async fn files_behave_like_files() {
        let site = FakeSite::new();
        site.file("/a/b/c", "hello");
        assert_eq!(site.read("/a/b/c", 1, 3).await.unwrap(), b"ell");
        assert_eq!(site.read("/a/b/c", 9, 3).await.unwrap(), b"");
        assert_eq!(site.list("/a").await.unwrap()[0].name, "b");
        assert_eq!(site.stat("/nothing").await.unwrap(), None);
        let stale = site.replace("/a/b/c", Some(&digest(b"other")), b"new").await.unwrap_err();
        assert_eq!(stale.kind, SiteErrorKind::Conflict);
        site.replace("/a/b/c", Some(&digest(b"hello")), b"new").await.unwrap();
        site.remove("/a/b/c", &digest(b"new")).await.unwrap();
        site.remove("/a/b/c", &digest(b"new")).await.unwrap();
        assert_eq!(site.content("/a/b/c"), None);
    }

    #[tokio::test]
    async fn sleeping_moves_the_clock_and_lets_things_happen() {
        let site = FakeSite::new();
        let start = site.now();
        site.later(Duration::from_secs(20), |site| site.file("/log", "two"));
        site.later(Duration::from_secs(10), |site| site.file("/log", "one"));
        site.sleep(Duration::from_secs(15)).await;
        assert_eq!(site.content("/log").unwrap(), b"one");
        site.sleep(Duration::from_secs(15)).await;
        assert_eq!(site.content("/log").unwrap(), b"two");
        assert_eq!(site.now().duration_since(start), jiff::SignedDuration::from_secs(30));
    }
}
