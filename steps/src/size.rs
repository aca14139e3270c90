//! Sizes as allocators print them, and as people say them.
//!
//! PyTorch's `format_size` (c10/cuda/CUDACachingAllocator.cpp, v2.4) prints two decimals and a binary unit: `n bytes` up to
//! 1024, then KiB, MiB, GiB; boundaries are inclusive (`1024.00 MiB`), and there is no TiB. MPS prints `GB` and means GiB.

use crate::text::{Pattern, pattern};

/// A size inside a larger pattern; spaces were squeezed out before.
pub(crate) const SIZE: &str = r"\d{1,20}(?:\.\d{1,9})?(?:bytes|[KMGT]i?B|B)";

/// Bytes in one GiB.
pub(crate) const GIB: u64 = 1 << 30;

/// Bytes in one MiB.
pub(crate) const MIB: u64 = 1 << 20;

/// Reads a size such as `8.13GiB`, with or without a space, in any case, rounded to whole bytes. `GB` is taken as `GiB`:
/// PyTorch and the scripts around it divide by powers of two whatever they print.
///
/// `None` where the text is no size, and for `17179869184.00 GiB`: those are 2^64 bytes, NVML's and CUDA's way to print
/// 2^64 − 1, "not available" or "no limit".
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    static SHAPE: Pattern =
        Pattern::new(|| pattern(r"(?i)^\s*(\d{1,20})(?:\.(\d{1,9}))?\s*(bytes|B|[KMGT]i?B)\s*$"));
    let found = SHAPE.captures(text)?;
    let decimals = found.get(2).map_or("", |m| m.as_str());
    let scale = 10u128.pow(u32::try_from(decimals.len()).ok()?);
    let digits: u128 = format!("{}{decimals}", &found[1]).parse().ok()?;
    let unit: u128 = match found[3].as_bytes().first()?.to_ascii_uppercase() {
        b'K' => 1 << 10,
        b'M' => 1 << 20,
        b'G' => 1 << 30,
        b'T' => 1 << 40,
        _ => 1,
    };
    let bytes = digits.checked_mul(unit)?.checked_add(scale / 2)? / scale;
    u64::try_from(bytes).ok()
}

/// A size for people: GiB with one decimal from 1 GiB on, MiB below, and KiB or bytes where that would be 0 MiB.
pub(crate) fn show(bytes: u64) -> String {
    match bytes {
        GIB.. => format!("{:.1} GiB", in_units(bytes, GIB)),
        MIB.. | 0 => format!("{:.0} MiB", in_units(bytes, MIB)),
        1024.. => format!("{:.0} KiB", in_units(bytes, 1024)),
        1 => "1 byte".to_owned(),
        _ => format!("{bytes} bytes"),
    }
}

/// A size with two decimals, so that a sum can be checked against the message it comes from.
pub(crate) fn exact(bytes: u64) -> String {
    if bytes >= GIB {
        format!("{:.2} GiB", in_units(bytes, GIB))
    } else {
        format!("{:.2} MiB", in_units(bytes, MIB))
    }
}

fn in_units(bytes: u64, unit: u64) -> f64 {
    bytes as f64 / unit as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_allocator_prints() {
        assert_eq!(parse_size("0 bytes"), Some(0));
        assert_eq!(parse_size("512 bytes"), Some(512));
        assert_eq!(parse_size("1024.00 KiB"), Some(1 << 20));
        assert_eq!(parse_size("1024.00MiB"), Some(1 << 30));
        assert_eq!(parse_size("79.20 GiB"), Some(85_040_352_461));
        assert_eq!(parse_size("5.56GB"), Some(5_970_004_541));
        assert_eq!(parse_size("130674.91 GiB"), Some(140_311_116_214_436));
        assert_eq!(parse_size("184549376B"), Some(184_549_376));
    }

    #[test]
    fn all_ones_is_unknown() {
        assert_eq!(parse_size("17179869184.00 GiB"), None);
    }

    #[test]
    fn other_text_is_unknown() {
        for text in ["", "GiB", "1.2.3 GiB", "-1.00 GiB", "12 XB", "99999999999999999999.00 TiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_for_people() {
        assert_eq!(show(79 * GIB), "79.0 GiB");
        assert_eq!(show(170 * MIB), "170 MiB");
        assert_eq!([0, 1, 700, 45 << 10].map(show), ["0 MiB", "1 byte", "700 bytes", "45 KiB"]);
        assert_eq!(exact(3 * GIB / 2), "1.50 GiB");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = parse_size(&text);
        }

        #[test]
        fn two_decimals_come_back_within_their_rounding(hundredths in 0u64..10_000_000) {
            let text = format!("{}.{:02} GiB", hundredths / 100, hundredths % 100);
            let bytes = parse_size(&text).unwrap();
            let exact = u128::from(hundredths) * u128::from(GIB);
            proptest::prop_assert!((u128::from(bytes) * 100).abs_diff(exact) <= 50);
        }
    }
}
