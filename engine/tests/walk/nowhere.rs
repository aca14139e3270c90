//! A site that gives no answer.

use std::time::Duration;

use async_trait::async_trait;
use engine::site::{Command, DirEntry, FileStat, Output, Site, SiteError, SiteErrorKind};
use jiff::Timestamp;

use crate::kit::Shared;

/// A site of which nothing may be asked but the time: the fakes have their own world.
pub(crate) struct Nowhere(pub Shared);

fn nowhere<T>() -> Result<T, SiteError> {
    Err(SiteError::new(SiteErrorKind::NotStarted, "nowhere"))
}

#[async_trait]
impl Site for Nowhere {
    async fn run(&self, _: &Command) -> Result<Output, SiteError> {
        nowhere()
    }
    async fn read(&self, _: &str, _: u64, _: usize) -> Result<Vec<u8>, SiteError> {
        nowhere()
    }
    async fn stat(&self, _: &str) -> Result<Option<FileStat>, SiteError> {
        nowhere()
    }
    async fn list(&self, _: &str) -> Result<Vec<DirEntry>, SiteError> {
        nowhere()
    }
    async fn replace(&self, _: &str, _: Option<&str>, _: &[u8]) -> Result<(), SiteError> {
        nowhere()
    }
    async fn remove(&self, _: &str, _: &str) -> Result<(), SiteError> {
        nowhere()
    }
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.lock().clock).unwrap()
    }
    async fn sleep(&self, _: Duration) {}
}
