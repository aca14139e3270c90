//! A recorded world as a scenario has it: with other exchanges before the recorded ones, and with what goes wrong.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use engine::glob::glob;
use engine::redact::Redactor;
use engine::scenario::{Fault, Told, Trouble};
use engine::site::{
    Command, DirEntry, Exit, FileKind, FileStat, Found, Output, Search, Site, SiteError, SiteErrorKind,
    find_by_reading,
};
use jiff::Timestamp;

use super::placeholder::Placeholder;
use super::{RecordedSite, Recording};

/// A recorded world as a scenario has it. It notes every change that is made to it.
pub struct RehearsedSite {
    base: RecordedSite,
    /// What is answered before.
    before: RecordedSite,
    placeholder: Placeholder,
    seen: Mutex<Seen>,
}

struct Seen {
    /// The node that is visited.
    at: String,
    /// With how often each has happened.
    faults: Vec<(Fault, u32)>,
    changes: Vec<String>,
}

impl RehearsedSite {
    /// The world of the recording `base` for the run with the id `run`, with the exchanges of `before` answered first.
    pub fn new(base: Recording, before: Recording, faults: &[Fault], run: &str) -> Self {
        let world = faults.iter().filter(|fault| matches!(fault.trouble, Trouble::World { .. }));
        let faults = world.map(|fault| (fault.clone(), 0)).collect();
        Self {
            base: RecordedSite::new(base, run),
            before: RecordedSite::new(before, run),
            placeholder: Placeholder::new(run),
            seen: Mutex::new(Seen { at: String::new(), faults, changes: Vec::new() }),
        }
    }

    /// Looks for what is asked as it was written down: without what this removes.
    #[must_use]
    pub fn hiding(self, redactor: Redactor) -> Self {
        Self {
            base: self.base.hiding(redactor.clone()),
            before: self.before.hiding(redactor.clone()),
            placeholder: self.placeholder.hiding(redactor),
            ..self
        }
    }

    /// From now on it is this node that asks.
    pub fn enter(&self, node: &str) {
        node.clone_into(&mut self.seen().at);
    }

    /// Everything that was changed so far: commands as a person would type them, `write /path`, `remove /path`. The run's id
    /// is `{run}`.
    pub fn changes(&self) -> Vec<String> {
        self.seen().changes.clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is told instead of the recorded answer; counted.
    fn told(&self, asked: &str) -> Option<Told> {
        let seen = &mut *self.seen();
        let at = &seen.at;
        seen.faults.iter_mut().find_map(|(fault, times)| {
            let told = applies(fault, *times, at, asked)?;
            *times += 1;
            Some(told.clone())
        })
    }

    /// Whether what is asked has another answer now.
    fn tampered(&self, asked: &str) -> bool {
        let seen = self.seen();
        seen.faults.iter().any(|(fault, times)| applies(fault, *times, &seen.at, asked).is_some())
    }

    /// What never went wrong, because nothing like it was asked.
    pub fn idle(&self) -> Vec<String> {
        let seen = self.seen();
        let idle = seen.faults.iter().filter(|(_, times)| *times == 0);
        idle.filter_map(|(fault, _)| match &fault.trouble {
            Trouble::World { on, .. } => Some(on.clone()),
            Trouble::Outcome { .. } | Trouble::Breaks(_) => None,
        })
        .collect()
    }

    fn on(&self, verb: &str, path: &str) -> String {
        format!("{verb} {}", self.placeholder.out_text(path))
    }

    fn changed(&self, what: String) {
        self.seen().changes.push(what);
    }
}

fn applies<'f>(fault: &'f Fault, times: u32, at: &str, asked: &str) -> Option<&'f Told> {
    let Trouble::World { on, told } = &fault.trouble else { return None };
    let here =
        fault.at.as_deref().is_none_or(|node| node == at) && fault.times.is_none_or(|most| times < most);
    (here && (on == asked || glob(on, asked))).then_some(told)
}

/// The first answer, or the second where the first recording has none.
fn or<T>(first: Result<T, SiteError>) -> Option<Result<T, SiteError>> {
    match first {
        Err(error) if error.kind == SiteErrorKind::NotRecorded => None,
        answer => Some(answer),
    }
}

fn replaced(pairs: &[(String, String)], bytes: Vec<u8>) -> Vec<u8> {
    let Ok(text) = String::from_utf8(bytes) else { return Vec::new() };
    pairs.iter().fold(text, |text, (old, new)| text.replace(old.as_str(), new)).into_bytes()
}

fn absent(path: &str) -> SiteError {
    SiteError::new(SiteErrorKind::NotFound, format!("{path}: no such file"))
}

#[async_trait]
impl Site for RehearsedSite {
    async fn run(&self, command: &Command) -> Result<Output, SiteError> {
        // As in a recording, which knows no variables: they may be secret.
        let asked = Command { env: BTreeMap::new(), ..command.clone() }.to_string();
        let asked = self.placeholder.out_text(&asked);
        let told = self.told(&asked);
        let plain = |exit, stdout: &str, stderr: &str| Output {
            exit: Exit::Code(exit),
            stdout: stdout.as_bytes().to_vec(),
            stderr: stderr.as_bytes().to_vec(),
            truncated: false,
            took: Duration::ZERO,
        };
        let answer = match &told {
            Some(Told::Error(kind, message)) => Err(SiteError::new(*kind, message.as_str())),
            Some(Told::Absent) => {
                Err(SiteError::new(SiteErrorKind::NotStarted, format!("{asked}: no such program")))
            }
            Some(Told::Answer { exit, stdout, stderr }) => Ok(plain(*exit, stdout, stderr)),
            Some(Told::Content(text)) => Ok(plain(0, text, "")),
            Some(Told::Replaced(_)) | None => match or(self.before.run(command).await) {
                Some(answer) => {
                    // There is one clock.
                    let took = answer.as_ref().map_or(Duration::ZERO, |output| output.took);
                    self.base.sleep(took).await;
                    answer
                }
                None => self.base.run(command).await,
            },
        };
        let started = |error: &SiteError| {
            use SiteErrorKind::{NotRecorded, NotStarted, Unreachable};
            !matches!(error.kind, NotRecorded | NotStarted | Unreachable)
        };
        if command.changes && answer.as_ref().err().is_none_or(started) {
            self.changed(asked);
        }
        let mut output = answer?;
        if let Some(Told::Replaced(pairs)) = &told {
            output.stdout = replaced(pairs, output.stdout);
            output.stderr = replaced(pairs, output.stderr);
        }
        Ok(output)
    }

    async fn read(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        let told = self.told(&self.on("read", path));
        match &told {
            Some(Told::Error(kind, message)) => return Err(SiteError::new(*kind, message.as_str())),
            Some(Told::Absent) => return Err(absent(path)),
            Some(Told::Content(text) | Told::Answer { stdout: text, .. }) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
                return Ok(text.as_bytes()[from..from.saturating_add(length).min(text.len())].to_vec());
            }
            Some(Told::Replaced(_)) | None => {}
        }
        let content = match or(self.before.read(path, offset, length).await) {
            Some(answer) => answer?,
            None => self.base.read(path, offset, length).await?,
        };
        Ok(match &told {
            Some(Told::Replaced(pairs)) => replaced(pairs, content),
            _ => content,
        })
    }

    async fn find(&self, path: &str, search: &Search) -> Result<Found, SiteError> {
        if self.tampered(&self.on("read", path)) {
            return find_by_reading(self, path, search).await;
        }
        match or(self.before.find(path, search).await) {
            Some(answer) => answer,
            None => self.base.find(path, search).await,
        }
    }

    async fn stat(&self, path: &str) -> Result<Option<FileStat>, SiteError> {
        match self.told(&self.on("stat", path)) {
            Some(Told::Error(kind, message)) => return Err(SiteError::new(kind, message)),
            Some(Told::Absent) => return Ok(None),
            Some(Told::Content(text) | Told::Answer { stdout: text, .. }) => {
                let (kind, size, modified) = (FileKind::File, text.len() as u64, self.now());
                return Ok(Some(FileStat { kind, size, modified, mode: 0o644 }));
            }
            Some(Told::Replaced(_)) | None => {}
        }
        match or(self.before.stat(path).await) {
            Some(answer) => answer,
            None => self.base.stat(path).await,
        }
    }

    async fn list(&self, path: &str) -> Result<Vec<DirEntry>, SiteError> {
        let told = self.told(&self.on("list", path));
        match &told {
            Some(Told::Error(kind, message)) => return Err(SiteError::new(*kind, message.as_str())),
            Some(Told::Absent | Told::Content(_) | Told::Answer { .. }) => return Err(absent(path)),
            Some(Told::Replaced(_)) | None => {}
        }
        let entries = match or(self.before.list(path).await) {
            Some(answer) => answer?,
            None => self.base.list(path).await?,
        };
        let Some(Told::Replaced(pairs)) = &told else { return Ok(entries) };
        let named = |mut entry: DirEntry| {
            entry.name = String::from_utf8(replaced(pairs, entry.name.into_bytes())).unwrap_or_default();
            Some(entry).filter(|entry| !entry.name.is_empty())
        };
        Ok(entries.into_iter().filter_map(named).collect())
    }

    async fn replace(&self, path: &str, expected: Option<&str>, content: &[u8]) -> Result<(), SiteError> {
        let asked = self.on("write", path);
        if let Some(Told::Error(kind, message)) = self.told(&asked) {
            return Err(SiteError::new(kind, message));
        }
        match or(self.before.replace(path, expected, content).await) {
            Some(answer) => answer?,
            None => self.base.replace(path, expected, content).await?,
        }
        self.changed(asked);
        Ok(())
    }

    async fn remove(&self, path: &str, expected: &str) -> Result<(), SiteError> {
        let asked = self.on("remove", path);
        if let Some(Told::Error(kind, message)) = self.told(&asked) {
            return Err(SiteError::new(kind, message));
        }
        match or(self.before.remove(path, expected).await) {
            Some(answer) => answer?,
            None => self.base.remove(path, expected).await?,
        }
        self.changed(asked);
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.base.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.base.sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Content, Exchange, Ran, ReadPart};
    use super::*;

    fn ran(line: &str, stdout: &str) -> Exchange {
        Exchange::Run(Ran {
            argv: Some(line.split(' ').map(str::to_owned).collect()),
            stdout: Content::Inline(stdout.into()),
            ..Ran::default()
        })
    }

    fn recording(exchanges: Vec<Exchange>) -> Recording {
        let mut recording = Recording::new("2026-11-24T03:12:44Z".parse().unwrap());
        recording.exchanges = exchanges;
        recording
    }

    fn fault(at: Option<&str>, times: Option<u32>, on: &str, told: Told) -> Fault {
        Fault { at: at.map(str::to_owned), times, trouble: Trouble::World { on: on.to_owned(), told } }
    }

    #[tokio::test]
    async fn the_world_is_the_recorded_one_but_for_what_goes_wrong() {
        let file = Exchange::Read(ReadPart {
            path: "/log".into(),
            offset: 0,
            length: None,
            content: Content::Inline(b"step 7\n".to_vec()),
            error: None,
        });
        let base = recording(vec![ran("squeue -j 7", "RUNNING"), ran("scancel 7", ""), file]);
        let before = recording(vec![ran("sinfo", "idle")]);
        let faults = [
            fault(Some("stop"), None, "squeue *", Told::Replaced(vec![("RUNNING".into(), "STUCK".into())])),
            fault(None, Some(1), "scancel *", Told::Error(SiteErrorKind::Unreachable, "gone".into())),
            fault(None, None, "* /log", Told::Content("step 8\nOOM\n".into())),
        ];
        let site = RehearsedSite::new(base, before, &faults, "r-1");
        let squeue = Command::argv(["squeue", "-j", "7"]);
        assert_eq!(site.run(&squeue).await.unwrap().text(), "RUNNING");
        site.enter("stop");
        assert_eq!(site.run(&squeue).await.unwrap().text(), "STUCK");
        let scancel = Command::argv(["scancel", "7"]).changing();
        assert_eq!(site.run(&scancel).await.unwrap_err().kind, SiteErrorKind::Unreachable);
        assert_eq!(site.changes(), Vec::<String>::new(), "what was not started changed nothing");
        site.run(&scancel).await.unwrap();
        assert_eq!(site.changes(), ["scancel 7"]);
        assert_eq!(site.run(&Command::argv(["sinfo"])).await.unwrap().text(), "idle");
        assert_eq!(site.read("/log", 5, 100).await.unwrap(), b"8\nOOM\n");
        assert_eq!(site.stat("/log").await.unwrap().unwrap().size, 11);
        let missing = site.run(&Command::argv(["squeue", "-j", "8"])).await.unwrap_err();
        assert!(missing.message.contains("the nearest is `squeue -j 7`"), "{missing}");
    }
}
