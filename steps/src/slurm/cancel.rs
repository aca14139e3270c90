//! `slurm.cancel`: stops a job and waits until its nodes are free.

use async_trait::async_trait;
use engine::site::SiteErrorKind;
use engine::step::{
    ChangeStep, Confirmation, Done, Effect, Outcomes, Performed, Predicted, Preview, Price, StepCx,
    StepError, StepErrorKind, UndoPreview,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::{Refusal, ask, command, refusal, run};
use super::id::JobId;
use super::pin::{Pin, same_cluster};
use super::query;
use super::record::Record;
use super::release::{Standing, Waited, standing, stuck, wait};
use super::sacct::{SEPARATOR, rows};
use super::state::State;
use crate::duration::Timespan;
use crate::target;
use crate::text::{clean, names, span};

/// Parameters of `slurm.cancel`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// Id of the job: `123`, or `123_4` for one task of an array. A whole array is never stopped.
    job: JobId,
    /// The `pin` that `slurm.job` gave: the job is stopped only if it is still that submission.
    #[serde(default)]
    pin: Option<Pin>,
    /// Steps since the newest complete checkpoint, as `checkpoint.latest` gave them, for the gate. `null`: not known.
    #[serde(default)]
    lost_steps: Option<u64>,
    /// GPU-hours since then, for the gate. `null`: not known.
    #[serde(default)]
    lost_gpu_hours: Option<f64>,
    /// How long to wait for its nodes, such as `5m`. It should be longer than the cluster's `KillWait` and
    /// `UnkillableStepTimeout` together.
    #[serde(default = "five_minutes")]
    timeout: Timespan,
}

fn five_minutes() -> Timespan {
    Timespan::minutes(5)
}

/// What is stopped.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Intent {
    pin: Pin,
    state: Option<String>,
    nodes: Option<Vec<String>>,
}

/// How it went.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// Id of the job.
    job: String,
    /// Its state before, one word.
    state_before: Option<String>,
    /// Its state afterwards; `null` if slurmctld has forgotten it or did not answer.
    state_after: Option<String>,
    /// Its nodes are free.
    released: Option<bool>,
    /// Its nodes; if it is stuck, those that are not free.
    nodes: Option<Vec<String>>,
    /// How long was waited, in seconds.
    waited_seconds: Option<u64>,
    /// A message to the job's owner, ready to be sent, where it takes them or an operator.
    request: Option<String>,
}

/// See the module.
pub(crate) struct Cancel;

#[async_trait]
impl ChangeStep for Cancel {
    const KIND: &'static str = "slurm.cancel";
    const SUMMARY: &'static str = "Stop a job and wait until Slurm has its nodes back";
    const EFFECT: Effect = Effect::Irreversible;
    type Params = Params;
    type Intent = Intent;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[
            ("released", "The job has ended and its nodes are free (or they were before)"),
            ("stuck", "The job still held nodes when the time was up; the output names them"),
            ("denied", "It takes the job's owner or an operator; the output holds a message to them"),
        ])
    }

    fn targets(&self, params: &Params) -> Vec<String> {
        vec![target::job(params.job.as_str())]
    }

    async fn preview(&self, cx: &StepCx, params: &Params) -> Result<Preview<Intent, Output>, StepError> {
        let Some(record) = target(cx, params).await? else {
            return Ok(Preview::nothing(forgotten(&params.job)));
        };
        let nodes = query::nodes(cx, record.node_list.as_deref()).await?;
        let state = record.state.as_ref().map(|state| state.word().to_owned());
        if record.state.as_ref().is_some_and(State::is_released) {
            let line = format!(
                "job {} has ended already ({}); its nodes are free",
                record.job,
                state.as_deref().unwrap_or("?")
            );
            let output =
                Output { state_after: state.clone(), ..output(&record.job, state, nodes, Some(true)) };
            return Ok(Preview::nothing(Done::new("released", output).line(line)));
        }
        let predicted = ["released", "stuck", "denied"].map(|outcome| Predicted {
            outcome: outcome.to_owned(),
            output: output(&record.job, state.clone(), nodes.clone(), Some(outcome == "released")),
        });
        Ok(Preview {
            target: format!(
                "job {} on cluster {}",
                record.job,
                record.cluster.as_deref().map_or_else(|| "?".to_owned(), clean)
            ),
            commands: vec![scancel(&record).to_string()],
            diffs: Vec::new(),
            notes: notes(cx, &record).await?,
            undo: None,
            price: price(params, &record, nodes.as_deref()),
            intent: Intent { pin: Pin::of(&record), state, nodes },
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
        let Some(record) = target(cx, params).await? else {
            return Ok(forgotten(&params.job).into());
        };
        intent.pin.check(&Pin::of(&record))?;
        if !ends_by_itself(&record, intent)?
            && let Err(said) = stop(cx, &record).await?
        {
            return Ok(denied(&record, intent, &said).into());
        }
        let id = JobId::parse(&record.job)?;
        Ok(ended(&id, intent, wait(cx, &id, params.timeout.0).await?).into())
    }

    async fn confirm(
        &self,
        cx: &StepCx,
        params: &Params,
        intent: &Intent,
    ) -> Result<Confirmation<Output>, StepError> {
        let id = JobId::parse(&intent.pin.job)?;
        same_cluster(cx, &intent.pin).await?;
        let now = match standing(cx, &id).await? {
            Ok(now) => now,
            Err(refusal) => return Ok(Confirmation::Unknown(refusal.error("squeue").message)),
        };
        match now.state() {
            Some(state) if !state.is_released() && !state.is_completing() => {
                // Requeued since, it is waiting or running again under the same id: that is not this job going on.
                let Some(record) = target(cx, params).await? else {
                    return Ok(Confirmation::Unknown(format!(
                        "job {id} came and went while it was looked at"
                    )));
                };
                Ok(match intent.pin.check(&Pin::of(&record)) {
                    Ok(()) => Confirmation::DidNot,
                    Err(error) => Confirmation::Unknown(error.message),
                })
            }
            _ => Ok(Confirmation::Happened(ended(&id, intent, wait(cx, &id, params.timeout.0).await?))),
        }
    }

    async fn preview_undo(
        &self,
        cx: &StepCx,
        params: &Params,
        intent: &Intent,
    ) -> Result<UndoPreview, StepError> {
        let job = &intent.pin.job;
        Ok(match self.confirm(cx, params, intent).await? {
            Confirmation::DidNot => {
                UndoPreview::NothingToDo(format!("job {job} goes on: it was not stopped"))
            }
            _ => UndoPreview::Cannot(format!("job {job} was stopped, and what it held in memory is lost")),
        })
    }
}

/// The job as slurmctld knows it now, checked against the pin; `None` if it is forgotten.
async fn target(cx: &StepCx, params: &Params) -> Result<Option<Record>, StepError> {
    let found = query::live(cx, &params.job).await?.map_err(|refusal| refusal.error("scontrol show job"))?;
    let Some((mut record, _)) = found else { return Ok(None) };
    record.cluster = query::cluster(cx).await?;
    if let Some(pin) = &params.pin {
        pin.check(&Pin::of(&record))?;
    }
    Ok(Some(record))
}

/// Whether the job has ended, or began to, since it was shown: then there is nothing left to order.
///
/// # Errors
/// [`StepErrorKind::Drifted`] if it is in any other state than it was shown in.
fn ends_by_itself(record: &Record, intent: &Intent) -> Result<bool, StepError> {
    let Some(now) = &record.state else { return Ok(false) };
    if now.is_released() {
        return Ok(true);
    }
    match &intent.state {
        Some(then) if then != now.word() => match now.is_completing() {
            true => Ok(true),
            false => Err(StepError::new(
                StepErrorKind::Drifted,
                format!("job {} is {} by now; it was {then} when it was shown", record.job, now.word()),
            )
            .help("Nothing was done. Resume to see it as it is now.")),
        },
        _ => Ok(false),
    }
}

pub(crate) fn scancel(record: &Record) -> engine::site::Command {
    command(["scancel", record.job.as_str()])
}

/// Sends the order. What came of it is told by the job's state, not by the exit status: `scancel` says nothing and
/// returns 0 for jobs that have ended or never were. `Err` with what Slurm said where the person may not do that.
pub(crate) async fn stop(cx: &StepCx, record: &Record) -> Result<Result<(), String>, StepError> {
    if cx.cancel.is_cancelled() {
        return Err(StepError::failed(format!("stopped before job {} was cancelled", record.job)));
    }
    match run(cx, &scancel(record)).await {
        Ok(output) if output.success() => Ok(Ok(())),
        Ok(output) => match refusal(&output) {
            Refusal::Denied(said) => Ok(Err(said)),
            refusal @ Refusal::Unreachable(_) => {
                Err(refusal.error(&format!("cancelling job {}", record.job)))
            }
            // Ended in the meantime, or a complaint on the way: the state decides.
            Refusal::NoSuch | Refusal::NoRecords | Refusal::Other(_) => Ok(Ok(())),
        },
        // It may have been sent; the state decides.
        Err(error) if error.kind == SiteErrorKind::NotRecorded || !error.in_doubt() => Err(error.into()),
        Err(_) => Ok(Ok(())),
    }
}

fn output(job: &str, before: Option<String>, nodes: Option<Vec<String>>, released: Option<bool>) -> Output {
    Output {
        job: job.to_owned(),
        state_before: before,
        state_after: None,
        released,
        nodes,
        waited_seconds: None,
        request: None,
    }
}

fn denied(record: &Record, intent: &Intent, said: &str) -> Done<Output> {
    let who = record.user.as_deref().map_or_else(|| "its owner".to_owned(), clean);
    let held = intent.nodes.as_deref().filter(|nodes| !nodes.is_empty());
    let held = held.map_or_else(String::new, |nodes| format!(" and frees {}", names(nodes)));
    let request =
        format!("Please stop job {}.\n\n    {}\n\nThat ends the job{held}.\n", record.job, scancel(record));
    let mut output = output(&record.job, intent.state.clone(), intent.nodes.clone(), Some(false));
    output.state_after.clone_from(&intent.state);
    output.request = Some(request);
    Done::new("denied", output)
        .line(format!("job {} is {who}'s: Slurm did not let you stop it ({})", record.job, clean(said)))
        .line("a message to them is ready; an operator of the cluster could do it, too")
}

fn forgotten(id: &JobId) -> Done<Output> {
    Done::new("released", output(id.as_str(), None, None, Some(true)))
        .line(format!("slurmctld does not know job {id} (any more): it holds no nodes"))
}

fn ended(id: &JobId, intent: &Intent, waited: Waited) -> Done<Output> {
    let released = waited.released();
    let mut output = output(id.as_str(), intent.state.clone(), intent.nodes.clone(), Some(released));
    output.state_after =
        waited.standing.as_ref().and_then(Standing::state).map(|state| state.word().to_owned());
    output.waited_seconds = Some(waited.seconds);
    if released {
        let after = output.state_after.as_deref().unwrap_or("gone").to_owned();
        return Done::new("released", output)
            .line(format!("job {id} is {after}; its nodes were free after {}", span(waited.seconds)));
    }
    let line = stuck(id, &waited);
    if waited.standing.is_none() {
        output.released = None;
    } else {
        output.nodes = Some(waited.held);
    }
    Done::new("stuck", output)
        .line(line)
        .line("processes that cannot be killed (driver, file system) hold it; Slurm will drain the nodes")
}

/// A job that holds no node yet holds no GPU either.
fn price(params: &Params, record: &Record, nodes: Option<&[String]>) -> Price {
    let waits = record.state.as_ref().is_some_and(State::is_waiting);
    Price {
        gpus: if waits { Some(0) } else { record.gpus },
        nodes: nodes.unwrap_or_default().to_vec(),
        users: record.user.iter().cloned().collect(),
        jobs: vec![record.job.clone()],
        steps_lost: params.lost_steps,
        gpu_hours_lost: params.lost_gpu_hours,
    }
}

/// Whose job it is and what follows. Nothing in it changes by itself from one minute to the next.
async fn notes(cx: &StepCx, record: &Record) -> Result<Vec<String>, StepError> {
    let mut notes = Vec::new();
    let state = record.state.as_ref().map_or("in an unknown state", State::word);
    let who = record.user.as_deref().map_or_else(|| "an unknown user".to_owned(), clean);
    let since = record.started.map_or_else(String::new, |time| format!(", since {time}"));
    let name = record.name.as_deref().map_or_else(String::new, |name| format!(" ({})", clean(name)));
    notes.push(format!("job {}{name} of {who} is {state}{since}", record.job));
    if record.state.as_ref().is_some_and(State::is_completing) {
        notes.push("it is ending already: scancel adds nothing, this step waits for the nodes".to_owned());
    }
    if record.component.is_some() {
        notes.push(
            "it is part of a heterogeneous job; cancelling the first component ends all of them".to_owned(),
        );
    }
    notes.extend(followers(cx, record).await?);
    Ok(notes)
}

/// Jobs that will start once this one has ended: those that depend on it, and those queued under its name.
async fn followers(cx: &StepCx, record: &Record) -> Result<Vec<String>, StepError> {
    let Some(user) = record.user.as_deref().filter(|user| !user.starts_with('-')) else {
        return Ok(Vec::new());
    };
    let format = ["%i", "%E", "%j"].join(&SEPARATOR.to_string());
    let answer = match ask(cx, ["squeue", "-h", "-t", "PD", "-u", user, "-o", &format]).await? {
        Ok(answer) => answer,
        Err(_) => return Ok(vec!["which jobs wait for it could not be read".to_owned()]),
    };
    let text = String::from_utf8_lossy(&answer);
    let own = [
        Some(record.job.clone()),
        record.number.map(|n| n.to_string()),
        record.array_job.map(|n| n.to_string()),
    ];
    let (mut waiting, mut same) = (Vec::new(), Vec::new());
    for row in rows(&text, 3) {
        let &[id, dependency, name] = row.as_slice() else { continue };
        if own.iter().flatten().any(|job| job == id) {
            continue;
        }
        let names_it = dependency
            .split(|c: char| !c.is_ascii_digit() && c != '_')
            .any(|word| !word.is_empty() && own.iter().flatten().any(|job| job == word));
        if names_it {
            waiting.push(format!("{id} ({})", clean(dependency)));
        } else if record.name.as_deref() == Some(name) {
            same.push(id.to_owned());
        }
    }
    let mut notes = Vec::new();
    if !waiting.is_empty() {
        notes.push(format!(
            "wait for it and may start when it ends, into the same failure: {}",
            names(&waiting)
        ));
    }
    if !same.is_empty() {
        notes.push(format!("queued under the same name: {}", names(&same)));
    }
    Ok(notes)
}

#[cfg(test)]
#[path = "cancel_tests.rs"]
mod tests;
