//! What a command said, as the record that later nodes read.

use engine::site::{Exit, Output};
use engine::step::Done;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::params::Parse;
use crate::text::clean_to;

/// Bytes of each stream that an output keeps (64 KiB).
const KEPT: usize = 64 << 10;

/// What a command said. All is `null` where it did not run: predicted, or confirmed afterwards.
#[derive(Debug, Default, PartialEq, Serialize, JsonSchema)]
pub(super) struct Answer {
    /// Exit status; `null` if a signal ended it. On a host, 128 + n means signal n.
    exit: Option<i32>,
    /// Signal that ended it, if one did.
    signal: Option<i32>,
    /// Standard output, its first 64 KiB, raw; invalid UTF-8 is replaced.
    stdout: Option<String>,
    /// Standard error, its first 64 KiB, raw; invalid UTF-8 is replaced.
    stderr: Option<String>,
    /// Whether something of the two was left out.
    truncated: Option<bool>,
    /// Standard output as JSON, with `parse: json`; `null` if it is not JSON.
    json: Option<Value>,
    /// The lines of standard output (of its first 64 KiB), with `parse: lines`.
    lines: Option<Vec<String>>,
    /// Seconds that it took.
    took_seconds: Option<f64>,
}

/// The step's answer to a command's output.
pub(super) fn done(output: &Output, ok: &[i32], parse: Option<Parse>) -> Done<Answer> {
    let (exit, signal) = match output.exit {
        Exit::Code(code) => (Some(code), None),
        Exit::Signal(signal) => (None, Some(signal)),
    };
    let is_ok = exit.is_some_and(|code| ok.contains(&code));
    let stdout = head(&output.stdout);
    // The whole of it: JSON cut off at 64 KiB is none.
    let json = match parse {
        Some(Parse::Json) if !output.truncated => serde_json::from_slice(&output.stdout).ok(),
        _ => None,
    };
    let lines = (parse == Some(Parse::Lines)).then(|| stdout.lines().map(str::to_owned).collect());
    let mut done = Done::new(if is_ok { "ok" } else { "nonzero" }, Answer::default());
    let ended = match output.exit {
        Exit::Code(code) => format!("exit {code}"),
        Exit::Signal(signal) => format!("ended by signal {signal}"),
    };
    done = done.line(format!("{ended} after {:.1} s", output.took.as_secs_f64()));
    let telling = if is_ok { &output.stdout } else { &output.stderr };
    if let Some(line) = telling_line(telling, is_ok) {
        done = done.line(line);
    }
    if parse == Some(Parse::Json) && json.is_none() && is_ok {
        done = done.line("its output is not JSON");
    }
    done.output = Answer {
        exit,
        signal,
        truncated: Some(output.truncated || output.stdout.len() > KEPT || output.stderr.len() > KEPT),
        stdout: Some(stdout),
        stderr: Some(head(&output.stderr)),
        json,
        lines,
        took_seconds: Some(output.took.as_secs_f64()),
    };
    done
}

fn head(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(KEPT)];
    // A character cut in two at the limit is left out, not replaced.
    let whole = match std::str::from_utf8(cut) {
        Err(error) if error.error_len().is_none() && bytes.len() > KEPT => &cut[..error.valid_up_to()],
        _ => cut,
    };
    String::from_utf8_lossy(whole).into_owned()
}

/// The first line of what went well, the last of what did not.
fn telling_line(bytes: &[u8], first: bool) -> Option<String> {
    let text = head(bytes);
    let mut lines = text.lines().map(|line| clean_to(line, 120)).filter(|line| !line.is_empty());
    if first { lines.next() } else { lines.next_back() }
}
