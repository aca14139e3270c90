//! Which rank an event belongs to, and on which node that rank ran.

use super::event::Event;
use super::launcher::{Launchers, WorkerEnd};
use super::logtime::LogTime;
use super::prefix::short_host;

/// What is known of the job.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    /// Its hosts, in task order.
    pub(crate) nodes: Vec<String>,
    /// Slurm tasks on each.
    pub(crate) tasks_per_node: Option<u32>,
}

/// Who failed, as far as the logs tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) rank: Option<u32>,
    pub(crate) local_rank: Option<u32>,
    pub(crate) node: Option<String>,
    pub(crate) pid: Option<u32>,
}

/// Places an event. Where two readings are possible, the field stays unknown.
pub(crate) fn place(event: &Event, launchers: &Launchers, layout: &Layout) -> Placed {
    let who = &event.who;
    // Under torchrun a Slurm task is a node's agent, not a rank.
    let elastic = who.local_rank.is_some() || !launchers.workers.is_empty();
    let worker = worker(event, launchers);
    let failed = only(launchers.tasks.iter().filter(|end| end.exit == Some(1)));
    let mut rank = who.rank.or_else(|| worker.and_then(|worker| worker.rank));
    let mut task = who.task;
    if !elastic {
        rank = rank.or(task).or_else(|| failed.and_then(|end| only(end.tasks.iter())).copied());
        // With one task on each node, `[rank7]` may still be torchrun's: its ranks are no tasks.
        if task.is_none() && layout.tasks_per_node.is_some_and(|tasks| tasks > 1) {
            task = rank;
        }
    }
    let by_end = || {
        let task = task.or(if elastic { None } else { rank })?;
        only(launchers.tasks.iter().filter(|end| end.tasks.contains(&task))).map(|end| end.host.clone())
    };
    let by_layout = || match (layout.nodes.as_slice(), layout.tasks_per_node, task) {
        ([only], _, _) => Some(only.clone()),
        (nodes, Some(tasks), Some(task)) => nodes.get(task.checked_div(tasks)? as usize).cloned(),
        _ => None,
    };
    let node = who
        .host
        .clone()
        .or_else(|| worker.and_then(|worker| worker.host.clone()))
        .or_else(by_end)
        .or_else(by_layout)
        .or_else(|| failed.filter(|_| who.rank.is_none() && task.is_none()).map(|end| end.host.clone()));
    let by_task = || {
        let tasks = layout.tasks_per_node.filter(|tasks| *tasks > 1)?;
        if elastic { None } else { task?.checked_rem(tasks) }
    };
    Placed {
        rank,
        local_rank: who.local_rank.or_else(|| worker.and_then(|worker| worker.local_rank)).or_else(by_task),
        node: node.map(|node| known_name(node, &layout.nodes)),
        pid: who.pid.or_else(|| worker.and_then(|worker| worker.pid)),
    }
}

/// When torchrun saw the event's worker end: late by at most its monitoring interval.
pub(crate) fn noticed(event: &Event, launchers: &Launchers) -> Option<LogTime> {
    worker(event, launchers)?.time
}

/// torchrun's entry for the worker of this event.
fn worker<'a>(event: &Event, launchers: &'a Launchers) -> Option<&'a WorkerEnd> {
    let who = &event.who;
    let same_host = |worker: &&WorkerEnd| match (&who.host, &worker.host) {
        (Some(a), Some(b)) => short_host(a) == short_host(b),
        _ => true,
    };
    let all = || launchers.workers.iter().filter(same_host);
    if let Some(rank) = who.rank {
        return all().find(|worker| worker.rank == Some(rank));
    }
    if let Some(pid) = who.pid {
        return only(all().filter(|worker| worker.pid == Some(pid)));
    }
    if let Some(local) = who.local_rank {
        return only(all().filter(|worker| worker.local_rank == Some(local) && worker.exit == Some(1)));
    }
    // An exception ends a rank with 1; the others are sent signals. Each node's agent names a root cause of its own.
    only(all().filter(|worker| worker.root && worker.exit == Some(1)))
}

fn only<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

/// The name under which the job knows a host.
fn known_name(host: String, nodes: &[String]) -> String {
    nodes.iter().find(|node| short_host(node) == short_host(&host)).cloned().unwrap_or(host)
}
