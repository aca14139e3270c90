//! What ps, `/proc/PID/cgroup` and Slurm tell of the processes of a node.

use std::collections::{BTreeMap, BTreeSet};

use crate::slurm::hostlist_contains;
use crate::text::{Pattern, clean_to, pattern};

/// A process that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    /// Login name of its user (or the number, where there is no name).
    pub(crate) user: String,
    /// Command line, bounded.
    pub(crate) args: String,
}

/// Reads `ps -o pid=,user:32=,args=`.
pub(crate) fn processes(text: &str) -> BTreeMap<u32, Process> {
    let line = |line: &str| {
        let (pid, rest) = line.trim().split_once(char::is_whitespace)?;
        let rest = rest.trim_start();
        let (user, args) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        Some((pid.parse().ok()?, Process { user: clean_to(user, 32), args: clean_to(args, 120) }))
    };
    text.lines().filter_map(line).collect()
}

static CGROUP: Pattern = Pattern::new(|| pattern(r"^/proc/(\d+)/cgroup:.*/job_(\d+)(?:/|$)"));
static STARTED: Pattern = Pattern::new(|| pattern(r"^/proc/(\d+)/environ:SLURM_JOB_ID=(\d+)$"));
static CONTAINER: Pattern = Pattern::new(|| {
    pattern(r"^/proc/(\d+)/cgroup:.*(docker|libpod|containerd|crio|kubepods|lxc|garden)[^/]*(?:/|-|:)?(.*)$")
});
static DETAIL: Pattern = Pattern::new(|| pattern(r"\bNodes=(\S+) CPU_IDs=\S+ Mem=\S+ GRES=(\S*)"));
static INDEXES: Pattern = Pattern::new(|| pattern(r"\bgpu[^,()]*\(IDX:([0-9,-]+)\)"));

/// Reads `grep -sH job_ /proc/PID/cgroup …`: the Slurm job in whose cgroup a process is. Slurm's paths end in
/// `/job_123/step_0` with cgroup v1 (`/slurm/uid_0/job_123`) and v2
/// (`/system.slice/slurmstepd.scope/job_123`).
pub(crate) fn jobs(text: &str) -> BTreeMap<u32, u32> {
    let line = |line: &str| {
        let found = CGROUP.captures(line)?;
        Some((found[1].parse().ok()?, found[2].parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// Reads `grep -z -a -s -H ^SLURM_JOB_ID= /proc/PID/environ …`: the Slurm job that started a process. Only the process's user
/// and root may read it.
pub(crate) fn started_by(text: &str) -> BTreeMap<u32, u32> {
    let line = |line: &str| {
        let found = STARTED.captures(line)?;
        Some((found[1].parse().ok()?, found[2].parse().ok()?))
    };
    text.split('\0').filter_map(line).collect()
}

/// Reads `grep -s -H -E docker|… /proc/PID/cgroup …`: in which kind of container a process is.
pub(crate) fn containers(text: &str) -> BTreeMap<u32, String> {
    let line = |line: &str| {
        let found = CONTAINER.captures(line)?;
        Some((found[1].parse().ok()?, found[2].to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// Reads `scontrol -d -o show job JOB`: the indexes of the GPUs that the job was given on `node`, from
/// `Nodes=gpu-20 CPU_IDs=0-15 Mem=0 GRES=gpu:h100:2(IDX:2-3)`.
pub(crate) fn granted(text: &str, node: &str) -> Option<BTreeSet<u32>> {
    let groups: Vec<(String, BTreeSet<u32>)> = DETAIL
        .captures_iter(text)
        .map(|found| {
            (found[1].to_owned(), INDEXES.captures_iter(&found[2]).flat_map(|idx| ranges(&idx[1])).collect())
        })
        .collect();
    let (_, gpus) = groups.iter().find(|(nodes, _)| hostlist_contains(nodes, node) == Some(true))?;
    (!gpus.is_empty()).then(|| gpus.clone())
}

/// `0,2-3` as numbers; at most 256 of them.
fn ranges(text: &str) -> Vec<u32> {
    let mut all = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(from), Ok(to)) = (from.parse::<u32>(), to.parse::<u32>()) {
            all.extend((from..=to).take(256));
        }
    }
    all.truncate(256);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_ps() {
        let all = processes(
            "      1 root       /sbin/init\n  80613 user\\x41   python -u \x1b[31mtrain.py\nrubbish\n  7 a\n",
        );
        assert_eq!(all.len(), 3);
        assert_eq!(all[&80613].args, "python -u train.py");
        assert_eq!(all[&7].args, "");
    }

    #[test]
    fn reads_the_cgroups_of_both_versions() {
        let text = "/proc/11/cgroup:4:freezer:/slurm_gpu-20/uid_1000/job_123/step_0\n\
                    /proc/12/cgroup:0::/system.slice/slurmstepd.scope/job_77/step_batch/user/task_0\n\
                    /proc/13/cgroup:0::/user.slice/job_x\n";
        assert_eq!(jobs(text), BTreeMap::from([(11, 123), (12, 77)]));
    }

    #[test]
    fn reads_who_started_a_process_and_its_container() {
        let text = "/proc/12/environ:SLURM_JOB_ID=77\0/proc/13/environ:SLURM_JOB_ID=x\0";
        assert_eq!(started_by(text), BTreeMap::from([(12, 77)]));
        let text = "/proc/12/cgroup:0::/system.slice/docker-0123abcd.scope\n\
                    /proc/13/cgroup:0::/kubepods.slice/kubepods-pod7.slice/cri-containerd-9.scope\n\
                    /proc/14/cgroup:0::/user.slice\n";
        let found = containers(text);
        assert_eq!((found[&12].as_str(), found.len()), ("docker", 2));
    }

    #[test]
    fn reads_the_gpus_that_a_job_was_given() {
        let two = "JobId=1 JobName=Nodes=x Nodes=gpu-20 CPU_IDs=0-15 Mem=0 GRES=gpu:h100:2(IDX:2-3) Nodes=gpu-21 CPU_IDs=0-15 Mem=0 GRES=gpu:h100:3(IDX:0,4-5)";
        assert_eq!(granted(two, "gpu-21.cluster"), Some(BTreeSet::from([0, 4, 5])));
        assert_eq!(granted(two, "gpu-22"), None);
        let group = "Nodes=gpu-[20-21] CPU_IDs=0-15 Mem=0 GRES=gpu:8(IDX:0-7)";
        assert_eq!(granted(group, "gpu-21").map(|g| g.len()), Some(8));
        let groups = "Nodes=gpu-[18-20] CPU_IDs=0-15 Mem=0 GRES=gpu:8(IDX:0-7) Nodes=gpu-[21,23] CPU_IDs=0 Mem=0 GRES=gpu:2(IDX:6-7)";
        assert_eq!(granted(groups, "gpu-23"), Some(BTreeSet::from([6, 7])));
        assert_eq!(granted(groups, "gpu-22"), None);
        assert_eq!(granted("Nodes=gpu-21 CPU_IDs=0 Mem=0 GRES=", "gpu-21"), None);
        assert_eq!(granted("Nodes=gpu-21 CPU_IDs=0 Mem=0 GRES=gpu:1(IDX:N/A)", "gpu-21"), None);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), from: u32, to: u32) {
            let text = String::from_utf8_lossy(&bytes);
            let _ = (processes(&text), jobs(&text), granted(&text, "n"), started_by(&text), containers(&text));
            let _ = granted(&format!("Nodes=n CPU_IDs=0 Mem=0 GRES=gpu:1(IDX:{from}-{to})"), "n");
        }
    }
}
