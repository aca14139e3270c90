//! What may be a name.

use crate::check::{Findings, codes};
use crate::source::node::Word;

/// Longest name, in bytes.
const LONGEST: usize = 64;

/// Names that templates give another meaning.
const RESERVED: [&str; 31] = [
    "inputs",
    "vars",
    "run",
    "output",
    "item",
    "items",
    "outcome",
    "loop",
    "self",
    "super",
    "caller",
    "true",
    "false",
    "none",
    "null",
    "unknown",
    "known",
    "otherwise",
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "range",
    "dict",
    "debug",
    "namespace",
    "for",
    "set",
];

/// Whether a name has a meaning of its own.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// Reports a name that templates could not use. `what` is what it names: `a node`.
pub(super) fn check_name(word: &Word, what: &str, findings: &mut Findings) {
    check_form(word, what, '_', findings);
    if RESERVED.contains(&word.text.as_str()) {
        reserved(word, what, "it has a meaning of its own in templates", findings);
    }
}

/// Reports an outcome that could not be written as a key of `next`.
pub(crate) fn check_outcome_name(word: &Word, findings: &mut Findings) {
    check_form(word, "an outcome", '_', findings);
    if word.text == "otherwise" {
        reserved(word, "an outcome", "in `next` it stands for all other outcomes", findings);
    }
}

/// Reports an input that could not become a flag beside `flags` (long names without their dashes).
pub(super) fn check_flag(word: &Word, flags: &[&str], findings: &mut Findings) {
    let flag = word.text.replace('_', "-");
    if flags.contains(&flag.as_str()) {
        reserved(word, "an input", &format!("`--{flag}` is a flag of the program"), findings);
    }
}

/// Reports a name of a runbook that could not be a directory or a word on the command line.
pub(super) fn check_runbook_name(word: &Word, findings: &mut Findings) {
    check_form(word, "a runbook", '-', findings);
}

fn reserved(word: &Word, what: &str, why: &str, findings: &mut Findings) {
    findings
        .error(
            codes::NAME_RESERVED,
            format!("{what} cannot be named `{}`: {why}", word.text),
            word.span.clone(),
        )
        .label("reserved name")
        .help("Choose another name.");
}

fn check_form(word: &Word, what: &str, joint: char, findings: &mut Findings) {
    let good = |text: &str| {
        let mut chars = text.chars();
        chars.next().is_some_and(|first| first.is_ascii_lowercase())
            && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == joint)
            && text.len() <= LONGEST
    };
    if good(&word.text) {
        return;
    }
    let dashed: String = word
        .text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { joint })
        .collect();
    let fixed = dashed.trim_matches(joint);
    let rule = format!("lower-case letters, digits and `{joint}`, beginning with a letter");
    let help = if word.text.is_ascii() && good(fixed) {
        format!("Write `{fixed}`.")
    } else {
        format!("Use {rule}.")
    };
    findings
        .error(
            codes::NAME_BAD,
            format!("{what} cannot be named `{}`", shorten(&word.text)),
            word.span.clone(),
        )
        .label(format!("only {rule}"))
        .help(help);
}

fn shorten(text: &str) -> String {
    if text.len() <= LONGEST { text.to_owned() } else { text.chars().take(20).chain(['…']).collect() }
}
