//! Steps of a run that is recorded: around every change they ask the probe that confirms it, so that the recording answers it,
//! too, and a rehearsal can be cut off anywhere.

use std::sync::Arc;

use async_trait::async_trait;
use engine::step::{Around, Performed, Registry, Step, StepCx, StepError, Wrapped};
use serde_json::Value;

/// The same step kinds, each asking its probe around its change.
pub(crate) fn probed(registry: &Registry) -> Registry {
    let mut probed = Registry::default();
    for step in registry.steps() {
        probed.register(Wrapped(Probed(Arc::clone(step))));
    }
    probed
}

struct Probed(Arc<dyn Step>);

#[async_trait]
impl Around for Probed {
    fn inner(&self) -> &dyn Step {
        &*self.0
    }

    /// What the probes say is for the recording alone.
    async fn perform(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<Performed<Value>, StepError> {
        if !self.0.effect(params).changes() {
            return self.0.perform(cx, params, intent).await;
        }
        let _ = self.0.confirm(cx, params, intent).await;
        let performed = self.0.perform(cx, params, intent).await;
        let _ = self.0.confirm(cx, params, intent).await;
        performed
    }
}
