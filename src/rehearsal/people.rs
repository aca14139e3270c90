//! The people of a scenario: they answer what is written, and agree where nothing is.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use engine::run::{Answer, AskedOf, Decided, Gate, Operator};
use engine::step::Question;

/// The people of a scenario.
pub(crate) struct Scripted {
    answers: BTreeMap<String, Vec<String>>,
    /// Visits that asked, by node: the n-th takes the n-th answer.
    asked: Mutex<HashMap<String, Vec<u64>>>,
    /// Who answers what is not written.
    others: Option<Arc<dyn Operator>>,
}

impl Scripted {
    /// People with these answers, by node. What is not written `others` answer; without them gates are agreed to, and
    /// questions stay open.
    pub(crate) fn new(answers: BTreeMap<String, Vec<String>>, others: Option<Arc<dyn Operator>>) -> Self {
        Self { answers, asked: Mutex::default(), others }
    }

    /// What is written for this visit.
    fn written(&self, at: &AskedOf) -> Option<&str> {
        let answers = self.answers.get(&at.node)?;
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let visits = asked.entry(at.node.clone()).or_default();
        let turn = visits.iter().position(|visit| *visit == at.visit).unwrap_or_else(|| {
            visits.push(at.visit);
            visits.len() - 1
        });
        answers.get(turn).or(answers.last()).map(String::as_str)
    }
}

/// An answer of somebody who has not answered yet.
fn given<T>(at: &AskedOf, value: T) -> Answer<T> {
    let name = |number: usize| format!("person {number}");
    let by = (1..).map(name).find(|name| !at.answered.contains(name)).unwrap_or_default();
    Answer::Given(Decided { value, by, via: Some("scenario".to_owned()), reason: None, at_once: true })
}

#[async_trait]
impl Operator for Scripted {
    async fn consent(&self, at: &AskedOf, gate: &Gate) -> Answer<bool> {
        match (self.written(at), &self.others) {
            (Some("nobody"), _) => Answer::Nobody,
            (Some("no"), _) => given(at, false),
            (Some("yes"), _) | (_, None) => given(at, true),
            (_, Some(others)) => others.consent(at, gate).await,
        }
    }

    async fn choose(&self, at: &AskedOf, question: &Question) -> Answer<String> {
        let fits = |word: &&str| question.choices.iter().any(|choice| choice.outcome == **word);
        match (self.written(at).filter(fits), &self.others) {
            (Some(word), _) => given(at, word.to_owned()),
            (None, Some(others)) => others.choose(at, question).await,
            (None, None) => Answer::Nobody,
        }
    }

    /// Whoever answers may.
    async fn is_member(&self, _account: &str, _group: &str) -> Option<bool> {
        Some(true)
    }
}
