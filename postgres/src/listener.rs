//! Hears at once that an answer came: `LISTEN` on a connection of its own.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use crate::runner::Runner;
use crate::session::Connector;

/// Answers are looked for this often even if nothing was heard.
const AT_LEAST: Duration = Duration::from_secs(5);

/// Pause before a lost connection is made anew.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Heard {
    /// Runs for which answers came since they were last asked about.
    fresh: HashSet<String>,
    /// Times that listening began: what came before was not heard.
    begun: u64,
    /// The beginning after which each run was last looked at.
    seen: HashMap<String, u64>,
}

type Ear = Arc<(Mutex<Heard>, Condvar)>;

/// Listens from the first wait on.
pub(crate) struct Listener {
    runner: Arc<Runner>,
    connector: Connector,
    ear: Ear,
    started: Once,
}

impl Listener {
    pub(crate) fn new(runner: Arc<Runner>, connector: Connector) -> Self {
        Self { runner, connector, ear: Ear::default(), started: Once::new() }
    }

    /// Blocks until answers for a run may have come, at most so long.
    pub(crate) fn wait(&self, run: &str, limit: Duration) {
        self.started.call_once(|| {
            self.runner.spawn(listen(Arc::clone(&self.ear), self.connector.clone()));
        });
        let until = Instant::now() + limit.min(AT_LEAST);
        let (heard, bell) = &*self.ear;
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let begun = heard.begun;
            // Who asked before listening began looks once more.
            let missed = begun > 0 && heard.seen.insert(run.to_owned(), begun) != Some(begun);
            let left = until.saturating_duration_since(Instant::now());
            if heard.fresh.remove(run) || missed || left.is_zero() {
                return;
            }
            heard = bell.wait_timeout(heard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

async fn listen(ear: Ear, connector: Connector) {
    loop {
        let hears = Arc::clone(&ear);
        let heard = move |run: String| {
            hears.0.lock().unwrap_or_else(PoisonError::into_inner).fresh.insert(run);
            hears.1.notify_all();
        };
        // A database that is gone for a while is no reason to stop waiting for an answer.
        if let Ok((client, pump)) = connector.connect(heard).await {
            let pumping = async {
                if client.batch_execute("LISTEN runbook_reply").await.is_ok() {
                    ear.0.lock().unwrap_or_else(PoisonError::into_inner).begun += 1;
                    ear.1.notify_all();
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! { () = pump => {}, () = pumping => {} }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
