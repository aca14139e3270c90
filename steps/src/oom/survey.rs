//! All logs of a job, several at once, and of large ones no more than is needed.
//!
//! A failure stands at the end of a log: of large files the last stretch is read first. What was not read of a file is
//! of no interest if its last stretch shows that training went on there: nothing before it was fatal. Everything else
//! is read to the last byte before anything is said, so the answer is that of reading all.

use std::future::Future;
use std::sync::Arc;

use engine::site::{Site, SiteError, SiteErrorKind};
use engine::step::{StepCx, StepError};
use jiff::Timestamp;
use tokio::task::JoinSet;

use super::extract::{FileFindings, FileReader};
use super::logs::{LogFile, Logs};
use super::logtime::Clock;
use super::outcome::Found;
use super::placing::noticed;
use super::prefix::{Who, from_path};
use super::scan::{Scanner, Window};
use super::sightings::AHEAD;
use super::source::Source;
use super::stretch::{first_step, is_dated, last_step};
use super::sweep::{Look, Part, stopped, sweep};
use crate::text::clean;

/// Files read at a time. More than processors: the files of a cluster come over a network.
const AT_ONCE: usize = 8;
/// Bytes of a large file that are read first.
pub(super) const TAIL: u64 = if cfg!(test) { 64 << 10 } else { 1 << 20 };
/// Bytes at the beginning of a tail, and at the end of a file, in which its steps are looked for.
const PROBE: usize = 4 << 10;
/// Files whose probes are held at once.
const PROBED: usize = 512;
/// Bytes at the end of a file in which the last step is looked for if the failure does not tell its own.
const LAST: usize = 64 << 10;
/// Events that are kept of all files together, and of one at least.
const MOST_EVENTS: usize = 4096;
const LEAST_EVENTS: usize = 16;

/// What is to be read.
struct Job {
    site: Arc<dyn Site>,
    files: Vec<LogFile>,
    owners: Vec<Who>,
    hosts: Vec<String>,
    clock: Clock,
    tail: u64,
}

/// What was read of one file.
#[derive(Default)]
struct FileScan {
    findings: FileFindings,
    /// Bytes before the part that was read.
    unread: u64,
    /// Why it could not be read to its end.
    problem: Option<String>,
}

/// Reads the logs, of large ones the last `tail` bytes first; adds to their problems what cannot be read, and leaves out
/// what is surely older than `from`.
pub(super) async fn survey(
    cx: &StepCx,
    logs: &mut Logs,
    hosts: &[String],
    from: Option<Timestamp>,
    tail: u64,
) -> Result<Found, StepError> {
    let paths: Vec<String> = logs.files.iter().map(|file| file.path.clone()).collect();
    let job = Arc::new(Job {
        site: cx.site.clone(),
        files: logs.files.clone(),
        owners: logs.files.iter().map(|file| owner(file, &paths, hosts)).collect(),
        hosts: hosts.to_vec(),
        clock: Clock::at(cx.site.now()),
        tail,
    });
    let all: Vec<usize> = (0..paths.len()).collect();
    let (large, small): (Vec<usize>, Vec<usize>) = all.iter().partition(|index| job.tail_of(**index) > 0);
    let mut scans: Vec<FileScan> = all.iter().map(|index| FileScan::quiet(job.tail_of(*index))).collect();
    if !large.is_empty() {
        tokio::task::spawn_blocking(get_ready);
    }
    // The ends first: there the failure stands.
    let tails = parts(&large, |index| (job.tail_of(index), u64::MAX));
    let hit = job.look(cx, &tails, &mut scans).await?;
    let read: Vec<usize> = [small, hit].concat();
    job.scan_all(cx, &read, Job::tail_of, &mut scans).await?;
    let mut found = collect(&scans, from);
    let mut open: Vec<usize> = large.into_iter().filter(|index| scans[*index].unread > 0).collect();
    if found.is_fatal() {
        let mut settled = Vec::with_capacity(open.len());
        for some in open.chunks(PROBED) {
            settled.extend(job.are_settled(some).await?);
        }
        let mut settled = settled.into_iter();
        open.retain(|_| settled.next() != Some(true));
    }
    if !open.is_empty() {
        let rest = parts(&open, |index| (0, job.tail_of(index)));
        let hit = job.look(cx, &rest, &mut scans).await?;
        open.iter().for_each(|index| scans[*index].unread = 0);
        job.scan_all(cx, &hit, |_, _| 0, &mut scans).await?;
        found = collect(&scans, from);
    }
    for (file, scan) in logs.files.clone().iter().zip(&scans) {
        if let Some(why) = &scan.problem {
            logs.problem(&file.name(), why);
        }
    }
    if found.lacks_step() {
        let quiet: Vec<usize> = all.into_iter().filter(|i| scans[*i].findings.last_step.is_none()).collect();
        let steps =
            each(
                cx,
                &job,
                &quiet,
                "looking for steps in",
                |job, index| async move { job.last_step(index).await },
            );
        found.last_step = found.last_step.max(steps.await?.into_iter().flatten().max());
    }
    for place in found.told() {
        let mut source = job.source(place.file);
        // A file that is gone by now has no lines to count.
        if let Ok(Some(before)) = source.lines_before(place.offset).await {
            found.lines.insert(place, before + 1);
        }
    }
    Ok(found)
}

/// Reads a failure that never was: what that takes (dozens of patterns, compiled when they are first used) is then at hand
/// when the logs are searched, and costs no time of its own.
fn get_ready() {
    const NEVER: &[u8] = b"[rank0]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total \
        capacity of 79.11 GiB of which 1.00 GiB is free. Process 1 has 78.11 GiB memory in use. Of the allocated memory \
        70.00 GiB is allocated by PyTorch, and 7.00 GiB is reserved by PyTorch but unallocated.\n";
    let mut reader = FileReader::new(0, Who::default(), &[], Clock::at(Timestamp::UNIX_EPOCH));
    reader.window(&Window { offset: 0, bytes: NEVER.to_vec(), fresh: 0 });
    reader.finish();
}

/// Who wrote a file.
fn owner(file: &LogFile, paths: &[String], hosts: &[String]) -> Who {
    let mut who = from_path(&file.path, paths, hosts);
    who.fill(&Who { host: file.host.clone(), ..Who::default() });
    who
}

fn parts(files: &[usize], range: impl Fn(usize) -> (u64, u64)) -> Vec<Part> {
    let part = |file: &usize| {
        let (from, to) = range(*file);
        Part { file: *file, from, to }
    };
    files.iter().map(part).collect()
}

impl FileScan {
    /// A file in which nothing was seen so far.
    fn quiet(unread: u64) -> Self {
        Self { unread, ..Self::default() }
    }
}

impl Job {
    fn source(&self, index: usize) -> Source {
        Source::new(self.site.clone(), self.files[index].clone())
    }

    /// Where a file's tail begins; 0: it is read as a whole.
    fn tail_of(&self, index: usize) -> u64 {
        let file = &self.files[index];
        let large = file.host.is_none() && file.can_seek() && file.size > self.tail.saturating_mul(2);
        if large { file.size - self.tail } else { 0 }
    }

    async fn scan(&self, index: usize, from: u64) -> Result<FileScan, StepError> {
        let mut reader = FileReader::new(index, self.owners[index].clone(), &self.hosts, self.clock);
        let mut scanner = Scanner::new(self.source(index), from);
        let problem = loop {
            match scanner.next().await {
                Ok(Some(window)) => reader.window(&window),
                Ok(None) => break None,
                Err(error) => break Some(why(error)?),
            }
        };
        let mut findings = reader.finish();
        let share = (MOST_EVENTS / self.files.len()).max(LEAST_EVENTS);
        if findings.events.len() > share {
            findings.overflowed = true;
            let last = findings.events.len() - share / 4;
            findings.events.drain(share - share / 4..last);
        }
        Ok(FileScan { findings, unread: from, problem })
    }

    /// The files in whose parts there is something to read; those that cannot be read are marked.
    async fn look(
        &self,
        cx: &StepCx,
        parts: &[Part],
        scans: &mut [FileScan],
    ) -> Result<Vec<usize>, StepError> {
        let mut hit = Vec::new();
        for (part, look) in parts.iter().zip(sweep(cx, &self.files, parts).await?) {
            match look {
                Look::Quiet => {}
                Look::Hit => hit.push(part.file),
                Look::Problem(why) => scans[part.file].problem = Some(why),
            }
        }
        Ok(hit)
    }

    async fn scan_all(
        self: &Arc<Self>,
        cx: &StepCx,
        files: &[usize],
        from: fn(&Self, usize) -> u64,
        scans: &mut [FileScan],
    ) -> Result<(), StepError> {
        let read = each(cx, self, files, "reading", move |job, index| async move {
            job.scan(index, from(&job, index)).await
        });
        for (index, scan) in files.iter().zip(read.await?) {
            scans[*index] = scan;
        }
        Ok(())
    }

    /// Whether nothing that stands before the tails of files can be the failure: each tail shows that training went on.
    /// Asked of many files at once, because there may be thousands.
    async fn are_settled(&self, files: &[usize]) -> Result<Vec<bool>, StepError> {
        let probe = |index: usize, from: u64| (self.files[index].path.clone(), from, PROBE);
        let asked: Vec<_> = files.iter().map(|index| probe(*index, self.tail_of(*index))).collect();
        let begins = self.probed(&asked).await?;
        let mut settled = Vec::with_capacity(files.len());
        let mut asked = Vec::new();
        for (index, begin) in files.iter().zip(&begins) {
            let first = first_step(begin);
            // One process wrote the file, and after 4 KiB it was still writing as usual, for most of a megabyte.
            let owner = &self.owners[*index];
            let alone = owner.rank.is_some() || owner.local_rank.is_some();
            settled.push(alone && (first.is_some() || is_dated(begin, self.clock)));
            if let Some(first) = first.filter(|_| settled.last() == Some(&false)) {
                let end = self.files[*index].size.saturating_sub(PROBE as u64);
                asked.push((settled.len() - 1, first, probe(*index, end)));
            }
        }
        let parts: Vec<_> = asked.iter().map(|(_, _, part)| part.clone()).collect();
        for ((at, first, _), end) in asked.iter().zip(self.probed(&parts).await?) {
            settled[*at] = last_step(&end).is_some_and(|last| last >= first.saturating_add(AHEAD));
        }
        Ok(settled)
    }

    /// Parts of files; what cannot be read shows nothing.
    async fn probed(&self, parts: &[(String, u64, usize)]) -> Result<Vec<Vec<u8>>, StepError> {
        let answers = self.site.read_many(parts).await.into_iter();
        answers.map(|answer| answer.or_else(|error| why(error).map(|_| Vec::new()))).collect()
    }

    async fn last_step(&self, index: usize) -> Result<Option<u64>, StepError> {
        let file = &self.files[index];
        if !file.can_seek() {
            return Ok(None);
        }
        let from = file.size.saturating_sub(LAST as u64);
        match self.source(index).read(from, LAST).await {
            Ok(bytes) => Ok(last_step(&bytes)),
            Err(error) => why(error).map(|_| None),
        }
    }
}

/// Why a file could not be read, unless a recording lacks it: that is incomplete, and no finding.
fn why(error: SiteError) -> Result<String, StepError> {
    if error.kind == SiteErrorKind::NotRecorded { Err(error.into()) } else { Ok(error.message) }
}

fn collect(scans: &[FileScan], from: Option<Timestamp>) -> Found {
    let mut found = Found::default();
    for scan in scans {
        let findings = &scan.findings;
        found.launchers.merge(&findings.launchers);
        found.overflowed |= findings.overflowed;
        found.last_step = found.last_step.max(findings.last_step);
        for event in findings.events.iter().filter(|event| !from.is_some_and(|from| event.is_before(from))) {
            found.events.add(event.clone());
        }
    }
    let launchers = &found.launchers;
    found.events.date(|event| noticed(event, launchers));
    found
}

/// Does `work` for some files, several at a time; the answers are in the order of `indices`.
async fn each<T: Send + 'static, F: Future<Output = Result<T, StepError>> + Send + 'static>(
    cx: &StepCx,
    job: &Arc<Job>,
    indices: &[usize],
    verb: &str,
    work: impl Fn(Arc<Job>, usize) -> F,
) -> Result<Vec<T>, StepError> {
    let mut answers: Vec<Option<T>> = indices.iter().map(|_| None).collect();
    let mut running = JoinSet::new();
    let (mut next, mut done) = (0, 0);
    while done < indices.len() {
        while running.len() < AT_ONCE && next < indices.len() {
            let answer = work(job.clone(), indices[next]);
            if indices.len() <= AT_ONCE {
                cx.say(format!("{verb} {}", clean(&job.files[indices[next]].name())));
            }
            let slot = next;
            running.spawn(async move { (slot, answer.await) });
            next += 1;
        }
        let joined = tokio::select! {
            biased;
            () = cx.cancel.cancelled() => None,
            joined = running.join_next() => joined,
        };
        let Some(joined) = joined else {
            return Err(stopped());
        };
        let (slot, answer) =
            joined.map_err(|error| StepError::failed(format!("oom.read: reading broke off: {error}")))?;
        answers[slot] = Some(answer?);
        done += 1;
        let percent = |done: usize| done * 20 / indices.len();
        if indices.len() > AT_ONCE && percent(done) > percent(done - 1) {
            cx.say(format!("{verb} {} logs: {done} done", indices.len()));
        }
    }
    Ok(answers.into_iter().flatten().collect())
}
