//! One log as bytes.

use std::sync::Arc;

use engine::site::{Search, Site, SiteError, Words};

use super::logs::LogFile;
use super::scan::SMALL;
use super::triggers::searched;

/// A log that is being read.
pub(crate) struct Source {
    site: Arc<dyn Site>,
    file: LogFile,
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
        Self { site, file }
    }

    /// Whether searching is cheaper than reading.
    pub(crate) fn is_searchable(&self) -> bool {
        self.file.size > SMALL
    }

    /// Part of the file; fewer bytes at its end.
    pub(crate) async fn read(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        self.site.read(&self.file.path, offset, length).await
    }

    /// Where between two offsets something may stand that matters.
    pub(crate) async fn find(&mut self, from: u64, to: u64) -> Result<Hit, SiteError> {
        let search = Search { words: searched().clone(), from, to, count_lines: false };
        let found = self.site.find(&self.file.path, &search).await?;
        Ok(Hit { at: found.at, end: found.end })
    }

    /// Line feeds before an offset.
    pub(crate) async fn lines_before(&mut self, offset: u64) -> Result<Option<u64>, SiteError> {
        let search = Search { words: Words::new([""; 0]), from: 0, to: offset, count_lines: true };
        let found = self.site.find(&self.file.path, &search).await?;
        Ok(found.lines.filter(|_| found.end == offset))
    }
}

#[cfg(test)]
impl Source {
    /// A file of this machine.
    pub(crate) fn here(site: Arc<dyn Site>, path: &str, size: u64) -> Self {
        Self::new(site, LogFile::here(path, size))
    }
}
