//! The person at the terminal, or the flags that answer in their place. Fails closed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use engine::plan::{Node, PlanData};
use engine::run::{Answer, AskedOf, Decided, Gate, Operator, Word};
use engine::step::Question;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::card::{self, Detail};
use super::clean::line;
use super::elsewhere::{Answered, Asked, Elsewhere, Found, Patience};
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
    /// What is run, for details.
    plan: Arc<PlanData>,
    /// Where others leave their answers; `None` where nothing is real.
    elsewhere: Option<Elsewhere>,
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
        plan: Arc<PlanData>,
        elsewhere: Option<Elsewhere>,
    ) -> Self {
        let seen =
            if screen.terminal().is_some() { Arc::clone(screen) } else { Arc::new(Screen::on(Stream::Err)) };
        let terminal =
            Keyboard::of_terminal().filter(|_| seen.terminal().is_some()).map(|keyboard| (seen, keyboard));
        Self { account, consent, terminal, reporter, cancel, asked: Mutex::default(), plan, elsewhere }
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
        let node = self.plan.nodes.iter().find(|node| node.id == at.node);
        if let Some(step) = node.and_then(Node::step) {
            json("parameters as written in the runbook", &step.with);
        }
        screen.line(format!("   node {}, step {}, run {}", at.node, gate.kind, at.run));
        screen.line("   consent is bound to the digest");
        screen.line(format!("     {}", gate.digest));
        screen.lines(&card::gate(screen, &self.reporter.place(&at.node), gate, Detail::Whole));
    }
}

/// What came first.
enum Heard {
    /// A line that was typed; `None` at the end of input.
    Typed(Option<String>),
    /// An answer from elsewhere.
    Elsewhere(Answered),
}

impl Person {
    /// An answer from elsewhere that is there already. What does not count is told.
    async fn answered_before(&self, at: &AskedOf, asked: Asked<'_>) -> Option<Answered> {
        let elsewhere = self.elsewhere.as_ref()?;
        loop {
            match elsewhere.now(at, asked).await? {
                Found::Answer(answered) => {
                    elsewhere.take(&answered);
                    return Some(answered);
                }
                Found::Note(text) => self.reporter.note(&format!("   {text}")),
            }
        }
    }

    /// Waits for an answer from elsewhere alone, as long as there is patience.
    async fn wait(&self, at: &AskedOf, asked: Asked<'_>) -> Option<Answered> {
        let elsewhere = self.elsewhere.as_ref()?;
        let limit = match elsewhere.patience {
            Patience::Parks => return None,
            Patience::For(limit) => Some(limit),
            Patience::Endless => None,
        };
        let verb = if matches!(asked, Asked::Gate(_)) { "approve" } else { "answer" };
        self.reporter.note(&format!("   waits for an answer: runbook {verb} {}", at.run));
        let waiting = async {
            loop {
                match elsewhere.next(at, asked).await {
                    Found::Answer(answered) => return answered,
                    Found::Note(text) => self.reporter.note(&format!("   {text}")),
                }
            }
        };
        let answered = match limit {
            Some(limit) => tokio::time::timeout(limit, waiting).await.ok()?,
            None => waiting.await,
        };
        elsewhere.take(&answered);
        Some(answered)
    }

    /// Waits for a line and for answers from elsewhere at the same time.
    async fn hear(
        &self,
        (screen, keyboard): (&Screen, &Keyboard),
        prompt: &str,
        at: &AskedOf,
        asked: Asked<'_>,
    ) -> Heard {
        loop {
            let Some(elsewhere) = &self.elsewhere else {
                return Heard::Typed(self.read(screen, keyboard, prompt).await);
            };
            let found = tokio::select! {
                biased;
                typed = self.read(screen, keyboard, prompt) => return Heard::Typed(typed),
                found = elsewhere.next(at, asked) => found,
            };
            // The prompt stands there still.
            screen.line("");
            match found {
                Found::Answer(answered) => {
                    elsewhere.take(&answered);
                    return Heard::Elsewhere(answered);
                }
                Found::Note(text) => screen.line(format!("   {text}")),
            }
        }
    }

    /// The answer of the person at the terminal to a gate: a "no" that was left elsewhere before it goes first.
    async fn agreed(&self, at: &AskedOf, gate: &Gate) -> Answer<bool> {
        let Some(elsewhere) = &self.elsewhere else { return self.decided(true, None) };
        match elsewhere.now(at, Asked::Gate(gate)).await {
            Some(Found::Answer(other)) if other.word == Word::Deny => {
                self.reporter.note("   somebody said no at the same time; your yes is not used");
                elsewhere.take(&other);
                return Answer::Given(other.decided(false));
            }
            Some(Found::Answer(other)) if at.agreed.len() + 1 >= gate.rule.by as usize => {
                self.reporter.note(&format!("   {} agreed as well; yours was enough", other.who()));
            }
            Some(Found::Note(text)) => self.reporter.note(&format!("   {text}")),
            // It is counted next.
            Some(Found::Answer(_)) | None => {}
        }
        self.decided(true, None)
    }

    /// Whose turn it is, if not that of whoever sits here.
    fn others(&self, at: &AskedOf, gate: &Gate) -> String {
        let left = (gate.rule.by as usize).saturating_sub(at.agreed.len());
        let people = if left == 1 { "somebody else".to_owned() } else { format!("{left} others") };
        format!(
            "   waits for {people} ({}): runbook approve {}",
            card::who(&gate.rule, &at.operators),
            at.run
        )
    }
}

#[async_trait]
impl Operator for Person {
    async fn consent(&self, at: &AskedOf, gate: &Gate) -> Answer<bool> {
        let asked = Asked::Gate(gate);
        // Some gates (taking back) are no entries of the journal: the reporter has not shown them.
        let shown = self.reporter.shows(&gate.digest);
        let show = || {
            if !shown {
                self.reporter.gate(&at.node, gate);
            }
        };
        let given = |answered: Answered| {
            let yes = answered.word == Word::Approve;
            Answer::Given(answered.decided(yes))
        };
        if let Some(answered) = self.answered_before(at, asked).await {
            show();
            return given(answered);
        }
        let rehearsal = matches!(self.consent.gates, Gates::Rehearsal);
        let mine = !at.answered.contains(&self.account)
            && (rehearsal || !gate.rule.not_operator || !at.operators.contains(&self.account));
        if mine && let Some(via) = self.consent.gates.answered(&at.node) {
            show();
            if self.tired_of(at.visit) {
                let text = "   what this gate shows changes each time: a person has to look at it";
                self.reporter.note(text);
                return Answer::Nobody;
            }
            return self.given(true, via);
        }
        let Some((screen, keyboard)) = &self.terminal else {
            show();
            return self.wait(at, asked).await.map_or(Answer::Nobody, given);
        };
        // Whoever walks the run and cannot agree (any more) has seen the card.
        if !shown || (mine && self.reporter.blind()) {
            screen.lines(&card::gate(screen, &self.reporter.place(&at.node), gate, Detail::Glance));
        }
        if !mine {
            screen.line(self.others(at, gate));
        }
        let (prompt, words) = match mine {
            true => ("Approve? [y]es / [n]o / [d]etails / [l]ater: ", "y, n, d or l"),
            false => ("[n]o / [d]etails / [l]ater: ", "n, d or l"),
        };
        loop {
            let typed = match self.hear((screen, keyboard), prompt, at, asked).await {
                Heard::Typed(typed) => typed.map(|typed| typed.to_lowercase()),
                Heard::Elsewhere(answered) => return given(answered),
            };
            match typed.as_deref() {
                Some("y" | "yes") if mine => return self.agreed(at, gate).await,
                Some("n" | "no") => {
                    let reason = self.read(screen, keyboard, "Why not? (Enter to skip) ").await;
                    return self
                        .decided(false, reason.map(|text| line(&text)).filter(|text| !text.is_empty()));
                }
                Some("d" | "details") => self.details(screen, at, gate),
                Some("l" | "later") | None => return Answer::Nobody,
                // Nothing is taken for an answer that is not one: Enter least of all.
                Some(_) => screen.line(format!("Please type {words}.")),
            }
        }
    }

    async fn choose(&self, at: &AskedOf, question: &Question) -> Answer<String> {
        let asked = Asked::Question(question);
        let given = |answered: Answered| match answered.word.clone() {
            Word::Choose(outcome) => Answer::Given(answered.decided(outcome)),
            Word::Approve | Word::Deny => Answer::Nobody,
        };
        if let Some(answered) = self.answered_before(at, asked).await {
            return given(answered);
        }
        let answers = &self.consent.questions;
        let flag = answers.get(&at.node).or_else(|| answers.get(own_name(&at.node)));
        // An answer is for the question of the node; what the program asks of its own at a node is another question.
        if let Some(flag) = flag.filter(|flag| question.choices.iter().any(|choice| choice.outcome == **flag))
            && !self.tired_of(at.visit)
        {
            return self.given(flag.clone(), "--answer");
        }
        let Some((screen, keyboard)) = &self.terminal else {
            return self.wait(at, asked).await.map_or(Answer::Nobody, given);
        };
        screen.lines(&card::question(screen, &self.reporter.place(&at.node), question));
        let prompt = format!("Answer 1-{} or [l]ater: ", question.choices.len());
        loop {
            let typed = match self.hear((screen, keyboard), &prompt, at, asked).await {
                Heard::Typed(Some(typed)) => typed,
                Heard::Typed(None) => return Answer::Nobody,
                Heard::Elsewhere(answered) => return given(answered),
            };
            if matches!(typed.as_str(), "l" | "later") {
                return Answer::Nobody;
            }
            match card::choice(question, &typed) {
                Some(outcome) => return self.decided(outcome.to_owned(), None),
                None => screen.line(format!("Please type a number from 1 to {}.", question.choices.len())),
            }
        }
    }

    async fn is_member(&self, account: &str, group: &str) -> Option<bool> {
        let (account, group) = (account.to_owned(), group.to_owned());
        tokio::task::spawn_blocking(move || engine::account::is_member(&account, &group)).await.ok().flatten()
    }
}
