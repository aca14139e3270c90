//! One cell of a table (torch/cuda/memory.py, `_format_size` and `_format_count`, 1.10–2.15).

/// What a table counts in: 1024 for bytes, 1000 for numbers; each prefix once more.
fn value(number: &str, unit: &str, base: u64, prefixes: &[&str]) -> Option<u64> {
    let power = prefixes.iter().position(|prefix| *prefix == unit)?;
    number.parse::<u64>().ok()?.checked_mul(base.checked_pow(u32::try_from(power).ok()?)?)
}

/// A size: whole units, rounded down, so that the true one is less than one unit larger. PyTorch up to 1.13 prints `MB` for
/// MiB.
pub(super) fn bytes(cell: &str) -> Option<u64> {
    let (number, unit) = cell.trim().split_once(' ')?;
    let unit = unit.trim();
    value(number, unit, 1024, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
        .or_else(|| value(number, unit, 1024, &["B", "KB", "MB", "GB", "TB", "PB"]))
}

/// A number, rounded down to its prefix.
pub(super) fn count(cell: &str) -> Option<u64> {
    let cell = cell.trim();
    let (number, unit) = cell.split_once(' ').unwrap_or((cell, ""));
    value(number, unit.trim(), 1000, &["", "K", "M"])
}
