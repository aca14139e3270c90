//! Whether the ranks of a job read the configuration files that were edited. What a program made of a file cannot be seen from
//! outside; that it read this content is certain where one of the job's processes names the file among its words, was started
//! after the file was last written, and the file still holds what was written.

use std::collections::{BTreeMap, BTreeSet};

use engine::site::{Command, SiteErrorKind};
use engine::step::{StepCx, StepError};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::ranks::processes;
use crate::text::clean;

/// Looks at the processes of a job on one of its nodes, and at the files as that node sees them; those of `expected` (SHA-256
/// by absolute path) of which it is not certain, with the reason.
///
/// # Errors
/// A recording without one of these exchanges.
pub(crate) async fn unseen(
    cx: &StepCx,
    number: u64,
    node: &str,
    expected: &BTreeMap<String, String>,
) -> Result<Vec<String>, StepError> {
    let pids = processes(cx, number, node).await?;
    let words = words(cx, node, &pids, expected).await?;
    let pids: BTreeSet<u32> = words.iter().map(|(pid, _)| *pid).collect();
    let (starts, dirs) = (starts(cx, node, &pids).await?, dirs(cx, node, &pids).await?);
    let mut unseen = Vec::new();
    for (path, digest) in expected {
        let ask = |argv: &[&str]| Command::argv(argv.iter().copied().chain(["--", path.as_str()])).on(node);
        let resolved = text(cx, ask(&["readlink", "-f"])).await?;
        let names = |word: &str, dir: Option<&String>| {
            named(word, dir).any(|name| name == tidy(path) || name == resolved.trim_end_matches('\n'))
        };
        let named: BTreeSet<u32> =
            words.iter().filter(|(pid, word)| names(word, dirs.get(pid))).map(|(pid, _)| *pid).collect();
        let why = if named.is_empty() {
            "no process of the job that could be read names it".to_owned()
        } else if text(cx, ask(&["sha256sum"])).await?.split_whitespace().next() != Some(digest) {
            "it no longer holds what was written".to_owned()
        } else {
            let written: Option<i64> = text(cx, ask(&["stat", "-L", "-c", "%Y"])).await?.trim().parse().ok();
            // Both are whole seconds: in the same one the order is not known.
            let later =
                |pid: &u32| starts.get(pid).zip(written).is_some_and(|(start, written)| *start > written);
            if named.iter().all(later) {
                continue;
            }
            "that its processes started after it was written could not be seen".to_owned()
        };
        unseen.push(format!("{}: {why}", clean(path)));
    }
    Ok(unseen)
}

/// What a command prints; nothing where it fails.
async fn text(cx: &StepCx, command: Command) -> Result<String, StepError> {
    match cx.site.run(&command).await {
        // A process that has ended meanwhile makes the whole command fail, and what the others said remains true.
        Ok(output) => Ok(output.text().into_owned()),
        Err(error) if error.kind == SiteErrorKind::NotRecorded => Err(error.into()),
        Err(_) => Ok(String::new()),
    }
}

/// The words of processes in which a file's name occurs, and no others: a command line may hold secrets.
async fn words(
    cx: &StepCx,
    node: &str,
    pids: &[u32],
    expected: &BTreeMap<String, String>,
) -> Result<Vec<(u32, String)>, StepError> {
    let names: BTreeSet<&str> = expected.keys().filter_map(|path| path.rsplit('/').next()).collect();
    if pids.is_empty() || names.contains("") {
        return Ok(Vec::new());
    }
    let grep = ["grep", "-z", "-a", "-s", "-H", "-F"].map(str::to_owned);
    let names = names.into_iter().flat_map(|name| ["-e".to_owned(), name.to_owned()]);
    let files = pids.iter().map(|pid| format!("/proc/{pid}/cmdline"));
    let answer = text(cx, Command::argv(grep.into_iter().chain(names).chain(files)).on(node)).await?;
    let word = |line: &str| {
        let (pid, word) = line.strip_prefix("/proc/")?.split_once("/cmdline:")?;
        Some((pid.parse().ok()?, word.to_owned()))
    };
    Ok(answer.split('\0').filter_map(word).collect())
}

/// When processes started, in seconds since the epoch by their node's clock.
async fn starts(cx: &StepCx, node: &str, pids: &BTreeSet<u32>) -> Result<BTreeMap<u32, i64>, StepError> {
    if pids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let list = pids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let ps = ["env", "TZ=UTC", "LC_ALL=C", "ps", "-o", "pid=,lstart=", "-p", &list];
    let answer = text(cx, Command::argv(ps).on(node)).await?;
    let start = |line: &str| {
        let (pid, time) = line.trim().split_once(' ')?;
        // `Thu Nov 26 19:29:08 2026`, the day padded with a space.
        let time = time.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
        let time = DateTime::strptime("%b %d %H:%M:%S %Y", time).ok()?;
        Some((pid.parse().ok()?, TimeZone::UTC.to_timestamp(time).ok()?.as_second()))
    };
    Ok(answer.lines().filter_map(start).collect())
}

/// The working directories of processes.
async fn dirs(cx: &StepCx, node: &str, pids: &BTreeSet<u32>) -> Result<BTreeMap<u32, String>, StepError> {
    if pids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let links = pids.iter().map(|pid| format!("/proc/{pid}/cwd"));
    let find = ["find".to_owned()].into_iter().chain(links);
    let rest = ["-maxdepth", "0", "-printf", "%p %l\\0"].map(str::to_owned);
    let answer = text(cx, Command::argv(find.chain(rest)).on(node)).await?;
    let dir = |line: &str| {
        let (link, dir) = line.strip_prefix("/proc/")?.split_once("/cwd ")?;
        Some((link.parse().ok()?, dir.to_owned()))
    };
    Ok(answer.split('\0').filter_map(dir).collect())
}

/// The files that a word can name: the word itself, and what follows its first `=`.
fn named(word: &str, dir: Option<&String>) -> impl Iterator<Item = String> {
    let value = word.split_once('=').map(|(_, value)| value);
    let absolute = move |name: &str| match (name.starts_with('/'), dir) {
        (true, _) => Some(tidy(name)),
        (false, Some(dir)) => Some(tidy(&format!("{dir}/{name}"))),
        (false, None) => None,
    };
    [Some(word), value].into_iter().flatten().filter_map(absolute)
}

/// An absolute path without `.`, `..` and empty parts.
fn tidy(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testkit::FakeSite;

    const PIDS: &str = "PID      JOBID    STEPID   LOCALID GLOBALID\n396      7        batch    0       0       \n\
                        412      7        0        0       0       \n413      7        0        -       -       \n";
    const FILE: &str = "/home/u/conf/ds.json";

    /// Two processes with these words, of which the second started so many seconds after the file was written.
    async fn look(words: [&str; 2], seconds: i64, digest: &str) -> Vec<String> {
        let site = FakeSite::shared();
        site.answer("ssh gpu-20 scontrol listpids 7", PIDS);
        let heard: String =
            words.iter().zip([412, 413]).map(|(word, pid)| format!("/proc/{pid}/cmdline:{word}\0")).collect();
        site.answer("ssh gpu-20 grep -z -a -s -H -F -e ds.json /proc/412/cmdline /proc/413/cmdline", heard);
        site.answer(
            "ssh gpu-20 env TZ=UTC LC_ALL=C ps -o pid=,lstart= -p",
            "    412 Thu Nov  5 19:29:09 2026\n    413 Thu Nov  5 19:29:09 2026\n",
        );
        site.answer("ssh gpu-20 find /proc/412/cwd", "/proc/412/cwd /data/u\0/proc/413/cwd /data/u\0");
        site.answer(&format!("ssh gpu-20 readlink -f -- {FILE}"), "/data/u/conf/ds.json\n");
        site.answer(&format!("ssh gpu-20 sha256sum -- {FILE}"), format!("{digest}  {FILE}\n"));
        site.answer(&format!("ssh gpu-20 stat -L -c %Y -- {FILE}"), format!("{}\n", 1_793_906_949 - seconds));
        let expected = BTreeMap::from([(FILE.to_owned(), "ab12".to_owned())]);
        unseen(&site.cx(), 7, "gpu-20", &expected).await.unwrap()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn certain_only_where_all_of_it_can_be_seen() {
        let sure: Vec<String> = Vec::new();
        for word in
            ["conf/ds.json", "--deepspeed=conf/../conf/./ds.json", FILE, "deepspeed=/data/u/conf/ds.json"]
        {
            assert_eq!(look([word, "old_ds.json"], 1, "ab12").await, sure, "{word}");
        }
        let unnamed = look(["other/ds.json", "conf/ds.json.bak"], 60, "ab12").await;
        assert_eq!(unnamed, [format!("{FILE}: no process of the job that could be read names it")]);
        let edited = look(["conf/ds.json", ""], 60, "cd34").await;
        assert_eq!(edited, [format!("{FILE}: it no longer holds what was written")]);
        for seconds in [0, -60] {
            let late = look(["conf/ds.json", ""], seconds, "ab12").await;
            assert!(late[0].ends_with("started after it was written could not be seen"), "{late:?}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_node_that_cannot_be_reached_confirms_nothing() {
        let site = FakeSite::shared();
        site.error("ssh gpu-20", SiteErrorKind::Unreachable);
        let expected = BTreeMap::from([(FILE.to_owned(), "ab12".to_owned())]);
        assert_eq!(unseen(&site.cx(), 7, "gpu-20", &expected).await.unwrap().len(), 1);
        let site = FakeSite::shared();
        site.error("ssh gpu-20", SiteErrorKind::NotRecorded);
        assert!(unseen(&site.cx(), 7, "gpu-20", &expected).await.is_err());
    }

    proptest! {
        #[test]
        fn no_word_panics(word in "[a=./]{0,20}", path in "[a./]{0,20}") {
            let _ = named(&word, Some(&path)).count();
            prop_assert!(tidy(&path).starts_with('/'));
        }
    }
}
