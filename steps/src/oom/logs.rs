//! From the paths that a person or Slurm names to files.

use std::collections::{BTreeSet, VecDeque};

use engine::site::{DirEntry, FileKind, Site, SiteError, SiteErrorKind};

use crate::text::clean;

/// A log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFile {
    pub(crate) path: String,
    /// Bytes, when it was found.
    pub(crate) size: u64,
}

impl LogFile {
    /// A file of this machine, or of what all see.
    pub(crate) fn here(path: impl Into<String>, size: u64) -> Self {
        Self { path: path.into(), size }
    }

    /// Whether reading can begin anywhere.
    pub(crate) fn can_seek(&self) -> bool {
        true
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
/// problem among the others.
///
/// # Errors
/// Only that a recording does not hold the answer.
pub(crate) async fn find(site: &dyn Site, named: &[String]) -> Result<Logs, SiteError> {
    let mut logs = Logs::default();
    for path in named {
        match site.stat(path).await {
            Ok(Some(stat)) if stat.kind == FileKind::File => logs.add(path.clone(), stat.size),
            Ok(Some(stat)) if stat.kind == FileKind::Dir => below(site, path, &mut logs).await,
            Ok(Some(_)) => logs.problem(path, "is no regular file"),
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
        if self.known.contains(&path) {
            return;
        }
        if self.files.len() < MOST_FILES {
            self.known.insert(path.clone());
            self.files.push(LogFile::here(path, size));
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

/// Names of logs among checkpoints and other large files.
fn is_log(name: &str) -> bool {
    name.rsplit_once('.')
        .is_none_or(|(_, end)| matches!(end, "log" | "out" | "err" | "txt" | "json" | "stdout" | "stderr"))
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
        let logs = find(&*site, &named.map(str::to_owned)).await.unwrap();
        assert_eq!(
            logs.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(),
            ["/l/slurm-1.out", "/l/run/attempt_0/3/stderr.log", "/l/rank_0.log", "/l/rank_1.log"]
        );
        assert_eq!(logs.problems, ["/l/gone.out: is not there", "/l/no_*: no file matches"]);
    }
}
