//! `launch.edit`: sets environment variables in the batch script.

use std::collections::BTreeMap;

use async_trait::async_trait;
use engine::step::{
    ChangeStep, Confirmation, Effect, Outcomes, Performed, Preview, StepCx, StepError, StepErrorKind,
    UndoPreview, Undone,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::change::{self, CANNOT, DIFFERS, EDITED, Intent, Patch, Report, Target, UNCHANGED};
use super::edits::{Changed, apply};
use super::restore::restore;
use super::script::{valid_name, valid_value};
use crate::slurm::JobId;
use crate::target;
use crate::text::clean;

/// Sets and unsets environment variables of the launch.
pub(crate) struct Edit;

/// What `with` holds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// Absolute path of the batch script.
    script: String,
    /// Slurm id of the job that ran it: the file is compared with what that job ran. `null`: no comparison.
    #[serde(default)]
    job: Option<JobId>,
    /// Environment variables to set, name to value.
    #[serde(default)]
    set: BTreeMap<String, String>,
    /// Environment variables to remove from the script.
    #[serde(default)]
    unset: Vec<String>,
    /// Changes of variables to take back: the `changed` of an earlier edit. Each gets its former value, or is removed.
    #[serde(default)]
    revert: Vec<Changed>,
    /// Edits to take back: the `patches` of an earlier edit. Nothing else may be given beside it.
    #[serde(default)]
    restore: Vec<Patch>,
    /// Edit the file even if it is not what the job ran.
    #[serde(default)]
    accept_difference: bool,
}

/// The wanted values: `None` is to be removed.
fn wanted(params: &Params) -> Result<Vec<(String, Option<String>)>, StepError> {
    let wrong = |message: String| StepError::new(StepErrorKind::Params, format!("launch.edit: {message}"));
    let mut wanted: Vec<(String, Option<String>)> = Vec::new();
    for (name, value) in &params.set {
        if !valid_value(value) {
            return Err(wrong(format!("the value of {} has control characters or is too long", clean(name))));
        }
        wanted.push((name.clone(), Some(value.clone())));
    }
    let unset = params.unset.iter().map(|name| (name, None));
    let reverted = params.revert.iter().map(|changed| (&changed.name, changed.before.clone()));
    for (name, value) in unset.chain(reverted) {
        if wanted.iter().any(|(other, _)| other == name) {
            return Err(wrong(format!("{} is to be changed twice", clean(name))));
        }
        wanted.push((name.clone(), value));
    }
    match wanted.iter().find(|(name, _)| !valid_name(name)) {
        Some((name, _)) => Err(wrong(format!("{} is not the name of an environment variable", clean(name)))),
        None => Ok(wanted),
    }
}

#[async_trait]
impl ChangeStep for Edit {
    const KIND: &'static str = "launch.edit";
    const SUMMARY: &'static str = "Set environment variables in a job's batch script";
    const EFFECT: Effect = Effect::Reversible;
    type Params = Params;
    type Intent = Intent<Report>;
    type Output = Report;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[EDITED, UNCHANGED, DIFFERS, CANNOT])
    }

    fn targets(&self, params: &Params) -> Vec<String> {
        vec![target::file(&params.script)]
    }

    async fn preview(
        &self,
        cx: &StepCx,
        params: &Params,
    ) -> Result<Preview<Self::Intent, Report>, StepError> {
        let wanted = wanted(params)?;
        if !params.restore.is_empty() {
            if !wanted.is_empty() {
                let message = "launch.edit: restore takes whole edits back and stands alone";
                return Err(StepError::new(StepErrorKind::Params, message));
            }
            return restore(cx, &params.script, &params.restore).await;
        }
        // No change to take back is a case that happens: the last relaunch changed no setting.
        let target = Target {
            script: &params.script,
            job: params.job.as_ref(),
            accept_difference: params.accept_difference,
        };
        let original = match change::load(cx, &target).await? {
            Ok(original) => original,
            Err(stop) => return Ok(stop.preview(|report| report)),
        };
        Ok(match apply(&original.script, &wanted) {
            Err(refusal) => original.stop(CANNOT, refusal.to_string()).preview(|report| report),
            Ok(edited) if edited.script.text() == original.script.text() => {
                original.stop(UNCHANGED, "it already has these settings").preview(|report| report)
            }
            Ok(edited) => {
                let headline = format!("{} edited", clean(&params.script));
                change::propose(original, edited, headline, |report| report)
            }
        })
    }

    async fn perform(
        &self,
        cx: &StepCx,
        _params: &Params,
        intent: &Self::Intent,
    ) -> Result<Performed<Report>, StepError> {
        change::perform(cx, intent).await
    }

    async fn confirm(
        &self,
        cx: &StepCx,
        _params: &Params,
        intent: &Self::Intent,
    ) -> Result<Confirmation<Report>, StepError> {
        change::confirm(cx, intent).await
    }

    async fn preview_undo(
        &self,
        cx: &StepCx,
        _params: &Params,
        intent: &Self::Intent,
    ) -> Result<UndoPreview, StepError> {
        change::preview_undo(cx, intent).await
    }

    async fn undo(&self, cx: &StepCx, _params: &Params, intent: &Self::Intent) -> Result<Undone, StepError> {
        change::undo(cx, intent).await
    }
}
