//! The configuration of a host or a person.

use regex::Regex;

use crate::check::{Findings, codes};
use crate::diagnostic::{Diagnostic, SourceFile, Span};
use crate::source;
use crate::source::fields::{Fields, word, wrong_type};
use crate::source::node::{Node, Value};

const TOP: &[&str] = &["redact", "state"];

/// One file of the configuration, as it is written.
#[derive(Debug, Default)]
pub struct Config {
    /// What is removed from everything that is written or printed.
    pub redact: Vec<Regex>,
    /// Where runs are kept: an absolute path, or an address with a scheme.
    pub state: Option<String>,
}

impl Config {
    /// Reads a file; one of nothing but comments says nothing.
    ///
    /// # Errors
    /// Everything that is wrong with it, by place.
    pub fn read(file: &SourceFile) -> Result<Self, Vec<Diagnostic>> {
        let mut findings = Findings::default();
        let says_nothing = |line: &str| matches!(line.trim().chars().next(), None | Some('#'));
        if file.text.lines().all(says_nothing) {
            return Ok(Self::default());
        }
        let read = source::parse(file, 0, &mut findings).and_then(|root| config(&root, &mut findings));
        match read {
            Some(config) if findings.errors() == 0 => Ok(config),
            _ => Err(findings.into_sorted()),
        }
    }
}

fn config(root: &Node, findings: &mut Findings) -> Option<Config> {
    let top = Span { len: 0, ..root.span };
    let fields = Fields::of(root, &top, "a configuration", TOP, findings)?;
    let mut redact = Vec::new();
    if let Some((key, node)) = fields.get("redact") {
        match &node.value {
            Value::Seq(items) => {
                let words: Vec<_> = items.iter().filter_map(|item| word(item, key, findings)).collect();
                for word in words {
                    redact.extend(pattern(&word.text, word.span, findings));
                }
            }
            _ => wrong_type(findings, node, &key.span, "`redact`", "a list"),
        }
    }
    let state = fields.word("state", findings).and_then(|word| {
        let fits = word.text.contains("://") || word.text.starts_with('/');
        if !fits {
            findings
                .error(codes::CONFIG_STATE, "`state` does not say where runs are kept", word.span.clone())
                .label("neither an absolute path nor an address")
                .help("Write `/path/of/a/directory` or `postgres://HOST/DATABASE`.");
        }
        fits.then(|| word.into())
    });
    Some(Config { redact, state })
}

fn pattern(text: &str, at: Span, findings: &mut Findings) -> Option<Regex> {
    let mut refuse = |message: &str, label: &str, help: &str| {
        findings.error(codes::CONFIG_PATTERN, message, at.clone()).label(label).help(help);
    };
    match Regex::new(text) {
        Ok(regex) if regex.is_match("") => {
            let help = "Write one that needs at least one character.";
            refuse("this pattern matches nothing at all", "it fits every place of every text", help);
            None
        }
        Ok(regex) => Some(regex),
        Err(error) => {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let help = "It is a regular expression of the Rust crate `regex`: docs.rs/regex.";
            refuse("this is no regular expression", why, help);
            None
        }
    }
}
