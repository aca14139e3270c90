//! Finds out what was done to a journal that no longer adds up: which line was altered, taken out, moved, put in, repeated,
//! or comes from another run. Pure: text in, findings out.
//!
//! The hash of a line is in the line after it, and every line says its number and its run. So a line that was altered is
//! one whose successor names another hash; a line that was moved still fits where its number says it belongs. What was cut
//! off at the end is seen only by somebody who kept the head of the chain elsewhere: [`Audit::compare`].

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::chain::{FORMAT, Head, Outline};
use crate::run::RunId;
use crate::site::digest;

/// What was done to a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tampering {
    /// The text of a line is not what it was.
    Altered,
    /// Lines were taken out.
    Dropped,
    /// Two lines stand in each other's place.
    Swapped,
    /// A line stands elsewhere than it was written.
    Moved,
    /// A line was put in.
    PutIn,
    /// A line is there twice.
    Repeated,
    /// Lines of another run were put in.
    Spliced,
    /// Lines are missing at the end.
    Truncated,
    /// The last line is not whole: a crash cut it off, or somebody did.
    Torn,
    /// An entry is another than the one whose hash was noted elsewhere.
    Rewritten,
    /// Lines that only a newer program understands; no tampering, but not all could be looked at.
    Newer,
    /// The chain holds, but the entries do not fit one another.
    Illegal,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// First line it is about, from 1; lines that are missing would begin there.
    pub line: usize,
    /// Last line it is about.
    pub through: usize,
    /// What was done.
    pub kind: Tampering,
    /// In words.
    pub what: String,
}

/// The head of a chain as it was noted elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Noted {
    /// Number of the entry; unknown where only a hash was kept.
    pub seq: Option<u64>,
    /// The hash, or its first characters (at least eight).
    pub hash: String,
    /// Where it was found: `--head`, `syslog of login2`, `comment of job 4711`.
    pub by: String,
}

/// What was found out about a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Whole lines.
    pub lines: usize,
    /// The last entry; `null` if there is none that can be read.
    pub head: Option<Head>,
    /// What was done to it; empty if the chain holds.
    pub findings: Vec<Finding>,
    /// The hash of every entry that stands in its place.
    #[serde(skip)]
    hashes: BTreeMap<u64, String>,
}

/// One line.
struct Line {
    /// Position in the file, from 1.
    at: usize,
    seq: u64,
    prev: String,
    hash: String,
}

/// Looks at the text of a run's journal.
pub fn audit(run: &RunId, text: &[u8]) -> Audit {
    let mut findings = Vec::new();
    let mut raw: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let tail = raw.pop().unwrap_or_default();
    let lines = readable(run, &raw, &mut findings);
    let lines = numbered(lines, &raw, &mut findings);
    let lines = single(lines, &mut findings);
    let order = in_order(lines, &mut findings);
    links(&order, &mut findings);
    if !tail.is_empty() {
        let what = format!("the last line is not whole: it ends after {} bytes", tail.len());
        findings.push(finding(raw.len() + 1, Tampering::Torn, what));
    }
    findings.sort_by_key(|finding| (finding.line, finding.through));
    let hashes: BTreeMap<u64, String> = order.into_iter().map(|line| (line.seq, line.hash)).collect();
    let head = hashes.last_key_value().map(|(seq, hash)| Head { seq: *seq, hash: hash.clone() });
    Audit { lines: raw.len(), head, findings, hashes }
}

impl Audit {
    /// Whether the chain holds.
    pub fn holds(&self) -> bool {
        self.findings.is_empty()
    }

    /// Compares with what was noted elsewhere; what does not agree is a finding.
    pub fn compare(&mut self, noted: &Noted) {
        let last = self.head.as_ref().map_or(0, |head| head.seq);
        let by = &noted.by;
        let agrees = |hash: &String| hash.starts_with(&noted.hash);
        let (seq, kind, what) = match noted.seq {
            Some(seq) if seq > last => {
                let what = format!("it ends with entry {last}; entry {seq} was noted ({by})");
                (last + 1, Tampering::Truncated, what)
            }
            Some(seq) if self.hashes.get(&seq).is_some_and(|hash| !agrees(hash)) => {
                let what = format!("entry {seq} is not the one that was noted ({by})");
                (seq, Tampering::Rewritten, what)
            }
            None if !self.hashes.values().any(agrees) => {
                let what =
                    format!("no entry has the hash that was noted ({by}): it was cut off or written anew");
                (last + 1, Tampering::Truncated, what)
            }
            // An entry that is missing in the middle has its own finding.
            Some(_) | None => return,
        };
        let line = usize::try_from(seq).unwrap_or(usize::MAX);
        self.findings.push(finding(line, kind, what));
    }
}

fn finding(line: usize, kind: Tampering, what: impl Into<String>) -> Finding {
    Finding { line, through: line, kind, what: what.into() }
}

/// The lines of this run; what cannot be read and what belongs to others is named.
fn readable(
    run: &RunId,
    raw: &[&[u8]],
    findings: &mut Vec<Finding>,
) -> Vec<(usize, Option<Outline>, String)> {
    let mut lines: Vec<(usize, Option<Outline>, String)> = Vec::new();
    for (index, bytes) in raw.iter().enumerate() {
        let at = index + 1;
        let outline: Option<Outline> = serde_json::from_slice(bytes).ok();
        if let Some(outline) = &outline {
            if outline.format > FORMAT {
                let what = format!("line {at} has format {}; this program knows {FORMAT}", outline.format);
                findings.push(finding(at, Tampering::Newer, what));
            }
            if let Some(other) = outline.run.as_ref().filter(|other| *other != run)
                && (foreign(outline, index.checked_sub(1).map(|before| raw[before]))
                    || spliced(findings, at - 1))
            {
                match findings.last_mut() {
                    Some(last) if last.kind == Tampering::Spliced && last.through + 1 == at => {
                        last.through = at;
                        last.what = format!("lines {} to {at} belong to another run: {other}", last.line);
                    }
                    _ => {
                        let what = format!("line {at} belongs to another run: {other}");
                        findings.push(finding(at, Tampering::Spliced, what));
                    }
                }
                continue;
            }
        }
        lines.push((at, outline, digest(bytes)));
    }
    lines
}

/// Whether this line was found to be another run's: so is what follows it.
fn spliced(findings: &[Finding], at: usize) -> bool {
    findings.last().is_some_and(|last| last.kind == Tampering::Spliced && last.through == at)
}

/// Whether a line that names another run was written by it: if it follows the line before it, only the name was altered.
fn foreign(outline: &Outline, before: Option<&[u8]>) -> bool {
    match before {
        Some(before) => outline.prev != digest(before),
        None => {
            let started = outline.entry.run.as_ref().and_then(serde_json::Value::as_str);
            started.is_some() && started == outline.run.as_ref().map(RunId::as_str)
        }
    }
}

/// Gives every line its number. A line that follows the one before it stands in its place, whatever number it has.
fn numbered(
    lines: Vec<(usize, Option<Outline>, String)>,
    raw: &[&[u8]],
    findings: &mut Vec<Finding>,
) -> Vec<Line> {
    let mut numbered: Vec<Line> = Vec::new();
    for (at, outline, hash) in lines {
        let due = numbered.last().map_or(1, |before| before.seq + 1);
        let Some(outline) = outline else {
            findings.push(finding(at, Tampering::Altered, format!("line {at} was altered: it is no entry")));
            numbered.push(Line { at, seq: due, prev: String::new(), hash });
            continue;
        };
        let mut seq = outline.seq;
        let before = match at {
            1 => digest(b""),
            _ => digest(raw[at - 2]),
        };
        if seq != due && outline.prev == before {
            let what = format!("line {at} was altered: it has number {seq} where {due} is due");
            findings.push(finding(at, Tampering::Altered, what));
            seq = due;
        }
        numbered.push(Line { at, seq, prev: outline.prev, hash });
    }
    numbered
}

/// Takes out lines whose number another line has with better right.
fn single(lines: Vec<Line>, findings: &mut Vec<Finding>) -> Vec<Line> {
    let hashes: HashMap<&str, u64> = lines.iter().map(|line| (line.hash.as_str(), line.seq)).collect();
    let named: HashSet<&str> = lines.iter().map(|line| line.prev.as_str()).collect();
    let start = digest(b"");
    // How well a line is joined to those before and after it.
    let joined = |line: &Line| {
        let before = hashes.get(line.prev.as_str()).is_some_and(|seq| seq + 1 == line.seq)
            || (line.seq == 1 && line.prev == start);
        u8::from(before) + 2 * u8::from(named.contains(line.hash.as_str()))
    };
    let mut best: BTreeMap<u64, (u8, usize, &str)> = BTreeMap::new();
    for line in &lines {
        let known = best.entry(line.seq).or_insert((joined(line), line.at, &line.hash));
        if joined(line) > known.0 {
            *known = (joined(line), line.at, &line.hash);
        }
    }
    let mut out = Vec::new();
    for line in &lines {
        let (_, at, hash) = best[&line.seq];
        if line.at == at {
            continue;
        }
        out.push(line.at);
        let (kind, what) = if line.hash == hash {
            (Tampering::Repeated, format!("line {} repeats line {at}", line.at))
        } else {
            (Tampering::PutIn, format!("line {} was put in: line {at} is entry {}", line.at, line.seq))
        };
        findings.push(finding(line.at, kind, what));
    }
    lines.into_iter().filter(|line| !out.contains(&line.at)).collect()
}

/// The lines in the order of their numbers; what stands elsewhere and what is missing is named.
fn in_order(lines: Vec<Line>, findings: &mut Vec<Finding>) -> Vec<Line> {
    let places: Vec<usize> = lines.iter().map(|line| line.at).collect();
    let mut order = lines;
    order.sort_by_key(|line| line.seq);
    let strays: Vec<(usize, usize)> = order
        .iter()
        .zip(&places)
        .filter(|(line, place)| line.at != **place)
        .map(|(l, p)| (l.at, *p))
        .collect();
    match strays[..] {
        [] => {}
        [(a, to_a), (b, to_b)] if a == to_b && b == to_a => {
            let (first, second) = (a.min(b), a.max(b));
            let what = format!("lines {first} and {second} were swapped");
            findings.push(finding(first, Tampering::Swapped, what));
        }
        _ => {
            for at in moved(&order) {
                let seq = order.iter().find(|line| line.at == at).map_or(0, |line| line.seq);
                let what = format!("line {at} was moved: it is entry {seq}");
                findings.push(finding(at, Tampering::Moved, what));
            }
        }
    }
    let mut due = 1;
    for line in &order {
        if line.seq > due {
            let last = line.seq - 1;
            let what = match last - due {
                0 => format!("entry {due} is missing"),
                _ => format!("entries {due} to {last} are missing"),
            };
            let index = |seq: u64| usize::try_from(seq).unwrap_or(usize::MAX);
            let dropped = Finding { through: index(last), ..finding(index(due), Tampering::Dropped, what) };
            findings.push(dropped);
        }
        due = line.seq + 1;
    }
    order
}

/// The fewest lines that would have to move for the file to be in order: those outside a longest ascending series.
fn moved(order: &[Line]) -> Vec<usize> {
    // Best series that ends at each line, as its length and the line before it.
    let mut best: Vec<(usize, Option<usize>)> = Vec::with_capacity(order.len());
    for (index, line) in order.iter().enumerate() {
        let before =
            (0..index).filter(|before| order[*before].at < line.at).max_by_key(|before| best[*before].0);
        best.push((before.map_or(1, |before| best[before].0 + 1), before));
    }
    let mut kept = vec![false; order.len()];
    let mut next = (0..order.len()).max_by_key(|index| best[*index].0);
    while let Some(index) = next {
        kept[index] = true;
        next = best[index].1;
    }
    order.iter().zip(kept).filter(|(_, kept)| !kept).map(|(line, _)| line.at).collect()
}

/// Names the lines that are not what their successors say.
fn links(order: &[Line], findings: &mut Vec<Finding>) {
    let known = |at: usize, findings: &[Finding]| {
        findings.iter().any(|finding| finding.kind == Tampering::Altered && finding.line == at)
    };
    let start = digest(b"");
    let broken = |index: usize| {
        let Some(line) = order.get(index) else { return false };
        let before = index.checked_sub(1).map(|before| &order[before]);
        match before {
            None => line.seq == 1 && line.prev != start,
            // What is missing between them has its own finding.
            Some(before) => before.seq + 1 == line.seq && line.prev != before.hash,
        }
    };
    for index in 0..order.len() {
        if !broken(index) {
            continue;
        }
        let line = &order[index];
        let before = index.checked_sub(1).map(|before| &order[before]);
        if known(line.at, findings) || before.is_some_and(|before| known(before.at, findings)) {
            continue;
        }
        // If the next line does not follow either, it is this one that differs; else the one before it does.
        let (at, by) = match before {
            Some(before) if !broken(index + 1) => (before.at, Some(line.at)),
            _ => (line.at, before.map(|before| before.at)),
        };
        let what = match by {
            Some(by) => format!("line {at} was altered: line {by} does not fit it"),
            None => format!("line {at} was altered: nothing comes before it"),
        };
        findings.push(finding(at, Tampering::Altered, what));
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
