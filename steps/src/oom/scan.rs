//! From a file of any size to the few stretches that matter, in bounded memory.
//!
//! The file is read in chunks and searched for literals only; a stretch around each hit is handed on. Everything that
//! reads a log goes through [`Scanner::next`], so a faster search can be put underneath.

use std::sync::LazyLock;

use engine::site::{Site, SiteError};
use regex::bytes::Regex as BytesRegex;

/// Bytes read at once.
const CHUNK: usize = 1 << 20;
/// Bytes kept before a hit: the last training steps stand there.
const BEFORE: usize = 64 << 10;
/// Bytes that were in the window before and are shown again.
const AGAIN: usize = 8 << 10;
/// Bytes kept after a hit: the rest of the message, and whether training went on.
const AFTER: usize = 16 << 10;
/// A stretch ends here even if hits go on.
const LONGEST: usize = 512 << 10;

/// Words of which one is in the first line of every text that `message` reads.
const TRIGGERS: &[&str] = &[
    "ut of memory",
    "ut Of Memory",
    "OutOfMemoryError",
    "ried to allocate",
    "oom-kill",
    "oom_kill",
    "CUDA OOM",
    "GPU OOM",
    "from OOM",
    "with OOM",
    "OOM when",
    "OOMKilled",
    "ALLOC_FAILED",
    "INTERNAL ASSERT FAILED",
    "RESOURCE_EXHAUSTED",
    "out_of_memory",
    "OUT_OF_MEMORY",
    "cudaErrorMemoryAllocation",
    "hipErrorOutOfMemory",
    "cuda runtime error (2)",
    "exceed allowed memory",
    "memory_fraction limit",
    "is less than desired GPU memory",
    "DefaultCPUAllocator",
    "is killed by signal",
    "Killed",
    "SIGKILL",
    ": -9",
    "= -9",
    "out of resource",
    "allocator cache flushes",
    "memory limit",
    "running low on memory",
    "low on resource",
    "Failed to CUDA",
    "not a failure",
    "Preemptively rejecting",
];

/// Whether a line can be the beginning of a report: cheap; a report has one of the words, other lines may have, too.
pub(crate) fn suspects(line: &str) -> bool {
    TRIGGERS.iter().any(|trigger| line.contains(trigger))
}

/// Words of lines that say which rank ran where and how it ended.
const HINTS: &[&str] = &["Root Cause (first", "srun: error:", "(local_rank: "];

/// The longest of those words; a hit may lie across two chunks.
const LONGEST_WORD: usize = 40;

fn literals(words: &[&str]) -> BytesRegex {
    let alternatives: Vec<String> = words.iter().map(|word| regex::escape(word)).collect();
    BytesRegex::new(&alternatives.join("|")).expect("a valid pattern")
}

/// Where the first trigger in a line begins.
pub(crate) fn trigger(line: &str) -> Option<usize> {
    static PATTERN: LazyLock<BytesRegex> = LazyLock::new(|| literals(TRIGGERS));
    PATTERN.find(line.as_bytes()).map(|found| found.start())
}

/// A stretch of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// Number of the line in which it begins, from 1.
    pub(crate) first_line: u64,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Where the part begins that no earlier window showed; the bytes before it are context.
    pub(crate) fresh: usize,
}

/// Reads one file from start to end.
pub(crate) struct Scanner<'a> {
    site: &'a dyn Site,
    path: &'a str,
    buffer: Vec<u8>,
    /// Offset in the file of the buffer's first byte, and the number of its line.
    base: u64,
    line: u64,
    /// Offset in the buffer up to which it was searched.
    searched: usize,
    /// Offset in the buffer up to which windows were handed out.
    shown: usize,
    at_end: bool,
    finished: bool,
}

impl<'a> Scanner<'a> {
    /// A scanner at the start of the file.
    pub(crate) fn new(site: &'a dyn Site, path: &'a str) -> Self {
        Self {
            site,
            path,
            buffer: Vec::new(),
            base: 0,
            line: 1,
            searched: 0,
            shown: 0,
            at_end: false,
            finished: false,
        }
    }

    /// Bytes of the file looked at so far.
    pub(crate) fn position(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    /// The next stretch with a hit in it; at the end of the file, once, its last bytes as context; then `None`.
    ///
    /// # Errors
    /// The file cannot be read (any further).
    pub(crate) async fn next(&mut self) -> Result<Option<Window>, SiteError> {
        static PATTERN: LazyLock<BytesRegex> = LazyLock::new(|| literals(&[TRIGGERS, HINTS].concat()));
        while !self.finished {
            let from = self.searched.saturating_sub(LONGEST_WORD);
            let hit =
                PATTERN.find_iter(&self.buffer[from..]).map(|m| from + m.end()).find(|end| *end > self.shown);
            if let Some(hit) = hit {
                return self.window(hit, &PATTERN).await.map(Some);
            }
            self.searched = self.buffer.len();
            if self.at_end {
                self.finished = true;
                let start = self.context(self.buffer.len().saturating_sub(BEFORE), self.buffer.len());
                return Ok((self.shown < self.buffer.len())
                    .then(|| self.cut(start, self.buffer.len(), self.buffer.len())));
            }
            self.forget(self.buffer.len());
            self.more().await?;
        }
        Ok(None)
    }

    /// The window around a hit that ends at `hit`.
    async fn window(&mut self, hit: usize, pattern: &BytesRegex) -> Result<Window, SiteError> {
        let start = self.context(hit.saturating_sub(LONGEST_WORD + BEFORE), hit);
        let (mut end, mut last) = (hit + AFTER, hit);
        loop {
            while self.buffer.len() < end && !self.at_end {
                self.more().await?;
            }
            let stop = end.min(self.buffer.len());
            match pattern.find_iter(&self.buffer[last..stop]).last() {
                Some(next) if end - start < LONGEST => {
                    last += next.end();
                    end = (last + AFTER).min(start + LONGEST).max(end);
                }
                _ => break,
            }
            if self.at_end && end >= self.buffer.len() {
                break;
            }
        }
        let mut end = end.min(self.buffer.len());
        // To the end of the line, unless it is a very long one.
        let ahead = &self.buffer[end..self.buffer.len().min(end + 4096)];
        end += memchr::memchr(b'\n', ahead).map_or(0, |at| at + 1);
        let fresh = self.shown.max(start);
        let window = self.cut(start, end, fresh);
        (self.shown, self.searched) = (end, end);
        self.forget(end);
        Ok(window)
    }

    /// Where a window that would begin at `start` begins: at a line, and little before what was shown already.
    fn context(&self, start: usize, hit: usize) -> usize {
        line_start(&self.buffer[..hit], start.max(self.shown.saturating_sub(AGAIN)))
    }

    fn cut(&self, start: usize, end: usize, fresh: usize) -> Window {
        let before = memchr::memchr_iter(b'\n', &self.buffer[..start]).count() as u64;
        Window {
            first_line: self.line + before,
            bytes: self.buffer[start..end].to_vec(),
            fresh: fresh - start,
        }
    }

    /// Drops what is more than [`BEFORE`] ahead of `at`.
    fn forget(&mut self, at: usize) {
        let drop = at.saturating_sub(BEFORE + LONGEST_WORD);
        self.line += memchr::memchr_iter(b'\n', &self.buffer[..drop]).count() as u64;
        self.buffer.drain(..drop);
        self.base += drop as u64;
        self.searched = self.searched.saturating_sub(drop);
        self.shown = self.shown.saturating_sub(drop);
    }

    async fn more(&mut self) -> Result<(), SiteError> {
        let chunk = self.site.read(self.path, self.position(), CHUNK).await?;
        self.at_end = chunk.is_empty();
        self.buffer.extend_from_slice(&chunk);
        Ok(())
    }
}

/// The start of the first line that begins at or after `at`; `at` itself if no line ends after it.
fn line_start(bytes: &[u8], at: usize) -> usize {
    if at == 0 {
        return 0;
    }
    memchr::memchr(b'\n', &bytes[at - 1..]).map_or(at, |end| at + end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::told::files;

    async fn windows(content: &[u8]) -> Vec<Window> {
        let site = files(&[("/log", content)]);
        let mut scanner = Scanner::new(&*site, "/log");
        let mut all = Vec::new();
        while let Some(window) = scanner.next().await.unwrap() {
            assert!(window.bytes.len() <= LONGEST + 2 * CHUNK);
            all.push(window);
        }
        assert_eq!(scanner.position(), content.len() as u64);
        all
    }

    #[tokio::test]
    async fn a_quiet_file_yields_its_tail_only() {
        let content = "step 1\n".repeat(400_000);
        let all = windows(content.as_bytes()).await;
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].fresh, all[0].bytes.len());
        assert!(all[0].bytes.len() <= BEFORE && all[0].bytes.starts_with(b"step"));
        assert!(windows(b"").await.is_empty());
    }

    #[tokio::test]
    async fn a_hit_deep_in_a_file_keeps_its_line_number() {
        let mut content = "step 1\n".repeat(400_000);
        content.push_str("RuntimeError: CUDA out of memory.\n");
        content.push_str(&"x\n".repeat(1_000_000));
        let all = windows(content.as_bytes()).await;
        let text = String::from_utf8_lossy(&all[0].bytes).into_owned();
        let before = text.lines().position(|line| line.contains("out of memory")).unwrap();
        assert_eq!(all[0].first_line + before as u64, 400_001);
        assert!(text.starts_with("step 1\n") && all.len() == 2);
    }

    #[tokio::test]
    async fn hits_across_chunks_and_in_huge_lines_are_found() {
        for at in [CHUNK - 20, CHUNK - 6, CHUNK, 3 * CHUNK - 3] {
            let mut content = vec![b'x'; at];
            content.extend_from_slice(b"out of memory");
            content.resize(at + 3 * CHUNK, b'y');
            let all = windows(&content).await;
            let found =
                all.iter().filter(|w| memchr::memmem::find(&w.bytes[w.fresh..], b"out of memory").is_some());
            assert_eq!(found.count(), 1, "{at}");
        }
    }

    #[tokio::test]
    async fn dense_hits_are_all_shown_once() {
        let content = "CUDA out of memory 12345678\n".repeat(100_000);
        let all = windows(content.as_bytes()).await;
        let fresh: usize = all.iter().map(|w| w.bytes.len() - w.fresh).sum();
        assert_eq!(fresh, content.len());
        assert!(all.len() > 2);
    }

    #[test]
    fn no_word_is_longer_than_thought() {
        assert!(TRIGGERS.iter().chain(HINTS).all(|word| word.len() <= LONGEST_WORD));
    }

    #[test]
    fn every_message_has_a_trigger_in_its_first_line() {
        for case in crate::oom::fixtures::cases() {
            let text = crate::oom::fixtures::render(&case);
            assert!(trigger(text.lines().next().unwrap()).is_some(), "{text}");
        }
    }
}
