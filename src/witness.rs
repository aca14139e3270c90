//! The head of a run's journal in the system's log: what is cut off the journal's end, or written anew, shows there.
//!
//! It is noted when the run begins, before every change and every step back, and when the run rests. So whatever was agreed
//! to and done is covered, for consent stands in the journal before the intent; a tail that is cut off unseen can only hold
//! reads. Noting every entry would fill the log with what proves nothing more.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
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

/// The heads of a run that the system's log holds, newest first, and those in `more`, a file that was collected elsewhere.
pub(crate) fn noted(run: &RunId, since: Timestamp, more: Option<&Path>) -> std::io::Result<Vec<Noted>> {
    let mut found = BTreeMap::new();
    if let Some(path) = more {
        look_in(path, run, &mut found)?;
    }
    for path in FILES.iter().map(PathBuf::from) {
        // Most are there for administrators alone.
        let _ = look_in(&path, run, &mut found);
    }
    let since = format!("--since=@{}", since.as_second().saturating_sub(1));
    let journal =
        Command::new("journalctl").args(["-q", "--no-pager", "-o", "cat", "-t", "runbook", &since]).output();
    if let Ok(output) = journal {
        look(output.stdout.as_slice(), run, "the system's journal", &mut found);
    }
    Ok(found.into_values().rev().collect())
}

fn look_in(path: &Path, run: &RunId, found: &mut BTreeMap<u64, Noted>) -> std::io::Result<()> {
    use std::io::Seek;
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(MOST);
    file.seek(std::io::SeekFrom::Start(start))?;
    look(file.take(MOST), run, &path.display().to_string(), found);
    Ok(())
}

fn look(text: impl Read, run: &RunId, by: &str, found: &mut BTreeMap<u64, Noted>) {
    for line in BufReader::new(text).split(b'\n').map_while(Result::ok) {
        if let Some(Head { seq, hash }) = read(&String::from_utf8_lossy(&line), run) {
            found.entry(seq).or_insert_with(|| Noted { seq: Some(seq), hash, by: by.to_owned() });
        }
    }
}

fn read(line: &str, run: &RunId) -> Option<Head> {
    let (_, rest) = line.split_once(&format!("run {run} entry "))?;
    let (seq, hash) = rest.split_once(" head ")?;
    let hash: String = hash.chars().take_while(char::is_ascii_hexdigit).collect();
    Some(Head { seq: seq.parse().ok()?, hash: (hash.len() == 64).then_some(hash)? })
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
        let forged = format!("run {run} entry 8 head nothing\nrun {run} entry x head {}\n", "0a".repeat(32));
        std::fs::write(&path, lines.concat() + &forged).unwrap();
        let mut found = BTreeMap::new();
        look_in(&path, &run, &mut found).unwrap();
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [1, 7]);
        assert_eq!(found[&7].hash, head(7).hash);
    }
}
