//! The one minijinja environment: strict, bounded, with our filters and tests.

use std::borrow::Cow;
use std::sync::LazyLock;

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};

use super::reads;
use super::shell::placeholder;
use super::tracked::{Open, Unknown, is_unknown};

/// Filters beyond minijinja's own.
pub const FILTERS: &[&str] = &["default", "d", "duration", "gib", "number", "shell_raw"];
/// Tests beyond minijinja's own.
pub const TESTS: &[&str] = &["known", "unknown"];

/// Steps of the template machine after which an evaluation is given up: a template is a line or two, not a program.
const FUEL: u64 = 100_000;
/// The custom auto-escape under which every interpolated value is quoted for the shell.
pub(super) const SHELL: AutoEscape = AutoEscape::Custom(Cow::Borrowed("shell"));
/// Templates of this name are shell text.
pub(super) const SHELL_NAME: &str = "shell";

pub(super) static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_fuel(Some(FUEL));
    env.set_auto_escape_callback(|name| if name == SHELL_NAME { SHELL } else { AutoEscape::None });
    env.set_formatter(|out, state, value| {
        if *state.auto_escape() == SHELL && !value.is_safe() {
            let number = reads::keep_shell(shell_text(value)?);
            return Ok(out.write_str(&placeholder(number))?);
        }
        minijinja::escape_formatter(out, state, value)
    });
    env.add_test("known", |value: &Value| !forgive(value));
    env.add_test("unknown", |value: &Value| forgive(value));
    env.add_filter("default", or_default);
    env.add_filter("d", or_default);
    env.add_filter("shell_raw", |text: String| Value::from_safe_string(text));
    env.add_filter("gib", |bytes: &Value| match f64::try_from(bytes.clone()) {
        Ok(bytes) => Value::from(format!("{:.1} GiB", bytes / f64::from(1 << 30))),
        Err(_) => bytes.clone(),
    });
    env.add_filter("duration", |seconds: &Value| match f64::try_from(seconds.clone()) {
        Ok(seconds) => Value::from(short_duration(seconds)),
        Err(_) => seconds.clone(),
    });
    env.add_filter("number", number);
    env
});

/// `text | number`: the number that a text is, spaces around it aside. What is none is unknown, as is what is not there.
fn number(value: &Value) -> Value {
    if is_unknown(value) || value.kind() == ValueKind::Number {
        return value.clone();
    }
    let text = value.as_str().map(str::trim);
    let whole = text.and_then(|text| text.parse::<i64>().ok()).map(Value::from);
    let broken = || text?.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from);
    whole.or_else(broken).unwrap_or_else(|| Unknown::noticed("a text that is no number"))
}

/// Seconds for people: `45 s`, `12 min`, `3.5 h`.
fn short_duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// Whether the value is unknown; asking this is no read of it. What is open stays noticed: a dry run cannot answer.
fn forgive(value: &Value) -> bool {
    if let Some(unknown) = value.downcast_object_ref::<Unknown>() {
        reads::forgive(&unknown.path);
    }
    is_unknown(value) || value.is_undefined() || value.is_none()
}

/// `x | default(y)`: `y` where `x` is unknown. The author has said what to take, so it is no read of the unknown.
fn or_default(value: &Value, other: Option<Value>, _options: Kwargs) -> Value {
    if value.downcast_object_ref::<Open>().is_none() && forgive(value) {
        return other.unwrap_or_else(|| Value::from(""));
    }
    value.clone()
}

/// The text that a value is in a shell command. A list has none: whether it is one word or many is the author's to say,
/// with `join` or as `argv`.
fn shell_text(value: &Value) -> Result<String, Error> {
    let refuse = |what: &str| {
        Err(Error::new(ErrorKind::InvalidOperation, format!("{what} has no form in a shell command")))
    };
    match value.kind() {
        _ if is_unknown(value) => Ok(String::new()),
        ValueKind::String | ValueKind::Number | ValueKind::Bool => {
            let text = value.to_string();
            if text.contains('\0') { refuse("a value with a NUL byte") } else { Ok(text) }
        }
        ValueKind::Undefined | ValueKind::None => refuse("an undefined value"),
        kind => refuse(&format!("a {kind}")),
    }
}
