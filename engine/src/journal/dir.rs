//! The default journal: one directory per run with JSON lines, safe on NFS (append and fdatasync, no mmap; the lock is
//! `flock`, which Linux turns into a byte-range lock on NFS).

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};

use super::chain::Chain;
use super::summary::{fold, summarize};
use super::{Head, Journal, JournalError, Record, Store, Summary, SummaryState, replies};
use crate::budget::{Budget, DirBudget, Limits};
use crate::files::Sharing;
use crate::lock::{DirLocks, Locks};
use crate::run::{Entry, Replied, Reply, RunId, RunState};
use crate::spread::spread;

/// The state directory: all runs of a site or a person.
#[derive(Debug, Clone)]
pub struct DirStore {
    root: PathBuf,
}

impl DirStore {
    /// The store in this directory; made when the first run is.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn dir(&self, run: &RunId) -> PathBuf {
        self.root.join("runs").join(run.as_str())
    }

    /// The directory of a run that is there.
    fn existing(&self, run: &RunId) -> Result<PathBuf, JournalError> {
        let dir = self.dir(run);
        match fs::metadata(&dir) {
            Ok(about) if about.is_dir() => Ok(dir),
            // That it is somebody else's is not that it is not there.
            Err(source) if source.kind() == ErrorKind::PermissionDenied => {
                Err(JournalError::Io { action: "look into", path: dir, source })
            }
            _ => Err(JournalError::NoRun(run.to_string())),
        }
    }
}

impl Store for DirStore {
    fn place(&self) -> String {
        self.root.display().to_string()
    }

    fn journal(&self, run: &RunId) -> String {
        self.dir(run).display().to_string()
    }

    fn create(&self, run: &RunId) -> Result<Box<dyn Journal>, JournalError> {
        let dir = self.dir(run);
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Io { action, path, source }
        };
        let parent = self.root.join("runs");
        let sharing = Sharing::of(&self.root);
        sharing.shelf(&parent).map_err(io("make", &parent))?;
        // Exclusive: two runs never share a directory.
        sharing.dir_own(&dir).map_err(io("make", &dir))?;
        let path = dir.join("journal.jsonl");
        let begin = || {
            let lock = lock(&dir, run, sharing)?;
            let mut options = OpenOptions::new();
            let file =
                sharing.open_own(options.append(true).create_new(true), &path).map_err(io("make", &path))?;
            let replies = replies::place(&dir);
            sharing.shelf(&replies).map_err(io("make", &replies))?;
            sync_dir(&dir).and_then(|()| sync_dir(&parent)).map_err(io("sync", &dir))?;
            Ok((lock, file))
        };
        let (lock, file) = begin().inspect_err(|_| discard(&dir))?;
        Ok(Box::new(DirJournal::new(dir, path, file, Chain::new(run), 0, lock)))
    }

    fn open(&self, run: &RunId) -> Result<(Box<dyn Journal>, Vec<Record>), JournalError> {
        let dir = self.existing(run)?;
        let lock = lock(&dir, run, Sharing::of(&self.root))?;
        let path = dir.join("journal.jsonl");
        let io = |action| {
            let path = path.clone();
            move |source| JournalError::Io { action, path, source }
        };
        let (records, chain, whole) = read(run, &path)?;
        let mut file = OpenOptions::new().append(true).open(&path).map_err(io("open"))?;
        if file.metadata().map_err(io("read"))?.len() > whole {
            file.set_len(whole).map_err(io("cut the torn last line of"))?;
            file.seek(std::io::SeekFrom::End(0)).map_err(io("read"))?;
        }
        let journal = DirJournal::new(dir, path, file, chain, whole, lock);
        Ok((Box::new(journal), records))
    }

    fn records(&self, run: &RunId) -> Result<Vec<Record>, JournalError> {
        let dir = self.existing(run)?;
        Ok(read(run, &dir.join("journal.jsonl"))?.0)
    }

    fn lines(&self, run: &RunId) -> Result<Vec<u8>, JournalError> {
        let dir = self.existing(run)?;
        let path = dir.join("journal.jsonl");
        fs::read(&path).map_err(|source| JournalError::Io { action: "read", path, source })
    }

    fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        let parent = self.root.join("runs");
        let entries = match fs::read_dir(&parent) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(JournalError::Io { action: "list", path: parent, source }),
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        let mut ids: Vec<RunId> =
            names.filter_map(|name| RunId::parse(&name.to_string_lossy()).ok()).collect();
        ids.sort();
        ids.reverse();
        Ok(ids)
    }

    fn list(&self) -> Result<(Vec<Summary>, Vec<JournalError>), JournalError> {
        let (mut runs, mut broken) = (Vec::new(), Vec::new());
        for summary in spread(&self.runs()?, |run| self.summary(run)) {
            match summary {
                Ok(summary) => runs.push(summary),
                Err(error) => broken.push(error),
            }
        }
        Ok((runs, broken))
    }

    fn summary(&self, run: &RunId) -> Result<Summary, JournalError> {
        let dir = self.dir(run);
        let walked = held(&dir);
        // `run.json` is derived and written when a process lets go of the run; while one walks it, or after a crash,
        // the journal itself is asked.
        if !walked
            && let Ok(text) = fs::read_to_string(dir.join("run.json"))
            && let Ok(summary) = serde_json::from_str(&text)
        {
            return Ok(summary);
        }
        let records = self.records(run)?;
        let broken = |what: String| JournalError::Damaged { path: dir.join("journal.jsonl"), line: 1, what };
        let state = fold(&records).map_err(broken)?.1;
        let mut summary = summarize(&state);
        if walked {
            summary.state = SummaryState::Running;
        }
        Ok(summary)
    }

    fn reply(&self, reply: &Reply) -> Result<(), JournalError> {
        let dir = self.existing(&reply.run)?;
        // A run of an earlier program has none.
        let place = replies::place(&dir);
        Sharing::of(&self.root).shelf(&place).map_err(|source| JournalError::Io {
            action: "make",
            path: place,
            source,
        })?;
        replies::leave(&dir, reply)
    }

    fn replies(&self, run: &RunId) -> Result<Vec<Replied>, JournalError> {
        Ok(replies::all(&self.dir(run), run)?.0)
    }

    fn spoilt(&self, run: &RunId) -> Result<Vec<String>, JournalError> {
        Ok(replies::all(&self.dir(run), run)?.1)
    }

    fn wait(&self, _run: &RunId, limit: Duration) -> Result<(), JournalError> {
        // Looked at again and again: notifications of a file system do not cross NFS.
        std::thread::sleep(limit.min(Duration::from_millis(300)));
        Ok(())
    }

    fn locks(&self) -> Arc<dyn Locks> {
        Arc::new(DirLocks::new(&self.root))
    }

    fn budget(&self, limits: Limits) -> Arc<dyn Budget> {
        Arc::new(DirBudget::new(&self.root, limits))
    }
}

/// A run's journal in its directory, locked for this process.
struct DirJournal {
    dir: PathBuf,
    path: PathBuf,
    file: File,
    chain: Chain,
    /// Lines not yet handed to the file: they ride along with the next durable one.
    unsynced: Vec<u8>,
    /// Bytes that were handed to the file, and the head of the chain there.
    length: u64,
    written: Head,
    /// An entry could not be written.
    broken: bool,
    _lock: File,
}

/// Lines that announce nothing are kept back up to this many bytes.
const KEEP_BACK: usize = 64 << 10;

impl DirJournal {
    fn new(dir: PathBuf, path: PathBuf, file: File, chain: Chain, length: u64, lock: File) -> Self {
        let written = chain.head().clone();
        Self { dir, path, file, chain, unsynced: Vec::new(), length, written, broken: false, _lock: lock }
    }

    fn flush(&mut self, sync: bool) -> Result<(), JournalError> {
        let io = |source| JournalError::Io { action: "write", path: self.path.clone(), source };
        if self.broken {
            return Err(io(std::io::Error::other("an entry before this one could not be written")));
        }
        let written = self.file.write_all(&self.unsynced);
        if let Err(source) = written.and_then(|()| if sync { self.file.sync_data() } else { Ok(()) }) {
            let error = io(source);
            self.give_up();
            return Err(error);
        }
        self.length += self.unsynced.len() as u64;
        self.written = self.chain.head().clone();
        self.unsynced.clear();
        // The first entry holds the whole plan; its room is not kept.
        self.unsynced.shrink_to(KEEP_BACK);
        Ok(())
    }

    /// Nothing more is written after an entry that could not be: what is left of it is cut off (the next process would, too),
    /// and a run that did not even begin leaves nothing behind.
    fn give_up(&mut self) {
        self.broken = true;
        let _ = self.file.set_len(self.length);
        if self.length == 0 {
            discard(&self.dir);
        }
    }
}

impl Journal for DirJournal {
    fn append(&mut self, at: Timestamp, entry: Entry) -> Result<Record, JournalError> {
        let (record, line) = self.chain.write(at, entry).map_err(|error| JournalError::Io {
            action: "write",
            path: self.path.clone(),
            source: error.into(),
        })?;
        if self.unsynced.is_empty() {
            self.unsynced = line.into_bytes();
        } else {
            self.unsynced.extend_from_slice(line.as_bytes());
        }
        let durable = record.entry.durable();
        if durable || record.entry.awaited() || self.unsynced.len() > KEEP_BACK {
            self.flush(durable)?;
        }
        Ok(record)
    }

    fn head(&self) -> Option<Head> {
        Some(if self.broken { self.written.clone() } else { self.chain.head().clone() })
    }

    fn let_go(&mut self, state: &RunState) -> Result<(), JournalError> {
        if !self.broken {
            self.flush(false)?;
        }
        let (temporary, path) = (self.dir.join("run.json.new"), self.dir.join("run.json"));
        let summary = Summary { head: self.head(), ..summarize(state) };
        let text = serde_json::to_vec(&summary).unwrap_or_default();
        fs::write(&temporary, text)
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(|source| JournalError::Io { action: "write", path, source })
    }
}

impl Drop for DirJournal {
    fn drop(&mut self) {
        // Nothing here announces a change; what is lost is read again.
        if !self.broken {
            let _ = self.flush(false);
        }
    }
}

fn lock(dir: &Path, run: &RunId, sharing: Sharing) -> Result<File, JournalError> {
    let path = dir.join("lock");
    let io = |source| JournalError::Io { action: "lock", path: path.clone(), source };
    let mut options = OpenOptions::new();
    let mut file =
        sharing.open_own(options.read(true).write(true).create(true).truncate(false), &path).map_err(io)?;
    if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(io(error.into()));
        }
        let mut holder = String::new();
        let _ = (&mut file).take(200).read_to_string(&mut holder);
        return Err(JournalError::Locked { run: run.to_string(), holder: holder.trim().to_owned() });
    }
    // Who holds it is for people alone: the lock is held without that, also where there is no room to say so.
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let _ = file.set_len(0).and_then(|()| writeln!(file, "pid {} on {host}", std::process::id()));
    Ok(file)
}

/// Whether a process walks the run in this directory.
fn held(dir: &Path) -> bool {
    let Ok(file) = File::open(dir.join("lock")) else { return false };
    flock(&file, FlockOperation::NonBlockingLockShared).is_err()
}

/// Takes away what a run left that did not begin.
fn discard(dir: &Path) {
    for name in ["journal.jsonl", "lock"] {
        let _ = fs::remove_file(dir.join(name));
    }
    let _ = fs::remove_dir(replies::place(dir));
    let _ = fs::remove_dir(dir);
}

fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The records of a run's file, their chain, and the length of the whole lines.
fn read(run: &RunId, path: &Path) -> Result<(Vec<Record>, Chain, u64), JournalError> {
    let io = |source| JournalError::Io { action: "read", path: path.to_owned(), source };
    let text = fs::read(path).map_err(io)?;
    // A last line that a crash cut off announced nothing that could have been done.
    let whole = memchr::memrchr(b'\n', &text).map_or(0, |end| end + 1);
    let text = std::str::from_utf8(&text[..whole]).map_err(|error| {
        let line = memchr::memchr_iter(b'\n', &text[..error.valid_up_to()]).count() + 1;
        JournalError::Damaged { path: path.to_owned(), line, what: "is not text".to_owned() }
    })?;
    let mut chain = Chain::new(run);
    let lines: Vec<&str> = text.split_terminator('\n').collect();
    let records = chain.read(&lines, path)?;
    Ok((records, chain, whole as u64))
}
