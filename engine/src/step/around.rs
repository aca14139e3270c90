//! Steps around other steps, for recordings, rehearsals and tests.

use async_trait::async_trait;
use serde_json::Value;

use super::{
    AnyPreview, Confirmation, Effect, Performed, Step, StepCx, StepError, StepSpec, Unbounded, UndoPreview,
    Undone,
};

/// What is done around another step; whatever this does not say is the other's word.
#[async_trait]
pub trait Around: Send + Sync {
    /// The other.
    fn inner(&self) -> &dyn Step;

    /// See [`Step::targets`].
    fn targets(&self, params: &Value) -> Vec<String> {
        self.inner().targets(params)
    }

    /// See [`Step::preview`].
    async fn preview(&self, cx: &StepCx, params: &Value) -> Result<AnyPreview, StepError> {
        self.inner().preview(cx, params).await
    }

    /// See [`Step::perform`].
    async fn perform(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<Performed<Value>, StepError> {
        self.inner().perform(cx, params, intent).await
    }

    /// See [`Step::confirm`].
    async fn confirm(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<Confirmation<Value>, StepError> {
        self.inner().confirm(cx, params, intent).await
    }

    /// See [`Step::preview_undo`].
    async fn preview_undo(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<UndoPreview, StepError> {
        self.inner().preview_undo(cx, params, intent).await
    }

    /// See [`Step::undo`].
    async fn undo(&self, cx: &StepCx, params: &Value, intent: &Value) -> Result<Undone, StepError> {
        self.inner().undo(cx, params, intent).await
    }
}

/// A step with something [`Around`] it; its kind, effect and bounds are those of the step.
pub struct Wrapped<T>(pub T);

#[async_trait]
impl<T: Around> Step for Wrapped<T> {
    fn spec(&self) -> &StepSpec {
        self.0.inner().spec()
    }

    fn effect(&self, params: &Value) -> Effect {
        self.0.inner().effect(params)
    }

    fn targets(&self, params: &Value) -> Vec<String> {
        self.0.targets(params)
    }

    fn unbounded(&self, with: &Value) -> Vec<Unbounded> {
        self.0.inner().unbounded(with)
    }

    async fn preview(&self, cx: &StepCx, params: &Value) -> Result<AnyPreview, StepError> {
        self.0.preview(cx, params).await
    }

    async fn perform(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<Performed<Value>, StepError> {
        self.0.perform(cx, params, intent).await
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
