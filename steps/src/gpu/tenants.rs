//! `gpu.tenants`: who else has memory on a job's GPUs.

use async_trait::async_trait;
use engine::step::{Done, Outcomes, Performed, ReadStep, StepCx, StepError, StepErrorKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bus::Device;
use super::health::device;
use super::owners::Owner;
use super::params::{Word, limit};
use super::survey::{App, Card, Survey, on, survey};
use crate::duration::Timespan;
use crate::size::show;
use crate::slurm::JobId;
use crate::text::{clean, clean_to, count};

/// `gpu.tenants`: see [`Params`].
pub(crate) struct Tenants;

/// Lists the processes on a node's GPUs and tells the job's own from those of others and from memory that
/// nobody seems to hold. Works for a job that has ended, too: then everything that is left is somebody
/// else's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// Node to ask, by ssh.
    node: String,
    /// Slurm id of the job whose processes are its own: the plain number (a task of an array has one of its
    /// own, `scontrol show job` tells it as JobId).
    job: Option<JobId>,
    /// Processes that are known to be the job's, beside those that Slurm tells.
    #[serde(default)]
    own_pids: Option<Vec<u32>>,
    /// Only processes on this GPU count: bus id or uuid. Without it those on the GPUs that Slurm gave the job
    /// count, or all if that is not known. An index from an out-of-memory text identifies nothing.
    #[serde(default)]
    device: Option<Word>,
    /// Time limit of each command on the node, `20s` if not given.
    #[serde(default)]
    timeout: Option<Timespan>,
}

/// Whether the job has its GPUs to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Clean,
    Shared,
    Unknown,
}

/// One process on one GPU.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Tenant {
    /// Process id on the node; null where the driver hides it.
    pid: Option<u32>,
    /// GPU memory, bytes.
    bytes: Option<u64>,
    /// The GPU.
    gpu_uuid: Option<String>,
    /// Its PCI address, `0000:3b:00.0`.
    bus_id: Option<String>,
    /// Name of the program.
    name: Option<String>,
    /// `own`, `foreign`, `leaked`, `orphan` or `unknown`.
    owner: Owner,
    /// Slurm job in whose cgroup it is, or that started it.
    job: Option<u32>,
    /// Kind of container in which it is (`docker`), as far as its cgroup tells; not looked up for the job's own.
    container: Option<String>,
    /// Login name of its user.
    user: Option<String>,
    /// Whether it is on a GPU in question.
    counts: bool,
}

/// Who has memory on a node's GPUs.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// The node.
    node: String,
    /// `clean`, `shared` or `unknown`.
    verdict: Verdict,
    /// All processes on the node's GPUs.
    processes: Vec<Tenant>,
    /// Those on the GPUs in question that are foreign, left behind or orphans.
    foreign: Vec<Tenant>,
    /// What they have together, bytes; null if one of them hides it.
    foreign_bytes: Option<u64>,
    /// What could not be found out, a line each.
    unknowns: Vec<String>,
}

#[async_trait]
impl ReadStep for Tenants {
    const KIND: &'static str = "gpu.tenants";
    const SUMMARY: &'static str = "List who has memory on a node's GPUs beside the job";
    type Params = Params;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[
            ("clean", "the GPUs in question hold processes of the job only, or none"),
            ("shared", "a process that is not the job's, or that does not exist any more, has memory there"),
            (
                "unknown",
                "it cannot be told: the list or an owner is hidden, or memory is in use that no process has",
            ),
        ])
    }

    async fn read(&self, cx: &StepCx, params: Params) -> Result<Performed<Output>, StepError> {
        let timeout = limit(params.timeout)?;
        let device = device(params.device.as_ref())?;
        let job = params.job.as_ref().map(number).transpose()?;
        cx.say(format!("asking who uses the GPUs of {}", params.node));
        let found = survey(&*cx.site, &params.node, job, params.own_pids, timeout).await?;
        Ok(conclude(params.node, found, device.as_ref()).into())
    }
}

fn number(job: &JobId) -> Result<u32, StepError> {
    job.as_str().parse().map_err(|_| {
        let what = format!("`{job}` is not the plain number of a job");
        StepError::new(StepErrorKind::Params, what)
            .help("A task of an array or a part of a heterogeneous job has a number of its own: see JobId in `scontrol show job`.")
    })
}

/// The GPUs on which a process counts; `None`: all.
fn scope(found: &Survey, device: Option<&Device>, notes: &mut Vec<String>) -> Option<Vec<Card>> {
    let card = |wanted: &dyn Fn(&Card) -> bool| {
        found.cards.iter().filter(|card| wanted(card)).cloned().collect::<Vec<_>>()
    };
    match device {
        Some(Device::Index(index)) => {
            notes.push(format!(
                "device {index} is an index as one process saw it: which GPU it was is not known"
            ));
        }
        Some(device) => {
            let cards = card(&|card| device.is(card.bus, card.uuid.as_deref()) == Some(true));
            if !cards.is_empty() {
                return Some(cards);
            }
            notes.push("the GPU in question is not among those that answer; all count".to_owned());
            return None;
        }
        None => {}
    }
    let granted = found.granted.as_ref()?;
    let cards = card(&|card| card.index.is_some_and(|index| granted.contains(&index)));
    let own = |app: &&App| app.pid.is_some_and(|pid| found.known.owner(pid) == Owner::Own);
    // Slurm's index is the driver's only by convention; a process of the job elsewhere disproves it.
    if cards.len() != granted.len()
        || found.apps.iter().filter(own).any(|app| !cards.iter().any(|card| on(app, card)))
    {
        notes.push("Slurm's numbers of the job's GPUs do not fit nvidia-smi's; all GPUs count".to_owned());
        return None;
    }
    Some(cards)
}

fn conclude(node: String, found: Survey, device: Option<&Device>) -> Done<Output> {
    let mut notes = found.notes.clone();
    let scope = scope(&found, device, &mut notes);
    let processes: Vec<Tenant> = found
        .apps
        .iter()
        .map(|app| {
            let alive = app.pid.and_then(|pid| found.known.alive.get(&pid));
            Tenant {
                pid: app.pid,
                bytes: app.bytes,
                gpu_uuid: app.uuid.clone(),
                bus_id: app.bus.map(|bus| bus.to_string()),
                name: app.name.clone().or_else(|| alive.map(|process| process.args.clone())),
                owner: app.pid.map_or(Owner::Unknown, |pid| found.known.owner(pid)),
                job: app.pid.and_then(|pid| found.known.job_of(pid)),
                container: app.pid.and_then(|pid| found.containers.get(&pid).cloned()),
                user: alive.map(|process| process.user.clone()),
                counts: scope.as_ref().is_none_or(|cards| {
                    app.bus.is_none() && app.uuid.is_none() || cards.iter().any(|card| on(app, card))
                }),
            }
        })
        .collect();
    let counting = || processes.iter().filter(|tenant| tenant.counts);
    let foreign: Vec<Tenant> = counting()
        .filter(|t| matches!(t.owner, Owner::Foreign | Owner::Leaked | Owner::Orphan))
        .cloned()
        .collect();
    let foreign_bytes =
        foreign.iter().map(|tenant| tenant.bytes).try_fold(0, |sum: u64, bytes| sum.checked_add(bytes?));
    let mut gaps = found.gaps.clone();
    let hidden = counting().filter(|tenant| tenant.owner == Owner::Unknown).count();
    if hidden > 0 {
        gaps.push(format!("{} of unknown owner", count(hidden, "process")));
    }
    gaps.extend(unaccounted(&found, scope.as_deref().unwrap_or(&found.cards)));
    let (verdict, outcome) = match (foreign.is_empty(), gaps.is_empty()) {
        (false, _) => (Verdict::Shared, "shared"),
        (true, false) => (Verdict::Unknown, "unknown"),
        (true, true) => (Verdict::Clean, "clean"),
    };
    let foreign_bytes =
        if found.gaps.is_empty() { foreign_bytes } else { foreign_bytes.filter(|_| !foreign.is_empty()) };
    let named = clean(&node);
    let mut summary = vec![match verdict {
        Verdict::Clean if counting().count() == 0 => format!("{named}: no process on the GPUs"),
        Verdict::Clean => {
            format!("{named}: {} on the GPUs, all of the job", count(counting().count(), "process"))
        }
        Verdict::Shared => {
            let has = foreign_bytes.map_or("an unknown amount of memory".to_owned(), show);
            format!("{named}: {} not of the job, with {has}", count(foreign.len(), "process"))
        }
        Verdict::Unknown => format!("{named}: unknown: {}", gaps.join("; ")),
    }];
    summary.extend(foreign.iter().take(3).map(line));
    gaps.extend(notes);
    let output = Output { node, verdict, processes, foreign, foreign_bytes, unknowns: gaps };
    Done { outcome: outcome.to_owned(), output, summary }
}

/// GPUs with more memory in use than their processes have.
fn unaccounted(found: &Survey, cards: &[Card]) -> Vec<String> {
    let line = |card: &Card| {
        let over = card.unaccounted(&found.apps)?;
        let bus = card.bus.map_or("a GPU".to_owned(), |bus| bus.to_string());
        Some(format!("{} are in use on {bus} that no listed process has", show(over)))
    };
    cards.iter().filter_map(line).collect()
}

/// `pid 80613, 90.7 GiB on 0000:3b:00.0: python (job 77, user eve)`.
fn line(tenant: &Tenant) -> String {
    let pid = tenant.pid.map_or("?".to_owned(), |pid| pid.to_string());
    let bytes = tenant.bytes.map_or("memory unknown".to_owned(), show);
    let whose = match (tenant.owner, tenant.job, &tenant.user) {
        (Owner::Orphan, ..) => "no such process on the node".to_owned(),
        (Owner::Leaked, Some(job), Some(user)) => {
            format!("left behind by job {job}, which has ended; user {user}")
        }
        (_, Some(job), Some(user)) => format!("job {job}, user {user}"),
        (_, _, Some(user)) => format!("no job, user {user}"),
        _ => "owner unknown".to_owned(),
    };
    let on = tenant.bus_id.as_deref().unwrap_or("a GPU");
    let name = clean_to(tenant.name.as_deref().unwrap_or("name unknown"), 60);
    let inside = tenant.container.as_deref().map_or(String::new(), |kind| format!(", in a {kind} container"));
    format!("pid {pid}, {bytes} on {on}: {name} ({whose}{inside})")
}

#[cfg(test)]
#[path = "tenants_tests.rs"]
mod tests;
