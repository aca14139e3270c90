//! `launch.lever`: takes the next lever.

use std::collections::BTreeMap;

use async_trait::async_trait;
use engine::step::{
    ChangeStep, Confirmation, Effect, Outcomes, Performed, Preview, StepCx, StepError, StepErrorKind, Undone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::change::{
    self, CANNOT, DIFFERS, EDITED, Intent, Original, Proposal, Report, Target, Version,
};
use super::super::edits::{Changed, apply, variables};
use super::super::script::{Script, valid_name};
use super::super::settings::{File, Launch, Program};
use super::choose::{Ask, Choice, Edits, Rung, choose};
use super::estimate::{Estimate, Lack};
use super::files;
use super::framework::{frameworks, recognised};
use super::ladder;
use super::names::{Names, customary};
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
    /// Tasks of the job, which are its ranks where `srun` starts them. `null`: not known.
    #[serde(default)]
    world_size: Option<u32>,
    /// GPUs of the job, which are its ranks where torchrun and its like start them. `null`: not known.
    #[serde(default)]
    gpus: Option<u32>,
    /// Nodes of the job. `null`: not known.
    #[serde(default)]
    nodes: Option<u32>,
    /// The job's working directory, from which the configuration files are seen. `null`: not known.
    #[serde(default)]
    work_dir: Option<String>,
    /// The newest complete checkpoint: some frameworks resume with the batch size that stands there. `null`: none, or not known.
    #[serde(default)]
    checkpoint: Option<String>,
    /// Levers that may be taken. `null`: all.
    #[serde(default)]
    allow: Option<Vec<Rung>>,
    /// Whether the micro-batch may be halved again after it was.
    #[serde(default)]
    repeat: bool,
    /// The error's numbers, as `oom.read` gives them (`tried`, `free`, `allocated`, `capacity`, in bytes). `null`: not known.
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

/// A choice among levers, and how it was made.
struct Chosen {
    choice: Choice,
    /// The launch before, where a framework was recognised.
    launch: Option<Launch>,
    framework: Option<String>,
    estimate: Estimate,
}

/// The values of variables that Slurm sets, as far as they are known.
fn given(params: &Params, script: &Script) -> BTreeMap<String, String> {
    let mut given = BTreeMap::new();
    let mut put = |names: &[&str], value: Option<String>| {
        given.extend(
            value
                .into_iter()
                .flat_map(|value| names.iter().map(move |name| ((*name).to_owned(), value.clone()))),
        );
    };
    put(&["PWD"], params.work_dir.clone());
    // With another working directory than the one it was submitted from, the latter is not known.
    let moved = script.text().lines().filter(|line| line.starts_with("#SBATCH")).any(|line| {
        line.split_whitespace().any(|word| word.starts_with("-D") || word.starts_with("--chdir"))
    });
    put(&["SLURM_SUBMIT_DIR"], params.work_dir.clone().filter(|_| !moved));
    put(&["SLURM_NTASKS", "SLURM_NPROCS"], params.world_size.map(|tasks| tasks.to_string()));
    put(&["SLURM_NNODES", "SLURM_JOB_NUM_NODES"], params.nodes.map(|nodes| nodes.to_string()));
    given
}

/// Chooses by the framework that the launch shows, or else by customary variables.
async fn choose_lever(cx: &StepCx, script: &Script, params: &Params) -> Result<Chosen, StepError> {
    let tried = tried(params)?;
    let allow = params.allow.as_deref().unwrap_or(&Rung::ALL);
    let lack = params.error.as_ref().and_then(Lack::read);
    let mut estimate = Estimate { lack, run: None };
    let mut launch = Launch::new(script.clone(), given(params, script));
    let all = frameworks().map_err(StepError::failed)?;
    let recognised = match &params.names {
        // Who names the variables says that they count.
        Some(names) if !names.given().is_empty() => Vec::new(),
        _ => recognised(all, &launch),
    };
    match recognised.as_slice() {
        [] => {
            let names = params.names.clone().unwrap_or_default();
            let customary = customary().map_err(StepError::failed)?;
            let world_size = params.world_size.map(u64::from);
            let repeat = params.repeat;
            let estimate_of = estimate;
            let ask = Ask {
                names: &names,
                customary,
                allow,
                tried: &tried,
                repeat,
                world_size,
                estimate: &estimate_of,
            };
            let choice = match choose(script, &ask) {
                Choice::Unknown(why) if names.given().is_empty() => {
                    let known: Vec<&str> = all.iter().map(|framework| framework.name.as_str()).collect();
                    Choice::Unknown(format!("{why}; nor does the launch show one of {}", known.join(", ")))
                }
                choice => choice,
            };
            Ok(Chosen { choice, launch: None, framework: None, estimate })
        }
        [framework] => {
            launch.loosen(framework.loose);
            files::load(cx, &mut launch, framework, params.checkpoint.as_deref()).await?;
            // torchrun and its like start a rank per GPU; Slurm's tasks are their agents then.
            let agents = launch.programs().any(Program::by_agent);
            let world_size = if agents { params.gpus } else { params.world_size };
            estimate.run = ladder::run(framework, &launch);
            let ask = ladder::Ask {
                framework,
                launch: &launch,
                allow,
                tried: &tried,
                repeat: params.repeat,
                world_size: world_size.map(u64::from),
                estimate: &estimate,
            };
            let choice = ladder::choose(&ask);
            Ok(Chosen { choice, launch: Some(launch), framework: Some(framework.name.clone()), estimate })
        }
        several => {
            let names: Vec<&str> = several.iter().map(|framework| framework.name.as_str()).collect();
            let why = format!("the launch shows signs of {} at once", names.join(" and "));
            Ok(Chosen { choice: Choice::Unknown(why), launch: None, framework: None, estimate })
        }
    }
}

fn answer(original: Original, chosen: Chosen, params: &Params) -> Preview<Intent<Output>, Output> {
    let before = params.tried.clone().unwrap_or_default();
    let Chosen { choice, launch, framework, estimate } = chosen;
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
    let mut original = original;
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

    async fn undo(&self, cx: &StepCx, _params: &Params, intent: &Self::Intent) -> Result<Undone, StepError> {
        change::undo(cx, intent).await
    }
}
