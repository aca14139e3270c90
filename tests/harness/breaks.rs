//! A step that breaks at any node leaves the run held with its evidence; taken up again it comes to the same end, and no
//! change is made twice.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use engine::run::Entry;
use engine::step::StepErrorKind::{
    self, Denied, Drifted, Failed, InDoubt, Malformed, NotRecorded, Params, Timeout, Unreachable,
};
use engine::step::{AnyPreview, Around, Confirmation, Performed, Registry, Step, StepCx, StepError, Wrapped};
use engine::walk::Ending;
use serde_json::Value;

use super::case::registry;
use super::process::{End, Left};
use super::reference::Reference;

const KINDS: [StepErrorKind; 9] =
    [Params, Unreachable, Timeout, Denied, Malformed, Drifted, InDoubt, NotRecorded, Failed];
/// Kinds that do not say that nothing was done.
const DOUBTFUL: [StepErrorKind; 5] = [Timeout, Denied, Malformed, InDoubt, Failed];

/// What of a step breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A read, or a change before it is made.
    Before,
    /// A change after it was made.
    After,
    /// The same, and nobody can be asked whether it was made.
    AfterUnasked,
    /// The preview of a change.
    Preview,
}

/// One break, as often as the node tries.
struct Break {
    visit: String,
    part: Part,
    kind: StepErrorKind,
    /// Over once the run is taken up again.
    on: Mutex<bool>,
    hits: Mutex<u32>,
}

impl Break {
    fn here(&self, cx: &StepCx, parts: &[Part]) -> Result<(), StepError> {
        // `run/visit` or `run/visit.item`
        let visit = cx.token.rsplit('/').next().and_then(|place| place.split('.').next());
        if visit != Some(&self.visit) || !parts.contains(&self.part) || !*self.on.lock().unwrap() {
            return Ok(());
        }
        *self.hits.lock().unwrap() += 1;
        Err(StepError::new(self.kind, "it broke as told"))
    }
}

struct Brittle(Arc<dyn Step>, Arc<Break>);

#[async_trait]
impl Around for Brittle {
    fn inner(&self) -> &dyn Step {
        &*self.0
    }

    async fn preview(&self, cx: &StepCx, params: &Value) -> Result<AnyPreview, StepError> {
        self.1.here(cx, &[Part::Preview])?;
        self.0.preview(cx, params).await
    }

    async fn perform(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<Performed<Value>, StepError> {
        self.1.here(cx, &[Part::Before])?;
        let performed = self.0.perform(cx, params, intent).await;
        self.1.here(cx, &[Part::After, Part::AfterUnasked])?;
        performed
    }

    async fn confirm(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<Confirmation<Value>, StepError> {
        self.1.here(cx, &[Part::AfterUnasked])?;
        self.0.confirm(cx, params, intent).await
    }
}

fn brittle(what: &Arc<Break>) -> Registry {
    let mut brittle = Registry::default();
    for step in registry().steps() {
        brittle.register(Wrapped(Brittle(Arc::clone(step), Arc::clone(what))));
    }
    brittle
}

/// The breaks of one visit. Kinds take turns: over a recording each has its turn at changes and at reads that are tried again.
fn breaks(kind: &dyn Step, params: Option<&Value>, retried: bool, turn: usize) -> Vec<(Part, StepErrorKind)> {
    let some = |part, kinds: &[StepErrorKind], count: usize| -> Vec<_> {
        (0..count).map(|next| (part, kinds[(turn + next * 2) % kinds.len()])).collect()
    };
    match params {
        Some(params) if kind.effect(params).changes() => [
            some(Part::Before, &KINDS, 4),
            some(Part::After, &DOUBTFUL, 2),
            some(Part::Preview, &KINDS, 1),
            vec![(Part::AfterUnasked, InDoubt)],
        ]
        .concat(),
        // Nothing was to be done, so it was only looked at. (A command may be one that reads.)
        _ if kind.spec().effect.changes() && !matches!(kind.spec().kind, "shell" | "ssh") => {
            some(Part::Preview, &KINDS, 1)
        }
        // What a read broke of matters only to whoever tries again.
        _ if retried => some(Part::Before, &KINDS, 4),
        _ => some(Part::Before, &KINDS, 1),
    }
}

/// A change without the numbers of visits: `runbook:20261124-aaaa/12` and the place in the journal.
fn unnumbered(change: &str) -> String {
    let numbers = regex::Regex::new(r"(runbook:[0-9a-z-]+/)\d+|(runbook-head:)[0-9a-f-]+").unwrap();
    numbers.replace_all(change, "$1$2").into_owned()
}

async fn broken_everywhere(runbook: &str, recording: &str) {
    let reference = Reference::shared(runbook, recording).await;
    let (case, registry) = (&reference.case, registry());
    let mut broken = 0;
    for (at, record) in reference.records.iter().enumerate() {
        let Entry::Finished { visit, node, outcome, by: None, .. } = &record.entry else { continue };
        let step = case.plan.nodes.iter().find(|found| found.id == *node).unwrap().step().unwrap();
        let act = reference.records[..at].iter().find_map(|earlier| match &earlier.entry {
            Entry::Intended { visit: same, act, .. } if same == visit => Some(&act.params),
            _ => None,
        });
        let kind = registry.get(&step.kind).unwrap();
        for (part, error) in breaks(&**kind, act, step.retry.attempts > 1, broken) {
            let how = format!("visit {visit} of {node} breaks {part:?}, {error:?}");
            let (stage, disk) = reference.before(at + 1);
            let what = Arc::new(Break {
                visit: visit.to_string(),
                part,
                kind: error,
                on: Mutex::new(true),
                hits: Mutex::default(),
            });
            let End::Rest(ending, records) = disk.process(&stage, brittle(&what), Left::Killed).await else {
                panic!("{}, {how}: nobody killed it", case.name)
            };
            broken += 1;
            assert!(*what.hits.lock().unwrap() > 0, "{}, {how}: it did not break", case.name);
            // A break that was found to have done its work, or is tolerated, does not stop the run.
            let tolerated = step.for_each.as_ref().is_some_and(|fan| fan.tolerate > 0);
            // What was refused, and a message of which nobody knows, is not found to have happened.
            if part == Part::After && outcome != "denied" && step.kind != "notify" {
                reference.holds(End::Rest(ending, records), &stage, &how);
                continue;
            }
            if tolerated {
                let seen = stage.seen();
                // What was not told may have cost another visit or two: those after it have other numbers.
                let mut all = reference.changes.iter().map(|change| unnumbered(change));
                assert!(
                    seen.changes.iter().all(|change| all.any(|one| one == unnumbered(change))),
                    "{}, {how}",
                    case.name
                );
                assert_eq!(seen.wrong, Vec::<String>::new(), "{}, {how}", case.name);
                continue;
            }
            assert!(
                matches!(&ending, Ending::Held { node: at, .. } if at == node),
                "{}, {how}: {ending:?}",
                case.name
            );
            let failed = records.iter().rev().find_map(|record| match &record.entry {
                Entry::Failed { visit, node, error } => Some((*visit, node.clone(), error.kind)),
                _ => None,
            });
            // Nobody can be asked whether a message went out, so what says nothing of that leaves it in doubt.
            let doubt = step.kind == "notify" && part != Part::Preview && DOUBTFUL.contains(&error);
            let error = if doubt { InDoubt } else { error };
            assert_eq!(failed, Some((*visit, node.clone(), error)), "{}, {how}", case.name);
            *what.on.lock().unwrap() = false;
            reference.holds(disk.process(&stage, brittle(&what), Left::Killed).await, &stage, &how);
        }
    }
    assert!(broken > 0, "{}: nothing broke", case.name);
}

on_every_recording!(broken_everywhere);
