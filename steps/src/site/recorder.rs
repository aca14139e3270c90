//! Writes down what a run asks its site.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use engine::redact::Redactor;
use engine::site::{
    Command, DirEntry, Exit, FileStat, Found, Output, Program, Search, Site, SiteError, digest,
};
use jiff::Timestamp;

use super::content::Content;
use super::idle::Idle;
use super::placeholder::Placeholder;
use super::recording::{
    Exchange, Failure, Listed, Looked, Ran, ReadPart, RecordingError, Removed, Replaced, Sought,
};
use super::writer::RecordingWriter;
use crate::duration::Timespan;

/// A site that passes everything on to another and writes down the exchanges.
pub struct Recorder {
    inner: Arc<dyn Site>,
    placeholder: Placeholder,
    idle: Idle,
    writer: Mutex<RecordingWriter>,
}

impl Recorder {
    /// Writes what is asked of `inner` by the run with the id `run` into `writer`.
    pub fn new(inner: Arc<dyn Site>, run: &str, writer: RecordingWriter) -> Self {
        let idle = Idle::since(writer.written());
        Self { inner, placeholder: Placeholder::new(run), idle, writer: Mutex::new(writer) }
    }

    /// Writes down nothing of what this removes.
    #[must_use]
    pub fn hiding(self, redactor: Redactor) -> Self {
        Self { placeholder: self.placeholder.hiding(redactor), ..self }
    }

    /// What kept exchanges from being written, if something did.
    pub fn take_error(&self) -> Option<RecordingError> {
        self.writer().take_error()
    }

    fn writer(&self) -> MutexGuard<'_, RecordingWriter> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, exchange: Exchange) {
        self.writer().push(exchange);
    }

    /// Something is asked, until what is returned is dropped.
    fn asks(&self) -> impl Drop + '_ {
        let (asking, idle) = self.idle.ends(|| self.inner.now());
        if let Some(idle) = idle {
            self.keep(Exchange::Idle(Timespan(Duration::from_millis(idle.as_millis() as u64))));
        }
        asking
    }

    fn content(&self, bytes: &[u8]) -> Content {
        Content::Inline(self.placeholder.out(bytes))
    }

    fn text(&self, text: &str) -> String {
        self.placeholder.out_text(text)
    }

    fn failure<T>(&self, answer: &Result<T, SiteError>) -> Option<Failure> {
        let error = answer.as_ref().err()?;
        Some(Failure { kind: error.kind, message: self.text(&error.message) })
    }

    fn heard(&self, path: &str, offset: u64, length: usize, answer: &Result<Vec<u8>, SiteError>) {
        self.keep(Exchange::Read(ReadPart {
            path: self.text(path),
            offset,
            length: Some(length as u64),
            content: answer.as_deref().map_or_else(|_| Content::default(), |bytes| self.content(bytes)),
            error: self.failure(answer),
        }));
    }

    fn found(&self, path: &str, search: &Search, answer: &Result<Found, SiteError>) {
        let found = answer.as_ref().ok();
        self.keep(Exchange::Find(Sought {
            path: self.text(path),
            from: search.from,
            to: Some(search.to).filter(|to| *to != u64::MAX),
            at: found.and_then(|found| found.at),
            end: found.map_or(search.from, |found| found.end),
            lines: search.count_lines.then(|| found.and_then(|found| found.lines).unwrap_or(0)),
            error: self.failure(answer),
        }));
    }

    fn ran(&self, command: &Command, answer: &Result<Output, SiteError>, took: Duration) -> Ran {
        let (argv, script) = match &command.program {
            Program::Argv(argv) => (Some(argv.iter().map(|word| self.text(word)).collect()), None),
            Program::Script(text) => (None, Some(self.text(text))),
        };
        let mut ran = Ran {
            host: command.host.as_deref().map(|host| self.text(host)),
            argv,
            script,
            cwd: command.cwd.as_deref().map(|dir| self.text(dir)),
            stdin: command.stdin.as_deref().map(|input| digest(&self.placeholder.out(input))),
            changes: command.changes,
            took: Timespan(took),
            error: self.failure(answer),
            ..Ran::default()
        };
        if let Ok(output) = answer {
            match output.exit {
                Exit::Code(code) => ran.exit = Some(code),
                Exit::Signal(signal) => ran.signal = Some(signal),
            }
            ran.stdout = self.content(&output.stdout);
            ran.stderr = self.content(&output.stderr);
            ran.truncated = output.truncated;
            ran.took = Timespan(output.took);
        }
        ran
    }
}

#[async_trait]
impl Site for Recorder {
    async fn run(&self, command: &Command) -> Result<Output, SiteError> {
        let _asking = self.asks();
        let before = self.inner.now();
        let answer = self.inner.run(command).await;
        let took = Duration::try_from(self.inner.now().duration_since(before)).unwrap_or_default();
        self.keep(Exchange::Run(self.ran(command, &answer, took)));
        answer
    }

    async fn read(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        let _asking = self.asks();
        let answer = self.inner.read(path, offset, length).await;
        self.heard(path, offset, length, &answer);
        answer
    }

    async fn read_many(&self, parts: &[(String, u64, usize)]) -> Vec<Result<Vec<u8>, SiteError>> {
        let _asking = self.asks();
        let answers = self.inner.read_many(parts).await;
        for ((path, offset, length), answer) in parts.iter().zip(&answers) {
            self.heard(path, *offset, *length, answer);
        }
        answers
    }

    async fn find(&self, path: &str, search: &Search) -> Result<Found, SiteError> {
        let _asking = self.asks();
        let answer = self.inner.find(path, search).await;
        self.found(path, search, &answer);
        answer
    }

    async fn find_many(&self, parts: &[(String, Search)]) -> Vec<Result<Found, SiteError>> {
        let _asking = self.asks();
        let answers = self.inner.find_many(parts).await;
        for ((path, search), answer) in parts.iter().zip(&answers) {
            self.found(path, search, answer);
        }
        answers
    }

    async fn stat(&self, path: &str) -> Result<Option<FileStat>, SiteError> {
        let _asking = self.asks();
        let answer = self.inner.stat(path).await;
        self.keep(Exchange::Stat(Looked {
            path: self.text(path),
            is: answer.as_ref().ok().cloned().flatten(),
            error: self.failure(&answer),
        }));
        answer
    }

    async fn list(&self, path: &str) -> Result<Vec<DirEntry>, SiteError> {
        let _asking = self.asks();
        let answer = self.inner.list(path).await;
        let named = |entry: &DirEntry| DirEntry { name: self.text(&entry.name), stat: entry.stat.clone() };
        self.keep(Exchange::List(Listed {
            path: self.text(path),
            entries: answer.iter().flatten().map(named).collect(),
            error: self.failure(&answer),
        }));
        answer
    }

    async fn replace(&self, path: &str, expected: Option<&str>, content: &[u8]) -> Result<(), SiteError> {
        let _asking = self.asks();
        let answer = self.inner.replace(path, expected, content).await;
        self.keep(Exchange::Replace(Replaced {
            path: self.text(path),
            expected: expected.map(str::to_owned),
            content: self.content(content),
            error: self.failure(&answer),
        }));
        answer
    }

    async fn remove(&self, path: &str, expected: &str) -> Result<(), SiteError> {
        let _asking = self.asks();
        let answer = self.inner.remove(path, expected).await;
        self.keep(Exchange::Remove(Removed {
            path: self.text(path),
            expected: expected.to_owned(),
            error: self.failure(&answer),
        }));
        answer
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    async fn sleep(&self, duration: Duration) {
        let _asking = self.asks();
        self.inner.sleep(duration).await;
    }
}
