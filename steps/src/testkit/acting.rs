//! What is asked of the site.

use std::time::Duration;

use async_trait::async_trait;
use engine::site::{Command, DirEntry, FileKind, FileStat, Site, SiteError, SiteErrorKind, digest};
use jiff::Timestamp;

use super::{Answer, Call, Entry, FakeSite, State, fails, line};

impl State {
    pub(super) fn parents_of(&mut self, path: &str) {
        let now = self.now;
        let mut rest = path;
        while let Some((parent, _)) = rest.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
            let directory = Entry { content: None, modified: now, mode: 0o755 };
            self.files.entry(parent.to_owned()).or_insert(directory);
            rest = parent;
        }
    }

    /// What was scripted for lines that begin so.
    fn by_line(&mut self, line: &str) -> Option<Answer> {
        let matching = self.lines.iter_mut().filter(|(start, _)| line.starts_with(start.as_str()));
        let (_, answers) = matching.max_by_key(|(start, _)| start.len())?;
        if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
    }

    fn fault(&self, path: &str) -> Result<(), SiteError> {
        let Some(kind) = self.broken.get(path) else { return Ok(()) };
        Err(SiteError::new(*kind, format!("{path}: {kind:?}")))
    }

    fn stat(&self, path: &str) -> Option<FileStat> {
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        let entry = self.files.get(path)?;
        let (kind, size) = match &entry.content {
            Some(content) => (FileKind::File, content.len() as u64),
            None => (FileKind::Dir, 4096),
        };
        Some(FileStat { kind, size, modified: entry.modified, mode: entry.mode })
    }

    fn file(&self, path: &str) -> Result<&Vec<u8>, SiteError> {
        let missing = || SiteError::new(SiteErrorKind::NotFound, format!("{path}: no such file"));
        let entry = self.files.get(path).ok_or_else(missing)?;
        let directory = || SiteError::new(SiteErrorKind::Io, format!("{path}: is a directory"));
        entry.content.as_ref().ok_or_else(directory)
    }
}

#[async_trait]
impl Site for FakeSite {
    async fn run(&self, command: &Command) -> Answer {
        let mut state = self.state();
        state.calls.push(Call::Run(command.clone()));
        let unknown = || fails(SiteErrorKind::NotStarted, format!("no scripted answer for: {command}"));
        let by_rule = state.rules.iter_mut().rev().find(|(matches, _)| matches(command));
        let answer = match by_rule {
            Some((_, reply)) => reply(command),
            None => state.by_line(&line(command)).unwrap_or_else(unknown),
        };
        answer.map(|mut output| {
            for stream in [&mut output.stdout, &mut output.stderr] {
                output.truncated |= stream.len() > command.output_limit;
                stream.truncate(command.output_limit);
            }
            output
        })
    }

    async fn read(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        let mut state = self.state();
        state.calls.push(Call::Read { path: path.to_owned(), offset, length });
        state.fault(path)?;
        let content = state.file(path)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let end = start.saturating_add(length).min(content.len());
        Ok(content[start..end].to_vec())
    }

    async fn stat(&self, path: &str) -> Result<Option<FileStat>, SiteError> {
        let mut state = self.state();
        state.calls.push(Call::Stat(path.to_owned()));
        Ok(state.stat(path))
    }

    async fn list(&self, path: &str) -> Result<Vec<DirEntry>, SiteError> {
        let mut state = self.state();
        state.calls.push(Call::List(path.to_owned()));
        let path = path.trim_end_matches('/');
        state.fault(path)?;
        match state.stat(path) {
            Some(stat) if stat.kind == FileKind::Dir => {}
            Some(_) => return Err(SiteError::new(SiteErrorKind::Io, format!("{path}: not a directory"))),
            None => {
                return Err(SiteError::new(SiteErrorKind::NotFound, format!("{path}: no such directory")));
            }
        }
        let below = format!("{path}/");
        let names = state.files.keys().filter_map(|name| name.strip_prefix(&below));
        let entries = names.filter(|name| !name.contains('/')).filter_map(|name| {
            state.stat(&format!("{below}{name}")).map(|stat| DirEntry { name: name.to_owned(), stat })
        });
        Ok(entries.collect())
    }

    async fn replace(&self, path: &str, expected: Option<&str>, content: &[u8]) -> Result<(), SiteError> {
        let mut state = self.state();
        state.calls.push(Call::Replace {
            path: path.to_owned(),
            expected: expected.map(str::to_owned),
            content: content.to_vec(),
        });
        let present = state.files.get(path).and_then(|entry| entry.content.as_deref()).map(digest);
        if present.as_deref() != expected {
            let message = format!("{path}: is no longer what it was expected to be");
            return Err(SiteError::new(SiteErrorKind::Conflict, message));
        }
        drop(state);
        self.file(path, content);
        Ok(())
    }

    async fn remove(&self, path: &str, expected: &str) -> Result<(), SiteError> {
        let mut state = self.state();
        state.calls.push(Call::Remove { path: path.to_owned(), expected: expected.to_owned() });
        let Some(entry) = state.files.get(path) else { return Ok(()) };
        if entry.content.as_deref().map(digest).as_deref() != Some(expected) {
            let message = format!("{path}: is no longer what it was expected to be");
            return Err(SiteError::new(SiteErrorKind::Conflict, message));
        }
        state.files.remove(path);
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.state().now
    }

    async fn sleep(&self, duration: Duration) {
        self.state().calls.push(Call::Sleep(duration));
        self.advance(duration);
        let hook = self.state().on_sleep.take();
        if let Some(mut hook) = hook {
            hook(self); // it calls back into the site
            self.state().on_sleep.get_or_insert(hook);
        }
        tokio::task::yield_now().await;
    }
}
