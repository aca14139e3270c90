//! `launch.lever`: takes the next lever.

use async_trait::async_trait;
use engine::step::{
    ChangeStep, Confirmation, Effect, Outcomes, Performed, Preview, StepCx, StepError, StepErrorKind,
    UndoPreview, Undone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::change::{
    self, CANNOT, DIFFERS, EDITED, Intent, Original, Proposal, Report, Target, Version,
};
use super::super::edits::{Changed, apply, variables};
use super::super::script::valid_name;
use super::super::settings::{File, Launch};
use super::choose::{Choice, Edits, Rung};
use super::chosen::{Chosen, choose_lever};
use super::names::Names;
use crate::slurm::JobId;
use crate::target;
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
    pub(super) script: String,
    /// Slurm id of the job that ran it: the file is compared with what that job ran. `null`: no comparison.
    #[serde(default)]
    pub(super) job: Option<JobId>,
    /// Levers taken so far, as an earlier `launch.lever` gave them in `tried`. `null`: none.
    #[serde(default)]
    pub(super) tried: Option<Vec<String>>,
    /// Which environment variable holds which setting. `null`, or a setting not named: customary names are looked for.
    #[serde(default)]
    pub(super) names: Option<Names>,
    /// Tasks of the job, which are its ranks where `srun` starts them. `null`: not known.
    #[serde(default)]
    pub(super) world_size: Option<u32>,
    /// GPUs of the job, which are its ranks where torchrun and its like start them. `null`: not known.
    #[serde(default)]
    pub(super) gpus: Option<u32>,
    /// Nodes of the job. `null`: not known.
    #[serde(default)]
    pub(super) nodes: Option<u32>,
    /// The job's working directory, from which the configuration files are seen. `null`: not known.
    #[serde(default)]
    pub(super) work_dir: Option<String>,
    /// The newest complete checkpoint: some frameworks resume with the batch size that stands there. `null`: none, or not known.
    #[serde(default)]
    pub(super) checkpoint: Option<String>,
    /// Levers that may be taken. `null`: all.
    #[serde(default)]
    pub(super) allow: Option<Vec<Rung>>,
    /// Whether the micro-batch may be halved again after it was.
    #[serde(default)]
    pub(super) repeat: bool,
    /// When the job started, RFC 3339: a file that was changed since is said to be. `null`: not known.
    #[serde(default)]
    pub(super) started: Option<String>,
    /// The error's numbers, as `oom.read` gives them (`tried`, `free`, `allocated`, `capacity`, in bytes). `null`: not known.
    #[serde(default)]
    pub(super) error: Option<Map<String, Value>>,
    /// Edit the file even if it is not what the job ran.
    #[serde(default)]
    pub(super) accept_difference: bool,
}

/// What it yields.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    #[serde(flatten)]
    report: Report,
    /// The framework whose settings were looked at; `null`: environment variables.
    framework: Option<String>,
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

impl Output {
    /// The output where no lever is taken.
    fn none(report: Report, tried: Vec<String>, framework: Option<String>) -> Self {
        Self {
            report,
            framework,
            rung: None,
            description: None,
            tried,
            changes_training: None,
            estimate: None,
        }
    }
}

pub(super) fn wrong(message: impl std::fmt::Display) -> StepError {
    StepError::new(StepErrorKind::Params, format!("launch.lever: {message}"))
}

/// The levers that were tried.
pub(super) fn tried(params: &Params) -> Result<Vec<Rung>, StepError> {
    let entries = params.tried.iter().flatten();
    entries
        .map(|entry| {
            Rung::of_entry(entry).ok_or_else(|| wrong(format!("{} in tried is no lever", clean(entry))))
        })
        .collect()
}

fn answer(original: Original, chosen: Chosen, params: &Params) -> Preview<Intent<Output>, Output> {
    let before = params.tried.clone().unwrap_or_default();
    let Chosen { choice, launch, framework, estimate, notes } = chosen;
    let mut original = original;
    original.report.notes.extend(notes);
    let stop = |original: Original, outcome, why: String| {
        original.stop(outcome, why).preview(|report| Output::none(report, before.clone(), framework.clone()))
    };
    let pull = match choice {
        Choice::Exhausted(spent) => {
            let why = if spent.is_empty() { "every lever was tried".to_owned() } else { spent.join("; ") };
            return stop(original, EXHAUSTED, why);
        }
        Choice::Unknown(why) => return stop(original, UNKNOWN, why),
        Choice::Cannot(why) => return stop(original, CANNOT, why),
        Choice::Pull(pull) => pull,
    };
    let proposal = match (&pull.edits, &launch) {
        (Edits::Variables(wanted), _) => {
            let wanted: Vec<_> =
                wanted.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
            match apply(&original.script, &wanted) {
                Ok(edited) => Proposal::of_script(&original, edited),
                Err(refusal) => return stop(original, CANNOT, refusal.to_string()),
            }
        }
        (Edits::Launch(after, changed), Some(launch)) => of_launch(&original, launch, after, changed),
        (Edits::Launch(..), None) => return stop(original, CANNOT, "the launch was lost".to_owned()),
    };
    original.report.notes.extend(pull.notes.iter().cloned());
    let estimate = estimate.tell(pull.rung, &pull.from_to);
    original.report.notes.extend(estimate.clone());
    let mut taken = before.clone();
    taken.push(format!("{}:{}", pull.rung.name(), pull.from_to));
    let headline = format!("{}: {}", pull.rung.name(), pull.description);
    change::propose_files(original.report, proposal, headline, |report| Output {
        rung: Some(pull.rung),
        description: Some(pull.description.clone()),
        changes_training: Some(pull.rung == Rung::Sequence),
        estimate: estimate.clone(),
        ..Output::none(report, taken.clone(), framework.clone())
    })
}

/// What changes between two launches.
fn of_launch(original: &Original, before: &Launch, after: &Launch, changed: &[Changed]) -> Proposal {
    let mut files = Vec::new();
    if before.script.text() != after.script.text() {
        files.push(Version {
            path: original.report.path.clone(),
            before: before.script.text().to_owned(),
            after: after.script.text().to_owned(),
        });
    }
    for (name, file) in &before.files {
        if let (File::Read { path, doc: old }, Some(File::Read { doc: new, .. })) =
            (file, after.files.get(name))
            && old.text() != new.text()
        {
            files.push(Version {
                path: path.clone(),
                before: old.text().to_owned(),
                after: new.text().to_owned(),
            });
        }
    }
    let mut changed = changed.to_vec();
    let (more, notes) = variables(&before.script, &after.script);
    changed.extend(more);
    Proposal { files, changed, notes }
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

    fn targets(&self, params: &Params) -> Vec<String> {
        vec![target::file(&params.script)]
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
            Ok(original) => {
                let chosen = choose_lever(cx, &original.script, params).await?;
                Ok(answer(original, chosen, params))
            }
            Err(stop) => {
                Ok(stop.preview(|r| Output::none(r, params.tried.clone().unwrap_or_default(), None)))
            }
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
