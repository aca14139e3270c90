//! Whether the ranks of a job really run with the variables that they should have: an image's environment may win over
//! the job's, and a script's own `export` over what it was submitted with.

use std::collections::BTreeMap;

use engine::site::Command;
use engine::step::{StepCx, StepError};

use super::ranks::answers;

/// Looks at the ranks of a job on one of its nodes: `Some(true)` if every rank that could be read has every variable in one
/// of its processes, `Some(false)` if one has not, `None` if none could be read.
///
/// # Errors
/// A recording without this exchange.
pub(crate) async fn confirmed(
    cx: &StepCx,
    number: u64,
    node: &str,
    expected: &BTreeMap<String, String>,
) -> Result<Option<bool>, StepError> {
    let answers = answers(cx, number, node, |pid| variables(pid, expected)).await?;
    let mut ranks: Vec<_> = answers.iter().map(|bytes| read(bytes)).collect();
    ranks.retain(|environ| !environ.is_empty());
    // Launchers (torchrun, wrappers) are tasks of the step too; what they start as a rank has RANK.
    if ranks.iter().any(|rank| rank.contains_key("RANK")) {
        ranks.retain(|rank| rank.contains_key("RANK"));
    }
    if ranks.is_empty() {
        return Ok(None);
    }
    let has_all =
        |rank: &BTreeMap<String, String>| expected.iter().all(|(name, value)| rank.get(name) == Some(value));
    // A shell around the program does not have what it exports to it itself: one process of a rank is enough.
    let mut by_rank: BTreeMap<Option<&String>, bool> = BTreeMap::new();
    for rank in &ranks {
        let number = rank.get("RANK").or_else(|| rank.get("SLURM_PROCID"));
        *by_rank.entry(number).or_default() |= has_all(rank);
    }
    Ok(Some(by_rank.values().all(|has| *has)))
}

/// Reads the expected variables of a process and those that tell a rank, and no others: an environment holds secrets, and
/// what is read may be recorded.
fn variables(pid: impl std::fmt::Display, expected: &BTreeMap<String, String>) -> Command {
    let plain = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let names = ["RANK", "SLURM_PROCID"].into_iter().chain(expected.keys().map(String::as_str).filter(plain));
    let patterns = names.flat_map(|name| ["-e".to_owned(), format!("^{name}=")]);
    let words = ["grep".to_owned(), "-z".to_owned(), "-a".to_owned()].into_iter().chain(patterns);
    Command::argv(words.chain([format!("/proc/{pid}/environ")]))
}

/// The variables in the bytes of `/proc/PID/environ`.
fn read(bytes: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(bytes);
    text.split('\0')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use engine::site::SiteErrorKind;
    use proptest::prelude::*;

    use super::*;
    use crate::testkit::FakeSite;

    /// As Slurm 22.05.8 prints it.
    const PIDS: &str = "PID      JOBID    STEPID   LOCALID GLOBALID\n396      7        batch    0       0       \n\
                        412      7        0        0       0       \n413      7        0        -       -       \n";

    async fn look(first: &str, second: &str) -> Option<bool> {
        let site = FakeSite::shared();
        site.answer("ssh gpu-20 scontrol listpids 7", PIDS);
        site.answer(
            "ssh gpu-20 grep -z -a -e '^RANK=' -e '^SLURM_PROCID=' -e '^PYTORCH_ALLOC_CONF=' /proc/412/environ",
            first,
        );
        site.answer(
            "ssh gpu-20 grep -z -a -e '^RANK=' -e '^SLURM_PROCID=' -e '^PYTORCH_ALLOC_CONF=' /proc/413/environ",
            second,
        );
        let expected =
            BTreeMap::from([("PYTORCH_ALLOC_CONF".to_owned(), "expandable_segments:True".to_owned())]);
        confirmed(&site.cx(), 7, "gpu-20", &expected).await.unwrap()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn ranks_count_and_not_their_launcher() {
        let good = "A=1\0PYTORCH_ALLOC_CONF=expandable_segments:True\0RANK=0\0";
        assert_eq!(look("A=1\0", good).await, Some(true));
        assert_eq!(look(good, "RANK=1\0").await, Some(false));
        assert_eq!(look("A=1\0", "B=1\0").await, Some(false));
        let shell = "SLURM_PROCID=0\0";
        let inside = "SLURM_PROCID=0\0PYTORCH_ALLOC_CONF=expandable_segments:True\0";
        assert_eq!(look(shell, inside).await, Some(true), "a shell around the program");
        assert_eq!(look("SLURM_PROCID=1\0", inside).await, Some(false), "another rank");
        assert_eq!(look("", "").await, None, "nothing could be read");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_node_that_cannot_be_reached_says_nothing() {
        let site = FakeSite::shared();
        site.error("ssh gpu-20", SiteErrorKind::Unreachable);
        let expected = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        assert_eq!(confirmed(&site.cx(), 7, "gpu-20", &expected).await.unwrap(), None);
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(&bytes);
        }
    }
}
