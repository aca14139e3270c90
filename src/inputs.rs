//! The inputs of a runbook as flags of the command line.

use std::collections::BTreeMap;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use engine::plan::{InputSpec, InputType};
use serde_json::Value;

/// The inputs of a runbook by name.
pub(crate) type Inputs = BTreeMap<String, InputSpec>;

/// Adds a flag for each input. `given` are inputs that have a value already and are not required.
pub(crate) fn flags(mut command: Command, inputs: &Inputs, given: &BTreeMap<String, Value>) -> Command {
    for (name, spec) in inputs {
        let required = !spec.secret && spec.default.is_none() && !spec.optional && !given.contains_key(name);
        let arg = Arg::new(id(name))
            .long(flag(name))
            .value_name(if spec.secret { "@FILE".to_owned() } else { name.to_uppercase() })
            .help(help(spec, given.get(name)))
            .help_heading("Inputs")
            .required(required);
        // What was given in its place is refused later, without being repeated.
        command = command.arg(if spec.secret { arg } else { typed(arg, &spec.r#type) });
    }
    command
}

/// The inputs as given, then `given`, then defaults; what is optional and was not given is unknown. Secret ones are still
/// missing.
pub(crate) fn values(
    matches: &ArgMatches,
    inputs: &Inputs,
    given: &BTreeMap<String, Value>,
) -> BTreeMap<String, Value> {
    let value = |(name, spec): (&String, &InputSpec)| {
        if spec.secret {
            return (name.clone(), Value::Null);
        }
        let typed = value(matches, &id(name), &spec.r#type).or_else(|| given.get(name).cloned());
        (name.clone(), typed.or_else(|| spec.default.clone()).unwrap_or(Value::Null))
    };
    inputs.iter().map(value).collect()
}

/// Every input as if it had been given, unknown: none is required then.
pub(crate) fn unknown(inputs: &Inputs) -> BTreeMap<String, Value> {
    inputs.keys().map(|name| (name.clone(), Value::Null)).collect()
}

/// What a run is about, for lists, and the target to lock if two runs must not treat it at the same time.
pub(crate) fn target(inputs: &Inputs, values: &BTreeMap<String, Value>) -> (String, Option<String>) {
    let of = |wanted: fn(&InputType) -> bool| {
        let mut named = inputs.iter().filter(|(_, spec)| wanted(&spec.r#type) && !spec.secret);
        named.find_map(|(name, _)| values.get(name).and_then(Value::as_str))
    };
    if let Some(job) = of(|kind| *kind == InputType::SlurmJob) {
        return (format!("job {job}"), Some(steps::target::job(job)));
    }
    if let Some(host) = of(|kind| *kind == InputType::Host) {
        return (format!("host {host}"), Some(steps::target::node(host)));
    }
    (of(|kind| *kind == InputType::Path).map(|path| format!("file {path}")).unwrap_or_default(), None)
}

/// The flag of an input; the checker has made sure that it is none of the program's own.
pub(crate) fn flag(name: &str) -> String {
    name.replace('_', "-")
}

/// Inputs have names of their own among the arguments.
pub(crate) fn id(name: &str) -> String {
    format!("input:{name}")
}

fn help(spec: &InputSpec, given: Option<&Value>) -> String {
    let mut help = spec.help.clone().unwrap_or_default();
    let kind = match &spec.r#type {
        InputType::List => "may be repeated",
        InputType::Duration => "such as 30s, 5m, 2h",
        InputType::SlurmJob => "such as 123456, 123456_7, 123456+1",
        InputType::String
        | InputType::Integer
        | InputType::Number
        | InputType::Boolean
        | InputType::Choice(_)
        | InputType::Path
        | InputType::Host => "",
    };
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let default = given.or(spec.default.as_ref()).filter(|value| !value.is_null() && !spec.secret).map(plain);
    let default = default.map(|value| format!("default: {value}"));
    let optional = (spec.optional && default.is_none()).then(|| "optional".to_owned());
    let secret = spec.secret.then(|| "secret".to_owned());
    for note in [Some(kind.to_owned()).filter(|kind| !kind.is_empty()), secret, default, optional]
        .into_iter()
        .flatten()
    {
        help.push_str(&format!(" [{note}]"));
    }
    help.trim_start().to_owned()
}

fn typed(arg: Arg, kind: &InputType) -> Arg {
    match kind {
        InputType::String | InputType::Path => arg,
        InputType::Integer => arg.value_parser(value_parser!(i64)).allow_negative_numbers(true),
        InputType::Number => arg.value_parser(number).allow_negative_numbers(true),
        InputType::Boolean => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(value_parser!(bool)),
        InputType::Choice(words) => arg.value_parser(PossibleValuesParser::new(words)),
        InputType::List => arg.action(ArgAction::Append),
        InputType::Duration => arg.value_parser(duration),
        InputType::Host => arg.value_parser(host),
        InputType::SlurmJob => arg.value_parser(slurm_job),
    }
}

fn value(matches: &ArgMatches, id: &str, kind: &InputType) -> Option<Value> {
    match kind {
        InputType::Integer => matches.get_one::<i64>(id).map(|number| Value::from(*number)),
        InputType::Number => matches.get_one::<f64>(id).map(|number| Value::from(*number)),
        InputType::Boolean => matches.get_one::<bool>(id).map(|word| Value::from(*word)),
        InputType::List => {
            let texts = matches.get_many::<String>(id)?;
            Some(texts.cloned().map(Value::from).collect())
        }
        InputType::Path => {
            let path = matches.get_one::<String>(id)?;
            // A run may be resumed from another directory.
            let absolute = std::path::absolute(path).ok().and_then(|path| path.to_str().map(str::to_owned));
            Some(Value::from(absolute.unwrap_or_else(|| path.clone())))
        }
        InputType::String
        | InputType::Choice(_)
        | InputType::Duration
        | InputType::Host
        | InputType::SlurmJob => matches.get_one::<String>(id).map(|text| Value::from(text.as_str())),
    }
}

fn number(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number.is_finite() { Ok(number) } else { Err("not a finite number".to_owned()) }
}

/// `123456`, `123456_7` (array task), `123456+1` (component of a heterogeneous job).
fn slurm_job(text: &str) -> Result<String, String> {
    let digits =
        |text: &str| (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = match text.split_once(['_', '+']) {
        Some((job, task)) => digits(job) && digits(task),
        None => digits(text),
    };
    if fits {
        Ok(text.to_owned())
    } else {
        Err("not a Slurm job id such as 123456, 123456_7 or 123456+1".to_owned())
    }
}

/// A name that ssh cannot take for an option and no shell for a command.
fn host(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '@');
    let fits = !text.is_empty() && text.len() <= 253 && !text.starts_with('-') && text.chars().all(plain);
    if fits { Ok(text.to_owned()) } else { Err("not a host name".to_owned()) }
}

fn duration(text: &str) -> Result<String, String> {
    text.parse::<steps::duration::Timespan>().map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(kind: InputType) -> InputSpec {
        InputSpec {
            r#type: kind,
            help: Some("Some help".into()),
            default: None,
            optional: false,
            secret: false,
        }
    }

    fn inputs() -> Inputs {
        BTreeMap::from([
            ("job".into(), spec(InputType::SlurmJob)),
            ("watch".into(), InputSpec { default: Some(json!("2h")), ..spec(InputType::Duration) }),
            ("checkpoint_dir".into(), InputSpec { optional: true, ..spec(InputType::Path) }),
            ("level".into(), InputSpec { optional: true, ..spec(InputType::Integer) }),
            ("fast".into(), InputSpec { default: Some(json!(false)), ..spec(InputType::Boolean) }),
            (
                "mode".into(),
                InputSpec {
                    default: Some(json!("a")),
                    ..spec(InputType::Choice(vec!["a".into(), "b".into()]))
                },
            ),
            ("node".into(), InputSpec { optional: true, ..spec(InputType::List) }),
        ])
    }

    fn parse(args: &[&str]) -> Result<BTreeMap<String, Value>, clap::Error> {
        let command = flags(Command::new("x").no_binary_name(true), &inputs(), &BTreeMap::new());
        let matches = command.try_get_matches_from(args)?;
        Ok(values(&matches, &inputs(), &BTreeMap::new()))
    }

    #[test]
    fn values_are_typed_and_defaults_filled_in() {
        let values = parse(&[
            "--job=12_3",
            "--level",
            "-4",
            "--fast",
            "--node",
            "a",
            "--node",
            "b",
            "--checkpoint-dir",
            "/ck/x",
        ]);
        let expected = json!({
            "job": "12_3", "watch": "2h", "checkpoint_dir": "/ck/x", "level": -4, "fast": true, "mode": "a",
            "node": ["a", "b"],
        });
        assert_eq!(json!(values.unwrap()), expected);
    }

    #[test]
    fn what_is_left_out_is_unknown() {
        let values = parse(&["--job", "1"]).unwrap();
        assert_eq!(values["level"], Value::Null);
        assert_eq!(values["fast"], json!(false));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for wrong in [
            &["--job", "12; rm"][..],
            &["--job", "-1"],
            &["--job="],
            &[],
            &["--job", "1", "--watch", "soon"],
            &["--job", "1", "--mode", "c"],
            &["--job", "1", "--level", "1.5"],
            &["--job", "1", "--fast=perhaps"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(host("-oProxyCommand=x").is_err() && host("a b").is_err() && host("gpu-21.lab").is_ok());
    }

    #[test]
    fn a_recording_stands_in_for_required_inputs() {
        let given = BTreeMap::from([("job".to_owned(), json!("7"))]);
        let matches = flags(Command::new("x"), &inputs(), &given).try_get_matches_from(["x"]).unwrap();
        assert_eq!(values(&matches, &inputs(), &given)["job"], json!("7"));
    }

    #[test]
    fn the_target_is_what_is_acted_on() {
        let values = parse(&["--job", "1"]).unwrap();
        assert_eq!(target(&inputs(), &values), ("job 1".to_owned(), Some("job/1".to_owned())));
        assert_eq!(target(&Inputs::new(), &values), (String::new(), None));
    }
}
