//! What Slurm's programs print, as any bytes: entry points for fuzzers. Nothing may panic, and nothing may take long.

use super::fields::{Fields, JOB_KEYS, records};
use super::node::Node;
use super::record::Record;
use super::submit_line::{Known, parse};
use super::{hostlist as hosts, json as answers, pids, sacct};

/// A folded list of hosts.
pub fn hostlist(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (list, host) = text.split_once('\n').unwrap_or((&text, "gpu-1"));
    let _ = (hosts::unfold(list), hosts::contains(list, host));
}

/// The text forms: `scontrol -o show job` and `show node`, rows of `sacct` and `squeue`, `scontrol listpids`, a recorded
/// submission.
pub fn text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for record in records(&text, "JobId") {
        let sure = [("JobName", "n"), ("Comment", text.lines().next().unwrap_or_default())];
        for known in [&[][..], &sure] {
            let _ = Record::from_scontrol(&Fields::split(record, JOB_KEYS, known));
        }
    }
    let _ = Node::read(&text);
    let names = ["JobID", "JobIDRaw", "State", "Submit", "Start", "End", "AllocTRES", "NNodes", "NodeList"];
    for row in sacct::rows(&text, names.len()) {
        let _ = Record::from_sacct(&names, &row);
    }
    let _ = pids::read_pids(&text);
    let _ = parse(&text, Known { command: text.lines().last(), ..Known::default() });
}

/// The JSON form.
pub fn json(bytes: &[u8]) {
    let _ = answers::jobs(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::slurm::fixtures::versions::{JSON, TEXT};

    proptest! {
        #[test]
        fn no_cut_and_no_flipped_byte_of_an_answer_panics(at in 0usize..5000, byte: u8, version in 0usize..9) {
            for answer in [TEXT[version].1, JSON[version].1] {
                let mut bytes = answer.as_bytes().to_vec();
                let at = at % bytes.len();
                bytes[at] = byte;
                text(&bytes);
                json(&bytes);
                hostlist(&bytes[at..]);
                text(&bytes[..at]);
            }
        }
    }
}
