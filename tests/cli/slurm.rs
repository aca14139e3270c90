//! Stand-ins for Slurm's programs that know one job and can be made slow.

use super::bench::Bench;

/// `scontrol -o show job` in the form of Slurm 22.05.
const JOB: &str = "JobId=1 JobName=llama UserId=root(0) GroupId=root(0) MCS_label=N/A Priority=1 Nice=0 Account=root \
QOS=normal JobState=@STATE@ Reason=None Dependency=(null) Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=0:0 \
RunTime=00:00:03 TimeLimit=UNLIMITED TimeMin=N/A SubmitTime=1795485875 EligibleTime=1795485875 \
AccrueTime=1795485875 StartTime=1795485875 EndTime=Unknown Deadline=N/A SuspendTime=None SecsPreSuspend=0 \
LastSchedEval=1795485875 Scheduler=Main Partition=train AllocNode:Sid=localhost:16942 ReqNodeList=(null) \
ExcNodeList=(null) NodeList=gpu-20 BatchHost=gpu-20 NumNodes=1 NumCPUs=4 NumTasks=4 CPUs/Task=1 \
ReqB:S:C:T=0:0:*:* TRES=cpu=4,node=1,billing=4,gres/gpu=8 Socks/Node=* NtasksPerN:B:S:C=2:0:*:* CoreSpec=* \
MinCPUsNode=2 MinMemoryNode=0 MinTmpDiskNode=0 Features=(null) DelayBoot=00:00:00 OverSubscribe=OK Contiguous=0 \
Licenses=(null) Network=(null) Command=/d/train.sbatch WorkDir=/d StdErr=/d/slurm-1.out StdIn=/dev/null \
StdOut=/d/slurm-1.out Power= TresPerNode=gres:gpu:4 \n";

const SCONTROL: &str = r#"#!/bin/sh
case "$*" in
    *'show config'*) echo 'ClusterName = lab' ;;
    *'show hostnames'*) echo gpu-20 ;;
    *'show job'*)
        if [ -e "$HOME/slow-read" ]; then : > "$HOME/reading"; exec sleep 60; fi
        sed "s/@STATE@/$(cat "$HOME/job-state")/" "$HOME/job" ;;
esac
"#;

const SQUEUE: &str = r#"#!/bin/sh
case "$*" in *'-j 1'*) printf '%s\037gpu-20\n' "$(cat "$HOME/job-state")" ;; esac
"#;

const SCANCEL: &str = r#"#!/bin/sh
echo "$*" >> "$HOME/scancelled"
[ -e "$HOME/scancel-is-lost" ] || echo CANCELLED > "$HOME/job-state"
: > "$HOME/cancelling"
[ -e "$HOME/slow-change" ] && sleep 3
exit 0
"#;

/// A bench with a running job 1.
pub(crate) fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("job", JOB);
    bench.write("job-state", "RUNNING\n");
    for (name, text) in
        [("scontrol", SCONTROL), ("squeue", SQUEUE), ("scancel", SCANCEL), ("sacct", "#!/bin/sh\nexit 1\n")]
    {
        bench.program(name, text);
    }
    bench.runbook("stop");
    bench
}

/// How often `scancel` was run.
pub(crate) fn scancels(bench: &Bench) -> usize {
    bench.read("scancelled").lines().count()
}
