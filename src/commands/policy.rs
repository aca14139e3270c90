//! `runbook policy`.

use std::fs::File;
use std::path::Path;

use engine::budget::{Limit, Measure};
use engine::diagnostic::SourceFile;
use engine::policy::{Answer, Effects, SitePolicy, SiteRule};
use engine::source::from_reader;

use crate::cli::Policy;
use crate::diagnostics::{Style, render};
use crate::error::CliError;
use crate::exit::Exit;
use crate::policy::{InForce, State};
use crate::terminal::{Screen, Stream, line, span, who};

pub(super) fn execute(args: &Policy) -> Result<Exit, CliError> {
    let screen = Screen::on(Stream::Out);
    if let Some(path) = &args.check {
        return match read(path)? {
            Some(policy) => {
                show(&screen, &policy);
                Ok(Exit::Done)
            }
            None => Ok(Exit::Usage),
        };
    }
    let path = InForce::path();
    match InForce::state() {
        State::None => {
            screen.line(format!("There is no {}: the site demands nothing of its own.", path.display()));
            Ok(Exit::Done)
        }
        State::Rules(policy) => {
            screen.line(format!("{} is in force.", path.display()));
            show(&screen, &policy);
            Ok(Exit::Done)
        }
        State::Closed(why) => {
            // Where it is only mistaken, every mistake is shown.
            let _ = read(&path);
            Err(CliError::usage(
                format!("the policy of this site cannot be used, so nothing may be changed: {}", line(&why)),
                "mend it as root; what only reads goes on",
            ))
        }
    }
}

/// The policy in a file; `None` if it has mistakes, which were shown.
fn read(path: &Path) -> Result<Option<SitePolicy>, CliError> {
    let cannot = |source| CliError::read(path, source);
    let file = File::open(path).map_err(cannot)?;
    let len = file.metadata().map_err(cannot)?.len();
    let name = path.display().to_string();
    let (file, found) = match from_reader(&name, len, file) {
        Ok(file) => match SitePolicy::read(&file) {
            Ok(policy) => return Ok(Some(policy)),
            Err(found) => (file, found),
        },
        Err(found) => (SourceFile { name, text: String::new() }, vec![*found]),
    };
    let err = Screen::on(Stream::Err);
    let style = Style { colour: err.paint.on(), unicode: err.glyphs.unicode(), width: err.width() };
    err.raw(&render(&found, &[file], style));
    Ok(None)
}

fn show(screen: &Screen, policy: &SitePolicy) {
    for rule in &policy.rules {
        let answer = match &rule.answer {
            Answer::Approve(rule) => {
                let expires =
                    rule.expires.map(|after| format!(", within {}", span(after))).unwrap_or_default();
                format!("needs {}{expires}", who(rule, &std::collections::BTreeSet::new()))
            }
            Answer::Forbid(why) => format!("is forbidden: {}", line(why)),
        };
        screen.line(format!("  {}", matched(rule)));
        screen.line(format!("      {}", screen.paint.warn(&answer)));
    }
    for (measure, Limit { most, per }) in &policy.limits {
        let what = match measure {
            Measure::NodesDrained => "nodes drained",
            Measure::GpuHoursStopped => "GPU-hours stopped",
            Measure::JobsStopped => "jobs stopped",
        };
        screen.line(format!("  all runs together: at most {most} {what} in {}", span(*per)));
    }
}

/// What a rule is about, in words.
fn matched(rule: &SiteRule) -> String {
    let mut text = match rule.effect {
        Effects::Changes => "any change",
        Effects::Reversible => "a change that can be taken back",
        Effects::Irreversible => "a change for good",
    }
    .to_owned();
    let parts = [("by", &rule.steps), ("of", &rule.targets), ("in", &rule.runbooks)];
    for (word, patterns) in parts.iter().filter(|(_, patterns)| !patterns.is_empty()) {
        text.push_str(&format!(" {word} {}", line(&patterns.join(" or "))));
    }
    text
}
