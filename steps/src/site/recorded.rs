//! Replays a recording: nothing real is asked and nothing real is touched.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use engine::redact::Redactor;
use engine::site::{
    Command, DirEntry, Exit, FileKind, FileStat, Found, Output, Program, Search, Site, SiteError,
    SiteErrorKind, digest, find_by_reading,
};
use jiff::Timestamp;
use serde_json::json;

use super::placeholder::Placeholder;
use super::recording::{Exchange, Failure, Ran, Recording, Sought};
use super::tape::{Tape, command_line, find_key, path_key, read_key, run_key};
use super::visits::Visits;

/// A site that answers from a recording.
///
/// An exchange answers the question it was recorded for: the same command on the same host in the same directory with
/// the same input, the same path. Several answers to one question come in their order, the last one repeats; what was
/// recorded after a change is answered only after that change. A runbook may have been edited since: the same question at
/// another visit is the same question. Reads of
/// other parts of a file are put together from the recorded ones. Files that the run writes are kept in memory and
/// seen by its later reads (but not by commands). The clock begins where the recording began and moves by the time
/// that commands took, that the run waits, and that the recorded run was idle.
pub struct RecordedSite {
    placeholder: Placeholder,
    state: Mutex<State>,
}

#[derive(Clone)]
struct State {
    now: Timestamp,
    tape: Tape,
    visits: Visits,
    /// What the run wrote (`None`: removed) and when.
    written: BTreeMap<String, (Option<Vec<u8>>, Timestamp)>,
}

impl RecordedSite {
    /// Replays `recording` for the run with the id `run`.
    pub fn new(recording: Recording, run: &str) -> Self {
        let state = State {
            now: recording.clock,
            tape: Tape::new(recording.exchanges),
            visits: Visits::default(),
            written: BTreeMap::new(),
        };
        Self { placeholder: Placeholder::new(run), state: Mutex::new(state) }
    }

    /// The same world as it is now, which goes its own way from here.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { placeholder: self.placeholder.clone(), state: Mutex::new(self.state().clone()) }
    }

    /// Looks for what is asked as it was written down: without what this removes.
    #[must_use]
    pub fn hiding(self, redactor: Redactor) -> Self {
        Self { placeholder: self.placeholder.hiding(redactor), ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self, command: &Command) -> Ran {
        let (argv, script) = match &command.program {
            Program::Argv(argv) => {
                (Some(argv.iter().map(|word| self.placeholder.out_text(word)).collect()), None)
            }
            Program::Script(text) => (None, Some(self.placeholder.out_text(text))),
        };
        Ran {
            host: command.host.as_deref().map(|host| self.placeholder.out_text(host)),
            argv,
            script,
            cwd: command.cwd.as_deref().map(|dir| self.placeholder.out_text(dir)),
            stdin: command.stdin.as_deref().map(|input| digest(&self.placeholder.out(input))),
            ..Ran::default()
        }
    }

    fn error(&self, failure: &Failure) -> SiteError {
        SiteError::new(failure.kind, self.placeholder.back_text(&failure.message))
    }
}

fn cut(bytes: Vec<u8>, limit: usize) -> (Vec<u8>, bool) {
    let over = bytes.len() > limit;
    let mut bytes = bytes;
    bytes.truncate(limit);
    (bytes, over)
}

fn not_recorded_command(tape: &Tape, asked: &Ran) -> SiteError {
    let line = command_line(asked);
    if tape.knows(&run_key(asked)) {
        let message = format!("the recording has `{line}` only after a change that was not made here");
        return SiteError::new(SiteErrorKind::NotRecorded, message);
    }
    let nearest = match tape.nearest(&line) {
        Some(near) if near == line => {
            "; the same command is there with another directory or standard input".to_owned()
        }
        Some(near) => format!("; the nearest is `{near}`"),
        None => String::new(),
    };
    let mut entry = json!({ "exit": 0, "stdout": "…" });
    for (key, value) in [
        ("host", json!(asked.host)),
        ("argv", json!(asked.argv)),
        ("script", json!(asked.script)),
        ("cwd", json!(asked.cwd)),
    ] {
        if !value.is_null() {
            entry[key] = value;
        }
    }
    SiteError::new(
        SiteErrorKind::NotRecorded,
        format!("the recording has no `{line}`{nearest}; add under `exchanges`:  - run: {entry}"),
    )
}

fn not_recorded_path(tape: &Tape, verb: &str, path: &str, entry: &serde_json::Value) -> SiteError {
    let nearest = tape.nearest_path(verb, path).filter(|near| near != path);
    let nearest = nearest.map(|near| format!("; the nearest is {near}")).unwrap_or_default();
    SiteError::new(
        SiteErrorKind::NotRecorded,
        format!("the recording has no {verb} of {path}{nearest}; add under `exchanges`:  - {verb}: {entry}"),
    )
}

fn conflict(path: &str) -> SiteError {
    SiteError::new(SiteErrorKind::Conflict, format!("{path}: is no longer what it was expected to be"))
}

/// What a file holds, as far as the recording and the run's own writes tell.
enum Known {
    Content(Vec<u8>),
    Absent,
    Unknown,
}

impl State {
    /// `path` as the run names it, `recorded` as the recording does.
    fn known(&self, path: &str, recorded: &str, placeholder: &Placeholder) -> Known {
        match self.written.get(path) {
            Some((Some(content), _)) => return Known::Content(content.clone()),
            Some((None, _)) => return Known::Absent,
            None => {}
        }
        if self.tape.absent(recorded) == Some(true) {
            return Known::Absent;
        }
        if let Some(content) = self.tape.assemble(recorded, 0, u64::MAX) {
            return Known::Content(placeholder.back(&content));
        }
        match self.tape.current(&path_key("stat", recorded)) {
            Some(Exchange::Stat(looked)) if looked.is.is_none() && looked.error.is_none() => Known::Absent,
            _ => Known::Unknown,
        }
    }

    /// What a written file is: the recorded answer where it speaks of the same size, else made up.
    fn written_stat(content: &[u8], when: Timestamp, recorded: Option<FileStat>) -> FileStat {
        let size = content.len() as u64;
        match recorded {
            Some(stat) if stat.size == size && stat.kind == FileKind::File => stat,
            Some(stat) => FileStat { kind: FileKind::File, size, modified: when, mode: stat.mode },
            None => FileStat { kind: FileKind::File, size, modified: when, mode: 0o644 },
        }
    }

    /// The next exchange of a key. What was recorded after the run had been idle is answered as late as it was then.
    fn take(&mut self, key: &str) -> Option<Exchange> {
        let exchange = self.tape.take(key)?;
        let idle = self.tape.idle_before(key);
        self.advance(idle);
        Some(exchange)
    }

    fn advance(&mut self, by: Duration) {
        self.now = self.now.saturating_add(by).unwrap_or(self.now);
    }
}

#[async_trait]
impl Site for RecordedSite {
    async fn run(&self, command: &Command) -> Result<Output, SiteError> {
        let mut asked = self.asked(command);
        let mut state = self.state();
        let mut key = state.visits.recorded(&run_key(&asked));
        if !state.tape.knows(&key) && asked.stdin.take().is_some() {
            key = state.visits.recorded(&run_key(&asked)); // recorded for any input
        }
        if !state.tape.knows(&key)
            && let Some(recorded) = state.tape.elsewhere(&key).map(str::to_owned)
        {
            state.visits.learn(&run_key(&asked), &recorded);
            key = recorded;
        }
        let Some(Exchange::Run(ran)) = state.take(&key) else {
            return Err(not_recorded_command(&state.tape, &asked));
        };
        if ran.changes {
            state.tape.made(&key);
        }
        state.advance(ran.took.0);
        if let Some(failure) = &ran.error {
            return Err(self.error(failure));
        }
        let exit = match ran.signal {
            Some(signal) => Exit::Signal(signal),
            None => Exit::Code(ran.exit.unwrap_or(0)),
        };
        let back = |bytes: &[u8]| self.placeholder.back(&state.visits.replayed(bytes));
        let (stdout, more) = cut(back(ran.stdout.bytes()), command.output_limit);
        let (stderr, further) = cut(back(ran.stderr.bytes()), command.output_limit);
        Ok(Output { exit, stdout, stderr, truncated: ran.truncated || more || further, took: ran.took.0 })
    }

    async fn read(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        let mut state = self.state();
        match state.written.get(path) {
            Some((Some(content), _)) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
                return Ok(content[start..start.saturating_add(length).min(content.len())].to_vec());
            }
            Some((None, _)) => {
                return Err(SiteError::new(SiteErrorKind::NotFound, format!("{path}: no such file")));
            }
            None => {}
        }
        let recorded = self.placeholder.out_text(path);
        if let Some(Exchange::Read(read)) = state.take(&read_key(&recorded, offset, length as u64)) {
            return match &read.error {
                Some(failure) => Err(self.error(failure)),
                None => Ok(self.placeholder.back(read.content.bytes())),
            };
        }
        match state.tape.assemble(&recorded, offset, length as u64) {
            Some(content) => Ok(self.placeholder.back(&content)),
            None => {
                let entry = json!({ "path": recorded, "content": "…" });
                Err(not_recorded_path(&state.tape, "read", path, &entry))
            }
        }
    }

    /// The recorded answer, or else what the recorded reads of the file hold.
    async fn find(&self, path: &str, search: &Search) -> Result<Found, SiteError> {
        let recorded = {
            let mut state = self.state();
            let asked = Sought {
                path: self.placeholder.out_text(path),
                from: search.from,
                to: Some(search.to).filter(|to| *to != u64::MAX),
                at: None,
                end: search.from,
                lines: search.count_lines.then_some(0),
                error: None,
            };
            if state.written.contains_key(path) { None } else { state.take(&find_key(&asked)) }
        };
        match recorded {
            Some(Exchange::Find(sought)) => match &sought.error {
                Some(failure) => Err(self.error(failure)),
                None => Ok(Found { at: sought.at, end: sought.end, lines: sought.lines }),
            },
            _ => find_by_reading(self, path, search).await,
        }
    }

    async fn stat(&self, path: &str) -> Result<Option<FileStat>, SiteError> {
        let mut state = self.state();
        let recorded = self.placeholder.out_text(path);
        let found = state.take(&path_key("stat", &recorded));
        match (state.written.get(path), found) {
            (Some((None, _)), _) => Ok(None),
            (Some((Some(content), when)), found) => {
                let stat = match found {
                    Some(Exchange::Stat(looked)) => looked.is,
                    _ => None,
                };
                Ok(Some(State::written_stat(content, *when, stat)))
            }
            (None, Some(Exchange::Stat(looked))) => match &looked.error {
                Some(failure) => Err(self.error(failure)),
                None => Ok(looked.is),
            },
            (None, _) => {
                let entry = json!({ "path": recorded, "is": null });
                Err(not_recorded_path(&state.tape, "stat", path, &entry))
            }
        }
    }

    async fn list(&self, path: &str) -> Result<Vec<DirEntry>, SiteError> {
        let mut state = self.state();
        let recorded = self.placeholder.out_text(path);
        let below = format!("{}/", path.trim_end_matches('/'));
        let child =
            |name: &str| name.strip_prefix(&below).filter(|rest| !rest.contains('/')).map(str::to_owned);
        let written: Vec<_> =
            state.written.iter().filter_map(|(name, entry)| Some((child(name)?, entry.clone()))).collect();
        let mut entries: BTreeMap<String, FileStat> = match state.take(&path_key("list", &recorded)) {
            Some(Exchange::List(listed)) => {
                if let Some(failure) = &listed.error {
                    return Err(self.error(failure));
                }
                let named = |entry: DirEntry| (self.placeholder.back_text(&entry.name), entry.stat);
                listed.entries.into_iter().map(named).collect()
            }
            _ if !written.is_empty() => BTreeMap::new(),
            _ => {
                let entry = json!({ "path": recorded, "entries": [] });
                return Err(not_recorded_path(&state.tape, "list", path, &entry));
            }
        };
        for (name, (content, when)) in written {
            let before = entries.remove(&name);
            if let Some(content) = content {
                entries.insert(name, State::written_stat(&content, when, before));
            }
        }
        Ok(entries.into_iter().map(|(name, stat)| DirEntry { name, stat }).collect())
    }

    async fn replace(&self, path: &str, expected: Option<&str>, content: &[u8]) -> Result<(), SiteError> {
        let mut state = self.state();
        let recorded = self.placeholder.out_text(path);
        let key = path_key("replace", &recorded);
        let found = match state.take(&key) {
            Some(Exchange::Replace(replaced)) => Some(replaced),
            _ => None,
        };
        if let Some(failure) = found.as_ref().and_then(|replaced| replaced.error.as_ref()) {
            return Err(self.error(failure));
        }
        let fits = match state.known(path, &recorded, &self.placeholder) {
            Known::Content(present) => expected == Some(digest(&present).as_str()),
            Known::Absent => expected.is_none(),
            Known::Unknown => match found {
                Some(replaced) => replaced.expected.as_deref() == expected,
                None => {
                    let entry = json!({ "path": recorded, "content": "…" });
                    return Err(not_recorded_path(&state.tape, "read", path, &entry));
                }
            },
        };
        if !fits {
            return Err(conflict(path));
        }
        let now = state.now;
        state.written.insert(path.to_owned(), (Some(content.to_vec()), now));
        state.tape.made(&key);
        Ok(())
    }

    async fn remove(&self, path: &str, expected: &str) -> Result<(), SiteError> {
        let mut state = self.state();
        let recorded = self.placeholder.out_text(path);
        let key = path_key("remove", &recorded);
        let found = match state.take(&key) {
            Some(Exchange::Remove(removed)) => Some(removed),
            _ => None,
        };
        if let Some(failure) = found.as_ref().and_then(|removed| removed.error.as_ref()) {
            return Err(self.error(failure));
        }
        match (state.known(path, &recorded, &self.placeholder), found) {
            (Known::Content(present), _) if digest(&present) != expected => return Err(conflict(path)),
            (Known::Content(_), _) => {}
            (Known::Absent, _) => {
                state.tape.made(&key);
                return Ok(());
            }
            (Known::Unknown, Some(removed)) if removed.expected != expected => return Err(conflict(path)),
            (Known::Unknown, Some(_)) => {}
            (Known::Unknown, None) => {
                let entry = json!({ "path": recorded, "content": "…" });
                return Err(not_recorded_path(&state.tape, "read", path, &entry));
            }
        }
        let now = state.now;
        state.written.insert(path.to_owned(), (None, now));
        state.tape.made(&key);
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.state().now
    }

    async fn sleep(&self, duration: Duration) {
        self.state().advance(duration);
        tokio::task::yield_now().await; // a poll without a limit of its own must stay cancellable
    }
}
