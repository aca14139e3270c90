//! The log files of a job.

use std::time::Duration;

use engine::site::{DirEntry, FileKind, FileStat};
use engine::step::{StepCx, StepError};
use jiff::Timestamp;

use super::options::{SbatchOption, in_script};
use super::patterns::{Expanded, Values, expand, of_srun, of_torchrun};
use super::record::Record;
use super::submit_line::{Known, parse};

/// Most files named for one job: a rank each.
const MOST: usize = 8192;
/// How far the clock of a file server may be behind. Little, for the job before may have ended just before this one
/// started and have left files of the same names.
const SKEW: Duration = Duration::from_secs(10);
/// How long after its end a job's last lines may reach its files.
const LATE: Duration = Duration::from_secs(60);

/// The log files of a job that exist: its standard output and error, and the per-rank files of `srun --output=…%t…` in
/// its script; and what lies below torchrun's log directory if the script names it. A directory that this machine does not
/// see is a node's own: it is named for each of `nodes`, as `host:/path`. Files last written before the job started are another job's and are left out; so are those written long
/// after it ended whose names do not tell jobs apart: a later job has taken them over.
///
/// # Errors
/// Only those that no answer can follow from (a recording without this exchange).
pub(crate) async fn find(
    cx: &StepCx,
    record: &Record,
    script: Option<&str>,
    nodes: &[String],
) -> Result<Vec<String>, StepError> {
    let Some(dir) = record.work_dir.as_deref() else { return Ok(Vec::new()) };
    let values = Values::of(record);
    let window = |pattern: &str| Window::of(record, pattern);
    let mut logs = Vec::new();
    for path in own(record, script) {
        // What Slurm printed may be filled in already, and may then hold a `%` of its own.
        let literal = super::script::absolute(dir, &path);
        if window(&path).holds(stat(cx, &literal).await?) {
            logs.push(literal);
            continue;
        }
        if let Some(expanded) = expand(&path, dir, &values) {
            existing(cx, expanded, window(&path), &mut logs).await?;
        }
    }
    for pattern in script.map(|script| of_srun(script, record)).unwrap_or_default() {
        if let Some(expanded) = expand(&pattern, dir, &values) {
            existing(cx, expanded, window(&pattern), &mut logs).await?;
        }
    }
    for written in script.map(|script| of_torchrun(script, record)).unwrap_or_default() {
        let path = super::script::absolute(dir, &written);
        match stat(cx, &path).await? {
            Some(found) if found.kind == FileKind::Dir => {
                below(cx, &path, window(&path), &mut logs).await?;
            }
            Some(_) => {}
            // Only an absolute path can be meant to be a node's own.
            None if written.starts_with('/') => {
                logs.extend(nodes.iter().map(|node| format!("{node}:{path}")))
            }
            None => {}
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    logs.retain(|log| log != "/dev/null" && seen.insert(log.clone()));
    logs.truncate(MOST);
    Ok(logs)
}

/// Paths or patterns of the job's own output and error, as Slurm says them or as the submission did.
fn own(record: &Record, script: Option<&str>) -> Vec<String> {
    if record.stdout.is_some() || record.stderr.is_some() {
        return record.stdout.iter().chain(&record.stderr).cloned().collect();
    }
    // Records before 24.05 do not say it. The command line counts more than the script.
    let known = Known { command: record.command.as_deref(), job_name: record.name.as_deref(), comment: None };
    let line = record.submit_line.as_deref().and_then(|line| parse(line, known).ok()).unwrap_or_default();
    let head = script.map(in_script).unwrap_or_default();
    let value = |name: &str| {
        let last = |options: &[SbatchOption]| options.iter().rev().find(|o| o.name == name)?.value.clone();
        last(&line.options).or_else(|| last(&head))
    };
    let default = if record.array_job.is_some() { "slurm-%A_%a.out" } else { "slurm-%j.out" };
    let mut paths = vec![value("output").unwrap_or_else(|| default.to_owned())];
    paths.extend(value("error"));
    paths
}

async fn existing(
    cx: &StepCx,
    expanded: Expanded,
    window: Window,
    logs: &mut Vec<String>,
) -> Result<(), StepError> {
    match expanded {
        Expanded::File(path) => {
            if window.holds(stat(cx, &path).await?) {
                logs.push(path);
            }
        }
        Expanded::Files { dir, names } => {
            let mut dirs = vec![dir];
            for (depth, name) in names.iter().enumerate() {
                let last = depth + 1 == names.len();
                let mut found = Vec::new();
                for dir in dirs {
                    let wanted = |entry: &DirEntry| {
                        let kind = if last { FileKind::File } else { FileKind::Dir };
                        let held = !last || window.holds(Some(entry.stat.clone()));
                        entry.stat.kind == kind && name.is_match(&entry.name) && held
                    };
                    let entries = list(cx, &dir).await?.into_iter().filter(wanted);
                    found
                        .extend(entries.map(|entry| format!("{}/{}", dir.trim_end_matches('/'), entry.name)));
                }
                found.truncate(MOST);
                dirs = found;
            }
            logs.extend(dirs);
        }
    }
    Ok(())
}

/// The files of torchrun's workers (`RUN_ID/attempt_N/LOCAL_RANK/stderr.log`, `error.json`).
async fn below(cx: &StepCx, dir: &str, window: Window, logs: &mut Vec<String>) -> Result<(), StepError> {
    let mut open = vec![(dir.trim_end_matches('/').to_owned(), 0)];
    while let Some((dir, depth)) = open.pop() {
        for entry in list(cx, &dir).await? {
            let path = format!("{dir}/{}", entry.name);
            match entry.stat.kind {
                FileKind::Dir if depth < 3 => open.push((path, depth + 1)),
                FileKind::File if is_workers(&entry.name) && window.holds(Some(entry.stat)) => {
                    logs.push(path)
                }
                _ => {}
            }
        }
        if logs.len() > MOST {
            return Ok(());
        }
    }
    Ok(())
}

fn is_workers(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    matches!(name, "stdout.log" | "stderr.log" | "error.json" | "filtered_stdout.log" | "filtered_stderr.log")
}

/// A directory that cannot be listed counts as empty.
async fn list(cx: &StepCx, dir: &str) -> Result<Vec<DirEntry>, StepError> {
    match cx.site.list(dir).await {
        Ok(entries) => Ok(entries),
        Err(error) if lost(&error) => Err(error.into()),
        Err(_) => Ok(Vec::new()),
    }
}

/// A file that cannot be looked at counts as not there; a log is a help, not a condition.
async fn stat(cx: &StepCx, path: &str) -> Result<Option<FileStat>, StepError> {
    match cx.site.stat(path).await {
        Ok(stat) => Ok(stat),
        Err(error) if lost(&error) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

fn lost(error: &engine::site::SiteError) -> bool {
    error.kind == engine::site::SiteErrorKind::NotRecorded
}

/// When a file of a job was written last.
#[derive(Clone, Copy)]
struct Window {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Window {
    fn of(record: &Record, pattern: &str) -> Self {
        let number = |number: Option<u64>| number.is_some_and(|number| pattern.contains(&number.to_string()));
        let own = ["%j", "%J", "%A"].iter().any(|letter| pattern.contains(letter))
            || number(record.number)
            || number(record.array_job);
        Self { from: record.started, until: record.ended.filter(|_| !own) }
    }

    fn holds(self, stat: Option<FileStat>) -> bool {
        stat.is_some_and(|stat| {
            stat.kind == FileKind::File
                && self.from.is_none_or(|from| stat.modified + SKEW >= from)
                && self.until.is_none_or(|until| stat.modified <= until + LATE)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slurm::fields::{Fields, JOB_KEYS};
    use crate::slurm::fixtures as fixture;
    use crate::testkit::FakeSite;

    fn record(text: &str) -> Record {
        Record::from_scontrol(&Fields::split(text, JOB_KEYS, &[])).unwrap()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn own_output_and_rank_files() {
        let site = FakeSite::shared();
        let record = record(fixture::RUNNING_22_05);
        for name in ["slurm-1.out", "rank-0.out", "rank-1.out", "rank-x.out", "other.out"] {
            site.file(&format!("/root/slurmtry/my dir/{name}"), "x");
        }
        let script = "#!/bin/bash\nsrun --output=rank-%t.out python train.py\n";
        let dir = "/root/slurmtry/my dir";
        let logs = find(&site.cx(), &record, Some(script), &[]).await.unwrap();
        assert_eq!(logs, ["slurm-1.out", "rank-0.out", "rank-1.out"].map(|name| format!("{dir}/{name}")));
        let logs = find(&site.cx(), &record, None, &[]).await.unwrap();
        assert_eq!(logs, [format!("{dir}/slurm-1.out")]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn files_of_an_earlier_job_are_left_out() {
        let site = FakeSite::shared();
        let mut record = record(fixture::RUNNING_22_05);
        site.file("/root/slurmtry/my dir/slurm-1.out", "x");
        record.started = Some("2026-11-24T04:00:00Z".parse().unwrap());
        assert!(find(&site.cx(), &record, None, &[]).await.unwrap().is_empty());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn files_that_a_later_job_has_taken_over_are_left_out() {
        let site = FakeSite::shared();
        let mut record = record(fixture::RUNNING_22_05);
        for name in ["slurm-1.out", "rank-0.out", "1-0.out"] {
            site.file(&format!("/root/slurmtry/my dir/{name}"), "x");
        }
        let script = Some("srun -o rank-%t.out true\nsrun -o %j-%t.out true\n");
        record.ended = Some("2026-11-24T02:30:00Z".parse().unwrap());
        let dir = "/root/slurmtry/my dir";
        let logs = find(&site.cx(), &record, script, &[]).await.unwrap();
        assert_eq!(logs, [format!("{dir}/slurm-1.out"), format!("{dir}/1-0.out")]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn where_the_records_do_not_say_it() {
        let site = FakeSite::shared();
        let mut record = record(fixture::RUNNING_22_05);
        (record.stdout, record.stderr, record.command) = (None, None, None);
        record.name = Some("llama".to_owned());
        site.file("/root/slurmtry/my dir/slurm-1.out", "x");
        site.file("/root/slurmtry/my dir/logs/llama-1.out", "x");
        site.file("/root/slurmtry/my dir/e.err", "x");
        let find =
            async |record: &Record, script| find(&site.cx(), record, script, &[]).await.unwrap().join(" ");
        let dir = "/root/slurmtry/my dir";
        assert_eq!(find(&record, None).await, format!("{dir}/slurm-1.out"));
        let script = Some("#!/bin/sh\n#SBATCH -o logs/%x-%j.out -e e.err\n");
        assert_eq!(find(&record, script).await, format!("{dir}/logs/llama-1.out {dir}/e.err"));
        record.submit_line = Some("sbatch --output slurm-%j.out train.sbatch".to_owned());
        assert_eq!(find(&record, script).await, format!("{dir}/slurm-1.out {dir}/e.err"));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn files_per_node_and_of_torchruns_workers() {
        let site = FakeSite::shared();
        let record = record(fixture::RUNNING_22_05);
        let dir = "/root/slurmtry/my dir";
        for name in [
            "gpu-20/0.out",
            "gpu-21/1.out",
            "gpu-21/x.out",
            "t/none_ab/attempt_0/3/stderr.log",
            "t/none_ab/attempt_0/3/x.pt",
        ] {
            site.file(&format!("{dir}/{name}"), "x");
        }
        let script =
            "srun -o %N/%t.out torchrun --log-dir t --tee 3 train.py\ntorchrun --log-dir /local/t train.py\n";
        let nodes = ["gpu-20", "gpu-21"].map(str::to_owned);
        let logs = find(&site.cx(), &record, Some(script), &nodes).await.unwrap();
        let here = ["gpu-20/0.out", "gpu-21/1.out", "t/none_ab/attempt_0/3/stderr.log"]
            .map(|name| format!("{dir}/{name}"));
        let there = nodes.map(|node| format!("{node}:/local/t"));
        assert_eq!(logs, [&here[..2], &there, &here[2..]].concat());
    }
}
