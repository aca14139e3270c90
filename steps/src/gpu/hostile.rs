//! What a node's programs print, as any bytes: an entry point for fuzzers. Nothing may panic.

use engine::site::Exit;

use super::klog::{Clock, search};
use super::process::{containers, granted, jobs, processes, started_by};
use super::smi::{invalid_field, refusal, table};
use super::xml::reports;

/// nvidia-smi's tables and report, the kernel log, ps, `/proc`, `scontrol -d show job`.
pub fn hostile(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let columns = bytes.first().map_or(1, |byte| usize::from(byte % 20));
    let _ =
        (table(&text, columns), invalid_field(&text), refusal(Exit::Code(2), &text, &text), reports(&text));
    let clock = Clock::parse("2026-03-05T13:00:00+0100");
    let _ = (search(&text, clock, true), search(&text, None, false), Clock::parse(&text));
    let _ = (processes(&text), jobs(&text), started_by(&text), containers(&text), granted(&text, "gpu-1"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            hostile(&bytes);
        }
    }
}
