//! Logs that only a node of the job has: read by commands there.

use std::time::Duration;

use engine::site::{Command, Exit, FileKind, Site, SiteError, SiteErrorKind, quote};

use super::source::Hit;
use super::triggers::pieces;

/// Longer listings are cut.
const MOST_FILES: usize = 2048;
/// Searching a large log on a busy disk takes its time.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The files of one host.
pub(super) struct Remote<'a> {
    pub(super) site: &'a dyn Site,
    pub(super) host: &'a str,
}

/// A file that was found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RemoteFile {
    pub(super) path: String,
    pub(super) kind: FileKind,
    /// Bytes.
    pub(super) size: u64,
}

impl Remote<'_> {
    /// What `path` is; where it is a directory, the files below it too, four levels deep.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<RemoteFile>, SiteError> {
        let path = quote(path);
        // -H: the path itself may be a link; others are not followed. NUL ends a name, for it may hold line feeds.
        let script = format!(
            "test -e {path} || exit 3; find -H {path} -maxdepth 5 \\( -type f -o -type d \\) -printf '%y %s %p\\0'"
        );
        let output = self.run(&script, "", 4 << 20).await?;
        if output.1 == 3 {
            return Ok(Vec::new());
        }
        let text = String::from_utf8_lossy(&output.0);
        Ok(text.split('\0').filter_map(entry).take(MOST_FILES).collect())
    }

    /// Part of a file.
    pub(super) async fn read(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        let script = format!("tail -c +{} < {} | head -c {length}", offset.saturating_add(1), quote(path));
        Ok(self.run(&script, "", length).await?.0)
    }

    /// Where something may stand that matters.
    pub(super) async fn find(&self, path: &str, from: u64, to: u64) -> Result<Hit, SiteError> {
        let (file, length) = (quote(path), to.saturating_sub(from).min(i64::MAX.unsigned_abs()));
        // grep takes the words, one a line, from a variable, and tells the offset of the first (-b -o) in what it is given.
        let script = format!(
            "wc -c < {file}; w=$(cat); tail -c +{} < {file} | head -c {length} | \
             LC_ALL=C grep -a -b -o -m 1 -F -e \"$w\" | head -n 1",
            from.saturating_add(1),
        );
        let (text, _) = self.run(&script, &pieces().join("\n"), 64 << 10).await?;
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.lines();
        let broken = || {
            SiteError::new(SiteErrorKind::Io, format!("{path}: {}: no answer that can be read", self.host))
        };
        let size: u64 = lines.next().and_then(|line| line.trim().parse().ok()).ok_or_else(broken)?;
        let at = match lines.next() {
            None => None,
            Some(line) => {
                let offset = line.split_once(':').and_then(|(offset, _)| offset.parse::<u64>().ok());
                Some(from.saturating_add(offset.ok_or_else(broken)?))
            }
        };
        Ok(Hit { at, end: at.unwrap_or_else(|| size.min(to).max(from)) })
    }

    /// Line feeds before an offset.
    pub(super) async fn lines_before(&self, path: &str, offset: u64) -> Result<Option<u64>, SiteError> {
        let script = format!("head -c {offset} < {} | wc -l", quote(path));
        let (text, _) = self.run(&script, "", 100).await?;
        Ok(String::from_utf8_lossy(&text).trim().parse().ok())
    }

    async fn run(&self, script: &str, input: &str, limit: usize) -> Result<(Vec<u8>, i32), SiteError> {
        let mut command = Command::script(script).on(self.host).timeout(TIMEOUT).stdin(input);
        command.output_limit = limit;
        let output = self.site.run(&command).await?;
        let text = String::from_utf8_lossy(&output.stderr);
        match output.exit {
            Exit::Code(code @ (0 | 3)) if text.trim().is_empty() || code == 3 => Ok((output.stdout, code)),
            _ => {
                let why = text.lines().next().unwrap_or("the command failed").to_owned();
                Err(SiteError::new(SiteErrorKind::Io, format!("{}: {why}", self.host)))
            }
        }
    }
}

/// One entry of the listing: kind, bytes, path.
fn entry(text: &str) -> Option<RemoteFile> {
    let (kind, rest) = text.split_once(' ')?;
    let (size, path) = rest.split_once(' ')?;
    let kind = match kind {
        "f" => FileKind::File,
        "d" => FileKind::Dir,
        _ => return None,
    };
    Some(RemoteFile { path: path.to_owned(), kind, size: size.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{FakeSite, exit, ok};
    use std::sync::Arc;

    /// A host whose commands really run, here: what they answer must be what is read from it.
    fn host() -> Arc<FakeSite> {
        let site = FakeSite::shared();
        site.when_run(
            |command| command.host.as_deref() == Some("gpu-21"),
            |command| {
                use std::io::Write;
                let engine::site::Program::Script(script) = &command.program else { panic!("no script") };
                let mut child = std::process::Command::new("sh")
                    .args(["-c", script])
                    .stdin(std::process::Stdio::piped())
                    .stdout(std::process::Stdio::piped())
                    .stderr(std::process::Stdio::piped())
                    .spawn()
                    .unwrap();
                let input = command.stdin.clone().unwrap_or_default();
                let _ = child.stdin.take().unwrap().write_all(&input);
                let output = child.wait_with_output().unwrap();
                exit(output.status.code().unwrap(), output.stdout, output.stderr)
            },
        );
        site
    }

    #[tokio::test]
    async fn files_of_a_node_are_listed_read_and_searched() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_str().unwrap();
        let deep = format!("{root}/none_ab/attempt_0/3");
        std::fs::create_dir_all(&deep).unwrap();
        let path = format!("{deep}/it's stderr.log");
        let text = "step 41\n".repeat(20_000) + "RuntimeError: CUDA out of memory\n" + &"x\n".repeat(100);
        std::fs::write(&path, &text).unwrap();
        let site = host();
        let remote = Remote { site: &*site, host: "gpu-21" };
        let listed = remote.list(root).await.unwrap();
        let files: Vec<_> = listed.iter().filter(|file| file.kind == FileKind::File).collect();
        assert_eq!(files.len(), 1);
        assert_eq!((files[0].path.as_str(), files[0].size), (path.as_str(), text.len() as u64));
        assert!(remote.list("/no/such/place").await.unwrap().is_empty());
        assert_eq!(remote.read(&path, 160_000, 12).await.unwrap(), b"RuntimeError");
        let place = text.find("of memory").unwrap() as u64;
        let hit = remote.find(&path, 3, u64::MAX).await.unwrap();
        assert_eq!((hit.at, hit.end), (Some(place), place));
        let none = remote.find(&path, place + 1, u64::MAX).await.unwrap();
        assert_eq!((none.at, none.end), (None, text.len() as u64));
        assert_eq!(remote.find(&path, 0, 100).await.unwrap().end, 100);
        assert_eq!(remote.lines_before(&path, place).await.unwrap(), Some(20_000));
        assert!(remote.read("/no/such/file", 0, 9).await.is_err());
    }

    #[tokio::test]
    async fn what_cannot_be_understood_is_an_error() {
        let site = FakeSite::shared();
        site.script("wc -c", ok("many"));
        let remote = Remote { site: &*site, host: "gpu-21" };
        assert!(remote.find("/a", 0, 9).await.is_err());
        site.script("wc -c", exit(0, "9", "grep: not found"));
        assert!(remote.find("/a", 0, 9).await.is_err());
    }
}
