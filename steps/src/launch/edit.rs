//! `launch.edit`: sets environment variables in the batch script.

use std::collections::BTreeMap;

use async_trait::async_trait;
use engine::step::{
    ChangeStep, Confirmation, Effect, Outcomes, Performed, Preview, StepCx, StepError, StepErrorKind, Undone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::change::{self, CANNOT, DIFFERS, EDITED, Intent, Report, Target, UNCHANGED};
use super::edits::{Changed, apply};
use super::script::{valid_name, valid_value};
use crate::slurm::JobId;
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
    /// Changes to take back: the `changed` of an earlier edit. Each variable gets its former value, or is removed.
    #[serde(default)]
    revert: Vec<Changed>,
    /// Edit the file even if it is not what the job ran.
    #[serde(default)]
    accept_difference: bool,
}

/// What it yields.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// The script.
    path: String,
    /// The variables that are changed at the launch.
    changed: Vec<Changed>,
    /// The changed variables as a rank's environment must show them; removed ones are left out.
    environment: BTreeMap<String, String>,
    /// SHA-256 of the script before, hexadecimal; `null` if it could not be read.
    before_digest: Option<String>,
    /// SHA-256 of the script afterwards, hexadecimal; `null` if it is not edited.
    after_digest: Option<String>,
    /// The edit, as a unified diff; `null` if there is none.
    diff: Option<String>,
    /// How the file differs from what the job ran, as a unified diff (at most 300 lines); `null` if it does not, or that is
    /// not known.
    difference: Option<String>,
    /// Why it is not edited; `null` if it is.
    reason: Option<String>,
    /// What a person should know about the edit.
    notes: Vec<String>,
}

impl From<Report> for Output {
    fn from(report: Report) -> Self {
        let environment = report.environment();
        let Report { path, changed, before_digest, after_digest, diff, difference, reason, notes } = report;
        Self { path, changed, environment, before_digest, after_digest, diff, difference, reason, notes }
    }
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
        None if wanted.is_empty() => Err(wrong("nothing to set or unset".to_owned())),
        None => Ok(wanted),
    }
}

#[async_trait]
impl ChangeStep for Edit {
    const KIND: &'static str = "launch.edit";
    const SUMMARY: &'static str = "Set environment variables in a job's batch script";
    const EFFECT: Effect = Effect::Reversible;
    type Params = Params;
    type Intent = Intent<Output>;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[EDITED, UNCHANGED, DIFFERS, CANNOT])
    }

    async fn preview(
        &self,
        cx: &StepCx,
        params: &Params,
    ) -> Result<Preview<Self::Intent, Output>, StepError> {
        let wanted = wanted(params)?;
        let target = Target {
            script: &params.script,
            job: params.job.as_ref(),
            accept_difference: params.accept_difference,
        };
        let original = match change::load(cx, &target).await? {
            Ok(original) => original,
            Err(stop) => return Ok(stop.preview(Output::from)),
        };
        Ok(match apply(&original.script, &wanted) {
            Err(refusal) => original.stop(CANNOT, refusal.to_string()).preview(Output::from),
            Ok(edited) if edited.script.text() == original.script.text() => {
                original.stop(UNCHANGED, "it already has these settings").preview(Output::from)
            }
            Ok(edited) => {
                let headline = format!("{} edited", clean(&params.script));
                change::propose(original, edited, headline, Output::from)
            }
        })
    }

    async fn perform(
        &self,
        cx: &StepCx,
        _params: &Params,
        intent: &Self::Intent,
    ) -> Result<Performed<Output>, StepError> {
        change::perform(cx, intent).await
    }

    async fn confirm(
        &self,
        cx: &StepCx,
        _params: &Params,
        intent: &Self::Intent,
    ) -> Result<Confirmation<Output>, StepError> {
        change::confirm(cx, intent).await
    }

    async fn undo(&self, cx: &StepCx, _params: &Params, intent: &Self::Intent) -> Result<Undone, StepError> {
        change::undo(cx, intent).await
    }
}
