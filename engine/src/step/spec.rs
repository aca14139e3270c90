//! The data that describes a step kind.

use serde::Serialize;
use serde_json::Value;

/// Whether a step may alter anything outside the engine; the later, the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Computes from its parameters alone: the same answer at any time, also in a dry run on predicted values.
    Pure,
    /// Looks at the site and alters nothing: executed in a dry run.
    Reads,
    /// Alters something, and its `undo` can take it back.
    Reversible,
    /// Alters something for good.
    Irreversible,
}

impl Effect {
    /// Whether this is a change, which waits at a gate and is not executed in a dry run.
    pub fn changes(self) -> bool {
        matches!(self, Self::Reversible | Self::Irreversible)
    }
}

/// One word a step can end with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutcomeSpec {
    /// The word, `snake_case`.
    pub name: String,
    /// When it is the answer.
    pub help: String,
}

/// The outcomes of a step kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcomes {
    /// Always these.
    Fixed(Vec<OutcomeSpec>),
    /// The keys that the author wrote under the parameter `under` (`None`: under `with` itself), and these.
    Keys {
        /// The parameter that holds the map (or list of words) of outcomes.
        under: Option<&'static str>,
        /// Outcomes that are always there.
        also: Vec<OutcomeSpec>,
    },
}

impl Outcomes {
    /// Fixed outcomes from pairs of name and help.
    pub fn fixed(pairs: &[(&str, &str)]) -> Self {
        Self::Fixed(specs(pairs))
    }

    /// Outcomes named by the author, and these.
    pub fn keys(under: Option<&'static str>, also: &[(&str, &str)]) -> Self {
        Self::Keys { under, also: specs(also) }
    }

    /// The outcomes of a node whose `with`, as written, is this.
    pub fn of(&self, with: &Value) -> Vec<OutcomeSpec> {
        match self {
            Self::Fixed(specs) => specs.clone(),
            Self::Keys { under, also } => {
                let holder = under.map_or(Some(with), |key| with.get(key));
                let named = |name: &str| OutcomeSpec { name: name.to_owned(), help: String::new() };
                let mut all: Vec<OutcomeSpec> = match holder {
                    Some(Value::Object(map)) => map.keys().map(|name| named(name)).collect(),
                    Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(named).collect(),
                    _ => Vec::new(),
                };
                all.extend(also.iter().cloned());
                all
            }
        }
    }
}

fn specs(pairs: &[(&str, &str)]) -> Vec<OutcomeSpec> {
    pairs
        .iter()
        .map(|(name, help)| OutcomeSpec { name: (*name).to_owned(), help: (*help).to_owned() })
        .collect()
}

/// Something that a parameter asks for and that has no bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unbounded {
    /// The parameter.
    pub param: &'static str,
    /// What about it: `` `tail -f` never ends ``.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// Everything that is known of a step kind without running it.
#[derive(Debug, Clone, Serialize)]
pub struct StepSpec {
    /// Its name in a runbook: `family.verb`.
    pub kind: &'static str,
    /// One line for lists.
    pub summary: &'static str,
    /// What it does at most; [`Step::effect`](super::Step::effect) may say less for given parameters.
    pub effect: Effect,
    /// The words it can end with.
    pub outcomes: Outcomes,
    /// JSON Schema of `with`. A property with `"x-shell": true` is text for a shell: values interpolated into it are
    /// quoted by the template engine.
    pub params: Value,
    /// JSON Schema of its output.
    pub output: Value,
}
