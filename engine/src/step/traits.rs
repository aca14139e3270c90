//! The trait that the walker sees, and the two typed forms that authors write.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    AnyPreview, Confirmation, Done, Effect, Outcomes, Performed, Predicted, Preview, StepCx, StepError,
    StepErrorKind, StepSpec, Unbounded, UndoPlan, UndoPreview, Undone,
};

/// A step kind as the walker sees it: parameters and outputs are JSON.
///
/// Authors write a [`ReadStep`] or a [`ChangeStep`]; [`Read`] and [`Change`] erase their types.
#[async_trait]
pub trait Step: Send + Sync {
    /// What it is.
    fn spec(&self) -> &StepSpec;

    /// What it would do with these parameters: a command that provably reads is no change.
    fn effect(&self, params: &Value) -> Effect;

    /// What it acts on with these parameters, for locks and policies: `job/123456`, `node/gpu-21`, `file//etc/hosts`. Empty
    /// for what cannot be named beforehand.
    fn targets(&self, _params: &Value) -> Vec<String> {
        Vec::new()
    }

    /// What in these parameters, as they are written (templates and all), says more than an output keeps or never comes to
    /// an end: `check` warns of it.
    fn unbounded(&self, _with: &Value) -> Vec<Unbounded> {
        Vec::new()
    }

    /// Finds out by reads alone what performing it would do. Only asked of changes.
    async fn preview(&self, cx: &StepCx, params: &Value) -> Result<AnyPreview, StepError>;

    /// Does it. `intent` is the preview's (`null` for a read).
    async fn perform(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<Performed<Value>, StepError>;

    /// Finds out by reads alone whether an intended change happened.
    async fn confirm(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<Confirmation<Value>, StepError>;

    /// Finds out by reads alone what taking a change back would do.
    async fn preview_undo(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<UndoPreview, StepError>;

    /// Takes a change back; a safe no-op if it never happened.
    async fn undo(&self, cx: &StepCx, params: &Value, intent: &Value) -> Result<Undone, StepError>;
}

/// A step that alters nothing.
#[async_trait]
pub trait ReadStep: Send + Sync + 'static {
    /// Its name in a runbook.
    const KIND: &'static str;
    /// One line for lists.
    const SUMMARY: &'static str;
    /// [`Effect::Reads`], or [`Effect::Pure`] if it does not even look at the site.
    const EFFECT: Effect = Effect::Reads;
    /// What `with` holds. Unknown keys must be refused (`deny_unknown_fields`).
    type Params: DeserializeOwned + JsonSchema + Send + Sync;
    /// What it yields; a value that may be unknown is an `Option` and always written.
    type Output: Serialize + JsonSchema + Send;

    /// The words it can end with, as `(name, help)`.
    fn outcomes() -> Outcomes;

    /// Looks.
    async fn read(&self, cx: &StepCx, params: Self::Params) -> Result<Performed<Self::Output>, StepError>;
}

/// A step that changes something.
#[async_trait]
pub trait ChangeStep: Send + Sync + 'static {
    /// Its name in a runbook.
    const KIND: &'static str;
    /// One line for lists.
    const SUMMARY: &'static str;
    /// [`Effect::Reversible`] or [`Effect::Irreversible`].
    const EFFECT: Effect;
    /// What `with` holds. Unknown keys must be refused (`deny_unknown_fields`).
    type Params: DeserializeOwned + JsonSchema + Send + Sync;
    /// What performing, confirming and undoing need.
    type Intent: Serialize + DeserializeOwned + Default + Send + Sync;
    /// What it yields; a value that may be unknown is an `Option` and always written.
    type Output: Serialize + JsonSchema + Send;

    /// The words it can end with, as `(name, help)`.
    fn outcomes() -> Outcomes;

    /// What it does with these parameters; less than [`Self::EFFECT`] only where that can be proven.
    fn effect(&self, _params: &Self::Params) -> Effect {
        Self::EFFECT
    }

    /// What it acts on with these parameters, for locks and policies: `job/123456`, `node/gpu-21`, `file//etc/hosts`.
    fn targets(&self, _params: &Self::Params) -> Vec<String> {
        Vec::new()
    }

    /// What in `with`, as it is written, says more than an output keeps or never comes to an end.
    fn unbounded(_with: &Value) -> Vec<Unbounded> {
        Vec::new()
    }

    /// Finds out by reads alone what it would do.
    async fn preview(
        &self,
        cx: &StepCx,
        params: &Self::Params,
    ) -> Result<Preview<Self::Intent, Self::Output>, StepError>;

    /// Does it: only what the preview said, re-checking right before the effect whatever the intent pins.
    async fn perform(
        &self,
        cx: &StepCx,
        params: &Self::Params,
        intent: &Self::Intent,
    ) -> Result<Performed<Self::Output>, StepError>;

    /// Finds out by reads alone whether it happened.
    async fn confirm(
        &self,
        cx: &StepCx,
        params: &Self::Params,
        intent: &Self::Intent,
    ) -> Result<Confirmation<Self::Output>, StepError>;

    /// Finds out by reads alone what [`Self::undo`] would do. Unless a step knows better, what provably did not happen
    /// needs nothing, and what would be run is not told.
    async fn preview_undo(
        &self,
        cx: &StepCx,
        params: &Self::Params,
        intent: &Self::Intent,
    ) -> Result<UndoPreview, StepError> {
        if matches!(self.confirm(cx, params, intent).await?, Confirmation::DidNot) {
            return Ok(UndoPreview::NothingToDo("it did not happen".to_owned()));
        }
        if self.effect(params) == Effect::Irreversible {
            return Ok(UndoPreview::Cannot(format!("{} has no inverse", Self::KIND)));
        }
        Ok(UndoPreview::Would(UndoPlan { target: Self::KIND.to_owned(), blind: true, ..UndoPlan::default() }))
    }

    /// Takes it back; a safe no-op if it never happened.
    async fn undo(
        &self,
        _cx: &StepCx,
        _params: &Self::Params,
        _intent: &Self::Intent,
    ) -> Result<Undone, StepError> {
        Ok(Undone::Cannot(format!("{} has no inverse", Self::KIND)))
    }
}

/// A [`ReadStep`] with its types erased.
pub struct Read<T> {
    step: T,
    spec: StepSpec,
}

impl<T: ReadStep> Read<T> {
    /// Wraps a typed step.
    pub fn new(step: T) -> Self {
        Self { step, spec: spec::<T::Params, T::Output>(T::KIND, T::SUMMARY, T::EFFECT, T::outcomes()) }
    }
}

#[async_trait]
impl<T: ReadStep> Step for Read<T> {
    fn spec(&self) -> &StepSpec {
        &self.spec
    }

    fn effect(&self, _params: &Value) -> Effect {
        T::EFFECT
    }

    async fn preview(&self, _cx: &StepCx, _params: &Value) -> Result<AnyPreview, StepError> {
        Err(not_a_change(T::KIND))
    }

    async fn perform(
        &self,
        cx: &StepCx,
        params: &Value,
        _intent: &Value,
    ) -> Result<Performed<Value>, StepError> {
        erase_performed(self.step.read(cx, typed(T::KIND, params)?).await?)
    }

    async fn confirm(&self, _cx: &StepCx, _p: &Value, _i: &Value) -> Result<Confirmation<Value>, StepError> {
        Ok(Confirmation::DidNot)
    }

    async fn preview_undo(&self, _cx: &StepCx, _p: &Value, _i: &Value) -> Result<UndoPreview, StepError> {
        Ok(UndoPreview::NothingToDo(format!("{} only reads", T::KIND)))
    }

    async fn undo(&self, _cx: &StepCx, _params: &Value, _intent: &Value) -> Result<Undone, StepError> {
        Ok(Undone::NothingToDo(format!("{} only reads", T::KIND)))
    }
}

/// A [`ChangeStep`] with its types erased.
pub struct Change<T> {
    step: T,
    spec: StepSpec,
}

impl<T: ChangeStep> Change<T> {
    /// Wraps a typed step.
    pub fn new(step: T) -> Self {
        Self { step, spec: spec::<T::Params, T::Output>(T::KIND, T::SUMMARY, T::EFFECT, T::outcomes()) }
    }
}

#[async_trait]
impl<T: ChangeStep> Step for Change<T> {
    fn spec(&self) -> &StepSpec {
        &self.spec
    }

    /// Parameters that do not fit count as the most the step can do.
    fn effect(&self, params: &Value) -> Effect {
        typed(T::KIND, params).map_or(T::EFFECT, |params| self.step.effect(&params))
    }

    fn targets(&self, params: &Value) -> Vec<String> {
        typed(T::KIND, params).map_or_else(|_| Vec::new(), |params| self.step.targets(&params))
    }

    fn unbounded(&self, with: &Value) -> Vec<Unbounded> {
        T::unbounded(with)
    }

    async fn preview(&self, cx: &StepCx, params: &Value) -> Result<AnyPreview, StepError> {
        let preview = self.step.preview(cx, &typed(T::KIND, params)?).await?;
        let predicted = preview
            .predicted
            .into_iter()
            .map(|p| Ok(Predicted { outcome: p.outcome, output: erase(p.output)? }))
            .collect::<Result<_, StepError>>()?;
        Ok(AnyPreview {
            target: preview.target,
            commands: preview.commands,
            diffs: preview.diffs,
            notes: preview.notes,
            undo: preview.undo,
            price: preview.price,
            intent: erase(preview.intent)?,
            predicted,
            writes: preview.writes,
            nothing_to_do: preview.nothing_to_do.map(erase_done).transpose()?,
        })
    }

    async fn perform(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<Performed<Value>, StepError> {
        let intent = if intent.is_null() { T::Intent::default() } else { typed(T::KIND, intent)? };
        erase_performed(self.step.perform(cx, &typed(T::KIND, params)?, &intent).await?)
    }

    async fn confirm(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<Confirmation<Value>, StepError> {
        Ok(match self.step.confirm(cx, &typed(T::KIND, params)?, &typed(T::KIND, intent)?).await? {
            Confirmation::Happened(done) => Confirmation::Happened(erase_done(done)?),
            Confirmation::DidNot => Confirmation::DidNot,
            Confirmation::Begun(what) => Confirmation::Begun(what),
            Confirmation::Unknown(why) => Confirmation::Unknown(why),
        })
    }

    async fn preview_undo(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<UndoPreview, StepError> {
        self.step.preview_undo(cx, &typed(T::KIND, params)?, &typed(T::KIND, intent)?).await
    }

    async fn undo(&self, cx: &StepCx, params: &Value, intent: &Value) -> Result<Undone, StepError> {
        self.step.undo(cx, &typed(T::KIND, params)?, &typed(T::KIND, intent)?).await
    }
}

fn spec<P: JsonSchema, O: JsonSchema>(
    kind: &'static str,
    summary: &'static str,
    effect: Effect,
    outcomes: Outcomes,
) -> StepSpec {
    // Subschemas are inlined: whoever checks a parameter or walks an output looks at one tree.
    let schema = |generate: fn(&mut schemars::SchemaGenerator) -> schemars::Schema| {
        let settings =
            schemars::generate::SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
        generate(&mut settings.into_generator()).to_value()
    };
    StepSpec {
        kind,
        summary,
        effect,
        outcomes,
        params: schema(P::json_schema),
        output: schema(O::json_schema),
    }
}

fn typed<T: DeserializeOwned>(kind: &str, value: &Value) -> Result<T, StepError> {
    T::deserialize(value).map_err(|error| StepError::new(StepErrorKind::Params, format!("{kind}: {error}")))
}

fn erase(value: impl Serialize) -> Result<Value, StepError> {
    serde_json::to_value(value).map_err(|error| StepError::malformed(format!("output is not JSON: {error}")))
}

fn erase_done<O: Serialize>(done: Done<O>) -> Result<Done<Value>, StepError> {
    Ok(Done { outcome: done.outcome, output: erase(done.output)?, summary: done.summary })
}

fn erase_performed<O: Serialize>(performed: Performed<O>) -> Result<Performed<Value>, StepError> {
    Ok(match performed {
        Performed::Done(done) => Performed::Done(erase_done(done)?),
        Performed::Ask(question, output) => Performed::Ask(question, erase(output)?),
    })
}

fn not_a_change(kind: &str) -> StepError {
    StepError::failed(format!("{kind} changes nothing and has no preview"))
}
