//! What the walker needs of a budget.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::run::RunId;
use crate::step::Price;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Nodes taken out of service.
    NodesDrained,
    /// Jobs stopped.
    JobsStopped,
    /// GPU-hours that stopped jobs lose: those since their last good checkpoint.
    GpuHoursStopped,
}

impl Measure {
    /// As it is written in a policy.
    pub fn name(self) -> &'static str {
        match self {
            Self::NodesDrained => "nodes_drained",
            Self::JobsStopped => "jobs_stopped",
            Self::GpuHoursStopped => "gpu_hours_stopped",
        }
    }
}

/// How much may be used up in any span of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// In the measure's unit.
    pub most: f64,
    /// The span's length.
    pub per: Duration,
}

/// The limits of a site; what has none is not limited.
pub type Limits = BTreeMap<Measure, Limit>;

/// What a change uses up. `None` is unknown, which is not zero; what is not named is not used.
pub type Amounts = BTreeMap<Measure, Option<f64>>;

/// What a change uses up, and whose change it is.
///
/// Run, visit and item are its key: a change that is tried again after it broke or was cut off is counted once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spending {
    /// The run.
    pub run: RunId,
    /// Its visit.
    pub visit: u64,
    /// Item of a fan-out.
    pub item: Option<usize>,
    /// Account that walks it.
    pub account: String,
    /// When.
    pub at: Timestamp,
    /// How much.
    pub amounts: Amounts,
}

impl Spending {
    /// What a price comes to. Jobs that it names are stopped; nodes of a price that stops no job are taken out of service.
    pub fn amounts_of(price: &Price) -> Amounts {
        let count = |names: &[String]| Some(names.len() as f64);
        if !price.jobs.is_empty() {
            // A job that holds no GPU loses no time on one.
            let hours = if price.gpus == Some(0) { Some(0.0) } else { price.gpu_hours_lost };
            return [(Measure::JobsStopped, count(&price.jobs)), (Measure::GpuHoursStopped, hours)].into();
        }
        if price.nodes.is_empty() {
            return Amounts::new();
        }
        [(Measure::NodesDrained, count(&price.nodes))].into()
    }

    /// Whether this is about the same change.
    pub fn same(&self, other: &Self) -> bool {
        (&self.run, self.visit, self.item) == (&other.run, other.visit, other.item)
    }
}

/// What a run has used of a limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Used {
    /// The run.
    pub run: RunId,
    /// Account that walks it.
    pub account: String,
    /// How much.
    pub amount: f64,
}

/// Why a change may not be made now.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BudgetError {
    /// There is no room.
    #[error("{}", exceeded(*.measure, *.limit, *.wanted, .used, *.again))]
    Exceeded {
        /// What is counted.
        measure: Measure,
        /// How much there may be.
        limit: Limit,
        /// How much this change uses.
        wanted: f64,
        /// Who used how much.
        used: Vec<Used>,
        /// When there is room, if nobody uses more until then; `None` if there is never room for so much.
        again: Option<Timestamp>,
    },
    /// How much this change uses is unknown, and it is limited.
    #[error("how much of {} this change uses is not known, and the site limits it", .0.name())]
    Unknown(Measure),
    /// What was used cannot be read or written down.
    #[error("the site's budget cannot be looked at: {0}")]
    Broken(String),
}

fn exceeded(measure: Measure, limit: Limit, wanted: f64, used: &[Used], again: Option<Timestamp>) -> String {
    /// Runs that are named.
    const NAMED: usize = 5;
    let per = jiff::SignedDuration::try_from(limit.per).unwrap_or(jiff::SignedDuration::MAX);
    let total: f64 = used.iter().map(|used| used.amount).sum();
    let mut by: Vec<String> = used
        .iter()
        .take(NAMED)
        .map(|used| format!("{} by run {} of {}", round(used.amount), used.run, used.account))
        .collect();
    if used.len() > NAMED {
        by.push(format!("the rest by {} more runs", used.len() - NAMED));
    }
    let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
    let again = match again {
        Some(at) => format!("there is room again at {}", at.strftime("%Y-%m-%d %H:%M:%SZ")),
        None => "there is never room for so much at once".to_owned(),
    };
    let (name, most) = (measure.name(), round(limit.most));
    format!(
        "the site allows {name} of {most} per {per:#}, of which {} are used{by}; this change takes {}: {again}",
        round(total),
        round(wanted)
    )
}

/// At most two digits after the point.
fn round(amount: f64) -> f64 {
    (amount * 100.0).round() / 100.0
}

/// The budget of all runs that share a state.
pub trait Budget: Send + Sync {
    /// Counts a change that is about to be made. On return it is on disk; among processes that spend at once, only as many
    /// succeed as there is room for.
    ///
    /// # Errors
    /// Why it may not be made: then nothing was counted.
    fn spend(&self, spending: &Spending) -> Result<(), BudgetError>;
}

/// No limits: for rehearsals and sites that set none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoBudget;

impl Budget for NoBudget {
    fn spend(&self, _spending: &Spending) -> Result<(), BudgetError> {
        Ok(())
    }
}
