//! A visit that changes something: preview, consent, intent, effect.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::budget::Spending;
use crate::journal::Journal;
use crate::lock::Lease;
use crate::plan::{Node, StepNode, Undo};
use crate::policy::{Intended, ruling};
use crate::run::{Act, Entry, GateItem, Rule, Verdict};
use crate::step::{AnyPreview, Confirmation, Done, Effect, Performed, Price, Step, StepError, StepErrorKind};
use crate::template;

use super::attempt::Attempt;
use super::evaluate::{Item, blame_unknown, broken};
use super::gate::Consent;
use super::hold::lost;
use super::read::Answers;
use super::walker::{Flow, WalkError, Walker};

/// How old a preview may be when it is acted on: about as long as writing the journal takes, which lies between the two in any
/// case.
const FRESH: SignedDuration = SignedDuration::from_secs(2);

/// A change that was previewed and is agreed to.
struct Ready {
    item: Item,
    preview: AnyPreview,
}

impl<J: Journal> Walker<J> {
    /// Previews, asks, and acts on exactly what was shown.
    pub(super) async fn change(
        &mut self,
        visit: u64,
        node: &Node,
        step: &StepNode,
        kind: &dyn Step,
        items: Vec<Item>,
    ) -> Result<Flow, WalkError> {
        let names = items.first().map(|item| item.names.clone()).unwrap_or_default();
        let params = || items.iter().map(|item| &item.params.value);
        let mut targets: Vec<String> = params().flat_map(|params| kind.targets(params)).collect();
        targets.sort();
        targets.dedup();
        let effect = params().map(|params| kind.effect(params)).max().unwrap_or(kind.spec().effect);
        if let Some(flow) = self.hold(visit, node, &targets).await? {
            return Ok(flow);
        }
        let mut items = items;
        let mut answers = Answers::new();
        loop {
            // Asked each time: while people were asked, the site may have changed its mind.
            let rule = match self.rule(node, step, &step.kind, effect, &targets) {
                Ok(rule) => rule,
                Err(why) => {
                    let error =
                        StepError::new(StepErrorKind::Denied, format!("the policy of this site: {why}"));
                    return self.fail(visit, &node.id, error);
                }
            };
            let (ready, shown) = match self.previews(visit, node, kind, &mut items, &mut answers).await {
                Ok(previews) => previews,
                Err(error) => return self.fail(visit, &node.id, error),
            };
            if ready.is_empty() {
                return self.conclude(visit, node, step, &names, answers, false);
            }
            if let Some(rule) = &rule {
                let gate = self.gate(node, step, &names, rule.clone(), shown, true);
                let looked = self.world.site.now();
                let at_once = match self.consent(visit, node, gate.clone()).await? {
                    Consent::Not(flow) => return Ok(flow),
                    Consent::Given { at_once } => at_once,
                };
                if !(at_once && self.is_fresh(looked) && self.agreed(visit, &gate)) {
                    // Time has passed at the gate: look again, and act only if it is still what was shown.
                    items.extend(ready.into_iter().map(|ready| ready.item));
                    continue;
                }
            }
            let answers = self.perform(visit, node, step, answers, ready).await?;
            return self.conclude(visit, node, step, &names, answers, true);
        }
    }

    /// Who has to agree to a change; `None` if nobody has to.
    ///
    /// # Errors
    /// Why the site forbids it.
    pub(super) fn rule(
        &self,
        node: &Node,
        step: &StepNode,
        kind: &str,
        effect: Effect,
        targets: &[String],
    ) -> Result<Option<Rule>, String> {
        let started = &self.state.started;
        let change = Intended {
            run: &started.run,
            runbook: &started.plan.runbook,
            node: &node.id,
            kind,
            effect,
            targets,
        };
        ruling(&*self.world.policy, &step.approve, &change)
    }

    /// Whether what was looked at then can be acted on. Even where a flag answers, a terminal or a disk may keep the walk waiting.
    fn is_fresh(&self, looked: Timestamp) -> bool {
        let passed = self.world.site.now().duration_since(looked);
        !passed.is_negative() && passed < FRESH
    }

    /// Previews every item that has no answer yet.
    async fn previews(
        &self,
        visit: u64,
        node: &Node,
        kind: &dyn Step,
        items: &mut Vec<Item>,
        answers: &mut Answers,
    ) -> Result<(Vec<Ready>, Vec<GateItem>), StepError> {
        let (mut ready, mut shown) = (Vec::new(), Vec::new());
        let earlier =
            self.state.current().filter(|(number, _)| *number == visit).map(|(_, current)| &current.items);
        for item in items.drain(..) {
            if let Some(result) = item.index.and_then(|index| earlier?.get(&index)) {
                let done = result.clone().map(|(outcome, output)| Done::new(outcome, output));
                answers.insert(item.index, done);
                continue;
            }
            let cx = self.cx(visit, &node.id, item.index);
            let preview = kind.preview(&cx, &item.params.value).await;
            let mut preview = preview.map_err(|error| blame_unknown(error, &item.params))?;
            if let Some(done) = preview.nothing_to_do.take() {
                answers.insert(item.index, Ok(done));
                continue;
            }
            shown.push(GateItem::new(kind.spec().kind, &item.params.value, &preview));
            ready.push(Ready { item, preview });
        }
        Ok((ready, shown))
    }

    /// Announces and performs every change, at most so many at once as the author allows.
    async fn perform(
        &mut self,
        visit: u64,
        node: &Node,
        step: &StepNode,
        mut answers: Answers,
        ready: Vec<Ready>,
    ) -> Result<Answers, WalkError> {
        let kind =
            self.world.registry.get(&step.kind).ok_or_else(|| WalkError::NoStep(step.kind.clone()))?.clone();
        let (at_once, tolerate) =
            step.for_each.as_ref().map_or((1, 0), |fan| (fan.at_once.max(1), fan.tolerate));
        let mut waiting = ready.into_iter();
        let mut running = JoinSet::new();
        let mut broke = 0;
        // What cannot be written stops it before the next effect; those that are under way are brought to their end.
        let mut unwritten: Option<WalkError> = None;
        loop {
            // Once more items broke than may, no further change is begun.
            while running.len() < at_once as usize
                && unwritten.is_none()
                && broke <= tolerate
                && !self.world.cancel.is_cancelled()
                && let Some(Ready { item, preview }) = waiting.next()
            {
                let undo = match &step.undo {
                    Undo::Auto => None,
                    Undo::Step { kind, with } => match template::value(with, &item.names).map_err(broken) {
                        Ok(evaluated) => Some((kind.clone(), evaluated.value)),
                        Err(error) => {
                            answers.insert(item.index, Err(error));
                            broke = broke.saturating_add(1);
                            continue;
                        }
                    },
                };
                let act = Act {
                    kind: step.kind.clone(),
                    params: item.params.value.clone(),
                    intent: preview.intent.clone(),
                    undo,
                    reversible: preview.undo,
                };
                let entry =
                    Entry::Intended { visit, node: node.id.clone(), item: item.index, act: Box::new(act) };
                if let Err(why) = self.may(visit, item.index, &preview.price) {
                    answers.insert(item.index, Err(why));
                    broke = u32::MAX;
                    break;
                }
                if let Err(error) = self.append(entry) {
                    unwritten = Some(error);
                    break;
                }
                let leases = self.leases.values().cloned().collect();
                let attempt = self.attempt(visit, node, step, Arc::clone(&kind), &item);
                let (index, intent) = (item.index, preview.intent);
                running.spawn(async move { (index, performed(&attempt, &intent, leases).await) });
            }
            let Some(joined) = running.join_next().await else { break };
            let (index, settled) = joined.unwrap_or_else(|error| (None, Settled::Doubt(format!("{error}"))));
            let mut entry = None;
            let answer = match settled {
                Settled::Answered(done) => Ok(done),
                Settled::Not(error) => {
                    let verdict = Verdict::DidNot;
                    entry = Some(Entry::Confirmed { visit, item: index, verdict, by: "probe".to_owned() });
                    Err(error)
                }
                Settled::Doubt(why) => Err(StepError::new(StepErrorKind::InDoubt, why)
                    .help("`runbook resume` looks again whether it happened, and asks if it cannot tell")),
            };
            broke = broke.saturating_add(u32::from(answer.is_err()));
            self.unwritten.push(told(step, node, index, &answer));
            let item = index.map(|item| {
                let result = answer.clone().map(|done| (done.outcome, done.output));
                Entry::ItemDone { visit, item, result, changed: true }
            });
            for entry in entry.into_iter().chain(item) {
                if unwritten.is_none()
                    && let Err(error) = self.append(entry)
                {
                    unwritten = Some(error);
                }
            }
            if index.is_some() && unwritten.is_none() {
                self.unwritten.pop();
            }
            answers.insert(index, answer);
        }
        if let Some(error) = unwritten {
            return Err(error);
        }
        for Ready { item, .. } in waiting {
            answers.insert(item.index, Err(StepError::failed("not begun: too many items broke before it")));
        }
        Ok(answers)
    }
}

impl<J: Journal> Walker<J> {
    /// Whether a change may still be made, right before it is announced.
    ///
    /// # Errors
    /// If a lock is lost, or the site's budget has no room for it.
    pub(super) fn may(&self, visit: u64, item: Option<usize>, price: &Price) -> Result<(), StepError> {
        if let Some(why) = self.lost() {
            return Err(why);
        }
        let spending = Spending {
            run: self.state.started.run.clone(),
            visit,
            item,
            account: self.operator.clone(),
            at: self.world.site.now(),
            amounts: Spending::amounts_of(price),
        };
        self.world.budget.spend(&spending).map_err(|error| {
            StepError::new(StepErrorKind::Denied, error.to_string())
                .help("nothing was done; wait until there is room, or ask the administrators of this site")
        })
    }
}

/// What came of a change, for people.
fn told(
    step: &StepNode,
    node: &Node,
    item: Option<usize>,
    answer: &Result<Done<Value>, StepError>,
) -> String {
    let item = item.map_or(String::new(), |item| format!(", item {}", item + 1));
    let came = match answer {
        Ok(done) => format!("was carried out: {}", done.outcome),
        Err(error) => format!("broke: {error}"),
    };
    format!("{} at `{}`{item} {came}", step.kind, node.id)
}

/// What is known of a change after it was tried.
enum Settled {
    Answered(Done<Value>),
    /// It broke and provably did not happen.
    Not(StepError),
    /// It broke and may have happened.
    Doubt(String),
}

/// Performs a change, again only after a break that started nothing; after any other break looks whether it happened.
///
/// The leases are looked at right before each attempt: whoever was paused between consent and act may have been fenced off.
async fn performed(attempt: &Attempt, intent: &Value, leases: Vec<Arc<dyn Lease>>) -> Settled {
    let mut delay = attempt.retry.delay;
    let mut left = attempt.retry.attempts;
    let error = loop {
        left = left.saturating_sub(1);
        if let Some(why) = lost(leases.iter()) {
            return Settled::Not(why);
        }
        match attempt.once(intent).await {
            Ok(Performed::Done(done)) => return Settled::Answered(done),
            Ok(Performed::Ask(..)) => return Settled::Doubt("a change asked a person".to_owned()),
            Err(error)
                if left > 0
                    && error.kind == StepErrorKind::Unreachable
                    && attempt.retry.on.contains(&error.kind) =>
            {
                attempt.wait(&error, delay).await;
                delay = delay.mul_f64(attempt.retry.backoff);
            }
            Err(error) => break error,
        }
    };
    let untouched = matches!(
        error.kind,
        StepErrorKind::Params
            | StepErrorKind::Drifted
            | StepErrorKind::Unreachable
            | StepErrorKind::NotRecorded
    );
    if untouched {
        return Settled::Not(error);
    }
    match attempt.step.confirm(&attempt.cx, &attempt.params, intent).await {
        Ok(Confirmation::Happened(done)) => Settled::Answered(done),
        Ok(Confirmation::DidNot) => Settled::Not(error),
        Ok(Confirmation::Begun(what)) => Settled::Doubt(format!("{error}; it is half-made: {what}")),
        Ok(Confirmation::Unknown(why)) => {
            Settled::Doubt(format!("{error}; whether it happened is unknown: {why}"))
        }
        Err(probe) => Settled::Doubt(format!("{error}; whether it happened could not be looked up: {probe}")),
    }
}
