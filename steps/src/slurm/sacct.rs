//! `sacct`: rows of fields with a separator that nobody types.

use engine::step::{StepCx, StepError};
use jiff::Timestamp;

use super::call::{Refusal, ask};
use super::id::JobId;
use super::record::Record;

/// Between fields; names, comments and command lines may hold every printable character.
pub(crate) const SEPARATOR: char = '\u{1f}';

/// Fields of every release from 20.11.
const ALWAYS: &[&str] = &[
    "JobIDRaw",
    "JobID",
    "JobName",
    "User",
    "State",
    "Reason",
    "ExitCode",
    "DerivedExitCode",
    "NodeList",
    "NNodes",
    "Partition",
    "Account",
    "QOS",
    "Submit",
    "Start",
    "End",
    "AllocTRES",
    "Comment",
    "Cluster",
    "WorkDir",
];

/// Fields of later releases: 21.08, 24.11, 24.05, 24.05. An unknown name is an error, so `sacct` is asked for its list.
const LATER: &[&str] = &["SubmitLine", "Restarts", "StdOut", "StdErr"];

/// The rows of a text whose rows have `width` fields; a field may hold a line break.
pub(crate) fn rows(text: &str, width: usize) -> Vec<Vec<&str>> {
    let mut rows = Vec::new();
    let mut start = 0;
    let mut separators = 0;
    for (at, c) in text.char_indices() {
        if c == SEPARATOR {
            separators += 1;
        }
        if c == '\n' && separators + 1 >= width {
            rows.push(text[start..at].split(SEPARATOR).collect());
            start = at + 1;
            separators = 0;
        }
    }
    rows
}

/// The fields that this release has, of those that are wanted.
async fn fields(cx: &StepCx) -> Result<Result<Vec<&'static str>, Refusal>, StepError> {
    // `--helpformat` asks no daemon.
    Ok(ask(cx, ["sacct", "--helpformat"]).await?.map(|answer| {
        let text = String::from_utf8_lossy(&answer);
        let has = |name: &&&str| text.split_whitespace().any(|known| known.eq_ignore_ascii_case(name));
        ALWAYS.iter().chain(LATER.iter().filter(has)).copied().collect()
    }))
}

/// The records of a job: one, or one for each task of an array or component of a heterogeneous job. Empty if there is
/// none (yet: records trail by a moment).
pub(crate) async fn records(cx: &StepCx, job: &JobId) -> Result<Result<Vec<Record>, Refusal>, StepError> {
    list(cx, job, &[]).await
}

/// The records of the runs of a job before its last one: Slurm starts it again under the same id, and shows only the last
/// run unless asked. `present` is when that one started; it may still wait. Empty where records are not kept or cannot be
/// read.
pub(crate) async fn earlier(
    cx: &StepCx,
    job: &JobId,
    present: Option<Timestamp>,
) -> Result<Vec<Record>, StepError> {
    let mut runs = list(cx, job, &["-D"]).await?.unwrap_or_default();
    let before =
        |run: &Record| run.started.is_some_and(|start| present.is_none_or(|present| start < present));
    runs.retain(|run| run.job == job.as_str() && run.ended.is_some() && before(run));
    runs.sort_by_key(|run| run.started);
    Ok(runs)
}

async fn list(cx: &StepCx, job: &JobId, more: &[&str]) -> Result<Result<Vec<Record>, Refusal>, StepError> {
    let names = match fields(cx).await? {
        Ok(names) => names,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // Without `-X` the steps of the job are listed too. With `-j` the window opens at the epoch.
    let format = names.join(",");
    let delimiter = format!("--delimiter={SEPARATOR}");
    let argv =
        [&["sacct", "-n", "-P", "-X"], more, &[&delimiter, "-j", job.as_str(), "-o", &format]].concat();
    Ok(ask(cx, argv).await?.map(|answer| {
        let text = String::from_utf8_lossy(&answer);
        rows(&text, names.len()).iter().filter_map(|row| Record::from_sacct(&names, row)).collect()
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testkit::FakeSite;

    #[test]
    fn a_field_may_hold_a_line_break() {
        let text = "1\u{1f}a\nb\u{1f}x\n2\u{1f}c|d\u{1f}y\n";
        assert_eq!(rows(text, 3), [vec!["1", "a\nb", "x"], vec!["2", "c|d", "y"]]);
        assert!(rows("", 3).is_empty());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn only_fields_of_this_release_are_asked_for() {
        let site = FakeSite::shared();
        site.answer("sacct --helpformat", "Account AdminComment \nComment Submit SubmitLine\n");
        site.answer("sacct -n", "");
        let job = JobId::parse("7").unwrap();
        assert_eq!(records(&site.cx(), &job).await.unwrap().unwrap(), []);
        let call = site.lines().pop().unwrap();
        assert!(call.contains("-j 7 -o JobIDRaw,") && call.ends_with(",WorkDir,SubmitLine"), "{call}");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\PC\u{1f}\n]{0,200}", width in 0usize..5) {
            let _ = rows(&text, width);
        }
    }
}
