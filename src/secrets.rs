//! The values of secret inputs: from a file, the environment or the terminal, never from the command line, which every
//! account of the host can read. They are kept nowhere; a resumed run is given them again.

use std::collections::BTreeMap;
use std::io::Read;

use clap::ArgMatches;
use engine::plan::PlanData;
use engine::redact::{Redactor, Seal};
use engine::run::Started;
use rustix::rand::{GetRandomFlags, getrandom};
use serde_json::Value;

use crate::config;
use crate::error::CliError;
use crate::inputs::{Inputs, flag, id};
use crate::terminal;

/// A secret is no longer than this, in bytes.
const LONGEST: u64 = 64 << 10;

/// Secrets by the name of their input.
pub(crate) type Secrets = BTreeMap<String, String>;

/// Whether an input of this name is asked for where nothing else gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// At the terminal, if it is required.
    Ask,
    /// Any word does: a rehearsal looks for what was recorded, and there the secret is a mark.
    StandIn,
}

/// Completes the inputs by the secret ones, and gives these apart.
///
/// # Errors
/// If a required one is given nowhere, or one was given in the open.
pub(crate) fn given(
    matches: &ArgMatches,
    inputs: &Inputs,
    values: &mut BTreeMap<String, Value>,
    missing: Missing,
) -> Result<Secrets, CliError> {
    let mut secrets = Secrets::new();
    for (name, _) in inputs.iter().filter(|(_, spec)| spec.secret) {
        let word = matches.get_one::<String>(&id(name));
        let found = match word {
            Some(word) => Some(of_word(name, word)?),
            None => of_environment(name)?,
        };
        let value = match (found, missing) {
            (Some(secret), _) => Some(secret),
            (None, _) if inputs.get(name).is_some_and(|spec| spec.optional) => None,
            (None, Missing::StandIn) => Some(stand_in(name)),
            (None, Missing::Ask) => Some(ask(name, &ways(name))?),
        };
        values.insert(name.clone(), value.clone().map_or(Value::Null, Value::String));
        secrets.extend(value.map(|value| (name.clone(), value)));
    }
    Ok(secrets)
}

/// The secrets of a run that is taken up again.
///
/// # Errors
/// If one is given nowhere, or is another than the run was started with.
pub(crate) fn again(started: &Started) -> Result<Secrets, CliError> {
    let mut secrets = Secrets::new();
    for (name, seal) in &started.secrets {
        let secret = match of_environment(name)? {
            Some(secret) => secret,
            None => ask(name, &format!("set {} or resume it in a terminal, to be asked", variable(name)))?,
        };
        if !seal.fits(&secret) {
            return Err(CliError::usage(
                format!("this is not the secret {name} that the run was started with"),
                format!("give the one it was started with in {}", variable(name)),
            ));
        }
        secrets.insert(name.clone(), secret);
    }
    Ok(secrets)
}

/// A word that stands in for a secret. With a digit, as tokens have one: a shell takes both without quotes.
pub(crate) fn stand_in(name: &str) -> String {
    format!("stand-in-4-{name}")
}

/// How secrets are known again.
///
/// # Errors
/// If the system gives no random numbers.
pub(crate) fn seals(secrets: &Secrets) -> Result<BTreeMap<String, Seal>, CliError> {
    let seal = |(name, secret): (&String, &String)| {
        let mut salt = [0; 16];
        getrandom(&mut salt, GetRandomFlags::empty())
            .map_err(|error| CliError::Internal(format!("the system gives no random numbers: {error}")))?;
        Ok((name.clone(), Seal::new(secret, salt)))
    };
    secrets.iter().map(seal).collect()
}

/// What removes these secrets and what the configuration names, from now on from all that this process prints, too.
///
/// # Errors
/// If a secret is too short, or is no secret because it stands in the runbook.
pub(crate) fn redactor(mut secrets: Secrets, plan: Option<&PlanData>) -> Result<Redactor, CliError> {
    let config = config::get()?;
    secrets.extend(
        config
            .state
            .as_ref()
            .and_then(config::State::password)
            .map(|word| ("state password".to_owned(), word)),
    );
    let refused =
        |error: engine::redact::RedactError| CliError::usage(error.to_string(), "choose another one");
    let redactor = Redactor::new(&secrets, &config.redact).map_err(refused)?;
    if let Some(plan) = plan {
        redactor.check_open(&serde_json::to_string(plan).unwrap_or_default()).map_err(refused)?;
    }
    terminal::hide(redactor.clone());
    Ok(redactor)
}

/// The variable that holds a secret.
fn variable(name: &str) -> String {
    format!("RUNBOOK_SECRET_{}", name.to_uppercase())
}

fn of_environment(name: &str) -> Result<Option<String>, CliError> {
    match std::env::var(variable(name)) {
        Ok(secret) => Ok(Some(secret)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(CliError::usage(format!("{} is not UTF-8 text", variable(name)), "secrets are text"))
        }
    }
}

/// The content of the file that a word names; a last line break is not part of it.
fn of_word(name: &str, word: &str) -> Result<String, CliError> {
    let Some(path) = word.strip_prefix('@') else {
        return Err(CliError::usage(
            format!(
                "the secret {name} was given on the command line, where every account of this host can read it"
            ),
            format!("{}; if that was the real one, change it", ways(name)),
        ));
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|source| CliError::read(path, source))?;
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(|source| CliError::read(path, source))?;
    if text.len() as u64 > LONGEST {
        return Err(CliError::usage(
            format!("{path} is too long for a secret"),
            "a secret has at most 64 KiB",
        ));
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn ask(name: &str, ways: &str) -> Result<String, CliError> {
    let typed = terminal::secret(&format!("Secret {name} (not shown): "));
    typed.ok_or_else(|| {
        CliError::usage(format!("the secret {name} is not given, and nobody is there to be asked"), ways)
    })
}

fn ways(name: &str) -> String {
    format!(
        "give it by a file (--{} @FILE) or in {}, or run it in a terminal to be asked",
        flag(name),
        variable(name)
    )
}
