//! Makes a state directory of many runs that are over, for `runs list`.
//!
//! `journals DIRECTORY RUNS`

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use engine::check::{Context, NoLibrary, check};
use engine::journal::{DirStore, Journal, Store, fold};
use engine::plan::{EndKind, PlanData};
use engine::run::{Entry, Mode, RunId, Started};
use engine::source::from_bytes;
use engine::step::Registry;
use engine::template::Standing;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

const RUNBOOK: &str = "runbook: look
title: Look at a node
start: look
nodes:
  look:
    title: Look
    step: shell
    with: { argv: [uptime] }
    next: { otherwise: done }
  done: { end: resolved, message: it answers }
";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).filter(|word| !word.starts_with("--"));
    let store = DirStore::new(arguments.next().ok_or("which directory?")?);
    let runs: u32 = arguments.next().ok_or("how many runs?")?.parse()?;
    let mut registry = Registry::default();
    steps::register(&mut registry);
    let file = from_bytes("look", RUNBOOK.into()).map_err(|_| "the runbook cannot be read")?;
    let checked = check(file, &Context { registry: &registry, library: &NoLibrary, flags: &[] });
    let plan = checked.plan.ok_or("the runbook does not check")?.data().clone();
    let first = Timestamp::from_second(1_700_000_000)?;
    for number in 0..runs {
        let at = first.checked_add(SignedDuration::from_mins(i64::from(number)))?;
        one(&store, at, number, &plan)?;
    }
    Ok(())
}

fn one(store: &DirStore, at: Timestamp, number: u32, plan: &Arc<PlanData>) -> Result<(), Box<dyn Error>> {
    let run = RunId::new(at, u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut journal = store.create(&run)?;
    let started = Started {
        run: run.clone(),
        program: "bench".to_owned(),
        plan: Arc::clone(plan),
        inputs: BTreeMap::new(),
        secrets: BTreeMap::new(),
        operator: "anna".to_owned(),
        host: "login1".to_owned(),
        mode: Mode::Live,
        target: format!("node gpu-{number}"),
        place: None,
    };
    let finished = Entry::Finished {
        visit: 1,
        node: "look".to_owned(),
        outcome: "ok".to_owned(),
        output: json!({ "exit": 0, "stdout": "up 3 days", "stderr": "" }),
        summary: vec!["up 3 days".to_owned()],
        set: BTreeMap::new(),
        standing: Standing::Known,
        changed: false,
        by: None,
    };
    let message = Some("it answers".to_owned());
    let ended = Entry::Ended { end: EndKind::Resolved, node: "done".to_owned(), message };
    let mut records = Vec::new();
    for entry in [Entry::Started(Box::new(started)), finished, ended] {
        records.push(journal.append(at, entry)?);
    }
    journal.let_go(&fold(&records)?.1)?;
    Ok(())
}
