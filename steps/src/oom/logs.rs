//! From the paths that a person or Slurm names to files.

use std::collections::{BTreeSet, VecDeque};

use engine::site::{DirEntry, FileKind, Site, SiteError, SiteErrorKind};

use super::prefix::short_host;
use super::remote::Remote;
use super::unpack::{is_packed, is_packed_otherwise};
use crate::text::clean;

/// A log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFile {
    pub(crate) path: String,
    /// The node that has it; `None`: this machine sees it.
    pub(crate) host: Option<String>,
    /// Bytes, when it was found.
    pub(crate) size: u64,
}

impl LogFile {
    /// A file of this machine, or of what all see.
    pub(crate) fn here(path: impl Into<String>, size: u64) -> Self {
        Self { path: path.into(), host: None, size }
    }

    /// Whether reading can begin anywhere.
    pub(crate) fn can_seek(&self) -> bool {
        !is_packed(&self.path)
    }

    /// How it is called: `host:path` where only a node has it.
    pub(crate) fn name(&self) -> String {
        self.host.as_ref().map_or_else(|| self.path.clone(), |host| format!("{host}:{}", self.path))
    }
}

/// The files to read, and what could not be found or listed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Logs {
    pub(crate) files: Vec<LogFile>,
    /// One line each: the path and why.
    pub(crate) problems: Vec<String>,
    known: BTreeSet<String>,
    /// There were more than are read.
    cut: bool,
}

/// More files than this are not read.
const MOST_FILES: usize = 8192;
/// Directories below the named one that are looked into (torchrun: run id, attempt, local rank).
const DEEPEST: usize = 4;

/// Finds the files: a file itself, the logs below a directory, or what matches `*` and `?`. What cannot be found is a
/// problem among the others. `host:path` is looked for on that host if it is one of `hosts`, the job's.
///
/// # Errors
/// Only that a recording does not hold the answer.
pub(crate) async fn find(site: &dyn Site, named: &[String], hosts: &[String]) -> Result<Logs, SiteError> {
    let mut logs = Logs::default();
    for path in named {
        match site.stat(path).await {
            Ok(Some(stat)) if stat.kind == FileKind::File => logs.add(path.clone(), stat.size),
            Ok(Some(stat)) if stat.kind == FileKind::Dir => below(site, path, &mut logs).await,
            Ok(Some(_)) => logs.problem(path, "is no regular file"),
            Ok(None) if on_host(path, hosts).is_some() => {
                let (host, path) = on_host(path, hosts).unwrap_or_default();
                on_node(site, &host, &path, &mut logs).await?;
            }
            Ok(None) if path.contains(['*', '?']) => matching(site, path, &mut logs).await,
            Ok(None) => logs.problem(path, "is not there"),
            Err(error) if error.kind == SiteErrorKind::NotRecorded => return Err(error),
            Err(error) => logs.problem(path, &error.message),
        }
    }
    Ok(logs)
}

impl Logs {
    fn add(&mut self, path: String, size: u64) {
        self.add_file(LogFile::here(path, size));
    }

    fn add_file(&mut self, file: LogFile) {
        let path = file.name();
        if self.known.contains(&path) {
            return;
        }
        if is_packed_otherwise(&path) {
            self.known.insert(path.clone());
            self.problem(&path, "is compressed in a way that is not read; unpack it, or use gzip or zstd");
        } else if self.files.len() < MOST_FILES {
            self.known.insert(path);
            self.files.push(file);
        } else if !self.cut {
            self.cut = true;
            self.problem(&path, &format!("and what follows was not read: more than {MOST_FILES} files"));
        }
    }

    pub(crate) fn problem(&mut self, path: &str, why: &str) {
        if self.problems.len() < 64 {
            self.problems.push(format!("{}: {}", clean(path), clean(why)));
        }
    }
}

async fn below(site: &dyn Site, dir: &str, logs: &mut Logs) {
    let mut open = VecDeque::from([(dir.trim_end_matches('/').to_owned(), 0)]);
    while let Some((dir, depth)) = open.pop_front() {
        for entry in list(site, &dir, logs).await {
            let path = format!("{dir}/{}", entry.name);
            match entry.stat.kind {
                FileKind::File if is_log(&entry.name) => logs.add(path, entry.stat.size),
                FileKind::Dir if depth < DEEPEST => open.push_back((path, depth + 1)),
                _ => {}
            }
        }
    }
}

/// Names of logs among checkpoints and other large files, compressed or rotated (`train.log.1`) or not.
fn is_log(name: &str) -> bool {
    let packed = is_packed(name) || is_packed_otherwise(name);
    let name = if packed { name.rsplit_once('.').map_or(name, |(name, _)| name) } else { name };
    let number = |end: &str| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
    let (name, rotated) = match name.rsplit_once('.') {
        Some((name, end)) if number(end) => (name, true),
        _ => (name, false),
    };
    match name.rsplit_once('.') {
        None => !packed && !rotated,
        Some((_, end)) => {
            matches!(end, "log" | "out" | "err" | "txt" | "json" | "jsonl" | "stdout" | "stderr")
        }
    }
}

/// The host of the job and the path that `host:path` names.
fn on_host(named: &str, hosts: &[String]) -> Option<(String, String)> {
    let (host, path) = named.split_once(':').filter(|(_, path)| path.starts_with('/'))?;
    let known = hosts.iter().find(|known| short_host(known) == short_host(host))?;
    Some((known.clone(), path.to_owned()))
}

/// The file, or the logs below a directory, that only a node has.
async fn on_node(site: &dyn Site, host: &str, path: &str, logs: &mut Logs) -> Result<(), SiteError> {
    let name = format!("{host}:{path}");
    match (Remote { site, host }).list(path).await {
        Ok(found) if found.is_empty() => logs.problem(&name, "is not there"),
        Ok(found) => {
            for file in found.into_iter().filter(|file| file.kind == FileKind::File) {
                let base = file.path.rsplit('/').next().unwrap_or_default();
                if file.path == path || is_log(base) {
                    logs.add_file(LogFile { host: Some(host.to_owned()), path: file.path, size: file.size });
                }
            }
        }
        Err(error) if error.kind == SiteErrorKind::NotRecorded => return Err(error),
        Err(error) => logs.problem(&name, &error.message),
    }
    Ok(())
}

async fn matching(site: &dyn Site, pattern: &str, logs: &mut Logs) {
    let mut found = vec![(if pattern.starts_with('/') { "/".to_owned() } else { String::new() }, 0)];
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    for (depth, part) in parts.iter().enumerate() {
        let last = depth + 1 == parts.len();
        let mut next = Vec::new();
        for (dir, _) in &found {
            if !part.contains(['*', '?']) && !last {
                next.push((format!("{dir}{part}/"), 0));
                continue;
            }
            let from = if dir.is_empty() { "." } else { dir.trim_end_matches('/') };
            for entry in list(site, if from.is_empty() { "/" } else { from }, logs).await {
                let wanted = if last { FileKind::File } else { FileKind::Dir };
                if entry.stat.kind == wanted && matches(part, &entry.name) {
                    next.push((
                        format!("{dir}{}{}", entry.name, if last { "" } else { "/" }),
                        entry.stat.size,
                    ));
                }
            }
        }
        next.truncate(MOST_FILES + 1);
        found = next;
    }
    if found.is_empty() {
        logs.problem(pattern, "no file matches");
    }
    for (path, size) in found {
        logs.add(path, size);
    }
}

async fn list(site: &dyn Site, dir: &str, logs: &mut Logs) -> Vec<DirEntry> {
    match site.list(dir).await {
        Ok(entries) => entries,
        Err(error) => {
            logs.problem(dir, &error.message);
            Vec::new()
        }
    }
}

/// Whether `name` matches a pattern of literals, `*` and `?`.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, n));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == name[n]) {
            (p, n) = (p + 1, n + 1);
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            (p, n) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::told::files;
    use crate::testkit::{Call, FakeSite, exit, ok};

    #[test]
    fn patterns_match_like_a_shell() {
        for (pattern, name, expected) in [
            ("*.out", "a.out", true),
            ("slurm-*_?.out", "slurm-12_3.out", true),
            ("slurm-*_?.out", "slurm-12_34.out", false),
            ("a*b*c", "axxbyybc", true),
            ("a*b", "axxc", false),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn names_of_logs() {
        for name in ["a.log", "a.out.gz", "a.err.zst", "train.log.1", "train.log.2.gz", "a.log.xz", "stderr"]
        {
            assert!(is_log(name), "{name}");
        }
        for name in ["model.pt", "data.gz", "model.safetensors", "core.123", "dump.pickle.zst"] {
            assert!(!is_log(name), "{name}");
        }
    }

    #[tokio::test]
    async fn a_node_of_the_job_is_asked_for_its_own_files() {
        let site = FakeSite::shared();
        let listing = "d 40 /tmp/t\0f 5 /tmp/t/attempt_0/3/stderr.log\0f 9 /tmp/t/model.pt\0";
        site.script("find -H", [ok(listing), exit(3, "", "")]);
        let hosts = ["gpu-20".to_owned(), "gpu-21.cluster".to_owned()];
        let named = ["gpu-21:/tmp/t", "gpu-20:/tmp/t", "gpu-99:/tmp/t"].map(str::to_owned);
        let logs = find(&*site, &named, &hosts).await.unwrap();
        let names: Vec<_> = logs.files.iter().map(LogFile::name).collect();
        assert_eq!(names, ["gpu-21.cluster:/tmp/t/attempt_0/3/stderr.log"]);
        assert_eq!(logs.problems, ["gpu-20:/tmp/t: is not there", "gpu-99:/tmp/t: is not there"]);
        let asked = site.calls().iter().filter(|call| matches!(call, Call::Run(_))).count();
        assert_eq!(asked, 2, "a host that is not of the job is not reached for");
    }

    #[tokio::test]
    async fn files_directories_and_patterns_are_found() {
        let site = files(&[
            ("/l/slurm-1.out", b""),
            ("/l/run/attempt_0/3/stderr.log", b""),
            ("/l/run/model.pt", b""),
            ("/l/rank_0.log", b""),
            ("/l/rank_1.log", b""),
        ]);
        let named = ["/l/slurm-1.out", "/l/run", "/l/rank_*.log", "/l/gone.out", "/l/no_*", "/l/rank_0.log"];
        let logs = find(&*site, &named.map(str::to_owned), &[]).await.unwrap();
        assert_eq!(
            logs.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(),
            ["/l/slurm-1.out", "/l/run/attempt_0/3/stderr.log", "/l/rank_0.log", "/l/rank_1.log"]
        );
        assert_eq!(logs.problems, ["/l/gone.out: is not there", "/l/no_*: no file matches"]);
    }
}
