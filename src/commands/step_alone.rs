//! `runbook steps run`: one step as a plan of one node, so that it is gated, journaled and resumed like any other.

use std::collections::BTreeMap;

use engine::dry_run::dry_run;
use engine::journal::MemoryJournal;
use engine::plan::{Approve, Body, EndKind, Next, Node, OnFailure, PlanData, Retry, Scope, StepNode, Undo};
use engine::run::{Mode, Phase, RunState, Started};
use engine::site::digest;
use engine::step::Step;
use engine::walk::{Ending, Walker};
use serde_json::{Map, Value, json};

use crate::cli::StepsRun;
use crate::error::CliError;
use crate::exit::Exit;
use crate::library;
use crate::place;
use crate::schema;
use crate::secrets::{self, Secrets};
use crate::session::{Session, fresh_run};
use crate::site;
use crate::terminal::{Consent, Elsewhere, Gates, Patience, Screen, Stream, exact, last_words, story};

use super::steps::{find, registry_with};

/// The name of the only step.
const STEP: &str = "step";
/// The name of the end after it.
const END: &str = "end";

pub(super) fn execute(args: &StepsRun) -> Result<Exit, CliError> {
    let (registry, _) = registry_with(&args.kind, args.beside.as_deref())?;
    let step = find(&registry, &args.kind)?;
    let mut with = Map::new();
    for given in &args.with {
        schema::set(&mut with, &step.spec().params, given)?;
    }
    schema::complete(&with, &step.spec().params)?;
    let with = Value::Object(with);
    let changes = step.effect(&with).changes();
    let redactor = secrets::redactor(Secrets::new(), None)?;
    // What only reads leaves nothing to go on with; a change must be announced durably.
    let store = (changes && !args.dry_run).then(place::store).transpose()?;
    let started = Started {
        run: fresh_run(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        plan: plan(&**step, &with)?.into(),
        inputs: BTreeMap::new(),
        secrets: BTreeMap::new(),
        operator: store.as_deref().map_or_else(place::account, place::account_in),
        host: place::host(),
        mode: Mode::Live,
        target: String::new(),
        place: args.beside.as_deref().map(library::find).transpose()?.and_then(|found| found.place()),
    };
    let gates = if args.yes { Gates::All } else { Gates::Ask };
    let consent = Consent { gates, ..Consent::default() };
    let session = Session::quiet(args.json)?;
    let elsewhere = store
        .as_ref()
        .map(|store| Elsewhere::new(std::sync::Arc::clone(store), started.run.clone(), Patience::default()));
    let site = site::live(None, &started, &redactor)?;
    let world = session.world(
        registry.clone(),
        site.port(),
        &started.operator,
        consent,
        redactor.clone(),
        &started.plan,
        elsewhere,
    );
    let out = Screen::on(Stream::Out);
    if args.dry_run {
        let dry = session.runtime.block_on(dry_run(started, &world))?;
        session.reporter.quiet();
        if args.json {
            out.line(serde_json::to_string(&dry).unwrap_or_default());
        } else {
            session.screen.lines(&story(&session.screen, &dry));
        }
        return Ok(if dry.complete { Exit::Done } else { Exit::Held });
    }
    let run = started.run.clone();
    session.listen(changes.then(|| run.clone()))?;
    let (ending, result) = if let Some(store) = store {
        let mut walker = Walker::start(started, store.create(&run)?, world)?;
        let ending = session.rest(&mut walker)?;
        let (journal, state) = walker.journal();
        journal.let_go(state)?;
        (ending, result(state))
    } else {
        let mut walker = Walker::start(started, MemoryJournal::default(), world)?;
        (session.rest(&mut walker)?, result(walker.state()))
    };
    session.reporter.quiet();
    let Some((outcome, output)) = result.filter(|_| matches!(ending, Ending::Ended { .. })) else {
        session.screen.lines(&last_words(&session.screen, &session.reporter, &ending, changes));
        return Ok(Exit::from(&ending));
    };
    let output = redactor.value(output);
    if args.json {
        out.line(merged(&outcome, output).to_string());
    } else {
        session.screen.line("");
        session.screen.line(exact(&serde_json::to_string_pretty(&output).unwrap_or_default()));
    }
    Ok(Exit::Done)
}

/// The outcome first, then the fields of the output.
fn merged(outcome: &str, output: Value) -> Value {
    let mut merged = Map::from_iter([("outcome".to_owned(), json!(outcome))]);
    match output {
        Value::Object(fields) => merged.extend(fields.into_iter().filter(|(name, _)| name != "outcome")),
        Value::Null => {}
        other => drop(merged.insert("output".to_owned(), other)),
    }
    Value::Object(merged)
}

/// The step's outcome and output, if it has them.
fn result(state: &RunState) -> Option<(String, Value)> {
    let Phase::Finished(outcome) = &state.trail.first()?.phase else { return None };
    Some((outcome.clone(), (*state.output(STEP)?.value).clone()))
}

/// A plan of one node whose every outcome ends it.
fn plan(step: &dyn Step, with: &Value) -> Result<PlanData, CliError> {
    let spec = step.spec();
    let outcomes = spec.outcomes.of(with).into_iter().map(|outcome| outcome.name).collect();
    let body = StepNode {
        kind: spec.kind.to_owned(),
        with: literal(with)?,
        approve: Approve::Default,
        undo: Undo::Auto,
        retry: Retry::default(),
        timeout: None,
        max_visits: None,
        on_failure: OnFailure::Stop,
        for_each: None,
        refine: Vec::new(),
        set: Vec::new(),
        outcomes,
        next: Next { edges: Vec::new(), otherwise: Some(END.to_owned()) },
        declined: None,
    };
    let node = |id: &str, title: &str, body| Node {
        id: id.to_owned(),
        scope: String::new(),
        title: title.to_owned(),
        flow: None,
        why: None,
        body,
    };
    // What no template mentions is not kept.
    let end = Body::End { end: EndKind::Resolved, message: Some(format!("{{{{ {STEP}.outcome }}}}")) };
    let scope = Scope { runbook: spec.kind.to_owned(), inputs: BTreeMap::new(), vars: Vec::new() };
    Ok(PlanData {
        format: engine::plan::Plan::FORMAT,
        runbook: spec.kind.to_owned(),
        title: spec.summary.to_owned(),
        severity: None,
        source_digest: digest(with.to_string().as_bytes()),
        scopes: BTreeMap::from([(String::new(), scope)]),
        start: STEP.to_owned(),
        nodes: vec![node(STEP, spec.kind, Body::Step(Box::new(body))), node(END, "end", end)],
    })
}

/// A value as a tree of templates that yields just this value.
fn literal(value: &Value) -> Result<Value, CliError> {
    Ok(match value {
        Value::String(text) if ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) => {
            if text.contains("endraw") {
                let message =
                    "a value that holds both template marks and the word endraw cannot be given here";
                return Err(CliError::usage(message, "write a runbook of one node for it"));
            }
            Value::String(format!("{{% raw %}}{text}{{% endraw %}}"))
        }
        Value::Array(list) => list.iter().map(literal).collect::<Result<_, _>>()?,
        Value::Object(map) => {
            let entries = map.iter().map(|(name, value)| Ok((name.clone(), literal(value)?)));
            Value::Object(entries.collect::<Result<_, CliError>>()?)
        }
        other => other.clone(),
    })
}
