//! `job.start`: waits until a job has its nodes, so that they can be looked at before the job is far.

use async_trait::async_trait;
use engine::step::{Done, Outcomes, Performed, ReadStep, StepCx, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Timespan;
use crate::slurm::{Found, JobId, Poll, Standing, find_job, live_job, standing, unfold_nodes};
use crate::text::{clean, names, span};

/// Parameters of `job.start`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// Id of the job: `123`, or `123_4` for one task of an array.
    job: JobId,
    /// How long to wait for it, such as `2h`.
    #[serde(default = "two_hours")]
    timeout: Timespan,
    /// Longest pause between two looks, such as `10s`.
    #[serde(default = "ten_seconds")]
    poll: Timespan,
}

fn two_hours() -> Timespan {
    Timespan::minutes(120)
}

fn ten_seconds() -> Timespan {
    Timespan::seconds(10)
}

/// Where it runs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// Id of the job.
    job: String,
    /// Its state at the end, one word.
    state: Option<String>,
    /// Its nodes; empty while it has none.
    nodes: Option<Vec<String>>,
    /// Why it waits, Slurm's word: `Resources`.
    reason: Option<String>,
    /// How long was waited, in seconds.
    waited_seconds: u64,
}

/// See the module.
pub(crate) struct Start;

#[async_trait]
impl ReadStep for Start {
    const KIND: &'static str = "job.start";
    const SUMMARY: &'static str = "Wait until a job has started, and tell its nodes";
    type Params = Params;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[
            ("started", "It has its nodes"),
            ("ended", "It has ended already; the output holds the nodes that it had"),
            ("pending", "It had not started when the time was up"),
        ])
    }

    async fn read(&self, cx: &StepCx, params: Params) -> Result<Performed<Output>, StepError> {
        let job = &params.job;
        let mut poll = Poll::start(cx, params.timeout.0, params.poll.0);
        let mut last = None;
        loop {
            match standing(cx, job).await? {
                Ok(Standing::At(state, _)) if state.is_waiting() => {
                    cx.say(format!("job {job} is {}", state.word()));
                    last = Some(state);
                }
                Ok(found) => return told(cx, job, &found, poll.waited(cx).as_secs()).await,
                Err(refusal) => cx.say(format!("job {job}: {}", refusal.error("squeue").message)),
            }
            if !poll.pause_of_read(cx, &format!("job {job}")).await? {
                break;
            }
        }
        let record = live_job(cx, job).await?.ok().flatten().map(|(record, _)| record);
        let output = Output {
            job: job.to_string(),
            state: last.map(|state| state.word().to_owned()),
            nodes: Some(Vec::new()),
            reason: record.and_then(|record| record.reason),
            waited_seconds: poll.waited(cx).as_secs(),
        };
        let reason = clean(output.reason.as_deref().unwrap_or("reason unknown"));
        let line = format!("job {job} waits since {} ({reason})", span(output.waited_seconds));
        Ok(Done::new("pending", output).line(line).into())
    }
}

async fn told(
    cx: &StepCx,
    job: &JobId,
    found: &Standing,
    waited_seconds: u64,
) -> Result<Performed<Output>, StepError> {
    let record = match find_job(cx, job).await? {
        Found::Job(record, _) => Some(*record),
        Found::Missing(why) => return Err(StepError::failed(why)),
        Found::Unknown(_) | Found::Unreachable(_) => None,
    };
    let list = match found {
        Standing::At(_, nodes) => nodes.clone(),
        Standing::Forgotten => None,
    };
    let list = list.or_else(|| record.as_ref().and_then(|record| record.node_list.clone()));
    let nodes = unfold_nodes(cx, list.as_deref()).await?;
    let state = found.state().or(record.as_ref().and_then(|record| record.state.as_ref()));
    let output = Output {
        job: job.to_string(),
        state: state.map(|state| state.word().to_owned()),
        nodes,
        reason: None,
        waited_seconds,
    };
    let state = output.state.as_deref().unwrap_or("gone").to_owned();
    let on = names(output.nodes.as_deref().unwrap_or_default());
    Ok(if found.released() {
        Done::new("ended", output).line(format!("job {job} is {state} already; it was on {on}")).into()
    } else {
        Done::new("started", output).line(format!("job {job} is {state} on {on}")).into()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::step::{Read, Step};
    use serde_json::{Value, json};

    use super::*;
    use crate::testkit::FakeSite;

    async fn wait(states: &[&str]) -> (Done<Value>, Arc<FakeSite>) {
        let site = FakeSite::shared();
        for state in states {
            site.answer("squeue -h -j 1", format!("{}\n", state.replace('|', "\u{1f}")));
        }
        let record = crate::slurm::fixture_job("llama", "/d/train.sbatch", "");
        let last = states.last().and_then(|state| state.split('|').next()).unwrap_or_default();
        site.answer(
            "scontrol -o show job 1",
            record.replace("=RUNNING", &format!("={last}")).replace("Reason=None", "Reason=Resources"),
        );
        site.answer("scontrol show hostnames", "gpu-20\ngpu-21\n");
        site.answer("sacct --helpformat", "SubmitLine");
        site.answer("sacct -n", "");
        let with = json!({ "job": 1, "timeout": "1m" });
        let Performed::Done(done) = Read::new(Start).perform(&site.cx(), &with, &Value::Null).await.unwrap()
        else {
            panic!("it never asks")
        };
        (done, site)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn it_waits_for_the_nodes() {
        let (done, site) = wait(&["PENDING|", "CONFIGURING|gpu-[20-21]", "RUNNING|gpu-[20-21]"]).await;
        assert_eq!((done.outcome.as_str(), &done.output["nodes"]), ("started", &json!(["gpu-20", "gpu-21"])));
        assert_eq!(site.slept().as_secs(), 3);
        assert_eq!(done.summary, ["job 1 is RUNNING on gpu-20, gpu-21"]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_end_and_a_long_queue_are_told_apart() {
        let (done, _) = wait(&["FAILED|gpu-[20-21]"]).await;
        assert_eq!((done.outcome.as_str(), &done.output["state"]), ("ended", &json!("FAILED")));
        let (done, site) = wait(&["PENDING|"]).await;
        assert_eq!((done.outcome.as_str(), &done.output["reason"]), ("pending", &json!("Resources")));
        assert_eq!(site.slept().as_secs(), 60);
    }
}
