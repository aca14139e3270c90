//! One walk and what stands around it: runtime, signals, reporters, the last words.

use std::sync::Arc;

use engine::budget::NoBudget;
use engine::event::Event;
use engine::journal::Journal;
use engine::lock::MemoryLocks;
use engine::plan::PlanData;
use engine::policy::Policy;
use engine::redact::Redactor;
use engine::run::RunId;
use engine::site::Site;
use engine::step::Registry;
use engine::walk::{Ending, Hold, WalkError, Walker, World};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::error::CliError;
use crate::policy::InForce;
use crate::signals;
use crate::terminal::{Consent, Elsewhere, Person, Reporter, Screen, Stream, last_words, unwritten};

/// One walk and what stands around it.
pub(crate) struct Session {
    pub screen: Arc<Screen>,
    pub reporter: Arc<Reporter>,
    pub runtime: Runtime,
    cancel: CancellationToken,
    /// Whether standard output carries events.
    events: bool,
}

impl Session {
    /// A session; with `json`, standard output carries events and people read standard error.
    pub(crate) fn new(json: bool) -> Result<Self, CliError> {
        Self::with(json, json)
    }

    /// A session that writes no events; with `err`, people read standard error.
    pub(crate) fn quiet(err: bool) -> Result<Self, CliError> {
        Self::with(err, false)
    }

    fn with(err: bool, events: bool) -> Result<Self, CliError> {
        let screen = Arc::new(Screen::on(if err { Stream::Err } else { Stream::Out }));
        // One thread: handing every step to another costs more than many a step. Long work (files, the keyboard) is on
        // threads of its own or yields after each chunk, so that a signal is heard.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CliError::Internal(format!("cannot start the runtime: {error}")))?;
        let reporter = Arc::new(Reporter::new(Arc::clone(&screen)));
        Ok(Self { screen, reporter, runtime, cancel: CancellationToken::new(), events })
    }

    /// What stops the walk at its next safe point.
    pub(crate) fn stop(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Begins to listen to signals.
    pub(crate) fn listen(&self, run: Option<RunId>) -> Result<(), CliError> {
        let _entered = self.runtime.enter();
        signals::listen(self.cancel.clone(), Arc::clone(&self.reporter), run)
    }

    /// The world of a walk; with `elsewhere` it shares the state there with other runs: what it does is real.
    #[expect(clippy::too_many_arguments, reason = "the parts of one world")]
    pub(crate) fn world(
        &self,
        registry: Registry,
        site: Arc<dyn Site>,
        account: &str,
        consent: Consent,
        redactor: Redactor,
        plan: &Arc<PlanData>,
        elsewhere: Option<Elsewhere>,
    ) -> World {
        let shared = elsewhere.as_ref().map(Elsewhere::store);
        let person = Person::new(
            account.to_owned(),
            consent,
            &self.screen,
            Arc::clone(&self.reporter),
            self.cancel.clone(),
            Arc::clone(plan),
            elsewhere,
        );
        let policy: Arc<dyn Policy> = Arc::new(InForce);
        World {
            registry,
            site,
            operator: Arc::new(person),
            locks: shared
                .as_ref()
                .map_or_else(|| Arc::new(MemoryLocks::default()) as _, |store| store.locks()),
            budget: shared
                .as_ref()
                .map_or_else(|| Arc::new(NoBudget) as _, |store| store.budget(policy.limits())),
            policy,
            redactor,
            listener: self.listener(),
            cancel: self.cancel.clone(),
        }
    }

    /// Who is told what happens: the person, and with `--json` whoever reads standard output.
    fn listener(&self) -> Arc<dyn Fn(&Event) + Send + Sync> {
        let reporter = Arc::clone(&self.reporter);
        if !self.events {
            return Arc::new(move |event| reporter.hear(event));
        }
        let out = Screen::on(Stream::Out);
        Arc::new(move |event| {
            reporter.hear(event);
            write(&out, event);
        })
    }

    /// Walks with the lock of the run's target until the run rests, says how it did, and lets go of its journal. Locks may be
    /// taken over from the run `over`.
    pub(crate) fn walk_held<J: Journal>(
        &self,
        walker: &mut Walker<J>,
        over: Option<RunId>,
        hold: Option<Hold>,
    ) -> Result<Ending, CliError> {
        walker.take_over_from(over);
        hold.map(|hold| walker.keep(hold)).transpose()?;
        let ending = self.walk(walker, true);
        let (journal, state) = walker.journal();
        let let_go = journal.let_go(state);
        let ending = ending?;
        let_go?;
        Ok(ending)
    }

    /// Walks until the run rests, and says how it did.
    pub(crate) fn walk<J: Journal>(
        &self,
        walker: &mut Walker<J>,
        resumable: bool,
    ) -> Result<Ending, CliError> {
        let ending = self.rest(walker).inspect_err(|error| {
            if let CliError::Walk(WalkError::Journal(_)) = error {
                self.reporter.quiet();
                self.screen.lines(&unwritten(&self.screen, &self.reporter, &walker.unwritten()));
            }
        })?;
        self.reporter.quiet();
        self.screen.lines(&last_words(&self.screen, &self.reporter, &ending, resumable));
        Ok(ending)
    }

    /// Walks until the run rests.
    pub(crate) fn rest<J: Journal>(&self, walker: &mut Walker<J>) -> Result<Ending, CliError> {
        let ending = self.runtime.block_on(walker.walk())?;
        // A question that was cut off by a signal was not left open for want of a person.
        let interrupted = matches!(ending, Ending::Parked { .. }) && self.cancel.is_cancelled();
        Ok(if interrupted { Ending::Interrupted } else { ending })
    }
}

/// Writes an event for programs.
pub(crate) fn write(out: &Screen, event: &Event) {
    if let Ok(line) = serde_json::to_string(event) {
        out.line(line);
    }
}

/// A fresh run id.
pub(crate) fn fresh_run() -> RunId {
    RunId::new(jiff::Timestamp::now(), crate::place::entropy())
}
