//! Memory figures that training programs print beside their steps.
//!
//! The names are those of `torch.cuda` (<https://docs.pytorch.org/docs/stable/cuda.html>): `max_memory_reserved`,
//! `memory_reserved`, `memory_allocated`, `mem_get_info`. A figure counts only with its unit, or where the printed
//! text says it.

use regex::Regex;

use crate::size::parse_size;
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

/// Reads `max_reserved 62.41GiB`, `peak_reserved=63907MiB`, `reserved-allocated 3.10GiB`, `gap=1200MiB`,
/// `allocated=100MiB reserved=300MiB`, `free_total=[1024, 81079]MiB`.
pub(crate) fn of_line(line: &str) -> Memory {
    let line = cut(line, LINE);
    let size = |pattern: &Regex| {
        let found = pattern.captures(line)?;
        parse_size(&format!("{}{}", &found[1], &found[2]))
    };
    let difference = || size(&RESERVED)?.checked_sub(size(&ALLOCATED)?);
    Memory { peak_reserved: size(&PEAK), gap: size(&GAP).or_else(difference), capacity: size(&TOTAL) }
}

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

    const MIB: u64 = 1 << 20;

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
