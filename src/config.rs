//! The configuration of a host and of a person: `/etc/runbook/config.yaml`, then `$XDG_CONFIG_HOME/runbook/config.yaml`
//! (default `~/.config/runbook/config.yaml`). See docs/configuration.md.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use engine::diagnostic::{Diagnostic, Severity, SourceFile, Span};
use regex::Regex;
use serde::Deserialize;
use serde_yaml::Spanned;

use crate::error::CliError;
use crate::load;
use crate::terminal::{Screen, Stream};

/// What is configured.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// What is removed from everything that is written or printed: the patterns of both files.
    pub redact: Vec<Regex>,
    /// Where runs are kept: the person's word before the host's.
    pub state: Option<State>,
}

/// Where runs are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// A directory.
    Directory(PathBuf),
    /// Something with a scheme: `postgres://…`.
    Url(String),
}

impl State {
    /// Reads it.
    ///
    /// # Errors
    /// What it must be.
    pub(crate) fn read(text: &str) -> Result<Self, &'static str> {
        if text.contains("://") {
            return Ok(Self::Url(text.to_owned()));
        }
        let path = PathBuf::from(text);
        if path.is_absolute() { Ok(Self::Directory(path)) } else { Err("an absolute path or a URL") }
    }

    /// The password in a URL: it is a secret.
    pub(crate) fn password(&self) -> Option<String> {
        let Self::Url(url) = self else { return None };
        let (user, _) = url.split_once("://")?.1.split('/').next()?.rsplit_once('@')?;
        Some(user.split_once(':')?.1.to_owned()).filter(|password| !password.is_empty())
    }
}

/// The configuration of this process, read once.
///
/// # Errors
/// If a file is there and cannot be read or does not check; the mistake was shown on standard error.
pub(crate) fn get() -> Result<&'static Config, CliError> {
    static READ: OnceLock<Config> = OnceLock::new();
    if let Some(config) = READ.get() {
        return Ok(config);
    }
    let mut config = Config::default();
    for path in paths() {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
            Err(source) => return Err(CliError::read(path, source)),
        };
        let file = SourceFile { name: path.display().to_string(), text };
        match read(&file) {
            Ok(read) => {
                config.redact.extend(read.redact);
                config.state = read.state.or(config.state);
            }
            Err(found) => {
                load::show(&Screen::on(Stream::Err), &found, std::slice::from_ref(&file));
                return Err(CliError::Usage { message: format!("{} does not check", file.name), hint: None });
            }
        }
    }
    Ok(READ.get_or_init(|| config))
}

/// The host's file, then the person's.
fn paths() -> Vec<PathBuf> {
    let home = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".config")));
    let mut paths = vec![Path::new("/etc").to_owned()];
    paths.extend(home);
    paths.into_iter().map(|base| base.join("runbook/config.yaml")).collect()
}

/// As it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    redact: Vec<Spanned<String>>,
    #[serde(default)]
    state: Option<Spanned<String>>,
}

/// Reads one file; all mistakes at once.
fn read(file: &SourceFile) -> Result<Config, Vec<Diagnostic>> {
    // A file of comments alone says nothing.
    let written: Option<Written> =
        serde_yaml::from_str(&file.text).map_err(|error| vec![broken(&error, &file.text)])?;
    let written = written.unwrap_or_default();
    let (mut config, mut found) = (Config::default(), Vec::new());
    for pattern in written.redact {
        match Regex::new(&pattern.value) {
            Ok(regex) if regex.is_match("") => {
                found.push(wrong(
                    &pattern,
                    "this pattern matches nothing at all",
                    "it fits every place of every text",
                ));
            }
            Ok(regex) => config.redact.push(regex),
            Err(error) => {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                found.push(wrong(&pattern, "this is no regular expression", &why));
            }
        }
    }
    if let Some(state) = written.state {
        match State::read(&state.value) {
            Ok(place) => config.state = Some(place),
            Err(must) => {
                found.push(wrong(&state, "this says not where runs are kept", &format!("must be {must}")))
            }
        }
    }
    if found.is_empty() { Ok(config) } else { Err(found) }
}

fn wrong(at: &Spanned<String>, message: &str, label: &str) -> Diagnostic {
    let place = at.referenced.span();
    let byte = |value: Option<u64>| value.and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    diagnostic(
        message,
        Span { file: 0, start: byte(place.byte_offset()), len: byte(place.byte_len()) },
        label,
    )
}

/// What the parser says; the place comes from it, too.
fn broken(error: &serde_yaml::Error, text: &str) -> Diagnostic {
    let start = error.location().map_or(0, |at| {
        let line = text.split_inclusive('\n').take(usize::try_from(at.line()).unwrap_or(1).saturating_sub(1));
        line.map(str::len).sum::<usize>() + usize::try_from(at.column()).unwrap_or(1).saturating_sub(1)
    });
    let said = error.without_snippet().to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    let word = text
        .get(start..)
        .map_or(1, |rest| rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(1));
    diagnostic(said, Span { file: 0, start: start.min(text.len()), len: word.max(1) }, "here")
}

fn diagnostic(message: &str, at: Span, label: &str) -> Diagnostic {
    Diagnostic {
        code: "config::invalid",
        severity: Severity::Error,
        message: message.to_owned(),
        at,
        label: label.to_owned(),
        related: Vec::new(),
        help: Some(
            "The keys are `redact`, a list of regular expressions, and `state`, a path or URL.".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::{Style, render};

    fn of(text: &str) -> Result<Config, String> {
        let file = SourceFile { name: "config.yaml".to_owned(), text: text.to_owned() };
        let style = Style { colour: false, unicode: false, width: 80 };
        read(&file).map_err(|found| render(&found, std::slice::from_ref(&file), style))
    }

    #[test]
    fn what_is_written_is_read() {
        let config = of("redact: ['sk-[a-z]+', 'password=(\\S+)']\nstate: /gpfs/ops/runbook\n").unwrap();
        assert_eq!(config.redact.len(), 2);
        assert_eq!(config.state, Some(State::Directory("/gpfs/ops/runbook".into())));
        for empty in ["", "# nothing\n", "redact: []\n"] {
            let config = of(empty).unwrap();
            assert!(config.redact.is_empty() && config.state.is_none(), "{empty:?}");
        }
        let url = of("state: postgres://ops:p%40ss@db/runbook\n").unwrap().state.unwrap();
        assert_eq!(url.password().as_deref(), Some("p%40ss"));
        assert_eq!(State::read("postgres://ops@db/runbook").unwrap().password(), None);
    }

    #[test]
    fn mistakes_are_shown_in_their_place() {
        let all = [
            "redakt: [x]\n",
            "redact:\n  - 'a('\n  - 'x*'\nstate: runs\n",
            "redact: [1, {a: b}]\n",
            "a: [\n",
        ];
        let shown: Vec<String> = all.iter().map(|text| of(text).unwrap_err()).collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
    config::invalid

      x unknown field `redakt`, expected one of redact, state
       ,-[config.yaml:1:1]
     1 | redakt: [x]
       : ^^^|^^
       :    `-- here
       `----
      help: The keys are `redact`, a list of regular expressions, and `state`, a
            path or URL.

    1 error in config.yaml

    config::invalid

      x this is no regular expression
       ,-[config.yaml:2:5]
     1 | redact:
     2 |   - 'a('
       :     ^^|^
       :       `-- unclosed group
     3 |   - 'x*'
       `----
      help: The keys are `redact`, a list of regular expressions, and `state`, a
            path or URL.

    config::invalid

      x this pattern matches nothing at all
       ,-[config.yaml:3:5]
     2 |   - 'a('
     3 |   - 'x*'
       :     ^^|^
       :       `-- it fits every place of every text
     4 | state: runs
       `----
      help: The keys are `redact`, a list of regular expressions, and `state`, a
            path or URL.

    config::invalid

      x this says not where runs are kept
       ,-[config.yaml:4:8]
     3 |   - 'x*'
     4 | state: runs
       :        ^^|^
       :          `-- must be an absolute path or a URL
       `----
      help: The keys are `redact`, a list of regular expressions, and `state`, a
            path or URL.

    3 errors in config.yaml

    config::invalid

      x expected string scalar
       ,-[config.yaml:1:13]
     1 | redact: [1, {a: b}]
       :             |
       :             `-- here
       `----
      help: The keys are `redact`, a list of regular expressions, and `state`, a
            path or URL.

    1 error in config.yaml

    config::invalid

      x unknown field `a`, expected one of redact, state
       ,-[config.yaml:1:1]
     1 | a: [
       : |
       : `-- here
       `----
      help: The keys are `redact`, a list of regular expressions, and `state`, a
            path or URL.

    1 error in config.yaml
    ");
    }
}
