//! A command to run and what it answered.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What to execute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// One program with its arguments; no shell looks at them.
    Argv(Vec<String>),
    /// Text for `sh -c`. Every value in it was quoted by the template engine.
    Script(String),
}

/// A command, on this machine or on a host reached by ssh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Host to run on; `None` is this machine.
    pub host: Option<String>,
    /// What to execute.
    pub program: Program,
    /// Bytes for standard input; `None` is an empty input.
    pub stdin: Option<Vec<u8>>,
    /// Working directory; `None` is the current one (the login directory on a host).
    pub cwd: Option<String>,
    /// Variables to set.
    pub env: BTreeMap<String, String>,
    /// Variables to remove: an exact name, or a prefix that ends in `*` (`SBATCH_*`).
    pub env_remove: Vec<String>,
    /// The command, and on a host its whole process group there, is ended after this time.
    pub timeout: Duration,
    /// Bytes kept of each of stdout and stderr; what is beyond is read and dropped, and [`Output::truncated`] is set.
    pub output_limit: usize,
    /// It alters something. Set by the step that acts, so that a replay keeps what was answered before it and what was
    /// answered after it apart, and tests can count it.
    #[serde(default)]
    pub changes: bool,
}

impl Command {
    /// Time after which a command is ended if nothing else is said.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
    /// Bytes kept of each stream if nothing else is said (8 MiB).
    pub const DEFAULT_OUTPUT_LIMIT: usize = 8 << 20;

    /// One program with its arguments, on this machine.
    pub fn argv<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self::new(Program::Argv(argv.into_iter().map(Into::into).collect()))
    }

    /// A shell script, on this machine.
    pub fn script(text: impl Into<String>) -> Self {
        Self::new(Program::Script(text.into()))
    }

    fn new(program: Program) -> Self {
        Self {
            host: None,
            program,
            stdin: None,
            cwd: None,
            env: BTreeMap::new(),
            env_remove: Vec::new(),
            timeout: Self::DEFAULT_TIMEOUT,
            output_limit: Self::DEFAULT_OUTPUT_LIMIT,
            changes: false,
        }
    }

    /// The same command, known to alter something.
    #[must_use]
    pub fn changing(mut self) -> Self {
        self.changes = true;
        self
    }

    /// The same command on `host`.
    #[must_use]
    pub fn on(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// The same command with a time limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same command with bytes on its standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// The same command in a working directory.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<String>) -> Self {
        self.cwd = Some(dir.into());
        self
    }
}

/// As a person would type it, every word quoted for a shell; what the gate shows.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "ssh {} ", quote(host))?;
        }
        for (name, value) in &self.env {
            write!(f, "{name}={} ", quote(value))?;
        }
        match &self.program {
            Program::Argv(argv) => {
                let words: Vec<String> = argv.iter().map(|word| quote(word)).collect();
                f.write_str(&words.join(" "))
            }
            Program::Script(text) => f.write_str(text),
        }
    }
}

/// Quotes one word for a POSIX shell: the same bytes come back as one argument.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+=./,:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It returned this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// What a command that ran to its end answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// Standard output, at most [`Command::output_limit`] bytes.
    pub stdout: Vec<u8>,
    /// Standard error, at most [`Command::output_limit`] bytes.
    pub stderr: Vec<u8>,
    /// One of the two was longer than the limit.
    pub truncated: bool,
    /// How long it took.
    pub took: Duration,
}

impl Output {
    /// Whether it returned status 0.
    pub fn success(&self) -> bool {
        self.exit == Exit::Code(0)
    }

    /// Standard output as text; invalid UTF-8 is replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.stdout)
    }

    /// Standard error as text; invalid UTF-8 is replaced.
    pub fn err_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.stderr)
    }
}
