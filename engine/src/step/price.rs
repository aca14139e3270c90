//! What a change costs others, as far as it is known before it is made.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Who and what a change hits, and what is lost by it. `None` is unknown, which is not zero; an empty list names nobody,
/// either because nobody is hit or because it is not known who.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Price {
    /// GPUs that are stopped, taken or put out of service.
    pub gpus: Option<u64>,
    /// Nodes, by the names that the cluster has for them.
    pub nodes: Vec<String>,
    /// Accounts whose work is hit.
    pub users: Vec<String>,
    /// Jobs, by the ids that the cluster has for them.
    pub jobs: Vec<String>,
    /// Training steps since the last good checkpoint.
    pub steps_lost: Option<u64>,
    /// GPU-hours since the last good checkpoint.
    pub gpu_hours_lost: Option<f64>,
}

impl Price {
    /// The price of a change that provably hits no GPU and no job: an edit of a file, a message.
    pub fn nothing() -> Self {
        Self { gpus: Some(0), steps_lost: Some(0), gpu_hours_lost: Some(0.0), ..Self::default() }
    }

    /// Whether this is known to be [`Self::nothing`].
    pub fn is_nothing(&self) -> bool {
        *self == Self::nothing()
    }

    /// What consent is bound to. What is lost grows by itself while a gate waits, and is left out: what was agreed to is who
    /// and what is hit.
    pub fn bound(&self) -> Value {
        json!([self.gpus, self.nodes, self.users, self.jobs])
    }

    /// All of them together: what is unknown of one is unknown of the sum, and what several name is counted once.
    pub fn total<'a>(prices: impl IntoIterator<Item = &'a Self>) -> Self {
        let (mut nodes, mut users, mut jobs) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut sum = Self::nothing();
        for price in prices {
            nodes.extend(price.nodes.iter().cloned());
            users.extend(price.users.iter().cloned());
            jobs.extend(price.jobs.iter().cloned());
            sum.gpus = sum.gpus.zip(price.gpus).and_then(|(a, b)| a.checked_add(b));
            sum.steps_lost = sum.steps_lost.zip(price.steps_lost).and_then(|(a, b)| a.checked_add(b));
            sum.gpu_hours_lost = sum.gpu_hours_lost.zip(price.gpu_hours_lost).map(|(a, b)| a + b);
        }
        let listed = |set: BTreeSet<String>| set.into_iter().collect();
        Self { nodes: listed(nodes), users: listed(users), jobs: listed(jobs), ..sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(job: &str, gpus: Option<u64>, hours: Option<f64>) -> Price {
        Price {
            gpus,
            nodes: vec!["gpu-20".into()],
            users: vec!["ada".into()],
            jobs: vec![job.into()],
            steps_lost: Some(3),
            gpu_hours_lost: hours,
        }
    }

    #[test]
    fn unknown_stays_unknown_in_a_sum() {
        let sum = Price::total([&stop("2", Some(8), Some(1.5)), &stop("1", Some(4), Some(0.5))]);
        assert_eq!((sum.gpus, sum.steps_lost, sum.gpu_hours_lost), (Some(12), Some(6), Some(2.0)));
        assert_eq!(
            (sum.nodes, sum.users, sum.jobs),
            (vec!["gpu-20".into()], vec!["ada".into()], vec!["1".into(), "2".into()])
        );
        let sum = Price::total([&stop("2", None, Some(1.5)), &stop("1", Some(4), None)]);
        assert_eq!((sum.gpus, sum.steps_lost, sum.gpu_hours_lost), (None, Some(6), None));
        assert!(Price::total([]).is_nothing() && Price::total([&Price::nothing()]).is_nothing());
        assert!(!Price::default().is_nothing(), "unknown is not nothing");
    }

    #[test]
    fn consent_is_bound_to_who_is_hit_and_not_to_what_grows() {
        let price = stop("1", Some(8), Some(1.0));
        let grown = Price { gpu_hours_lost: Some(9.0), steps_lost: None, ..price.clone() };
        assert_eq!(price.bound(), grown.bound());
        for other in [
            Price { gpus: None, ..price.clone() },
            Price { nodes: vec![], ..price.clone() },
            Price { users: vec!["bob".into()], ..price.clone() },
            Price { jobs: vec!["2".into()], ..price.clone() },
        ] {
            assert_ne!(price.bound(), other.bound());
        }
    }
}
