//! `runbook pending`.

use engine::journal::{Store, SummaryState};
use engine::lock::Held;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::Pending;
use crate::error::CliError;
use crate::exit::Exit;
use crate::place;
use crate::terminal::{Screen, Stream, clock, labelled, line, span, table};

use super::waiting::{Asks, Waiting};

pub(super) fn execute(args: &Pending) -> Result<Exit, CliError> {
    let store = place::store()?;
    let waiting = waiting(&*store)?;
    let locks = store.locks().held().map_err(engine::walk::WalkError::Locks)?;
    let screen = Screen::on(Stream::Out);
    if args.json {
        let waiting: Vec<Value> = waiting.iter().map(row).collect();
        let locks: Vec<Value> = locks.iter().map(lock).collect();
        let all = json!({ "waiting": waiting, "locks": locks });
        screen.line(serde_json::to_string_pretty(&all).unwrap_or_default());
        return Ok(Exit::Done);
    }
    if waiting.is_empty() {
        screen.line(format!("Nothing waits for an answer in {}.", line(&store.place())));
    }
    for (at, one) in waiting.iter().enumerate() {
        if at > 0 {
            screen.line("");
        }
        show(&screen, one);
    }
    if !locks.is_empty() {
        screen.line("");
        let rows: Vec<Vec<String>> = locks.iter().map(cells).collect();
        screen.lines(&table(screen.paint, &["acted on", "by run", "walked by", "since", "number"], &rows));
    }
    Ok(Exit::Done)
}

/// All runs that wait. One that cannot be read is told of and left out.
fn waiting(store: &dyn Store) -> Result<Vec<Waiting>, CliError> {
    let (runs, broken) = store.list()?;
    let err = Screen::on(Stream::Err);
    let tell = |error: &dyn std::fmt::Display| {
        err.line(format!("{} {}", err.paint.bad("left out:"), line(&error.to_string())));
    };
    broken.iter().for_each(|error| tell(error));
    let mut waiting = Vec::new();
    for summary in runs {
        if !matches!(summary.state, SummaryState::Running | SummaryState::Parked) {
            continue;
        }
        match Waiting::of(store, &summary.run) {
            Ok(Ok(one)) => waiting.push(one),
            Ok(Err(_)) => {}
            Err(error) => tell(&error),
        }
    }
    Ok(waiting)
}

fn show(screen: &Screen, one: &Waiting) {
    let (paint, started) = (screen.paint, &one.state.started);
    let mut head = format!("{}  {}", paint.bold(one.run.as_str()), line(&started.plan.runbook));
    if !started.target.is_empty() {
        head.push_str(&format!(" {} {}", screen.glyphs.dot, line(&started.target)));
    }
    screen.line(head);
    let tell = |label: &str, text: &str| screen.lines(&labelled(label, text, 3, screen.width()));
    tell("asks", &line(one.prompt()));
    tell("at", &format!("{} ({})", line(&one.place.title), line(&one.node)));
    let mut needs = one.needs();
    let names = |names: &std::collections::BTreeSet<String>| {
        names.iter().map(|name| line(name)).collect::<Vec<_>>().join(", ")
    };
    if !one.place.agreed.is_empty() {
        needs.push_str(&format!("; {} agreed: {}", one.place.agreed.len(), names(&one.place.agreed)));
    }
    if !one.no.is_empty() {
        needs.push_str(&format!("; no: {}", names(&one.no)));
    }
    tell("needs", &needs);
    let age = std::time::Duration::try_from(Timestamp::now().duration_since(one.since)).unwrap_or_default();
    let mut since = format!("{} ({})", clock(one.since), span(age));
    match one.closes() {
        Some(closes) if one.closed() => since.push_str(&format!(", closed {}: it opens anew", clock(closes))),
        Some(closes) => since.push_str(&format!(", closes {}", clock(closes))),
        None => {}
    }
    tell("since", &since);
    let walked = if one.walked { "" } else { "  (parked)" };
    for (at, command) in one.commands().iter().enumerate() {
        let label = if at == 0 { "answer" } else { "" };
        let note = if at == 0 { paint.dim(walked) } else { String::new() };
        screen.line(format!("   {label:<9}{}{note}", paint.bold(&line(command))));
    }
}

fn row(one: &Waiting) -> Value {
    let started = &one.state.started;
    let (kind, rule, digest, changed, choices) = match &one.asks {
        Asks::Gate(gate) => ("gate", json!(gate.rule), json!(gate.digest), json!(gate.changed), Value::Null),
        Asks::Question(question) => {
            ("question", Value::Null, Value::Null, json!([]), json!(question.choices))
        }
    };
    json!({
        "run": one.run,
        "runbook": started.plan.runbook,
        "target": started.target,
        "node": one.node,
        "kind": kind,
        "asks": one.prompt(),
        "needs": one.needs(),
        "rule": rule,
        "operators": one.state.operators,
        "agreed": one.place.agreed,
        "said_no": one.no,
        "since": one.since,
        "closes": one.closes(),
        "closed": one.closed(),
        "walked": one.walked,
        "digest": digest,
        "changed": changed,
        "choices": choices,
        "answer": one.commands(),
    })
}

fn lock(held: &Held) -> Value {
    let claim = &held.claim;
    json!({
        "target": claim.target,
        "run": claim.run,
        "account": claim.account,
        "host": claim.host,
        "pid": claim.pid,
        "since": claim.since,
        "fence": held.fence,
    })
}

fn cells(held: &Held) -> Vec<String> {
    let claim = &held.claim;
    vec![
        line(&claim.target),
        claim.run.to_string(),
        line(&format!("{} on {} (pid {})", claim.account, claim.host, claim.pid)),
        clock(claim.since),
        held.fence.to_string(),
    ]
}
