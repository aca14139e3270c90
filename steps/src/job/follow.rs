//! Reading log files as they grow.

use engine::site::{FileStat, SiteErrorKind};
use engine::step::{StepCx, StepError};
use jiff::Timestamp;

use crate::text::visible;

/// Bytes per read.
const CHUNK: usize = 256 << 10;
/// Bytes of one file per round; the rest comes in the next.
const ROUND: usize = 8 << 20;
/// Bytes before the end at which a file begins that is long already.
const TAIL: u64 = 16 << 20;
/// A line is cut here.
const LINE: usize = 64 << 10;

/// One file that grows.
#[derive(Debug)]
pub(crate) struct Follow {
    path: String,
    offset: u64,
    partial: Vec<u8>,
    begun: bool,
    written: Option<Timestamp>,
}

impl Follow {
    pub(crate) fn new(path: &str) -> Self {
        Self { path: path.to_owned(), offset: 0, partial: Vec::new(), begun: false, written: None }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// When it was last written, as of the last look at its lines.
    pub(crate) fn written(&self) -> Option<Timestamp> {
        self.written
    }

    /// What is there now belongs to an earlier job; only what comes after it counts.
    ///
    /// # Errors
    /// A recording without this exchange.
    pub(crate) async fn skip_present(&mut self, cx: &StepCx) -> Result<(), StepError> {
        if let Some(stat) = stat(cx, &self.path).await? {
            (self.offset, self.begun) = (stat.size, true);
        }
        Ok(())
    }

    /// The whole lines that came since. A file that is not there (yet), or cannot be read for a moment, has none.
    /// One last written before `started` is still that of an earlier job of the same names: ranks empty it when they
    /// open it, which may be long after the job has started.
    ///
    /// # Errors
    /// A recording without this exchange.
    pub(crate) async fn lines(
        &mut self,
        cx: &StepCx,
        started: Option<Timestamp>,
    ) -> Result<Vec<String>, StepError> {
        let Some(stat) = stat(cx, &self.path).await? else { return Ok(Vec::new()) };
        let size = stat.size;
        self.written = Some(stat.modified);
        if !self.begun {
            if started.is_some_and(|started| stat.modified < started) {
                return Ok(Vec::new());
            }
            self.begun = true;
            self.offset = size.saturating_sub(TAIL);
        }
        if size < self.offset {
            // Started anew: the job was requeued and its log emptied.
            self.offset = 0;
            self.partial.clear();
        }
        let mut lines = Vec::new();
        let mut read = 0;
        while self.offset < size && read < ROUND {
            let bytes = match cx.site.read(&self.path, self.offset, CHUNK).await {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => bytes,
                Err(error) if error.kind == SiteErrorKind::NotRecorded => return Err(error.into()),
                Err(_) => break,
            };
            self.offset += bytes.len() as u64;
            read += bytes.len();
            self.split(&bytes, &mut lines);
        }
        Ok(lines)
    }

    /// Progress bars end their lines with a carriage return.
    fn split(&mut self, bytes: &[u8], lines: &mut Vec<String>) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n' || byte == b'\r') {
            let room = LINE.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") || piece.ends_with(b"\r") {
                // Some trainers colour their lines.
                let text = visible(&self.partial);
                if !text.is_empty() {
                    lines.push(text);
                }
                self.partial.clear();
            }
        }
    }
}

async fn stat(cx: &StepCx, path: &str) -> Result<Option<FileStat>, StepError> {
    match cx.site.stat(path).await {
        Ok(stat) => Ok(stat),
        Err(error) if error.kind == SiteErrorKind::NotRecorded => Err(error.into()),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testkit::FakeSite;

    #[tokio::test(flavor = "current_thread")]
    async fn only_whole_new_lines() {
        let site = FakeSite::shared();
        let cx = site.cx();
        let mut log = Follow::new("/log");
        assert!(log.lines(&cx, None).await.unwrap().is_empty());
        site.file("/log", "a\nb\rhal");
        assert_eq!(log.lines(&cx, None).await.unwrap(), ["a", "b"]);
        site.file("/log", "a\nb\rhalf\n\n");
        assert_eq!(log.lines(&cx, None).await.unwrap(), ["half"]);
        site.file("/log", "new\n");
        assert_eq!(log.lines(&cx, None).await.unwrap(), ["new"], "it was emptied");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_an_earlier_job_wrote_is_skipped() {
        let site = FakeSite::shared();
        site.file("/log", "old\n");
        let mut log = Follow::new("/log");
        log.skip_present(&site.cx()).await.unwrap();
        site.file("/log", "old\nnew\n");
        assert_eq!(log.lines(&site.cx(), None).await.unwrap(), ["new"]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_file_that_the_ranks_have_not_opened_yet_is_an_earlier_jobs() {
        let site = FakeSite::shared();
        site.file("/log", "old\n");
        let mut log = Follow::new("/log");
        // Its time of change is 03:12:44.
        let after = Some("2026-11-24T03:13:00Z".parse().unwrap());
        assert!(log.lines(&site.cx(), after).await.unwrap().is_empty());
        let before = Some("2026-11-24T03:12:00Z".parse().unwrap());
        assert_eq!(log.lines(&site.cx(), before).await.unwrap(), ["old"]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_line_without_end_stays_bounded() {
        let site = FakeSite::shared();
        site.file("/log", [b"x".repeat(1 << 20), b"\ny\n".to_vec()].concat());
        let lines = Follow::new("/log").lines(&site.cx(), None).await.unwrap();
        assert_eq!((lines[0].len(), lines[1].as_str()), (LINE, "y"));
    }

    proptest! {
        /// However the bytes arrive, the lines are the same.
        #[test]
        fn chunks_do_not_matter(text in "[ab\n]{0,60}", cuts in prop::collection::vec(0usize..60, 0..5)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let mut log = Follow::new("/log");
            let mut lines = Vec::new();
            for pair in cuts.windows(2) {
                log.split(&text.as_bytes()[pair[0]..pair[1]], &mut lines);
            }
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let expected: Vec<&str> = whole.split('\n').filter(|line| !line.is_empty()).collect();
            prop_assert_eq!(lines, expected);
        }
    }
}
