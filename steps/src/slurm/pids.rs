//! The processes of a job on one of its nodes, by `scontrol listpids`.

use engine::site::Command;

/// One process of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JobProcess {
    /// On the node.
    pub(crate) pid: u32,
    /// Whether it belongs to a numbered step (`srun`): neither to the batch script nor to what was adopted.
    pub(crate) of_step: bool,
}

/// Asks the node's own `slurmstepd` for the processes of a job (its own number, not that of its array).
pub(crate) fn list_pids(job: u64, node: &str) -> Command {
    let mut command = Command::argv(["scontrol", "listpids", &job.to_string()]).on(node);
    // The only variable that would send the question elsewhere.
    command.env_remove = vec!["SLURM_CLUSTERS".to_owned()];
    command
}

/// Reads the answer: `PID JOBID STEPID LOCALID GLOBALID`, a process a line.
pub(crate) fn read_pids(text: &str) -> Vec<JobProcess> {
    let process = |line: &str| {
        let mut words = line.split_whitespace();
        let (pid, step) = (words.next()?.parse().ok()?, words.nth(1));
        let of_step = step.is_some_and(|step| step.parse::<u32>().is_ok());
        // -1 stands for a process that is gone.
        (pid > 1).then_some(JobProcess { pid, of_step })
    };
    text.lines().filter_map(process).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn processes_of_steps_are_told_from_the_script() {
        // As Slurm 22.05.8 prints it.
        let text = "PID      JOBID    STEPID   LOCALID GLOBALID\n-1       7        extern   0       0\n\
                    396      7        batch    0       0       \n412      7        0        0       0       \n\
                    413      7        0        -       -       \n";
        let read: Vec<(u32, bool)> = read_pids(text).iter().map(|found| (found.pid, found.of_step)).collect();
        assert_eq!(read, [(396, false), (412, true), (413, true)]);
    }

    proptest! {
        #[test]
        fn no_answer_panics(text in "\\PC{0,100}") {
            let _ = read_pids(&text);
        }
    }
}
