//! `checkpoint.latest`: from where a job can go on, and from where it would.

use async_trait::async_trait;
use engine::site::{Site, SiteErrorKind};
use engine::step::{Done, Outcomes, Performed, ReadStep, StepCx, StepError};
use jiff::Timestamp;
use jiff::tz::Offset;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choose::{Outcome, Pick};
use super::died::Died;
use super::gather::head;
use super::hints::{Hint, absolute, from_log, from_script};
use super::layout::{Layout, root_of};
use super::told::{self, told};
use super::writing::look_again;
use super::{Candidate, Survey, latest};
use crate::oom::{Source, find};
use crate::size::show;
use crate::text::{clean_to, count, span};

/// Bytes of a script that are read.
const SCRIPT: usize = 1 << 20;
/// Bytes read from the end of a log.
const LOG: u64 = 4 << 20;
/// Logs that are read.
const MOST_LOGS: usize = 16;

/// `checkpoint.latest`: see [`Params`].
pub(crate) struct Latest;

/// Finds the newest complete checkpoint of a job and says what its framework would resume from, which may be
/// another: some frameworks take the highest number without looking inside.
///
/// Knows the layouts of Megatron-LM, DeepSpeed, transformers' Trainer (with DeepSpeed or FSDP inside),
/// torchtitan, NeMo 2, Lightning, torch's distributed checkpoints, and plain files with a step in their name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// Directory that holds the checkpoints. If it is not known, the script and the logs are searched for it.
    dir: Option<String>,
    /// The batch script: its path, or its text (whatever has a line break is text). Only plain words and the
    /// script's own variables are understood; nothing is run.
    #[serde(default)]
    script: Option<String>,
    /// The job's logs, named as for `oom.read`; the last 4 MiB of the first 16 are searched for lines that name a
    /// checkpoint. What is compressed is left out.
    #[serde(default)]
    logs: Option<Vec<String>>,
    /// Hosts of the job: those that may be asked for `host:/path`.
    #[serde(default)]
    nodes: Option<Vec<String>>,
    /// The job's working directory, for relative paths.
    #[serde(default)]
    workdir: Option<String>,
    /// Only checkpoints of a step below this one are taken as the newest.
    #[serde(default)]
    before_step: Option<u64>,
    /// The step at which the job died, to tell how many steps are lost.
    #[serde(default)]
    error_step: Option<u64>,
    /// When it died (RFC 3339), to tell how many GPU-hours are lost. A time without an offset is read by the clock of `host`.
    #[serde(default)]
    failed_at: Option<String>,
    /// The host on which it died; not known: this machine.
    #[serde(default)]
    host: Option<String>,
    /// When it started (RFC 3339): what was computed before by another job is not lost by this one.
    #[serde(default)]
    started: Option<String>,
    /// How many GPUs it had.
    #[serde(default)]
    gpus: Option<u64>,
}

/// The newest complete checkpoint.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// The directory that was looked into.
    dir: Option<String>,
    /// How it is laid out.
    layout: Option<Layout>,
    /// Step of the newest complete checkpoint.
    step: Option<u64>,
    /// Its path.
    path: Option<String>,
    /// True; null if it cannot be told whether the newest one is complete.
    complete: Option<bool>,
    /// Its size, bytes.
    bytes: Option<u64>,
    /// When its files were last written.
    #[schemars(with = "Option<String>")]
    modified: Option<Timestamp>,
    /// Seconds since then.
    age_seconds: Option<i64>,
    /// What the framework would resume from if told to go on; null if it takes what it is told, or would
    /// start from nothing.
    resume_pick: Option<Pick>,
    /// Whether what the framework would resume from is incomplete; null if that is not known.
    torn: Option<bool>,
    /// What was found, the newest first; at most 20.
    candidates: Vec<Candidate>,
    /// Whether the checkpoint that it would go on from can be resumed with another number of ranks (DeepSpeed's ZeRO
    /// cannot); null if its files do not tell.
    other_world_size: Option<bool>,
    /// Steps between the checkpoint that it would go on from and `error_step`.
    lost_steps: Option<u64>,
    /// GPU-hours from that checkpoint (or the job's start, if that is later) to the job's death.
    lost_gpu_hours: Option<f64>,
    /// The offset from UTC (`+01`) that this assumes for `failed_at`, which names none: that of the host's clock.
    assumed_offset: Option<String>,
    /// What is worth knowing, a line each.
    reasons: Vec<String>,
}

#[async_trait]
impl ReadStep for Latest {
    const KIND: &'static str = "checkpoint.latest";
    const SUMMARY: &'static str =
        "Find the newest complete checkpoint and what the framework would resume from";
    type Params = Params;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[
            ("found", "there is a complete checkpoint, and the framework would not take an incomplete one"),
            ("none", "the directory was read and holds no complete checkpoint"),
            ("torn", "what the framework would resume from is incomplete; `path` is the one to name instead"),
            (
                "unknown",
                "the directory is not known or cannot be read, or it cannot be told what is complete",
            ),
        ])
    }

    async fn read(&self, cx: &StepCx, params: Params) -> Result<Performed<Output>, StepError> {
        let mut reasons = Vec::new();
        let script = script(&*cx.site, &params).await?;
        let survey = match &params.dir {
            Some(dir) => match absolute(dir, params.workdir.as_deref()) {
                Some(dir) => Some(latest(&*cx.site, root_of(&dir)).await?),
                None => {
                    reasons.push(format!(
                        "{} is relative, and the working directory is not known",
                        clean_to(dir, 160)
                    ));
                    None
                }
            },
            None => search(cx, &params, &script, &mut reasons).await?,
        };
        let mut survey = survey.unwrap_or_else(|| {
            let why = "the directory of the checkpoints is not known".to_owned();
            Survey { unreadable: Some(why), ..Survey::default() }
        });
        if let Some(told) = script.ok().as_deref().and_then(told) {
            told::apply(&mut survey, &told, params.workdir.as_deref());
        }
        look_again(&*cx.site, &mut survey).await?;
        let died = match (&params.failed_at, params.gpus) {
            (Some(at), Some(_)) => {
                let read = Died::read(cx, at, params.host.as_deref(), time(params.started.as_ref())).await?;
                read.map_err(|why| reasons.push(why)).ok()
            }
            _ => None,
        };
        Ok(conclude(survey, reasons, &params, died, cx.site.now()).into())
    }
}

/// Looks where the script and the logs point; the first place that holds a checkpoint wins unless another one
/// does, too.
async fn search(
    cx: &StepCx,
    params: &Params,
    script: &Result<String, String>,
    reasons: &mut Vec<String>,
) -> Result<Option<Survey>, StepError> {
    let mut empty = None;
    let mut holding: Vec<(Hint, Survey)> = Vec::new();
    for hint in hints(cx, params, script, reasons).await? {
        let Some(dir) = absolute(&hint.path, params.workdir.as_deref()) else {
            reasons.push(format!("{}: relative, and the working directory is not known", hint.label()));
            continue;
        };
        let survey = latest(&*cx.site, root_of(&dir)).await?;
        if holding.iter().any(|(_, other)| other.dir == survey.dir) {
            continue;
        }
        match &survey.unreadable {
            Some(why) => reasons.push(format!("{}: {}", hint.label(), clean_to(why, 160))),
            None if survey.candidates.is_empty() => {
                reasons.push(format!("{}: holds no checkpoint", hint.label()));
                empty.get_or_insert(survey);
            }
            None => holding.push((hint, survey)),
        }
    }
    if holding.len() > 1 {
        let places: Vec<String> = holding.iter().map(|(hint, _)| hint.label()).collect();
        reasons.push(format!("checkpoints lie in more than one place: {}; give `dir`", places.join(", ")));
        return Ok(None);
    }
    Ok(match holding.pop() {
        Some((hint, survey)) => {
            reasons.push(format!("the directory was found through {}", hint.by));
            Some(survey)
        }
        None => empty,
    })
}

async fn hints(
    cx: &StepCx,
    params: &Params,
    script: &Result<String, String>,
    reasons: &mut Vec<String>,
) -> Result<Vec<Hint>, StepError> {
    let site = &*cx.site;
    let mut hints = Vec::new();
    let mut unread = |why: String| reasons.push(format!("not read: {}", clean_to(&why, 160)));
    // What the program itself says it saved is surer than what a script seems to ask for.
    let named: Vec<String> = params.logs.iter().flatten().take(MOST_LOGS).cloned().collect();
    let logs = find(site, &named, params.nodes.as_deref().unwrap_or_default()).await?;
    logs.problems.iter().cloned().for_each(&mut unread);
    for log in logs.files.iter().filter(|log| log.can_seek()).take(MOST_LOGS) {
        match Source::new(cx.site.clone(), log.clone()).read(log.size.saturating_sub(LOG), LOG as usize).await
        {
            Ok(end) => hints.extend(from_log(&String::from_utf8_lossy(&end))),
            Err(error) if error.kind == SiteErrorKind::NotRecorded => return Err(error.into()),
            Err(error) => unread(error.message),
        }
    }
    match script {
        Ok(text) => hints.extend(from_script(text)),
        Err(why) if why.is_empty() => {}
        Err(why) => unread(why.clone()),
    }
    Ok(hints)
}

/// The batch script; why there is none, which is empty if none was given.
async fn script(site: &dyn Site, params: &Params) -> Result<Result<String, String>, StepError> {
    match &params.script {
        Some(text) if text.contains('\n') => Ok(Ok(text.clone())),
        Some(path) => head(site, path, SCRIPT).await,
        None => Ok(Err(String::new())),
    }
}

fn time(text: Option<&String>) -> Option<Timestamp> {
    text?.parse().ok()
}

fn conclude(
    mut survey: Survey,
    mut reasons: Vec<String>,
    params: &Params,
    died: Option<Died>,
    now: Timestamp,
) -> Done<Output> {
    let outcome = survey.outcome(params.before_step);
    survey.candidates.truncate(20);
    let chosen = survey.newest(params.before_step).or_else(|| survey.doubtful(params.before_step)).cloned();
    reasons.extend(survey.unreadable.iter().map(|why| clean_to(why, 240)));
    reasons.append(&mut survey.reasons);
    let newer = |candidate: &&Candidate| {
        candidate.step.is_none()
            && candidate.complete != Some(false)
            && chosen.as_ref().is_some_and(|c| c.modified < candidate.modified)
    };
    if let Some(other) = survey.candidates.iter().find(newer) {
        reasons
            .push(format!("{} was written later; its step is not in its name", clean_to(&other.path, 160)));
    }
    let of = |field: fn(&Candidate) -> Option<u64>| chosen.as_ref().and_then(field);
    let modified = chosen.as_ref().and_then(|candidate| candidate.modified);
    let step = of(|candidate| candidate.step);
    let goes_on = goes_on(&survey, chosen.as_ref()).cloned();
    let loss = Loss::of(goes_on.as_ref(), params, died);
    let torn = survey.resume_pick.as_ref().and_then(|pick| pick.complete).map(|complete| !complete);
    let (word, summary) =
        summarise(outcome, &survey, chosen.as_ref(), &reasons, (goes_on.as_ref(), &loss), now);
    let output = Output {
        dir: Some(survey.dir).filter(|dir| !dir.is_empty()).or_else(|| params.dir.clone()),
        layout: survey.layout,
        step,
        path: chosen.as_ref().map(|candidate| candidate.path.clone()),
        complete: chosen.as_ref().and_then(|candidate| candidate.complete),
        bytes: of(|candidate| candidate.bytes),
        modified,
        age_seconds: modified.map(|at| now.duration_since(at).as_secs()),
        resume_pick: survey.resume_pick,
        torn,
        candidates: survey.candidates,
        other_world_size: goes_on.and_then(|candidate| candidate.other_world_size),
        lost_steps: loss.steps,
        lost_gpu_hours: loss.gpu_hours,
        assumed_offset: loss.assumed.map(|offset| offset.to_string()),
        reasons,
    };
    Done { outcome: word.to_owned(), output, summary }
}

/// The checkpoint that the framework would go on from: what it picks if that is complete, else the one to name instead.
fn goes_on<'a>(survey: &'a Survey, chosen: Option<&'a Candidate>) -> Option<&'a Candidate> {
    let pick = survey.resume_pick.as_ref().filter(|pick| pick.complete == Some(true));
    pick.and_then(|pick| survey.at(pick.path.as_deref()?)).or(chosen.filter(|c| c.complete == Some(true)))
}

/// What has to be computed again.
struct Loss {
    steps: Option<u64>,
    gpu_hours: Option<f64>,
    /// The offset that the hours assume.
    assumed: Option<Offset>,
}

impl Loss {
    fn of(from: Option<&Candidate>, params: &Params, died: Option<Died>) -> Self {
        let steps = || params.error_step?.checked_sub(from?.step?);
        let hours = || {
            let since = [from?.modified, time(params.started.as_ref())].into_iter().flatten().max()?;
            let seconds = died?.at.duration_since(since).as_secs_f64();
            let hours = seconds * params.gpus? as f64 / 3600.0;
            // Clocks differ by seconds: a little less than nothing is nothing.
            (seconds > -60.0).then(|| (hours.max(0.0) * 100.0).round() / 100.0)
        };
        let gpu_hours = hours();
        Self {
            steps: steps(),
            gpu_hours,
            assumed: died.filter(|_| gpu_hours.is_some()).and_then(|died| died.assumed),
        }
    }

    /// `, 37 steps and 12.5 GPU-hours lost`.
    fn words(&self) -> String {
        let steps = self.steps.map(|n| count(usize::try_from(n).unwrap_or(usize::MAX), "step"));
        let assumed =
            self.assumed.map_or(String::new(), |offset| format!(" (if its log's clock is UTC{offset})"));
        let hours = self.gpu_hours.map(|hours| format!("{hours:.1} GPU-hours{assumed}"));
        let all: Vec<String> = [steps, hours].into_iter().flatten().collect();
        if all.is_empty() { String::new() } else { format!(", {} lost", all.join(" and ")) }
    }
}

fn summarise(
    outcome: Outcome,
    survey: &Survey,
    chosen: Option<&Candidate>,
    reasons: &[String],
    (from, loss): (Option<&Candidate>, &Loss),
    now: Timestamp,
) -> (&'static str, Vec<String>) {
    let step = |step: Option<u64>| step.map_or("step unknown".to_owned(), |step| format!("step {step}"));
    let dir = clean_to(&survey.dir, 160);
    let elsewhere = from.filter(|from| chosen.is_some_and(|chosen| chosen.path != from.path));
    let newest = chosen.map(|candidate| {
        let size = candidate.bytes.map_or(String::new(), |bytes| format!(", {}", show(bytes)));
        let age = candidate.modified.map_or(String::new(), |at| {
            format!(", {} old", span(now.duration_since(at).as_secs().max(0).unsigned_abs()))
        });
        let lost = if elsewhere.is_none() { loss.words() } else { String::new() };
        format!("{}{size}{age}{lost}: {}", step(candidate.step), clean_to(&candidate.path, 160))
    });
    let whole = chosen.is_some_and(|candidate| candidate.complete == Some(true));
    let good = |newest: Option<String>| {
        let newest = newest.filter(|_| whole);
        newest.map_or("no complete checkpoint to go back to".to_owned(), |newest| {
            format!("newest complete: {newest}")
        })
    };
    let about = |path: Option<&str>| {
        let candidate = path.and_then(|path| survey.at(path));
        let why = candidate.map(|candidate| candidate.why.as_str()).or(reasons.first().map(String::as_str));
        format!("{} ({})", path.map_or(dir.clone(), |path| clean_to(path, 160)), why.unwrap_or("no reason"))
    };
    match (outcome, newest) {
        (Outcome::Found, newest) => {
            let mut lines = vec![format!("newest complete: {}", newest.unwrap_or_default())];
            lines.extend(elsewhere.map(|from| {
                let (from, path) = (step(from.step), clean_to(&from.path, 160));
                format!("the framework would go on from {from} all the same{}: {path}", loss.words())
            }));
            ("found", lines)
        }
        (Outcome::None, _) => (
            "none",
            vec![format!(
                "no complete checkpoint in {dir} ({})",
                count(survey.candidates.len(), "incomplete one")
            )],
        ),
        (Outcome::Torn, newest) => {
            let pick = survey.resume_pick.as_ref().and_then(|pick| pick.path.as_deref());
            let what = format!("the framework would resume from an incomplete checkpoint: {}", about(pick));
            ("torn", vec![what, good(newest)])
        }
        (Outcome::Unknown, Some(newest)) if whole => {
            let pick = survey.resume_pick.as_ref().and_then(|pick| pick.path.as_deref());
            let what = format!(
                "cannot tell whether what the framework would resume from is complete: {}",
                about(pick)
            );
            ("unknown", vec![what, good(Some(newest))])
        }
        (Outcome::Unknown, Some(newest)) => {
            ("unknown", vec![format!("cannot tell whether it is complete: {newest}")])
        }
        (Outcome::Unknown, None) => {
            let why = reasons.first().cloned().unwrap_or_default();
            ("unknown", vec![format!("checkpoints unknown: {why}")])
        }
    }
}

#[cfg(test)]
#[path = "latest_tests.rs"]
mod tests;
