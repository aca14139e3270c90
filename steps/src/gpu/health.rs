//! `gpu.health`: whether a node's GPUs are fit for work.

use async_trait::async_trait;
use engine::step::{Done, Outcomes, Performed, ReadStep, StepCx, StepError, StepErrorKind};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bus::{BusId, Device};
use super::cards::{Cards, Gpu, cards};
use super::kernel::{KernelLog, kernel_log};
use super::params::{Word, limit};
use super::policy::Policy;
use super::verdict::{Judged, Verdict, Window, Xid, judge};
use crate::duration::Timespan;
use crate::size::show;
use crate::text::{clean, clean_to, count};

/// Xid lines that the output holds at most; those that count come first.
const MOST_XIDS: usize = 100;

/// Bytes of a site's own table of Xids at most.
const MOST_POLICY: usize = 256 << 10;

/// `gpu.health`: see [`Params`].
pub(crate) struct Health;

/// Reads nvidia-smi and the kernel log of a node and says whether its GPUs are fit for work.
///
/// A fault that counts makes it `faulty`: an Xid inside the window that the table calls a fault, uncorrected
/// ECC errors since the driver was loaded, a row that could not be remapped, a lost GPU, a recovery action
/// that the driver asks for, too many uncorrected SRAM errors in the card's life. Without a fault it is `unknown` if the kernel log, the ECC counters or the
/// remapped rows could not be read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// Node to ask, by ssh.
    node: String,
    /// Start of the window in which an Xid counts (RFC 3339), usually the job's start. Without it every Xid
    /// of the log before `to` counts.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    from: Option<Timestamp>,
    /// End of the window in which an Xid counts (RFC 3339), usually the time of the error; open without it.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    to: Option<Timestamp>,
    /// The GPU in question, by bus id or uuid: faults on it are pointed out; those of the other GPUs count as
    /// well. The index from an out-of-memory text counts the GPUs that one process saw and identifies
    /// nothing.
    #[serde(default)]
    device: Option<Word>,
    /// The job's processes on the node: Xids that name one of them are pointed out.
    #[serde(default)]
    pids: Option<Vec<u32>>,
    /// File with a table of Xids in the form of the one that ships (`- { xid: 109, action: app, text: … }`); its entries replace
    /// those. Actions: `fault`, `app`, `ignore`, `investigate`, `link`, `recovery`.
    #[serde(default)]
    policy: Option<String>,
    /// Time limit of each command on the node, `20s` if not given. A hanging nvidia-smi is a finding, not an
    /// error.
    #[serde(default)]
    timeout: Option<Timespan>,
}

/// What a node told of its GPUs.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// The node.
    node: String,
    /// `healthy`, `faulty` or `unknown`.
    verdict: Verdict,
    /// The GPUs that answered.
    gpus: Vec<Gpu>,
    /// Xid lines of the kernel log, those that count first; at most 100.
    xids: Vec<Xid>,
    /// What speaks against the node, a line each.
    faults: Vec<String>,
    /// What could not be read or judged, a line each.
    unknowns: Vec<String>,
    /// Version of the NVIDIA driver.
    driver: Option<String>,
}

#[async_trait]
impl ReadStep for Health {
    const KIND: &'static str = "gpu.health";
    const SUMMARY: &'static str = "Check a node's GPUs: Xid errors, ECC, remapped rows, lost GPUs";
    type Params = Params;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[
            ("healthy", "everything that decides was read, and nothing speaks against the node"),
            ("faulty", "an error that counts speaks against the node"),
            ("unknown", "nothing speaks against the node, but not everything that decides could be read"),
        ])
    }

    async fn read(&self, cx: &StepCx, params: Params) -> Result<Performed<Output>, StepError> {
        let timeout = limit(params.timeout)?;
        let window = Window { from: params.from, to: params.to };
        let policy = policy(cx, params.policy.as_deref()).await?;
        let device = device(params.device.as_ref())?;
        cx.say(format!("asking nvidia-smi on {}", params.node));
        let cards = cards(&*cx.site, &params.node, timeout).await?;
        cx.say(format!("reading the kernel log of {}", params.node));
        let log = kernel_log(&*cx.site, &params.node, window.from, timeout).await?;
        let pids = params.pids.unwrap_or_default();
        let judged = judge(&log.events, &policy, window, cards.hung, &pids);
        Ok(conclude(params.node, cards, &log, judged, device.as_ref()).into())
    }
}

/// The table that ships, with what a site sees differently.
async fn policy(cx: &StepCx, path: Option<&str>) -> Result<Policy, StepError> {
    let shipped = Policy::shipped().map_err(StepError::failed)?;
    let Some(path) = path else { return Ok(shipped) };
    let text = cx.site.read_all(path, MOST_POLICY).await?;
    shipped.with(&String::from_utf8_lossy(&text)).map_err(|why| {
        StepError::new(StepErrorKind::Params, format!("{}: {}", clean_to(path, 160), clean_to(&why, 200)))
    })
}

/// Reads the parameter `device`.
///
/// # Errors
/// It is neither a bus id nor a uuid nor an index.
pub(crate) fn device(word: Option<&Word>) -> Result<Option<Device>, StepError> {
    word.map(|word| {
        Device::parse(word).ok_or_else(|| {
            let what = format!("`{}` names no GPU", clean_to(&word.0, 60));
            StepError::new(StepErrorKind::Params, what)
                .help("Give a bus id (0000:3b:00.0) or a uuid (GPU-…).")
        })
    })
    .transpose()
}

fn conclude(
    node: String,
    cards: Cards,
    log: &KernelLog,
    judged: Judged,
    device: Option<&Device>,
) -> Done<Output> {
    let faults: Vec<String> = judged.faults.into_iter().chain(cards.faults).collect();
    let gaps: Vec<String> =
        cards.gaps.into_iter().chain(log.gaps.iter().cloned()).chain(judged.gaps).collect();
    let verdict = match (faults.is_empty(), gaps.is_empty()) {
        (false, _) => Verdict::Faulty,
        (true, false) => Verdict::Unknown,
        (true, true) => Verdict::Healthy,
    };
    let mut summary = vec![format!("{}: {}", clean(&node), headline(verdict, &faults, &gaps))];
    summary.extend(faults.iter().chain(&gaps).skip(1).take(2).cloned());
    summary.push(inventory(&cards.gpus, cards.driver.as_deref(), log, &judged.xids));
    if let Some(line) = device.and_then(|device| in_question(device, &cards.gpus, &faults)) {
        summary.insert(1, line);
        summary.truncate(4);
    }
    let mut unknowns = gaps;
    if judged.xids.len() > MOST_XIDS {
        unknowns.push(format!("{} Xid lines are left out of the list", judged.xids.len() - MOST_XIDS));
    }
    unknowns.extend(cards.notes);
    if let Some(Device::Index(index)) = device {
        unknowns
            .push(format!("device {index} is an index as one process saw it: which GPU it was is not known"));
    }
    let mut xids = judged.xids;
    xids.truncate(MOST_XIDS);
    let output = Output { node, verdict, gpus: cards.gpus, xids, faults, unknowns, driver: cards.driver };
    Done { outcome: verdict.word().to_owned(), output, summary }
}

fn headline(verdict: Verdict, faults: &[String], gaps: &[String]) -> String {
    let more = |lines: &[String]| match lines {
        [] => String::new(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    };
    match verdict {
        Verdict::Healthy => "healthy: no fault found".to_owned(),
        Verdict::Faulty => format!("faulty: {}", more(faults)),
        Verdict::Unknown => format!("unknown: {}", more(gaps)),
    }
}

/// `8 × NVIDIA H100 80GB HBM3 (79.6 GiB), driver 550.90.07; kernel log from journalctl: 3 Xid lines, 1
/// counts`.
fn inventory(gpus: &[Gpu], driver: Option<&str>, log: &KernelLog, xids: &[Xid]) -> String {
    let name = gpus.iter().find_map(|gpu| gpu.name.as_deref()).unwrap_or("GPU");
    let size = gpus
        .iter()
        .find_map(|gpu| gpu.memory_total)
        .map_or(String::new(), |bytes| format!(" ({})", show(bytes)));
    let driver = driver.map_or(String::new(), |driver| format!(", driver {driver}"));
    let cards = if gpus.is_empty() {
        "no GPU answered".to_owned()
    } else {
        format!("{} × {name}{size}{driver}", gpus.len())
    };
    let log = match log.sources.first() {
        None => "kernel log not read".to_owned(),
        Some(source) => {
            let counting = xids.iter().filter(|xid| xid.counts).count();
            format!("kernel log from {source}: {}, {counting} of weight", count(xids.len(), "Xid line"))
        }
    };
    format!("{cards}; {log}")
}

/// What the faults have to do with the GPU in question.
fn in_question(device: &Device, gpus: &[Gpu], faults: &[String]) -> Option<String> {
    let gpu = gpus.iter().find(|gpu| {
        let bus = gpu.bus_id.as_deref().and_then(BusId::parse);
        device.is(bus, gpu.uuid.as_deref()) == Some(true)
    });
    let address = match (device, gpu) {
        (Device::Bus(bus), _) => bus.to_string(),
        (_, Some(gpu)) => gpu.bus_id.clone()?,
        _ => return None,
    };
    let hit = faults.iter().filter(|fault| names(fault, &address)).count();
    match (faults.len(), hit) {
        (0, _) => None,
        (_, 0) => Some(format!("none of it on the GPU in question, {address}")),
        (_, hit) => Some(format!("{} on the GPU in question, {address}", count(hit, "fault"))),
    }
}

/// Whether a fault line is about this address, in whatever way it is written there.
fn names(fault: &str, address: &str) -> bool {
    let wanted = BusId::parse(address);
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == ':' || c == '.');
    fault
        .split(word)
        .any(|part| wanted.is_some() && BusId::parse(part.trim_end_matches([':', '.'])) == wanted)
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
