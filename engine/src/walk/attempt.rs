//! One step performed, with its time limit and further attempts.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::event::Event;
use crate::plan::Retry;
use crate::step::{Performed, Step, StepCx, StepError, StepErrorKind};

/// What an attempt needs, owned, so that items of a fan-out run side by side.
#[derive(Clone)]
pub(crate) struct Attempt {
    pub step: Arc<dyn Step>,
    pub cx: StepCx,
    pub params: Value,
    pub timeout: Option<Duration>,
    pub retry: Retry,
    pub visit: u64,
    pub node: String,
    pub listener: Arc<dyn Fn(&Event) + Send + Sync>,
}

impl Attempt {
    /// Performs a read until it answers or its attempts are spent.
    pub(crate) async fn read(self) -> Result<Performed<Value>, StepError> {
        let mut delay = self.retry.delay;
        for _ in 1..self.retry.attempts {
            match self.once(&Value::Null).await {
                Err(error) if self.retry.on.contains(&error.kind) => {
                    self.wait(&error, delay).await;
                    delay = delay.mul_f64(self.retry.backoff);
                }
                other => return other,
            }
        }
        self.once(&Value::Null).await
    }

    /// Performs once within the time limit.
    pub(crate) async fn once(&self, intent: &Value) -> Result<Performed<Value>, StepError> {
        let performing = self.step.perform(&self.cx, &self.params, intent);
        let Some(limit) = self.timeout else { return performing.await };
        match tokio::time::timeout(limit, performing).await {
            Ok(result) => result,
            Err(_) => {
                let kind = self.step.spec().kind;
                Err(StepError::new(
                    StepErrorKind::Timeout,
                    format!("{kind} took longer than {} s", limit.as_secs_f64()),
                ))
            }
        }
    }

    /// Says that another attempt follows and waits for it.
    pub(crate) async fn wait(&self, error: &StepError, delay: Duration) {
        (self.listener)(&Event::Retrying {
            visit: self.visit,
            node: self.node.clone(),
            message: error.message.clone(),
            seconds: delay.as_secs_f64(),
        });
        self.cx.site.sleep(delay).await;
    }
}
