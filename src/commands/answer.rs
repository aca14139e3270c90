//! `runbook approve`, `runbook deny` and `runbook answer`: answers from another terminal, host or account.

use std::sync::Arc;

use engine::journal::Store;
use engine::run::{Gate, Reply, Word};
use engine::step::Question;

use crate::cli::{Answer, Approve, Deny};
use crate::error::CliError;
use crate::exit::Exit;
use crate::place;
use crate::terminal::{Detail, Keyboard, Screen, Stream, choice, clock, gate_card, line, question_card};

use super::resume::parse_run;
use super::waiting::{Asks, Waiting, cannot_count};

/// Characters of a reason; it is shown in one line.
const LONGEST_REASON: usize = 1_000;
/// Digits of a digest that tell one from all others.
const DIGITS: usize = 8;

/// Somebody who looks at what a run asks, and answers.
struct Desk {
    store: Arc<dyn Store>,
    screen: Screen,
    account: String,
    waiting: Waiting,
}

pub(super) fn approve(args: &Approve) -> Result<Exit, CliError> {
    let desk = Desk::open(&args.run, args.reason.as_deref())?;
    let gate = desk.gate()?;
    desk.open_still(gate)?;
    let run = &desk.waiting.run;
    if desk.waiting.answered.contains(&desk.account) {
        let message = format!("{} has answered this already; an account is heard once", desk.account);
        return Err(CliError::usage(message, format!("to take it back: runbook deny {run} --reason …")));
    }
    if desk.waiting.enough() {
        let message = format!("enough people agreed already: {}", desk.agreed());
        return Err(CliError::usage(message, format!("`runbook resume {run}` goes on with it")));
    }
    desk.may_answer(gate)?;
    desk.show(gate);
    desk.consents(gate, args)?;
    desk.leave(gate.about(), Word::Approve, args.reason.clone())?;
    let left = (gate.rule.by as usize).saturating_sub(desk.waiting.place.agreed.len() + 1);
    let counted = match (gate.rule.by, left) {
        (0 | 1, _) => String::new(),
        (by, 0) => format!(" ({by} of {by})"),
        (by, left) => format!(" ({} of {by}); {left} more to agree", by as usize - left),
    };
    desk.screen.line(format!("{} approved{counted}.", line(&desk.account)));
    desk.goes_on(left == 0);
    Ok(Exit::Done)
}

pub(super) fn deny(args: &Deny) -> Result<Exit, CliError> {
    let desk = Desk::open(&args.run, Some(&args.reason))?;
    let gate = desk.gate()?;
    desk.open_still(gate)?;
    if desk.waiting.no.contains(&desk.account) {
        let message = format!("{} has said no already", desk.account);
        return Err(CliError::usage(message, "nothing more is needed"));
    }
    // Whoever walks a run may always stop it.
    if !desk.waiting.state.operators.contains(&desk.account) {
        desk.may_answer(gate)?;
    }
    desk.show(gate);
    desk.leave(gate.about(), Word::Deny, Some(args.reason.clone()))?;
    desk.screen.line(format!("{} said no.", line(&desk.account)));
    desk.goes_on(true);
    Ok(Exit::Done)
}

pub(super) fn answer(args: &Answer) -> Result<Exit, CliError> {
    let desk = Desk::open(&args.run, args.reason.as_deref())?;
    let run = &desk.waiting.run;
    let Asks::Question(question) = &desk.waiting.asks else {
        let message = format!("run {run} asks no question: it waits for consent to a change");
        return Err(CliError::usage(message, format!("runbook approve {run}")));
    };
    if let Some(first) = desk.waiting.answered.first() {
        let message = format!("{first} has answered this already; the first answer counts");
        return Err(CliError::usage(message, format!("`runbook resume {run}` goes on with it")));
    }
    desk.screen.lines(&question_card(&desk.screen, &desk.waiting.place, question));
    let Some(outcome) = &args.outcome else {
        let outcomes = outcomes(question);
        return Err(CliError::usage("which of these?", format!("runbook answer {run} {outcomes}")));
    };
    let Some(outcome) = choice(question, outcome) else {
        let message = format!("{outcome} is none of its answers");
        return Err(CliError::usage(message, format!("they are {}", outcomes(question))));
    };
    desk.leave(Reply::about_question(question), Word::Choose(outcome.to_owned()), args.reason.clone())?;
    desk.screen.line(format!("{} chose {}.", line(&desk.account), line(outcome)));
    desk.goes_on(true);
    Ok(Exit::Done)
}

fn outcomes(question: &Question) -> String {
    question.choices.iter().map(|choice| choice.outcome.as_str()).collect::<Vec<_>>().join("|")
}

impl Desk {
    fn open(run: &str, reason: Option<&str>) -> Result<Self, CliError> {
        if reason.is_some_and(|reason| reason.chars().count() > LONGEST_REASON) {
            let message = format!("the reason is longer than {LONGEST_REASON} characters");
            return Err(CliError::usage(message, "say it shorter; what is longer belongs into the ticket"));
        }
        let store = place::store()?;
        let run = parse_run(&*store, run)?;
        let waiting = Waiting::of(&*store, &run)?.map_err(|instead| {
            let message = format!("run {run} does not wait for an answer: {instead}");
            CliError::usage(message, "`runbook pending` shows what does")
        })?;
        let account = place::account_in(&*store);
        Ok(Self { store, screen: Screen::on(Stream::Out), account, waiting })
    }

    fn gate(&self) -> Result<&Gate, CliError> {
        match &self.waiting.asks {
            Asks::Gate(gate) => Ok(gate),
            Asks::Question(question) => {
                let run = &self.waiting.run;
                let message = format!("run {run} asks a question: yes or no is no answer to it");
                Err(CliError::usage(message, format!("runbook answer {run} {}", outcomes(question))))
            }
        }
    }

    fn open_still(&self, gate: &Gate) -> Result<(), CliError> {
        match gate.closes() {
            Some(closes) if self.waiting.closed() => Err(CliError::usage(
                format!("the gate closed at {}: it takes no answer any more", clock(closes)),
                format!("`runbook resume {}` opens it anew", self.waiting.run),
            )),
            _ => Ok(()),
        }
    }

    /// Said before anything is written: an answer that cannot count is none.
    fn may_answer(&self, gate: &Gate) -> Result<(), CliError> {
        match cannot_count(gate, &self.waiting.state, &self.account) {
            None => Ok(()),
            Some(why) => Err(CliError::usage(
                format!("the answer of {} would not count: {why}", self.account),
                format!("it needs {}", self.waiting.needs()),
            )),
        }
    }

    fn agreed(&self) -> String {
        let names: Vec<String> = self.waiting.place.agreed.iter().map(|name| line(name)).collect();
        names.join(", ")
    }

    /// The card, as whoever walks the run saw it, and its digest.
    fn show(&self, gate: &Gate) {
        let (screen, place) = (&self.screen, &self.waiting.place);
        let started = &self.waiting.state.started;
        let target =
            if started.target.is_empty() { String::new() } else { format!(", {}", line(&started.target)) };
        let operators: Vec<String> = place.operators.iter().map(|name| line(name)).collect();
        screen.line(format!(
            "run {} of {}{target}, walked by {}",
            self.waiting.run,
            line(&started.plan.runbook),
            operators.join(", ")
        ));
        screen.lines(&gate_card(screen, place, gate, Detail::Glance));
        screen.line(screen.paint.dim(&format!("   digest {}", gate.digest)));
    }

    /// Whether it is agreed to what was shown.
    fn consents(&self, gate: &Gate, args: &Approve) -> Result<(), CliError> {
        if let Some(given) = &args.digest {
            let given = given.to_lowercase();
            let digits = given.chars().all(|c| c.is_ascii_hexdigit()) && given.len() >= DIGITS;
            return match (digits, gate.digest.starts_with(&given)) {
                (true, true) => Ok(()),
                (true, false) => Err(CliError::usage(
                    "the gate shows something else than what you looked at: its digest is another",
                    "look at what is shown above, then name its digest",
                )),
                (false, _) => Err(CliError::usage(
                    format!("`{given}` is no digest: it takes at least {DIGITS} hexadecimal digits"),
                    "the digest is shown above",
                )),
            };
        }
        let Some(keyboard) = Keyboard::of_terminal().filter(|_| self.screen.terminal().is_some()) else {
            return Err(CliError::usage(
                "without a terminal, what is agreed to has to be named",
                format!(
                    "--digest {}, if you looked at what is shown above",
                    &gate.digest[..12.min(gate.digest.len())]
                ),
            ));
        };
        if args.yes || self.confirms(gate, keyboard)? {
            return Ok(());
        }
        Err(CliError::usage(
            "nothing was answered",
            format!("to say no: runbook deny {} --reason …", self.waiting.run),
        ))
    }

    fn confirms(&self, gate: &Gate, keyboard: &Keyboard) -> Result<bool, CliError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|error| CliError::Internal(format!("cannot start the runtime: {error}")))?;
        loop {
            let typed = runtime.block_on(async {
                keyboard.forget().await;
                self.screen.raw(&self.screen.paint.bold("Approve? [y]es / [n]o / [d]etails: "));
                keyboard.line().await
            });
            match typed.map(|typed| typed.trim().to_lowercase()).as_deref() {
                Some("y" | "yes") => return Ok(true),
                Some("n" | "no") | None => return Ok(false),
                Some("d" | "details") => {
                    let place = &self.waiting.place;
                    self.screen.lines(&gate_card(&self.screen, place, gate, Detail::Whole));
                }
                Some(_) => self.screen.line("Please type y, n or d."),
            }
        }
    }

    fn leave(&self, about: String, word: Word, reason: Option<String>) -> Result<(), CliError> {
        let Waiting { run, visit, .. } = &self.waiting;
        let (run, host) = (run.clone(), place::host());
        self.store.reply(&Reply { run, visit: *visit, about, word, reason, host })?;
        Ok(())
    }

    /// What happens next. `decided`: nobody else has to answer.
    fn goes_on(&self, decided: bool) {
        let run = &self.waiting.run;
        if self.waiting.walked {
            self.screen.line("The run is waiting and hears it at once.");
        } else if decided {
            self.screen
                .line(format!("The run is parked; whoever walks it goes on with: runbook resume {run}"));
        }
    }
}
