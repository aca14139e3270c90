//! One line of a journal, chained to the line before it.
//!
//! Every line says which format it has and whose run it is: a newer program's lines are not misread, and a line that was
//! taken from another journal is known by itself.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::JournalError;
use crate::plan::Plan;
use crate::run::{Entry, RunId};
use crate::site::digest;
use crate::spread::spread;

/// Version of the lines. 1 had neither `format` nor `run`; 2 also has entries of taking changes back.
pub(crate) const FORMAT: u32 = 2;

/// An entry in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Position, from 1.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// SHA-256 of the line before, without its newline; of nothing for the first.
    pub prev: String,
    /// What happened.
    pub entry: Entry,
}

/// The end of a chain: what a copy of it elsewhere says, the journal has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Position of the last line.
    pub seq: u64,
    /// SHA-256 of the last line, hexadecimal.
    pub hash: String,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is no entry, or does not follow the line before it.
    Damaged(String),
    /// A newer program wrote it.
    Newer(String),
}

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    run: &'a RunId,
    seq: u64,
    at: Timestamp,
    prev: &'a str,
    entry: &'a Entry,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default = "first_format")]
    format: u32,
    run: Option<RunId>,
    seq: u64,
    at: Timestamp,
    prev: String,
    entry: Entry,
}

/// What can be read of a line whatever its entry is.
#[derive(Debug, Deserialize)]
pub(super) struct Outline {
    #[serde(default = "first_format")]
    pub format: u32,
    pub run: Option<RunId>,
    pub seq: u64,
    pub prev: String,
    pub entry: Kind,
}

/// The kind of an entry, and the run that a first one names.
#[derive(Debug, Deserialize)]
pub(super) struct Kind {
    #[serde(rename = "type")]
    pub kind: String,
    pub run: Option<serde_json::Value>,
}

fn first_format() -> u32 {
    1
}

/// A chain that is written or read on: the same lines, wherever a store keeps them.
#[derive(Debug, Clone)]
pub struct Chain {
    run: RunId,
    head: Head,
}

impl Chain {
    /// The chain of a run before its first line.
    pub fn new(run: &RunId) -> Self {
        Self { run: run.clone(), head: Head { seq: 0, hash: digest(b"") } }
    }

    /// Where it ends.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Chains an entry on and gives its line, newline included.
    ///
    /// # Errors
    /// If the entry is none that JSON can hold.
    pub fn write(&mut self, at: Timestamp, entry: Entry) -> Result<(Record, String), serde_json::Error> {
        let record = Record { seq: self.head.seq + 1, at, prev: self.head.hash.clone(), entry };
        let Record { seq, at, prev, entry } = &record;
        let written = Written { format: FORMAT, run: &self.run, seq: *seq, at: *at, prev, entry };
        let mut line = serde_json::to_string(&written)?;
        self.head = Head { seq: *seq, hash: digest(line.as_bytes()) };
        line.push('\n');
        Ok((record, line))
    }

    /// Reads the lines that come next, which have no newline. `journal` is named in the error.
    ///
    /// # Errors
    /// If one is damaged, does not follow, or a newer program wrote it: the first such one.
    pub fn read(&mut self, lines: &[&str], journal: &Path) -> Result<Vec<Record>, JournalError> {
        // What takes time is told by a line alone; what follows what is looked at afterwards.
        let read = spread(lines, |line| (parse(line), digest(line.as_bytes())));
        read.into_iter().map(|(line, hash)| self.next(line, hash, journal)).collect()
    }

    fn next(
        &mut self,
        line: Result<Line, Wrong>,
        hash: String,
        journal: &Path,
    ) -> Result<Record, JournalError> {
        let number = usize::try_from(self.head.seq + 1).unwrap_or(usize::MAX);
        let newer = |what| JournalError::Newer { path: journal.to_owned(), line: number, what };
        let record = line.and_then(|line| self.link(line, hash)).map_err(|wrong| match wrong {
            Wrong::Damaged(what) => JournalError::Damaged { path: journal.to_owned(), line: number, what },
            Wrong::Newer(what) => newer(what),
        })?;
        if let Entry::Started(started) = &record.entry
            && started.plan.format > Plan::FORMAT
        {
            let found = started.plan.format;
            return Err(newer(format!(
                "holds a plan of format {found}; this program knows {}",
                Plan::FORMAT
            )));
        }
        Ok(record)
    }

    fn link(&mut self, read: Line, hash: String) -> Result<Record, Wrong> {
        if read.format > FORMAT {
            return Err(newer(read.format));
        }
        let damaged = |what: String| Err(Wrong::Damaged(what));
        if let Some(run) = read.run.filter(|run| *run != self.run) {
            return damaged(format!("belongs to the run {run}"));
        }
        if read.prev != self.head.hash {
            return damaged(
                "does not follow the line before it: something was changed, removed or put in".to_owned(),
            );
        }
        if read.seq != self.head.seq + 1 {
            return damaged(format!("has number {} where {} is due", read.seq, self.head.seq + 1));
        }
        self.head = Head { seq: read.seq, hash };
        Ok(Record { seq: read.seq, at: read.at, prev: read.prev, entry: read.entry })
    }
}

fn parse(line: &str) -> Result<Line, Wrong> {
    serde_json::from_str(line).map_err(|error| unread(line, &error))
}

/// Why a line could not be read: a newer program's entry is told from one that is none.
fn unread(line: &str, error: &serde_json::Error) -> Wrong {
    match serde_json::from_str::<Outline>(line) {
        Ok(outline) if outline.format > FORMAT => newer(outline.format),
        Ok(outline) if error.to_string().starts_with("unknown variant") => {
            let kind: String = outline.entry.kind.escape_debug().take(40).collect();
            Wrong::Newer(format!("is a `{kind}`, which this program does not know"))
        }
        _ => Wrong::Damaged(format!("is no entry: {error}")),
    }
}

fn newer(format: u32) -> Wrong {
    Wrong::Newer(format!("has format {format}; this program knows {FORMAT}"))
}
