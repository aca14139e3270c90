//! Edits of a launch: the smallest one after which the launch line or the file has the wanted setting, proven by reading
//! the result back.

use std::ops::Range;

use super::super::config::{Doc, New};
use super::super::script::{Line, Script, Word, set};
use super::at::At;
use super::launch::{File, Launch, Occurrence};
use super::read::Found;
use crate::text::clean;

/// What the words of a launch line must be after an edit.
type Words = Vec<String>;

impl Launch {
    /// The launch with another value of a setting that it has.
    ///
    /// # Errors
    /// Where no edit was found that has surely this effect and no other.
    pub(in crate::launch) fn set(&self, found: &Found, new: &str) -> Result<Self, String> {
        match &found.at {
            At::Key(key) => self.edit_file(key, |doc, path| doc.set(path, &New::of(new))),
            At::Variable(name) => set(&self.script, name, new)
                .map(|script| self.with(script))
                .map_err(|error| error.to_string()),
            At::Flag(_) | At::Word(_) | At::Passed(_) | At::Starter(_) => {
                self.edit_lines(found, |line, name, value| {
                    let (index, length) = value?;
                    let mut wanted: Words = line.words.iter().map(Word::text).collect();
                    let text = &mut wanted[index];
                    text.truncate(text.len() - length);
                    text.push_str(new);
                    let word = &line.words[index];
                    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
                    edits.extend(word.written(length).map(|range| (range, new.to_owned())));
                    // The value's own place decides other words, too, or cannot be told: it is written out here.
                    edits.extend(
                        self.site(word, line.words[name].level(), length)
                            .map(|range| (range, new.to_owned())),
                    );
                    Some((edits, wanted))
                })
            }
        }
    }

    /// The launch with one more setting, beside one that it has.
    ///
    /// # Errors
    /// See [`Launch::set`].
    pub(in crate::launch) fn add(&self, at: &At, new: &str, beside: &Found) -> Result<Self, String> {
        match (at, &beside.at) {
            (At::Key(key), At::Key(neighbour)) if At::split(key).0 == At::split(neighbour).0 => {
                self.edit_file(key, |doc, path| doc.add(path, &New::of(new), At::split(neighbour).1))
            }
            (At::Flag(_) | At::Word(_), At::Flag(_) | At::Word(_)) | (At::Starter(_), At::Starter(_)) => self
                .edit_lines(beside, |line, name, value| {
                    let last = value.map_or(name, |(index, _)| index);
                    let mut wanted: Words = line.words.iter().map(Word::text).collect();
                    let more = match at {
                        At::Word(name) | At::Starter(name) => vec![format!("{name}={new}")],
                        _ if new.is_empty() => vec![at.show()],
                        _ => vec![at.show(), new.to_owned()],
                    };
                    let text: String = more.iter().map(|word| format!(" {word}")).collect();
                    wanted.splice(last + 1..last + 1, more);
                    let end = self.end(line, last, line.words[name].level())?;
                    Some((vec![(end..end, text)], wanted))
                }),
            _ => Err(format!("no place for {} was found beside {}", at.show(), beside.place)),
        }
    }

    /// The launch with other words in the place of a flag that has no value.
    ///
    /// # Errors
    /// See [`Launch::set`].
    pub(in crate::launch) fn replace(&self, found: &Found, words: &str) -> Result<Self, String> {
        self.edit_lines(found, |line, name, value| {
            if value.is_some() {
                return None;
            }
            let mut wanted: Words = line.words.iter().map(Word::text).collect();
            let length = wanted[name].len();
            wanted.splice(name..=name, words.split(' ').map(str::to_owned));
            Some((vec![(line.words[name].written(length)?, words.to_owned())], wanted))
        })
    }

    /// Edits every launch line. `edit` gives the edits that may do, the best first, and the words that must come of it.
    fn edit_lines(
        &self,
        found: &Found,
        edit: impl Fn(&Line, usize, Option<(usize, usize)>) -> Option<(Vec<(Range<usize>, String)>, Words)>,
    ) -> Result<Self, String> {
        let refusal =
            || format!("{}: no edit was found that surely has the wanted effect and no other", found.place);
        let mut tries: Vec<Vec<(Range<usize>, String)>> = Vec::new();
        let mut wanted = Vec::new();
        for (line, program) in &self.lines {
            let Occurrence { name, value } = self.find(&found.at, line, program).ok_or_else(refusal)?;
            let (edits, words) = edit(line, name, value).ok_or_else(refusal)?;
            tries.push(edits);
            wanted.push(words);
        }
        let rounds = tries.iter().map(Vec::len).max().unwrap_or(0);
        for round in 0..rounds {
            let Some(edits) = tries.iter().map(|all| all.get(round).cloned()).collect::<Option<Vec<_>>>()
            else {
                continue;
            };
            // What is not known must not change either.
            let hangs = |word: &Word| {
                let mut unknown = word.pieces.iter().filter(|piece| !piece.known);
                unknown.any(|piece| {
                    edits.iter().any(|(range, _)| self.script.hangs_on(&piece.text, range.start))
                })
            };
            if self.lines.iter().any(|(line, _)| line.words.iter().any(hangs)) {
                continue;
            }
            if let Some(after) = self.spliced(edits) {
                let same = |((line, _), words): (&(Line, super::Program), &Words)| {
                    line.words.iter().map(Word::text).eq(words.iter().cloned())
                };
                if after.lines.len() == wanted.len() && after.lines.iter().zip(&wanted).all(same) {
                    return Ok(after);
                }
            }
        }
        Err(refusal())
    }

    /// The launch with these edits of the script, each made once.
    fn spliced(&self, mut edits: Vec<(Range<usize>, String)>) -> Option<Self> {
        edits.sort_by_key(|(range, _)| (range.start, range.end));
        edits.dedup();
        if edits.windows(2).any(|pair| pair[0].0.end > pair[1].0.start || pair[0].0 == pair[1].0) {
            return None;
        }
        let mut text = self.script.text().to_owned();
        for (range, new) in edits.into_iter().rev() {
            text.replace_range(range, &new);
        }
        Script::parse(text).ok().map(|script| self.with(script))
    }

    /// The bytes at the level of the flag that stand for the last `length` bytes of a word: `$MBS` in `--mbs $MBS`.
    fn site(&self, word: &Word, level: usize, length: usize) -> Option<Range<usize>> {
        let text = word.text();
        if let Some((at, range)) = &word.node
            && *at == level
            && length == text.len()
        {
            return Some(range.clone());
        }
        let first = word.pieces.iter().find(|piece| piece.sites.len() > level)?;
        let site = first.sites.get(level)?.clone();
        let all: usize = word
            .pieces
            .iter()
            .filter(|piece| piece.sites.get(level) == Some(&site))
            .map(|piece| piece.text.len())
            .sum();
        (all == length && site.end > site.start).then_some(site)
    }

    /// Where the word ends at the level of the flag.
    fn end(&self, line: &Line, index: usize, level: usize) -> Option<usize> {
        let word = line.words.get(index)?;
        if let Some((at, range)) = &word.node
            && *at == level
        {
            return Some(range.end);
        }
        let last = word.pieces.last()?;
        match last.sites.get(level) {
            Some(site) => Some(site.end),
            None if last.sites.len() == level => Some(last.start? + last.text.len()),
            None => None,
        }
    }

    fn edit_file(
        &self,
        key: &str,
        edit: impl FnOnce(&Doc, &str) -> Result<Doc, String>,
    ) -> Result<Self, String> {
        let (file, path) = At::split(key);
        let mut after = self.clone();
        match after.files.get_mut(file) {
            Some(File::Read { path: name, doc }) => {
                *doc = edit(doc, path).map_err(|why| format!("{}: {why}", clean(name)))?;
                Ok(after)
            }
            Some(File::Unclear(why)) => Err(why.clone()),
            None => Err(format!("the file that holds {path} is not known")),
        }
    }
}
