//! Steps of a run that is recorded: around every change they ask the probe that confirms it, so that the recording answers it,
//! too, and a rehearsal can be cut off anywhere.

use std::sync::Arc;

use async_trait::async_trait;
use engine::step::{
    AnyPreview, Confirmation, Effect, Performed, Registry, Step, StepCx, StepError, StepSpec, UndoPreview,
    Undone,
};
use serde_json::Value;

/// The same step kinds, each asking its probe around its change.
pub(crate) fn probed(registry: &Registry) -> Registry {
    let mut probed = Registry::default();
    for step in registry.steps() {
        probed.register(Probed(Arc::clone(step)));
    }
    probed
}

struct Probed(Arc<dyn Step>);

#[async_trait]
impl Step for Probed {
    fn spec(&self) -> &StepSpec {
        self.0.spec()
    }

    fn effect(&self, params: &Value) -> Effect {
        self.0.effect(params)
    }

    fn targets(&self, params: &Value) -> Vec<String> {
        self.0.targets(params)
    }

    async fn preview(&self, cx: &StepCx, params: &Value) -> Result<AnyPreview, StepError> {
        self.0.preview(cx, params).await
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

    async fn confirm(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<Confirmation<Value>, StepError> {
        self.0.confirm(cx, params, intent).await
    }

    async fn preview_undo(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<UndoPreview, StepError> {
        self.0.preview_undo(cx, params, intent).await
    }

    async fn undo(&self, cx: &StepCx, params: &Value, intent: &Value) -> Result<Undone, StepError> {
        self.0.undo(cx, params, intent).await
    }
}
