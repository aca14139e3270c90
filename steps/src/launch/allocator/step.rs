//! `launch.allocator`: sets the caching allocator's variable, under the names that the job's release reads.

use std::collections::BTreeMap;

use async_trait::async_trait;
use engine::step::{
    ChangeStep, Confirmation, Effect, Outcomes, Performed, Preview, StepCx, StepError, StepErrorKind,
    UndoPreview, Undone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::change::{self, CANNOT, DIFFERS, EDITED, Intent, Original, Report, Target, UNCHANGED};
use super::super::script::{valid_name, valid_value};
use super::decide::{Ask, Verdict, decide};
use super::settings::{Dropped, Settings, parse, write};
use super::version::{Releases, Version};
use crate::oom::Kind;
use crate::slurm::JobId;
use crate::target;
use crate::text::clean;

/// What is left where the settings were in force when the job failed.
const STILL: &str = "the job that failed ran with these settings, so they are no cure. What is left is to see what splits the \
                     pool (a memory snapshot tells), to give long-lived tensors their memory early, or to shrink the \
                     working set as for a true out-of-memory";

/// Sets keys of the caching allocator.
pub(crate) struct Allocator;

/// What `with` holds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// Absolute path of the batch script.
    script: String,
    /// Slurm id of the job that ran it: the file is compared with what that job ran. `null`: no comparison.
    #[serde(default)]
    job: Option<JobId>,
    /// Keys to set, for example `expandable_segments: true`. Keys that are set already and not named here are kept.
    #[serde(default)]
    options: BTreeMap<String, Value>,
    /// Keys to set where `options` would not be legal on the job's release, for example `max_split_size_mb: 256`.
    #[serde(default)]
    instead: BTreeMap<String, Value>,
    /// Keys to take away.
    #[serde(default)]
    remove: Vec<String>,
    /// The PyTorch releases that the job may have used, as `oom.read` found them. `null`: not known.
    #[serde(default)]
    torch: Option<Torch>,
    /// Whose error it is, as `oom.read` found it: variables and keys are known of CUDA builds alone. `null`: not known, and
    /// taken for CUDA.
    #[serde(default)]
    kind: Option<Kind>,
    /// The oldest release to reckon with (`2.4`) where `torch` does not say it.
    #[serde(default)]
    assume_torch: Option<String>,
    /// Edit the file even if it is not what the job ran.
    #[serde(default)]
    accept_difference: bool,
}

/// A range of PyTorch releases.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Torch {
    /// The oldest, like `2.4`; `null`: not known.
    #[serde(default)]
    min: Option<String>,
    /// The newest, like `2.9`; `null`: not known.
    #[serde(default)]
    max: Option<String>,
}

/// What it yields.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    #[serde(flatten)]
    report: Report,
    #[serde(flatten)]
    settings: InForce,
}

/// The allocator's settings.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct InForce {
    /// The allocator's settings that the script had in force; `null` if none.
    before: Option<String>,
    /// The settings in force with the new script; `null` if it is not edited.
    merged: Option<String>,
    /// Keys that were left out of them, and why.
    dropped: Vec<Dropped>,
}

fn output(report: Report, settings: InForce) -> Output {
    Output { report, settings }
}

fn wrong(message: impl std::fmt::Display) -> StepError {
    StepError::new(StepErrorKind::Params, format!("launch.allocator: {message}"))
}

/// The wanted keys as the allocator writes their values.
fn wanted(options: &BTreeMap<String, Value>, remove: &[String]) -> Result<Settings, StepError> {
    if let Some(key) = remove.iter().find(|key| options.contains_key(*key)) {
        return Err(wrong(format!("{} is to be set and to be removed", clean(key))));
    }
    let texts = options.iter().map(|(key, value)| {
        let text = match value {
            Value::Bool(true) => "True".to_owned(),
            Value::Bool(false) => "False".to_owned(),
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => {
                return Err(wrong(format!(
                    "the value of {} is not a word, a number or true or false",
                    clean(key)
                )));
            }
        };
        // A comma outside of brackets would end the value, and a blank means nothing: neither is what was meant.
        let one =
            parse(&format!("{key}:{text}")).is_ok_and(|all| all.as_slice() == [(key.clone(), text.clone())]);
        match one && valid_name(key) && valid_value(&text) {
            true => Ok((key.clone(), text)),
            false => Err(wrong(format!("{}:{} is not a setting", clean(key), clean(&text)))),
        }
    });
    texts.collect()
}

/// The releases to reckon with.
fn releases(params: &Params) -> Result<Releases, StepError> {
    let read = |text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => match Version::parse(text) {
            Some(version) => Ok(Some(version)),
            None => Err(wrong(format!("{} is not a release of PyTorch", clean(text)))),
        },
    };
    let (min, max) = match &params.torch {
        Some(torch) => (read(&torch.min)?, read(&torch.max)?),
        None => (None, None),
    };
    let min = min.or(read(&params.assume_torch)?).unwrap_or(Releases::OLDEST);
    match max {
        Some(max) if max < min => {
            Err(wrong(format!("the newest release, {max}, is older than the oldest, {min}")))
        }
        _ => Ok(Releases { min, max }),
    }
}

/// What is asked for, and what instead of it.
fn asks(params: &Params) -> Result<(Ask, Option<Ask>), StepError> {
    if params.options.is_empty() && params.remove.is_empty() {
        return Err(wrong("no options to set and none to remove"));
    }
    let known =
        params.torch.as_ref().is_some_and(|torch| torch.min.is_some()) || params.assume_torch.is_some();
    let ask = |options| -> Result<Ask, StepError> {
        Ok(Ask {
            wanted: wanted(options, &params.remove)?,
            remove: params.remove.clone(),
            releases: releases(params)?,
            release_known: known,
        })
    };
    let instead = (!params.instead.is_empty()).then(|| ask(&params.instead)).transpose()?;
    Ok((ask(&params.options)?, instead))
}

/// Why the settings of the build that the error is of are not known here, if they are not.
fn foreign(kind: Option<Kind>) -> Option<String> {
    let kind = kind.filter(|kind| kind.is_caching_allocator() && *kind != Kind::CudaCachingAllocator)?;
    Some(format!(
        "the error is \"{}\": which variable and keys that build of PyTorch reads is not known here (its message may name them)",
        kind.words()
    ))
}

fn answer(
    original: Original,
    kind: Option<Kind>,
    (ask, instead): &(Ask, Option<Ask>),
) -> Result<Preview<Intent<Output>, Output>, StepError> {
    if let Some(why) = foreign(kind) {
        return Ok(original.stop(CANNOT, why).preview(|report| output(report, InForce::default())));
    }
    let mut original = original;
    let mut notes = Vec::new();
    let mut decided = decide(&original.script, ask, &mut notes)?;
    if let (Verdict::Illegal(why), Some(instead)) = (&decided.verdict, instead) {
        notes = vec![format!("Not {}: {why}.", write(&ask.wanted))];
        decided = decide(&original.script, instead, &mut notes)?;
    }
    let before = decided.before;
    original.report.notes.append(&mut notes);
    let stopped = InForce { before: before.clone(), ..InForce::default() };
    Ok(match decided.verdict {
        Verdict::Cannot(why) | Verdict::Illegal(why) => {
            original.stop(CANNOT, why).preview(|report| output(report, stopped.clone()))
        }
        Verdict::Same if original.as_run => {
            let reason = format!("{}: {STILL}", before.unwrap_or_default());
            original.stop(CANNOT, reason).preview(|report| output(report, stopped.clone()))
        }
        Verdict::Same => {
            let reason = format!("the allocator already has these settings: {}", before.unwrap_or_default());
            original.stop(UNCHANGED, reason).preview(|report| output(report, stopped.clone()))
        }
        Verdict::Edit(edit) => {
            let (edited, merged) = *edit;
            original.report.notes.extend(merged.notes);
            original.report.notes.extend(
                merged
                    .dropped
                    .iter()
                    .map(|gone| format!("{}:{} is dropped: {}.", gone.key, clean(&gone.value), gone.why)),
            );
            let text = write(&merged.settings);
            let now = if text.is_empty() { "the default".to_owned() } else { clean(&text) };
            let extra = InForce { before, merged: Some(text), dropped: merged.dropped };
            let headline = format!("Allocator set to {now}");
            change::propose(original, edited, headline, |report| output(report, extra.clone()))
        }
    })
}

#[async_trait]
impl ChangeStep for Allocator {
    const KIND: &'static str = "launch.allocator";
    const SUMMARY: &'static str = "Set keys of PyTorch's caching allocator in a job's batch script";
    const EFFECT: Effect = Effect::Reversible;
    type Params = Params;
    type Intent = Intent<Output>;
    type Output = Output;

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
    ) -> Result<Preview<Self::Intent, Output>, StepError> {
        // Wrong parameters are said before anything is read.
        let asks = asks(params)?;
        let target = Target {
            script: &params.script,
            job: params.job.as_ref(),
            accept_difference: params.accept_difference,
        };
        match change::load(cx, &target).await? {
            Ok(original) => answer(original, params.kind, &asks),
            Err(stop) => Ok(stop.preview(|report| output(report, InForce::default()))),
        }
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
