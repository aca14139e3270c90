//! Takes changes back, newest first. Each is a visit of its own: looked at by reads alone, shown at a gate, agreed to,
//! looked at again, announced, done.

use std::sync::Arc;

use serde_json::Value;

use crate::journal::Journal;
use crate::plan::{Approve, Node, StepNode};
use crate::redact::{GONE, lost};
use crate::run::{Act, Change, Entry, GateItem, Intended, Phase, Rule, Verdict};
use crate::site::digest;
use crate::step::{
    Confirmation, Done, Effect, Performed, Step, StepCx, StepError, UndoPlan, UndoPreview, Undone,
};
use crate::template::Names;

use super::gate::Consent;
use super::rollback::Rollback;
use super::walker::{Flow, WalkError, Walker, step_node};

/// What taking one change back would do.
#[derive(Debug, Clone, PartialEq)]
pub enum Undoable {
    /// This.
    Would(Box<GateItem>),
    /// Nothing; why.
    Nothing(String),
    /// It cannot be taken back; why.
    Cannot(String),
    /// It could not be looked at.
    Broken(StepError),
}

/// What looking at a change showed.
enum Look {
    /// It can be taken back: what is shown, the step that the runbook names for it, and whether nothing tells if that was
    /// done already.
    Would { item: Box<GateItem>, act: Option<Box<Act>>, blind: bool },
    /// There is nothing to do, or nothing can be done.
    Over(Undone),
}

/// A change that is looked at.
struct Past {
    visit: u64,
    of: u64,
    item: Option<usize>,
    node: String,
    intended: Intended,
    /// Taking it back was begun before this visit, and broke.
    tried: bool,
}

impl<J: Journal> Walker<J> {
    /// Begins to look at a change.
    pub(super) fn begin_undo(&mut self, visit: u64, of: u64, item: Option<usize>) -> Result<Flow, WalkError> {
        let Some(past) = self.past(visit, of, item) else { return Ok(Flow::On) };
        self.append(Entry::UndoBegan { visit, node: past.node, of, item })?;
        Ok(Flow::On)
    }

    /// Takes one change back, with consent.
    pub(super) async fn undo(&mut self, visit: u64) -> Result<Flow, WalkError> {
        let Some((_, current)) = self.state.current() else { return Ok(Flow::On) };
        let begun = matches!(current.phase, Phase::Acting);
        let Some(undoing) = current.undoing.clone() else { return Ok(Flow::On) };
        let Some(mut past) = self.past(visit, undoing.of, undoing.item) else { return Ok(Flow::On) };
        let plan = Arc::clone(&self.plan);
        let (node, step) = step_node(&plan, &past.node)?;
        // Cut off while it was being taken back.
        if begun && let Some(flow) = self.undo_in_doubt(&past, undoing.act).await? {
            return Ok(flow);
        }
        if past.intended.verdict.is_none()
            && let Some(verdict) = self.happened(&past).await
        {
            let Past { of, item, .. } = past;
            self.append(Entry::Confirmed {
                visit: of,
                item,
                verdict: verdict.clone(),
                by: "probe".to_owned(),
            })?;
            if verdict == Verdict::DidNot {
                return self.undone(&past, Ok(Undone::NothingToDo("it did not happen".to_owned())));
            }
            past.intended.verdict = Some(verdict);
        }
        loop {
            let (item, act) = match self.look_at(&past).await {
                Ok(Look::Would { item, act, .. }) => (item, act),
                Ok(Look::Over(undone)) => return self.undone(&past, Ok(undone)),
                Err(error) => return self.undone(&past, Err(error)),
            };
            let does = act.as_deref().unwrap_or(&past.intended.act);
            let rule = match self.undo_rule(node, step, does) {
                Ok(rule) => rule,
                Err(why) => {
                    let why = format!("the policy of this site: {why}");
                    return self.undone(&past, Ok(Undone::Cannot(why)));
                }
            };
            let targets = self.step_of(&does.kind).map(|step| step.targets(&does.params));
            if let Some(flow) = self.hold(visit, node, &targets.unwrap_or_default()).await? {
                return Ok(flow);
            }
            let price = item.price.clone();
            let mut gate = self.gate(node, step, &Names::default(), rule, vec![*item], true);
            (gate.prompt, gate.kind) = (format!("Take back: {}", node.title), does.kind.clone());
            let agreed = self.agreed(visit, &gate);
            if let Consent::Not(flow) = self.consent(visit, node, gate).await? {
                if matches!(self.state.current(), Some((_, current)) if matches!(current.phase, Phase::Declined))
                {
                    return self.undone(&past, Ok(Undone::Cannot("it was declined at its gate".to_owned())));
                }
                return Ok(flow);
            }
            if !agreed {
                // Time has passed at the gate: look again, and act only if it is still what was shown.
                continue;
            }
            if let Err(error) = self.may(visit, None, &price) {
                return self.undone(&past, Err(error));
            }
            self.append(Entry::UndoIntended { visit, act: act.clone() })?;
            let result = self.take_back(&past, act.as_deref()).await;
            let came = match &result {
                Ok(Undone::Restored(text) | Undone::NothingToDo(text) | Undone::Left(text)) => {
                    format!("was taken back: {text}")
                }
                Ok(Undone::Cannot(text)) => format!("was not taken back: {text}"),
                Err(error) => format!("broke while it was taken back: {error}"),
            };
            self.unwritten.push(format!("{} at `{}` {came}", past.intended.act.kind, past.node));
            return self.undone(&past, result);
        }
    }

    /// What would be done to take changes back, newest first, up to the first that cannot be.
    pub async fn undoable(&self, asked: &Rollback) -> Vec<(Change, Undoable)> {
        let mut shown = Vec::new();
        let oldest = asked.to.unwrap_or(1);
        for change in self.state.changes().into_iter().filter(|change| change.visit >= oldest) {
            if change.settled() || asked.leave.contains(&change.node) {
                continue;
            }
            let Some(past) = self.past(self.state.next_visit(), change.visit, change.item) else { continue };
            let did_not = change.in_doubt && self.happened(&past).await == Some(Verdict::DidNot);
            let undoable = match self.look_at(&past).await {
                _ if did_not => Undoable::Nothing("it did not happen".to_owned()),
                Ok(Look::Would { item, .. }) => Undoable::Would(item),
                Ok(Look::Over(Undone::Cannot(why))) => Undoable::Cannot(why),
                Ok(Look::Over(Undone::NothingToDo(why) | Undone::Restored(why) | Undone::Left(why))) => {
                    Undoable::Nothing(why)
                }
                Err(error) => Undoable::Broken(error),
            };
            let last = matches!(undoable, Undoable::Cannot(_) | Undoable::Broken(_));
            shown.push((change, self.world.redactor.shown(&undoable)));
            if last {
                break;
            }
        }
        shown
    }

    fn past(&self, visit: u64, of: u64, item: Option<usize>) -> Option<Past> {
        let at = usize::try_from(of).ok()?.checked_sub(1)?;
        let past = self.state.trail.get(at)?;
        let tried = self.state.trail.iter().filter_map(|visit| visit.undoing.as_ref());
        let tried =
            tried.filter(|undoing| (undoing.of, undoing.item) == (of, item)).any(|undoing| undoing.begun);
        Some(Past {
            visit,
            of,
            item,
            node: past.node.clone(),
            intended: past.intended.get(&item)?.clone(),
            tried,
        })
    }

    fn step_of(&self, kind: &str) -> Result<Arc<dyn Step>, StepError> {
        let missing = || StepError::failed(format!("the step {kind} is not there"));
        self.world.registry.get(kind).cloned().ok_or_else(missing)
    }

    /// The context of the visit whose change it is: by its token the step finds what it did.
    fn past_cx(&self, past: &Past) -> StepCx {
        self.cx(past.of, &past.node, past.item)
    }

    /// The context of a step that takes it back in the step's stead.
    fn undo_cx(&self, past: &Past) -> StepCx {
        let cx = self.past_cx(past);
        StepCx { token: format!("{}/undo", cx.token), ..cx }
    }

    /// Whether a change that is in doubt happened; `None` if that cannot be told.
    async fn happened(&self, past: &Past) -> Option<Verdict> {
        let act = &past.intended.act;
        if incomplete(act) {
            return None;
        }
        let step = self.step_of(&act.kind).ok()?;
        match step.confirm(&self.past_cx(past), &act.params, &act.intent).await {
            // Half of it is to be taken back, too.
            Ok(Confirmation::Happened(_) | Confirmation::Begun(_)) => Some(Verdict::Happened),
            Ok(Confirmation::DidNot) => Some(Verdict::DidNot),
            Ok(Confirmation::Unknown(_)) | Err(_) => None,
        }
    }

    /// Finds out by reads alone what taking it back would do.
    async fn look_at(&self, past: &Past) -> Result<Look, StepError> {
        let act = &past.intended.act;
        if incomplete(act) {
            return Ok(Look::Over(Undone::Cannot(GONE.to_owned())));
        }
        let mut notes = Vec::new();
        if past.intended.verdict.is_none() {
            notes.push("whether the change happened at all is not known".to_owned());
        }
        let Some((kind, params)) = &act.undo else {
            let step = self.step_of(&act.kind)?;
            return Ok(match step.preview_undo(&self.past_cx(past), &act.params, &act.intent).await? {
                UndoPreview::Would(mut plan) => {
                    if plan.blind && past.tried {
                        notes.push("it was begun before, and how far that came is not known".to_owned());
                    }
                    plan.notes.extend(notes);
                    Look::Would { blind: plan.blind, item: Box::new(shown(act, plan)), act: None }
                }
                UndoPreview::NothingToDo(why) => Look::Over(Undone::NothingToDo(why)),
                UndoPreview::Cannot(why) => Look::Over(Undone::Cannot(why)),
            });
        };
        let step = self.step_of(kind)?;
        let act = |intent, reversible| {
            let (kind, params) = (kind.clone(), params.clone());
            Some(Box::new(Act { kind, params, intent, undo: None, reversible }))
        };
        if !step.effect(params).changes() {
            let target = format!("{kind} (only reads)");
            let plan = UndoPlan { target, notes, ..UndoPlan::default() };
            return Ok(Look::Would {
                item: Box::new(shown(&past.intended.act, plan)),
                act: act(Value::Null, None),
                blind: false,
            });
        }
        let mut preview = step.preview(&self.undo_cx(past), params).await?;
        if let Some(done) = preview.nothing_to_do {
            return Ok(Look::Over(of_outcome(&*step, done, Undone::NothingToDo)));
        }
        preview.notes.extend(notes);
        let item = Box::new(GateItem::new(kind, params, &preview));
        Ok(Look::Would { item, act: act(preview.intent, preview.undo), blind: false })
    }

    /// What is known of taking it back that was cut off; `None` if it was not done and is begun anew.
    async fn undo_in_doubt(&mut self, past: &Past, act: Option<Act>) -> Result<Option<Flow>, WalkError> {
        let what = act.as_ref().unwrap_or(&past.intended.act).clone();
        let (unknown, restored) = match &act {
            None => match self.look_at(past).await {
                Ok(Look::Over(undone)) => return self.undone(past, Ok(undone)).map(Some),
                Err(error) => return self.undone(past, Err(error)).map(Some),
                Ok(Look::Would { blind: false, .. }) => return Ok(None),
                Ok(Look::Would { .. }) => {
                    ("nothing tells".to_owned(), Undone::Restored("by its `undo`".to_owned()))
                }
            },
            Some(act) => {
                let step = match self.step_of(&act.kind) {
                    Ok(step) => step,
                    Err(error) => return self.undone(past, Err(error)).map(Some),
                };
                let why = match step.confirm(&self.undo_cx(past), &act.params, &act.intent).await {
                    Ok(Confirmation::Happened(done)) => {
                        let undone = of_outcome(&*step, done, Undone::Restored);
                        return self.undone(past, Ok(undone)).map(Some);
                    }
                    Ok(Confirmation::DidNot | Confirmation::Begun(_)) => return Ok(None),
                    Ok(Confirmation::Unknown(why)) => why,
                    Err(error) => error.message,
                };
                (why, Undone::Restored(format!("by {}", act.kind)))
            }
        };
        let prompt = format!("Was {} taken back before the run was cut off?", past.intended.act.kind);
        match self.ask_in_doubt(past.visit, &past.node, prompt, &what, &unknown).await? {
            Ok((Some(_), _)) => self.undone(past, Ok(restored)).map(Some),
            Ok((None, _)) => Ok(None),
            Err(flow) => Ok(Some(flow)),
        }
    }

    /// Who has to agree to taking it back: somebody, and whoever the site demands or the author asked for.
    fn undo_rule(&self, node: &Node, step: &StepNode, act: &Act) -> Result<Rule, String> {
        let kind = self.step_of(&act.kind).map_err(|error| error.message)?;
        let effect = if kind.effect(&act.params).changes() { Effect::Reversible } else { Effect::Reads };
        let asked = self.rule(node, step, &act.kind, effect, &kind.targets(&act.params))?;
        let written = match &step.approve {
            Approve::Required { rule, .. } => (**rule).clone(),
            Approve::Default | Approve::Never => Rule::default(),
        };
        Ok(asked.map_or(written.clone(), |asked| asked.tighten(&written)))
    }

    async fn take_back(&self, past: &Past, act: Option<&Act>) -> Result<Undone, StepError> {
        let Some(act) = act else {
            let Act { kind, params, intent, .. } = &past.intended.act;
            let (step, cx) = (self.step_of(kind)?, self.past_cx(past));
            let result = step.undo(&cx, params, intent).await;
            // Its answer may have been lost on the way.
            if result.is_err()
                && let Ok(UndoPreview::NothingToDo(why)) = step.preview_undo(&cx, params, intent).await
            {
                return Ok(Undone::Restored(why));
            }
            return result;
        };
        let (step, cx) = (self.step_of(&act.kind)?, self.undo_cx(past));
        let error = match step.perform(&cx, &act.params, &act.intent).await {
            Ok(Performed::Done(done)) => return Ok(of_outcome(&*step, done, Undone::Restored)),
            Ok(Performed::Ask(..)) => return Ok(Undone::Cannot(format!("{} asks a person", act.kind))),
            Err(error) => error,
        };
        match step.confirm(&cx, &act.params, &act.intent).await {
            Ok(Confirmation::Happened(done)) => Ok(of_outcome(&*step, done, Undone::Restored)),
            _ => Err(error),
        }
    }

    fn undone(&mut self, past: &Past, result: Result<Undone, StepError>) -> Result<Flow, WalkError> {
        self.append(Entry::Undone { visit: past.of, item: past.item, result })?;
        Ok(Flow::On)
    }
}

/// Whether a pattern removed something from the journal that taking it back needs.
fn incomplete(act: &Act) -> bool {
    lost(&act.params) || lost(&act.intent) || act.undo.as_ref().is_some_and(|(_, with)| lost(with))
}

/// The first outcome that a step declares is that it did what it is there for.
fn of_outcome(step: &dyn Step, done: Done<Value>, good: impl FnOnce(String) -> Undone) -> Undone {
    let spec = step.spec();
    let said = done.summary.first().map(|line| format!(": {line}")).unwrap_or_default();
    let text = format!("{} ended with {}{said}", spec.kind, done.outcome);
    let first = spec.outcomes.of(&Value::Null).into_iter().next();
    if !spec.effect.changes() || first.is_none_or(|first| first.name == done.outcome) {
        good(text)
    } else {
        Undone::Cannot(text)
    }
}

/// What is shown before a step's own inverse.
fn shown(act: &Act, plan: UndoPlan) -> GateItem {
    let UndoPlan { target, commands, diffs, notes, price, blind } = plan;
    let told = serde_json::json!([target, commands, diffs, notes, price.bound(), blind]);
    let bound = serde_json::json!(["undo", act.kind, act.params, act.intent, told]);
    let undo = Some("none: a new run would have to make the change again".to_owned());
    GateItem { target, commands, diffs, notes, undo, price, digest: digest(bound.to_string().as_bytes()) }
}
