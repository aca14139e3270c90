//! Commands of those who write runbooks and try them on recorded worlds.

use std::path::PathBuf;

use clap::Args;

/// Walk runbooks through their scenarios, and show what these cover
#[derive(Debug, Args)]
#[command(after_help = "\
Scenarios are YAML files in rehearsals/ beside a runbook: docs/scenarios.md. Without RUNBOOK all
that have some are tested. Nothing real is asked or touched. Exit code 0: all did as expected, 1:
some did not, 2: one has mistakes.

Examples:
  runbook test
  runbook test ./my/runbook.yaml --junit results.xml
  runbook test training-oom --scenario faulty-gpu --update")]
pub(crate) struct Test {
    /// Names or paths
    #[arg(value_name = "RUNBOOK")]
    pub runbooks: Vec<String>,
    /// Only scenarios of this name; may be repeated
    #[arg(long, value_name = "NAME")]
    pub scenario: Vec<String>,
    /// Write down what happens as what is expected
    #[arg(long)]
    pub update: bool,
    /// Write the results for a build server
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// One JSON array: a runbook each, with its scenarios and what they cover
    #[arg(long)]
    pub json: bool,
}

/// Tell which recorded runs would take another path through an edited runbook
#[derive(Debug, Args)]
#[command(after_help = "\
Scenarios and recordings beside a runbook are walked by it as it was and as it is now. Past runs
(`runbook runs list`) are walked again from their journals: every step answers what it answered
then, as long as it is asked the same. Nothing real is asked or touched. Exit code 0: none would,
1: some would.

Examples:
  runbook impact training-oom
  runbook impact ./my/runbook.yaml --since v1.2 --json")]
pub(crate) struct Impact {
    /// Names or paths; without it all runbooks
    #[arg(value_name = "RUNBOOK")]
    pub runbooks: Vec<String>,
    /// Compare with the runbook in this revision of git [default: HEAD; outside of git what scenarios expect]
    #[arg(long, value_name = "REV")]
    pub since: Option<String>,
    /// One JSON array
    #[arg(long)]
    pub json: bool,
}
