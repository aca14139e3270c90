//! Boxes and arrows of a plan.

use std::collections::HashMap;

use serde_json::Value;

use crate::plan::{Approve, Body, EndKind, Enter, Next, Node, OnFailure, Plan, StepNode};
use crate::step::{Effect, Registry, StepSpec};
use crate::template::with_words;

/// A plan as boxes and arrows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// The runbook's title.
    pub title: String,
    /// In the order of the plan.
    pub boxes: Vec<ChartBox>,
    /// In the order of their boxes. Two boxes have at most one arrow of a kind between them in one direction.
    pub arrows: Vec<Arrow>,
    /// Whether it shows which way a run went.
    pub of_a_run: bool,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartBox {
    /// Its name in the plan.
    pub id: String,
    /// What it says.
    pub title: String,
    /// The box of the page's flow that it is.
    pub flow: Option<String>,
    /// The step it binds to, or the runbook it runs.
    pub step: Option<String>,
    /// What it is.
    pub kind: Kind,
    /// Whether it waits for a person's consent before it acts.
    pub gated: bool,
    /// The node that runs the runbook it is a part of; empty for the runbook itself.
    pub scope: String,
    /// How often a run came here.
    pub visits: u32,
    /// Whether a run stands here.
    pub here: bool,
}

/// What a box is: what it does to the world, or how it ends the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Computes; looks at nothing.
    Decides,
    /// Looks.
    Reads,
    /// Changes what can be changed back.
    Changes,
    /// Changes for good.
    Irreversible,
    /// Runs another runbook.
    Runbook,
    /// Ends the walk.
    End(EndKind),
    /// Binds to a step that this program does not know: the plan is of another version.
    Unknown,
}

/// Why one goes along an arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArrowKind {
    /// The box ended with an outcome.
    Outcome,
    /// A person said no.
    Declined,
    /// The step broke.
    Broke,
    /// Another runbook begins.
    Enters,
}

/// All ways of one kind from one box to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrow {
    /// The box where it begins.
    pub from: String,
    /// The box it leads to.
    pub to: String,
    /// Why one goes along it.
    pub kind: ArrowKind,
    /// The outcomes that lead along it; empty if there is nothing to tell apart.
    pub says: Vec<Says>,
    /// How often a run went along it.
    pub walked: u32,
}

/// One outcome of an arrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Says {
    /// The outcome, or `otherwise`.
    pub outcome: String,
    /// What the page writes on it.
    pub label: Option<String>,
}

impl Arrow {
    /// What is written on it: the page's words where it has some.
    pub fn text(&self) -> String {
        let words: Vec<&str> =
            self.says.iter().map(|says| says.label.as_deref().unwrap_or(&says.outcome)).collect();
        match self.kind {
            ArrowKind::Outcome => words.join(", "),
            ArrowKind::Declined => "no".to_owned(),
            ArrowKind::Broke => "if it breaks".to_owned(),
            ArrowKind::Enters => String::new(),
        }
    }
}

impl Chart {
    /// The boxes and arrows of a plan. `registry` tells what its steps do to the world.
    pub fn of(plan: &Plan, registry: &Registry) -> Self {
        let data = plan.data();
        let mut arrows = Arrows::default();
        for node in &data.nodes {
            match &node.body {
                Body::Step(step) => arrows.of_step(&node.id, step),
                Body::Enter(enter) => arrows.add(&node.id, &enter.start, ArrowKind::Enters, None),
                Body::End { end, .. } => {
                    if let Some(to) = surrounding(plan, node).and_then(|enter| enter.next.target(end.word()))
                    {
                        arrows.add(&node.id, to, ArrowKind::Outcome, None);
                    }
                }
            }
        }
        Self {
            title: data.title.clone(),
            boxes: data.nodes.iter().map(|node| of_node(plan, node, registry)).collect(),
            arrows: arrows.all,
            of_a_run: false,
        }
    }

    /// The box of this name.
    pub fn get(&self, id: &str) -> Option<&ChartBox> {
        self.boxes.iter().find(|one| one.id == id)
    }

    /// The arrows that begin at a box.
    pub fn leaving<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Arrow> {
        self.arrows.iter().filter(move |arrow| arrow.from == id)
    }
}

/// What surrounds a node of an inlined runbook.
pub(super) fn surrounding<'a>(plan: &'a Plan, node: &Node) -> Option<&'a Enter> {
    match &plan.node(&node.scope)?.body {
        Body::Enter(enter) => Some(enter),
        Body::Step(_) | Body::End { .. } => None,
    }
}

/// The parameters of a step, as far as they tell what it does whatever the values are.
fn without_values(step: &StepNode, spec: &StepSpec) -> Value {
    let mut with = step.with.clone();
    for (name, value) in with.as_object_mut().into_iter().flatten() {
        let shell = spec.params["properties"][name]["x-shell"] == Value::Bool(true);
        if let (true, Some(text)) = (shell, value.as_str()) {
            *value = Value::from(with_words(text));
        }
    }
    with
}

fn of_node(plan: &Plan, node: &Node, registry: &Registry) -> ChartBox {
    let (kind, step, gated) = match &node.body {
        Body::Step(step) => {
            let found = registry.get(&step.kind);
            let kind =
                found.map_or(Kind::Unknown, |found| found.effect(&without_values(step, found.spec())).into());
            let changes = matches!(kind, Kind::Changes | Kind::Irreversible);
            let gated = match step.approve {
                Approve::Default => changes,
                Approve::Required { .. } => true,
                Approve::Never => false,
            };
            (kind, Some(step.kind.clone()), gated)
        }
        Body::Enter(enter) => {
            let inner = plan.data().scopes.get(&enter.scope).map(|scope| scope.runbook.clone());
            (Kind::Runbook, inner, false)
        }
        Body::End { end, .. } => (Kind::End(*end), None, false),
    };
    ChartBox {
        id: node.id.clone(),
        title: node.title.clone(),
        flow: node.flow.clone(),
        step,
        kind,
        gated,
        scope: node.scope.clone(),
        visits: 0,
        here: false,
    }
}

impl From<Effect> for Kind {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Pure => Self::Decides,
            Effect::Reads => Self::Reads,
            Effect::Reversible => Self::Changes,
            Effect::Irreversible => Self::Irreversible,
        }
    }
}

#[derive(Default)]
struct Arrows {
    all: Vec<Arrow>,
    known: HashMap<(String, String, ArrowKind), usize>,
}

impl Arrows {
    fn of_step(&mut self, from: &str, step: &StepNode) {
        self.of_next(from, &step.next);
        if let Some(to) = &step.declined {
            self.add(from, to, ArrowKind::Declined, None);
        }
        if let OnFailure::Goto(to) = &step.on_failure {
            self.add(from, to, ArrowKind::Broke, None);
        }
    }

    fn of_next(&mut self, from: &str, next: &Next) {
        for edge in &next.edges {
            let says = Says { outcome: edge.outcome.clone(), label: edge.label.clone() };
            self.add(from, &edge.to, ArrowKind::Outcome, Some(says));
        }
        if let Some(to) = &next.otherwise {
            let says = Says { outcome: "otherwise".to_owned(), label: None };
            self.add(from, to, ArrowKind::Outcome, (!next.edges.is_empty()).then_some(says));
        }
    }

    fn add(&mut self, from: &str, to: &str, kind: ArrowKind, says: Option<Says>) {
        let key = (from.to_owned(), to.to_owned(), kind);
        let at = *self.known.entry(key).or_insert_with(|| {
            let (from, to) = (from.to_owned(), to.to_owned());
            self.all.push(Arrow { from, to, kind, says: Vec::new(), walked: 0 });
            self.all.len() - 1
        });
        self.all[at].says.extend(says);
    }
}
