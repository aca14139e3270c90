//! From lines to a table.

use schemars::JsonSchema;
use serde::Serialize;

use super::cell::{bytes, count};
use crate::text::{Pattern, pattern};

/// What `memory_summary()` printed near the error, by the process that failed. Sizes in bytes, rounded down to the unit of
/// their column; null: not in the table.
///
/// After an error it shows what is left once the cache was flushed and the failing frames have died: the peaks tell more than
/// the present figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct MemorySummary {
    /// Ordinal of the device as the process counts.
    pub(crate) device: Option<u64>,
    /// How many requests have failed so far.
    pub(crate) ooms: Option<u64>,
    /// How often everything was flushed for a request.
    pub(crate) retries: Option<u64>,
    /// Allocated now.
    pub(crate) allocated: Option<u64>,
    /// The most that was allocated at once.
    pub(crate) peak_allocated: Option<u64>,
    /// Reserved now.
    pub(crate) reserved: Option<u64>,
    /// The most that was reserved at once.
    pub(crate) peak_reserved: Option<u64>,
    /// Free in segments that are partly in use; expandable segments do not count.
    pub(crate) stranded: Option<u64>,
    /// The most of it.
    pub(crate) peak_stranded: Option<u64>,
    /// True: memory is reserved in expandable segments only, which the table does not count. Null: it does not tell.
    pub(crate) expandable: Option<bool>,
}

/// Lines of a table and of what may come between.
const LONGEST: usize = 120;

/// Reads tables line by line.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    table: MemorySummary,
    rows: Vec<String>,
    segments: Option<u64>,
    lines: usize,
}

impl Tables {
    /// Takes the next line of one printer, prefixes and all; a table where it ends.
    ///
    /// Two tables mixed into each other are none: a row that comes twice shows it.
    pub(crate) fn line(&mut self, line: &str) -> Option<MemorySummary> {
        static TITLE: Pattern =
            Pattern::new(|| pattern(r"\|\s*PyTorch \w+ memory summary, device ID (\d{1,4})"));
        static COUNTS: Pattern = Pattern::new(|| {
            pattern(r"\|\s*\w+ OOMs:\s*(\d{1,18})\s*\|\s*\w+Malloc retries:\s*(\d{1,18})\s*\|")
        });
        if let Some(found) = TITLE.captures(line) {
            // Another one begins before this one has ended: two printers.
            let mixed = self.open.is_some();
            let table = MemorySummary { device: found[1].parse().ok(), ..MemorySummary::default() };
            self.open = (!mixed).then(|| Open { table, rows: Vec::new(), segments: None, lines: 0 });
            return None;
        }
        let open = self.open.as_mut()?;
        open.lines += 1;
        if open.lines > LONGEST {
            self.open = None;
            return None;
        }
        if let Some(found) = COUNTS.captures(line) {
            (open.table.ooms, open.table.retries) = (found[1].parse().ok(), found[2].parse().ok());
            return None;
        }
        let row = line.get(line.find('|')? + 1..line.rfind('|')?)?;
        if row.starts_with("====") {
            if open.rows.is_empty() {
                return None;
            }
            // The last row of every release; those about oversize blocks came with 1.10.
            let whole = open.rows.iter().any(|name| name == "Non-releasable allocs");
            return self.open.take().filter(|_| whole).map(Open::finish);
        }
        let cells: Vec<&str> = row.split('|').collect();
        let &[name, current, peak, _, _] = cells.as_slice() else { return None };
        let name = name.trim();
        // The rows of the pools follow the one that they are a part of.
        if name.starts_with("from ") || name == "Metric" {
            return None;
        }
        if open.rows.iter().any(|known| known == name) {
            self.open = None;
            return None;
        }
        open.rows.push(name.to_owned());
        open.row(name, current, peak);
        None
    }
}

impl Open {
    fn row(&mut self, name: &str, current: &str, peak: &str) {
        let table = &mut self.table;
        let (to, to_peak) = match name {
            "Allocated memory" => (&mut table.allocated, &mut table.peak_allocated),
            "GPU reserved memory" => (&mut table.reserved, &mut table.peak_reserved),
            "Non-releasable memory" => (&mut table.stranded, &mut table.peak_stranded),
            "GPU reserved segments" => {
                self.segments = count(current);
                return;
            }
            _ => return,
        };
        (*to, *to_peak) = (bytes(current), bytes(peak));
    }

    fn finish(mut self) -> MemorySummary {
        let holds = self.table.reserved.is_some_and(|reserved| reserved > 0);
        self.table.expandable = (holds && self.segments == Some(0)).then_some(true);
        self.table
    }
}
