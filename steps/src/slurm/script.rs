//! The batch script that a job really ran, and the file on disk from which it was taken.

use engine::site::{FileKind, SiteErrorKind};
use engine::step::{StepCx, StepError};

use super::call::{Refusal, ask};
use super::id::JobId;
use super::record::Record;
use super::submit_line::{Known, parse};

/// The script that a job really ran: Slurm keeps a copy from the time of submission, so a file edited since differs.
/// `None` if the job has none (it is interactive) or nobody kept it (the records hold scripts only with
/// `AccountingStoreFlags=job_script`, since 21.08).
///
/// # Errors
/// Only the job's owner and operators may read it; or Slurm did not answer.
pub(crate) async fn batch_script(cx: &StepCx, job: &str) -> Result<Option<Vec<u8>>, StepError> {
    let id = JobId::parse(job)?;
    // One script serves all tasks of an array, and scontrol reads only the number.
    let controller = match ask(cx, ["scontrol", "write", "batch_script", id.number(), "-"]).await? {
        Ok(script) => return Ok(Some(script).filter(|script| !script.is_empty())),
        Err(Refusal::Other(text))
            if text.contains("script not specified") || text.contains("no batch script") =>
        {
            return Ok(None);
        }
        Err(denied @ Refusal::Denied(_)) => {
            return Err(denied.error(&format!("reading the script of job {id}")));
        }
        // The records may have it.
        Err(refusal) => refusal,
    };
    let script = match ask(cx, ["sacct", "-B", "-j", id.as_str()]).await? {
        Ok(text) => recorded(&text),
        // Releases before 21.08 know no `-B`.
        Err(Refusal::NoRecords | Refusal::NoSuch) => None,
        Err(Refusal::Other(text))
            if text.contains("invalid option") || text.contains("unrecognized option") =>
        {
            None
        }
        Err(refusal) => return Err(refusal.error(&format!("reading the script of job {id}"))),
    };
    match (script, controller) {
        // A controller that is away may still have the script: that nobody has it is not known.
        (None, away @ Refusal::Unreachable(_)) => Err(away.error(&format!("reading the script of job {id}"))),
        (script, _) => Ok(script),
    }
}

/// The script in an answer of `sacct -B`: a title, a rule, the script, a line break. `None` if there is none.
fn recorded(text: &[u8]) -> Option<Vec<u8>> {
    let mut lines = text.splitn(3, |&byte| byte == b'\n');
    let title = lines.next()?;
    let rule = lines.next()?;
    let script = lines.next()?;
    if !title.starts_with(b"Batch Script for ") || rule.is_empty() || rule.iter().any(|&byte| byte != b'-') {
        return None;
    }
    let script = script.strip_suffix(b"\n").unwrap_or(script);
    // The record of a job that was stored without its script.
    (!script.is_empty() && script != b"NONE" && script != b"NONE\n").then(|| script.to_vec())
}

/// The file from which the job's script was taken, if it is still there. `Command` joins path and arguments with
/// blanks, so the shortest beginning that is a file is the path.
///
/// # Errors
/// A recording without this exchange.
pub(crate) async fn on_disk(cx: &StepCx, record: &Record) -> Result<Option<String>, StepError> {
    let known = Known {
        command: record.command.as_deref(),
        job_name: record.name.as_deref(),
        comment: record.comment.as_deref(),
    };
    let command = match (&record.command, &record.submit_line, &record.work_dir) {
        (Some(command), ..) => command.clone(),
        (None, Some(line), Some(dir)) => {
            match parse(line, known).ok().and_then(|submission| submission.script) {
                Some(script) => absolute(dir, &script),
                None => return Ok(None),
            }
        }
        _ => return Ok(None),
    };
    if !command.starts_with('/') {
        return Ok(None);
    }
    let ends = command.match_indices(' ').map(|(at, _)| at).take(64).chain([command.len()]);
    for end in ends {
        let path = &command[..end];
        match cx.site.stat(path).await {
            Ok(Some(stat)) if stat.kind == FileKind::File => return Ok(Some(path.to_owned())),
            Err(error) if error.kind == SiteErrorKind::NotRecorded => return Err(error.into()),
            // A path that may not be looked at is not known to be there.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(None)
}

/// A path below a directory, unless it is absolute already.
pub(crate) fn absolute(dir: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    format!("{}/{}", dir.trim_end_matches('/'), path.strip_prefix("./").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use engine::step::StepErrorKind;
    use proptest::prelude::*;

    use super::*;
    use crate::slurm::fields::{Fields, JOB_KEYS};
    use crate::slurm::fixtures as fixture;
    use crate::testkit::FakeSite;

    const SCRIPT: &str = "#!/bin/bash\n#SBATCH --gres=gpu:4\nsrun true\n";
    const GONE: &str = "job script retrieval failed: Invalid job id specified";

    #[tokio::test(flavor = "current_thread")]
    async fn slurmctld_gives_it_byte_for_byte() {
        let site = FakeSite::shared();
        site.answer("scontrol write batch_script 12 -", SCRIPT);
        assert_eq!(batch_script(&site.cx(), "12_3").await.unwrap().unwrap(), SCRIPT.as_bytes());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_records_give_it_with_a_title_and_a_line_break() {
        let site = FakeSite::shared();
        site.fail("scontrol", 0, GONE);
        site.answer("sacct -B -j 12", format!("Batch Script for 12\n{}\n{SCRIPT}\n", "-".repeat(80)));
        assert_eq!(batch_script(&site.cx(), "12").await.unwrap().unwrap(), SCRIPT.as_bytes());
        for nothing in ["", "Batch Script for 12\n-----\nNONE\n\n", "Batch Script for 12\n-----\n\n"] {
            let site = FakeSite::shared();
            site.fail("scontrol", 0, GONE);
            site.answer("sacct -B", nothing);
            assert_eq!(batch_script(&site.cx(), "12").await.unwrap(), None);
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_controller_that_is_away_is_no_proof_that_there_is_none() {
        let site = FakeSite::shared();
        site.fail("scontrol", 1, "Unable to contact slurm controller (connect failure)");
        site.fail("sacct -B", 1, "Slurm accounting storage is disabled");
        assert_eq!(batch_script(&site.cx(), "12").await.unwrap_err().kind, StepErrorKind::Unreachable);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn another_persons_script_is_denied() {
        let site = FakeSite::shared();
        site.fail("scontrol", 0, "job script retrieval failed: Invalid user id");
        assert_eq!(batch_script(&site.cx(), "12").await.unwrap_err().kind, StepErrorKind::Denied);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_path_ends_where_a_file_is() {
        let site = FakeSite::shared();
        site.file("/root/slurmtry/my dir/train.sbatch", SCRIPT);
        let fields = Fields::split(fixture::RUNNING_22_05, JOB_KEYS, &[]);
        let mut record = Record::from_scontrol(&fields).unwrap();
        let found = on_disk(&site.cx(), &record).await.unwrap();
        assert_eq!(found.as_deref(), Some("/root/slurmtry/my dir/train.sbatch"));
        record.command = None;
        record.submit_line = Some("sbatch -N2 train.sbatch --lr 3".to_owned());
        assert_eq!(on_disk(&site.cx(), &record).await.unwrap(), found);
        assert_eq!(on_disk(&FakeSite::shared().cx(), &record).await.unwrap(), None, "gone since");
    }

    proptest! {
        #[test]
        fn no_answer_panics(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = recorded(&text);
        }
    }
}
