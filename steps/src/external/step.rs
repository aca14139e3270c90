//! An executable as a step.

use std::time::Duration;

use async_trait::async_trait;
use engine::step::{
    AnyPreview, Confirmation, Done, Effect, Performed, Predicted, Preview, Step, StepCx, StepError,
    StepErrorKind, StepSpec, UndoPlan, UndoPreview, Undone,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::call::{Executable, misfit};
use super::describe::holes;
use super::protocol::{Confirmed, PROTOCOL, Previewed, Request, Said, TookBack, Verb};
use super::schema::Schema;
use crate::text::clean_to;

/// An executable as a step.
#[derive(Debug)]
pub struct External {
    pub(super) executable: Executable,
    pub(super) spec: StepSpec,
    pub(super) params: Schema,
    pub(super) output: Schema,
    pub(super) targets: Vec<String>,
    /// For any answer but the description.
    pub(super) limit: Duration,
}

/// What is kept of a preview.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// SHA-256 of the executable that was asked.
    sha256: String,
    /// What it said of taking it back.
    undo: Option<String>,
    /// What it wants to be given again.
    intent: Value,
}

impl External {
    /// Where it is.
    pub fn path(&self) -> String {
        self.executable.path()
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        cx: &StepCx,
        verb: Verb,
        params: &Value,
        intent: &Value,
    ) -> Result<T, StepError> {
        let request = Request { protocol: PROTOCOL, verb, token: &cx.token, params, intent };
        let changes = self.spec.effect.changes() && matches!(verb, Verb::Perform | Verb::Undo);
        let asking = self.executable.ask(&*cx.site, &request, self.limit, changes);
        if changes {
            return asking.await; // a change that began is brought to its end
        }
        tokio::select! {
            answer = asking => answer,
            () = cx.cancel.cancelled() => {
                Err(StepError::failed(format!("{} {}: stopped", self.spec.kind, verb.word())))
            }
        }
    }

    fn fits(&self, params: &Value) -> Result<(), StepError> {
        self.params.check(params).map_err(|why| {
            StepError::new(StepErrorKind::Params, format!("{}: {}", self.spec.kind, clean_to(&why, 300)))
        })
    }

    /// An end that it described.
    fn done(&self, said: Said) -> Result<Done<Value>, StepError> {
        let done = Done::from(said);
        self.declared(&done.outcome)?;
        self.output.check(&done.output).map_err(|why| misfit(&self.executable, "its output", &why))?;
        Ok(done)
    }

    fn declared(&self, outcome: &str) -> Result<(), StepError> {
        if self.spec.outcomes.of(&Value::Null).iter().any(|known| known.name == outcome) {
            return Ok(());
        }
        Err(misfit(&self.executable, "its outcome", &format!("`{outcome}` is none of its outcomes")))
    }

    fn by(&self, sha256: &str) -> String {
        format!("by {} (sha256 {})", self.path(), &sha256[..16.min(sha256.len())])
    }

    fn kept(&self, intent: &Value) -> Result<Kept, StepError> {
        Kept::deserialize(intent).map_err(|error| {
            StepError::failed(format!(
                "{}: the intent in the journal is not its own: {error}",
                self.spec.kind
            ))
        })
    }

    async fn confirmed(
        &self,
        cx: &StepCx,
        params: &Value,
        kept: &Kept,
    ) -> Result<Confirmation<Value>, StepError> {
        match self.ask(cx, Verb::Confirm, params, &kept.intent).await? {
            Confirmed::Happened(said) => Ok(Confirmation::Happened(self.done(said)?)),
            other => Ok(other.into()),
        }
    }
}

#[async_trait]
impl Step for External {
    fn spec(&self) -> &StepSpec {
        &self.spec
    }

    fn effect(&self, _params: &Value) -> Effect {
        self.spec.effect
    }

    fn targets(&self, params: &Value) -> Vec<String> {
        let value = |name: &str| match params.get(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let filled = |target: &String| {
            holes(target).try_fold(target.clone(), |target, name| {
                Some(target.replacen(&format!("{{{name}}}"), &value(name)?, 1))
            })
        };
        self.targets.iter().filter_map(filled).collect()
    }

    async fn preview(&self, cx: &StepCx, params: &Value) -> Result<AnyPreview, StepError> {
        self.fits(params)?;
        let sha256 = self.executable.digest(&*cx.site).await?;
        let told: Previewed = self.ask(cx, Verb::Preview, params, &Value::Null).await?;
        if let Some(said) = told.nothing_to_do {
            return Ok(Preview { intent: Value::Null, ..Preview::nothing(self.done(said)?) });
        }
        told.predicted.iter().try_for_each(|said| self.declared(&said.outcome))?;
        let predicted = told.predicted.into_iter();
        let predicted =
            predicted.map(|said| Predicted { outcome: said.outcome, output: said.output }).collect();
        let mut commands = told.commands;
        if commands.is_empty() {
            commands.push(format!("{} {}", self.executable.program(), Verb::Perform.word()));
        }
        let mut notes = told.notes;
        notes.push(self.by(&sha256));
        let undo = told.undo.filter(|_| self.spec.effect == Effect::Reversible);
        let kept = Kept { sha256, undo: undo.clone(), intent: told.intent };
        let intent = serde_json::to_value(kept)
            .map_err(|error| StepError::failed(format!("{}: {error}", self.spec.kind)))?;
        Ok(Preview {
            target: told.target,
            commands,
            diffs: told.diffs,
            notes,
            undo,
            price: told.price.unwrap_or_default().into(),
            intent,
            predicted,
            writes: Vec::new(),
            nothing_to_do: None,
        })
    }

    async fn perform(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<Performed<Value>, StepError> {
        if !self.spec.effect.changes() {
            self.fits(params)?;
            let said: Said = self.ask(cx, Verb::Perform, params, &Value::Null).await?;
            return Ok(self.done(said)?.into());
        }
        let kept = self.kept(intent)?;
        if self.executable.digest(&*cx.site).await? != kept.sha256 {
            let message =
                format!("{} is another than the one that was agreed to; nothing was done", self.path());
            return Err(StepError::new(StepErrorKind::Drifted, message));
        }
        let said: Said = self.ask(cx, Verb::Perform, params, &kept.intent).await?;
        Ok(self.done(said)?.into())
    }

    async fn confirm(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<Confirmation<Value>, StepError> {
        if !self.spec.effect.changes() {
            return Ok(Confirmation::DidNot);
        }
        self.confirmed(cx, params, &self.kept(intent)?).await
    }

    async fn preview_undo(
        &self,
        cx: &StepCx,
        params: &Value,
        intent: &Value,
    ) -> Result<UndoPreview, StepError> {
        if !self.spec.effect.changes() {
            return Ok(UndoPreview::NothingToDo(format!("{} only reads", self.spec.kind)));
        }
        let kept = self.kept(intent)?;
        let mut notes: Vec<String> = kept.undo.iter().cloned().collect();
        let blind = match self.confirmed(cx, params, &kept).await? {
            Confirmation::DidNot => {
                let why = "it did not happen, or was taken back already";
                return Ok(UndoPreview::NothingToDo(why.to_owned()));
            }
            Confirmation::Happened(_) => false,
            Confirmation::Begun(what) => {
                notes.push(format!("it is half-made: {what}"));
                false
            }
            Confirmation::Unknown(why) => {
                notes.push(format!("whether it happened is unknown: {why}"));
                true
            }
        };
        if self.spec.effect == Effect::Irreversible {
            return Ok(UndoPreview::Cannot(format!("{} has no inverse", self.spec.kind)));
        }
        notes.push(self.by(&self.executable.digest(&*cx.site).await?));
        Ok(UndoPreview::Would(UndoPlan {
            target: self.spec.kind.to_owned(),
            commands: vec![format!("{} {}", self.executable.program(), Verb::Undo.word())],
            notes,
            blind,
            ..UndoPlan::default()
        }))
    }

    async fn undo(&self, cx: &StepCx, params: &Value, intent: &Value) -> Result<Undone, StepError> {
        if self.spec.effect != Effect::Reversible {
            return Ok(Undone::Cannot(format!("{} has no inverse", self.spec.kind)));
        }
        let kept = self.kept(intent)?;
        let took: TookBack = self.ask(cx, Verb::Undo, params, &kept.intent).await?;
        Ok(took.into())
    }
}
