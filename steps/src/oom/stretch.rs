//! What the beginning or the end of a stretch of a log says at a glance.

use super::logtime::{Clock, LogTime};
use super::progress::step_of;
use crate::text::visible;

/// Longer lines are not looked at.
const LONGEST: usize = 4096;

/// The first training step that is reported; the line that begins the stretch may be a part of one and is left out.
pub(super) fn first_step(bytes: &[u8]) -> Option<u64> {
    bytes.split(|byte| *byte == b'\n').skip(1).find_map(step)
}

/// The last training step that is reported.
pub(super) fn last_step(bytes: &[u8]) -> Option<u64> {
    bytes.rsplit(|byte| matches!(*byte, b'\n' | b'\r')).find_map(step)
}

/// Whether a line tells when it was printed.
pub(super) fn is_dated(bytes: &[u8], clock: Clock) -> bool {
    let lines = bytes.split(|byte| *byte == b'\n').skip(1).take(100);
    lines.filter(|line| line.len() <= LONGEST).any(|line| LogTime::find(&visible(line), clock).is_some())
}

fn step(line: &[u8]) -> Option<u64> {
    // Nearly all lines are none; this is faster than making text of them.
    let may = memchr::memmem::find(line, b"te").is_some() || memchr::memmem::find(line, b"TE").is_some();
    if line.len() > LONGEST || !may {
        return None;
    }
    step_of(&visible(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_step_are_told() {
        let text = b"step 1 cut\n[rank3]: step 41 loss 2\nx\n\x1b[1mSTEP 43\x1b[0m\rstep 44\nthe rest";
        assert_eq!((first_step(text), last_step(text)), (Some(41), Some(44)));
        assert_eq!((first_step(b"step 1"), last_step(b""), last_step(b"\xff\n\n")), (None, None, None));
    }

    #[test]
    fn a_date_is_seen_in_a_whole_line() {
        assert!(is_dated(b"2026-11-23 07:49:56\nx\n2026-11-23 07:49:57 y", Clock::default()));
        assert!(!is_dated(b"2026-11-23 07:49:56\nx\n", Clock::default()));
    }
}
