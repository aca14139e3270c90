//! From the windows of one file to its events.

use std::collections::VecDeque;
use std::ops::Range;

use super::document::{AROUND, is_document};
use super::event::{Event, Place, Stand};
use super::kind::{Kind, Nature};
use super::launcher::{Launchers, SummaryReader, srun};
use super::lines::{Line, lines};
use super::logtime::Clock;
use super::message::{OomMessage, Passage, Proof, read};
use super::prefix::{Prefixes, Who};
use super::progress::step_of;
use super::quoted::is_quoted;
use super::scan::Window;
use super::sightings::Sightings;
use super::summary::{MemorySummary, Tables};
use super::torch_version::torch_version;
use super::triggers::trigger;
use crate::text::{Pattern, boundary, cut, pattern};

/// Lines of the same printer that one message may fill.
const MOST_LINES: usize = 24;
/// Bytes of a message that are kept.
const MOST_TEXT: usize = 4 << 10;
/// Lines that are looked back for a time.
const LOOK_BACK: usize = 400;
/// Events that are kept of one file while it is read: so many of the first ones, and of the last ones.
const MOST_EVENTS: usize = if cfg!(test) { 32 } else { 512 };

/// What one file holds, window by window.
#[derive(Debug)]
pub(crate) struct FileReader {
    file: usize,
    /// What the file's name says of its writer.
    owner: Who,
    clock: Clock,
    prefixes: Prefixes,
    launchers: Launchers,
    summary: SummaryReader,
    sightings: Sightings,
    events: Vec<Event>,
    /// The latest ones, once there are many.
    latest: VecDeque<Event>,
    /// Some in between are not kept.
    overflowed: bool,
}

impl FileReader {
    /// A reader of the file with this index, written by `owner`, in a job on these hosts.
    pub(crate) fn new(file: usize, owner: Who, hosts: &[String], clock: Clock) -> Self {
        Self {
            file,
            owner,
            clock,
            prefixes: Prefixes { labelled: false, hosts: hosts.to_vec() },
            launchers: Launchers::default(),
            summary: SummaryReader::default(),
            sightings: Sightings::default(),
            events: Vec::new(),
            latest: VecDeque::new(),
            overflowed: false,
        }
    }

    /// Takes the next window.
    pub(crate) fn window(&mut self, window: &Window) {
        let mut all = lines(window, &mut self.prefixes, self.clock);
        for line in &mut all {
            line.who.fill(&self.owner);
        }
        let mut consumed = vec![false; all.len()];
        for at in 0..all.len() {
            let line = &all[at];
            if let Some(step) = step_of(&line.text) {
                self.sightings.add(line.offset, &line.who, step);
            }
            if !line.fresh {
                continue;
            }
            srun(&line.text, &mut self.launchers);
            let worker = self.summary.line(&line.text, &mut self.launchers).cloned();
            let Some(start) = trigger(line.text.as_bytes()).filter(|_| !consumed[at]) else { continue };
            let Some((passage, used)) = passage(&all, at) else { continue };
            let Some(message) = read(&passage) else { continue };
            if used.iter().any(|next| all[*next].text.contains("ried to allocate")) {
                // The head was cut in two; its second half is no message of its own.
                used.iter().for_each(|next| consumed[*next] = true);
            }
            let Some(stand) = stand(&all, at, start, &message) else { continue };
            let mut who = line.who.clone();
            if let Some(worker) = worker {
                let (rank, local_rank) = (worker.rank, worker.local_rank);
                who.fill(&Who { rank, local_rank, pid: worker.pid, host: worker.host, ..Who::default() });
            }
            self.keep(Event {
                torch: torch_version(&format!("{}{}", line.prefix, passage.text)),
                text: shown(&passage, start),
                who,
                time: time(&all, at),
                dated: all[at..].iter().any(|later| later.time.is_some()),
                place: Place { file: self.file, offset: line.offset },
                stand,
                memory: memory(&all, at),
                step: None,
                survived: false,
                message,
            });
        }
    }

    fn keep(&mut self, event: Event) {
        // Of what harms nothing, one mention is enough.
        let harmless = event.message.kind.nature() == Nature::Harmless;
        if harmless && self.events.iter().any(|known| known.message.kind == event.message.kind) {
            return;
        }
        if self.events.len() < MOST_EVENTS {
            self.events.push(event);
            return;
        }
        if self.latest.len() == MOST_EVENTS {
            self.latest.pop_front();
            self.overflowed = true;
        }
        self.latest.push_back(event);
    }

    /// What the file holds.
    pub(crate) fn finish(mut self) -> FileFindings {
        self.summary.close(&mut self.launchers);
        let last_step = self.sightings.last();
        let progress = self.sightings.finish();
        let mut events = self.events;
        events.extend(self.latest);
        for event in &mut events {
            event.step = progress.before(event.place.offset, &event.who);
            event.survived = progress.went_on(event.place.offset, &event.who, event.stand);
        }
        // Of what was survived, one mention is enough.
        let mut survived = false;
        events.retain(|event| !event.survived || !std::mem::replace(&mut survived, true));
        FileFindings { events, launchers: self.launchers, last_step, overflowed: self.overflowed }
    }
}

/// What one file holds.
#[derive(Debug, Default)]
pub(crate) struct FileFindings {
    pub(crate) events: Vec<Event>,
    pub(crate) launchers: Launchers,
    /// The last training step that it reports.
    pub(crate) last_step: Option<u64>,
    /// There were more events than are kept.
    pub(crate) overflowed: bool,
}

/// The line at `at` with as many following lines of its printer as the message needs, and which those are.
fn passage(all: &[Line], at: usize) -> Option<(Passage, Vec<usize>)> {
    let line = &all[at];
    let near = at + 1..all.len().min(at + 200);
    let labelled = near.clone().filter(|next| is_same_printer(line, &all[*next])).take(MOST_LINES).collect();
    let (whole, following) = told_by(all, at, labelled)?;
    if whole.capacity.is_some() || line.prefix.is_empty() {
        return needed(all, at, &whole, following);
    }
    // A terminal wraps a line after its label, and the rest has none.
    let bare = near.take_while(|next| all[*next].prefix.is_empty()).take(MOST_LINES).collect();
    match told_by(all, at, bare) {
        Some((wrapped, bare)) if wrapped.capacity.is_some() => needed(all, at, &wrapped, bare),
        _ => needed(all, at, &whole, following),
    }
}

/// What the line at `at` says together with these.
fn told_by(all: &[Line], at: usize, following: Vec<usize>) -> Option<(OomMessage, Vec<usize>)> {
    Some((read(&joined(all, at, &following))?, following))
}

/// The first of these lines without which the message would say less.
fn needed(
    all: &[Line],
    at: usize,
    whole: &OomMessage,
    mut used: Vec<usize>,
) -> Option<(Passage, Vec<usize>)> {
    let says_all = |count: &usize| read(&joined(all, at, &used[..*count])).as_ref() == Some(whole);
    let count = (0..=used.len()).find(says_all)?;
    used.truncate(count);
    Some((joined(all, at, &used), used))
}

fn joined(all: &[Line], at: usize, following: &[usize]) -> Passage {
    let texts: Vec<&str> = following.iter().map(|next| all[*next].text.as_str()).collect();
    Passage::new(&all[at].text, &texts)
}

/// Whether a line can continue another: srun repeats only its own label where it cuts a line in two.
fn is_same_printer(line: &Line, next: &Line) -> bool {
    if line.who.task.is_some() && line.who.task == next.who.task {
        return line.who.is_compatible(&next.who);
    }
    line.who == next.who
}

/// Whether the text was raised or only warned of; `None` if it is quoted: a comment, source code, advice.
fn stand(all: &[Line], at: usize, start: usize, message: &OomMessage) -> Option<Stand> {
    macro_rules! pattern {
        ($name:ident, $text:expr) => {
            static $name: Pattern = Pattern::new(|| pattern($text));
        };
    }
    pattern!(
        RAISED,
        r"(?i)error|exception|fail|fatal|what\(\)|terminate|abort|NCCL WARN|slurm|kernel|\[rank|critical"
    );
    pattern!(WARNED, r"\b(?:WARN(?:ING)?|INFO|DEBUG|warning)\b");
    pattern!(
        AGAIN,
        concat!(
            r"(?i)\bretrying\b|\bwill retry|retry with|trying (?:again|with)|falling back|copy inputs|\bcontinuing\b",
            r"|\brecover(?:ed|ing)\b|\b(?:attempting|trying) to recover|\bOOM recover",
            r"|skipp(?:ing|ed) (?:the |this )?(?:batch|step|sample)\b|\b(?:batch|step|sample) (?:was )?skipped",
            r"|(?:reduc|decreas|halv)ing (?:the )?(?:micro[- _]?)?batch(?:[ _]size)? (?:to|from)",
        )
    );
    let line = &all[at].text;
    let before = &line[..start.min(line.len())];
    if message.kind.nature() == Nature::Harmless {
        return Some(Stand::Warned);
    }
    if is_quoted(line, start, message) {
        return None;
    }
    if is_on_a_page(all, at) {
        return Some(Stand::Warned);
    }
    if message.kind.nature() == Nature::Host {
        return Some(Stand::Raised);
    }
    if !message.is_sized()
        && !before.trim().is_empty()
        && !RAISED.is_match(before)
        && !RAISED.is_match(cut(line, 64))
    {
        return None;
    }
    let nccl = message.kind == Kind::Nccl;
    let again = all[at..all.len().min(at + 40)]
        .iter()
        .filter(|next| next.who == all[at].who)
        .take(4)
        .any(|next| AGAIN.is_match(&next.text));
    let warned = !nccl && (WARNED.is_match(before) || again);
    Some(if warned && message.proof == Proof::Says { Stand::Warned } else { Stand::Raised })
}

/// Whether a line that no launcher and no logger has labelled stands in a text for people.
fn is_on_a_page(all: &[Line], at: usize) -> bool {
    let line = &all[at];
    if line.who != Who::default() || !line.prefix.is_empty() || line.time.is_some() {
        return false;
    }
    let texts = |lines: Range<usize>| all[lines].iter().map(|line| line.text.as_str()).collect::<Vec<_>>();
    let (from, to) = (at.saturating_sub(AROUND), all.len().min(at + 1 + AROUND));
    is_document(&texts(from..at), &texts(at + 1..to))
}

/// The line's time, or the last one that its printer gave before.
fn time(all: &[Line], at: usize) -> Option<super::logtime::LogTime> {
    let line = &all[at];
    all[at.saturating_sub(LOOK_BACK)..=at]
        .iter()
        .rev()
        .filter(|earlier| {
            earlier.who == line.who || earlier.who.is_compatible(&line.who) && line.who != Who::default()
        })
        .find_map(|earlier| earlier.time)
}

/// The allocator's table that the printer of a message printed: the first one behind it, else the last one shortly before,
/// if that has counted a failure.
fn memory(all: &[Line], at: usize) -> Option<MemorySummary> {
    let found = |lines: &[Line]| -> Vec<MemorySummary> {
        let mut tables = Tables::default();
        lines
            .iter()
            .filter(|line| line.who == all[at].who)
            .filter_map(|line| tables.line(&line.text))
            .collect()
    };
    let behind = found(&all[at..all.len().min(at + LOOK_BACK)]).into_iter().next();
    let before = || found(&all[at.saturating_sub(LOOK_BACK)..at]).pop();
    behind.or_else(|| before().filter(|table| table.ooms.is_some_and(|ooms| ooms > 0)))
}

/// The message for people: from a little before its trigger, without line feeds, bounded.
fn shown(passage: &Passage, start: usize) -> String {
    let from = boundary(&passage.line, start.saturating_sub(400));
    let text = passage.text[from..].replace('\n', " ");
    cut(text.trim(), MOST_TEXT).to_owned()
}
