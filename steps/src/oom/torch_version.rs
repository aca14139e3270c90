//! Which PyTorch wrote a message, from its wording.
//!
//! Wordings were compared over the released wheels 1.8 to 2.15; forks and vendors port them back, so the answer is a
//! range, and none at all where the signs contradict each other.

use std::sync::LazyLock;

use regex::Regex;
use schemars::JsonSchema;
use serde::Serialize;

use crate::text::pattern;

/// A range of PyTorch releases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct TorchVersion {
    /// First release that can have written the message, such as `2.5`; null: not known.
    pub(crate) min: Option<String>,
    /// Last release that can have written it; null: not known, or still so in the newest one checked (2.15).
    pub(crate) max: Option<String>,
}

type Release = (u8, u8);

/// What is in the text, and the first and last release that print it.
const SIGNS: &[(&str, Option<Release>, Option<Release>)] = &[
    (r"GiB cached[;)]|MiB cached[;)]", Some((1, 0)), Some((1, 3))),
    (r"reserved in total by PyTorch", Some((1, 4)), Some((2, 0))),
    (r"If reserved memory is >> allocated memory", Some((1, 10)), Some((2, 0))),
    (r"total capacty of", Some((2, 1)), Some((2, 1))),
    (r"total capacity of", Some((2, 2)), None),
    (r"unallocated memory is large try setting max_split_size_mb", Some((2, 1)), Some((2, 1))),
    (r"allocated in private pools", Some((2, 4)), None),
    (r"[KMG]iB allowed; Of the", Some((2, 5)), None),
    (r"try setting PYTORCH_ALLOC_CONF=", Some((2, 10)), Some((2, 10))),
    (r"PYTORCH_HIP_ALLOC_CONF=", None, Some((2, 8))),
    (r"docs\.pytorch\.org/docs/stable/notes/cuda\.html", Some((2, 11)), None),
    (
        r"\(https://pytorch\.org/docs/stable/notes/cuda\.html#environment-variables\)",
        Some((2, 2)),
        Some((2, 10)),
    ),
    (r"expandable_segments is enabled\. If instead", Some((2, 15)), None),
    (r"torch\.cuda\.OutOfMemoryError:", Some((1, 13)), Some((2, 3))),
    (r"torch\.OutOfMemoryError:", Some((2, 4)), None),
    (r"RuntimeError: ?CUDA out of memory", None, Some((1, 12))),
    (r"torch\.AcceleratorError:", Some((2, 6)), None),
    (r"\[rank\d+\]:", Some((2, 2)), None),
    (r"NVML_SUCCESS == |handle_1 INTERNAL ASSERT", Some((2, 1)), Some((2, 13))),
    (r#"ASSERT FAILED at "\.\./c10"#, None, Some((2, 5))),
    (r#"ASSERT FAILED at "/pytorch/c10"#, Some((2, 6)), Some((2, 12))),
    (r#"ASSERT FAILED at "/__w/pytorch"#, Some((2, 13)), None),
    // The line of the assertion in CUDACachingAllocator.cpp, in the released wheels.
    (r#"CUDACachingAllocator\.cpp":830\b"#, Some((2, 2)), Some((2, 3))),
    (r#"CUDACachingAllocator\.cpp":838\b"#, Some((2, 4)), Some((2, 4))),
    (r#"CUDACachingAllocator\.cpp":995\b"#, Some((2, 5)), Some((2, 5))),
    (r#"CUDACachingAllocator\.cpp":1131\b"#, Some((2, 8)), Some((2, 8))),
    (r#"CUDACachingAllocator\.cpp":1123\b"#, Some((2, 9)), Some((2, 9))),
    (r#"CUDACachingAllocator\.cpp":1165\b"#, Some((2, 11)), Some((2, 11))),
    (r#"CUDACachingAllocator\.cpp":1319\b"#, Some((2, 12)), Some((2, 12))),
    (r#"CUDACachingAllocator\.cpp":1407\b"#, Some((2, 13)), Some((2, 13))),
    (r"exceed per_process_memory_fraction limit", Some((2, 12)), None),
];

/// The releases that can have printed `text` (the message with its exception class and its prefixes).
pub(crate) fn torch_version(text: &str) -> TorchVersion {
    static PATTERNS: LazyLock<Vec<Regex>> =
        LazyLock::new(|| SIGNS.iter().map(|(sign, _, _)| pattern(sign)).collect());
    // XPU and NPU follow releases of their own.
    if text.contains("XPU out of memory") || text.contains("(NPU ") || text.contains("MPS backend") {
        return TorchVersion::default();
    }
    let (mut min, mut max) = (None, None);
    for (pattern, (_, first, last)) in PATTERNS.iter().zip(SIGNS) {
        if pattern.is_match(text) {
            min = min.max(*first);
            max = match (max, *last) {
                (Some(a), Some(b)) => Some(std::cmp::min::<Release>(a, b)),
                (a, b) => a.or(b),
            };
        }
    }
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        return TorchVersion::default();
    }
    let show = |release: Option<Release>| release.map(|(major, minor)| format!("{major}.{minor}"));
    TorchVersion { min: show(min), max: show(max) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oom::fixtures::released_messages;

    fn release(text: &str) -> Release {
        let mut parts = text.split('.').map(|part| part.parse().unwrap());
        (parts.next().unwrap(), parts.next().unwrap())
    }

    #[test]
    fn released_messages_lie_in_their_range() {
        for (version, scenario, text) in released_messages() {
            let found = torch_version(&text);
            let at = release(&version);
            assert!(
                found.min.as_deref().is_none_or(|min| release(min) <= at),
                "{version} {scenario} {found:?}"
            );
            assert!(
                found.max.as_deref().is_none_or(|max| at <= release(max)),
                "{version} {scenario} {found:?}"
            );
            assert!(found.min.is_some(), "{version} {scenario}");
        }
    }

    #[test]
    fn signs_narrow_the_range() {
        let range = |text: &str| {
            let found = torch_version(text);
            (found.min.unwrap_or_default(), found.max.unwrap_or_default())
        };
        let pair = |min: &str, max: &str| (min.to_owned(), max.to_owned());
        assert_eq!(
            range("torch.OutOfMemoryError: … GPU 0 has a total capacity of 1 … PYTORCH_ALLOC_CONF="),
            pair("2.4", "")
        );
        assert_eq!(range("large try setting PYTORCH_ALLOC_CONF=expandable"), pair("2.10", "2.10"));
        assert_eq!(range("[rank3]: torch.cuda.OutOfMemoryError: CUDA out of memory"), pair("2.2", "2.3"));
        assert_eq!(range("nothing"), pair("", ""));
        let assert = r#"NVML_SUCCESS == r INTERNAL ASSERT FAILED at "../c10/cuda/CUDACachingAllocator.cpp":995, please"#;
        assert_eq!(range(assert), pair("2.5", "2.5"));
    }

    #[test]
    fn contradicting_signs_say_nothing() {
        let found = torch_version("torch.OutOfMemoryError: … 1.00 GiB reserved in total by PyTorch)");
        assert_eq!(found, TorchVersion::default());
    }
}
