//! What `scontrol show job --json` is trusted with: the free texts, which the text form does not escape, and the list of
//! states, of which the text form shows one.
//!
//! It exists since 23.02 (and only in builds with json-c); its shapes drift with every release (data_parser v0.0.39 to
//! v0.0.45), so it is read tolerantly and asked only where the text leaves a doubt. Times, nodes and exit codes are taken
//! from the text, which says them in one way on every release: in JSON the exit code was a wait status up to 23.02 and is an
//! object since, and output files are patterns since 25.05. `squeue --json` is never asked: up to 22.05 it ignores its
//! filters, later it lists every job that slurmctld remembers.
//!
//! Sources: src/plugins/data_parser and src/plugins/openapi of SchedMD/slurm, branches 21.08 to 26.05.

use engine::step::{StepCx, StepError};
use serde_json::Value;

use super::call::ask;
use super::id::JobId;
use super::state::State;

/// One job of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct JsonJob {
    /// Slurm's own number.
    pub(crate) number: Option<u64>,
    /// All words of its state, flags included.
    pub(crate) states: Vec<State>,
    /// Free texts by the keys that the text form has for them; empty ones, too: that there is none is known.
    pub(crate) texts: Vec<(&'static str, String)>,
}

impl JsonJob {
    /// The state without its flags.
    pub(crate) fn base(&self) -> Option<&State> {
        self.states.iter().find(|state| !state.is_flag())
    }
}

/// Keys of free texts in JSON and in text.
const TEXTS: &[(&str, &str)] = &[
    ("name", "JobName"),
    ("command", "Command"),
    ("submit_line", "SubmitLine"),
    ("current_working_directory", "WorkDir"),
    ("admin_comment", "AdminComment"),
    ("system_comment", "SystemComment"),
    ("comment", "Comment"),
];

/// The jobs of an answer; `None` if it is none.
pub(crate) fn jobs(answer: &[u8]) -> Option<Vec<JsonJob>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let jobs = answer.get("jobs")?.as_array()?;
    Some(jobs.iter().map(job).collect())
}

fn job(job: &Value) -> JsonJob {
    let text = |(json, key): &(&str, &'static str)| {
        // In 24.05 and later some texts may be wrapped like numbers: {"set": …} without a text says nothing.
        Some((*key, job.get(json)?.as_str()?.to_owned()))
    };
    JsonJob {
        number: job.get("job_id").and_then(number),
        states: states(job.get("job_state")),
        texts: TEXTS.iter().filter_map(text).collect(),
    }
}

/// A number: plain, or `{"set": true, "infinite": false, "number": 5}`.
fn number(value: &Value) -> Option<u64> {
    let Value::Object(wrapped) = value else { return value.as_u64() };
    let is = |key: &str| wrapped.get(key).and_then(Value::as_bool);
    if is("set") != Some(true) || is("infinite") == Some(true) {
        return None;
    }
    wrapped.get("number")?.as_u64()
}

/// One word up to 23.02 (a flag hides the state), a list since 23.11.
fn states(value: Option<&Value>) -> Vec<State> {
    match value {
        Some(Value::String(word)) => State::read(word).into_iter().collect(),
        Some(Value::Array(words)) => {
            words.iter().filter_map(Value::as_str).filter_map(State::read).take(16).collect()
        }
        _ => Vec::new(),
    }
}

/// Asks for one job that is known to exist (23.02 may break down over one that does not); `None` if this Slurm has no JSON,
/// or says nothing of this job.
///
/// # Errors
/// Slurm's programs are not there.
pub(crate) async fn job_of(cx: &StepCx, id: &JobId, number: u64) -> Result<Option<JsonJob>, StepError> {
    let Ok(answer) = ask(cx, ["scontrol", "show", "job", id.as_str(), "--json"]).await? else {
        return Ok(None);
    };
    // All tasks of an array come, whichever was asked for.
    Ok(jobs(&answer).and_then(|jobs| jobs.into_iter().find(|job| job.number == Some(number))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slurm::fields::{Fields, JOB_KEYS};
    use crate::slurm::fixtures::versions::{JSON, TEXT};
    use crate::slurm::record::Record;
    use proptest::prelude::*;

    #[test]
    fn every_release_is_read() {
        for (version, answer) in JSON {
            let found = jobs(answer.as_bytes()).unwrap_or_else(|| panic!("{version}"));
            let job = found.iter().find(|job| job.number == Some(124)).unwrap_or_else(|| panic!("{version}"));
            let text =
                |key: &str| job.texts.iter().find(|(known, _)| *known == key).map(|(_, text)| text.as_str());
            assert_eq!(text("JobName"), Some("llama JobState=FAILED"), "{version}");
            assert_eq!(text("Comment"), Some("nightly run=7"), "{version}");
            assert_eq!(text("WorkDir"), Some("/home/kim/my dir"), "{version}");
            assert!(job.states.iter().any(State::is_completing), "{version}");
            // One word hid the other up to 23.02.
            let base = (*version >= "23.11").then_some("FAILED");
            assert_eq!(job.base().map(State::word), base, "{version}");
        }
    }

    #[test]
    fn the_text_of_every_release_says_the_same() {
        for (version, answer) in TEXT {
            let sure = [("JobName", "llama JobState=FAILED")];
            let fields = Fields::split(answer, JOB_KEYS, &sure);
            let record = Record::from_scontrol(&fields).unwrap_or_else(|| panic!("{version}"));
            assert_eq!((record.job.as_str(), record.number), ("123_1", Some(124)), "{version}");
            assert_eq!(record.state.as_ref().map(State::word), Some("COMPLETING"), "{version}");
            assert_eq!(record.name.as_deref(), Some("llama JobState=FAILED"), "{version}");
            assert_eq!(record.comment.as_deref(), Some("nightly run=7"), "{version}");
            assert_eq!(record.command.as_deref(), Some("/home/kim/my dir/train.sbatch"), "{version}");
            assert_eq!(record.work_dir.as_deref(), Some("/home/kim/my dir"), "{version}");
            assert_eq!((record.gpus, record.gpus_per_node), (Some(16), Some(8)), "{version}");
            assert_eq!((record.num_nodes, record.tasks), (Some(2), Some(16)), "{version}");
            assert_eq!(record.exit_code.as_deref(), Some("1:0"), "{version}");
            assert_eq!(record.node_list.as_deref(), Some("gpu-[20-21]"), "{version}");
            assert_eq!(record.stdout.as_deref(), Some("/home/kim/my dir/llama-123_1.out"), "{version}");
            assert_eq!((record.restarts, record.requeue), (Some(1), Some(true)), "{version}");
        }
    }

    #[test]
    fn numbers_in_every_shape() {
        let read = |json: &str| number(&serde_json::from_str(json).unwrap());
        assert_eq!(read("5"), Some(5));
        assert_eq!(read(r#"{"set": true, "infinite": false, "number": 5}"#), Some(5));
        assert_eq!(read(r#"{"set": false, "infinite": false, "number": 5}"#), None);
        assert_eq!(read(r#"{"set": true, "infinite": true, "number": 0}"#), None);
        assert_eq!((read("null"), read(r#""5""#), read("{}"), read("-1")), (None, None, None, None));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}") {
            let _ = jobs(&bytes);
            let _ = jobs(format!("{{\"jobs\":[{{\"job_id\":{text:?},\"job_state\":[{text:?}]}}]}}").as_bytes());
        }
    }
}
