//! Walks every path from the start, on copies of the state.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Value, json};

use super::overlay::{Overlay, Writes};
use super::tree::{Branch, DryRun, How, Shown};
use crate::plan::{Approve, Body, EndKind, Node, OnFailure, Plan, StepNode};
use crate::policy::{Demand, Intended, NoPolicy, ruling};
use crate::run::{Decision, Entry, GateItem, RunState, Started, decide};
use crate::site::{Site, digest};
use crate::step::{AnyPreview, Done, Effect, Performed, Step, StepCx, StepError, StepErrorKind};
use crate::template::{Standing, text};
use crate::walk::{
    Attempt, Entering, Item, WalkError, World, blame_unknown, entering, gather, initial_vars, items, outcome,
};

/// Nodes shown before the tree is cut: nobody reads more, and a tree that large says that the runbook is too large.
const MOST_SHOWN: usize = 2_000;

/// Shows every path that a real run could take from here.
///
/// # Errors
/// If the plan does not fit together or its initial variables cannot be evaluated. A step that breaks is part of the
/// tree, not an error.
pub async fn dry_run(started: Started, world: &World) -> Result<DryRun, WalkError> {
    let at = world.site.now();
    let plan = Arc::new(Plan::new(Arc::clone(&started.plan))?);
    let mut state = RunState::new(&Entry::Started(Box::new(started)), at)?;
    if let Some(scope) = plan.data().scopes.get("") {
        let vars = initial_vars(scope, &state)?;
        state.set_vars("", vars);
    }
    let mut explorer = Explorer { plan, world, seen: HashMap::new(), shown: 0, complete: true };
    let first = explorer.explore(Path { state, writes: Writes::new(), changed: false }).await?;
    Ok(world.redactor.dry(DryRun { first, complete: explorer.complete }))
}

/// A path so far.
#[derive(Clone)]
struct Path {
    state: RunState,
    /// Predicted contents of files.
    writes: Writes,
    /// A change lies on the path: what is read now may differ when the real run comes there.
    changed: bool,
}

impl Path {
    /// A second passage through a node lies beyond the horizon: what the first round would have changed cannot be told in
    /// detail. From there on anything may be found, so that one subtree stands for all further rounds. (Widening, as in
    /// abstract interpretation; without it the rounds multiply.)
    fn widen(&mut self, plan: &Plan, node: &Node) {
        if self.state.visits(&node.id) > 0 {
            self.state.forget(plan);
            self.writes.clear();
        }
    }
}

/// A possible answer of a node, before it is refined.
struct Possible {
    done: Done<Value>,
    standing: Standing,
    writes: Writes,
}

struct Explorer<'w> {
    plan: Arc<Plan>,
    world: &'w World,
    /// Numbers of what was shown already, by what it depends on.
    seen: HashMap<String, usize>,
    shown: usize,
    complete: bool,
}

type Exploring<'a> = Pin<Box<dyn Future<Output = Result<Shown, WalkError>> + Send + 'a>>;

impl Explorer<'_> {
    fn explore(&mut self, path: Path) -> Exploring<'_> {
        Box::pin(async move {
            let mut path = path;
            match decide(&self.plan, &path.state) {
                Decision::Visit { visit, node } => {
                    let node = self.node(&node)?;
                    path.widen(&self.plan, &node);
                    let Some(mut shown) = self.show(&path, &node) else {
                        return Ok(self.again(&path, &node));
                    };
                    self.visit(path, visit, &node, &mut shown).await?;
                    Ok(shown)
                }
                Decision::Enter { visit, node } => self.enter(path, visit, &node).await,
                Decision::Leave { end_node, end } => self.leave(path, &end_node, end).await,
                Decision::End { node, end } => {
                    let node = self.node(&node)?;
                    let mut shown = self.bare(&node);
                    shown.how = How::End { end, message: end_message(&node, &path.state) };
                    Ok(shown)
                }
                Decision::TooOften { node, .. } => {
                    let node = self.node(&node)?;
                    let mut shown = self.bare(&node);
                    shown.how = How::TooOften;
                    Ok(shown)
                }
                // On a path of a dry run nothing is ever in doubt, asked, held or taken back.
                other => Err(crate::run::StateError::Illegal(format!("{other:?} in a dry run")).into()),
            }
        })
    }

    async fn visit(
        &mut self,
        path: Path,
        visit: u64,
        node: &Node,
        shown: &mut Shown,
    ) -> Result<(), WalkError> {
        let Some(step) = node.step() else { return Ok(()) };
        let kind =
            self.world.registry.get(&step.kind).ok_or_else(|| WalkError::NoStep(step.kind.clone()))?.clone();
        let items = match items(node, step, kind.spec(), &path.state) {
            Ok(items) => items,
            Err(error) => return self.broke(path, visit, node, step, shown, error).await,
        };
        let names = items.first().map(|item| item.names.clone()).unwrap_or_default();
        shown.title = text(&node.title, &names).unwrap_or_else(|_| node.title.clone());
        let effect = items.iter().map(|item| kind.effect(&item.params.value)).max();
        let effect = effect.unwrap_or(Effect::Pure);
        let open: Vec<String> = items.iter().flat_map(|item| item.params.open.iter().cloned()).collect();
        if effect.changes() {
            shown.policy = self.tightened(&path, node, step, &*kind, effect, &items);
        }
        let declined = step.declined.is_some() && effect.changes();
        let possible = if !open.is_empty() {
            shown.how = How::Open { on: dedup(open), changes: effect.changes() };
            Ok(Vec::new())
        } else if effect.changes() {
            self.change(&path, node, step, &*kind, items, shown).await
        } else {
            self.read(&path, visit, node, step, &kind, items, shown).await
        };
        let possible = match possible {
            Ok(possible) => possible,
            Err(error) => return self.broke(path, visit, node, step, shown, error).await,
        };
        let mut path = path;
        path.changed |= effect.changes();
        // What was measured before any change is what a real run finds; otherwise every outcome remains possible.
        let certain = effect == Effect::Pure || shown.how == How::Read;
        let certain = certain && !possible.is_empty();
        let mut open: Vec<&String> = step.outcomes.iter().collect();
        for answer in possible {
            let (outcome, set) = match outcome(step, &names, &answer.done) {
                Ok(outcome) => outcome,
                Err(error) => return self.broke(path, visit, node, step, shown, error).await,
            };
            open.retain(|other| **other != outcome);
            let mut next = path.clone();
            next.writes.extend(answer.writes);
            let standing = if certain { answer.standing } else { answer.standing.max(Standing::Predicted) };
            let (summary, output) = (answer.done.summary, answer.done.output);
            self.branch(next, visit, node, step, shown, Taken { outcome, summary, output, set, standing })
                .await?;
        }
        if certain {
            return Ok(());
        }
        for outcome in open {
            let set = step.set.iter().map(|(name, _)| (name.clone(), Value::Null)).collect();
            let (summary, output, outcome) = (Vec::new(), Value::Null, outcome.clone());
            let taken = Taken { outcome, summary, output, set, standing: Standing::Open };
            self.branch(path.clone(), visit, node, step, shown, taken).await?;
        }
        if declined && let Some(to) = &step.declined {
            let mut state = path.state.clone();
            state.apply(&self.plan, &Entry::Declined { visit, node: node.id.clone() })?;
            let then = Box::new(self.explore(Path { state, ..path.clone() }).await?);
            let label = Some(to.clone());
            let (outcome, standing) = ("declined".to_owned(), Standing::Open);
            shown.branches.push(Branch {
                outcome,
                label,
                standing,
                summary: vec![],
                output: Value::Null,
                then,
            });
        }
        Ok(())
    }

    /// Follows one outcome.
    async fn branch(
        &mut self,
        mut path: Path,
        visit: u64,
        node: &Node,
        step: &StepNode,
        shown: &mut Shown,
        taken: Taken,
    ) -> Result<(), WalkError> {
        path.state.apply(
            &self.plan,
            &Entry::Finished {
                visit,
                node: node.id.clone(),
                outcome: taken.outcome.clone(),
                output: taken.output.clone(),
                summary: Vec::new(),
                set: taken.set,
                standing: taken.standing,
                changed: false,
                by: None,
            },
        )?;
        let edge = step.next.edges.iter().find(|edge| edge.outcome == taken.outcome);
        let label = edge.and_then(|edge| edge.label.clone());
        let then = Box::new(self.explore(path).await?);
        let Taken { outcome, summary, output, standing, .. } = taken;
        shown.branches.push(Branch { outcome, label, standing, summary, output, then });
        Ok(())
    }

    /// What the policy of the site adds to what the author wrote.
    fn tightened(
        &self,
        path: &Path,
        node: &Node,
        step: &StepNode,
        kind: &dyn Step,
        effect: Effect,
        items: &[Item],
    ) -> Option<Demand> {
        let started = &path.state.started;
        // What only a real run can know hides what would be hit.
        let open = items.is_empty() || items.iter().any(|item| !item.params.open.is_empty());
        let targets = items.iter().filter(|_| !open).flat_map(|item| kind.targets(&item.params.value));
        let targets: Vec<String> = targets.collect();
        let change = Intended {
            run: &started.run,
            runbook: &started.plan.runbook,
            node: &node.id,
            kind: &step.kind,
            effect,
            targets: &targets,
        };
        let alone = ruling(&NoPolicy, &step.approve, &change);
        match ruling(&*self.world.policy, &step.approve, &change) {
            Err(why) => Some(Demand::Forbidden(why)),
            Ok(Some(rule)) if alone != Ok(Some(rule.clone())) => Some(Demand::Gate(rule)),
            Ok(_) => None,
        }
    }

    /// Previews a change; its predicted outcomes come first.
    async fn change(
        &self,
        path: &Path,
        node: &Node,
        step: &StepNode,
        kind: &dyn Step,
        items: Vec<Item>,
        shown: &mut Shown,
    ) -> Result<Vec<Possible>, StepError> {
        let names = items.first().map(|item| item.names.clone()).unwrap_or_default();
        let mut gate = Vec::new();
        let mut answers = BTreeMap::new();
        let mut writes = Writes::new();
        let mut alone: Vec<(Done<Value>, bool)> = Vec::new();
        for item in items {
            let cx = self.cx(path, node);
            let preview = kind.preview(&cx, &item.params.value).await;
            let mut preview: AnyPreview = preview.map_err(|error| blame_unknown(error, &item.params))?;
            if let Some(done) = preview.nothing_to_do.take() {
                alone.push((done.clone(), true));
                answers.insert(item.index, Ok(done));
                continue;
            }
            gate.push(GateItem::new(kind.spec().kind, &item.params.value, &preview));
            writes.extend(preview.writes.into_iter().map(|write| (write.path, Arc::new(write.content))));
            for predicted in preview.predicted {
                let done = Done::new(predicted.outcome, predicted.output);
                answers.entry(item.index).or_insert_with(|| Ok(done.clone()));
                alone.push((done, false));
            }
        }
        shown.how = How::Change { items: gate, gated: step.approve != Approve::Never };
        if step.for_each.is_some() {
            let done = gather(step, &names, answers)?;
            return Ok(vec![Possible { done, standing: Standing::Predicted, writes }]);
        }
        let possible = alone.into_iter().enumerate().map(|(at, (done, nothing))| Possible {
            // Where there was nothing to do, that was measured.
            standing: if nothing { Standing::Known } else { Standing::Predicted },
            // The likeliest outcome is the one in which the files are written.
            writes: if at == 0 { writes.clone() } else { Writes::new() },
            done,
        });
        Ok(possible.collect())
    }

    /// Executes what only reads.
    #[expect(clippy::too_many_arguments, reason = "one visit")]
    async fn read(
        &self,
        path: &Path,
        visit: u64,
        node: &Node,
        step: &StepNode,
        kind: &Arc<dyn Step>,
        items: Vec<Item>,
        shown: &mut Shown,
    ) -> Result<Vec<Possible>, StepError> {
        let pure = kind.spec().effect == Effect::Pure;
        shown.how = if path.changed && !pure { How::ReadTooEarly } else { How::Read };
        // A read that waits for something to happen would wait for a change that nobody makes: it is left open.
        let standing = match (pure, items.iter().any(|item| item.params.predicted)) {
            (_, false) if !path.changed || pure => Standing::Known,
            (true, true) => Standing::Predicted,
            _ => Standing::Open,
        };
        let names = items.first().map(|item| item.names.clone()).unwrap_or_default();
        let mut answers = BTreeMap::new();
        for item in items {
            let attempt = Attempt {
                step: Arc::clone(kind),
                cx: self.cx(path, node),
                params: item.params.value.clone(),
                timeout: step.timeout,
                retry: step.retry.clone(),
                visit,
                node: node.id.clone(),
                listener: Arc::clone(&self.world.listener),
            };
            match attempt.read().await {
                Ok(Performed::Done(done)) => drop(answers.insert(item.index, Ok(done))),
                Ok(Performed::Ask(question, _)) => {
                    shown.how = How::Ask { prompt: question.prompt };
                    return Ok(Vec::new());
                }
                Err(error) => drop(answers.insert(item.index, Err(blame_unknown(error, &item.params)))),
            }
        }
        let done = gather(step, &names, answers)?;
        Ok(vec![Possible { done, standing, writes: Writes::new() }])
    }

    /// A step broke: the path ends here, or goes on where the author said.
    async fn broke(
        &mut self,
        mut path: Path,
        visit: u64,
        node: &Node,
        step: &StepNode,
        shown: &mut Shown,
        error: StepError,
    ) -> Result<(), WalkError> {
        shown.how = How::Failed { error: error.to_string(), help: error.help.clone() };
        let to = match &step.on_failure {
            OnFailure::Goto(to) if error.kind != StepErrorKind::NotRecorded => to,
            _ => {
                self.complete = false;
                return Ok(());
            }
        };
        path.state.apply(&self.plan, &Entry::Failed { visit, node: node.id.clone(), error })?;
        let then = Box::new(self.explore(path).await?);
        let (outcome, label, standing) = ("failed".to_owned(), Some(to.clone()), Standing::Known);
        shown.branches.push(Branch { outcome, label, standing, summary: vec![], output: Value::Null, then });
        Ok(())
    }

    async fn enter(&mut self, mut path: Path, visit: u64, id: &str) -> Result<Shown, WalkError> {
        let node = self.node(id)?;
        path.widen(&self.plan, &node);
        let Body::Enter(enter) = &node.body else { return Ok(self.bare(&node)) };
        let Some(mut shown) = self.show(&path, &node) else { return Ok(self.again(&path, &node)) };
        shown.how = How::Enter;
        match entering(&self.plan, &path.state, &node, enter) {
            Ok(Entering { inputs, vars }) => {
                path.state.apply(&self.plan, &Entry::Entered { visit, node: id.to_owned(), inputs, vars })?;
                let then = Box::new(self.explore(path).await?);
                let (outcome, standing) = ("enter".to_owned(), Standing::Known);
                shown.branches.push(Branch {
                    outcome,
                    label: None,
                    standing,
                    summary: vec![],
                    output: Value::Null,
                    then,
                });
            }
            Err(error) => {
                self.complete = false;
                shown.how = How::Failed { error: error.to_string(), help: None };
            }
        }
        Ok(shown)
    }

    async fn leave(&mut self, mut path: Path, end_node: &str, end: EndKind) -> Result<Shown, WalkError> {
        let node = self.node(end_node)?;
        let mut shown = self.bare(&node);
        let message = end_message(&node, &path.state);
        shown.how = How::End { end, message: message.clone() };
        let outer = node.scope.clone();
        let visit =
            path.state.trail.iter().rposition(|visit| visit.node == outer).map_or(0, |at| at as u64 + 1);
        path.state.apply(
            &self.plan,
            &Entry::Finished {
                visit,
                node: outer,
                outcome: end.word().to_owned(),
                output: json!({ "end": end.word(), "message": message }),
                summary: Vec::new(),
                set: BTreeMap::new(),
                standing: if path.changed { Standing::Predicted } else { Standing::Known },
                changed: false,
                by: None,
            },
        )?;
        let then = Box::new(self.explore(path).await?);
        let (outcome, standing) = (end.word().to_owned(), Standing::Known);
        shown.branches.push(Branch {
            outcome,
            label: None,
            standing,
            summary: vec![],
            output: Value::Null,
            then,
        });
        Ok(shown)
    }

    fn cx(&self, path: &Path, node: &Node) -> StepCx {
        let overlay = Overlay::new(Arc::clone(&self.world.site), path.writes.clone());
        let mut cx = StepCx::new(Arc::new(overlay) as Arc<dyn Site>, format!("dry-run/{}", node.id));
        cx.cancel = self.world.cancel.clone();
        cx
    }

    fn node(&self, id: &str) -> Result<Node, WalkError> {
        let missing = || crate::run::StateError::Illegal(format!("node {id} is not in the plan"));
        Ok(self.plan.node(id).ok_or_else(missing)?.clone())
    }

    /// A new place in the tree, or `None` where it would repeat one or the tree is full.
    fn show(&mut self, path: &Path, node: &Node) -> Option<Shown> {
        let key = fingerprint(path, node);
        if self.seen.contains_key(&key) || self.shown >= MOST_SHOWN || self.world.cancel.is_cancelled() {
            return None;
        }
        let shown = self.bare(node);
        self.seen.insert(key, shown.number);
        Some(shown)
    }

    fn again(&mut self, path: &Path, node: &Node) -> Shown {
        let known = self.seen.get(&fingerprint(path, node)).copied();
        let mut shown = self.bare(node);
        shown.how = match known {
            Some(number) => How::Again { number },
            None => {
                self.complete = false;
                How::Cut
            }
        };
        shown
    }

    fn bare(&mut self, node: &Node) -> Shown {
        self.shown += 1;
        Shown {
            number: self.shown,
            node: node.id.clone(),
            title: node.title.clone(),
            flow: node.flow.clone(),
            kind: node.step().map(|step| step.kind.clone()),
            how: How::Read,
            policy: None,
            branches: Vec::new(),
        }
    }
}

/// An outcome that is followed.
struct Taken {
    outcome: String,
    summary: Vec<String>,
    output: Value,
    set: BTreeMap<String, Value>,
    standing: Standing,
}

fn dedup(mut paths: Vec<String>) -> Vec<String> {
    paths.sort();
    paths.dedup();
    paths
}

fn end_message(node: &Node, state: &RunState) -> Option<String> {
    let Body::End { message: Some(template), .. } = &node.body else { return None };
    let names = state.names(node);
    Some(text(template, &names).unwrap_or_else(|_| template.clone()).trim().to_owned())
}

/// What everything that follows depends on: the node and all that templates can see. How often a node was visited is
/// left out: it only decides when a loop gives up.
fn fingerprint(path: &Path, node: &Node) -> String {
    let writes: Vec<(&String, String)> =
        path.writes.iter().map(|(name, content)| (name, digest(content))).collect();
    format!(
        "{} {} {}",
        node.id,
        digest(format!("{writes:?}").as_bytes()),
        path.state.seen_by_templates(path.changed)
    )
}
