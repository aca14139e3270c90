//! The trait behind which the live and the recorded world stand.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Command, Found, Output, Search, SiteError, find_by_reading};

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A device, socket or FIFO: never read.
    Other,
}

/// What is known of a file without reading it. Symbolic links are followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStat {
    /// What it is.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Last modification.
    pub modified: Timestamp,
    /// Permission bits (`0o755`).
    pub mode: u32,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirEntry {
    /// File name, without its directory. Names that are not UTF-8 are left out.
    pub name: String,
    /// What it is.
    pub stat: FileStat,
}

/// The world that steps act on. Files are those of this machine (a login node with the shared file system); files that
/// are local to a node are read by a command on it.
#[async_trait]
pub trait Site: Send + Sync {
    /// Runs a command to its end. An exit status other than 0 is an [`Output`], not an error.
    ///
    /// # Errors
    /// The kind tells apart *not started* (nothing happened) from *unknown* and *timeout* (it may have).
    async fn run(&self, command: &Command) -> Result<Output, SiteError>;

    /// Reads `length` bytes of a file from `offset`; fewer at its end.
    async fn read(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, SiteError>;

    /// What a path is, or `None` where there is nothing.
    async fn stat(&self, path: &str) -> Result<Option<FileStat>, SiteError>;

    /// The entries of a directory, sorted by name.
    async fn list(&self, path: &str) -> Result<Vec<DirEntry>, SiteError>;

    /// Replaces a file's content atomically, keeping its mode, if its present content has the digest `expected`
    /// (`None`: if there is no such file). Durable on return. Parent directories are made where they are missing.
    ///
    /// # Errors
    /// [`SiteErrorKind::Conflict`](super::SiteErrorKind::Conflict) if the content is another; nothing is changed then.
    async fn replace(&self, path: &str, expected: Option<&str>, content: &[u8]) -> Result<(), SiteError>;

    /// Removes a file if its content has the digest `expected`. Already gone is success.
    async fn remove(&self, path: &str, expected: &str) -> Result<(), SiteError>;

    /// The present time; in a rehearsal, the recording's.
    fn now(&self) -> Timestamp;

    /// Waits; in a rehearsal, only the clock moves.
    async fn sleep(&self, duration: Duration);

    /// Looks for the first of some words in part of a file, without holding more than a stretch of it in memory.
    ///
    /// # Errors
    /// Those of reading.
    async fn find(&self, path: &str, search: &Search) -> Result<Found, SiteError> {
        find_by_reading(self, path, search).await
    }

    /// [`Site::find`] in many parts, of which a site may search several at once; the answers are in their order.
    async fn find_many(&self, parts: &[(String, Search)]) -> Vec<Result<Found, SiteError>> {
        let mut answers = Vec::with_capacity(parts.len());
        for (path, search) in parts {
            answers.push(self.find(path, search).await);
        }
        answers
    }

    /// [`Site::read`] of many parts (path, offset, length), which a site may read at one go; the answers are in their order.
    async fn read_many(&self, parts: &[(String, u64, usize)]) -> Vec<Result<Vec<u8>, SiteError>> {
        let mut answers = Vec::with_capacity(parts.len());
        for (path, offset, length) in parts {
            answers.push(self.read(path, *offset, *length).await);
        }
        answers
    }

    /// Reads a whole file of at most `limit` bytes.
    ///
    /// # Errors
    /// [`SiteErrorKind::Denied`](super::SiteErrorKind::Denied) if it is longer than that or no regular file.
    async fn read_all(&self, path: &str, limit: usize) -> Result<Vec<u8>, SiteError> {
        use super::SiteErrorKind::{Denied, NotFound};
        let stat = self
            .stat(path)
            .await?
            .ok_or_else(|| SiteError::new(NotFound, format!("{path}: no such file")))?;
        if stat.kind != FileKind::File {
            return Err(SiteError::new(Denied, format!("{path}: not a regular file")));
        }
        if stat.size > limit as u64 {
            let message = format!("{path}: {} bytes, more than the {limit} that are read", stat.size);
            return Err(SiteError::new(Denied, message));
        }
        self.read(path, 0, limit).await
    }
}

/// The digest by which contents are compared: lower-case hexadecimal SHA-256.
pub fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}
