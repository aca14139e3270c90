//! One job as Slurm knows it, whichever program told it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::Fields;
use super::state::State;
use super::value::{gpus, gpus_requested, known, time};

/// Who told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// slurmctld, by `scontrol`: the present.
    Scontrol,
    /// slurmdbd, by `sacct`: the records; they trail the present by a moment.
    Sacct,
}

/// A job record; what Slurm did not say is `None`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    /// The id by which exactly this job is named: `123`, `123_4`, `123+1`.
    pub(crate) job: String,
    /// `JobId` alone; a task of an array has a number of its own.
    pub(crate) number: Option<u64>,
    pub(crate) array_job: Option<u64>,
    /// The task's index; `None` also for the unsplit rest of a waiting array.
    pub(crate) array_task: Option<u64>,
    /// Indexes of an array's waiting rest: `1-3%1`.
    pub(crate) array_rest: Option<String>,
    /// Component of a heterogeneous job.
    pub(crate) component: Option<u64>,
    pub(crate) name: Option<String>,
    pub(crate) user: Option<String>,
    /// The word that Slurm prints; it may be a flag.
    pub(crate) state: Option<State>,
    /// The ended state below a flag, where the records know it.
    pub(crate) base: Option<State>,
    pub(crate) reason: Option<String>,
    pub(crate) exit_code: Option<String>,
    pub(crate) derived_exit_code: Option<String>,
    /// As Slurm folds it: `gpu-[20-21]`. `None` while no node is assigned.
    pub(crate) node_list: Option<String>,
    pub(crate) batch_host: Option<String>,
    pub(crate) num_nodes: Option<u64>,
    pub(crate) tasks: Option<u64>,
    pub(crate) tasks_per_node: Option<u64>,
    pub(crate) gpus: Option<u64>,
    pub(crate) gpus_per_node: Option<u64>,
    pub(crate) partition: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) qos: Option<String>,
    pub(crate) submitted: Option<Timestamp>,
    pub(crate) started: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) restarts: Option<u64>,
    pub(crate) requeue: Option<bool>,
    pub(crate) work_dir: Option<String>,
    /// Script path and its arguments in one line, not quoted.
    pub(crate) command: Option<String>,
    pub(crate) submit_line: Option<String>,
    pub(crate) stdout: Option<String>,
    pub(crate) stderr: Option<String>,
    pub(crate) comment: Option<String>,
    pub(crate) cluster: Option<String>,
    /// It runs a batch script (and is not an interactive `srun` or `salloc`).
    pub(crate) batch: Option<bool>,
    pub(crate) source: Source,
}

impl Record {
    /// Reads a record of `scontrol -o show job`.
    pub(crate) fn from_scontrol(fields: &Fields) -> Option<Self> {
        let text = |key: &str| fields.known(key).map(str::to_owned);
        let number = |key: &str| fields.known(key).and_then(|value| value.parse::<u64>().ok());
        let flag = |key: &str| number(key).map(|value| value != 0);
        let job_number = number("JobId")?;
        let num_nodes = fields.known("NumNodes").and_then(exact);
        let per_node = fields.known("TresPerNode").and_then(gpus_requested);
        // A list without GPUs says nothing: they are listed only with `AccountingStorageTRES=gres/gpu`.
        let gpus = ["AllocTRES", "TRES", "ReqTRES"]
            .iter()
            .find_map(|key| gpus(fields.known(key)?))
            .or_else(|| per_node?.checked_mul(num_nodes?));
        let mut record = Self {
            job: String::new(),
            number: Some(job_number),
            array_job: number("ArrayJobId"),
            array_task: number("ArrayTaskId"),
            array_rest: text("ArrayTaskId").filter(|task| task.parse::<u64>().is_err()),
            component: number("HetJobOffset"),
            name: text("JobName"),
            user: fields.known("UserId").map(|user| user.split('(').next().unwrap_or(user).to_owned()),
            state: fields.get("JobState").and_then(State::read),
            base: None,
            reason: text("Reason"),
            exit_code: text("ExitCode"),
            derived_exit_code: text("DerivedExitCode"),
            node_list: text("NodeList"),
            batch_host: text("BatchHost"),
            num_nodes,
            tasks: number("NumTasks"),
            tasks_per_node: fields
                .known("NtasksPerN:B:S:C")
                .and_then(|list| list.split(':').next()?.parse::<u64>().ok())
                .filter(|&tasks| tasks > 0),
            gpus,
            gpus_per_node: per_node.or(gpus.filter(|_| num_nodes == Some(1))),
            partition: text("Partition"),
            account: text("Account"),
            qos: text("QOS"),
            submitted: fields.get("SubmitTime").and_then(time),
            started: fields.get("StartTime").and_then(time),
            ended: fields.get("EndTime").and_then(time),
            restarts: number("Restarts"),
            requeue: flag("Requeue"),
            work_dir: text("WorkDir"),
            command: text("Command"),
            submit_line: text("SubmitLine"),
            stdout: text("StdOut"),
            stderr: text("StdErr"),
            comment: text("Comment"),
            cluster: None,
            batch: flag("BatchFlag"),
            source: Source::Scontrol,
        };
        // Of a job that has not ended these are forecasts (the end from its time limit, the start from the scheduler) or
        // fillers (exit code 0:0).
        if !record.state.as_ref().is_some_and(|state| state.is_released() || state.is_completing()) {
            record.ended = None;
            record.exit_code = None;
            record.derived_exit_code = None;
        }
        // Both in one file is Slurm's default, printed twice.
        if record.stderr == record.stdout {
            record.stderr = None;
        }
        if record.state.as_ref().is_some_and(State::is_waiting) {
            record.started = None;
        }
        record.job = match (record.array_job, record.array_task, number("HetJobId"), record.component) {
            (Some(job), Some(task), ..) => format!("{job}_{task}"),
            (Some(job), None, ..) => format!("{job}_[{}]", record.array_rest.as_deref().unwrap_or("?")),
            (_, _, Some(job), Some(component)) => format!("{job}+{component}"),
            _ => job_number.to_string(),
        };
        Some(record)
    }

    /// Reads a row of `sacct -X`, whose columns are `names`.
    pub(crate) fn from_sacct(names: &[&str], row: &[&str]) -> Option<Self> {
        let get = |name: &str| {
            let at = names.iter().position(|known| *known == name)?;
            known(row.get(at)?)
        };
        let text = |name: &str| get(name).map(str::to_owned);
        let job = text("JobID")?;
        let (number, part) = job.split_once(['_', '+']).unwrap_or((&job, ""));
        let number_of = |text: &str| text.parse::<u64>().ok();
        let is = |sign: char| job.contains(sign).then(|| number_of(part)).flatten();
        let num_nodes = get("NNodes").and_then(exact);
        let gpus = get("AllocTRES").and_then(gpus);
        let ended = get("State").and_then(State::read).is_some_and(|state| state.is_released());
        Some(Self {
            number: get("JobIDRaw").and_then(number_of),
            array_job: if job.contains('_') { number_of(number) } else { None },
            array_task: is('_'),
            array_rest: job.contains('[').then(|| part.trim_matches(['[', ']']).to_owned()),
            component: is('+'),
            name: text("JobName"),
            user: text("User"),
            state: get("State").and_then(State::read),
            base: None,
            reason: text("Reason"),
            exit_code: text("ExitCode").filter(|_| ended),
            derived_exit_code: text("DerivedExitCode").filter(|_| ended),
            node_list: text("NodeList"),
            batch_host: None,
            num_nodes,
            tasks: None,
            tasks_per_node: None,
            gpus,
            gpus_per_node: gpus.filter(|_| num_nodes == Some(1)),
            partition: text("Partition"),
            account: text("Account"),
            qos: text("QOS"),
            submitted: get("Submit").and_then(time),
            started: get("Start").and_then(time),
            ended: get("End").and_then(time),
            restarts: get("Restarts").and_then(number_of),
            requeue: None,
            work_dir: text("WorkDir"),
            command: None,
            submit_line: text("SubmitLine"),
            stdout: text("StdOut"),
            stderr: text("StdErr"),
            comment: text("Comment"),
            cluster: text("Cluster"),
            batch: None,
            source: Source::Sacct,
            job,
        })
    }

    /// What the records know and slurmctld does not print: they fill gaps, they overrule nothing.
    pub(crate) fn complete_from(&mut self, records: &Self) {
        // The same number may have been given out anew, or the records may show an earlier start.
        if records.job != self.job || (records.submitted.is_some() && records.submitted != self.submitted) {
            return;
        }
        self.submit_line = self.submit_line.take().or_else(|| records.submit_line.clone());
        self.cluster = self.cluster.take().or_else(|| records.cluster.clone());
        if self.ended.is_some() {
            self.derived_exit_code =
                self.derived_exit_code.take().or_else(|| records.derived_exit_code.clone());
        }
        // A flag hides the state: the records may already know it.
        if let (Some(state), Some(recorded)) = (&self.state, &records.state)
            && state.is_flag()
            && recorded.is_released()
        {
            self.base = Some(recorded.clone());
        }
    }
}

/// `2`, or `2-2`; a range whose ends differ is no number.
fn exact(text: &str) -> Option<u64> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let low: u64 = low.parse().ok()?;
    (high.parse() == Ok(low)).then_some(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slurm::fields::{JOB_KEYS, records};
    use crate::slurm::fixtures as fixture;

    fn read(text: &str) -> Record {
        Record::from_scontrol(&Fields::split(text, JOB_KEYS, &[])).unwrap()
    }

    #[test]
    fn a_running_job_of_22_05() {
        let record = read(fixture::RUNNING_22_05);
        assert_eq!(record.job, "1");
        assert_eq!(record.user.as_deref(), Some("root"));
        assert_eq!(record.state, State::read("RUNNING"));
        assert_eq!(record.reason, None);
        assert_eq!((record.num_nodes, record.tasks, record.tasks_per_node), (Some(2), Some(4), Some(2)));
        assert_eq!((record.gpus, record.gpus_per_node), (Some(8), Some(4)));
        assert_eq!(record.submitted, Some("2026-11-24T02:04:35Z".parse().unwrap()));
        assert_eq!(record.ended, None);
        assert_eq!((record.restarts, record.requeue, record.batch), (Some(0), Some(true), Some(true)));
        assert_eq!(record.derived_exit_code, None, "a field that is not printed is unknown");
    }

    #[test]
    fn a_failed_job_of_25_11() {
        let record = read(fixture::FAILED_25_11);
        assert_eq!((record.gpus, record.gpus_per_node), (Some(16), Some(8)));
        assert_eq!(record.submit_line.as_deref(), Some("sbatch -N2 --comment=nightly train.sbatch"));
        assert_eq!(record.command.as_deref(), Some("/home/kim/train.sbatch"));
        assert_eq!(
            (record.exit_code.as_deref(), record.derived_exit_code.as_deref()),
            (Some("1:0"), Some("1:0"))
        );
        assert_eq!(record.stderr, None);
        assert_eq!(record.ended, Some("2026-11-24T01:28:20Z".parse().unwrap()));
        assert_eq!(record.restarts, Some(1));
    }

    #[test]
    fn tasks_of_an_array_have_ids_of_their_own() {
        let jobs: Vec<(String, Option<u64>)> = records(fixture::ARRAY_22_05, "JobId")
            .into_iter()
            .map(|text| (read(text).job, read(text).number))
            .collect();
        assert_eq!(jobs, [("2_3".into(), Some(2)), ("2_2".into(), Some(4))]);
    }

    #[test]
    fn gpus_that_are_not_listed_are_unknown() {
        let text = |more: &str| format!("JobId=9 JobState=RUNNING NumNodes=2 TRES=cpu=4,node=2 {more}");
        assert_eq!(read(&text("")).gpus, None);
        assert_eq!(read(&text("TresPerNode=gres:gpu:4")).gpus, Some(8));
    }

    #[test]
    fn a_forecast_is_no_fact() {
        let text = "JobId=9 JobState=PENDING StartTime=1795490000 EndTime=1795499999 NumNodes=1-4 NodeList=";
        let record = read(text);
        assert_eq!(
            (record.started, record.ended, record.num_nodes, record.node_list),
            (None, None, None, None)
        );
    }

    #[test]
    fn sacct_rows() {
        let names =
            ["JobIDRaw", "JobID", "State", "Submit", "End", "AllocTRES", "NodeList", "NNodes", "Cluster"];
        let row = [
            "3",
            "2_1",
            "CANCELLED by 0",
            "1795485875",
            "Unknown",
            "cpu=1,gres/gpu=4",
            "None assigned",
            "1",
            "lab",
        ];
        let record = Record::from_sacct(&names, &row).unwrap();
        assert_eq!((record.job.as_str(), record.number), ("2_1", Some(3)));
        assert_eq!((record.array_job, record.array_task), (Some(2), Some(1)));
        assert_eq!(record.state.unwrap().word(), "CANCELLED");
        assert_eq!((record.ended, record.node_list), (None, None));
        assert_eq!((record.gpus, record.gpus_per_node), (Some(4), Some(4)));
        let waiting = Record::from_sacct(&["JobID", "State"], &["2_[1-3%1]", "PENDING"]).unwrap();
        assert_eq!((waiting.array_task, waiting.array_rest.as_deref()), (None, Some("1-3%1")));
    }

    #[test]
    fn records_fill_gaps_only_of_the_same_submission() {
        let mut job = read("JobId=5 JobState=COMPLETING SubmitTime=1795485875");
        let names = ["JobID", "State", "Submit", "SubmitLine", "Cluster"];
        let other = Record::from_sacct(&names, &["5", "FAILED", "1795000000", "sbatch old", "lab"]).unwrap();
        job.complete_from(&other);
        assert_eq!((job.submit_line.as_deref(), job.base.as_ref()), (None, None));
        let same = Record::from_sacct(&names, &["5", "FAILED", "1795485875", "sbatch x", "lab"]).unwrap();
        job.complete_from(&same);
        assert_eq!(job.submit_line.as_deref(), Some("sbatch x"));
        assert_eq!(job.base.unwrap().word(), "FAILED");
    }
}
