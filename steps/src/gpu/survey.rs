//! Finding out on a node which processes use its GPUs and whose they are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine::site::{Command, Exit, Site, SiteErrorKind};
use engine::step::StepError;

use super::ask::{Answer, Problem, Ran, query, run};
use super::bus::BusId;
use super::owners::{Known, Owner};
use super::process::{containers, granted, jobs, processes, started_by};
use super::smi::{Cell, Refusal};
use crate::slurm::{list_pids, question, read_pids};
use crate::text::clean_to;

/// Processes that are looked up at most.
const MOST: usize = 256;

/// One process on one GPU, as the driver lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct App {
    pub(crate) pid: Option<u32>,
    /// GPU memory, bytes.
    pub(crate) bytes: Option<u64>,
    pub(crate) uuid: Option<String>,
    pub(crate) bus: Option<BusId>,
    pub(crate) name: Option<String>,
}

/// One GPU, as far as tenants matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) index: Option<u32>,
    pub(crate) uuid: Option<String>,
    pub(crate) bus: Option<BusId>,
    /// Memory in use, bytes.
    pub(crate) used: Option<u64>,
    pub(crate) mig: bool,
}

/// Looks at most, while processes and memory do not fit.
const LOOKS: usize = 3;

/// Memory in use beyond what the listed processes have that is no longer the driver's own (2 GiB; the driver
/// keeps about half a GiB for itself).
const UNACCOUNTED: u64 = 2 << 30;

impl Card {
    /// Memory in use that no process has, bytes, if it matters. With a process that hides its memory, or with MIG, nothing
    /// can be said.
    pub(crate) fn unaccounted(&self, apps: &[App]) -> Option<u64> {
        let of = apps.iter().filter(|app| on(app, self));
        let known: u64 = of.map(|app| app.bytes).try_fold(0u64, |sum, bytes| sum.checked_add(bytes?))?;
        self.used?.checked_sub(known).filter(|over| *over > UNACCOUNTED && !self.mig)
    }
}

/// Whether a process is on a GPU. The address is compared first: under MIG the uuid may be that of an instance.
pub(crate) fn on(app: &App, card: &Card) -> bool {
    match (app.bus, card.bus) {
        (Some(app), Some(card)) => app == card,
        _ => app.uuid.is_some() && app.uuid == card.uuid,
    }
}

/// What could be found out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Survey {
    pub(crate) apps: Vec<App>,
    pub(crate) cards: Vec<Card>,
    pub(crate) known: Known,
    /// nvidia-smi's indexes of the GPUs that Slurm gave the job on this node; `None`: not known.
    pub(crate) granted: Option<BTreeSet<u32>>,
    /// Why the list of processes is not complete.
    pub(crate) gaps: Vec<String>,
    /// Kinds of containers in which processes of others are.
    pub(crate) containers: BTreeMap<u32, String>,
    /// What else could not be found out.
    pub(crate) notes: Vec<String>,
}

const APP_FIELDS: &[&str] = &["pid", "used_memory", "gpu_uuid", "gpu_bus_id", "process_name"];
const CARD_FIELDS: &[&str] = &["index", "uuid", "pci.bus_id", "memory.used", "mig.mode.current"];

/// Asks the node. `job` is Slurm's own number of the job.
///
/// # Errors
/// The node could not be reached.
pub(crate) async fn survey(
    site: &dyn Site,
    node: &str,
    job: Option<u32>,
    own_pids: Option<Vec<u32>>,
    timeout: Duration,
) -> Result<Survey, StepError> {
    let mut survey = Survey { known: Known { job, ..Known::default() }, ..Survey::default() };
    survey.apps = apps(site, node, timeout, &mut survey.gaps).await?;
    if !survey.gaps.is_empty() {
        return Ok(survey);
    }
    let odd = |survey: &Survey| survey.cards.iter().any(|card| card.unaccounted(&survey.apps).is_some());
    // A process that starts or ends between the two looks has memory in one of them only.
    for look in 0..LOOKS {
        if look > 0 {
            survey.apps = apps(site, node, timeout, &mut survey.gaps).await?;
            if !odd(&survey) {
                break;
            }
        }
        survey.cards = cards(&query(site, node, "--query-gpu", CARD_FIELDS, timeout).await?);
        if !odd(&survey) {
            break;
        }
    }
    if let Some(job) = job {
        let listed = by_slurm(site, node, job, timeout, &mut survey.notes).await?;
        survey.known.own = merge(own_pids, listed);
        let show = question(["scontrol", "-d", "-o", "show", "job", &job.to_string()]).timeout(timeout);
        // Only used to leave out the GPUs of others; without it all count.
        match site.run(&show).await {
            Ok(output) => survey.granted = granted(&output.text(), node),
            Err(error) if error.kind == SiteErrorKind::NotRecorded => return Err(error.into()),
            Err(_) => {}
        }
    } else {
        survey.known.own = merge(own_pids, None);
    }
    look_up(site, node, &mut survey, timeout).await?;
    look_behind(site, node, &mut survey, timeout).await?;
    let gone = |survey: &Survey, app: &App| app.pid.is_none_or(|pid| !survey.known.alive.contains_key(&pid));
    if survey.known.sees_all && survey.apps.iter().any(|app| gone(&survey, app)) {
        // What ended between the two looks is no orphan.
        let again = apps(site, node, timeout, &mut survey.gaps).await?;
        let still = |app: &App| again.iter().any(|other| other.pid == app.pid && other.uuid == app.uuid);
        let alive = survey.known.alive.clone();
        survey.apps.retain(|app| app.pid.is_some_and(|pid| alive.contains_key(&pid)) || still(app));
        if odd(&survey) {
            // Its memory is gone with it.
            survey.cards = cards(&query(site, node, "--query-gpu", CARD_FIELDS, timeout).await?);
        }
    }
    Ok(survey)
}

async fn apps(
    site: &dyn Site,
    node: &str,
    timeout: Duration,
    gaps: &mut Vec<String>,
) -> Result<Vec<App>, StepError> {
    let answer = query(site, node, "--query-compute-apps", APP_FIELDS, timeout).await?;
    match &answer.problem {
        None => {}
        Some(Problem::Hung) => {
            gaps.push(format!("nvidia-smi did not come back within {} s", timeout.as_secs()))
        }
        Some(Problem::Refused(refusal)) => gaps.push(match refusal {
            Refusal::Missing => "there is no nvidia-smi on the node".to_owned(),
            Refusal::NoSuchQuery => "this driver does not list processes".to_owned(),
            Refusal::Denied(why) => format!("listing processes is not allowed: {why}"),
            Refusal::Lost(why) | Refusal::Failed(why) => why.clone(),
        }),
    }
    let apps = answer.table.rows.iter().map(|row| {
        let cell = |field: &str| answer.cell(row, field);
        App {
            pid: cell("pid").and_then(Cell::number).and_then(|pid| pid.try_into().ok()),
            bytes: cell("used_memory").and_then(Cell::bytes),
            uuid: cell("gpu_uuid").and_then(Cell::text).map(str::to_owned),
            bus: cell("gpu_bus_id").and_then(Cell::text).and_then(BusId::parse),
            name: cell("process_name").and_then(Cell::text).map(str::to_owned),
        }
    });
    Ok(apps.collect())
}

fn cards(answer: &Answer) -> Vec<Card> {
    let card = |row| {
        let cell = |field: &str| answer.cell(row, field);
        Card {
            index: cell("index").and_then(Cell::number).and_then(|index| index.try_into().ok()),
            uuid: cell("uuid").and_then(Cell::text).map(str::to_owned),
            bus: cell("pci.bus_id").and_then(Cell::text).and_then(BusId::parse),
            used: cell("memory.used").and_then(Cell::bytes),
            mig: cell("mig.mode.current").and_then(Cell::flag) == Some(true),
        }
    };
    answer.table.rows.iter().map(card).collect()
}

/// The job's processes on the node by Slurm's word; `None` if Slurm cannot tell.
async fn by_slurm(
    site: &dyn Site,
    node: &str,
    job: u32,
    timeout: Duration,
    notes: &mut Vec<String>,
) -> Result<Option<BTreeSet<u32>>, StepError> {
    let why = match run(site, list_pids(job.into(), node).timeout(timeout)).await? {
        Ran::Ended(output) if output.success() => {
            return Ok(Some(read_pids(&output.text()).iter().map(|process| process.pid).collect()));
        }
        // "Job 123 does not exist on this node.", "No job steps exist on this node.": it has no process here
        // (any more).
        Ran::Ended(output) if output.err_text().contains("exist on this node") => {
            return Ok(Some(BTreeSet::new()));
        }
        Ran::Ended(output) if matches!(output.exit, Exit::Code(126 | 127)) => {
            "there is no scontrol".to_owned()
        }
        Ran::Ended(output) => clean_to(output.err_text().lines().next().unwrap_or("it said nothing"), 120),
        Ran::Hung => "no answer".to_owned(),
        Ran::Denied(why) => why,
    };
    notes.push(format!("scontrol listpids {job} on the node: {why}"));
    Ok(None)
}

fn merge(given: Option<Vec<u32>>, listed: Option<BTreeSet<u32>>) -> Option<BTreeSet<u32>> {
    match (given, listed) {
        (None, None) => None,
        (given, listed) => Some(given.into_iter().flatten().chain(listed.into_iter().flatten()).collect()),
    }
}

/// Looks the listed processes up in ps and in their cgroups.
async fn look_up(
    site: &dyn Site,
    node: &str,
    survey: &mut Survey,
    timeout: Duration,
) -> Result<(), StepError> {
    let pids: BTreeSet<u32> = survey.apps.iter().filter_map(|app| app.pid).collect();
    if pids.is_empty() {
        return Ok(());
    }
    if pids.len() > MOST {
        survey.gaps.push(format!("{} processes: only {MOST} were looked up", pids.len()));
    }
    let pids: Vec<String> = pids.into_iter().take(MOST).map(|pid| pid.to_string()).collect();
    // Process 1 is always there: if it is not seen, others may be hidden, too.
    let wanted = format!("1,{}", pids.join(","));
    let ps = Command::argv(["ps", "-o", "pid=,user:32=,args=", "-p", &wanted]).on(node).timeout(timeout);
    if let Ran::Ended(output) = run(site, ps).await? {
        survey.known.alive = processes(&output.text());
        survey.known.sees_all = survey.known.alive.contains_key(&1);
    }
    if !survey.known.sees_all {
        survey.notes.push("processes of other users cannot be seen on the node".to_owned());
    }
    let grep = ["grep", "-sH", "job_"].map(str::to_owned).into_iter();
    let files = pids.iter().map(|pid| format!("/proc/{pid}/cgroup"));
    if let Ran::Ended(output) = run(site, Command::argv(grep.chain(files)).on(node).timeout(timeout)).await? {
        survey.known.jobs = jobs(&output.text());
    }
    Ok(())
}

/// Of processes that are not the job's: which job started them, whether that job goes on, whether they are in a container.
async fn look_behind(
    site: &dyn Site,
    node: &str,
    survey: &mut Survey,
    timeout: Duration,
) -> Result<(), StepError> {
    let known = &survey.known;
    let stranger = |pid: &u32| known.alive.contains_key(pid) && known.owner(*pid) != Owner::Own;
    let pids: BTreeSet<u32> =
        survey.apps.iter().filter_map(|app| app.pid).filter(stranger).take(MOST).collect();
    if pids.is_empty() {
        return Ok(());
    }
    let grep = |how: &[&str], file: &str| {
        let files = pids.iter().map(|pid| format!("/proc/{pid}/{file}"));
        let words = ["grep"].iter().chain(how).map(|word| (*word).to_owned());
        Command::argv(words.chain(files)).on(node).timeout(timeout)
    };
    // One variable and no other: an environment holds secrets. Other people's cannot be read; then there is no line.
    let environ = grep(&["-zasH", "^SLURM_JOB_ID="], "environ");
    if let Ran::Ended(output) = run(site, environ).await? {
        survey.known.started_by = started_by(&output.text());
    }
    let kinds = grep(&["-sHE", "docker|libpod|containerd|crio|kubepods|lxc|garden"], "cgroup");
    if let Ran::Ended(output) = run(site, kinds).await? {
        survey.containers = containers(&output.text());
    }
    if pids.iter().any(|pid| survey.known.job_of(*pid).is_some()) {
        let listed = question(["squeue", "-h", "-w", node, "-t", "R,S,CG,CF", "-o", "%A"]).timeout(timeout);
        match site.run(&listed).await {
            Ok(output) if output.success() => {
                survey.known.live =
                    Some(output.text().lines().filter_map(|id| id.trim().parse().ok()).collect());
            }
            _ => survey.notes.push("which jobs Slurm has on the node could not be read".to_owned()),
        }
    }
    Ok(())
}
