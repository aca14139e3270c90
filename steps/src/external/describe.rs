//! What an executable says that it is.

use std::time::Duration;

use engine::site::Site;
use engine::step::{Effect, OutcomeSpec, Outcomes, StepError, StepSpec};
use serde_json::Value;

use super::call::{Executable, misfit};
use super::protocol::{Described, Does, PROTOCOL, Request, Verb};
use super::schema::Schema;
use super::step::External;
use crate::text::clean_to;

/// A description needs nothing of the world.
const PATIENCE: Duration = Duration::from_secs(10);
/// What any other answer may take if it does not say otherwise.
const LIMIT: Duration = Duration::from_secs(60);
/// And at most.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Words that a step can end with.
const MOST_OUTCOMES: usize = 64;

/// Asks an executable what it is.
///
/// # Errors
/// If it does not answer, or its answer is no description.
pub async fn describe(site: &dyn Site, executable: Executable) -> Result<External, StepError> {
    let told = ask(site, &executable).await?;
    of(executable, told)
}

/// Takes an executable for what its answer says, which somebody kept: it is not executed.
///
/// # Errors
/// If that is no description.
pub fn described_by(executable: Executable, answer: &[u8]) -> Result<External, StepError> {
    let told = Executable::understood(answer, &format!("the description of {}", executable.kind()))?;
    of(executable, told)
}

async fn ask(site: &dyn Site, executable: &Executable) -> Result<Described, StepError> {
    let nothing = Value::Null;
    let request =
        Request { protocol: PROTOCOL, verb: Verb::Describe, token: "", params: &nothing, intent: &nothing };
    executable.ask(site, &request, PATIENCE, false).await
}

fn of(executable: Executable, told: Described) -> Result<External, StepError> {
    let wrong = |what: &str, why: &str| Err(misfit(&executable, what, why));
    if told.protocol != PROTOCOL {
        return wrong("`protocol`", &format!("it is {}, this program speaks {PROTOCOL}", told.protocol));
    }
    let summary = clean_to(&told.summary, 160);
    if summary.is_empty() {
        return wrong("`summary`", "it is empty");
    }
    if told.outcomes.is_empty() || told.outcomes.len() > MOST_OUTCOMES {
        return wrong("`outcomes`", &format!("there must be 1 to {MOST_OUTCOMES}"));
    }
    let word = |name: &str| {
        name.len() <= 64
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    if let Some(name) = told.outcomes.keys().find(|name| !word(name)) {
        return wrong("`outcomes`", &format!("`{}` is not snake_case", clean_to(name, 64)));
    }
    let schema =
        |name: &str, schema: Value| Schema::of_object(schema).map_err(|why| misfit(&executable, name, &why));
    let params = schema("`params`", told.params)?;
    let output = schema("`output`", told.output)?;
    for target in &told.targets {
        let named = holes(target).all(|name| params.has(name));
        if !named || !target.contains('/') || target.chars().any(char::is_control) {
            let why = format!("`{}` must be kind/name, with parameters in braces", clean_to(target, 80));
            return wrong("`targets`", &why);
        }
    }
    let limit = told.timeout.map_or(LIMIT, |timeout| timeout.0);
    if limit.is_zero() || limit > LONGEST {
        return wrong("`timeout`", "it must be longer than nothing and at most a day");
    }
    let effect = match told.effect {
        Does::Reads => Effect::Reads,
        Does::Reversible => Effect::Reversible,
        Does::Irreversible => Effect::Irreversible,
    };
    let outcomes = told.outcomes.into_iter();
    let outcomes = outcomes.map(|(name, help)| OutcomeSpec { name, help: clean_to(&help, 400) }).collect();
    // The names of steps live as long as the program: few are described in one process, each once.
    let forever = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let spec = StepSpec {
        kind: forever(executable.kind()),
        summary: forever(&summary),
        effect,
        outcomes: Outcomes::Fixed(outcomes),
        params: params.json().clone(),
        output: output.json().clone(),
    };
    Ok(External { executable, spec, params, output, targets: told.targets, limit })
}

/// The names in braces.
pub(super) fn holes(target: &str) -> impl Iterator<Item = &str> {
    target.split('{').skip(1).map(|rest| rest.split('}').next().unwrap_or_default())
}
