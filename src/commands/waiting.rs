//! What a run waits for, from its journal and from the answers that were left for it.

use std::collections::BTreeSet;

use engine::journal::{Record, Store, SummaryState, fold};
use engine::run::{Entry, Gate, Mode, Phase, Replied, Reply, RunId, RunState, Word};
use engine::step::Question;
use jiff::Timestamp;

use crate::error::CliError;
use crate::terminal::{Place, who};

/// What a run asks.
#[derive(Debug, Clone)]
pub(super) enum Asks {
    /// Consent.
    Gate(Box<Gate>),
    /// One of several outcomes.
    Question(Question),
}

/// A run that waits for an answer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub run: RunId,
    pub visit: u64,
    pub node: String,
    pub asks: Asks,
    /// Since when.
    pub since: Timestamp,
    /// Whether a process walks it and hears answers at once.
    pub walked: bool,
    pub state: RunState,
    /// What stands around it, with who agreed; answers that were left and not heard yet are in it.
    pub place: Place,
    /// Accounts that were heard, or left an answer to just this.
    pub answered: BTreeSet<String>,
    /// Who left a "no" that was not heard yet.
    pub no: BTreeSet<String>,
}

impl Waiting {
    /// What this run waits for; `Err` is what it does instead.
    pub(super) fn of(store: &dyn Store, run: &RunId) -> Result<Result<Self, String>, CliError> {
        let walked = store.summary(run)?.state == SummaryState::Running;
        let records = store.records(run)?;
        let (plan, state) = fold(&records).map_err(CliError::Internal)?;
        if matches!(state.started.mode, Mode::Rehearsal { .. }) {
            return Ok(Err("it is a rehearsal, in which nothing is real".to_owned()));
        }
        let Some((visit, current)) = state.current() else {
            return Ok(Err("it has only begun".to_owned()));
        };
        let node = current.node.clone();
        let (asks, mut agreed, mut answered) = match &current.phase {
            _ if matches!(state.position, engine::run::Position::Ended { .. }) => {
                return Ok(Err("it is over".to_owned()));
            }
            Phase::Gate { gate, agreed, answered } => {
                (Asks::Gate(gate.clone()), agreed.clone(), answered.clone())
            }
            Phase::Asked { question, .. } => {
                (Asks::Question(question.clone()), BTreeSet::new(), BTreeSet::new())
            }
            Phase::Approved(_) => return Ok(Err("enough people agreed already".to_owned())),
            Phase::Declined => return Ok(Err("somebody said no already".to_owned())),
            _ if walked => return Ok(Err("it is at work".to_owned())),
            _ => return Ok(Err(format!("it waits for `runbook resume {run}`, not for an answer"))),
        };
        let mut no = BTreeSet::new();
        for Replied { reply, account, .. } in store.replies(run)? {
            let about = match &asks {
                Asks::Gate(gate) => gate.about(),
                Asks::Question(question) => Reply::about_question(question),
            };
            if reply.visit != visit || reply.about != about {
                continue;
            }
            let counts = match &asks {
                Asks::Gate(gate) => cannot_count(gate, &state, &account).is_none(),
                Asks::Question(_) => true,
            };
            match reply.word {
                Word::Approve if counts && !answered.contains(&account) => {
                    agreed.insert(account.clone());
                }
                Word::Deny if counts || state.operators.contains(&account) => {
                    no.insert(account.clone());
                }
                _ => {}
            }
            answered.insert(account);
        }
        let mut place = plan.node(&node).map(Place::of).unwrap_or_default();
        (place.operators, place.agreed) = (state.operators.clone(), agreed);
        let since = match &asks {
            Asks::Gate(gate) => gate.opened,
            Asks::Question(_) => asked_at(&records, visit),
        };
        let run = run.clone();
        Ok(Ok(Self { run, visit, node, asks, since, walked, state, place, answered, no }))
    }

    /// What is asked, one sentence.
    pub(super) fn prompt(&self) -> &str {
        match &self.asks {
            Asks::Gate(gate) => &gate.prompt,
            Asks::Question(question) => &question.prompt,
        }
    }

    /// Who has to answer, in words.
    pub(super) fn needs(&self) -> String {
        match &self.asks {
            Asks::Gate(gate) => who(&gate.rule, &self.state.operators),
            Asks::Question(_) => "1 person".to_owned(),
        }
    }

    /// When it stops to wait.
    pub(super) fn closes(&self) -> Option<Timestamp> {
        match &self.asks {
            Asks::Gate(gate) => gate.closes(),
            Asks::Question(_) => None,
        }
    }

    /// Whether that is past.
    pub(super) fn closed(&self) -> bool {
        self.closes().is_some_and(|closes| Timestamp::now() >= closes)
    }

    /// Whether as many agreed as have to.
    pub(super) fn enough(&self) -> bool {
        matches!(&self.asks, Asks::Gate(gate) if self.place.agreed.len() >= gate.rule.by as usize)
    }

    /// The commands that answer it.
    pub(super) fn commands(&self) -> Vec<String> {
        let run = &self.run;
        match &self.asks {
            _ if self.closed() => vec![format!("runbook resume {run}")],
            Asks::Gate(_) if self.enough() && !self.walked => vec![format!("runbook resume {run}")],
            Asks::Gate(_) => {
                vec![format!("runbook approve {run}"), format!("runbook deny {run} --reason …")]
            }
            Asks::Question(question) => {
                let outcomes: Vec<&str> =
                    question.choices.iter().map(|choice| choice.outcome.as_str()).collect();
                vec![format!("runbook answer {run} {}", outcomes.join("|"))]
            }
        }
    }
}

/// Why a yes of this account would not count, if it would not.
pub(super) fn cannot_count(gate: &Gate, state: &RunState, account: &str) -> Option<String> {
    let walks = state.operators.contains(account);
    gate.rule.refusal(account, walks, |group| engine::account::is_member(account, group))
}

fn asked_at(records: &[Record], visit: u64) -> Timestamp {
    let asked = |record: &&Record| matches!(&record.entry, Entry::Asked { visit: of, .. } if *of == visit);
    records.iter().rev().find(asked).or(records.last()).map_or(Timestamp::UNIX_EPOCH, |record| record.at)
}
