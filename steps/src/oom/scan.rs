//! From a file of any size to the few stretches that matter, in bounded memory.
//!
//! A large file is searched for words by its site, and only stretches around hits are read; a small one is read as a
//! whole. Everything that reads a log goes through [`Scanner::next`].

use engine::site::SiteError;

use super::source::Source;
use super::triggers::hits;

/// Files up to this size are read at once, larger ones are searched first.
pub(super) const SMALL: u64 = if cfg!(test) { 64 << 10 } else { 1 << 20 };
/// Bytes of a large file read at once.
const CHUNK: usize = 128 << 10;
/// Bytes of a file searched between two looks at whether a person wants to stop.
const STRIDE: u64 = 64 << 20;
/// Bytes kept before a hit: the last training steps stand there.
const BEFORE: usize = 64 << 10;
/// Bytes that were in the window before and are shown again.
const AGAIN: usize = 8 << 10;
/// Bytes kept after a hit: the rest of the message, and whether training went on.
const AFTER: usize = 16 << 10;
/// A stretch ends here even if hits go on.
const LONGEST: usize = 512 << 10;

/// A stretch of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// Offset in the file of its first byte.
    pub(crate) offset: u64,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Where the part begins that no earlier window showed; the bytes before it are context.
    pub(crate) fresh: usize,
}

/// Reads one file from start to end.
pub(crate) struct Scanner {
    source: Source,
    buffer: Vec<u8>,
    /// Offset in the file of the buffer's first byte.
    base: u64,
    /// Offset in the buffer up to which it was searched.
    searched: usize,
    /// Offset in the buffer up to which windows were handed out.
    shown: usize,
    /// A window was handed out.
    hit: bool,
    at_end: bool,
    finished: bool,
}

impl Scanner {
    /// A scanner of what begins at `from`; a window may reach further back.
    pub(crate) fn new(source: Source, from: u64) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            base: from,
            searched: 0,
            shown: 0,
            hit: false,
            at_end: false,
            finished: false,
        }
    }

    /// Offset up to which the file was looked at.
    pub(crate) fn position(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    /// The next stretch with a hit in it; after the last one, once, the file's last bytes as context; then `None`.
    ///
    /// # Errors
    /// The file cannot be read (any further).
    pub(crate) async fn next(&mut self) -> Result<Option<Window>, SiteError> {
        while !self.finished {
            if let Some(hit) = self.next_hit() {
                self.hit = true;
                return self.window(hit).await.map(Some);
            }
            self.searched = self.buffer.len();
            if self.at_end {
                self.finished = true;
                let start = self.context(self.buffer.len().saturating_sub(BEFORE), self.buffer.len());
                return Ok((self.hit && self.shown < self.buffer.len())
                    .then(|| self.cut(start, self.buffer.len(), self.buffer.len())));
            }
            self.forget(self.buffer.len());
            self.advance().await?;
        }
        Ok(None)
    }

    /// The end of the next hit in the buffer.
    fn next_hit(&self) -> Option<usize> {
        let words = hits();
        let mut from = self.searched.saturating_sub(words.longest());
        loop {
            let word = words.find(&self.buffer[from..])?;
            if from + word.end > self.shown {
                return Some(from + word.end);
            }
            from += word.start + 1;
        }
    }

    /// The window around a hit that ends at `hit`.
    async fn window(&mut self, hit: usize) -> Result<Window, SiteError> {
        let start = self.context(hit.saturating_sub(hits().longest() + BEFORE), hit);
        let (mut end, mut last) = (hit + AFTER, hit);
        loop {
            while self.buffer.len() < end && !self.at_end {
                self.more().await?;
            }
            let stop = end.min(self.buffer.len());
            let Some(next) = last_hit(&self.buffer[last.min(stop)..stop]).filter(|_| end - start < LONGEST)
            else {
                break;
            };
            last += next;
            end = (last + AFTER).min(start + LONGEST).max(end);
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
        let start = start.max(self.shown.saturating_sub(AGAIN));
        line_start(&self.buffer[..hit], start, self.base == 0)
    }

    fn cut(&self, start: usize, end: usize, fresh: usize) -> Window {
        Window {
            offset: self.base + start as u64,
            bytes: self.buffer[start..end].to_vec(),
            fresh: fresh - start,
        }
    }

    /// Drops what is more than [`BEFORE`] ahead of `at`.
    fn forget(&mut self, at: usize) {
        self.drop_front(at.saturating_sub(BEFORE + hits().longest()));
    }

    fn drop_front(&mut self, bytes: usize) {
        self.buffer.drain(..bytes);
        self.base += bytes as u64;
        self.searched = self.searched.saturating_sub(bytes);
        self.shown = self.shown.saturating_sub(bytes);
    }

    /// Goes on to where something may be.
    async fn advance(&mut self) -> Result<(), SiteError> {
        let here = self.position();
        if !self.source.is_searchable() {
            return self.more().await;
        }
        // A word may lie across.
        let from = here.saturating_sub(hits().longest() as u64).max(self.base);
        let to = here.saturating_add(STRIDE);
        let found = self.source.find(from, to).await?;
        match found.at {
            Some(at) => {
                let start = at.saturating_sub((BEFORE + hits().longest()) as u64);
                if start > here || self.buffer.is_empty() {
                    self.jump(start);
                }
                self.more().await
            }
            // The bytes before are kept: a word may lie across the stride's end, and the last ones are context.
            None if found.end < to => {
                let keep = if self.hit { BEFORE } else { 0 };
                let start = found.end.saturating_sub(keep as u64);
                if start > here {
                    self.jump(start);
                }
                while self.hit && !self.at_end {
                    self.more().await?;
                }
                self.at_end = true;
                Ok(())
            }
            None => {
                let start = to - hits().longest() as u64;
                self.jump(start);
                self.more().await
            }
        }
    }

    /// Leaves out everything up to an offset behind the buffer.
    fn jump(&mut self, to: u64) {
        self.buffer.clear();
        (self.base, self.searched, self.shown) = (to, 0, 0);
    }

    async fn more(&mut self) -> Result<(), SiteError> {
        let length = if self.source.is_searchable() { CHUNK } else { SMALL as usize };
        let chunk = self.source.read(self.position(), length).await?;
        self.at_end = chunk.len() < length;
        self.buffer.extend_from_slice(&chunk);
        Ok(())
    }
}

/// The end of the last hit.
fn last_hit(bytes: &[u8]) -> Option<usize> {
    let words = hits();
    let (mut from, mut last) = (0, None);
    while let Some(word) = words.find(&bytes[from..]) {
        last = Some(from + word.end);
        from += word.end;
    }
    last
}

/// The start of the first line that begins at or after `at`; `at` itself if no line ends after it, or if it is the start
/// of a file.
fn line_start(bytes: &[u8], at: usize, of_file: bool) -> usize {
    if at == 0 {
        return if of_file { 0 } else { memchr::memchr(b'\n', bytes).map_or(0, |end| end + 1) };
    }
    memchr::memchr(b'\n', &bytes[at - 1..]).map_or(at, |end| at + end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::told::files;

    async fn windows_from(content: &[u8], from: u64) -> Vec<Window> {
        let site = files(&[("/log", content)]);
        let mut scanner = Scanner::new(Source::here(site, "/log", content.len() as u64), from);
        let mut all = Vec::new();
        while let Some(window) = scanner.next().await.unwrap() {
            assert!(window.bytes.len() <= LONGEST + 2 * SMALL as usize);
            let at = usize::try_from(window.offset).unwrap();
            assert_eq!(window.bytes, content[at..at + window.bytes.len()]);
            all.push(window);
        }
        assert_eq!(scanner.position(), content.len() as u64);
        all
    }

    async fn windows(content: &[u8]) -> Vec<Window> {
        windows_from(content, 0).await
    }

    #[tokio::test]
    async fn a_quiet_file_yields_nothing() {
        let content = "step 1\n".repeat(400_000);
        assert!(windows(content.as_bytes()).await.is_empty());
        assert!(windows(b"step 1").await.is_empty());
        assert!(windows(b"").await.is_empty());
    }

    #[tokio::test]
    async fn a_hit_deep_in_a_file_has_its_surroundings_and_the_end() {
        let mut content = "step 1\n".repeat(400_000);
        content.push_str("RuntimeError: CUDA out of memory.\n");
        content.push_str(&"x\n".repeat(1_000_000));
        for from in [0, 2_000_000, 2_799_000] {
            let all = windows_from(content.as_bytes(), from).await;
            let text = String::from_utf8_lossy(&all[0].bytes).into_owned();
            let before = text.find("Runtime").unwrap() as u64;
            assert_eq!(all[0].offset + before, 2_800_000);
            assert!(text.starts_with("step 1\n") && before > 50_000 && all.len() == 2);
            assert!(all[1].fresh == all[1].bytes.len() && all[1].bytes.len() <= BEFORE);
        }
        assert!(windows_from(content.as_bytes(), 2_900_000).await.is_empty());
    }

    #[tokio::test]
    async fn hits_across_chunks_and_in_huge_lines_are_found() {
        for at in [CHUNK - 20, CHUNK - 6, CHUNK, SMALL as usize - 6, 3 * SMALL as usize - 3] {
            for rest in [20, 3 * CHUNK, 3 * SMALL as usize] {
                let mut content = vec![b'x'; at];
                content.extend_from_slice(b"out of memory");
                content.resize(at + rest, b'y');
                let all = windows(&content).await;
                let shown =
                    |w: &&Window| memchr::memmem::find(&w.bytes[w.fresh..], b"out of memory").is_some();
                assert_eq!(all.iter().filter(shown).count(), 1, "{at} {rest}");
            }
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

    #[tokio::test]
    async fn words_that_only_look_alike_cost_no_window() {
        let content = "the low of memory use\n".repeat(200_000);
        assert!(windows(content.as_bytes()).await.is_empty());
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

        #[test]
        fn every_hit_is_fresh_once(places in proptest::collection::vec(0usize..3_000_000, 0..6), size in 0usize..3_000_000) {
            let mut content = b"an ordinary line\n".repeat(size / 17 + 1);
            let mut hits = Vec::new();
            for place in places {
                let place = place.min(content.len().saturating_sub(14));
                if hits.iter().all(|hit: &usize| hit.abs_diff(place) > 14) {
                    content[place..place + 13].copy_from_slice(b"out of memory");
                    hits.push(place);
                }
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let all = runtime.block_on(windows(&content));
            for hit in hits {
                let fresh = |w: &&Window| {
                    let at = usize::try_from(w.offset).unwrap();
                    (at + w.fresh..at + w.bytes.len()).contains(&hit)
                };
                proptest::prop_assert_eq!(all.iter().filter(fresh).count(), 1);
            }
        }
    }
}
