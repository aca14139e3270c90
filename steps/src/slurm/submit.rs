//! `slurm.submit`: submits a job again as it was submitted before.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use engine::site::{Command, SiteErrorKind, digest};
use engine::step::{
    ChangeStep, Confirmation, Done, Effect, Outcomes, Performed, Predicted, Preview, Price, StepCx,
    StepError, StepErrorKind, UndoPlan, UndoPreview, Undone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::{Refusal, command, no_answer, refusal, run};
use super::cancel::{scancel, stop};
use super::id::JobId;
use super::mine::{Search, carries, find};
use super::options::{SbatchOption, read_list};
use super::pin::{Pin, same_cluster};
use super::query::{self, Found};
use super::record::Record;
use super::release::{stuck, wait};
use super::script::{absolute, batch_script, on_disk};
use super::state::State;
use super::submission::{Plan, Request, plan};
use crate::target;
use crate::text::{clean, count};

/// `sbatch` waits by itself when the controller is busy.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Most of a script that is read, in bytes (slurm.conf `max_script_size` is 4 MiB unless set otherwise).
const SCRIPT_LIMIT: usize = 16 << 20;
/// Options by which a job may get another number of GPUs.
const SIZES: &[&str] = &[
    "array",
    "exclusive",
    "gpus",
    "gpus-per-node",
    "gpus-per-socket",
    "gpus-per-task",
    "gres",
    "nodelist",
    "nodes",
    "ntasks",
    "ntasks-per-gpu",
    "ntasks-per-node",
    "sockets-per-node",
    "tres-per-task",
];
/// How long an undo waits for the nodes of the job that it cancels.
const UNDO_WAIT: Duration = Duration::from_secs(300);

/// Parameters of `slurm.submit`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// Id of the job whose submission is repeated, with its options, arguments and working directory.
    job: JobId,
    /// The `pin` that `slurm.job` gave: nothing is submitted if the id stands for another job by now.
    #[serde(default)]
    pin: Option<Pin>,
    /// Path of the script to submit; unknown or not given: the file that was submitted before, as it is now.
    #[serde(default)]
    script: Option<String>,
    /// Options of `sbatch`, such as `--exclude=gpu-21`. Each replaces the same option of the first submission.
    #[serde(default)]
    options: Vec<String>,
    /// Id of a job whose end is waited for (`--dependency=afterany:…`). Not given: the new job depends on nothing.
    #[serde(default)]
    after: Option<JobId>,
    /// Variables for the environment of `sbatch`, which hands them to the job unless `--export` says otherwise.
    #[serde(default)]
    env: BTreeMap<String, String>,
}

/// The submission in full.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Intent {
    pin: Pin,
    name: Option<String>,
    token: String,
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    work_dir: String,
    comment: String,
    script: Option<String>,
    /// Digest of the script's content when it was shown.
    script_digest: Option<String>,
    stdin: Option<String>,
    /// The first job had not ended when this was shown, and that was said.
    #[serde(default)]
    alive: bool,
}

/// The new job.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// Id of the new job; `null` if there is none (yet).
    job: Option<String>,
    /// The command line.
    submit_line: Option<String>,
    /// Its working directory.
    work_dir: Option<String>,
    /// Its comment; it carries the mark by which this run finds the job again.
    comment: Option<String>,
    /// What `sbatch` said.
    message: Option<String>,
}

/// See the module.
pub(crate) struct Submit;

#[async_trait]
impl ChangeStep for Submit {
    const KIND: &'static str = "slurm.submit";
    const SUMMARY: &'static str =
        "Submit a job again as it was submitted before, with other options where given";
    const EFFECT: Effect = Effect::Reversible;
    type Params = Params;
    type Intent = Intent;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[
            ("submitted", "Slurm took the job; the output holds its id"),
            ("refused", "Slurm did not take it; the output holds what it said"),
        ])
    }

    fn targets(&self, params: &Params) -> Vec<String> {
        vec![target::job(params.job.as_str())]
    }

    async fn preview(&self, cx: &StepCx, params: &Params) -> Result<Preview<Intent, Output>, StepError> {
        if let Some(name) = params.env.keys().find(|name| !is_variable(name)) {
            let message = format!("{} is not the name of an environment variable", clean(name));
            return Err(StepError::new(StepErrorKind::Params, message));
        }
        let record = first_job(cx, params).await?;
        let work_dir = record.work_dir.clone().ok_or_else(|| {
            StepError::failed(format!("the working directory of job {} is not known", record.job))
        })?;
        let options = read_list(&params.options).map_err(|why| StepError::new(StepErrorKind::Params, why))?;
        let disk = on_disk(cx, &record).await?;
        let other = params.script.as_deref().map(|script| absolute(&work_dir, script));
        let made = plan(&Request {
            record: &record,
            on_disk: disk.as_deref(),
            script: other.as_deref(),
            options: &options,
            after: params.after.as_ref(),
            token: &cx.token,
            head: cx.head.as_deref(),
        });
        let plan = made.map_err(|why| {
            StepError::failed(format!("job {} cannot be submitted again: {why}", record.job))
                .help("Submit it by hand, or name the script with `script`.")
        })?;
        let intent = intend(cx, params, &record, work_dir, plan.clone()).await?;
        let (mut notes, accepted) = rehearse(cx, &record, &intent).await?;
        notes.extend(plan.notes);
        if let (Some(path), Some(digest)) = (&intent.script, &intent.script_digest) {
            notes.push(format!("{} as it is now, SHA-256 {}…", clean(path), &digest[..12]));
        }
        if let Some(script) = &intent.stdin {
            let lines = count(script.lines().count(), "line");
            notes.push(format!(
                "the script was never a file: Slurm's copy of it ({lines}) goes to standard input"
            ));
        }
        notes.extend(warnings(cx, params, &record).await?);
        let mut predicted = ["submitted", "refused"].map(|outcome| Predicted {
            outcome: outcome.to_owned(),
            output: Output { submit_line: None, message: None, ..output(&intent, None) },
        });
        if accepted == Some(false) {
            predicted.reverse();
        }
        Ok(Preview {
            target: format!("job {} again, in {}", record.job, clean(&intent.work_dir)),
            commands: vec![sbatch(&intent).to_string()],
            diffs: Vec::new(),
            notes,
            undo: Some("scancel of the new job".to_owned()),
            price: Price { gpus: gpus(&record, &options), ..Price::nothing() },
            intent,
            predicted: predicted.into(),
            writes: Vec::new(),
            nothing_to_do: None,
        })
    }

    async fn perform(
        &self,
        cx: &StepCx,
        params: &Params,
        intent: &Intent,
    ) -> Result<Performed<Output>, StepError> {
        // An earlier attempt of this visit may have got through.
        if let Ok(Search::Found(job)) = find(cx, &intent.token, &intent.pin, intent.name.as_deref()).await? {
            return Ok(submitted(intent, &job, "found by its comment").into());
        }
        match query::live(cx, &params.job).await? {
            Ok(Some((mut record, _))) => {
                record.cluster = query::cluster(cx).await?;
                intent.pin.check(&Pin::of(&record))?;
                if alive(&record) && !intent.alive {
                    let state = record.state.as_ref().map_or("in an unknown state", State::word);
                    let message =
                        format!("job {} is {state} by now; it had ended when this was shown", record.job);
                    return Err(StepError::new(StepErrorKind::Drifted, message)
                        .help("Nothing was submitted. Resume to see it as it is now."));
                }
            }
            Ok(None) => {} // slurmctld has forgotten it: it has ended
            Err(refusal) => return Err(refusal.error("scontrol show job; nothing was submitted")),
        }
        if let (Some(path), Some(shown)) = (&intent.script, &intent.script_digest) {
            let now = digest(&cx.site.read_all(path, SCRIPT_LIMIT).await?);
            if now != *shown {
                let message = format!("{path} is no longer the script that was shown; nothing was submitted");
                return Err(StepError::new(StepErrorKind::Drifted, message));
            }
        }
        if cx.cancel.is_cancelled() {
            return Err(StepError::failed("stopped before the job was submitted"));
        }
        let answer = run(cx, &sbatch(intent)).await.map_err(|error| {
            let mut step = StepError::from(error.clone());
            if error.in_doubt() {
                step.kind = StepErrorKind::InDoubt;
                step.message = format!("whether sbatch submitted the job is not known: {}", error.message);
            }
            step
        })?;
        let said = clean(&format!("{} {}", answer.err_text().trim(), answer.text().trim()));
        if !answer.success() {
            return match refusal(&answer) {
                // No connection was made, so nothing was sent.
                refusal @ Refusal::Unreachable(_) if said.contains("(connect failure)") => {
                    Err(refusal.error("sbatch; nothing was submitted"))
                }
                // The order may have arrived before the line broke.
                Refusal::Unreachable(text) => Err(StepError::new(
                    StepErrorKind::InDoubt,
                    format!("whether sbatch submitted the job is not known: {text}"),
                )),
                _ => Ok(Done::new("refused", Output { message: Some(said.clone()), ..output(intent, None) })
                    .line(format!("sbatch did not take the job: {said}"))
                    .into()),
            };
        }
        match new_id(&answer.text()) {
            Some(job) => Ok(submitted(intent, &job, &said).into()),
            None => Err(StepError::new(
                StepErrorKind::InDoubt,
                format!("sbatch returned 0 but named no job: {said}"),
            )),
        }
    }

    async fn confirm(
        &self,
        cx: &StepCx,
        _: &Params,
        intent: &Intent,
    ) -> Result<Confirmation<Output>, StepError> {
        same_cluster(cx, &intent.pin).await?;
        Ok(match find(cx, &intent.token, &intent.pin, intent.name.as_deref()).await? {
            Ok(Search::Found(job)) => Confirmation::Happened(submitted(intent, &job, "found by its comment")),
            Ok(Search::Nowhere) => Confirmation::DidNot,
            Ok(Search::Unsure(why)) => Confirmation::Unknown(why),
            Err(refusal) => Confirmation::Unknown(refusal.error("squeue").message),
        })
    }

    async fn preview_undo(&self, cx: &StepCx, _: &Params, intent: &Intent) -> Result<UndoPreview, StepError> {
        let record = match ours(cx, intent).await? {
            Ours::Job(record) => record,
            Ours::Nothing(why) => return Ok(UndoPreview::NothingToDo(why)),
            Ours::Unsure(why) => return Ok(UndoPreview::Cannot(why)),
        };
        let state = record.state.as_ref().map_or("in an unknown state", State::word);
        let name = record.name.as_deref().map_or_else(String::new, |name| format!(" ({})", clean(name)));
        let nodes = record.num_nodes.map_or_else(String::new, |nodes| format!(" on {nodes} nodes"));
        Ok(UndoPreview::Would(UndoPlan {
            target: format!(
                "job {} on cluster {}",
                record.job,
                clean(intent.pin.cluster.as_deref().unwrap_or("?"))
            ),
            commands: vec![scancel(&record).to_string()],
            notes: vec![
                format!("job {}{name} is the one that this run submitted; it is {state}{nodes}", record.job),
                "what it wrote in the meantime stays".to_owned(),
            ],
            price: price_of_stopping(&record, cx.site.now()),
            ..UndoPlan::default()
        }))
    }

    async fn undo(&self, cx: &StepCx, _: &Params, intent: &Intent) -> Result<Undone, StepError> {
        let record = match ours(cx, intent).await? {
            Ours::Job(record) => record,
            Ours::Nothing(why) => return Ok(Undone::NothingToDo(why)),
            Ours::Unsure(why) => return Ok(Undone::Cannot(why)),
        };
        let job = JobId::parse(&record.job)?;
        if let Err(said) = stop(cx, &record).await? {
            return Ok(Undone::Cannot(format!("job {job} may not be cancelled: {said}")));
        }
        let waited = wait(cx, &job, UNDO_WAIT).await?;
        if waited.released() {
            return Ok(Undone::Restored(format!(
                "job {job} was cancelled; what it wrote in the meantime stays"
            )));
        }
        Ok(Undone::Cannot(stuck(&job, &waited)))
    }
}

/// The job that was submitted, as far as it is there to be cancelled.
enum Ours {
    Job(Box<Record>),
    Nothing(String),
    Unsure(String),
}

/// Finds the job that carries the mark of this submission. What only has its id is not it: ids are given out anew.
async fn ours(cx: &StepCx, intent: &Intent) -> Result<Ours, StepError> {
    same_cluster(cx, &intent.pin).await?;
    let job = match find(cx, &intent.token, &intent.pin, intent.name.as_deref()).await? {
        Ok(Search::Found(job)) => job,
        Ok(Search::Nowhere) => return Ok(Ours::Nothing("no job was submitted".to_owned())),
        Ok(Search::Unsure(why)) => return Ok(Ours::Unsure(why)),
        Err(refusal) => return Err(refusal.error("squeue")),
    };
    let live = query::live(cx, &job).await?.map_err(|refusal| refusal.error("scontrol show job"))?;
    let ended = || Ours::Nothing(format!("job {job} has ended already"));
    let Some((record, _)) = live else { return Ok(ended()) };
    if !record.comment.as_deref().is_some_and(|comment| carries(comment, &intent.token)) {
        return Ok(Ours::Nothing(format!("job {job} has ended; its id stands for another job by now")));
    }
    Ok(if record.state.as_ref().is_some_and(State::is_released) {
        ended()
    } else {
        Ours::Job(Box::new(record))
    })
}

/// The job whose submission is repeated; it may be long gone from slurmctld.
async fn first_job(cx: &StepCx, params: &Params) -> Result<Record, StepError> {
    match query::job(cx, &params.job).await? {
        Found::Job(record, others) if others.is_empty() => {
            let mut record = *record;
            if record.cluster.is_none() {
                record.cluster = query::cluster(cx).await?;
            }
            if let Some(pin) = &params.pin {
                pin.check(&Pin::of(&record))?;
            }
            Ok(record)
        }
        Found::Job(record, _) => Err(StepError::failed(format!(
            "job {} is heterogeneous: it cannot be submitted again from here",
            record.job
        ))),
        Found::Missing(why) => Err(StepError::failed(why).help("Submit the job by hand.")),
        Found::Unknown(why) | Found::Unreachable(why) => Err(no_answer(why)),
    }
}

/// GPUs that the new job takes: those of the first one, unless an option says how many.
fn gpus(record: &Record, options: &[SbatchOption]) -> Option<u64> {
    record.gpus.filter(|_| !options.iter().any(|option| SIZES.contains(&option.name.as_str())))
}

async fn intend(
    cx: &StepCx,
    params: &Params,
    record: &Record,
    work_dir: String,
    plan: Plan,
) -> Result<Intent, StepError> {
    let stdin = if plan.needs_stdin {
        let script = batch_script(cx, &record.job).await?.and_then(|script| String::from_utf8(script).ok());
        Some(script.ok_or_else(|| {
            StepError::failed(format!(
                "the script of job {} was never a file, and Slurm has no copy of it",
                record.job
            ))
            .help("Name a script with `script`.")
        })?)
    } else {
        None
    };
    let script_digest = match &plan.script {
        Some(path) => {
            let content =
                cx.site.read_all(path, SCRIPT_LIMIT).await.map_err(|error| {
                    StepError::from(error).help("Name a script that is there with `script`.")
                })?;
            Some(digest(&content))
        }
        None => None,
    };
    Ok(Intent {
        pin: Pin::of(record),
        name: record.name.clone(),
        token: cx.token.clone(),
        argv: plan.argv,
        env: params.env.clone(),
        work_dir,
        comment: plan.comment,
        script: plan.script,
        script_digest,
        stdin,
        alive: alive(record),
    })
}

/// Whether a job may still write.
fn alive(record: &Record) -> bool {
    !record.state.as_ref().is_some_and(|state| state.is_released() || state.is_completing())
}

fn sbatch(intent: &Intent) -> Command {
    let mut command = command(intent.argv.iter().cloned()).cwd(&intent.work_dir).timeout(TIMEOUT);
    command.env = intent.env.clone();
    command.stdin = intent.stdin.clone().map(String::into_bytes);
    command
}

/// Lets `sbatch` check the submission without making it.
async fn rehearse(
    cx: &StepCx,
    record: &Record,
    intent: &Intent,
) -> Result<(Vec<String>, Option<bool>), StepError> {
    let mut test = sbatch(intent);
    test.changes = false;
    let argv = intent.argv.iter().map(|word| if word == "--parsable" { "--test-only" } else { word });
    test.program = engine::site::Program::Argv(argv.map(str::to_owned).collect());
    let output = match run(cx, &test).await {
        Ok(output) => output,
        Err(error) if matches!(error.kind, SiteErrorKind::NotRecorded | SiteErrorKind::NotStarted) => {
            return Err(error.into());
        }
        Err(error) => {
            return Ok((vec![format!("sbatch --test-only gave no answer: {}", clean(&error.message))], None));
        }
    };
    let said = output.err_text();
    if !output.success() {
        return Ok((vec![format!("sbatch --test-only refuses it: {}", clean(&said))], Some(false)));
    }
    let mut notes = vec!["sbatch --test-only accepts it".to_owned()];
    // "sbatch: Job 5 to start at … using 2 processors on nodes gpu-[20-21] in partition train": the time wavers.
    let partition = said.split(" in partition ").nth(1).and_then(|rest| rest.split_whitespace().next());
    if let (Some(new), Some(old)) = (partition, record.partition.as_deref())
        && new != old
    {
        notes.push(format!("it would go to partition {}; the first job ran in {}", clean(new), clean(old)));
    }
    Ok((notes, Some(true)))
}

/// What is odd about submitting it again from here.
async fn warnings(cx: &StepCx, params: &Params, record: &Record) -> Result<Vec<String>, StepError> {
    let mut notes = Vec::new();
    if alive(record) && params.after.is_none() {
        let state = record.state.as_ref().map_or("in an unknown state", State::word);
        notes.push(format!("job {} is {state}: both would run and write to the same places", record.job));
    }
    let me = match cx.site.run(&Command::argv(["id", "-un"])).await {
        Ok(output) if output.success() => Some(output.text().trim().to_owned()),
        Ok(_) => None,
        Err(error) if error.kind == SiteErrorKind::NotRecorded => return Err(error.into()),
        Err(_) => None,
    };
    if let (Some(me), Some(owner)) = (me, &record.user)
        && me != *owner
    {
        notes.push(format!("the first job is {}'s; this one will be {}'s", clean(owner), clean(&me)));
    }
    notes.push(
        "the job gets the environment of this shell, unless --export in the line or script says otherwise"
            .to_owned(),
    );
    Ok(notes)
}

/// A name that a shell takes for a variable's: any other would be executed by whoever pastes the line that is shown.
fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The id in an answer of `sbatch --parsable`: `123`, or `123;cluster`.
fn new_id(text: &str) -> Option<JobId> {
    // A site's plugin may print lines of its own before.
    text.lines().rev().find_map(|line| JobId::parse(line.split(';').next()?).ok())
}

fn output(intent: &Intent, job: Option<&JobId>) -> Output {
    Output {
        job: job.map(|job| job.to_string()),
        submit_line: Some(sbatch(intent).to_string()),
        work_dir: Some(intent.work_dir.clone()),
        comment: Some(intent.comment.clone()),
        message: None,
    }
}

fn submitted(intent: &Intent, job: &JobId, said: &str) -> Done<Output> {
    Done::new("submitted", Output { message: Some(clean(said)), ..output(intent, Some(job)) })
        .line(format!("job {job} was submitted, after job {}", intent.pin.job))
}

/// What stopping the job costs. It loses at most the time for which it ran: a checkpoint since would make it less.
fn price_of_stopping(record: &Record, now: jiff::Timestamp) -> Price {
    let waits = record.state.as_ref().is_some_and(State::is_waiting);
    let gpus = if waits { Some(0) } else { record.gpus };
    let hours = record.started.map(|started| now.duration_since(started).as_secs_f64().max(0.0) / 3600.0);
    Price {
        gpus,
        users: record.user.iter().cloned().collect(),
        jobs: vec![record.job.clone()],
        gpu_hours_lost: gpus.zip(hours).map(|(gpus, hours)| gpus as f64 * hours),
        ..Price::default()
    }
}

#[cfg(test)]
mod tests;
