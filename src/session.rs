//! One walk and what stands around it: runtime, signals, reporters, the last words.

use std::sync::Arc;

use engine::event::Event;
use engine::journal::{Journal, Store};
use engine::lock::MemoryLocks;
use engine::plan::PlanData;
use engine::policy::{NoPolicy, Policy};
use engine::run::RunId;
use engine::site::Site;
use engine::step::Registry;
use engine::walk::{Ending, WalkError, Walker, World};
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

    /// Begins to listen to signals.
    pub(crate) fn listen(&self, run: Option<RunId>) -> Result<(), CliError> {
        let _entered = self.runtime.enter();
        signals::listen(self.cancel.clone(), Arc::clone(&self.reporter), run)
    }

    /// The world of a walk.
    pub(crate) fn world(
        &self,
        registry: Registry,
        site: Arc<dyn Site>,
        account: &str,
        consent: Consent,
        plan: &PlanData,
        elsewhere: Option<Elsewhere>,
    ) -> World {
        // A rehearsal, which nobody answers from elsewhere, touches nothing that the site could protect.
        let policy: Arc<dyn Policy> =
            if elsewhere.is_some() { Arc::new(InForce) } else { Arc::new(NoPolicy) };
        let person = Person::new(
            account.to_owned(),
            consent,
            &self.screen,
            Arc::clone(&self.reporter),
            self.cancel.clone(),
            plan,
            elsewhere,
        );
        World {
            registry,
            site,
            operator: Arc::new(person),
            policy,
            locks: Arc::new(MemoryLocks::default()),
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
            if let Ok(line) = serde_json::to_string(event) {
                out.line(line);
            }
        })
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

/// A fresh run id.
pub(crate) fn fresh_run() -> RunId {
    RunId::new(jiff::Timestamp::now(), crate::place::entropy())
}

/// Where the target of a run is locked against other runs.
pub(crate) struct TargetLock {
    _file: std::fs::File,
}

impl TargetLock {
    /// Takes the lock, and gives the run that had it before.
    ///
    /// # Errors
    /// If another process has it.
    pub(crate) fn take(target: &str, run: &RunId) -> Result<(Self, Option<RunId>), CliError> {
        use std::io::{Read, Seek, SeekFrom, Write};
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

        let directory = crate::place::state_dir().join("targets");
        let path = directory.join(format!("{}.lock", &engine::site::digest(target.as_bytes())[..32]));
        let failed = |source| CliError::File { action: "lock", path: path.clone(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(failed)?;
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let mut holder = String::new();
        (&mut file).take(300).read_to_string(&mut holder).map_err(failed)?;
        let holder = holder.trim().to_owned();
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(CliError::TargetLocked { target: target.to_owned(), holder });
            }
            Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
        let line = format!("run {run}, pid {} on {}", std::process::id(), crate::place::host());
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(line.as_bytes()));
        written.map_err(failed)?;
        let before = holder.strip_prefix("run ").and_then(|rest| rest.split(',').next());
        let before = before.and_then(|id| RunId::parse(id).ok()).filter(|before| before != run);
        Ok((Self { _file: file }, before))
    }
}

/// A run about the same target that was left open.
pub(crate) fn left_open(store: &dyn Store, before: Option<RunId>) -> Option<RunId> {
    use engine::journal::SummaryState;
    let summary = store.summary(&before?).ok()?;
    (!matches!(summary.state, SummaryState::Ended | SummaryState::RolledBack)).then_some(summary.run)
}
