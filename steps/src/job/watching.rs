//! One look after the other at a running job.

use std::collections::BTreeSet;

use engine::step::{StepCx, StepError, StepErrorKind};
use jiff::Timestamp;

use super::arguments;
use super::environ;
use super::files;
use super::follow::Follow;
use super::probe::{Checkpoint, Probes};
use super::tally::Tally;
use super::watch::{Output, Params};
use crate::slurm::{
    Found, Record, Standing, State, batch_script, find_job, find_logs, live_job, standing, unfold_nodes,
};
use crate::text::{clean, span};

/// Looks after which logs and nodes are looked up anew: ranks open their files one by one.
const REFRESH: u32 = 5;
/// Looks at the ranks' environment at most, while none of them can be read.
const ENV_LOOKS: u32 = 3;
/// Looks for which a line that may begin a report is followed up: the rest of the report may still be on its way.
const SUSPICION: u32 = 4;

/// What a look came to.
pub(super) enum Verdict {
    /// This outcome; one sentence.
    Is(&'static str, String),
    /// Only a person can tell; what is known.
    Ask(String),
}

/// What is known of a followed job.
pub(super) struct Watching<'a> {
    cx: &'a StepCx,
    params: &'a Params,
    probes: &'a Probes,
    state: Option<String>,
    record: Option<Record>,
    nodes: Option<Vec<String>>,
    script: Option<String>,
    script_looked: bool,
    logs: Vec<Follow>,
    tally: Tally,
    /// When it was first seen to run.
    running_since: Option<Timestamp>,
    /// When its logs were last written at a look that found a new step in them.
    stepped: Option<Timestamp>,
    checkpoint: Option<Checkpoint>,
    env: Option<bool>,
    args: Option<bool>,
    /// The expected files that are not confirmed; `None`: nobody has looked.
    unseen: Option<Vec<String>>,
    oom: Option<String>,
    looks: u32,
    suspicion: u32,
    /// Logs with a line that may begin a report.
    suspects: BTreeSet<String>,
    env_looks: u32,
    ran: bool,
    /// Directory of checkpoints that the job's own log names.
    seen_dir: Option<String>,
}

impl<'a> Watching<'a> {
    pub(super) fn new(cx: &'a StepCx, params: &'a Params, probes: &'a Probes) -> Self {
        Self {
            cx,
            params,
            probes,
            state: None,
            record: None,
            nodes: None,
            script: None,
            script_looked: false,
            logs: Vec::new(),
            tally: Tally::default(),
            running_since: None,
            stepped: None,
            checkpoint: None,
            env: None,
            args: None,
            unseen: None,
            oom: None,
            looks: 0,
            suspicion: 0,
            suspects: BTreeSet::new(),
            env_looks: 0,
            ran: false,
            seen_dir: None,
        }
    }

    /// Looks once; `None` while it is to go on.
    pub(super) async fn round(&mut self) -> Result<Option<Verdict>, StepError> {
        let job = &self.params.job;
        let now = self.cx.site.now();
        let standing = match standing(self.cx, job).await? {
            Ok(standing) => standing,
            Err(refusal) => {
                self.cx.say(format!("job {job}: {}", refusal.error("squeue").message));
                return Ok(None);
            }
        };
        let waiting = matches!(&standing, Standing::At(state, _) if state.is_waiting());
        if let Standing::At(state, _) = &standing {
            self.state = Some(state.word().to_owned());
        }
        let new = !waiting && (!self.ran || self.logs.is_empty());
        if new || self.looks.is_multiple_of(REFRESH) || standing.released() {
            self.refresh().await?;
        }
        self.looks += 1;
        if self.record.is_none() && standing == Standing::Forgotten {
            return Err(StepError::failed(format!("Slurm does not know job {job}")));
        }
        if waiting {
            let reason = self
                .record
                .as_ref()
                .and_then(|record| record.reason.as_deref())
                .map_or_else(String::new, clean);
            self.cx.say(format!("job {job} waits in the queue {reason}").trim_end().to_owned());
            (self.running_since, self.stepped) = (None, None);
            return Ok(None);
        }
        self.ran = true;
        let running_since = *self.running_since.get_or_insert(now);
        self.read_logs().await?;
        if let Some(verdict) = self.out_of_memory(standing.released()).await? {
            return Ok(Some(verdict));
        }
        if self.tally.last_step().is_some() && !standing.released() {
            self.look_at_ranks().await?;
            if self.env == Some(false) || self.args == Some(false) {
                let names = [(&self.params.expect_env, self.env), (&self.params.expect_args, self.args)];
                let names = names.into_iter().filter(|(_, seen)| *seen == Some(false));
                let names: Vec<&str> =
                    names.flat_map(|(names, _)| names.keys().map(String::as_str)).collect();
                let why =
                    format!("job {job} trains without {} as it should be in its ranks", names.join(", "));
                return Ok(Some(Verdict::Is("unapplied", clean(&why))));
            }
        }
        if let Some(verdict) = self.passed().await? {
            return Ok(Some(verdict));
        }
        if standing.released() {
            return Ok(Some(self.ended()));
        }
        let quiet = self.cx.site.now().duration_since(self.stepped.unwrap_or(running_since));
        if quiet.unsigned_abs() >= self.params.stall.0 {
            let after = match self.tally.last_step() {
                Some(step) => format!("after step {step}"),
                None if self.logs.is_empty() => "and no log file of it was found".to_owned(),
                None => "at all".to_owned(),
            };
            let length = span(quiet.unsigned_abs().as_secs());
            return Ok(Some(Verdict::Is(
                "stalled",
                format!("job {job} runs, but reported no step for {length}, {after}"),
            )));
        }
        Ok(None)
    }

    /// What the end of the waiting time means.
    pub(super) fn time_is_up(&self) -> Verdict {
        let job = &self.params.job;
        if !self.ran {
            return Verdict::Is(
                "pending",
                format!("job {job} has not started ({})", self.state.as_deref().unwrap_or("state unknown")),
            );
        }
        let step = self
            .tally
            .last_step()
            .map_or_else(|| "no step was seen".to_owned(), |step| format!("it is at step {step}"));
        let why = match (self.params.past_step, self.params.newer_than_step) {
            (None, None) => {
                "; at which step the job before died, and which checkpoint it left, are not known, so nothing \
                             could prove that it passed"
            }
            _ if self.needs_checkpoint() => "; the checkpoint that would prove it was not seen",
            _ => "",
        };
        Verdict::Is("timeout", format!("job {job} runs, {step}{why}"))
    }

    pub(super) fn output(&self, waited_seconds: u64) -> Output {
        Output {
            job: self.params.job.to_string(),
            state: self.state.clone(),
            last_step: self.tally.last_step(),
            stepped: self.tally.last_step().and(self.stepped).map(|time| time.strftime("%FT%TZ").to_string()),
            past_step: self.params.past_step,
            checkpoint_step: self.checkpoint.as_ref().map(|checkpoint| checkpoint.step),
            checkpoint_path: self.checkpoint.as_ref().map(|checkpoint| checkpoint.path.clone()),
            peak_reserved: self.tally.peak_reserved,
            capacity: self.tally.capacity,
            gap_trend: self.tally.trend(),
            env_confirmed: self.env,
            args_confirmed: self.args,
            files_confirmed: self.unseen.as_ref().and_then(|unseen| unseen.is_empty().then_some(true)),
            files_unseen: self.unseen.clone().unwrap_or_default(),
            oom: self.oom.clone(),
            nodes: self.nodes.clone(),
            logs: self.paths(),
            waited_seconds,
        }
    }

    fn paths(&self) -> Vec<String> {
        self.logs.iter().map(|log| log.path().to_owned()).collect()
    }

    /// Looks up where the job runs and what it writes. What lies in its log files before it starts is not its own.
    async fn refresh(&mut self) -> Result<(), StepError> {
        let job = &self.params.job;
        let live = live_job(self.cx, job).await?.ok().flatten().map(|(record, _)| record);
        let record = match live {
            Some(record) => Some(record),
            None => match find_job(self.cx, job).await? {
                Found::Job(record, _) => Some(*record),
                Found::Missing(_) | Found::Unknown(_) | Found::Unreachable(_) => None,
            },
        };
        let Some(record) = record else { return Ok(()) };
        if let Some(state) = &record.state {
            self.state = Some(state.word().to_owned());
        }
        if self.nodes.as_ref().is_none_or(Vec::is_empty) {
            self.nodes = unfold_nodes(self.cx, record.node_list.as_deref()).await?;
        }
        let paths = match &self.params.logs {
            Some(paths) => paths.clone(),
            None => {
                if !self.script_looked {
                    self.script_looked = true;
                    self.script = match batch_script(self.cx, &record.job).await {
                        Ok(script) => script.map(|script| String::from_utf8_lossy(&script).into_owned()),
                        Err(error) if error.kind == StepErrorKind::NotRecorded => return Err(error),
                        Err(_) => None,
                    };
                }
                find_logs(self.cx, &record, self.script.as_deref(), &[]).await?
            }
        };
        for path in paths {
            if self.logs.iter().all(|log| log.path() != path) {
                let mut log = Follow::new(&path);
                if record.state.as_ref().is_some_and(State::is_waiting) {
                    log.skip_present(self.cx).await?;
                }
                self.logs.push(log);
            }
        }
        self.record = Some(record);
        Ok(())
    }

    async fn read_logs(&mut self) -> Result<(), StepError> {
        let before = self.tally.last_step();
        let started = self.record.as_ref().and_then(|record| record.started);
        let workdir = self.record.as_ref().and_then(|record| record.work_dir.as_deref());
        for (number, log) in self.logs.iter_mut().enumerate() {
            for line in log.lines(self.cx, started).await? {
                let step = self.tally.line(number, &line, self.probes.step_of);
                // A program whose steps cannot be told from its lines lives as long as it writes any.
                if step || self.tally.last_step().is_none() {
                    // Not when it is read: a job that hung long before it is looked at has been quiet since then.
                    let now = self.cx.site.now();
                    self.stepped =
                        self.stepped.max(Some(log.written().map_or(now, |written| written.min(now))));
                }
                if self.params.checkpoint_dir.is_none()
                    && let Some(dir) = self.probes.checkpoints.dir_of(&line, workdir)
                {
                    self.seen_dir = Some(dir);
                }
                if self.probes.oom.suspects(&line) {
                    self.suspicion = SUSPICION;
                    self.suspects.insert(log.path().to_owned());
                }
            }
        }
        if let Some(step) = self.tally.last_step().filter(|step| Some(*step) != before) {
            let now = self.cx.site.now().strftime("%H:%M:%S UTC");
            let passed = self.params.past_step.filter(|past| step > *past);
            let passed = passed.map_or_else(String::new, |past| format!(", passed {past}"));
            self.cx.say(format!("step {step}{passed} at {now}"));
        }
        Ok(())
    }

    async fn out_of_memory(&mut self, ended: bool) -> Result<Option<Verdict>, StepError> {
        // Only logs in which this job wrote something of the kind: others may hold an earlier job's report.
        if self.suspects.is_empty() || (self.suspicion == 0 && !ended) {
            return Ok(None);
        }
        self.suspicion = self.suspicion.saturating_sub(1);
        let suspects: Vec<String> = self.suspects.iter().cloned().collect();
        let from = self.record.as_ref().and_then(|record| record.started).map(|time| time.to_string());
        let report = self.probes.oom.first(self.cx, &suspects, from.as_deref()).await?;
        self.oom = report.map(|report| clean(&report));
        Ok(self.oom.as_ref().map(|report| {
            let step = self.tally.last_step().map_or_else(String::new, |step| format!(" after step {step}"));
            Verdict::Is("oom", format!("job {} ran out of memory{step}: {report}", self.params.job))
        }))
    }

    async fn look_at_ranks(&mut self) -> Result<(), StepError> {
        self.env_looks += 1;
        let node = self.nodes.as_ref().and_then(|nodes| nodes.first());
        let number = self.record.as_ref().and_then(|record| record.number);
        let (variables, words) = (&self.params.expect_env, &self.params.expect_args);
        if let (true, Some(node), Some(number)) = (self.env_looks <= ENV_LOOKS, node, number) {
            if !variables.is_empty() && self.env.is_none() {
                self.env = environ::confirmed(self.cx, number, node, variables).await?;
            }
            if !words.is_empty() && self.args.is_none() {
                self.args = arguments::confirmed(self.cx, number, node, words).await?;
            }
            let files = &self.params.expect_files;
            if !files.is_empty() && self.unseen.as_ref().is_none_or(|unseen| !unseen.is_empty()) {
                self.unseen = Some(files::unseen(self.cx, number, node, files).await?);
            }
        }
        Ok(())
    }

    /// Without a step to get past, only a checkpoint proves anything.
    fn needs_checkpoint(&self) -> bool {
        self.params.checkpoint || self.params.past_step.is_none()
    }

    async fn passed(&mut self) -> Result<Option<Verdict>, StepError> {
        let job = &self.params.job;
        let last = self.tally.last_step();
        if let Some(past) = self.params.past_step
            && last.is_none_or(|last| last <= past)
        {
            return Ok(None);
        }
        let step = match (last, self.params.past_step) {
            (Some(last), Some(past)) => format!("is at step {last}, past {past}"),
            (Some(last), None) => format!("is at step {last}"),
            (None, _) => "runs".to_owned(),
        };
        if !self.needs_checkpoint() {
            return Ok(Some(Verdict::Is("passed", format!("job {job} {step}"))));
        }
        let Some(dir) = self.params.checkpoint_dir.as_deref().or(self.seen_dir.as_deref()) else {
            // Of a step nobody knows and a place nobody knows there is nothing to ask a person either.
            return Ok(self.params.past_step.map(|_| Verdict::Ask(format!("Job {job} {step}."))));
        };
        match self.probes.checkpoints.newest(self.cx, dir).await {
            Ok(found) => self.checkpoint = found.or(self.checkpoint.take()),
            Err(error) if error.kind == StepErrorKind::NotRecorded => return Err(error),
            // A directory that is being written may be unreadable for a moment.
            Err(error) => self.cx.say(format!("checkpoints: {}", error.message)),
        }
        let bound = self.params.newer_than_step.or(self.params.past_step);
        Ok(match (&self.checkpoint, bound) {
            (Some(checkpoint), Some(bound)) if checkpoint.step > bound => Some(Verdict::Is(
                "passed",
                format!("job {job} {step}, with a complete checkpoint of step {}", checkpoint.step),
            )),
            _ => None,
        })
    }

    /// It ended, not for memory, and had not passed.
    fn ended(&self) -> Verdict {
        let state = self.state.as_deref().unwrap_or("state unknown");
        let code = self.record.as_ref().and_then(|record| record.exit_code.as_deref());
        let code = code.map_or_else(String::new, |code| format!(", exit code {}", clean(code)));
        let step = match (self.tally.last_step(), self.params.past_step) {
            (Some(last), Some(past)) if last > past => {
                format!("past step {past} but without the checkpoint that was asked for")
            }
            (Some(last), _) => format!("at step {last}"),
            (None, _) => "without having reported a step".to_owned(),
        };
        Verdict::Is("failed", format!("job {} ended {step} ({state}{code})", self.params.job))
    }
}
