//! `runbook help [TOPIC]`: pages of the book, in the program.

use std::sync::LazyLock;

use clap::CommandFactory;
use regex::Regex;

use crate::cli::{Cli, Help};
use crate::error::CliError;
use crate::exit::Exit;
use crate::terminal::{Screen, Stream};

macro_rules! pages {
    ($($name:literal: $about:literal,)+) => {
        /// The name of a topic, one line about it, its page.
        const PAGES: &[(&str, &str, &str)] = &[$(($name, $about, include_str!(concat!("../../docs/", $name, ".md")))),+];
    };
}

pages! {
    "language": "the YAML of runbooks, key by key",
    "laws": "what holds in every run, and why",
    "threat-model": "what is protected against whom",
    "configuration": "configuration files, secrets, redaction",
    "policy": "what a site demands of every change",
    "state": "where runs are kept: directory or database",
    "journal": "the record of a run, and how it is verified",
    "report": "what reports hold, and the JSON of them",
    "classification": "how a true out-of-memory is told from fragmentation",
    "scenarios": "testing a runbook on recorded worlds",
    "recordings": "what a run asked the world and was told, to rehearse it",
    "levers": "which launch settings are edited, and where",
    "howto-page": "turn a page into a runbook, and keep the two true",
    "howto-team": "let a team agree",
    "howto-alert": "start a run from an alert",
    "howto-step": "add a step",
    "external-steps": "add a step in any language",
}

pub(super) fn execute(args: &Help) -> Result<Exit, CliError> {
    let screen = Screen::on(Stream::Out);
    let Some(asked) = &args.topic else {
        for (name, about, _) in PAGES {
            screen.line(format!("{name:<16}{about}"));
        }
        screen.line("");
        screen.line("`runbook help TOPIC` shows one; `runbook --help` lists the commands.");
        return Ok(Exit::Done);
    };
    if let Some((_, _, page)) = PAGES.iter().find(|(name, ..)| name == asked) {
        screen.raw(&for_terminal(page));
        return Ok(Exit::Done);
    }
    let mut cli = Cli::command();
    cli.build();
    if let Some(command) = cli.find_subcommand_mut(asked) {
        return command
            .print_help()
            .map(|()| Exit::Done)
            .map_err(|error| CliError::from(clap::Error::from(error)));
    }
    let commands = cli.get_subcommands().map(clap::Command::get_name);
    let names = PAGES.iter().map(|(name, ..)| *name).chain(commands);
    let all = "`runbook help` lists the topics, `runbook --help` the commands";
    Err(CliError::no_such("topic", asked, names, all))
}

/// Markdown reads well as it is, but for where links lead.
fn for_terminal(page: &str) -> String {
    static LINK: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\[([^\]\n]+)\]\([^)\s]+\)").ok());
    LINK.as_ref().map_or_else(|| page.to_owned(), |link| link.replace_all(page, "$1").into_owned())
}
