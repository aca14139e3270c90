//! Reading a log without a world around it, for fuzzers.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::event::Events;
use super::extract::FileReader;
use super::logs::{LogFile, Logs};
use super::logtime::Clock;
use super::outcome::Found;
use super::placing::{Layout, noticed};
use super::prefix::Who;
use super::scan::Window;
use super::unpack::Unpacker;

/// Unpacked bytes that are looked at.
const MOST: usize = 4 << 20;

/// Reads any bytes as a log, unpacked if they begin like a compressed one, through to the answer of `oom.read`.
pub fn read_any(bytes: &[u8]) {
    let hosts = ["gpu-20".to_owned(), "gpu-21".to_owned()];
    let mut reader = FileReader::new(0, Who::default(), &hosts, Clock::at(Timestamp::UNIX_EPOCH));
    let bytes = unpacked(bytes);
    // In two windows, as a scanner gives them: the second shows a little of the first again.
    let half = bytes.len() / 2;
    let again = half.saturating_sub(200);
    reader.window(&Window { offset: 0, bytes: bytes[..half].to_vec(), fresh: 0 });
    reader.window(&Window { offset: again as u64, bytes: bytes[again..].to_vec(), fresh: half - again });
    let findings = reader.finish();
    let mut events = Events::default();
    for event in findings.events {
        events.add(event);
    }
    let launchers = findings.launchers;
    events.date(|event| noticed(event, &launchers));
    let (overflowed, last_step) = (findings.overflowed, findings.last_step);
    let found = Found { events, launchers, overflowed, last_step, lines: BTreeMap::new() };
    let mut logs = Logs::default();
    logs.files.push(LogFile::here("/log", bytes.len() as u64));
    let _ = found.answer(&logs, &Layout { nodes: hosts.to_vec(), tasks_per_node: Some(8) });
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut unpacker = Unpacker::of(bytes);
    let (mut rest, mut all) = (bytes, Vec::new());
    while !rest.is_empty() && all.len() < MOST {
        let Ok((used, out)) = unpacker.step(rest) else { return all };
        all.extend(out);
        rest = &rest[used..];
    }
    all.extend(unpacker.finish().unwrap_or_default());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oom::fixtures::{cases, render};

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn torn_and_mixed_messages_never_panic(
            picks in proptest::collection::vec((0usize..157, 0usize..900, 0usize..900), 1..5),
            noise in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        ) {
            let all = cases();
            let mut bytes = Vec::new();
            for (case, from, to) in picks {
                let text = render(&all[case]).into_bytes();
                bytes.extend_from_slice(&text[from.min(text.len())..from.max(to).min(text.len())]);
                bytes.extend_from_slice(&noise);
            }
            read_any(&bytes);
        }
    }
}
