//! Whether the ranks of a job were really started with the words that they should have been: a later flag, a wrapper or
//! another file may win over what was edited.

use std::collections::BTreeMap;

use engine::site::Command;
use engine::step::{StepCx, StepError};

use super::ranks::answers;

/// Looks at the ranks of a job on one of its nodes: `Some(true)` if every process that was started with one of these flags has
/// it with this value, `Some(false)` if one has another, `None` if none was seen.
///
/// # Errors
/// A recording without this exchange.
pub(crate) async fn confirmed(
    cx: &StepCx,
    number: u64,
    node: &str,
    expected: &BTreeMap<String, String>,
) -> Result<Option<bool>, StepError> {
    let expected: BTreeMap<&String, &String> = expected.iter().filter(|(name, _)| plain(name)).collect();
    if expected.is_empty() {
        return Ok(None);
    }
    let mut seen = None;
    for bytes in answers(cx, number, node, |pid| words(pid, &expected)).await? {
        let words = String::from_utf8_lossy(&bytes);
        for (name, value) in &expected {
            let given = last(&words, name);
            seen = given.map(|given| given == value.as_str() && seen != Some(false)).or(seen);
        }
    }
    Ok(seen)
}

/// Letters that mean nothing to `grep` but themselves, or a dot.
fn plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '='))
}

/// Reads the words with these names and those after them, and no others: a command line may hold secrets, and what is read
/// may be recorded.
fn words(pid: u32, expected: &BTreeMap<&String, &String>) -> Command {
    let pattern = |name: &&String| {
        let name = name.replace('.', "[.]").trim_start_matches('-').replace(['-', '_'], "[-_]");
        match name.strip_suffix('=') {
            Some(word) => format!("^[+]*{word}="),
            None => format!("^-*{name}(=|$)"),
        }
    };
    let patterns = expected.keys().flat_map(|name| ["-e".to_owned(), pattern(name)]);
    let grep = ["grep", "-z", "-a", "-E", "-A1", "--no-group-separator"].map(str::to_owned);
    Command::argv(grep.into_iter().chain(patterns).chain([format!("/proc/{pid}/cmdline")]))
}

/// The value that a flag or word has among words, the last time it is given.
fn last<'w>(words: &'w str, name: &str) -> Option<&'w str> {
    let same = |a: &str, b: &str| a.replace('_', "-") == b.replace('_', "-");
    let words: Vec<&str> = words.split('\0').collect();
    let value = |(at, word): (usize, &&'w str)| match (word.split_once('='), name.strip_suffix('=')) {
        (Some((key, value)), Some(name)) => same(key.trim_start_matches('+'), name).then_some(value),
        (Some((key, value)), None) if same(key, name) => Some(value),
        (None, None) if same(word, name) => words.get(at + 1).copied(),
        _ => None,
    };
    words.iter().enumerate().filter_map(value).next_back()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testkit::FakeSite;

    const PIDS: &str = "PID      JOBID    STEPID   LOCALID GLOBALID\n396      7        batch    0       0       \n\
                        412      7        0        0       0       \n413      7        0        -       -       \n";

    async fn look(first: &str, second: &str) -> Option<bool> {
        let site = FakeSite::shared();
        site.answer("ssh gpu-20 scontrol listpids 7", PIDS);
        let grep = "ssh gpu-20 grep -z -a -E -A1 --no-group-separator -e '^-*micro[-_]batch[-_]size(=|$)' -e '^[+]*a[.]b='";
        site.answer(&format!("{grep} /proc/412/cmdline"), first);
        site.answer(&format!("{grep} /proc/413/cmdline"), second);
        let expected = [("--micro-batch-size", "2"), ("a.b=", "3")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        confirmed(&site.cx(), 7, "gpu-20", &expected).await.unwrap()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_last_word_counts_in_every_process_that_has_it() {
        assert_eq!(look("--micro-batch-size\x002\0", "+a.b=3\0").await, Some(true));
        assert_eq!(look("", "--micro_batch_size=2\0").await, Some(true));
        assert_eq!(look("--micro-batch-size\x002\0--micro-batch-size\x004\0", "").await, Some(false));
        assert_eq!(look("--micro-batch-size\x002\0", "--micro-batch-size\x004\0").await, Some(false));
        assert_eq!(look("a.b=4\0", "--micro-batch-size\x002\0").await, Some(false));
        assert_eq!(look("", "").await, None);
    }

    proptest! {
        #[test]
        fn no_answer_panics(words in "[a.b=\\x00-]{0,40}") {
            let _ = last(&words, "--a");
            let _ = last(&words, "a.b=");
        }
    }
}
