//! Looking for words in files of any size.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};

use super::{Site, SiteError};

/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// Words to look for, compiled once and shared. Up to some 28 of them are found at the speed of one (by vector
/// instructions, three bytes of each); more take twice the time.
#[derive(Clone)]
pub struct Words {
    compiled: Arc<Compiled>,
}

struct Compiled {
    searcher: AhoCorasick,
    longest: usize,
}

impl Words {
    /// Compiles words; empty ones are left out. No words are never found.
    pub fn new<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> Self {
        let words: Vec<String> =
            words.into_iter().map(|word| word.as_ref().to_owned()).filter(|word| !word.is_empty()).collect();
        let longest = words.iter().map(String::len).max().unwrap_or(0);
        // The limits that building can run into are in the gigabytes of words.
        let searcher = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(&words);
        Self { compiled: Arc::new(Compiled { searcher: searcher.expect("few words"), longest }) }
    }

    /// Where the first word stands.
    pub fn find(&self, bytes: &[u8]) -> Option<Range<usize>> {
        if self.compiled.longest == 0 { None } else { self.compiled.searcher.find(bytes).map(|m| m.range()) }
    }

    /// Bytes of the longest word.
    pub fn longest(&self) -> usize {
        self.compiled.longest
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Words").field("longest", &self.longest()).finish_non_exhaustive()
    }
}

/// What to look for in which part of a file.
#[derive(Debug, Clone)]
pub struct Search {
    /// The words.
    pub words: Words,
    /// The first byte at which a word may begin.
    pub from: u64,
    /// Before this byte a word has to begin; it may end behind it.
    pub to: u64,
    /// Whether to count the line feeds that are passed.
    pub count_lines: bool,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Where the first word begins; `None`: there is none.
    pub at: Option<u64>,
    /// Up to here it was looked: the word, the end of the part, or the end of the file.
    pub end: u64,
    /// Line feeds between `from` and `end`, if they were to be counted.
    pub lines: Option<u64>,
}

/// A search, chunk by chunk. The caller owns the buffer: its first [`Sweep::kept`] bytes are what was kept of the chunk
/// before (a word may lie across), and new bytes, from [`Sweep::offset`] of the file on, go behind them.
#[derive(Debug)]
pub struct Sweep<'a> {
    search: &'a Search,
    base: u64,
    kept: usize,
    counted: u64,
    lines: u64,
}

impl<'a> Sweep<'a> {
    /// A search that has read nothing yet.
    pub fn new(search: &'a Search) -> Self {
        Self { search, base: search.from, kept: 0, counted: search.from, lines: 0 }
    }

    /// Bytes at the start of the buffer that are to be kept.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Offset in the file from which to read on.
    pub fn offset(&self) -> u64 {
        self.base + self.kept as u64
    }

    /// Bytes that are still wanted, at most.
    pub fn wanted(&self) -> u64 {
        let beyond = (self.search.words.longest() as u64).saturating_sub(1);
        self.search.to.saturating_add(beyond).saturating_sub(self.offset())
    }

    /// Looks at `buffer`, which holds the kept bytes and `new` ones behind them. No new bytes are the end of the file.
    pub fn look(&mut self, buffer: &mut [u8], new: usize) -> Option<Found> {
        let filled = self.kept + new;
        let bytes = &buffer[..filled];
        let at = self.search.words.find(bytes).map(|word| self.base + word.start as u64);
        let at = at.filter(|at| *at < self.search.to);
        let seen = self.base + filled as u64;
        self.count(bytes, at.unwrap_or(seen.min(self.search.to)));
        if at.is_some() || new == 0 || seen >= self.search.to.saturating_add(self.beyond()) {
            let end = at.unwrap_or(seen.min(self.search.to)).max(self.search.from);
            return Some(Found { at, end, lines: self.search.count_lines.then_some(self.lines) });
        }
        let keep = filled.min(self.search.words.longest().saturating_sub(1));
        buffer.copy_within(filled - keep..filled, 0);
        self.base = seen - keep as u64;
        self.kept = keep;
        None
    }

    fn beyond(&self) -> u64 {
        (self.search.words.longest() as u64).saturating_sub(1)
    }

    fn count(&mut self, bytes: &[u8], to: u64) {
        if self.search.count_lines && to > self.counted {
            let place =
                |offset: u64| usize::try_from(offset - self.base).unwrap_or(usize::MAX).min(bytes.len());
            let fresh = &bytes[place(self.counted)..place(to)];
            self.lines += memchr::memchr_iter(b'\n', fresh).count() as u64;
            self.counted = to;
        }
    }
}

/// [`Site::find`] by nothing but [`Site::read`]: what a site does that has no faster way.
///
/// # Errors
/// Those of reading.
pub async fn find_by_reading(
    site: &(impl Site + ?Sized),
    path: &str,
    search: &Search,
) -> Result<Found, SiteError> {
    let mut sweep = Sweep::new(search);
    let mut buffer = Vec::new();
    loop {
        let length = usize::try_from(sweep.wanted()).unwrap_or(usize::MAX).min(CHUNK);
        let chunk = if length == 0 { Vec::new() } else { site.read(path, sweep.offset(), length).await? };
        buffer.truncate(sweep.kept());
        buffer.extend_from_slice(&chunk);
        if let Some(found) = sweep.look(&mut buffer, chunk.len()) {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(content: &[u8], search: &Search, chunk: usize) -> Found {
        let mut sweep = Sweep::new(search);
        let mut buffer = Vec::new();
        loop {
            let from = usize::try_from(sweep.offset()).unwrap().min(content.len());
            let length = usize::try_from(sweep.wanted()).unwrap_or(usize::MAX).min(chunk);
            let new = &content[from..from.saturating_add(length).min(content.len())];
            buffer.truncate(sweep.kept());
            buffer.extend_from_slice(new);
            if let Some(found) = sweep.look(&mut buffer, new.len()) {
                return found;
            }
        }
    }

    #[test]
    fn a_word_begins_inside_the_part_and_may_end_behind_it() {
        let words = Words::new(["needle", ""]);
        let search = |from, to| Search { words: words.clone(), from, to, count_lines: true };
        let text = b"a\nb\nneedle\nneedle";
        assert_eq!(sweep(text, &search(0, 99), 4), Found { at: Some(4), end: 4, lines: Some(2) });
        assert_eq!(sweep(text, &search(5, 99), 4), Found { at: Some(11), end: 11, lines: Some(1) });
        assert_eq!(sweep(text, &search(0, 5), 4).at, Some(4));
        assert_eq!(sweep(text, &search(0, 4), 4), Found { at: None, end: 4, lines: Some(2) });
        assert_eq!(sweep(text, &search(12, 99), 4), Found { at: None, end: 17, lines: Some(0) });
        let nothing = Search { words: Words::new([""; 0]), from: 0, to: 11, count_lines: true };
        assert_eq!(sweep(text, &nothing, 3), Found { at: None, end: 11, lines: Some(3) });
    }

    proptest::proptest! {
        #[test]
        fn chunks_change_nothing(text in "[ab\n]{0,60}", chunk in 1usize..9, from in 0u64..70, to in 0u64..70) {
            let search = Search { words: Words::new(["aab", "ba"]), from, to, count_lines: true };
            let start = usize::try_from(from).unwrap().min(text.len());
            let found = ["aab", "ba"].iter().filter_map(|w| text[start..].find(w)).min().map(|at| (start + at) as u64);
            let at = found.filter(|at| *at < to);
            let swept = sweep(text.as_bytes(), &search, chunk);
            proptest::prop_assert_eq!(swept.at, at);
            let end = usize::try_from(swept.end).unwrap().min(text.len());
            let lines = text.as_bytes()[start.min(end)..end].iter().filter(|b| **b == b'\n').count() as u64;
            proptest::prop_assert_eq!(swept.lines, Some(lines));
        }
    }
}
