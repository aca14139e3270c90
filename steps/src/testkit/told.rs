//! A fake site told in one expression: short words for tests that only read.

use std::sync::Arc;

use engine::site::SiteErrorKind;
use jiff::SignedDuration;

use super::{Answer, FakeSite, exit, fails, line};

/// A site at 2026-03-05 12:00 UTC.
pub(crate) fn told() -> Arc<FakeSite> {
    let site = FakeSite::shared();
    site.set_now("2026-03-05T12:00:00Z".parse().unwrap());
    site
}

/// A site with these files.
pub(crate) fn files(files: &[(&str, &[u8])]) -> Arc<FakeSite> {
    files.iter().fold(FakeSite::shared(), |site, (path, content)| site.aged(path, content, 0))
}

/// What is told of a site.
pub(crate) trait Told {
    /// Exactly this command line answers so.
    fn line_is(self, command: &str, answer: Answer) -> Self;
    /// A file, modified this many seconds before now; its directories are as old as their newest file.
    fn aged(self, path: &str, content: impl AsRef<[u8]>, age: i64) -> Self;
    /// Reads and listings of this path fail.
    fn faulty(self, path: &str, kind: SiteErrorKind) -> Self;

    /// The command ends with this status and these texts.
    fn ran(self, command: &str, code: i32, stdout: &str, stderr: &str) -> Self
    where
        Self: Sized,
    {
        self.line_is(command, exit(code, stdout, stderr))
    }

    /// The command gives no answer.
    fn broke(self, command: &str, kind: SiteErrorKind) -> Self
    where
        Self: Sized,
    {
        self.line_is(command, fails(kind, format!("{kind:?} at the fake")))
    }
}

impl Told for Arc<FakeSite> {
    fn line_is(self, command: &str, answer: Answer) -> Self {
        let command = command.to_owned();
        self.when(move |asked| line(asked) == command, answer);
        self
    }

    fn aged(self, path: &str, content: impl AsRef<[u8]>, age: i64) -> Self {
        self.file(path, content.as_ref());
        let mut state = self.state();
        let modified = state.now - SignedDuration::from_secs(age);
        for (at, _) in path.match_indices('/').skip(1) {
            let below = format!("{}/", &path[..at]);
            let newest = state.files.iter().filter(|(name, entry)| {
                name.starts_with(&below) && entry.content.is_some() && name.as_str() != path
            });
            let newest =
                newest.map(|(_, entry)| entry.modified).max().map_or(modified, |other| other.max(modified));
            state.files.entry(path[..at].to_owned()).and_modify(|dir| dir.modified = newest);
        }
        state.files.entry(path.to_owned()).and_modify(|file| file.modified = modified);
        drop(state);
        self
    }

    fn faulty(self, path: &str, kind: SiteErrorKind) -> Self {
        self.broken(path, kind);
        self
    }
}
