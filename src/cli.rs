//! The command line: what it takes and what its help says.

mod consent;
mod help;
mod rehearsal;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use consent::{Answer, Approve, Deny, Pending, Policy};
pub(crate) use help::Help;
pub(crate) use rehearsal::{Impact, Test};

/// Runs operational runbooks step by step: gathers evidence, shows every change before it is made, proves the cure.
#[derive(Debug, Parser)]
#[command(
    name = "runbook",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  runbook run training-oom --job 123456 --dry-run   what would happen, without touching anything
  runbook run training-oom --job 123456             walk through it; every change asks first
  runbook runs list                                 what is running, waiting, done
  runbook pending                                   what waits for an answer, and for whose
  runbook resume 20261124-031244-k7f2               go on with a run that waits

Exit codes of run, resume and rehearse:
    0  resolved, or nothing to do          5  a step broke or a person said no; held
    1  internal error                      6  taking changes back broke half-way
    2  wrong usage or runbook              7  locked by another run
    3  waits for a person                130  interrupted, can be resumed
    4  escalated: a person takes over"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Run),
    Resume(Resume),
    Rollback(Rollback),
    Pending(Pending),
    Approve(Approve),
    Deny(Deny),
    Answer(Answer),
    Rehearse(Rehearse),
    Test(Test),
    Impact(Impact),
    New(New),
    Check(Check),
    Graph(Graph),
    Policy(Policy),
    Explain(Explain),
    Help(Help),
    Runs(Runs),
    State(State),
    List(List),
    Steps(Steps),
    Lsp(Lsp),
    Completions(Completions),
}

/// The runbook and its inputs: known only when the runbook was read, so taken as they come.
#[derive(Debug, Subcommand)]
pub(crate) enum Named {
    #[command(external_subcommand)]
    Runbook(Vec<OsString>),
}

/// Walk a runbook against the real site; every change asks first
#[derive(Debug, Args)]
#[command(
    override_usage = "runbook run [OPTIONS] <RUNBOOK> [INPUTS]",
    subcommand_precedence_over_arg = true,
    disable_help_subcommand = true,
    after_help = "\
RUNBOOK is a name (see `runbook list`) or a path. Its inputs are flags: `runbook run RUNBOOK --help` lists them.

Examples:
  runbook run training-oom --help
  runbook run training-oom --job 123456 --dry-run
  runbook run training-oom --job 123456 --approve stop
  runbook run ./my/runbook.yaml --node gpu-21 --yes --json"
)]
pub(crate) struct Run {
    #[command(flatten)]
    pub options: RunOptions,
    #[command(subcommand)]
    pub runbook: Option<Named>,
}

/// Options of `run`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunOptions {
    /// Show what a real run would do; read, but change nothing
    #[arg(short = 'n', long, conflicts_with_all = ["yes", "approve", "answer", "wait"])]
    pub dry_run: bool,
    /// With --dry-run: every path as a tree, not only the likeliest
    #[arg(long, requires = "dry_run")]
    pub all_paths: bool,
    #[command(flatten)]
    pub answers: Answers,
    /// One JSON object per event on stdout (with --dry-run: one object); words for people go to stderr
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub takes: TakeOver,
    /// Write every exchange with the site into FILE as it happens, for rehearsals; secrets are left out
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// Locks of others.
#[derive(Debug, Clone, Args)]
pub(crate) struct TakeOver {
    /// Take locks over from this run, which is fenced off; asks first
    #[arg(long, value_name = "RUN")]
    pub take_over: Option<String>,
}

/// Who answers gates.
#[derive(Debug, Clone, Args)]
pub(crate) struct Answers {
    /// Answer every gate with yes
    #[arg(short, long, conflicts_with = "approve")]
    pub yes: bool,
    /// Answer the gates of these nodes with yes
    #[arg(long, value_name = "NODE", value_delimiter = ',')]
    pub approve: Vec<String>,
    #[command(flatten)]
    pub questions: Questions,
    /// Without a terminal: wait for answers from elsewhere, at most so long, instead of parking
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub wait: Option<String>,
}

/// Who answers questions: `--yes` does not, because only a person or the author of a script knows what to say.
#[derive(Debug, Clone, Args)]
pub(crate) struct Questions {
    /// Answer the question of this node; may be repeated
    #[arg(long, value_name = "NODE=OUTCOME")]
    pub answer: Vec<String>,
}

/// Go on with a run that waits, was held or was interrupted
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  runbook resume 20261124-031244-k7f2")]
pub(crate) struct Resume {
    /// The run: `runbook runs list` has its id
    pub run: String,
    #[command(flatten)]
    pub answers: Answers,
    #[command(flatten)]
    pub takes: TakeOver,
    /// Go on with the recording in FILE, which `run --record` has begun
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// One JSON object per event on stdout; words for people go to stderr
    #[arg(long)]
    pub json: bool,
}

/// Take back what a run changed, newest first; every step back asks first
#[derive(Debug, Args)]
#[command(after_help = "\
Each change is looked at, shown as it would be taken back, and taken back when that is agreed to.
It stops at a change that cannot be taken back: with --leave that one stays, and what was done
before it is taken back. Running it again goes on where it stopped. Exit code 0: everything is
taken back (or there was nothing), 6: stopped half-way.

Examples:
  runbook rollback 20261124-031244-k7f2 --dry-run   what would be run, without touching anything
  runbook rollback 20261124-031244-k7f2
  runbook rollback 20261124-031244-k7f2 --to edit   only back to what the node `edit` changed")]
pub(crate) struct Rollback {
    /// The run: `runbook runs list` has its id
    pub run: String,
    /// Show what would be run; change nothing
    #[arg(short = 'n', long, conflicts_with_all = ["yes", "approve", "answer", "wait"])]
    pub dry_run: bool,
    /// Go back only to the last change of this node, which is taken back, too
    #[arg(long, value_name = "NODE")]
    pub to: Option<String>,
    /// Leave the changes of these nodes as they are
    #[arg(long, value_name = "NODE", value_delimiter = ',')]
    pub leave: Vec<String>,
    #[command(flatten)]
    pub answers: Answers,
    #[command(flatten)]
    pub takes: TakeOver,
    /// One JSON object per event on stdout (with --dry-run: one array); words for people go to stderr
    #[arg(long)]
    pub json: bool,
}

/// Walk a whole runbook, changes included, against a recording: nothing real is touched
#[derive(Debug, Args)]
#[command(
    override_usage = "runbook rehearse [OPTIONS] <RUNBOOK> [INPUTS]",
    subcommand_precedence_over_arg = true,
    disable_help_subcommand = true,
    after_help = "\
Inputs that are not given are those of the recording. Gates are shown and answered by themselves.

Examples:
  runbook rehearse training-oom
  runbook rehearse training-oom --step
  runbook rehearse training-oom --recording incident-0412.yaml"
)]
pub(crate) struct Rehearse {
    #[command(flatten)]
    pub options: RehearseOptions,
    #[command(subcommand)]
    pub runbook: Option<Named>,
}

/// Options of `rehearse`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RehearseOptions {
    /// The recording or scenario: a file, or the name of one that comes with the runbook [default: its first recording]
    #[arg(long, value_name = "FILE|NAME")]
    pub recording: Option<String>,
    /// Wait before every node: Enter goes on, q stops
    #[arg(long)]
    pub step: bool,
    /// Wait so many seconds before every node
    #[arg(long, value_name = "SECONDS")]
    pub delay: Option<f64>,
    /// Keep the journal, as of a real run
    #[arg(long)]
    pub keep: bool,
    #[command(flatten)]
    pub questions: Questions,
    /// One JSON object per event on stdout; words for people go to stderr
    #[arg(long)]
    pub json: bool,
}

/// Find every mistake in runbooks, without running them
#[derive(Debug, Args)]
#[command(after_help = "\
Without RUNBOOK all that `runbook list` shows are checked. Exits with 2 if there is an error, or a
warning with `--deny warnings`; else with 0.

Examples:
  runbook check
  runbook check ./a/runbook.yaml ./b/runbook.yaml --deny warnings
  runbook check ./my/runbook.yaml --sarif > findings.sarif
  runbook explain outcome::no_edge")]
pub(crate) struct Check {
    /// Names or paths
    #[arg(value_name = "RUNBOOK")]
    pub runbooks: Vec<String>,
    /// What is to count as an error
    #[arg(long, value_name = "WHAT", value_parser = ["warnings"])]
    pub deny: Option<String>,
    /// One JSON array: a runbook each, with its findings
    #[arg(long)]
    pub json: bool,
    /// One SARIF 2.1.0 log of all findings, for code hosts and editors
    #[arg(long, conflicts_with = "json")]
    pub sarif: bool,
}

/// Begin a runbook, from its written page if there is one
#[derive(Debug, Args)]
#[command(after_help = "\
From a page: every box of its Mermaid flow becomes a node, a box that several arrows leave a
decision, a label an outcome. The page's shell blocks become steps; what cannot be shown to read
only asks first. What the page does not say is marked TODO, and `check` lists it. A first
rehearsal goes with it, in which placeholders answer for the world: `runbook test` walks it at
once.

Examples:
  runbook new disk-full
  runbook new disk-full --from wiki/disk-full.md
  runbook new disk-full --from flow.mmd --dir ~/.config/runbook/runbooks")]
pub(crate) struct New {
    /// Its name: lower-case letters, digits and `-`
    pub name: String,
    /// A Markdown page with a Mermaid flow, or a Mermaid file (.mmd); it is copied
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Where its directory is made [default: ./runbooks]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Draw a runbook, or the way that a run took through it
#[derive(Debug, Args)]
#[command(after_help = "\
Changes, gates and ends are told apart by shape and words, not by colour alone.

Examples:
  runbook graph training-oom
  runbook graph training-oom -o training-oom.svg
  runbook graph --run 20261124-031244-k7f2 --format svg > run.svg
  runbook graph training-oom --format dot | dot -Tpdf > training-oom.pdf")]
pub(crate) struct Graph {
    /// Name or path
    #[arg(value_name = "RUNBOOK", required_unless_present = "run")]
    pub runbook: Option<String>,
    /// How [default: by the name of FILE, else text]
    #[arg(long)]
    pub format: Option<GraphFormat>,
    /// Show which way this run went; `runbook rehearse --keep` keeps the run of a rehearsal
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// Write it into FILE
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// How a graph is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum GraphFormat {
    /// A list for the terminal
    Text,
    /// Mermaid, for Markdown pages
    Mermaid,
    /// For Graphviz
    Dot,
    /// A picture
    Svg,
    /// The same for what shows no SVG; converted by rsvg-convert, resvg, Inkscape or ImageMagick
    Png,
}

/// Say more about a code that `check` printed
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The code; without it, all codes
    pub code: Option<String>,
}

/// Serve an editor: mistakes as one types, go to a node, rename it, what names stand for
#[derive(Debug, Args)]
#[command(after_help = "\
An editor starts it and speaks the Language Server Protocol to it over standard input and output. Neovim:
  vim.lsp.start({ name = 'runbook', cmd = { 'runbook', 'lsp' } })")]
pub(crate) struct Lsp {}

/// Prepare where runs are kept
#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub(crate) struct State {
    #[command(subcommand)]
    pub command: StateCommand,
}

/// What to do about where runs are kept.
#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// Make the tables of a database, or bring them up to date
    ///
    /// Runs in the name of the account that shall own them. Operators are let in as members of a role: they
    /// can add entries and answers, and change or remove none.
    Init {
        /// The role whose members run runbooks
        #[arg(long, value_name = "ROLE")]
        operators: Option<String>,
    },
}

/// Look at runs [default: list]
#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Runs {
    #[command(subcommand)]
    pub command: Option<RunsCommand>,
}

/// What to do with runs.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// All runs, newest first
    List {
        /// One JSON array
        #[arg(long)]
        json: bool,
    },
    Verify(Verify),
    Show(Show),
    Report(Report),
}

/// What happened in a run
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  runbook runs show 20261124-031244-k7f2
  runbook runs show 20261124-031244-k7f2 --events --json | jq .entry.type")]
pub(crate) struct Show {
    /// Its id
    pub run: String,
    /// Say it again as it was said: every entry of the journal as the event that it was
    #[arg(long)]
    pub events: bool,
    /// One JSON object with all entries of its journal; with --events one per event, as `run --json` writes them
    #[arg(long)]
    pub json: bool,
}

/// Report a run to people who were not there
#[derive(Debug, Args)]
#[command(after_help = "\
What happened and when, what was found, what was shown and who agreed, what was taken back, what
is left to do, GPU memory before and after, and whether the journal holds. HTML is one file that
needs nothing else; docs/report.md says what JSON holds.

Examples:
  runbook runs report 20261124-031244-k7f2
  runbook runs report 20261124-031244-k7f2 -o incident.html
  runbook runs report 20261124-031244-k7f2 --json | jq .lost")]
pub(crate) struct Report {
    /// Its id
    pub run: String,
    /// As one HTML file
    #[arg(long, group = "form")]
    pub html: bool,
    /// As Markdown [default, unless FILE ends in .html or .json]
    #[arg(long, group = "form")]
    pub md: bool,
    /// As one JSON object
    #[arg(long, group = "form")]
    pub json: bool,
    /// Write into FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// How a report is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One file for a browser.
    Html,
    /// Markdown.
    Md,
    /// For programs.
    Json,
}

impl Report {
    /// As was said, else as the name of the file says.
    pub(crate) fn form(&self) -> Form {
        let ends = self.output.as_ref().and_then(|path| path.extension()).and_then(|ext| ext.to_str());
        match (self.html, self.md, self.json, ends) {
            (true, ..) | (_, false, false, Some("html" | "htm")) => Form::Html,
            (_, _, true, _) | (_, false, _, Some("json")) => Form::Json,
            _ => Form::Md,
        }
    }
}

/// Find out whether a journal is what was written
#[derive(Debug, Args)]
#[command(after_help = "\
Every line carries the hash of the line before it, so lines that were altered, dropped, swapped,
moved, put in or taken from another run are named. What was cut off at the end shows by a head
that was noted elsewhere: in the system's log (journalctl, /var/log), in the comment of a job that
the run submitted, and where lists of runs are kept; those that can be read are compared. Exit
code 0: it is what was written, 1: it is not, 2: there is no such run.

Examples:
  runbook runs verify 20261124-031244-k7f2
  runbook runs verify --all --json
  runbook runs verify 20261124-031244-k7f2 --log /mnt/loghost/auth.log")]
pub(crate) struct Verify {
    /// Its id
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub run: Option<String>,
    /// All runs
    #[arg(long)]
    pub all: bool,
    /// The hash of an entry, or its first characters, as somebody kept it
    #[arg(long, value_name = "HASH", requires = "run", value_parser = hash)]
    pub head: Option<String>,
    /// A file of the system's log, collected elsewhere
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// One JSON object; with --all an array of them
    #[arg(long)]
    pub json: bool,
}

fn hash(text: &str) -> Result<String, String> {
    let fits = (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits { Ok(text.to_owned()) } else { Err("give 8 to 64 hexadecimal characters".to_owned()) }
}

/// List the runbooks that can be run by name
#[derive(Debug, Args)]
#[command(
    visible_alias = "runbooks",
    after_help = "\
Looked for in ./runbooks, the directories of $RUNBOOK_PATH, $XDG_CONFIG_HOME/runbook/runbooks, /etc/runbook/runbooks,
then in the program itself. The first of a name wins."
)]
pub(crate) struct List {
    /// One JSON array
    #[arg(long)]
    pub json: bool,
}

/// Look at the steps that runbooks are made of, or run one by itself [default: list]
#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Steps {
    #[command(subcommand)]
    pub command: Option<StepsCommand>,
}

/// What to do with steps.
#[derive(Debug, Subcommand)]
pub(crate) enum StepsCommand {
    /// All kinds of steps: those of the program, and the executables runbook-step-NAME on the PATH
    List {
        /// Also those beside this runbook
        #[arg(long, value_name = "RUNBOOK")]
        beside: Option<String>,
        /// One JSON array
        #[arg(long)]
        json: bool,
    },
    /// What a kind of step takes, yields and can end with
    Show {
        /// Its kind, such as `slurm.cancel`
        kind: String,
        /// Look beside this runbook, too
        #[arg(long, value_name = "RUNBOOK")]
        beside: Option<String>,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// The JSON Schema of runbooks, for completion and hover text in editors
    Schema {
        /// With the executables on the PATH and beside this runbook, too
        #[arg(long, value_name = "RUNBOOK")]
        beside: Option<String>,
    },
    Run(StepsRun),
}

/// Run one step by itself; a change asks first
#[derive(Debug, Args)]
#[command(after_help = "\
VALUE is read as the parameter's type asks: text, number, true or false; a list as JSON, separated
by commas, or one value; an object as JSON. @FILE is the JSON in FILE. Exit code 0 with any
outcome, 5 if the step broke.

Examples:
  runbook steps run slurm.job --with job=123456
  runbook steps run oom.read --with logs=train-123456.err --json
  runbook steps run oom.classify --with error=@error.json --json
  runbook steps run slurm.cancel --with job=123456 --dry-run")]
pub(crate) struct StepsRun {
    /// Its kind, such as `slurm.job`
    pub kind: String,
    /// Look for it beside this runbook, too
    #[arg(long, value_name = "RUNBOOK")]
    pub beside: Option<String>,
    /// One parameter; `runbook steps show KIND` lists them
    #[arg(long, value_name = "NAME=VALUE")]
    pub with: Vec<String>,
    /// Show what it would do; change nothing
    #[arg(short = 'n', long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Answer its gate with yes
    #[arg(short, long)]
    pub yes: bool,
    /// One JSON object: the outcome and the fields of the output
    #[arg(long)]
    pub json: bool,
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  runbook completions bash > ~/.local/share/bash-completion/completions/runbook")]
pub(crate) struct Completions {
    /// The shell
    pub shell: Shell,
}
