//! The real world.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use engine::site::{Command, DirEntry, FileStat, Found, Output, Search, Site, SiteError, SiteErrorKind};
use jiff::Timestamp;

use super::remote::Remote;
use super::{files, local};

/// The real world: processes and files of this machine, other hosts by the system's ssh.
///
/// ssh is the user's own: `~/.ssh/config`, agent, known hosts and bastions are honoured; only `BatchMode=yes` (nobody is
/// asked for a password) and a connect timeout are set. A host is connected to once, at its first command, and the
/// connection is shared by all commands after it. Dropping the site closes the connections.
pub struct LiveSite {
    remote: Remote,
}

impl Default for LiveSite {
    fn default() -> Self {
        Self::new()
    }
}

impl LiveSite {
    /// Time for connecting to a host if nothing else is said.
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

    /// A site that reads the user's ssh configuration.
    pub fn new() -> Self {
        Self::with_ssh(None, Self::CONNECT_TIMEOUT)
    }

    /// A site that reads another ssh configuration (`ssh -F`), and with another limit for connecting (whole seconds).
    pub fn with_ssh(config: Option<PathBuf>, connect_timeout: Duration) -> Self {
        Self { remote: Remote::new(config, connect_timeout) }
    }

    /// Closes the connections to all hosts.
    pub async fn close(&self) {
        self.remote.close().await;
    }

    /// Where the control sockets of this site's connections lie.
    #[cfg(test)]
    pub(super) fn sockets(&self) -> Option<&std::path::Path> {
        super::remote::sockets_of(&self.remote)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SiteError> + Send + 'static,
) -> Result<T, SiteError> {
    let broken =
        |error| SiteError::new(SiteErrorKind::Unknown, format!("a file operation broke off: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(broken)?
}

#[async_trait]
impl Site for LiveSite {
    async fn run(&self, command: &Command) -> Result<Output, SiteError> {
        match &command.host {
            None => local::run(command).await,
            Some(host) => self.remote.run(host, command).await,
        }
    }

    async fn read(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        let path = path.to_owned();
        blocking(move || files::read(&path, offset, length)).await
    }

    async fn stat(&self, path: &str) -> Result<Option<FileStat>, SiteError> {
        let path = path.to_owned();
        blocking(move || files::stat(&path)).await
    }

    async fn list(&self, path: &str) -> Result<Vec<DirEntry>, SiteError> {
        let path = path.to_owned();
        blocking(move || files::list(&path)).await
    }

    async fn find(&self, path: &str, search: &Search) -> Result<Found, SiteError> {
        let (path, search) = (path.to_owned(), search.clone());
        blocking(move || files::find(&path, &search)).await
    }

    async fn find_many(&self, parts: &[(String, Search)]) -> Vec<Result<Found, SiteError>> {
        let own = parts.to_vec();
        match blocking(move || Ok(files::find_many(&own))).await {
            Ok(answers) => answers,
            Err(error) => parts.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn read_many(&self, parts: &[(String, u64, usize)]) -> Vec<Result<Vec<u8>, SiteError>> {
        let own = parts.to_vec();
        match blocking(move || Ok(files::read_many(&own))).await {
            Ok(answers) => answers,
            Err(error) => parts.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn replace(&self, path: &str, expected: Option<&str>, content: &[u8]) -> Result<(), SiteError> {
        let (path, expected, content) = (path.to_owned(), expected.map(str::to_owned), content.to_vec());
        blocking(move || files::replace(&path, expected.as_deref(), &content)).await
    }

    async fn remove(&self, path: &str, expected: &str) -> Result<(), SiteError> {
        let (path, expected) = (path.to_owned(), expected.to_owned());
        blocking(move || files::remove(&path, &expected)).await
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
