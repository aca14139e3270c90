//! A thread on which the connection lives. The engine's ports are synchronous and are called on a runtime that has one
//! thread: whoever waited on that one for the connection's own work would wait for ever.

use std::future::Future;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// The thread.
pub(crate) struct Runner {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// There was no answer in time.
pub(crate) struct TimedOut;

impl Runner {
    pub(crate) fn new() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .thread_name("postgres")
            .enable_all()
            .build()?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Does this work there and waits for it, at most so long.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, TimedOut> {
        let (done, wait) = mpsc::sync_channel(1);
        self.spawn(async move {
            let _ = done.send(tokio::time::timeout(limit, work).await);
        });
        // The sender is dropped unsent only if the work panicked.
        wait.recv().ok().and_then(Result::ok).ok_or(TimedOut)
    }

    /// Begins work that nobody waits for.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(work);
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // In the background: it may be dropped on a thread of another runtime, which must not block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
