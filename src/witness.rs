//! The head of a run's journal in the system's log: what is cut off the journal's end, or written anew, shows there.
//!
//! It is noted when the run begins, before every change and every step back, and when the run rests. So whatever was agreed
//! to and done is covered, for consent stands in the journal before the intent; a tail that is cut off unseen can only hold
//! reads. Noting every entry would fill the log with what proves nothing more.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use engine::journal::{Head, Journal, JournalError, Noted, Record};
use engine::run::{Entry, RunId, RunState};
use jiff::Timestamp;

/// Facility `authpriv`, severity `info` (RFC 5424, 6.2.1).
const PRIORITY: u8 = 10 * 8 + 6;
/// Files in which syslog daemons keep it.
const FILES: &[&str] = &["/var/log/auth.log", "/var/log/secure", "/var/log/syslog", "/var/log/messages"];
/// Most of a file that is looked at, bytes from its end.
const MOST: u64 = 256 << 20;

/// A journal whose head is noted in the system's log.
struct Witnessed {
    journal: Box<dyn Journal>,
    run: RunId,
    log: Option<UnixDatagram>,
}

/// The same journal; its head is noted in the system's log. That there is no log is no reason not to run: the journal itself
/// is chained.
pub(crate) fn witnessed(journal: Box<dyn Journal>, run: &RunId) -> Box<dyn Journal> {
    Box::new(Witnessed { journal, run: run.clone(), log: socket() })
}

impl Journal for Witnessed {
    fn append(&mut self, at: Timestamp, entry: Entry) -> Result<Record, JournalError> {
        let record = self.journal.append(at, entry)?;
        if telling(&record.entry)
            && let (Some(log), Some(head)) = (&self.log, self.journal.head())
        {
            let text = format!("<{PRIORITY}>runbook[{}]: {}", std::process::id(), told(&self.run, &head));
            // A log that is full or gone must not stop a run.
            let _ = log.send(text.as_bytes());
        }
        Ok(record)
    }

    fn head(&self) -> Option<Head> {
        self.journal.head()
    }

    fn let_go(&mut self, state: &RunState) -> Result<(), JournalError> {
        self.journal.let_go(state)
    }
}

/// Whether the head is noted after an entry.
fn telling(entry: &Entry) -> bool {
    matches!(
        entry,
        Entry::Started(_)
            | Entry::Intended { .. }
            | Entry::UndoIntended { .. }
            | Entry::Stopped { .. }
            | Entry::RolledBack { .. }
            | Entry::Ended { .. }
    )
}

fn told(run: &RunId, head: &Head) -> String {
    format!("run {run} entry {} head {}", head.seq, head.hash)
}

/// The socket of the system's log: `$RUNBOOK_SYSLOG`, else `/dev/log`; empty for none.
fn socket() -> Option<UnixDatagram> {
    let path = std::env::var_os("RUNBOOK_SYSLOG").unwrap_or_else(|| "/dev/log".into());
    let socket = UnixDatagram::unbound().ok().filter(|_| !path.is_empty())?;
    socket.set_nonblocking(true).ok()?;
    socket.connect(path).ok()?;
    Some(socket)
}

/// The heads that the system's log holds, by run and entry.
#[derive(Default)]
pub(crate) struct Log(HashMap<String, BTreeMap<u64, Noted>>);

impl Log {
    /// Reads what can be read of it, and `more`, a file that was collected elsewhere.
    ///
    /// # Errors
    /// If `more` cannot be read; of the rest, most is there for administrators alone.
    pub(crate) fn read(more: Option<&Path>) -> std::io::Result<Self> {
        let mut log = Self::default();
        if let Some(path) = more {
            log.look_in(path)?;
        }
        for path in FILES {
            let _ = log.look_in(Path::new(path));
        }
        let journal =
            Command::new("journalctl").args(["-q", "--no-pager", "-o", "cat", "-t", "runbook"]).output();
        if let Ok(output) = journal {
            log.look(output.stdout.as_slice(), "the system's journal");
        }
        Ok(log)
    }

    /// The heads of a run.
    pub(crate) fn of(&self, run: &RunId) -> impl Iterator<Item = &Noted> {
        self.0.get(run.as_str()).into_iter().flat_map(BTreeMap::values)
    }

    fn look_in(&mut self, path: &Path) -> std::io::Result<()> {
        let mut file = File::open(path)?;
        let start = file.metadata()?.len().saturating_sub(MOST);
        file.seek(SeekFrom::Start(start))?;
        self.look(file.take(MOST), &path.display().to_string());
        Ok(())
    }

    fn look(&mut self, text: impl Read, by: &str) {
        for line in BufReader::new(text).split(b'\n').map_while(Result::ok) {
            if let Some((run, Head { seq, hash })) = read(&String::from_utf8_lossy(&line)) {
                let heads = self.0.entry(run).or_default();
                heads.entry(seq).or_insert_with(|| Noted { seq: Some(seq), hash, by: by.to_owned() });
            }
        }
    }
}

fn read(line: &str) -> Option<(String, Head)> {
    let (_, rest) = line
        .split_once("]: run ")
        .or_else(|| line.split_at_checked(4).filter(|(word, _)| *word == "run "))?;
    let (run, rest) = rest.split_once(" entry ")?;
    let (seq, hash) = rest.split_once(" head ")?;
    let hash: String = hash.chars().take_while(char::is_ascii_hexdigit).collect();
    let head = Head { seq: seq.parse().ok()?, hash: (hash.len() == 64).then_some(hash)? };
    Some((run.to_owned(), head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_found_again_among_other_lines() {
        let (run, other) = (RunId::new(Timestamp::UNIX_EPOCH, 1), RunId::new(Timestamp::UNIX_EPOCH, 2));
        let head = |seq| Head { seq, hash: "0a".repeat(32) };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("syslog");
        let line =
            |run: &RunId, seq| format!("Nov 24 03:12:44 login2 runbook[7]: {}\n", told(run, &head(seq)));
        let lines =
            [line(&run, 1), line(&other, 9), "noise \u{1b}[2J\n".to_owned(), line(&run, 7), line(&run, 7)];
        let forged =
            format!("run {run} entry 8 head nothing\nrun {run} entry x head {}\nr\u{e9}n\n", "0a".repeat(32));
        std::fs::write(&path, lines.concat() + &forged).unwrap();
        let mut log = Log::default();
        log.look_in(&path).unwrap();
        log.look(told(&other, &head(4)).as_bytes(), "the system's journal");
        let of = |run| log.of(run).map(|noted| noted.seq.unwrap()).collect::<Vec<_>>();
        assert_eq!((of(&run), of(&other)), (vec![1, 7], vec![4, 9]));
        assert!(log.of(&run).all(|noted| noted.hash == head(7).hash));
    }
}
