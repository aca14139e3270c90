//! `runbook help`.

use clap::Args;

/// Read the reference, offline; or the help of a command
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  runbook help              the topics
  runbook help language     the YAML of runbooks, key by key
  runbook help run          the same as `runbook run --help`")]
pub(crate) struct Help {
    /// A topic or a command
    pub topic: Option<String>,
}
