//! What a runbook takes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The type of an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputType {
    /// Any text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    Choice(Vec<String>),
    /// Texts, given by repeating the flag.
    List,
    /// `30s`, `5m`, `2h`.
    Duration,
    /// A file or directory.
    Path,
    /// A host name.
    Host,
    /// A Slurm job id: `123456`, `123456_7`, `123456+1`.
    SlurmJob,
}

/// One input; it becomes the flag `--name`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputSpec {
    /// Its type.
    pub r#type: InputType,
    /// One line for `--help`.
    pub help: Option<String>,
    /// Its value when nothing is given. Without it the input is required, unless it is `optional`.
    pub default: Option<Value>,
    /// It may be left out; its value is then unknown (`null`).
    pub optional: bool,
    /// Its value is never written or printed.
    pub secret: bool,
}
