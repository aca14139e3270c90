//! What nvidia-smi prints as csv, and how it says that it cannot.
//!
//! Sources: nvidia-smi(1) "RETURN VALUE" and `--help-query-*` of drivers 470 to 590; public dumps of its
//! output.

use engine::site::Exit;

use crate::text::clean_to;

/// One value of a csv row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    /// A value.
    Value(String),
    /// `[N/A]`, `[Not Supported]`: this GPU or this mode has no such value.
    Unsupported,
    /// `[Insufficient Permissions]`.
    Denied,
    /// `[GPU is lost]`, `[GPU requires reset]`: the driver cannot use the GPU.
    Lost(String),
    /// `[Unknown Error]`, `ERR!`, `[Not Found]` and whatever else stands for a value that was not got.
    Error(String),
}

impl Cell {
    /// Reads a value as any form of nvidia-smi's output has it.
    pub(crate) fn read(text: &str) -> Self {
        let text = text.trim();
        let inner = text.trim_start_matches('[').trim_end_matches(']').trim();
        let word = inner.to_ascii_lowercase();
        match word.as_str() {
            "n/a" | "not supported" | "" => Self::Unsupported,
            "insufficient permissions" | "no permission" => Self::Denied,
            "gpu is lost" | "gpu requires reset" | "requires reset" | "reset required" => {
                Self::Lost(clean_to(inner, 60))
            }
            "unknown error" | "err!" | "not found" | "unknown" => Self::Error(clean_to(inner, 60)),
            _ if text.starts_with('[') && text.ends_with(']') => Self::Error(clean_to(inner, 60)),
            _ => Self::Value(clean_to(text, 200)),
        }
    }

    /// The text of a value.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Value(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number.
    pub(crate) fn number(&self) -> Option<u64> {
        self.text()?.parse().ok()
    }

    /// A size in bytes. nvidia-smi counts in MiB, with `nounits` without saying so.
    pub(crate) fn bytes(&self) -> Option<u64> {
        let text = self.text()?;
        text.strip_suffix("MiB").unwrap_or(text).trim().parse::<u64>().ok()?.checked_mul(1 << 20)
    }

    /// A flag: drivers print Yes and No, or 1 and 0.
    pub(crate) fn flag(&self) -> Option<bool> {
        match self.text()?.to_ascii_lowercase().as_str() {
            "yes" | "1" | "true" | "enabled" => Some(true),
            "no" | "0" | "false" | "disabled" => Some(false),
            _ => None,
        }
    }
}

/// A row of a table, its cells in the order of the fields that were asked for.
pub(crate) type Row = Vec<Cell>;

/// What a csv query printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// The rows.
    pub(crate) rows: Vec<Row>,
    /// Lines about GPUs that the driver cannot reach.
    pub(crate) lost: Vec<String>,
    /// Other lines that are no rows: warnings and errors.
    pub(crate) other: Vec<String>,
}

/// Reads csv of `columns` columns. The last one may hold commas; a heading is skipped; lines about lost GPUs
/// stand among the rows.
pub(crate) fn table(text: &str, columns: usize) -> Table {
    let mut table = Table::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let cells: Vec<&str> = line.splitn(columns, ',').collect();
        let lower = line.to_ascii_lowercase();
        if lower.contains("unable to determine the device handle")
            || lower.contains("gpu is lost") && cells.len() < columns
        {
            table.lost.push(clean_to(line, 160));
        } else if columns == 0 || cells.len() != columns || columns == 1 && line.contains(' ') {
            table.other.push(clean_to(line, 160));
        } else if !is_heading(cells[0]) {
            table.rows.push(cells.into_iter().map(Cell::read).collect());
        }
    }
    table
}

fn is_heading(cell: &str) -> bool {
    matches!(cell.trim(), "pid" | "index" | "gpu_uuid" | "uuid")
}

/// The field that this driver does not know, from `Field "x" is not a valid field to query.`
pub(crate) fn invalid_field(text: &str) -> Option<&str> {
    let (before, _) = text.split_once("\" is not a valid field to query")?;
    before.rsplit_once("Field \"").map(|(_, field)| field)
}

/// Why a query gave no table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no nvidia-smi.
    Missing,
    /// This driver's nvidia-smi has no such query.
    NoSuchQuery,
    /// Not allowed.
    Denied(String),
    /// The driver says that a GPU is lost or needs a reset.
    Lost(String),
    /// Anything else: the driver is not loaded, library and driver do not match …
    Failed(String),
}

/// What an exit status other than 0 and the text beside it mean.
pub(crate) fn refusal(exit: Exit, stdout: &str, stderr: &str) -> Refusal {
    let said = [stdout, stderr].into_iter().flat_map(str::lines).map(str::trim).find(|line| !line.is_empty());
    let said = clean_to(said.unwrap_or("it said nothing"), 160);
    let text = format!("{stdout}\n{stderr}").to_ascii_lowercase();
    let with = |meaning: &str| format!("{meaning} ({said})");
    match exit {
        Exit::Code(126 | 127) => Refusal::Missing,
        Exit::Code(2)
            if text.contains("is not recognized") || text.contains("invalid combination of input") =>
        {
            Refusal::NoSuchQuery
        }
        Exit::Code(4 | 17) => Refusal::Denied(said),
        _ if text.contains("insufficient permission") => Refusal::Denied(said),
        Exit::Code(15) => Refusal::Lost(with("a GPU has fallen off the bus or is otherwise inaccessible")),
        Exit::Code(16) => Refusal::Lost(with("a GPU needs a reset before it can be used again")),
        Exit::Code(6) => Refusal::Failed(with("no GPU is visible")),
        Exit::Code(9) => Refusal::Failed(with("the NVIDIA driver is not loaded")),
        Exit::Code(18) => Refusal::Failed(with("driver and library are of different versions")),
        Exit::Code(code) => Refusal::Failed(format!("nvidia-smi ended with status {code} ({said})")),
        Exit::Signal(signal) => Refusal::Failed(format!("nvidia-smi was ended by signal {signal} ({said})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_rows_and_lines_about_lost_gpus() {
        // A driver of the 550 series whose GPU 6 fell off the bus: the others still answer, the status is 15.
        let text = "0, GPU-455e672a-1, 00000000:1B:00.0, 81559\n\
                    1, GPU-455e672a-2, 00000000:43:00.0, [N/A]\n\
                    Unable to determine the device handle for GPU0000:D1:00.0: Unknown Error\n";
        let table = table(text, 4);
        assert_eq!(table.rows.len(), 2);
        assert_eq!(table.rows[0][3].bytes(), Some(81559 << 20));
        assert_eq!(table.rows[1][3], Cell::Unsupported);
        assert_eq!(table.lost, ["Unable to determine the device handle for GPU0000:D1:00.0: Unknown Error"]);
    }

    #[test]
    fn the_heading_of_compute_apps_is_no_row_and_names_may_hold_commas() {
        let table =
            table("pid, used_gpu_memory [MiB], process_name\n80613, 92908 MiB, python, -m train\n", 3);
        assert_eq!(table.rows.len(), 1);
        assert_eq!(table.rows[0][1].bytes(), Some(92908 << 20));
        assert_eq!(table.rows[0][2].text(), Some("python, -m train"));
    }

    #[test]
    fn words_for_no_value_are_told_apart() {
        let cells: Vec<Cell> = [
            "[N/A]",
            "N/A",
            "[Not Supported]",
            "[Insufficient Permissions]",
            "[Not Found]",
            "[GPU is lost]",
            "[Unknown Error]",
            "ERR!",
            "[Odd]",
        ]
        .map(Cell::read)
        .into();
        insta::assert_compact_debug_snapshot!(cells, @r#"[Unsupported, Unsupported, Unsupported, Denied, Error("Not Found"), Lost("GPU is lost"), Error("Unknown Error"), Error("ERR!"), Error("Odd")]"#);
        let flags: Vec<Option<bool>> =
            ["Yes", "No", "0", "1", "[N/A]", "2"].map(|t| Cell::read(t).flag()).into();
        assert_eq!(flags, [Some(true), Some(false), Some(false), Some(true), None, None]);
    }

    #[test]
    fn tells_refusals_apart() {
        let said = "Field \"gpu_recovery_action\" is not a valid field to query.\n\n";
        assert_eq!(invalid_field(said), Some("gpu_recovery_action"));
        let of = |code, out: &str| refusal(Exit::Code(code), out, "");
        assert_eq!(of(127, "sh: nvidia-smi: command not found"), Refusal::Missing);
        assert_eq!(
            of(
                2,
                "ERROR: Option --query-remapped-rows=gpu_uuid is not recognized. Please run 'nvidia-smi -h'."
            ),
            Refusal::NoSuchQuery
        );
        assert!(matches!(of(4, "Insufficient Permissions"), Refusal::Denied(_)));
        assert!(matches!(of(15, ""), Refusal::Lost(_)));
        assert!(matches!(of(16, ""), Refusal::Lost(_)));
        assert!(matches!(
            of(9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."),
            Refusal::Failed(_)
        ));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400), columns in 0usize..8) {
            let text = String::from_utf8_lossy(&bytes);
            let table = table(&text, columns);
            prop_assert!(table.rows.iter().all(|row| row.len() == columns));
            let _ = (invalid_field(&text), refusal(Exit::Code(2), &text, &text));
        }
    }
}
