//! Real answers of Slurm, for tests. Paths and names are those of a scratch cluster.

pub(crate) mod versions;

/// What `scontrol` says of `--json` before 23.02.
pub(crate) const NO_JSON: &str =
    "scontrol: unrecognized option '--json'\nTry \"scontrol --help\" for more information\n";

/// `scontrol -o show job`, Slurm 22.05.8, two nodes, with hostile name and comment.
pub(crate) const RUNNING_22_05: &str = "JobId=1 JobName=my job=1 Reason=x UserId=root(0) GroupId=root(0) MCS_label=N/A Priority=4294901759 Nice=0 Account=root QOS=normal JobState=RUNNING Reason=None Dependency=(null) Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=0:0 RunTime=00:00:03 TimeLimit=UNLIMITED TimeMin=N/A SubmitTime=1795485875 EligibleTime=1795485875 AccrueTime=1795485875 StartTime=1795485875 EndTime=Unknown Deadline=N/A SuspendTime=None SecsPreSuspend=0 LastSchedEval=1795485875 Scheduler=Main Partition=train AllocNode:Sid=localhost:16942 ReqNodeList=(null) ExcNodeList=(null) NodeList=gpu-[20-21] BatchHost=gpu-20 NumNodes=2 NumCPUs=4 NumTasks=4 CPUs/Task=1 ReqB:S:C:T=0:0:*:* TRES=cpu=4,node=2,billing=4,gres/gpu=8 Socks/Node=* NtasksPerN:B:S:C=2:0:*:* CoreSpec=* MinCPUsNode=2 MinMemoryNode=0 MinTmpDiskNode=0 Features=(null) DelayBoot=00:00:00 OverSubscribe=OK Contiguous=0 Licenses=(null) Network=(null) Command=/root/slurmtry/my dir/train.sbatch --lr 3 a b WorkDir=/root/slurmtry/my dir Comment=hello JobState=FAILED a=b  StdErr=/root/slurmtry/my dir/slurm-1.out StdIn=/dev/null StdOut=/root/slurmtry/my dir/slurm-1.out Power= TresPerNode=gres:gpu:4 \n";

/// `scontrol -o show job` of two finished tasks of an array, Slurm 22.05.8 (the last task keeps the array's own number).
pub(crate) const ARRAY_22_05: &str = "\
JobId=2 ArrayJobId=2 ArrayTaskId=3 ArrayTaskThrottle=1 JobName=llama3-8b UserId=root(0) GroupId=root(0) MCS_label=N/A Priority=4294901758 Nice=0 Account=root QOS=normal JobState=FAILED Reason=JobLaunchFailure Dependency=(null) Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=0:53 RunTime=00:00:00 TimeLimit=UNLIMITED TimeMin=N/A SubmitTime=1795485875 EligibleTime=1795486006 AccrueTime=1795486005 StartTime=1795486006 EndTime=1795486006 Deadline=N/A SuspendTime=None SecsPreSuspend=0 LastSchedEval=1795486006 Scheduler=Main Partition=train AllocNode:Sid=localhost:16942 ReqNodeList=(null) ExcNodeList=(null) NodeList=gpu-20 BatchHost=gpu-20 NumNodes=1 NumCPUs=1 NumTasks=1 CPUs/Task=1 ReqB:S:C:T=0:0:*:* TRES=cpu=1,node=1,billing=1,gres/gpu=4 Socks/Node=* NtasksPerN:B:S:C=0:0:*:* CoreSpec=* MinCPUsNode=1 MinMemoryNode=0 MinTmpDiskNode=0 Features=(null) DelayBoot=00:00:00 OverSubscribe=OK Contiguous=0 Licenses=(null) Network=(null) Command=/root/slurmtry/my dir/train.sbatch WorkDir=/root/slurmtry/my dir StdErr=/root/slurmtry/my dir/logs/llama3-8b-2_3.out StdIn=/dev/null StdOut=/root/slurmtry/my dir/logs/llama3-8b-2_3.out Power= TresPerNode=gres:gpu:4 
JobId=4 ArrayJobId=2 ArrayTaskId=2 ArrayTaskThrottle=1 JobName=llama3-8b UserId=root(0) GroupId=root(0) MCS_label=N/A Priority=4294901758 Nice=0 Account=root QOS=normal JobState=FAILED Reason=JobLaunchFailure Dependency=(null) Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=0:53 RunTime=00:00:00 TimeLimit=UNLIMITED TimeMin=N/A SubmitTime=1795485875 EligibleTime=1795486005 AccrueTime=1795486005 StartTime=1795486005 EndTime=1795486005 Deadline=N/A SuspendTime=None SecsPreSuspend=0 LastSchedEval=1795486005 Scheduler=Main Partition=train AllocNode:Sid=localhost:16942 ReqNodeList=(null) ExcNodeList=(null) NodeList=gpu-20 BatchHost=gpu-20 NumNodes=1 NumCPUs=1 NumTasks=1 CPUs/Task=1 ReqB:S:C:T=0:0:*:* TRES=cpu=1,node=1,billing=1,gres/gpu=4 Socks/Node=* NtasksPerN:B:S:C=0:0:*:* CoreSpec=* MinCPUsNode=1 MinMemoryNode=0 MinTmpDiskNode=0 Features=(null) DelayBoot=00:00:00 OverSubscribe=OK Contiguous=0 Licenses=(null) Network=(null) Command=/root/slurmtry/my dir/train.sbatch WorkDir=/root/slurmtry/my dir StdErr=/root/slurmtry/my dir/logs/llama3-8b-2_2.out StdIn=/dev/null StdOut=/root/slurmtry/my dir/logs/llama3-8b-2_2.out Power= TresPerNode=gres:gpu:4 

";

/// A job record in the form of 25.11 (`ReqTRES`/`AllocTRES`, `SubmitLine`, `LicensesAlloc`), composed from the field
/// list of SchedMD/slurm src/api/job_info.c.
pub(crate) const FAILED_25_11: &str = "JobId=123456 JobName=llama3-8b UserId=kim(1000) GroupId=ml(1000) MCS_label=N/A Priority=1 Nice=0 Account=ml QOS=normal JobState=FAILED Reason=NonZeroExitCode Dependency=(null) Requeue=0 Restarts=1 BatchFlag=1 Reboot=0 ExitCode=1:0 DerivedExitCode=1:0 RunTime=01:00:00 TimeLimit=2-00:00:00 TimeMin=N/A SubmitTime=1795480000 EligibleTime=1795480000 AccrueTime=1795480000 StartTime=1795480100 EndTime=1795483700 Deadline=N/A SuspendTime=None SecsPreSuspend=0 LastSchedEval=1795480100 Scheduler=Backfill Partition=train AllocNode:Sid=login1:4242 ReqNodeList=(null) ExcNodeList=gpu-22 NodeList=gpu-[20-21] BatchHost=gpu-20 StepMgrEnabled=Yes NumNodes=2 NumCPUs=128 NumTasks=16 CPUs/Task=8 ReqB:S:C:T=0:0:*:* ReqTRES=cpu=128,mem=1000G,node=2,billing=128,gres/gpu=16 AllocTRES=cpu=128,mem=1000G,node=2,billing=128,gres/gpu=16,gres/gpu:h100=16 Socks/Node=* NtasksPerN:B:S:C=8:0:*:* CoreSpec=* MinCPUsNode=64 MinMemoryNode=500G MinTmpDiskNode=0 Features=(null) DelayBoot=00:00:00 OverSubscribe=NO Contiguous=0 Licenses=(null) LicensesAlloc=(null) Network=(null) Command=/home/kim/train.sbatch SubmitLine=sbatch -N2 --comment=nightly train.sbatch WorkDir=/home/kim Comment=nightly StdErr= StdIn=/dev/null StdOut=/home/kim/logs/train-123456.out TresPerNode=gres/gpu:h100:8 \n";

/// A running job on two nodes with these free texts, in the form of 22.05.
pub(crate) fn job(name: &str, command: &str, comment: &str) -> String {
    let comment = if comment.is_empty() { String::new() } else { format!("Comment={comment} ") };
    format!(
        "JobId=1 JobName={name} UserId=root(0) GroupId=root(0) MCS_label=N/A Priority=1 Nice=0 Account=root QOS=normal \
         JobState=RUNNING Reason=None Dependency=(null) Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=0:0 \
         RunTime=00:00:03 TimeLimit=UNLIMITED TimeMin=N/A SubmitTime=1795485875 EligibleTime=1795485875 \
         AccrueTime=1795485875 StartTime=1795485875 EndTime=Unknown Deadline=N/A SuspendTime=None SecsPreSuspend=0 \
         LastSchedEval=1795485875 Scheduler=Main Partition=train AllocNode:Sid=localhost:16942 ReqNodeList=(null) \
         ExcNodeList=(null) NodeList=gpu-[20-21] BatchHost=gpu-20 NumNodes=2 NumCPUs=4 NumTasks=4 CPUs/Task=1 \
         ReqB:S:C:T=0:0:*:* TRES=cpu=4,node=2,billing=4,gres/gpu=8 Socks/Node=* NtasksPerN:B:S:C=2:0:*:* CoreSpec=* \
         MinCPUsNode=2 MinMemoryNode=0 MinTmpDiskNode=0 Features=(null) DelayBoot=00:00:00 OverSubscribe=OK \
         Contiguous=0 Licenses=(null) Network=(null) Command={command} WorkDir=/d {comment}StdErr=/d/slurm-1.out \
         StdIn=/dev/null StdOut=/d/slurm-1.out Power= TresPerNode=gres:gpu:4 "
    )
}

/// `scontrol -o show node` of a node that was drained, Slurm 22.05.8.
pub(crate) const DRAINED_NODE: &str = "NodeName=gpu-23 Arch=x86_64 CoresPerSocket=32  CPUAlloc=0 CPUEfctv=64 CPUTot=64 CPULoad=0.31 AvailableFeatures=(null) ActiveFeatures=(null) Gres=gpu:8 NodeAddr=10.77.0.23 NodeHostName=gpu-23 Version=22.05.8 OS=Linux 6.18.44-fc-v669 #1 SMP PREEMPT_DYNAMIC @0  RealMemory=1000000 AllocMem=0 FreeMem=23667 Sockets=2 Boards=1 State=IDLE+DRAIN ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A Partitions=train  BootTime=1795484510 SlurmdStartTime=1795485599 LastBusyTime=1795485599 CfgTRES=cpu=64,mem=1000000M,billing=64,gres/gpu=8 AllocTRES= CapWatts=n/a CurrentWatts=0 AveWatts=0 ExtSensorsJoules=n/s ExtSensorsWatts=0 ExtSensorsTemp=n/s Reason=runbook:run/1 Xid 95 job 123 [root@1795486305]\n";

/// The same node before.
pub(crate) const IDLE_NODE: &str = "NodeName=gpu-23 Arch=x86_64 CoresPerSocket=32  CPUAlloc=0 CPUEfctv=64 CPUTot=64 CPULoad=0.31 AvailableFeatures=(null) ActiveFeatures=(null) Gres=gpu:8 NodeAddr=10.77.0.23 NodeHostName=gpu-23 Version=22.05.8 OS=Linux 6.18.44-fc-v669 #1 SMP PREEMPT_DYNAMIC @0  RealMemory=1000000 AllocMem=0 FreeMem=23667 Sockets=2 Boards=1 State=IDLE ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A Partitions=train  BootTime=1795484510 SlurmdStartTime=1795485599 LastBusyTime=1795485599 CfgTRES=cpu=64,mem=1000000M,billing=64,gres/gpu=8 AllocTRES= CapWatts=n/a CurrentWatts=0 AveWatts=0 ExtSensorsJoules=n/s ExtSensorsWatts=0 ExtSensorsTemp=n/s\n";
