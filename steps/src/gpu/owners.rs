//! Whose process is on a GPU: pure.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::process::Process;

/// Whose process it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Owner {
    /// The job's.
    Own,
    /// It exists and is not the job's.
    Foreign,
    /// A Slurm job that has ended started it: it was left behind.
    Leaked,
    /// The driver lists it and the node has no such process: memory that leaked, or a process of another
    /// container.
    Orphan,
    /// It cannot be told.
    Unknown,
}

/// What is known of a node's processes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// The job in question, by Slurm's own number.
    pub(crate) job: Option<u32>,
    /// The job's processes. `None`: not known; empty: it has none here.
    pub(crate) own: Option<BTreeSet<u32>>,
    /// Processes that exist.
    pub(crate) alive: BTreeMap<u32, Process>,
    /// Slurm jobs in whose cgroups processes are.
    pub(crate) jobs: BTreeMap<u32, u32>,
    /// Slurm jobs that started processes, by their environment: a process that left its job's cgroup keeps it.
    pub(crate) started_by: BTreeMap<u32, u32>,
    /// Jobs that Slurm has on this node now; `None`: not known.
    pub(crate) live: Option<BTreeSet<u32>>,
    /// Whether processes of other users can be seen at all (`hidepid` may hide them).
    pub(crate) sees_all: bool,
}

impl Known {
    /// The Slurm job that a process belongs to, or once did.
    pub(crate) fn job_of(&self, pid: u32) -> Option<u32> {
        self.jobs.get(&pid).or_else(|| self.started_by.get(&pid)).copied()
    }

    /// Whose process `pid` is.
    pub(crate) fn owner(&self, pid: u32) -> Owner {
        if self.own.as_ref().is_some_and(|own| own.contains(&pid)) {
            return Owner::Own;
        }
        if let Some(job) = self.job_of(pid) {
            let ended = self.live.as_ref().is_some_and(|live| !live.contains(&job));
            return match (self.job, &self.own) {
                _ if ended => Owner::Leaked,
                (Some(own), _) if own == job => Owner::Own,
                (Some(_), _) | (None, Some(_)) => Owner::Foreign,
                (None, None) => Owner::Unknown,
            };
        }
        if !self.alive.contains_key(&pid) {
            return if self.sees_all { Owner::Orphan } else { Owner::Unknown };
        }
        // In no job's cgroup: not the job's if its processes are known, or if Slurm keeps jobs in cgroups
        // here.
        let tracked = self.job.is_some() && !self.jobs.is_empty();
        if self.own.is_some() || tracked { Owner::Foreign } else { Owner::Unknown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known(job: Option<u32>, own: Option<&[u32]>) -> Known {
        let process = || Process { user: "u".into(), args: "a".into() };
        Known {
            job,
            own: own.map(|pids| pids.iter().copied().collect()),
            alive: [10, 11, 12, 13].map(|pid| (pid, process())).into(),
            jobs: [(11, 123), (12, 77)].into(),
            started_by: BTreeMap::new(),
            live: None,
            sees_all: true,
        }
    }

    fn all(known: &Known) -> String {
        [10, 11, 12, 13, 99].map(|pid| format!("{:?}", known.owner(pid))).join(" ")
    }

    #[test]
    fn tells_own_foreign_and_orphan_apart() {
        // 10: listed by Slurm; 11: in the job's cgroup; 12: another job's; 13: in no cgroup; 99: not there.
        assert_eq!(all(&known(Some(123), Some(&[10]))), "Own Own Foreign Foreign Orphan");
        assert_eq!(all(&known(Some(123), Some(&[]))), "Foreign Own Foreign Foreign Orphan");
        assert_eq!(all(&known(Some(123), None)), "Foreign Own Foreign Foreign Orphan");
        assert_eq!(all(&known(None, Some(&[10]))), "Own Foreign Foreign Foreign Orphan");
        assert_eq!(all(&known(None, None)), "Unknown Unknown Unknown Unknown Orphan");
    }

    #[test]
    fn what_a_job_left_behind_is_told_from_strangers_and_neighbours() {
        let left = Known {
            started_by: [(10, 77), (13, 123)].into(),
            live: Some([123, 77].into()),
            ..known(Some(123), Some(&[]))
        };
        // 13 left the cgroup of the job and is its own all the same.
        assert_eq!(all(&left), "Foreign Own Foreign Own Orphan", "both jobs go on");
        let ended = Known { live: Some([123].into()), ..left.clone() };
        assert_eq!(all(&ended), "Leaked Own Leaked Own Orphan");
        let all_ended = Known { live: Some(BTreeSet::new()), ..left.clone() };
        assert_eq!(all(&all_ended), "Leaked Leaked Leaked Leaked Orphan", "its own leftovers, too");
        let not_known = Known { live: None, ..left };
        assert_eq!(all(&not_known), "Foreign Own Foreign Own Orphan");
    }

    #[test]
    fn a_node_that_hides_processes_has_no_orphans() {
        let known = Known { sees_all: false, ..known(Some(123), Some(&[10])) };
        assert_eq!(known.owner(99), Owner::Unknown);
    }

    #[test]
    fn without_cgroups_and_without_pids_nothing_is_called_foreign() {
        let known = Known { jobs: BTreeMap::new(), ..known(Some(123), None) };
        assert_eq!(known.owner(10), Owner::Unknown);
    }

    proptest! {
        #[test]
        fn a_process_of_the_job_is_never_called_foreign(pid in 1u32..50, own in proptest::collection::btree_set(1u32..50, 0..9), sees_all: bool) {
            let known = Known { own: Some(own.clone()), sees_all, ..known(Some(123), None) };
            prop_assert!(!own.contains(&pid) || known.owner(pid) == Owner::Own);
        }
    }
}
