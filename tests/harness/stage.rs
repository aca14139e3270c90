//! A recorded world that counts what is done to it, and on which a process can die.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use engine::run::Entry;
use engine::site::{
    Command, DirEntry, FileKind, FileStat, Found, Output, Program, Search, Site, SiteError, SiteErrorKind,
    digest,
};
use jiff::Timestamp;
use steps::site::RecordedSite;
use tokio::sync::Notify;

use super::taken::Taken;

/// A moment of a run, the first entry and the first change being 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The entry is not written.
    BeforeEntry(usize),
    /// It is written, and nothing after it.
    AfterEntry(usize),
    /// The change is announced and not made.
    BeforeChange(usize),
    /// The change is made and its answer never arrives.
    AfterChange(usize),
}

/// The world and what was seen of the process that acts on it.
pub(crate) struct Stage {
    world: RecordedSite,
    seen: Mutex<Seen>,
    died: Notify,
    /// The world after every entry, if that is kept.
    kept: Option<Mutex<Vec<Arc<Self>>>>,
}

#[derive(Default)]
pub(crate) struct Seen {
    /// Every change that was made, in order.
    pub changes: Vec<String>,
    /// Entries that were written, over all processes.
    pub entries: usize,
    /// When the process dies.
    pub dies: Option<Moment>,
    /// It has died; where.
    pub dead: Option<String>,
    /// The change that is announced on disk and has no answer, and how many had been made before it.
    pub announced: Option<(String, usize)>,
    /// What was taken back after the end of the run, if that is what is tried.
    pub taken: Option<Taken>,
    /// What the world says otherwise than it was recorded.
    pub told: Vec<Told>,
    /// In this directory lies one file more than was recorded, of so many bytes.
    pub grown: Option<(String, u64)>,
    /// What broke a law.
    pub wrong: Vec<String>,
}

/// Another word in the answers to a question.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// The first words of the command.
    question: Vec<String>,
    /// What the new word follows, and whether the old one is taken out.
    after: String,
    instead: bool,
    word: String,
}

impl Told {
    /// The field `name=` has another value.
    pub(crate) fn field(question: Vec<String>, name: &str, value: &str) -> Self {
        Self { question, after: format!(" {name}="), instead: true, word: value.to_owned() }
    }

    /// The whole answer is this line.
    pub(crate) fn line(question: Vec<String>, line: &str) -> Self {
        Self { question, after: String::new(), instead: true, word: line.to_owned() }
    }

    /// Behind this text stands this word.
    pub(crate) fn after(question: Vec<String>, text: &str, word: &str) -> Self {
        Self { question, after: text.to_owned(), instead: false, word: word.to_owned() }
    }

    fn apply(&self, command: &Command, output: &mut Output) {
        let Program::Argv(argv) = &command.program else { return };
        let text = output.text().into_owned();
        if !argv.starts_with(&self.question) {
            return;
        }
        let Some(at) = text.find(&self.after) else { return };
        let (head, tail) = text.split_at(at + self.after.len());
        let kept = if self.instead { tail.find(char::is_whitespace).unwrap_or(tail.len()) } else { 0 };
        output.stdout = format!("{head}{}{}", self.word, &tail[kept..]).into_bytes();
    }
}

impl Stage {
    /// The world itself, for whatever is done to it by others.
    pub(crate) fn world(&self) -> &RecordedSite {
        &self.world
    }

    pub(crate) fn new(world: RecordedSite) -> Arc<Self> {
        Arc::new(Self { world, seen: Mutex::default(), died: Notify::new(), kept: None })
    }

    /// A stage that keeps what the world was like after every entry.
    pub(crate) fn keeping(world: RecordedSite) -> Arc<Self> {
        let kept = Some(Mutex::new(vec![Self::new(world.fork())]));
        Arc::new(Self { world, seen: Mutex::default(), died: Notify::new(), kept })
    }

    /// The worlds that were kept; the first is the one before the first entry.
    pub(crate) fn kept(&self) -> Vec<Arc<Self>> {
        self.kept.as_ref().map(|kept| kept.lock().unwrap().clone()).unwrap_or_default()
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// The same world and its history, for another process.
    pub(crate) fn fork(&self) -> Arc<Self> {
        let stage = Self::new(self.world.fork());
        let seen = self.seen();
        *stage.seen() = Seen {
            changes: seen.changes.clone(),
            entries: seen.entries,
            announced: seen.announced.clone(),
            taken: seen.taken.clone(),
            ..Seen::default()
        };
        stage
    }

    pub(crate) async fn died(&self) {
        while self.seen().dead.is_none() {
            self.died.notified().await;
        }
    }

    /// Another process takes over.
    pub(crate) fn revive(&self) {
        let mut seen = self.seen();
        (seen.dies, seen.dead) = (None, None);
    }

    /// Whether the process dies now; from then on it does nothing.
    pub(crate) fn fatal(&self, moment: Moment, place: &str) -> bool {
        let mut seen = self.seen();
        if seen.dies == Some(moment) && seen.dead.is_none() {
            seen.dead = Some(place.to_owned());
            self.died.notify_one();
        }
        seen.dead.is_some()
    }

    /// Takes note of an entry that is on disk.
    pub(crate) fn wrote(&self, entry: &Entry) {
        let mut seen = self.seen();
        match entry {
            Entry::Intended { visit, node, .. } => {
                seen.announced = Some((format!("{node} {visit}"), seen.changes.len()));
            }
            Entry::Finished { .. } | Entry::Confirmed { .. } | Entry::ItemDone { .. } => {
                seen.announced = None
            }
            _ => {}
        }
        drop(seen);
        if let Some(kept) = &self.kept {
            let now = self.fork();
            kept.lock().unwrap().push(now);
        }
    }

    async fn gone(&self) {
        if self.seen().dead.is_some() {
            std::future::pending::<()>().await;
        }
    }

    async fn change<T>(
        &self,
        what: String,
        making: impl Future<Output = Result<T, SiteError>>,
        refused: impl FnOnce(&T) -> bool,
    ) -> Result<T, SiteError> {
        self.gone().await;
        let number = self.seen().changes.len() + 1;
        let undo = self.seen().taken.is_some();
        if self.seen().announced.is_none() && !undo {
            self.seen().wrong.push(format!("{what}: no intent is on disk"));
        }
        if self.fatal(Moment::BeforeChange(number), &what) {
            std::future::pending::<()>().await;
        }
        let answer = making.await;
        match &answer {
            // What was refused before changed nothing, so it may be asked for again.
            Ok(done) if refused(done) && self.seen().changes.contains(&what) => return answer,
            Ok(_) => self.seen().changes.push(what.clone()),
            Err(error) if error.kind == SiteErrorKind::NotRecorded => {
                self.seen().wrong.push(error.message.clone());
            }
            Err(_) => return answer,
        }
        if self.fatal(Moment::AfterChange(number), &what) {
            std::future::pending::<()>().await;
        }
        answer
    }
}

#[async_trait]
impl Site for Stage {
    async fn run(&self, command: &Command) -> Result<Output, SiteError> {
        self.gone().await;
        if command.changes {
            let making = async {
                let order = self.seen().taken.as_mut().and_then(|taken| taken.order(command));
                match order {
                    Some(answer) => Ok(answer),
                    None => self.world.run(command).await,
                }
            };
            return self.change(command.to_string(), making, |output| !output.success()).await;
        }
        let mut output = self.world.run(command).await?;
        let seen = self.seen();
        if let Some(taken) = &seen.taken {
            taken.now(command, &mut output);
        }
        for told in &seen.told {
            told.apply(command, &mut output);
        }
        Ok(output)
    }

    async fn read(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        self.gone().await;
        self.world.read(path, offset, length).await
    }

    async fn stat(&self, path: &str) -> Result<Option<FileStat>, SiteError> {
        self.gone().await;
        self.world.stat(path).await
    }

    async fn list(&self, path: &str) -> Result<Vec<DirEntry>, SiteError> {
        self.gone().await;
        let mut entries = self.world.list(path).await?;
        if let Some((dir, by)) = &self.seen().grown
            && path.trim_end_matches('/') == dir
        {
            let mut added = entries.iter().find(|entry| entry.stat.kind == FileKind::File).unwrap().clone();
            (added.name, added.stat.size) = ("added.bin".to_owned(), *by);
            entries.push(added);
        }
        Ok(entries)
    }

    async fn replace(&self, path: &str, expected: Option<&str>, content: &[u8]) -> Result<(), SiteError> {
        let what = format!("replace {path} with {}", &digest(content)[..8]);
        self.change(what, self.world.replace(path, expected, content), |()| false).await
    }

    async fn remove(&self, path: &str, expected: &str) -> Result<(), SiteError> {
        self.change(format!("remove {path}"), self.world.remove(path, expected), |()| false).await
    }

    fn now(&self) -> Timestamp {
        self.world.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.gone().await;
        self.world.sleep(duration).await;
    }

    async fn find(&self, path: &str, search: &Search) -> Result<Found, SiteError> {
        self.gone().await;
        self.world.find(path, search).await
    }
}
