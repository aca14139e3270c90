//! A site whose programs answer what a test says, in order, and which keeps what it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use engine::site::{
    Command, DirEntry, Exit, FileKind, FileStat, Output, Program, Site, SiteError, SiteErrorKind,
};
use engine::step::StepCx;
use jiff::Timestamp;

type Hook = Box<dyn FnMut(Duration, &mut BTreeMap<String, Vec<u8>>) + Send>;

#[derive(Default)]
struct State {
    /// Answers by the start of the command line; the last one is given again and again.
    answers: Vec<(String, VecDeque<Result<Output, SiteError>>)>,
    calls: Vec<Command>,
    files: BTreeMap<String, Vec<u8>>,
    slept: Duration,
    on_sleep: Option<Hook>,
}

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct FakeSite(Arc<Mutex<State>>);

/// The time at which every test begins.
pub(crate) const NOW: &str = "2026-11-24T03:00:00Z";

/// A context on the site, with the token `run/1`.
pub(crate) fn cx(site: &FakeSite) -> StepCx {
    StepCx::new(Arc::new(site.clone()), "run/1")
}

impl FakeSite {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn push(&self, start: &str, answer: Result<Output, SiteError>) {
        let mut state = self.0.lock().unwrap();
        match state.answers.iter_mut().find(|(known, _)| known == start) {
            Some((_, queue)) => queue.push_back(answer),
            None => state.answers.push((start.to_owned(), VecDeque::from([answer]))),
        }
    }

    /// A command line that starts so answers this text.
    pub(crate) fn answer(&self, start: &str, stdout: impl Into<Vec<u8>>) {
        self.push(start, Ok(output(0, stdout.into(), "")));
    }

    /// A command line that starts so fails with this status and text.
    pub(crate) fn fail(&self, start: &str, code: i32, stderr: &str) {
        self.push(start, Ok(output(code, Vec::new(), stderr)));
    }

    /// A command line that starts so says this on standard error and returns 0.
    pub(crate) fn complain(&self, start: &str, stderr: &str) {
        self.push(start, Ok(output(0, Vec::new(), stderr)));
    }

    /// A command line that starts so does not come to its end.
    pub(crate) fn error(&self, start: &str, kind: SiteErrorKind) {
        self.push(start, Err(SiteError::new(kind, format!("{start}: {kind:?}"))));
    }

    /// A file with this content; its time of change is [`NOW`].
    pub(crate) fn file(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.0.lock().unwrap().files.insert(path.to_owned(), content.into());
    }

    /// Called at each pause with the time slept so far: a world that moves while a step waits.
    pub(crate) fn on_sleep(
        &self,
        hook: impl FnMut(Duration, &mut BTreeMap<String, Vec<u8>>) + Send + 'static,
    ) {
        self.0.lock().unwrap().on_sleep = Some(Box::new(hook));
    }

    /// How long was slept in all.
    pub(crate) fn slept(&self) -> Duration {
        self.0.lock().unwrap().slept
    }

    /// The command lines so far, as the gate would show them but without variables.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.0.lock().unwrap().calls.iter().map(line).collect()
    }

    /// The commands so far.
    pub(crate) fn commands(&self) -> Vec<Command> {
        self.0.lock().unwrap().calls.clone()
    }
}

fn line(command: &Command) -> String {
    let mut bare = command.clone();
    bare.env.clear();
    bare.to_string()
}

fn output(code: i32, stdout: Vec<u8>, stderr: &str) -> Output {
    Output { exit: Exit::Code(code), stdout, stderr: stderr.into(), truncated: false, took: Duration::ZERO }
}

#[async_trait]
impl Site for FakeSite {
    async fn run(&self, command: &Command) -> Result<Output, SiteError> {
        assert!(matches!(command.program, Program::Argv(_)), "only argument lists, never a shell");
        let mut state = self.0.lock().unwrap();
        state.calls.push(command.clone());
        let line = line(command);
        let found = state.answers.iter_mut().filter(|(start, _)| line.starts_with(start.as_str()));
        // The longest start is the one that is meant.
        let queue = found.max_by_key(|(start, _)| start.len());
        match queue {
            Some((_, queue)) if queue.len() > 1 => queue.pop_front().unwrap(),
            Some((_, queue)) => queue.front().unwrap().clone(),
            None => {
                Err(SiteError::new(SiteErrorKind::NotRecorded, format!("nobody said what `{line}` answers")))
            }
        }
    }

    async fn read(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        let state = self.0.lock().unwrap();
        let file = state.files.get(path).ok_or_else(|| SiteError::new(SiteErrorKind::NotFound, path))?;
        let start = usize::try_from(offset).unwrap().min(file.len());
        Ok(file[start..(start + length).min(file.len())].to_vec())
    }

    async fn stat(&self, path: &str) -> Result<Option<FileStat>, SiteError> {
        let state = self.0.lock().unwrap();
        Ok(state.files.get(path).map(|file| FileStat {
            kind: FileKind::File,
            size: file.len() as u64,
            modified: NOW.parse().unwrap(),
            mode: 0o644,
        }))
    }

    async fn list(&self, path: &str) -> Result<Vec<DirEntry>, SiteError> {
        let names: Vec<String> = {
            let state = self.0.lock().unwrap();
            let inside = |file: &String| {
                let name = file.strip_prefix(path)?.strip_prefix('/')?;
                (!name.contains('/')).then(|| name.to_owned())
            };
            state.files.keys().filter_map(inside).collect()
        };
        let mut entries = Vec::new();
        for name in names {
            let stat = self.stat(&format!("{path}/{name}")).await?.unwrap();
            entries.push(DirEntry { name, stat });
        }
        Ok(entries)
    }

    async fn replace(&self, path: &str, _: Option<&str>, _: &[u8]) -> Result<(), SiteError> {
        panic!("no step here writes files: {path}");
    }

    async fn remove(&self, path: &str, _: &str) -> Result<(), SiteError> {
        panic!("no step here removes files: {path}");
    }

    fn now(&self) -> Timestamp {
        NOW.parse::<Timestamp>().unwrap() + self.slept()
    }

    async fn sleep(&self, duration: Duration) {
        let mut state = self.0.lock().unwrap();
        state.slept += duration;
        let slept = state.slept;
        if let Some(mut hook) = state.on_sleep.take() {
            hook(slept, &mut state.files);
            state.on_sleep = Some(hook);
        }
    }
}
