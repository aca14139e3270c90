//! The real site with predicted file contents laid over it; nothing can be written through it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::site::{
    Command, DirEntry, FileStat, Found, Output, Search, Site, SiteError, SiteErrorKind, find_by_reading,
};

/// Predicted contents by path.
pub(super) type Writes = BTreeMap<String, Arc<Vec<u8>>>;

/// Longest real wait; the rest of a sleep only moves the clock that steps see. A dry run polls a little, never for hours.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Overlay {
    pub under: Arc<dyn Site>,
    pub writes: Writes,
    slept: Mutex<Duration>,
}

impl Overlay {
    pub(super) fn new(under: Arc<dyn Site>, writes: Writes) -> Self {
        Self { under, writes, slept: Mutex::default() }
    }

    fn slept(&self) -> std::sync::MutexGuard<'_, Duration> {
        self.slept.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl Site for Overlay {
    async fn run(&self, command: &Command) -> Result<Output, SiteError> {
        self.under.run(command).await
    }

    async fn read(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        let Some(content) = self.writes.get(path) else { return self.under.read(path, offset, length).await };
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let to = from.saturating_add(length).min(content.len());
        Ok(content[from..to].to_vec())
    }

    async fn stat(&self, path: &str) -> Result<Option<FileStat>, SiteError> {
        let stat = self.under.stat(path).await?;
        Ok(match (stat, self.writes.get(path)) {
            (Some(stat), Some(content)) => Some(FileStat { size: content.len() as u64, ..stat }),
            (stat, _) => stat,
        })
    }

    async fn list(&self, path: &str) -> Result<Vec<DirEntry>, SiteError> {
        self.under.list(path).await
    }

    async fn find(&self, path: &str, search: &Search) -> Result<Found, SiteError> {
        if self.writes.contains_key(path) {
            return find_by_reading(self, path, search).await;
        }
        self.under.find(path, search).await
    }

    async fn find_many(&self, parts: &[(String, Search)]) -> Vec<Result<Found, SiteError>> {
        if parts.iter().any(|(path, _)| self.writes.contains_key(path)) {
            let mut answers = Vec::with_capacity(parts.len());
            for (path, search) in parts {
                answers.push(self.find(path, search).await);
            }
            return answers;
        }
        self.under.find_many(parts).await
    }

    async fn replace(&self, path: &str, _expected: Option<&str>, _content: &[u8]) -> Result<(), SiteError> {
        Err(SiteError::new(SiteErrorKind::Denied, format!("{path}: a dry run writes nothing")))
    }

    async fn remove(&self, path: &str, _expected: &str) -> Result<(), SiteError> {
        Err(SiteError::new(SiteErrorKind::Denied, format!("{path}: a dry run removes nothing")))
    }

    fn now(&self) -> Timestamp {
        self.under.now().saturating_add(*self.slept()).unwrap_or(Timestamp::MAX)
    }

    async fn sleep(&self, duration: Duration) {
        let real = duration.min(LONGEST_WAIT);
        self.under.sleep(real).await;
        *self.slept() += duration - real;
    }
}
