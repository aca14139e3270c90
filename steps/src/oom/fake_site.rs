//! A site of files in memory that records what is asked of it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use engine::site::{Command, DirEntry, FileKind, FileStat, Output, Site, SiteError, SiteErrorKind};
use jiff::Timestamp;

/// Files in memory; everything that is no read is refused.
#[derive(Default)]
pub(super) struct FakeSite {
    files: BTreeMap<String, Vec<u8>>,
    /// Reads of these paths fail.
    pub(super) broken: Vec<String>,
    /// Every call: `read /log 0`, `stat /log`, `list /dir`.
    pub(super) calls: Mutex<Vec<String>>,
}

impl FakeSite {
    pub(super) fn new(files: &[(&str, &[u8])]) -> Self {
        let files = files.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec())).collect();
        Self { files, ..Self::default() }
    }

    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }

    fn stat_of(&self, path: &str) -> Option<FileStat> {
        let size = self.files.get(path).map(|content| content.len() as u64);
        let dir =
            self.files.keys().any(|file| file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')));
        let kind = if size.is_some() { FileKind::File } else { FileKind::Dir };
        (size.is_some() || dir).then(|| FileStat {
            kind,
            size: size.unwrap_or_default(),
            modified: Timestamp::UNIX_EPOCH,
            mode: 0o644,
        })
    }
}

fn refused() -> SiteError {
    SiteError::new(SiteErrorKind::Denied, "this step only reads files")
}

#[async_trait]
impl Site for FakeSite {
    async fn run(&self, _command: &Command) -> Result<Output, SiteError> {
        Err(refused())
    }

    async fn read(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        self.note(format!("read {path} {offset}"));
        if self.broken.iter().any(|broken| broken == path) {
            return Err(SiteError::new(SiteErrorKind::Io, format!("{path}: Stale file handle")));
        }
        let content = self
            .files
            .get(path)
            .ok_or_else(|| SiteError::new(SiteErrorKind::NotFound, format!("{path}: no such file")))?;
        let start = usize::try_from(offset).unwrap().min(content.len());
        Ok(content[start..(start + length).min(content.len())].to_vec())
    }

    async fn stat(&self, path: &str) -> Result<Option<FileStat>, SiteError> {
        self.note(format!("stat {path}"));
        Ok(self.stat_of(path))
    }

    async fn list(&self, path: &str) -> Result<Vec<DirEntry>, SiteError> {
        self.note(format!("list {path}"));
        let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        let names: std::collections::BTreeSet<&str> = self
            .files
            .keys()
            .filter_map(|file| file.strip_prefix(&prefix))
            .map(|rest| rest.split('/').next().unwrap_or(rest))
            .collect();
        let entry = |name: &str| DirEntry {
            name: name.to_owned(),
            stat: self.stat_of(&format!("{prefix}{name}")).unwrap(),
        };
        Ok(names.into_iter().map(entry).collect())
    }

    async fn replace(&self, _path: &str, _expected: Option<&str>, _content: &[u8]) -> Result<(), SiteError> {
        Err(refused())
    }

    async fn remove(&self, _path: &str, _expected: &str) -> Result<(), SiteError> {
        Err(refused())
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    async fn sleep(&self, _duration: Duration) {}
}
