//! One log as bytes.

use std::sync::Arc;

use engine::site::{Search, Site, SiteError, SiteErrorKind, Words};

use super::logs::LogFile;
use super::remote::Remote;
use super::scan::SMALL;
use super::triggers::searched;
use super::unpack::Unpacker;

/// Compressed bytes read at once.
const CHUNK: usize = 1 << 20;

/// A log that is being read.
pub(crate) struct Source {
    site: Arc<dyn Site>,
    file: LogFile,
    packed: Option<Packed>,
}

/// A compressed log: it is read from its start on.
#[derive(Default)]
struct Packed {
    unpacker: Option<Unpacker>,
    /// Compressed bytes, read and not yet used, and where in the file they end.
    raw: Vec<u8>,
    position: u64,
    all_read: bool,
    finished: bool,
    /// Bytes unpacked and not yet taken, and the offset of the first.
    ready: Vec<u8>,
    offset: u64,
}

/// Where words were found.
pub(crate) struct Hit {
    /// Where the first one begins.
    pub(crate) at: Option<u64>,
    /// Up to where it was looked.
    pub(crate) end: u64,
}

impl Source {
    /// The log `file` of the world `site`.
    pub(crate) fn new(site: Arc<dyn Site>, file: LogFile) -> Self {
        let packed = (!file.can_seek()).then(Packed::default);
        Self { site, file, packed }
    }

    /// Whether searching is cheaper than reading.
    pub(crate) fn is_searchable(&self) -> bool {
        self.packed.is_none() && self.file.size > SMALL
    }

    /// Part of the log; fewer bytes at its end.
    ///
    /// # Errors
    /// Those of reading; and where the start of the log says that it is UTF-16, in which no word would be found.
    pub(crate) async fn read(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        let bytes = match self.packed.take() {
            None => self.read_raw(offset, length).await,
            Some(packed) => {
                let mut packed = if offset < packed.offset { Packed::default() } else { packed };
                let answer = packed.read(self, offset, length).await;
                self.packed = Some(packed);
                answer
            }
        }?;
        // The byte order mark (RFC 2781).
        if offset == 0 && matches!(bytes[..], [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
            let why = "is UTF-16 and was not read; `iconv -f UTF-16 -t UTF-8` makes a log of it that is";
            return Err(SiteError::new(SiteErrorKind::Io, why));
        }
        Ok(bytes)
    }

    async fn read_raw(&self, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        match &self.file.host {
            None => self.site.read(&self.file.path, offset, length).await,
            Some(host) => Remote { site: &*self.site, host }.read(&self.file.path, offset, length).await,
        }
    }

    /// Where between two offsets something may stand that matters; only of what is searchable.
    pub(crate) async fn find(&mut self, from: u64, to: u64) -> Result<Hit, SiteError> {
        let search = Search { words: searched().clone(), from, to, count_lines: false };
        let found = match &self.file.host {
            None => self.site.find(&self.file.path, &search).await?,
            Some(host) => return Remote { site: &*self.site, host }.find(&self.file.path, from, to).await,
        };
        Ok(Hit { at: found.at, end: found.end })
    }

    /// Line feeds before an offset.
    pub(crate) async fn lines_before(&mut self, offset: u64) -> Result<Option<u64>, SiteError> {
        if self.packed.is_none() {
            if let Some(host) = &self.file.host {
                return Remote { site: &*self.site, host }.lines_before(&self.file.path, offset).await;
            }
            return self.lines_before_here(offset).await;
        }
        let (mut at, mut lines) = (0, 0);
        while at < offset {
            let length = usize::try_from(offset - at).unwrap_or(usize::MAX).min(CHUNK);
            let bytes = self.read(at, length).await?;
            if bytes.is_empty() {
                return Ok(None);
            }
            lines += memchr::memchr_iter(b'\n', &bytes).count() as u64;
            at += bytes.len() as u64;
        }
        Ok(Some(lines))
    }
}

impl Source {
    /// Line feeds before an offset of a plain file of this machine: in pieces, which are counted at the same time.
    async fn lines_before_here(&self, offset: u64) -> Result<Option<u64>, SiteError> {
        let words = Words::new([""; 0]);
        let piece = (offset / 8).clamp(CHUNK as u64, 64 << 20);
        let starts = (0..offset.div_ceil(piece)).map(|at| at * piece);
        let pieces: Vec<(String, Search)> = starts
            .map(|from| {
                let to = (from + piece).min(offset);
                (self.file.path.clone(), Search { words: words.clone(), from, to, count_lines: true })
            })
            .collect();
        let mut lines = 0;
        for ((_, search), found) in pieces.iter().zip(self.site.find_many(&pieces).await) {
            let found = found?;
            match found.lines {
                Some(more) if found.end == search.to => lines += more,
                _ => return Ok(None),
            }
        }
        Ok(Some(lines))
    }
}

impl Packed {
    /// Unpacked bytes from `offset` on, which is not before what was taken.
    async fn read(&mut self, source: &Source, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        loop {
            let behind = usize::try_from(offset - self.offset).unwrap_or(usize::MAX).min(self.ready.len());
            self.ready.drain(..behind);
            self.offset += behind as u64;
            if self.offset == offset && self.ready.len() >= length || self.finished {
                break;
            }
            self.more(source).await?;
        }
        let count = if self.offset == offset { length.min(self.ready.len()) } else { 0 };
        Ok(self.ready[..count].to_vec())
    }

    async fn more(&mut self, source: &Source) -> Result<(), SiteError> {
        let wants = self.unpacker.as_ref().map_or(1, Unpacker::wants);
        if self.raw.len() < wants && !self.all_read {
            let chunk = source.read_raw(self.position, CHUNK).await?;
            self.position += chunk.len() as u64;
            self.all_read = chunk.len() < CHUNK;
            self.raw.extend_from_slice(&chunk);
        }
        let broken = |why: String| SiteError::new(SiteErrorKind::Io, why);
        let unpacker = self.unpacker.get_or_insert_with(|| Unpacker::of(&self.raw));
        if self.raw.is_empty() {
            self.ready.extend(unpacker.finish().map_err(broken)?);
            self.finished = true;
            return Ok(());
        }
        // Some steps at once, for what was used is cut off at the cost of moving the rest.
        let (mut used, enough) = (0, self.ready.len() + CHUNK);
        while used < self.raw.len() && self.ready.len() < enough {
            if self.raw.len() - used < unpacker.wants() && !self.all_read {
                break;
            }
            let (more, out) = unpacker.step(&self.raw[used..]).map_err(broken)?;
            self.ready.extend(out);
            used += more;
        }
        self.raw.drain(..used);
        Ok(())
    }
}

#[cfg(test)]
impl Source {
    /// A file of this machine.
    pub(crate) fn here(site: Arc<dyn Site>, path: &str, size: u64) -> Self {
        Self::new(site, LogFile::here(path, size))
    }
}

#[cfg(test)]
mod tests {
    use super::super::unpack::tests::{gzip, zstd};
    use super::*;
    use crate::testkit::told::files;

    #[tokio::test]
    async fn a_packed_log_is_read_anywhere() {
        let text: Vec<u8> = (0..400_000u32).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        let site = files(&[("/a.gz", &gzip(&text)), ("/a.zst", &zstd(&text)), ("/b.gz", b"plain\ntext\n")]);
        for path in ["/a.gz", "/a.zst"] {
            let mut source = Source::here(site.clone(), path, 1);
            for (offset, length) in
                [(0, 10), (5, 3_000_000), (4_000_000, 20), (7, 9), (text.len() as u64 - 3, 99)]
            {
                let from = usize::try_from(offset).unwrap();
                let expected = &text[from..(from + length).min(text.len())];
                assert_eq!(source.read(offset, length).await.unwrap(), expected, "{path} {offset}");
            }
            assert_eq!(source.read(1 << 40, 9).await.unwrap(), b"");
            assert_eq!(source.lines_before(14).await.unwrap(), Some(2));
        }
        assert_eq!(Source::here(site, "/b.gz", 1).read(6, 99).await.unwrap(), b"text\n");
    }

    #[tokio::test]
    async fn utf_16_is_not_taken_for_a_log_without_words() {
        let text: Vec<u8> =
            "\u{feff}CUDA out of memory\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let site = files(&[("/a", &text), ("/a.gz", &gzip(&text))]);
        for path in ["/a", "/a.gz"] {
            let error = Source::here(site.clone(), path, 1).read(0, 99).await.unwrap_err();
            assert!(error.message.contains("UTF-16"), "{error:?}");
        }
    }
}
