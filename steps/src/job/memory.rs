//! Memory figures that training programs print beside their steps.
//!
//! The names are those of `torch.cuda` (<https://docs.pytorch.org/docs/stable/cuda.html>): `max_memory_reserved`,
//! `memory_reserved`, `memory_allocated`, `mem_get_info`. A figure counts only with its unit, or where the printed
//! text says it.

use regex::Regex;

use crate::size::{GIB, MIB, parse_size};
use crate::text::{Pattern, cut, pattern};

/// Figures of one line, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Most that the allocator ever held.
    pub(crate) peak_reserved: Option<u64>,
    /// What it holds beyond what tensors use.
    pub(crate) gap: Option<u64>,
    /// What the GPU has.
    pub(crate) capacity: Option<u64>,
}

/// Longest beginning of a line that is looked at, in bytes.
const LINE: usize = 2000;

/// Beside them the lines of three frameworks, whose words are their own: torchtitan's `memory: 21.01GiB(26.53%)` is the most
/// that was reserved, and its share of the card (`components/metrics.py`, v0.1 to v0.2.2); Megatron-LM's `memory (MB) |
/// allocated: … | max reserved: …` counts in 2^20 (`training/utils.py`, `report_memory`); DeepSpeed's `MA 5.5 GB … Max_CA 8 GB`
/// counts in 2^30, CA is what is reserved (`runtime/utils.py`, `see_memory_usage`).
///
/// Reads `max_reserved 62.41GiB`, `peak_reserved=63907MiB`, `reserved-allocated 3.10GiB`, `gap=1200MiB`,
/// `allocated=100MiB reserved=300MiB`, `free_total=[1024, 81079]MiB`.
pub(crate) fn of_line(line: &str) -> Memory {
    let line = cut(line, LINE);
    if let Some(memory) = of_framework(line) {
        return memory;
    }
    let size = |pattern: &Regex| {
        let found = pattern.captures(line)?;
        parse_size(&format!("{}{}", &found[1], &found[2]))
    };
    let difference = || size(&RESERVED)?.checked_sub(size(&ALLOCATED)?);
    Memory { peak_reserved: size(&PEAK), gap: size(&GAP).or_else(difference), capacity: size(&TOTAL) }
}

fn of_framework(line: &str) -> Option<Memory> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let bytes = |number: f64, unit: u64| (number * unit as f64).round() as u64;
    if let Some(found) = TITAN.captures(line) {
        let (peak, percent) = (number(&found[1])?, number(&found[2])?);
        // Two decimals of a percentage: below one per cent the card's size is a guess.
        let capacity = (percent >= 1.0).then(|| bytes(peak * 100.0 / percent, GIB));
        return Some(Memory { peak_reserved: Some(bytes(peak, GIB)), gap: None, capacity });
    }
    let all = |pattern: &Regex, unit: u64| {
        let found = pattern.captures(line)?;
        let [allocated, reserved, peak] = [1, 2, 3].map(|n| number(&found[n]));
        let gap = bytes(reserved?, unit).checked_sub(bytes(allocated?, unit));
        Some(Memory { peak_reserved: Some(bytes(peak?, unit)), gap, capacity: None })
    };
    all(&MEGATRON, MIB).or_else(|| all(&DEEPSPEED, GIB))
}

static TITAN: Pattern = Pattern::new(|| pattern(r"\bmemory:\s{1,4}(\d{1,6}\.\d{2})GiB\((\d{1,3}\.\d{2})%\)"));
static MEGATRON: Pattern = Pattern::new(|| {
    pattern(
        r"memory \(MB\) \| allocated: (\d{1,9}\.?\d{0,15}) .*?\| reserved: (\d{1,9}\.?\d{0,15}) \| max reserved: (\d{1,9}\.?\d{0,15})",
    )
});
static DEEPSPEED: Pattern = Pattern::new(|| {
    pattern(
        r"\bMA (\d{1,6}\.?\d{0,4}) GB\s+Max_MA \d{1,6}\.?\d{0,4} GB\s+CA (\d{1,6}\.?\d{0,4}) GB\s+Max_CA (\d{1,6}\.?\d{0,4}) GB",
    )
});

const FIGURE: &str = r"['\x22]?\s*[:= ]\s*(\d{1,15}(?:\.\d{1,6})?)\s*([KMGT]i?B|[KMG]iB|bytes|B)\b";

fn named(names: &str) -> Regex {
    pattern(&format!(r"(?i)(?:^|[^\w-])(?:{names}){FIGURE}"))
}

static PEAK: Pattern =
    Pattern::new(|| named(r"(?:max|peak)[_ -](?:memory[_ -])?reserved|(?:max|peak)[_ -]reserved[_ -]memory"));
static GAP: Pattern = Pattern::new(|| named(r"reserved\s?-\s?allocated|gap"));
static RESERVED: Pattern = Pattern::new(|| named(r"(?:memory[_ ])?reserved"));
static ALLOCATED: Pattern = Pattern::new(|| named(r"(?:memory[_ ])?allocated"));
static TOTAL: Pattern = Pattern::new(|| pattern(r"free_total=\[\s*\d{1,9}\s*,\s*(\d{1,9})\s*\](MiB)"));

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_words_of_three_frameworks() {
        let titan = of_line(
            "[titan] 2026-01-01 - root - INFO - step: 10  loss:  7.10  memory: 20.00GiB(25.00%)  tps: 9,000",
        );
        assert_eq!((titan.peak_reserved, titan.gap, titan.capacity), (Some(20 * GIB), None, Some(80 * GIB)));
        let megatron = of_line(
            "[Rank 0] (after 10 iterations) memory (MB) | allocated: 1000.5 | max allocated: 2000.25 | reserved: 3000.5 | max reserved: 4096.0",
        );
        assert_eq!((megatron.peak_reserved, megatron.gap), (Some(4 * GIB), Some(2000 * MIB)));
        let deepspeed =
            of_line("[INFO] MA 5.5 GB         Max_MA 6.0 GB         CA 8.0 GB         Max_CA 8 GB ");
        assert_eq!((deepspeed.peak_reserved, deepspeed.gap), (Some(8 * GIB), Some(5 * GIB / 2)));
    }

    #[test]
    fn figures() {
        let line =
            "step 41/200 | loss 2.31 | tokens/s 9000 | max_reserved 62.50GiB | reserved-allocated 3.25GiB";
        let memory = of_line(line);
        assert_eq!(memory.peak_reserved, Some(64_000 * MIB));
        assert_eq!(memory.gap, Some(3328 * MIB));
        assert_eq!(memory.capacity, None);
        assert_eq!(of_line("peak_reserved=63907MiB").peak_reserved, Some(63_907 * MIB));
        assert_eq!(of_line("max_memory_reserved: 1024 MB").peak_reserved, Some(1024 * MIB));
        let memory = of_line("allocated=100MiB reserved=300MiB gap=200MiB");
        assert_eq!((memory.gap, memory.peak_reserved), (Some(200 * MIB), None));
        assert_eq!(of_line("allocated=100MiB reserved=300MiB").gap, Some(200 * MIB));
        assert_eq!(of_line("free_total=[1024, 81079]MiB").capacity, Some(81_079 * MIB));
    }

    #[test]
    fn no_figure_without_name_and_unit() {
        for line in ["max_reserved 62.4", "reserved 3 steps", "unreserved=3MiB", "loss 2.3 GiB", "gap 3", ""]
        {
            assert_eq!(of_line(line), Memory::default(), "{line}");
        }
        assert_eq!(of_line("allocated=300MiB reserved=100MiB").gap, None, "less than nothing is no gap");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}", number in "[0-9.]{0,20}") {
            let _ = of_line(&text);
            let _ = of_line(&format!("max_reserved {number}TiB gap={number}GiB {text}"));
            let _ = of_line(&"é".repeat(1500));
        }
    }
}
