//! `job.watch`: follows a job until it has passed the step at which the one before it died.

use std::collections::BTreeMap;

use async_trait::async_trait;
use engine::step::{Choice, Done, Outcomes, Performed, Question, ReadStep, StepCx, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::probe::Probes;
use super::tally::Trend;
use super::watching::{Verdict, Watching};
use crate::duration::Timespan;
use crate::slurm::{JobId, Poll};
use crate::text::{clean, span};

/// Parameters of `job.watch`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// Id of the job that is followed: `123`, or `123_4` for one task of an array.
    pub(crate) job: JobId,
    /// Training step at which the job before it died; a later one must be seen. Unknown: only a checkpoint proves that
    /// the job got on.
    #[serde(default)]
    pub(crate) past_step: Option<u64>,
    /// A complete checkpoint must be seen, too.
    #[serde(default)]
    pub(crate) checkpoint: bool,
    /// Directory of the checkpoints; unknown or not given: the one that the job's log names, if it does.
    #[serde(default)]
    pub(crate) checkpoint_dir: Option<String>,
    /// Training step of the newest complete checkpoint before the job started; a later one must be seen. Unknown:
    /// one later than `past_step`.
    #[serde(default)]
    pub(crate) newer_than_step: Option<u64>,
    /// How long to follow it at most, waiting in the queue included, such as `2h`.
    #[serde(default = "two_hours")]
    pub(crate) timeout: Timespan,
    /// How long a running job may report no new step, such as `10m`; longer than it takes to load a model. It counts from when its
    /// logs were last written, also before it is followed.
    #[serde(default = "ten_minutes")]
    pub(crate) stall: Timespan,
    /// Its log files; unknown or not given: those that Slurm and the job's script name.
    #[serde(default)]
    pub(crate) logs: Option<Vec<String>>,
    /// Longest pause between two looks, such as `10s`.
    #[serde(default = "ten_seconds")]
    pub(crate) poll: Timespan,
    /// Variables that its ranks must have in their environment, by name; looked up on one node once it trains. If they
    /// have not, the watch ends.
    #[serde(default)]
    pub(crate) expect_env: BTreeMap<String, String>,
    /// Flags (`--seq-length`) and words (`model.seq_length=`) that its ranks must be started with, and their values; looked up
    /// in the same way.
    #[serde(default)]
    pub(crate) expect_args: BTreeMap<String, String>,
    /// Configuration files that its ranks must have read, SHA-256 by absolute path. It is looked up in the same way whether that is
    /// certain; that it is not proves nothing, and does not end the watch.
    #[serde(default)]
    pub(crate) expect_files: BTreeMap<String, String>,
}

fn two_hours() -> Timespan {
    Timespan::minutes(120)
}

fn ten_minutes() -> Timespan {
    Timespan::minutes(10)
}

fn ten_seconds() -> Timespan {
    Timespan::seconds(10)
}

/// How far the job got.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// Id of the job.
    pub(crate) job: String,
    /// Its state at the end, one word.
    pub(crate) state: Option<String>,
    /// Training step that it reported last.
    pub(crate) last_step: Option<u64>,
    /// When the log was last written that told it, RFC 3339.
    pub(crate) stepped: Option<String>,
    /// Training step that it had to get past.
    pub(crate) past_step: Option<u64>,
    /// Training step of the newest complete checkpoint that was seen.
    pub(crate) checkpoint_step: Option<u64>,
    /// Where that checkpoint is.
    pub(crate) checkpoint_path: Option<String>,
    /// Most memory that a rank's allocator held, in bytes, if the job prints it.
    pub(crate) peak_reserved: Option<u64>,
    /// Memory of a GPU, in bytes, if the job prints it.
    pub(crate) capacity: Option<u64>,
    /// Whether the gap between reserved and allocated memory still grows after warm-up, if the job prints it.
    pub(crate) gap_trend: Option<Trend>,
    /// Whether the ranks have the variables of `expect_env`; `null` if none was given or no rank could be looked at.
    pub(crate) env_confirmed: Option<bool>,
    /// Whether the ranks were started with the words of `expect_args`; `null` if none was given or no rank could be looked at.
    pub(crate) args_confirmed: Option<bool>,
    /// True: the ranks read the files of `expect_files` with that content; `null` if none was given or it is not certain.
    pub(crate) files_confirmed: Option<bool>,
    /// The files of which it is not certain, each with the reason.
    pub(crate) files_unseen: Vec<String>,
    /// What the log says of memory running out.
    pub(crate) oom: Option<String>,
    /// Its nodes.
    pub(crate) nodes: Option<Vec<String>>,
    /// Its log files.
    pub(crate) logs: Vec<String>,
    /// How long it was followed, in seconds.
    pub(crate) waited_seconds: u64,
}

/// See the module.
pub(crate) struct Watch {
    probes: Probes,
}

impl Watch {
    pub(crate) fn new(probes: Probes) -> Self {
        Self { probes }
    }
}

#[async_trait]
impl ReadStep for Watch {
    const KIND: &'static str = "job.watch";
    const SUMMARY: &'static str = "Follow a job until it has passed a training step and written a checkpoint";
    type Params = Params;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[
            ("passed", "It got past the step, and wrote a complete checkpoint if one was asked for"),
            ("oom", "It ran out of memory again"),
            ("failed", "It ended without having passed, and not for memory"),
            ("unapplied", "It trains, but its ranks do not run with what `expect_env` and `expect_args` say"),
            ("stalled", "It runs, but no new step was reported for too long"),
            ("timeout", "It runs, but had not passed when the time was up"),
            ("pending", "It had not started when the time was up"),
        ])
    }

    async fn read(&self, cx: &StepCx, params: Params) -> Result<Performed<Output>, StepError> {
        let mut poll = Poll::start(cx, params.timeout.0, params.poll.0);
        let mut watching = Watching::new(cx, &params, &self.probes);
        let verdict = loop {
            if let Some(verdict) = watching.round().await? {
                break verdict;
            }
            if !poll.pause_of_read(cx, &format!("job {}", params.job)).await? {
                break watching.time_is_up();
            }
        };
        let seconds = poll.waited(cx).as_secs();
        let output = watching.output(seconds);
        Ok(match verdict {
            Verdict::Is(outcome, why) => summary(Done::new(outcome, output).line(why)).into(),
            Verdict::Ask(why) => Performed::Ask(question(why), output),
        })
    }
}

fn question(why: String) -> Question {
    let choice = |outcome: &str, label: &str| Choice { outcome: outcome.to_owned(), label: label.to_owned() };
    Question {
        prompt: "Has it written a complete checkpoint since it was started?".to_owned(),
        details: vec![
            why,
            "Where its checkpoints are is not known, so they could not be looked at.".to_owned(),
        ],
        choices: vec![
            choice("passed", "Yes, I have seen it, and it is complete"),
            choice("timeout", "No, not yet, or I do not know"),
        ],
    }
}

fn summary(mut done: Done<Output>) -> Done<Output> {
    const GIB: f64 = (1u64 << 30) as f64;
    let output = &done.output;
    let mut lines = Vec::new();
    if let (Some(step), Some(path)) = (output.checkpoint_step, &output.checkpoint_path) {
        lines.push(format!("newest complete checkpoint: step {step}, {}", clean(path)));
    }
    if let Some(peak) = output.peak_reserved {
        let of = output.capacity.map_or_else(String::new, |all| format!(" of {:.1} GiB", all as f64 / GIB));
        let gap = match output.gap_trend {
            Some(Trend::Growing) => "; the gap to what is allocated still grows",
            Some(Trend::Steady) => "; the gap to what is allocated is steady",
            None => "",
        };
        lines.push(format!("peak reserved {:.1} GiB{of}{gap}", peak as f64 / GIB));
    }
    match output.env_confirmed {
        Some(true) => lines.push("its ranks run with the variables that they should have".to_owned()),
        Some(false) => lines.push("its ranks do NOT run with the variables that they should have".to_owned()),
        None => {}
    }
    match output.args_confirmed {
        Some(true) => lines.push("its ranks were started with the words that they should have".to_owned()),
        Some(false) => {
            lines.push("its ranks were NOT started with the words that they should have".to_owned())
        }
        None => {}
    }
    match output.files_confirmed {
        Some(_) => lines.push("its ranks read the configuration files that they should have".to_owned()),
        None if !output.files_unseen.is_empty() => {
            let all = output.files_unseen.join("; ");
            lines.push(format!("whether its ranks read the configuration files is not certain: {all}"));
        }
        None => {}
    }
    lines.push(format!("followed for {}", span(output.waited_seconds)));
    done.summary.extend(lines);
    done
}

#[cfg(test)]
mod tests;
