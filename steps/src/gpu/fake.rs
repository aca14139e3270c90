//! A site for tests: commands by what a person would type, files from a map; every call is recorded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use engine::site::{Command, DirEntry, Exit, FileKind, FileStat, Output, Site, SiteError, SiteErrorKind};
use engine::step::StepCx;
use jiff::Timestamp;

#[derive(Default)]
pub(crate) struct Fake {
    commands: BTreeMap<String, Result<Output, SiteError>>,
    files: BTreeMap<String, (Vec<u8>, Timestamp)>,
    denied: Vec<String>,
    hung: Vec<String>,
    pub(crate) calls: Mutex<Vec<String>>,
}

pub(crate) const NOW: &str = "2026-03-05T12:00:00Z";

impl Fake {
    /// The command answers this with status `code`.
    pub(crate) fn ran(mut self, command: &str, code: i32, stdout: &str, stderr: &str) -> Self {
        let (stdout, stderr) = (stdout.as_bytes().to_vec(), stderr.as_bytes().to_vec());
        let output =
            Output { exit: Exit::Code(code), stdout, stderr, truncated: false, took: Duration::ZERO };
        self.commands.insert(command.to_owned(), Ok(output));
        self
    }

    /// The command gives no answer.
    pub(crate) fn broke(mut self, command: &str, kind: SiteErrorKind) -> Self {
        self.commands.insert(command.to_owned(), Err(SiteError::new(kind, format!("{kind:?} at the fake"))));
        self
    }

    /// A file, modified this many seconds before now.
    pub(crate) fn file(mut self, path: &str, content: impl AsRef<[u8]>, age: i64) -> Self {
        let modified = self.now() - jiff::SignedDuration::from_secs(age);
        self.files.insert(path.to_owned(), (content.as_ref().to_vec(), modified));
        self
    }

    /// A directory or a file that may not be read.
    pub(crate) fn deny(mut self, dir: &str) -> Self {
        self.denied.push(dir.to_owned());
        self
    }

    /// A directory on a file system that does not answer.
    pub(crate) fn hang(mut self, dir: &str) -> Self {
        self.hung.push(dir.to_owned());
        self
    }

    pub(crate) fn cx(self) -> (Arc<Self>, StepCx) {
        let site = Arc::new(self);
        (site.clone(), StepCx::new(site, "test/1"))
    }

    fn dir(&self, path: &str) -> Option<FileStat> {
        let inside = format!("{}/", path.trim_end_matches('/'));
        let newest =
            self.files.iter().filter(|(name, _)| name.starts_with(&inside)).map(|(_, (_, at))| *at).max()?;
        Some(FileStat { kind: FileKind::Dir, size: 4096, modified: newest, mode: 0o755 })
    }
}

#[async_trait]
impl Site for Fake {
    async fn run(&self, command: &Command) -> Result<Output, SiteError> {
        let text = command.to_string();
        self.calls.lock().unwrap().push(text.clone());
        let missing =
            || Err(SiteError::new(SiteErrorKind::NotRecorded, format!("the fake knows no `{text}`")));
        self.commands.get(&text).cloned().unwrap_or_else(missing)
    }

    async fn read(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        if self.denied.iter().any(|denied| denied == path) {
            return Err(SiteError::new(SiteErrorKind::Denied, format!("{path}: Permission denied")));
        }
        let Some((content, _)) = self.files.get(path) else {
            return Err(SiteError::new(SiteErrorKind::NotFound, format!("{path}: no such file")));
        };
        let from = content.len().min(offset as usize);
        Ok(content[from..content.len().min(from + length)].to_vec())
    }

    async fn stat(&self, path: &str) -> Result<Option<FileStat>, SiteError> {
        let file = self.files.get(path).map(|(content, at)| FileStat {
            kind: FileKind::File,
            size: content.len() as u64,
            modified: *at,
            mode: 0o644,
        });
        Ok(file.or_else(|| self.dir(path)))
    }

    async fn list(&self, path: &str) -> Result<Vec<DirEntry>, SiteError> {
        let path = path.trim_end_matches('/');
        if self.denied.iter().any(|dir| dir == path) {
            return Err(SiteError::new(SiteErrorKind::Denied, format!("{path}: Permission denied")));
        }
        if self.hung.iter().any(|dir| dir == path) {
            return Err(SiteError::new(SiteErrorKind::Timeout, format!("{path}: no answer")));
        }
        let inside = format!("{path}/");
        let mut names: Vec<&str> =
            self.files.keys().filter_map(|name| name.strip_prefix(&inside)?.split('/').next()).collect();
        names.dedup();
        if names.is_empty() {
            return Err(SiteError::new(SiteErrorKind::NotFound, format!("{path}: no such directory")));
        }
        let mut entries = Vec::new();
        for name in names {
            if let Some(stat) = self.stat(&format!("{inside}{name}")).await? {
                entries.push(DirEntry { name: name.to_owned(), stat });
            }
        }
        Ok(entries)
    }

    async fn replace(&self, _: &str, _: Option<&str>, _: &[u8]) -> Result<(), SiteError> {
        panic!("a read step writes");
    }

    async fn remove(&self, _: &str, _: &str) -> Result<(), SiteError> {
        panic!("a read step removes");
    }

    fn now(&self) -> Timestamp {
        NOW.parse().unwrap()
    }

    async fn sleep(&self, _: Duration) {}
}
