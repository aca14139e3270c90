//! One question to an executable.

use std::time::Duration;

use engine::site::{Command, Exit, Output, Site};
use engine::step::{StepError, StepErrorKind};
use serde::de::DeserializeOwned;

use super::protocol::{Answer, Request};
use crate::text::clean_to;

/// What the names of executables begin with.
pub const PREFIX: &str = "runbook-step-";

/// An answer may have 1 MiB: it is read whole, and goes into the journal.
const MOST: usize = 1 << 20;
/// Lines of standard error that an error shows.
const LINES: usize = 5;

/// An executable that is a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executable {
    kind: String,
    dir: String,
}

impl Executable {
    /// The one of this name in this directory (an absolute path). Whether it may be run is for the caller to know. `None` if
    /// the name is none that a step can have: words of `a-z`, `0-9` and `_`, joined by `.` or `-`.
    pub fn new(kind: &str, dir: &str) -> Option<Self> {
        let word = |word: &str| {
            !word.is_empty()
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        let fits = kind.len() <= 64
            && kind.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
            && kind.split(['.', '-']).all(word);
        fits.then(|| Self { kind: kind.to_owned(), dir: dir.trim_end_matches('/').to_owned() })
    }

    /// The step kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Where it is.
    pub fn path(&self) -> String {
        format!("{}/{}", self.dir, self.program())
    }

    pub(super) fn program(&self) -> String {
        format!("{PREFIX}{}", self.kind)
    }

    /// A command that finds it by its name: a recording must not depend on where it is.
    fn command(&self, command: Command) -> Command {
        let mut command = command;
        let path = std::env::var("PATH").unwrap_or_default();
        command.env.insert("PATH".to_owned(), format!("{}:{path}", self.dir));
        // It is given the parameters of its node, and no other secret.
        command.env_remove.push("RUNBOOK_SECRET_*".to_owned());
        command
    }

    /// SHA-256 of the file.
    pub(super) async fn digest(&self, site: &dyn Site) -> Result<String, StepError> {
        // The name holds nothing that a shell takes for more than a word.
        let script = format!("sha256sum <\"$(command -v {})\"", self.program());
        let output = self.run(site, Command::script(script), "sha256sum").await?;
        let text = output.text();
        let digest = text.split_whitespace().next().unwrap_or_default();
        let hex = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        if output.success() && hex {
            return Ok(digest.to_owned());
        }
        Err(StepError::failed(format!("{}: its digest cannot be made: {}", self.path(), said(&output))))
    }

    /// Asks it.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        site: &dyn Site,
        request: &Request<'_>,
        limit: Duration,
        changing: bool,
    ) -> Result<T, StepError> {
        let verb = request.verb.word();
        let from = format!("{} {verb}", self.program());
        let input = serde_json::to_vec(request)
            .map_err(|error| StepError::failed(format!("{from}: cannot be asked: {error}")))?;
        let mut command = Command::argv([self.program(), verb.to_owned()]).stdin(input).timeout(limit);
        command.output_limit = MOST;
        command.changes = changing;
        let output = self.run(site, command, &from).await?;
        if !output.success() {
            let ended = match output.exit {
                Exit::Code(code) => format!("ended with exit status {code}"),
                Exit::Signal(signal) => format!("was ended by signal {signal}"),
            };
            return Err(StepError::failed(format!("{from} {ended}: {}", said(&output))));
        }
        if output.truncated {
            return Err(malformed(&from, "it said more than 1 MiB"));
        }
        Self::understood(&output.stdout, &from)
    }

    /// What an answer says. `from` is whose it is.
    pub(super) fn understood<T: DeserializeOwned>(answer: &[u8], from: &str) -> Result<T, StepError> {
        match serde_json::from_slice::<Answer<T>>(answer) {
            Ok(Answer::Ok(answer)) => Ok(answer),
            Ok(Answer::Error(refusal)) => Err(refusal.error(from)),
            Err(error) => {
                let heard = clean_to(&String::from_utf8_lossy(answer), 80);
                let heard = if heard.is_empty() { "nothing".to_owned() } else { format!("`{heard}`") };
                Err(malformed(from, &format!("its answer is not understood: {error}; it said {heard}")))
            }
        }
    }

    async fn run(&self, site: &dyn Site, command: Command, from: &str) -> Result<Output, StepError> {
        let command = self.command(command);
        site.run(&command).await.map_err(|mut error| {
            error.message = error.message.replace(&command.to_string(), from);
            StepError::from(error)
        })
    }
}

fn malformed(from: &str, why: &str) -> StepError {
    let help = "An answer is one JSON object, {\"ok\": …} or {\"error\": …}, on standard output; all else belongs to standard error.";
    StepError::malformed(format!("{from}: {why}")).help(help)
}

/// The last lines of standard error.
fn said(output: &Output) -> String {
    let text = output.err_text();
    let lines: Vec<String> =
        text.lines().map(|line| clean_to(line, 200)).filter(|line| !line.is_empty()).collect();
    match &lines[lines.len().saturating_sub(LINES)..] {
        [] => "it said nothing on standard error".to_owned(),
        last => last.join("; "),
    }
}

/// What does not fit what it described of itself.
pub(super) fn misfit(executable: &Executable, what: &str, why: &str) -> StepError {
    StepError::new(
        StepErrorKind::Malformed,
        format!("{}: {what} does not fit what it describes: {}", executable.program(), clean_to(why, 300)),
    )
}
