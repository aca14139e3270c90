//! The rule beside the naive one, against what expandable segments really do.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::workload::{Deed, Habit, Workload};
use crate::allocator::{Allocator, BlockId, Device, Settings};
use crate::oom::classify::facts::ErrorFields;
use crate::oom::classify::rules::{Around, DEFAULT_MARGIN, classify};
use crate::oom::classify::verdict::Verdict;
use crate::oom::fixtures::size_text;
use crate::oom::kind::Kind;
use crate::oom::message::Process;
use crate::size::parse_size;

/// Jobs that are made; those that do not fail do not count.
const JOBS: u64 = 1400;

/// A job that ran out of memory.
struct Failed {
    error: ErrorFields,
    naive: Verdict,
    truth: Truth,
}

/// Runs deeds until one is refused; the allocator as it is then, which deed it was, and what was tried.
fn run(deeds: &[Deed], device: Device, settings: Settings) -> (Allocator, Option<(usize, u64)>) {
    let mut allocator = Allocator::new(device, settings);
    let mut live: Vec<Option<BlockId>> = Vec::new();
    for (at, deed) in deeds.iter().enumerate() {
        match *deed {
            Deed::Ask(bytes) => match allocator.malloc(bytes, 0) {
                Ok(block) => live.push(Some(block)),
                Err(refused) => return (allocator, Some((at, refused.tried))),
            },
            Deed::Free(name) => allocator.free(live[name as usize].take().unwrap()),
        }
    }
    (allocator, None)
}

fn fail(job: &Workload) -> Option<Failed> {
    let device = || Device::new(job.total, job.others + job.context);
    let (allocator, failed) = run(&job.deeds, device(), Settings::default());
    let (at, tried) = failed?;
    let changed = Settings { expandable: true, ..Settings::default() };
    let then = run(&job.deeds, device(), changed).1.map(|(at, _)| at);
    let stats = allocator.stats();
    let gap = stats.reserved - stats.allocated;
    let printed = |bytes: u64| parse_size(&size_text(bytes));
    let own = printed(stats.reserved + job.context);
    let others = Process { pid: 2, bytes: printed(job.others) };
    let myself = Process { pid: 1, bytes: own };
    let processes = match job.naming {
        2 if job.others > 0 => vec![others],
        3 if job.others > 0 => vec![others, myself],
        3 => vec![myself],
        _ => Vec::new(),
    };
    let (allocated, unallocated) = (printed(stats.allocated), printed(gap));
    let error = ErrorFields {
        kind: Some(Kind::CudaCachingAllocator),
        tried: printed(tried),
        capacity: printed(job.total),
        free: printed(allocator.device().free()),
        allocated,
        reserved: allocated.zip(unallocated).map(|(allocated, gap)| allocated + gap),
        reserved_unallocated: unallocated,
        this_process: if matches!(job.naming, 1 | 2) { own } else { None },
        processes: Some(processes),
        ..ErrorFields::default()
    };
    Some(Failed {
        naive: if gap >= tried { Verdict::Fragmentation } else { Verdict::TrueOom },
        truth: match then {
            None => Truth::Cured,
            Some(then) if then > at => Truth::Served,
            Some(_) => Truth::Refused,
        },
        error,
    })
}

/// What expandable segments do for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Truth {
    Cured,
    Served,
    Refused,
}

impl Truth {
    fn words(self) -> &'static str {
        match self {
            Self::Cured => "cured: the job runs to its end",
            Self::Served => "served: the job fails at a later request",
            Self::Refused => "refused: it fails there or before",
        }
    }
}

const TRUTHS: [Truth; 3] = [Truth::Cured, Truth::Served, Truth::Refused];
const COLUMNS: [Verdict; 4] = [Verdict::Fragmentation, Verdict::TrueOom, Verdict::CoTenant, Verdict::Unknown];

/// Counts of what the rules say, by what is true.
#[derive(Default)]
struct Matrix {
    counts: BTreeMap<(bool, Truth, Verdict), u64>,
    habits: BTreeMap<Habit, [u64; 3]>,
    /// By the share of the device that the gap is, where packing leaves the margin.
    gaps: BTreeMap<usize, [u64; 3]>,
    /// By the share of the device that packing without a gap leaves over, or lacks.
    rooms: BTreeMap<usize, [u64; 3]>,
}

/// Lower bounds of the shares, in thousandths.
const GAPS: [u64; 6] = [0, 10, 20, 30, 50, 80];

/// What packing leaves over: rows, and the thousandths of the device below which they end.
const ROOMS: [(&str, i64); 4] = [
    ("1 % and more are lacking", -10),
    ("less than 1 % is lacking", 0),
    ("less than 2 % is left", 20),
    ("2 % and more are left", i64::MAX),
];

impl Matrix {
    fn measure() -> Self {
        let mut matrix = Self::default();
        for job in (0..JOBS).map(Workload::of) {
            let Some(found) = fail(&job) else { continue };
            let at = TRUTHS.iter().position(|truth| *truth == found.truth).unwrap();
            matrix.habits.entry(job.habit).or_default()[at] += 1;
            let ours = classify(&found.error, Around::default(), DEFAULT_MARGIN);
            *matrix.counts.entry((false, found.truth, found.naive)).or_default() += 1;
            *matrix.counts.entry((true, found.truth, ours.verdict)).or_default() += 1;
            let (fit, tried) = (ours.could_fit.unwrap(), found.error.tried.unwrap());
            let room = (fit as i64 - tried as i64) as f64 * 1000.0 / job.total as f64;
            let row = ROOMS.iter().position(|(_, below)| room < *below as f64).unwrap();
            matrix.rooms.entry(row).or_default()[at] += 1;
            let left = fit.checked_sub(tried);
            if left.is_some_and(|left| left >= ours.margin_bytes.unwrap()) {
                let share = ours.gap.unwrap() * 1000 / job.total;
                let row = GAPS.iter().rposition(|low| share >= *low).unwrap();
                matrix.gaps.entry(row).or_default()[at] += 1;
            }
        }
        matrix
    }

    fn count(&self, ours: bool, truth: Truth, verdict: Verdict) -> u64 {
        self.counts.get(&(ours, truth, verdict)).copied().unwrap_or(0)
    }

    /// Of those that a rule calls fragmentation, how many are what.
    fn called(&self, ours: bool) -> [u64; 3] {
        TRUTHS.map(|truth| self.count(ours, truth, Verdict::Fragmentation))
    }

    /// The tables of docs/classification.md.
    fn tables(&self) -> String {
        let mut text = String::new();
        let rows = |text: &mut String, name: &str, counts: [u64; 3]| {
            let [cured, served, refused] = counts;
            let _ =
                writeln!(text, "| {name} | {} | {cured} | {served} | {refused} |", cured + served + refused);
        };
        text += "| job | out of memory | cured | served | refused |\n|---|---:|---:|---:|---:|\n";
        let mut all = [0; 3];
        for (habit, counts) in &self.habits {
            rows(&mut text, &format!("{habit:?}").to_lowercase(), *counts);
            all.iter_mut().zip(counts).for_each(|(all, count)| *all += count);
        }
        rows(&mut text, "all", all);
        text += "\n| rule | with expandable segments | fragmentation | true OOM | co-tenant | unknown |\n";
        text += "|---|---|---:|---:|---:|---:|\n";
        for (ours, name) in [(false, "unallocated ≥ tried"), (true, "`oom.classify`")] {
            for truth in TRUTHS {
                let _ = write!(text, "| {name} | {} |", truth.words());
                for verdict in COLUMNS {
                    let _ = write!(text, " {} |", self.count(ours, truth, verdict));
                }
                text.push('\n');
            }
        }
        text += "\n| free + unallocated less the request, share of the device | jobs | cured | served | refused |\n";
        text += "|---|---:|---:|---:|---:|\n";
        for (row, counts) in &self.rooms {
            rows(&mut text, ROOMS[*row].0, *counts);
        }
        text += "\n| unallocated, share of the device | jobs | cured | served | refused |\n|---|---:|---:|---:|---:|\n";
        for (row, counts) in &self.gaps {
            let low = GAPS[*row] / 10;
            let name = match GAPS.get(row + 1) {
                Some(high) => format!("{low} to {} %", high / 10),
                None => format!("{low} % and more"),
            };
            rows(&mut text, &name, *counts);
        }
        text
    }
}

#[test]
fn the_document_shows_what_is_measured() {
    let matrix = Matrix::measure();
    let tables = matrix.tables();
    let document = include_str!("../../../../../docs/classification.md");
    assert!(document.contains(&tables), "docs/classification.md should hold these tables:\n\n{tables}");
    // What the rule is for: a relaunch is not spent on what cannot help.
    let (naive, ours) = (matrix.called(false), matrix.called(true));
    let share = |counts: [u64; 3]| counts[0] * 100 / counts.iter().sum::<u64>();
    assert_eq!(ours[2], 0, "a relaunch in vain");
    assert!(share(ours) >= 2 * share(naive), "{ours:?} {naive:?}");
}
