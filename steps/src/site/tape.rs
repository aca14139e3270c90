//! A recording as a replay consumes it: by what was asked, in the order in which it was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use super::recording::{Exchange, Ran, ReadPart, Sought};
use super::visits::unnumbered;

/// What was asked, as one comparable text.
type Key = String;

/// The exchanges of a recording, by key. The last exchange of a key repeats, so that polling goes on.
///
/// Changes divide it: what was recorded after a change is not answered before that change is made, and what was recorded
/// before it is not answered afterwards where there is something newer. So a replay that asks more often than the
/// recorded run, because it was cut off and taken up again, still sees causes before their effects.
#[derive(Clone)]
pub(super) struct Tape {
    queues: BTreeMap<Key, Queue>,
    /// Places of the exchanges that changed something.
    changes: BTreeSet<usize>,
    /// The place after the last change that was made.
    reached: usize,
    /// The keys of the reads of a path.
    reads: BTreeMap<String, BTreeSet<Key>>,
    /// Every command of the recording, as it is named in errors.
    commands: BTreeSet<String>,
    /// How long the run was idle, by place, as far as the replay has not come to it.
    idle: BTreeMap<usize, Duration>,
    /// Keys of commands that name visits, by the key without their numbers, in order.
    numbered: BTreeMap<String, Vec<Key>>,
}

#[derive(Default, Clone)]
struct Queue {
    /// With their places in the recording.
    exchanges: Vec<(usize, Exchange)>,
    next: usize,
}

impl Queue {
    /// The next exchange, of those from place `from` on unless there are none, and before place `to`.
    fn take(&mut self, from: usize, to: usize) -> Option<&Exchange> {
        let before = |place: usize| self.exchanges.partition_point(|(at, _)| *at < place);
        let last = before(to).checked_sub(1)?;
        let index = self.next.max(before(from)).min(last);
        self.next = index + 1;
        self.exchanges.get(index).map(|(_, exchange)| exchange)
    }

    /// The exchange that was taken last; before that, the first.
    fn current(&self) -> Option<&Exchange> {
        self.exchanges.get(self.next.saturating_sub(1)).map(|(_, exchange)| exchange)
    }

    /// Where in the recording the exchange stands that was taken last.
    fn passed(&self) -> Option<usize> {
        self.exchanges.get(self.next.checked_sub(1)?).map(|(place, _)| *place)
    }
}

/// The key of a command.
pub(super) fn run_key(ran: &Ran) -> Key {
    json!(["run", ran.host, ran.argv, ran.script, ran.cwd, ran.stdin]).to_string()
}

/// The key of a read.
pub(super) fn read_key(path: &str, offset: u64, length: u64) -> Key {
    json!(["read", path, offset, length]).to_string()
}

/// The key of a search. What was looked for is not in it: it changes from release to release.
pub(super) fn find_key(sought: &Sought) -> Key {
    let lines = sought.lines.is_some();
    json!(["find", sought.path, sought.from, sought.to, lines]).to_string()
}

/// The key of what has only a path.
pub(super) fn path_key(verb: &str, path: &str) -> Key {
    json!([verb, path]).to_string()
}

/// How many bytes a recorded read asked for.
fn length(read: &ReadPart) -> u64 {
    read.length.unwrap_or(u64::MAX)
}

/// How a recorded command is named in errors.
pub(super) fn command_line(ran: &Ran) -> String {
    let words = ran.argv.iter().flatten().map(|word| engine::site::quote(word)).collect::<Vec<_>>().join(" ");
    let program = ran.script.as_deref().unwrap_or(&words);
    match &ran.host {
        Some(host) => format!("ssh {host} {program}"),
        None => program.to_owned(),
    }
}

impl Tape {
    pub(super) fn new(exchanges: Vec<Exchange>) -> Self {
        let mut tape = Self {
            queues: BTreeMap::new(),
            changes: BTreeSet::new(),
            reached: 0,
            reads: BTreeMap::new(),
            commands: BTreeSet::new(),
            idle: BTreeMap::new(),
            numbered: BTreeMap::new(),
        };
        for (place, exchange) in exchanges.into_iter().enumerate() {
            if exchange.changes() {
                tape.changes.insert(place);
            }
            let key = match &exchange {
                Exchange::Run(ran) => {
                    tape.commands.insert(command_line(ran));
                    let key = run_key(ran);
                    if let Some(unnumbered) = unnumbered(&key) {
                        let keys = tape.numbered.entry(unnumbered).or_default();
                        if !keys.contains(&key) {
                            keys.push(key.clone());
                        }
                    }
                    key
                }
                Exchange::Read(read) => {
                    let key = read_key(&read.path, read.offset, length(read));
                    tape.reads.entry(read.path.clone()).or_default().insert(key.clone());
                    key
                }
                Exchange::Stat(looked) => path_key("stat", &looked.path),
                Exchange::Find(sought) => find_key(sought),
                Exchange::List(listed) => path_key("list", &listed.path),
                Exchange::Replace(replaced) => path_key("replace", &replaced.path),
                Exchange::Remove(removed) => path_key("remove", &removed.path),
                Exchange::Idle(long) => {
                    tape.idle.insert(place, long.0);
                    continue;
                }
            };
            tape.queues.entry(key).or_default().exchanges.push((place, exchange));
        }
        tape
    }

    /// The next exchange of a key.
    pub(super) fn take(&mut self, key: &str) -> Option<Exchange> {
        let next_change = self.changes.range(self.reached..).next();
        let window = (self.reached, next_change.copied().unwrap_or(usize::MAX));
        let queue = self.queues.get_mut(key)?;
        let changes = queue.exchanges.iter().any(|(_, exchange)| exchange.changes());
        let (from, to) = if changes { (0, usize::MAX) } else { window };
        queue.take(from, to).cloned()
    }

    /// How long the run had been idle before the exchange that was taken last under this key, each time counted once.
    pub(super) fn idle_before(&mut self, key: &str) -> Duration {
        let place = self.queues.get(key).and_then(Queue::passed).unwrap_or(0);
        let later = self.idle.split_off(&place);
        std::mem::replace(&mut self.idle, later).into_values().sum()
    }

    /// The change that was taken last under this key was made.
    pub(super) fn made(&mut self, key: &str) {
        let place = self.queues.get(key).and_then(Queue::passed);
        self.reached = place.map_or(self.reached, |place| self.reached.max(place + 1));
    }

    /// Whether a key is recorded, if only after a change that was not made yet.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.queues.contains_key(key)
    }

    /// The key of the same question at another visit: the first that was not asked yet.
    pub(super) fn elsewhere(&self, key: &str) -> Option<&str> {
        let keys = self.numbered.get(&unnumbered(key)?)?;
        let fresh = |key: &&Key| self.queues.get(*key).is_some_and(|queue| queue.next == 0);
        keys.iter().find(fresh).map(String::as_str)
    }

    /// The exchange of a key that holds now.
    pub(super) fn current(&self, key: &str) -> Option<&Exchange> {
        self.queues.get(key)?.current()
    }

    /// Whether the last that the replay has passed of a path is that nothing is there; `None` if it has passed nothing.
    pub(super) fn absent(&self, path: &str) -> Option<bool> {
        let stat = self.queues.get(&path_key("stat", path));
        let looked = stat.and_then(|queue| Some((queue.passed()?, queue.current()?)));
        let reads = self.reads.get(path).into_iter().flatten();
        let read = reads.filter_map(|key| self.queues.get(key)?.passed()).max();
        match (looked, read) {
            (None, None) => None,
            (Some((place, Exchange::Stat(looked))), read) if read.is_none_or(|read| read < place) => {
                Some(looked.is.is_none() && looked.error.is_none())
            }
            _ => Some(false),
        }
    }

    /// Part of a file put together from what was read of it, `None` where that does not suffice. What the replay has
    /// passed already counts before what is still to come.
    pub(super) fn assemble(&self, path: &str, offset: u64, length: u64) -> Option<Vec<u8>> {
        [true, false].into_iter().find_map(|passed| self.assemble_from(passed, path, offset, length))
    }

    fn assemble_from(&self, passed: bool, path: &str, offset: u64, length: u64) -> Option<Vec<u8>> {
        let usable =
            |key: &str| self.queues.get(key).filter(|queue| !passed || queue.passed().is_some())?.current();
        let parts: Vec<&ReadPart> = self
            .reads
            .get(path)?
            .iter()
            .filter_map(|key| match usable(key) {
                Some(Exchange::Read(read)) if read.error.is_none() => Some(read),
                _ => None,
            })
            .collect();
        let size = match usable(&path_key("stat", path)) {
            Some(Exchange::Stat(looked)) => looked.is.as_ref().map(|stat| stat.size),
            _ => None,
        };
        let (mut content, mut at) = (Vec::new(), offset);
        let end = offset.saturating_add(length);
        while at < end {
            let holds =
                |part: &&&ReadPart| part.offset <= at && at < part.offset + part.content.bytes().len() as u64;
            if let Some(part) = parts.iter().find(holds) {
                let from = usize::try_from(at - part.offset).ok()?;
                let wanted = usize::try_from(end - at).unwrap_or(usize::MAX);
                let piece = &part.content.bytes()[from..];
                let piece = &piece[..piece.len().min(wanted)];
                content.extend_from_slice(piece);
                at += piece.len() as u64;
                continue;
            }
            // A read that got less than it asked for saw the end of the file.
            let ends = |part: &&ReadPart| {
                let got = part.content.bytes().len() as u64;
                part.offset <= at && got < self::length(part) && part.offset + got <= at
            };
            let at_end = parts.iter().any(ends) || (!parts.is_empty() && size.is_some_and(|size| at >= size));
            return at_end.then_some(content);
        }
        Some(content)
    }

    /// The recorded command that looks most like this one.
    pub(super) fn nearest(&self, line: &str) -> Option<&str> {
        let head = |text: &str| text.chars().take(300).collect::<String>();
        let line = head(line);
        let likeness = |command: &&String| strsim::normalized_levenshtein(&line, &head(command));
        let nearest = self.commands.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
        (likeness(&nearest) > 0.4).then_some(nearest)
    }

    /// The recorded path, asked with the same verb, that looks most like this one.
    pub(super) fn nearest_path(&self, verb: &str, path: &str) -> Option<String> {
        let paths = self.queues.keys().filter_map(|key| {
            let words: Vec<serde_json::Value> = serde_json::from_str(key).ok()?;
            (words.first()?.as_str()? == verb).then(|| words.get(1)?.as_str().map(str::to_owned)).flatten()
        });
        let likeness = |other: &String| strsim::normalized_levenshtein(path, other);
        let nearest = paths.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
        (likeness(&nearest) > 0.4).then_some(nearest)
    }
}
