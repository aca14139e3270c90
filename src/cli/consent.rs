//! Commands of those who are asked.

use clap::Args;

/// Show what waits for an answer and for whose, and who acts on what
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  runbook pending")]
pub(crate) struct Pending {
    /// One JSON object: what waits, and the locks that are held
    #[arg(long)]
    pub json: bool,
}

/// Agree to the change that a run waits to make
#[derive(Debug, Args)]
#[command(after_help = "\
Shows what the run shows and asks. Who answers is the account that this runs as, from any host
that has the state directory. A script names the digest of what it agrees to; without a terminal
nothing else is an answer.

Examples:
  runbook approve 20261124-031244-k7f2
  runbook approve k7f2 --reason 'node is drained' --digest 3f6d2a90")]
pub(crate) struct Approve {
    /// The run: `runbook pending` has its id
    pub run: String,
    /// Why
    #[arg(long)]
    pub reason: Option<String>,
    /// Agree only if the digest of what is shown begins with this (at least 8 digits); does not ask
    #[arg(long, value_name = "DIGEST")]
    pub digest: Option<String>,
    /// At a terminal: do not ask
    #[arg(short, long, conflicts_with = "digest")]
    pub yes: bool,
}

/// Say no to the change that a run waits to make
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  runbook deny 20261124-031244-k7f2 --reason 'the job is mine and still needed'")]
pub(crate) struct Deny {
    /// The run: `runbook pending` has its id
    pub run: String,
    /// Why: whoever walks the run reads it
    #[arg(long)]
    pub reason: String,
}

/// Answer the question that a run asks
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  runbook answer 20261124-031244-k7f2            shows the question
  runbook answer 20261124-031244-k7f2 cold")]
pub(crate) struct Answer {
    /// The run: `runbook pending` has its id
    pub run: String,
    /// One of the answers that are shown, or its number
    pub outcome: Option<String>,
    /// Why
    #[arg(long)]
    pub reason: Option<String>,
}

/// Show what the site demands of every change
#[derive(Debug, Args)]
#[command(after_help = "\
The policy is in /etc/runbook/policy.yaml. It can only tighten what a runbook asks for.

Examples:
  runbook policy
  runbook policy --check ./policy.yaml")]
pub(crate) struct Policy {
    /// Find every mistake in FILE instead, which need not be in force
    #[arg(long, value_name = "FILE")]
    pub check: Option<std::path::PathBuf>,
}
