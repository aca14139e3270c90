//! The configuration of a host and of a person: `/etc/runbook/config.yaml`, then `$XDG_CONFIG_HOME/runbook/config.yaml`
//! (default `~/.config/runbook/config.yaml`). See docs/configuration.md.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use engine::diagnostic::SourceFile;
use engine::source::Config as Written;
use regex::Regex;

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
    fn of(text: String) -> Self {
        if text.contains("://") { Self::Url(text) } else { Self::Directory(text.into()) }
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
        match Written::read(&file) {
            Ok(read) => {
                config.redact.extend(read.redact);
                config.state = read.state.map(State::of).or(config.state);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::{Style, render};

    fn of(text: &str) -> Result<Written, String> {
        let file = SourceFile { name: "config.yaml".to_owned(), text: text.to_owned() };
        let style = Style { colour: false, unicode: false, width: 80 };
        Written::read(&file).map_err(|found| render(&found, std::slice::from_ref(&file), style))
    }

    #[test]
    fn what_is_written_is_read() {
        let config = of("redact: ['sk-[a-z]+', 'password=(\\S+)']\nstate: /gpfs/ops/runbook\n").unwrap();
        assert_eq!(config.redact.len(), 2);
        assert_eq!(config.state.map(State::of), Some(State::Directory("/gpfs/ops/runbook".into())));
        for empty in ["", "# nothing\n", "redact: []\n"] {
            let config = of(empty).unwrap();
            assert!(config.redact.is_empty() && config.state.is_none(), "{empty:?}");
        }
        let url = State::of(of("state: postgres://ops:p%40ss@db/runbook\n").unwrap().state.unwrap());
        assert_eq!(url.password().as_deref(), Some("p%40ss"));
        assert_eq!(State::of("postgres://ops@db/runbook".to_owned()).password(), None);
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
        insta::assert_snapshot!(shown.join("\n"), @r#"
    yaml::unknown_key

      x a configuration has no key `redakt`
       ,-[config.yaml:1:1]
     1 | redakt: [x]
       : ^^^|^^
       :    `-- unknown key
       `----
      help: Did you mean `redact`?

    1 error in config.yaml

    config::pattern

      x this is no regular expression
       ,-[config.yaml:2:5]
     1 | redact:
     2 |   - 'a('
       :     ^^|^
       :       `-- unclosed group
     3 |   - 'x*'
       `----
      help: It is a regular expression of the Rust crate `regex`: docs.rs/regex.

    config::pattern

      x this pattern matches nothing at all
       ,-[config.yaml:3:5]
     2 |   - 'a('
     3 |   - 'x*'
       :     ^^|^
       :       `-- it fits every place of every text
     4 | state: runs
       `----
      help: Write one that needs at least one character.

    config::state

      x `state` does not say where runs are kept
       ,-[config.yaml:4:8]
     3 |   - 'x*'
     4 | state: runs
       :        ^^|^
       :          `-- neither an absolute path nor an address
       `----
      help: Write `/path/of/a/directory` or `postgres://HOST/DATABASE`.

    3 errors in config.yaml

    yaml::wrong_type

      x `redact` must be text, not a number
       ,-[config.yaml:1:10]
     1 | redact: [1, {a: b}]
       :          |
       :          `-- this is a number
       `----
      help: Write it in quotes: "1".

    yaml::wrong_type

      x `redact` must be text, not a map
       ,-[config.yaml:1:13]
     1 | redact: [1, {a: b}]
       :             |
       :             `-- this is a map
       `----

    2 errors in config.yaml

    yaml::syntax

      x this is not YAML: unclosed bracket '['
       ,-[config.yaml:1:4]
     1 | a: [
       :    |
       :    `-- the parser stopped here
       `----
      help: Check quotes, brackets and indentation here and on the line before.

    1 error in config.yaml
    "#);
    }
}
