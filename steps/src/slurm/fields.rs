//! `scontrol -o show …`: `Key=value` pairs whose values are not escaped.
//!
//! The keys and their order are those of `slurm_sprint_job_info` (SchedMD/slurm, src/api/job_info.c) from 20.11 to 26.05.
//! Values such as job name, comment and command may hold blanks, `=` and even text that looks like a further key, so
//! the text is split at known keys, and a key seen twice is decided by the order in which Slurm prints them.

/// The keys of a job, in the order in which Slurm prints them.
pub(crate) const JOB_KEYS: &[&str] = &[
    "JobId",
    "ArrayJobId",
    "ArrayTaskId",
    "ArrayTaskThrottle",
    "HetJobId",
    "HetJobOffset",
    "JobName",
    "HetJobIdSet",
    "UserId",
    "GroupId",
    "MCS_label",
    "Priority",
    "Nice",
    "Account",
    "QOS",
    "WCKey",
    "JobState",
    "Reason",
    "FailedNode",
    "Dependency",
    "Requeue",
    "Restarts",
    "BatchFlag",
    "Reboot",
    "ExitCode",
    "DerivedExitCode",
    "RunTime",
    "TimeLimit",
    "TimeMin",
    "SubmitTime",
    "EligibleTime",
    "AccrueTime",
    "ResizeTime",
    "StartTime",
    "EndTime",
    "Deadline",
    "CronJob",
    "PreemptEligibleTime",
    "PreemptTime",
    "SuspendTime",
    "SecsPreSuspend",
    "LastSchedEval",
    "Scheduler",
    "Partition",
    "AllocNode:Sid",
    "ReqNodeList",
    "ExcNodeList",
    "NodeList",
    "SchedNodeList",
    "BatchHost",
    "StepMgrEnabled",
    "BatchFeatures",
    "FedOrigin",
    "FedViableSiblings",
    "FedActiveSiblings",
    "NumNodes",
    "NumCPUs",
    "NumTasks",
    "CPUs/Task",
    "ReqB:S:C:T",
    "TRES",
    "ReqTRES",
    "AllocTRES",
    "Socks/Node",
    "NtasksPerN:B:S:C",
    "CoreSpec",
    "ThreadSpec",
    "JOB_GRES",
    "MinCPUsNode",
    "MinMemoryNode",
    "MinMemoryCPU",
    "MinTmpDiskNode",
    "Features",
    "DelayBoot",
    "ClusterFeatures",
    "Prefer",
    "Reservation",
    "OverSubscribe",
    "Contiguous",
    "Licenses",
    "LicensesAlloc",
    "Network",
    "Command",
    "SubmitLine",
    "WorkDir",
    "AdminComment",
    "SystemComment",
    "Comment",
    "Extra",
    "Container",
    "ContainerID",
    "StdErr",
    "StdIn",
    "StdOut",
    "Switches",
    "BurstBuffer",
    "BurstBufferState",
    "Power",
    "CpusPerTres",
    "MemPerTres",
    "TresBind",
    "TresFreq",
    "TresPerJob",
    "TresPerNode",
    "TresPerSocket",
    "TresPerTask",
    "NtasksPerTRES",
    "MailUser",
    "MailType",
    "KillOInInvalidDependent",
];

/// The keys of a node that matter here, in the order in which Slurm prints them; `Reason` and what follows come last.
pub(crate) const NODE_KEYS: &[&str] = &[
    "NodeName",
    "Arch",
    "CoresPerSocket",
    "CPUAlloc",
    "CPUEfctv",
    "CPUTot",
    "CPULoad",
    "AvailableFeatures",
    "ActiveFeatures",
    "Gres",
    "GresDrain",
    "GresUsed",
    "NodeAddr",
    "NodeHostName",
    "Port",
    "Version",
    "OS",
    "RealMemory",
    "AllocMem",
    "FreeMem",
    "Sockets",
    "Boards",
    "CoreSpecCount",
    "CPUSpecList",
    "MemSpecLimit",
    "State",
    "ThreadsPerCore",
    "TmpDisk",
    "Weight",
    "Owner",
    "MCS_label",
    "Partitions",
    "NextState",
    "BootTime",
    "SlurmdStartTime",
    "LastBusyTime",
    "ResumeAfterTime",
    "CfgTRES",
    "AllocTRES",
    "CapWatts",
    "CurrentWatts",
    "LowestJoules",
    "ConsumedJoules",
    "AveWatts",
    "ExtSensorsJoules",
    "ExtSensorsWatts",
    "ExtSensorsTemp",
    "Reason",
    "Comment",
    "Extra",
    "InstanceId",
    "InstanceType",
];

/// Values that people write freely; every other value ends at its first blank.
const FREE: &[&str] = &[
    "JobName",
    "Reason",
    "Features",
    "Prefer",
    "Network",
    "Command",
    "SubmitLine",
    "WorkDir",
    "AdminComment",
    "SystemComment",
    "Comment",
    "Extra",
    "Container",
    "StdErr",
    "StdIn",
    "StdOut",
    "BurstBuffer",
    "OS",
    "MailUser",
];

/// One record, split.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    pairs: Vec<(&'static str, String)>,
    /// A key was seen twice: some value holds text that looks like a key.
    pub(crate) doubtful: bool,
}

impl Fields {
    /// The value of a key as Slurm printed it.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| *known == key).map(|(_, value)| value.as_str())
    }

    /// The value of a key, unless it is one of Slurm's words for "nothing there".
    pub(crate) fn known(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(super::value::known)
    }

    /// Splits one record. `sure` names values that are known from elsewhere: what is in them is no key.
    pub(crate) fn split(record: &str, keys: &'static [&'static str], sure: &[(&str, &str)]) -> Self {
        let record = record.trim_end_matches(['\n', '\r']);
        let blind = blind(record, sure);
        let marks = marks(&blind, keys);
        let mut ranks: Vec<usize> = marks.iter().map(|mark| mark.rank).collect();
        ranks.sort_unstable();
        let doubtful = ranks.windows(2).any(|pair| pair[0] == pair[1]);
        let marks = if doubtful { longest_in_order(&marks) } else { marks };
        let ends = marks.iter().skip(1).map(|mark| mark.start).chain([record.len()]);
        let pairs = marks.iter().zip(ends).map(|(mark, end)| {
            let key = keys[mark.rank];
            let value = record[mark.value..end].trim_end_matches(' ');
            let free = FREE.contains(&key);
            (key, if free { value } else { value.split(' ').next().unwrap_or_default() }.to_owned())
        });
        Self { pairs: pairs.collect(), doubtful }
    }
}

/// Records of `scontrol -o show`: each begins with `first=` at the start of a line. A value may hold a line break.
pub(crate) fn records<'a>(text: &'a str, first: &str) -> Vec<&'a str> {
    let head = format!("{first}=");
    let mut starts = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with(&head) {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(&start, end)| text[start..end].trim_end()).collect()
}

/// A place where `Key=` stands after a blank or at the start.
#[derive(Debug, Clone, Copy)]
struct Mark {
    rank: usize,
    start: usize,
    value: usize,
}

/// The record with the values that are known from elsewhere made unreadable, length kept.
fn blind(record: &str, sure: &[(&str, &str)]) -> String {
    let mut text = record.to_owned();
    for (key, value) in sure.iter().filter(|(_, value)| !value.is_empty()) {
        let pair = format!(" {key}={value}");
        if let Some(at) = text.find(&pair) {
            let start = at + key.len() + 2;
            text.replace_range(start..at + pair.len(), &"x".repeat(value.len()));
        }
    }
    text
}

fn marks(text: &str, keys: &[&str]) -> Vec<Mark> {
    let mut marks = Vec::new();
    for (at, _) in text.match_indices('=') {
        let start = text[..at].rfind([' ', '\n']).map_or(0, |blank| blank + 1);
        let key = &text[start..at];
        if let Some(rank) = keys.iter().position(|known| *known == key) {
            marks.push(Mark { rank, start, value: at + 1 });
        }
    }
    marks
}

/// The longest run of marks in Slurm's order. Of equally long ones it takes the latest places: text inside a value
/// stands before the true keys that follow it.
fn longest_in_order(marks: &[Mark]) -> Vec<Mark> {
    // The comparison is quadratic. So many come only from one huge value, whose middle can be left out.
    const HALF: usize = 1000;
    let cut: Vec<Mark>;
    let marks = if marks.len() > 2 * HALF {
        cut = [&marks[..HALF], &marks[marks.len() - HALF..]].concat();
        &cut
    } else {
        marks
    };
    let mut best: Vec<(usize, Option<usize>)> = vec![(1, None); marks.len()];
    // From the end: `best[i]` is the longest run that starts with mark i.
    for i in (0..marks.len()).rev() {
        for j in i + 1..marks.len() {
            if marks[j].rank > marks[i].rank && best[j].0 + 1 >= best[i].0 {
                best[i] = (best[j].0 + 1, Some(j));
            }
        }
    }
    let mut at = (0..marks.len()).max_by_key(|&i| best[i].0);
    let mut run = Vec::new();
    while let Some(i) = at {
        run.push(marks[i]);
        at = best[i].1;
    }
    run
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::slurm::fixtures as fixture;

    fn split(record: &str) -> Fields {
        Fields::split(record, JOB_KEYS, &[])
    }

    #[test]
    fn values_with_blanks_and_keys_in_them_stay_whole() {
        let fields = split(fixture::RUNNING_22_05);
        assert!(fields.doubtful);
        assert_eq!(fields.get("JobName"), Some("my job=1 Reason=x"));
        assert_eq!(fields.get("JobState"), Some("RUNNING"));
        assert_eq!(fields.get("Reason"), Some("None"));
        assert_eq!(fields.get("Comment"), Some("hello JobState=FAILED a=b"));
        assert_eq!(fields.get("Command"), Some("/root/slurmtry/my dir/train.sbatch --lr 3 a b"));
        assert_eq!(fields.get("WorkDir"), Some("/root/slurmtry/my dir"));
        assert_eq!(fields.get("StdOut"), Some("/root/slurmtry/my dir/slurm-1.out"));
        assert_eq!(fields.get("TresPerNode"), Some("gres:gpu:4"));
    }

    #[test]
    fn a_reason_with_a_blank_is_kept() {
        let fields = split(
            "JobId=5 JobState=PENDING Reason=ReqNodeNotAvail, UnavailableNodes:gpu-23 Dependency=(null)",
        );
        assert_eq!(fields.get("Reason"), Some("ReqNodeNotAvail, UnavailableNodes:gpu-23"));
        assert_eq!(fields.known("Dependency"), None);
    }

    #[test]
    fn values_known_from_elsewhere_settle_what_order_cannot() {
        let record = "JobId=5 JobName=j UserId=a(1) Command=/x WorkDir=/evil Comment=foo WorkDir=/true StdErr=/e StdOut=/o";
        let guess = split(record);
        assert!(guess.doubtful);
        let sure = Fields::split(
            record,
            JOB_KEYS,
            &[("Command", "/x WorkDir=/evil Comment=foo"), ("WorkDir", "/true")],
        );
        assert!(!sure.doubtful);
        assert_eq!(sure.get("WorkDir"), Some("/true"));
        assert_eq!(sure.get("Comment"), None);
    }

    #[test]
    fn unknown_keys_do_not_spoil_plain_values() {
        assert_eq!(split("JobId=5 Restarts=2 NewKey=7 BatchFlag=1").get("Restarts"), Some("2"));
    }

    #[test]
    fn a_huge_value_takes_no_huge_time() {
        let record = fixture::job("n", &format!("/x {}", "Nice=1 JobState=FAILED ".repeat(100_000)), "");
        let fields = split(&record);
        assert_eq!((fields.get("JobState"), fields.get("StdOut")), (Some("RUNNING"), Some("/d/slurm-1.out")));
    }

    #[test]
    fn records_may_hold_line_breaks() {
        let text = "JobId=1 JobName=a\nb UserId=x(1)\nJobId=2 JobName=c\n\n";
        assert_eq!(records(text, "JobId"), ["JobId=1 JobName=a\nb UserId=x(1)", "JobId=2 JobName=c"]);
        assert!(records("No jobs in the system\n", "JobId").is_empty());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,300}", name in "\\PC{0,20}") {
            let _ = Fields::split(&text, JOB_KEYS, &[("JobName", &name)]);
            let _ = records(&text, "JobId");
        }

        #[test]
        fn no_text_made_of_keys_panics(parts in prop::collection::vec((0..JOB_KEYS.len(), "[ =a-z]{0,6}"), 0..60)) {
            let text: String = parts.iter().map(|(key, value)| format!("{}={value} ", JOB_KEYS[*key])).collect();
            let _ = split(&text);
        }

        /// Whatever a person puts into name, comment and arguments: state, times and nodes are read right, and with
        /// the four free texts known from `squeue` everything is.
        #[test]
        fn free_text_cannot_forge_a_state(
            name in "[a-zA-Z0-9=_ ]{1,20}|x JobState=[A-Z]{3,9}|y UserId=root\\(0\\) JobState=FAILED",
            comment in "[a-zA-Z0-9=_ ]{0,20}|z JobState=COMPLETED NodeList=evil",
            args in "[a-zA-Z0-9=_ ]{0,20}|WorkDir=/evil Comment=c|Restarts=9",
        ) {
            let (name, comment) = (name.trim(), comment.trim());
            let command = format!("/d/train.sbatch {}", args.trim());
            let command = command.trim();
            let record = fixture::job(name, command, comment);
            let fields = split(&record);
            prop_assert_eq!(fields.get("JobState"), Some("RUNNING"));
            prop_assert_eq!(fields.get("NodeList"), Some("gpu-[20-21]"));
            prop_assert_eq!(fields.get("Restarts"), Some("0"));
            let sure = [("JobName", name), ("Command", command), ("Comment", comment), ("WorkDir", "/d")];
            let fields = Fields::split(&record, JOB_KEYS, &sure);
            prop_assert_eq!(fields.get("JobName"), Some(name));
            prop_assert_eq!(fields.get("Command"), Some(command));
            prop_assert_eq!(fields.get("WorkDir"), Some("/d"));
        }
    }
}
