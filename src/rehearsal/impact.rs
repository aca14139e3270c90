//! Where what was recorded would go now.

use std::sync::{Arc, Mutex, PoisonError};

use engine::budget::NoBudget;
use engine::event::Event;
use engine::journal::{MemoryJournal, Record};
use engine::lock::MemoryLocks;
use engine::plan::PlanData;
use engine::policy::NoPolicy;
use engine::redact::Redactor;
use engine::run::{Entry, Started};
use engine::scenario::Passed;
use engine::step::StepErrorKind;
use engine::walk::{Walker, World};
use serde::Serialize;
use steps::site::{RecordedSite, Recording};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::memory::Memory;
use super::people::Scripted;
use crate::error::CliError;
use crate::external;
use crate::load::registry;

/// Where two paths part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Parting {
    /// The last node they have in common.
    pub after: Option<Passed>,
    /// Where it went then.
    pub then: Option<Passed>,
    /// Where it would go now.
    pub now: Option<Passed>,
    /// Why that cannot be told further.
    pub why: Option<String>,
}

/// Where a path parts from another, if it does.
pub(crate) fn parting(then: &[Passed], now: &[Passed], why: Option<String>) -> Option<Parting> {
    let common = then.iter().zip(now).take_while(|(then, now)| then == now).count();
    (common < then.len().max(now.len())).then(|| Parting {
        after: common.checked_sub(1).and_then(|last| then.get(last)).cloned(),
        then: then.get(common).cloned(),
        now: now.get(common).cloned(),
        why,
    })
}

/// Where a past run would part from its way, walked by this plan.
///
/// # Errors
/// If its journal cannot be walked again by its own plan: what it was told is not all there.
pub(crate) fn replayed(
    records: &[Record],
    plan: &Arc<PlanData>,
    runtime: &Runtime,
) -> Result<Option<Parting>, CliError> {
    let first = records.first().map(|record| (record.at, &record.entry));
    let Some((at, Entry::Started(started))) = first else {
        return Err(CliError::Internal("a journal without a beginning".to_owned()));
    };
    let memory = Arc::new(Memory::of(records));
    let went = memory.path().to_vec();
    let walk = |plan: &Arc<PlanData>| {
        let mut inputs = started.inputs.clone();
        for (name, spec) in plan.scopes.get("").into_iter().flat_map(|scope| &scope.inputs) {
            let default = spec.default.clone().unwrap_or_default();
            inputs.entry(name.clone()).or_insert(default);
        }
        let started = Started { plan: Arc::clone(plan), inputs, ..(**started).clone() };
        walk(started, &memory, Recording::new(at), runtime)
    };
    let (again, why) = walk(&started.plan)?;
    if again.get(..went.len()).is_none_or(|again| again != went) {
        let parts = parting(&went, &again, why).and_then(|parts| parts.why);
        return Err(CliError::usage(
            format!("cannot be walked again: {}", parts.unwrap_or_else(|| "it goes another way".to_owned())),
            "",
        ));
    }
    memory.hold_to_it();
    let (mut now, why) = walk(plan)?;
    // What comes after its end it was not told.
    if now.get(..went.len()).is_some_and(|now| now == went) {
        now.truncate(went.len());
    }
    Ok(parting(&went, &now, why))
}

/// The path of a walk in which steps remember, and why it goes no further.
fn walk(
    started: Started,
    memory: &Arc<Memory>,
    nothing: Recording,
    runtime: &Runtime,
) -> Result<(Vec<Passed>, Option<String>), CliError> {
    let mut registry = registry();
    external::complete(&mut registry, &started.plan, started.place.as_deref())?;
    let records: Arc<Mutex<Vec<Record>>> = Arc::default();
    let (heard, remembers) = (Arc::clone(&records), Arc::clone(memory));
    let world = World {
        registry: memory.registry(&registry),
        site: Arc::new(RecordedSite::new(nothing, started.run.as_str())),
        operator: Arc::new(Scripted::new(memory.answers(), None)),
        policy: Arc::new(NoPolicy),
        locks: Arc::new(MemoryLocks::default()),
        budget: Arc::new(NoBudget),
        redactor: Redactor::default(),
        listener: Arc::new(move |event| {
            remembers.hear(event);
            if let Event::Recorded(record) = event {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
            }
        }),
        cancel: CancellationToken::new(),
    };
    let mut walker = Walker::start(started, MemoryJournal::default(), world)?;
    let _ = runtime.block_on(walker.walk())?;
    drop(walker);
    let mut records = std::mem::take(&mut *records.lock().unwrap_or_else(PoisonError::into_inner));
    let hole = records.iter().position(|record| {
        matches!(&record.entry, Entry::Failed { error, .. } if error.kind == StepErrorKind::NotRecorded)
    });
    let why = hole.and_then(|at| match &records[at].entry {
        Entry::Failed { node, error, .. } => Some(format!("{node}: {}", error.message)),
        _ => None,
    });
    let next = hole.and_then(|at| match &records[at].entry {
        Entry::Failed { node, .. } => Some(node.clone()),
        _ => None,
    });
    records.truncate(hole.unwrap_or(records.len()));
    Ok((Passed::path(&records, next.as_deref()), why))
}
