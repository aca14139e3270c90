//! The person at the terminal, or the flags that answer in their place. Fails closed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use engine::plan::PlanData;
use engine::run::{Answer, AskedOf, Decided, Gate, Operator};
use engine::step::Question;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::card::{self, Detail};
use super::clean::line;
use super::keyboard::Keyboard;
use super::reporter::Reporter;
use super::screen::{Screen, Stream};

/// Who answers without being asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Consent {
    /// Gates.
    pub gates: Gates,
    /// `--answer`: questions, by node.
    pub questions: HashMap<String, String>,
}

/// Who answers gates without being asked.
#[derive(Debug, Clone, Default)]
pub(crate) enum Gates {
    /// Nobody: every gate asks.
    #[default]
    Ask,
    /// `--yes`: all gates.
    All,
    /// `--approve`: the gates of these nodes.
    Nodes(BTreeSet<String>),
    /// A rehearsal, in which nothing is real.
    Rehearsal,
}

impl Gates {
    /// What answers the gate of this node, if anything does.
    fn answered(&self, node: &str) -> Option<&'static str> {
        match self {
            Self::Ask => None,
            Self::All => Some("--yes"),
            Self::Nodes(nodes) => {
                let named = nodes.contains(node) || nodes.contains(own_name(node));
                named.then_some("--approve")
            }
            Self::Rehearsal => Some("rehearsal"),
        }
    }
}

/// The name of a node within its own runbook.
fn own_name(node: &str) -> &str {
    node.rsplit('/').next().unwrap_or(node)
}

/// A gate that shows something else each time it is looked at is not answered for ever.
const MOST_ASKS: u32 = 5;

/// The person at the terminal.
pub(crate) struct Person {
    account: String,
    consent: Consent,
    /// Where to ask and where to read the answer; `None` where nobody could see or answer.
    terminal: Option<(Arc<Screen>, &'static Keyboard)>,
    reporter: Arc<Reporter>,
    cancel: CancellationToken,
    asked: Mutex<HashMap<u64, u32>>,
    /// Parameters of the nodes as written, for details.
    written: HashMap<String, Value>,
}

impl Person {
    /// The person at this terminal. `screen` is where the reporter writes; if nobody sees that, they are asked on
    /// standard error.
    pub(crate) fn new(
        account: String,
        consent: Consent,
        screen: &Arc<Screen>,
        reporter: Arc<Reporter>,
        cancel: CancellationToken,
        plan: &PlanData,
    ) -> Self {
        let seen =
            if screen.terminal().is_some() { Arc::clone(screen) } else { Arc::new(Screen::on(Stream::Err)) };
        let terminal =
            Keyboard::of_terminal().filter(|_| seen.terminal().is_some()).map(|keyboard| (seen, keyboard));
        let written =
            plan.nodes.iter().filter_map(|node| Some((node.id.clone(), node.step()?.with.clone()))).collect();
        Self { account, consent, terminal, reporter, cancel, asked: Mutex::default(), written }
    }

    fn decided<T>(&self, value: T, reason: Option<String>) -> Answer<T> {
        Answer::Given(Decided { value, by: self.account.clone(), via: None, reason, at_once: false })
    }

    fn given<T>(&self, value: T, via: &str) -> Answer<T> {
        let (by, via) = (self.account.clone(), Some(via.to_owned()));
        Answer::Given(Decided { value, by, via, reason: None, at_once: true })
    }

    /// Whether this visit has asked too often.
    fn tired_of(&self, visit: u64) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let count = asked.entry(visit).or_insert(0);
        *count += 1;
        *count > MOST_ASKS
    }

    /// Shows a prompt and reads the line typed after it.
    async fn read(&self, screen: &Screen, keyboard: &Keyboard, prompt: &str) -> Option<String> {
        self.reporter.quiet();
        keyboard.forget().await;
        screen.raw(&screen.paint.bold(prompt));
        let typed = tokio::select! {
            typed = keyboard.line() => typed,
            () = self.cancel.cancelled() => None,
        };
        if typed.is_none() {
            screen.line("");
        }
        typed.map(|typed| typed.trim().to_owned())
    }

    /// Everything there is to know, the card last: it is what the answer is about.
    fn details(&self, screen: &Screen, at: &AskedOf, gate: &Gate) {
        let json = |head: &str, value: &Value| {
            screen.line(format!("   {head}"));
            let text = super::exact(&serde_json::to_string_pretty(value).unwrap_or_default());
            text.lines().for_each(|text| screen.line(format!("     {text}")));
        };
        json("the gate as it is kept in the journal", &serde_json::to_value(gate).unwrap_or_default());
        if let Some(with) = self.written.get(&at.node) {
            json("parameters as written in the runbook", with);
        }
        screen.line(format!("   node {}, step {}, run {}", at.node, gate.kind, at.run));
        screen.line("   consent is bound to the digest");
        screen.line(format!("     {}", gate.digest));
        screen.lines(&card::gate(screen, &self.reporter.place(&at.node), gate, Detail::Whole));
    }
}

#[async_trait]
impl Operator for Person {
    async fn consent(&self, at: &AskedOf, gate: &Gate) -> Answer<bool> {
        // Some gates (taking back) are no entries of the journal: the reporter has not shown them.
        let shown = self.reporter.shows(&gate.digest);
        if at.answered.contains(&self.account) {
            return Answer::Nobody;
        }
        if let Some(via) = self.consent.gates.answered(&at.node) {
            if !shown {
                self.reporter.gate(&at.node, gate);
            }
            if self.tired_of(at.visit) {
                let text = "   what this gate shows changes each time: a person has to look at it";
                self.reporter.note(text);
                return Answer::Nobody;
            }
            return self.given(true, via);
        }
        let Some((screen, keyboard)) = &self.terminal else {
            if !shown {
                self.reporter.gate(&at.node, gate);
            }
            return Answer::Nobody;
        };
        if !shown || self.reporter.blind() {
            screen.lines(&card::gate(screen, &self.reporter.place(&at.node), gate, Detail::Glance));
        }
        loop {
            let typed = self.read(screen, keyboard, "Approve? [y]es / [n]o / [d]etails / [l]ater: ").await;
            match typed.map(|typed| typed.to_lowercase()).as_deref() {
                Some("y" | "yes") => return self.decided(true, None),
                Some("n" | "no") => {
                    let reason = self.read(screen, keyboard, "Why not? (Enter to skip) ").await;
                    return self
                        .decided(false, reason.map(|text| line(&text)).filter(|text| !text.is_empty()));
                }
                Some("d" | "details") => self.details(screen, at, gate),
                Some("l" | "later") | None => return Answer::Nobody,
                // Nothing is taken for an answer that is not one: Enter least of all.
                Some(_) => screen.line("Please type y, n, d or l."),
            }
        }
    }

    async fn choose(&self, at: &AskedOf, question: &Question) -> Answer<String> {
        let answers = &self.consent.questions;
        let given = answers.get(&at.node).or_else(|| answers.get(own_name(&at.node)));
        // An answer is for the question of the node; what the program asks of its own at a node is another question.
        if let Some(given) =
            given.filter(|given| question.choices.iter().any(|choice| choice.outcome == **given))
            && !self.tired_of(at.visit)
        {
            return self.given(given.clone(), "--answer");
        }
        let Some((screen, keyboard)) = &self.terminal else { return Answer::Nobody };
        screen.lines(&card::question(screen, &self.reporter.place(&at.node), question));
        let prompt = format!("Answer 1-{} or [l]ater: ", question.choices.len());
        loop {
            let Some(typed) = self.read(screen, keyboard, &prompt).await else { return Answer::Nobody };
            if matches!(typed.as_str(), "l" | "later") {
                return Answer::Nobody;
            }
            let at =
                typed.parse::<usize>().ok().and_then(|number| question.choices.get(number.checked_sub(1)?));
            match at.or_else(|| question.choices.iter().find(|choice| choice.outcome == typed)) {
                Some(choice) => return self.decided(choice.outcome.clone(), None),
                None => screen.line(format!("Please type a number from 1 to {}.", question.choices.len())),
            }
        }
    }

    async fn is_member(&self, account: &str, group: &str) -> Option<bool> {
        let output = tokio::process::Command::new("id").args(["-Gn", "--", account]).output().await.ok()?;
        let groups = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
        Some(groups.split_whitespace().any(|name| name == group))
    }
}
