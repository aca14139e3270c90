//! `launch.lever`: takes the next lever.

use async_trait::async_trait;
use engine::step::{
    ChangeStep, Confirmation, Effect, Outcomes, Performed, Preview, StepCx, StepError, StepErrorKind, Undone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::change::{self, CANNOT, DIFFERS, EDITED, Intent, Original, Report, Target};
use super::super::edits::apply;
use super::super::script::valid_name;
use super::choose::{Ask, Choice, Pull, Rung, choose};
use super::names::{Names, customary};
use crate::size::show;
use crate::slurm::JobId;
use crate::text::clean;

const EXHAUSTED: (&str, &str) = ("exhausted", "Every allowed lever was tried or is spent.");
const UNKNOWN: (&str, &str) =
    ("unknown", "The next lever's setting was not found in the script; `reason` says what was looked for.");

/// Takes the next lever.
pub(crate) struct Lever;

/// What `with` holds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// Absolute path of the batch script.
    script: String,
    /// Slurm id of the job that ran it: the file is compared with what that job ran. `null`: no comparison.
    #[serde(default)]
    job: Option<JobId>,
    /// Levers taken so far, as an earlier `launch.lever` gave them in `tried`. `null`: none.
    #[serde(default)]
    tried: Option<Vec<String>>,
    /// Which environment variable holds which setting. `null`, or a setting not named: customary names are looked for.
    #[serde(default)]
    names: Option<Names>,
    /// Ranks of the job. `null`: not known.
    #[serde(default)]
    world_size: Option<u32>,
    /// Levers that may be taken. `null`: all.
    #[serde(default)]
    allow: Option<Vec<Rung>>,
    /// Whether the micro-batch may be halved again after it was.
    #[serde(default)]
    repeat: bool,
    /// The error's numbers, as `oom.read` gives them (`tried`, `free`, `allocated`, in bytes). `null`: not known.
    #[serde(default)]
    error: Option<Map<String, Value>>,
    /// Edit the file even if it is not what the job ran.
    #[serde(default)]
    accept_difference: bool,
}

/// What it yields.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    #[serde(flatten)]
    report: Report,
    /// The lever; `null` if none is taken.
    rung: Option<Rung>,
    /// What it does, one line; `null` if none is taken.
    description: Option<String>,
    /// All levers taken so far, this one included (`micro_batch:8->4`).
    tried: Vec<String>,
    /// Whether the lever changes what the model learns from; `null` if none is taken.
    changes_training: Option<bool>,
    /// What the lever can be expected to free; `null` if the error's numbers are not known.
    estimate: Option<String>,
}

fn output(report: Report, tried: Vec<String>, pull: Option<(&Pull, Option<String>)>) -> Output {
    Output {
        report,
        rung: pull.as_ref().map(|(pull, _)| pull.rung),
        description: pull.as_ref().map(|(pull, _)| pull.description.clone()),
        tried,
        changes_training: pull.as_ref().map(|(pull, _)| pull.rung == Rung::Sequence),
        estimate: pull.and_then(|(_, estimate)| estimate),
    }
}

fn wrong(message: impl std::fmt::Display) -> StepError {
    StepError::new(StepErrorKind::Params, format!("launch.lever: {message}"))
}

/// The levers that were tried.
fn tried(params: &Params) -> Result<Vec<Rung>, StepError> {
    let entries = params.tried.iter().flatten();
    entries
        .map(|entry| {
            Rung::of_entry(entry).ok_or_else(|| wrong(format!("{} in tried is no lever", clean(entry))))
        })
        .collect()
}

fn answer(original: Original, params: &Params) -> Result<Preview<Intent<Output>, Output>, StepError> {
    let names = params.names.clone().unwrap_or_default();
    let ask = Ask {
        names: &names,
        customary: customary().map_err(StepError::failed)?,
        allow: params.allow.as_deref().unwrap_or(&Rung::ALL),
        tried: &tried(params)?,
        repeat: params.repeat,
        world_size: params.world_size,
    };
    let before = params.tried.clone().unwrap_or_default();
    let stop = |original: Original, outcome, why: String| {
        original.stop(outcome, why).preview(|report| output(report, before.clone(), None))
    };
    let pull = match choose(&original.script, &ask) {
        Choice::Pull(pull) => pull,
        Choice::Unknown(why) => return Ok(stop(original, UNKNOWN, why)),
        Choice::Cannot(why) => return Ok(stop(original, CANNOT, why)),
        Choice::Exhausted(spent) => {
            let why = if spent.is_empty() { "every lever was tried".to_owned() } else { spent.join("; ") };
            return Ok(stop(original, EXHAUSTED, why));
        }
    };
    let wanted: Vec<_> = pull.edits.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
    let edited = match apply(&original.script, &wanted) {
        Ok(edited) => edited,
        Err(refusal) => return Ok(stop(original, CANNOT, refusal.to_string())),
    };
    let mut original = original;
    original.report.notes.extend(pull.notes.iter().cloned());
    let estimate = params.error.as_ref().and_then(|error| estimate(error, pull.rung));
    original.report.notes.extend(estimate.clone());
    let mut taken = before;
    taken.push(format!("{}:{}", pull.rung.name(), pull.from_to));
    let headline = format!("{}: {}", pull.rung.name(), pull.description);
    Ok(change::propose(original, edited, headline, |report| {
        output(report, taken.clone(), Some((&pull, estimate.clone())))
    }))
}

/// How much the job lacked, and which part of the memory the lever shrinks; `None` where the numbers are not known.
///
/// What each lever frees follows from where memory goes: model states (weights, gradients, optimizer) as in
/// arXiv:1910.02054, activations as in arXiv:2205.05198.
fn estimate(error: &Map<String, Value>, rung: Rung) -> Option<String> {
    let bytes = |name: &str| error.get(name).and_then(Value::as_u64);
    let (tried, free) = (bytes("tried")?, bytes("free")?);
    let lacked = tried.checked_sub(free).filter(|lacked| *lacked > 0)?;
    let frees = match rung {
        Rung::MicroBatch => "frees about half of the activations, nothing of the model states",
        Rung::Sequence => "frees at least half of the activations, nothing of the model states",
        Rung::ActivationCheckpointing => "frees most of the activations, nothing of the model states",
        Rung::Sharding => "frees up to half of the sharded model states, nothing of the activations",
    };
    let live = match bytes("allocated") {
        Some(allocated) => format!(" {} were in use.", show(allocated)),
        None => String::new(),
    };
    Some(format!(
        "The job lacked {} at that moment ({} asked, {} free).{live} This {frees}; the error does not tell how these \
         divide.",
        show(lacked),
        show(tried),
        show(free)
    ))
}

#[async_trait]
impl ChangeStep for Lever {
    const KIND: &'static str = "launch.lever";
    const SUMMARY: &'static str = "Take the next lever that shrinks the working set, in a job's batch script";
    const EFFECT: Effect = Effect::Reversible;
    type Params = Params;
    type Intent = Intent<Output>;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[EDITED, EXHAUSTED, UNKNOWN, DIFFERS, CANNOT])
    }

    async fn preview(
        &self,
        cx: &StepCx,
        params: &Params,
    ) -> Result<Preview<Self::Intent, Output>, StepError> {
        tried(params)?;
        let names = params.names.iter().flat_map(Names::given);
        if let Some(name) = names.into_iter().find(|name| !valid_name(name)) {
            return Err(wrong(format!("{} is not the name of an environment variable", clean(name))));
        }
        let target = Target {
            script: &params.script,
            job: params.job.as_ref(),
            accept_difference: params.accept_difference,
        };
        match change::load(cx, &target).await? {
            Ok(original) => answer(original, params),
            Err(stop) => Ok(stop.preview(|r| output(r, params.tried.clone().unwrap_or_default(), None))),
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

    async fn undo(&self, cx: &StepCx, _params: &Params, intent: &Self::Intent) -> Result<Undone, StepError> {
        change::undo(cx, intent).await
    }
}
