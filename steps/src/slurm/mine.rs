//! What this tool made: the mark `runbook:<token>` in a comment or a reason by which a change finds its own effect again,
//! and the search for a submitted job by it.

use engine::step::{StepCx, StepError};

use super::call::{Refusal, ask};
use super::id::JobId;
use super::pin::Pin;
use super::sacct::{SEPARATOR, rows};
use super::value::time;

/// The mark of a token.
pub(crate) fn mark(token: &str) -> String {
    format!("{START}{token}")
}

const START: &str = "runbook:";

/// Before the place in the journal at which a submission was made: `runbook-head:57-0a1b2c3d4e5f6071`.
pub(crate) const HEAD: &str = "runbook-head:";

/// Whether a text carries the mark of this token.
pub(crate) fn carries(text: &str, token: &str) -> bool {
    !token.is_empty() && text.split_whitespace().any(|word| word.strip_prefix(START) == Some(token))
}

/// Whether a text carries any mark.
pub(crate) fn carries_any(text: &str) -> bool {
    text.split_whitespace().any(|word| word.starts_with(START))
}

/// A text with this token's mark in the place of older ones.
pub(crate) fn marked(text: &str, token: &str) -> String {
    let words = text.split(' ').filter(|word| !word.starts_with(START) && !word.starts_with(HEAD));
    let kept: Vec<&str> = words.collect();
    format!("{} {}", kept.join(" ").trim(), mark(token)).trim_start().to_owned()
}

/// A place in a run's journal that the comment of a job of that run names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadOfJob {
    /// The run that submitted it.
    pub run: String,
    /// The job.
    pub job: String,
    /// Number of the entry.
    pub seq: u64,
    /// The first characters of its hash.
    pub hash: String,
}

/// Reads what the comments of jobs say of the journals of the runs that submitted them, in slurmctld and in the records since
/// `since`. What Slurm does not tell is not there: a comment is kept in the records only with `AccountingStoreFlags=job_comment`.
pub async fn heads_of_jobs(cx: &StepCx, since: jiff::Timestamp) -> Vec<HeadOfJob> {
    let format = ["%i", "%k"].join(&SEPARATOR.to_string());
    let from = since.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let delimiter = format!("--delimiter={SEPARATOR}");
    let questions = [
        vec!["squeue", "-h", "-t", "all", "-o", &format],
        vec!["sacct", "-n", "-P", "-X", &delimiter, "-S", &from, "-o", "JobID,Comment"],
    ];
    let mut heads: Vec<HeadOfJob> = Vec::new();
    for question in questions {
        let Ok(Ok(answer)) = ask(cx, question).await else { continue };
        let text = String::from_utf8_lossy(&answer);
        for row in rows(&text, 2) {
            let &[job, comment] = row.as_slice() else { continue };
            heads.extend(head_in(job, comment));
        }
    }
    heads.sort_by(|one, other| (one.seq, &one.job).cmp(&(other.seq, &other.job)));
    heads.dedup();
    heads
}

fn head_in(job: &str, comment: &str) -> Option<HeadOfJob> {
    let word = |start| comment.split_whitespace().find_map(move |word| word.strip_prefix(start));
    let (run, _) = word(START)?.split_once('/')?;
    let (seq, hash) = word(HEAD)?.split_once('-')?;
    let hex = hash.len() >= 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let hash = hex.then(|| hash.to_owned())?;
    Some(HeadOfJob { run: run.to_owned(), job: job.to_owned(), seq: seq.parse().ok()?, hash })
}

/// What the search came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Search {
    /// This job carries the mark.
    Found(JobId),
    /// No job carries it, and none could have been missed.
    Nowhere,
    /// No job carries it, but one could have been missed; why.
    Unsure(String),
}

/// Looks for the job that carries the mark of `token`: among those that slurmctld still knows, then in the records.
/// `first` is the job whose submission was repeated, `name` its name.
///
/// # Errors
/// Slurm's programs are not there.
pub(crate) async fn find(
    cx: &StepCx,
    token: &str,
    first: &Pin,
    name: Option<&str>,
) -> Result<Result<Search, Refusal>, StepError> {
    let format = ["%i", "%T", "%k", "%j", "%V"].join(&SEPARATOR.to_string());
    let answer = match ask(cx, ["squeue", "-h", "-t", "all", "-o", &format]).await? {
        Ok(answer) => answer,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let text = String::from_utf8_lossy(&answer);
    let mut seen = Vec::new();
    let mut suspects = Vec::new();
    let since = first.submitted.as_deref().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    for row in rows(&text, 5) {
        let &[id, _, comment, job_name, submitted] = row.as_slice() else { continue };
        let Some(id) = number(id) else { continue };
        if carries(comment, token) {
            return Ok(Ok(Search::Found(id)));
        }
        // A site's plugin may have rewritten the comment.
        let later = time(submitted).is_none_or(|at| since.is_none_or(|since| at > since));
        if later && Some(job_name) == name && !carries_any(comment) && id.as_str() != first.job {
            suspects.push(id.to_string());
        }
        seen.push(id);
    }
    // What slurmctld has forgotten (`MinJobAge`) is in the records, where there are any.
    let Some(since) = since else {
        return Ok(Ok(Search::Unsure(format!(
            "when job {} was submitted is not known, so the records cannot be searched",
            first.job
        ))));
    };
    let from = since.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let delimiter = format!("--delimiter={SEPARATOR}");
    let fields = "JobID,Comment,JobName";
    match ask(cx, ["sacct", "-n", "-P", "-X", &delimiter, "-S", &from, "-o", fields]).await? {
        Ok(answer) => {
            let text = String::from_utf8_lossy(&answer);
            for row in rows(&text, 3) {
                let &[id, comment, job_name] = row.as_slice() else { continue };
                let Some(id) = number(id) else { continue };
                if carries(comment, token) {
                    return Ok(Ok(Search::Found(id)));
                }
                // Comments are recorded when a job ends, and only with `AccountingStoreFlags=job_comment`.
                let first_number = first.job.split(['_', '+']).next();
                if Some(job_name) == name
                    && !carries_any(comment)
                    && Some(id.as_str()) != first_number
                    && !seen.contains(&id)
                {
                    suspects.push(id.to_string());
                }
            }
        }
        Err(refusal) => {
            return Ok(Ok(Search::Unsure(format!(
                "slurmctld knows no job with the mark of this step, but it forgets jobs that have ended, and the records \
                 cannot be read: {}",
                refusal.error("sacct").message
            ))));
        }
    }
    suspects.sort();
    suspects.dedup();
    Ok(Ok(if suspects.is_empty() {
        Search::Nowhere
    } else {
        Search::Unsure(format!(
            "no job carries the mark of this step, but these have the same name and came later: {}",
            crate::text::names(&suspects)
        ))
    }))
}

/// `2` of `2_[1-3]`, `2_1`, `2+0`.
fn number(id: &str) -> Option<JobId> {
    JobId::parse(id.split(['_', '+']).next()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::FakeSite;

    #[test]
    fn marks_are_whole_words() {
        assert_eq!(marked("nightly run", "r/12"), "nightly run runbook:r/12");
        assert_eq!(marked("nightly runbook:r/1", "r/12"), "nightly runbook:r/12");
        assert_eq!(marked("", "r/12"), "runbook:r/12");
        assert!(carries("a runbook:r/12 b", "r/12"));
        assert!(!carries("runbook:r/12", "r/1") && !carries("runbook:", ""));
        assert!(carries_any("x runbook:r/1") && !carries_any("runbooks"));
    }

    async fn search(squeue: &str, sacct: Result<&str, &str>) -> Search {
        let site = FakeSite::shared();
        site.answer("squeue", squeue.replace('|', "\u{1f}"));
        match sacct {
            Ok(text) => site.answer("sacct", text.replace('|', "\u{1f}")),
            Err(text) => site.fail("sacct", 1, text),
        }
        let first = Pin { job: "5".into(), submitted: Some("2026-11-24T02:04:35Z".into()), ..Pin::default() };
        find(&site.cx(), "run/1", &first, Some("llama")).await.unwrap().unwrap()
    }

    fn found(id: &str) -> Search {
        Search::Found(JobId::parse(id).unwrap())
    }

    #[tokio::test(flavor = "current_thread")]
    async fn by_the_mark() {
        assert_eq!(search("9|RUNNING|nightly runbook:run/1|llama|1795486000\n", Ok("")).await, found("9"));
        assert_eq!(search("9_[1-3%1]|PENDING|runbook:run/1|llama|1795486000\n", Ok("")).await, found("9"));
        assert_eq!(search("", Ok("8|runbook:run/1|llama\n")).await, found("8"));
        assert_eq!(search("", Ok("8|runbook:run/12|llama\n5|x|llama\n")).await, Search::Nowhere);
    }

    #[test]
    fn a_place_in_the_journal_stands_beside_the_mark() {
        let text = "nightly runbook:20261124-031244-k7f2/12 runbook-head:57-0a1b2c3d4e5f6071";
        assert!(carries(text, "20261124-031244-k7f2/12"), "it does not get in the way of the search");
        let head = head_in("9", text).unwrap();
        assert_eq!(
            (head.run.as_str(), head.seq, head.hash.as_str()),
            ("20261124-031244-k7f2", 57, "0a1b2c3d4e5f6071")
        );
        assert_eq!(head_in("9", "runbook:r/1 runbook-head:7-$(id)aaaa"), None);
        assert_eq!(head_in("9", "runbook-head:7-0a1b2c3d"), None);
        assert_eq!(marked(text, "r/2"), "nightly runbook:r/2");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn comments_are_looked_for_in_both_places() {
        let site = FakeSite::shared();
        site.answer("squeue -h -t all", "9\u{1f}runbook:r/1 runbook-head:7-0a1b2c3d\n8\u{1f}(null)\n");
        site.answer("sacct -n", "7\u{1f}x runbook:r/1 runbook-head:5-ffffffff\n");
        let heads = heads_of_jobs(&site.cx(), jiff::Timestamp::UNIX_EPOCH).await;
        let heads: Vec<_> =
            heads.iter().map(|head| (head.job.as_str(), head.seq, head.hash.as_str())).collect();
        assert_eq!(heads, [("7", 5, "ffffffff"), ("9", 7, "0a1b2c3d")]);
        let away = FakeSite::shared();
        assert!(heads_of_jobs(&away.cx(), jiff::Timestamp::UNIX_EPOCH).await.is_empty());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn doubt_is_said() {
        assert!(matches!(search("9|RUNNING|(null)|llama|1795486000\n", Ok("")).await, Search::Unsure(_)));
        assert_eq!(
            search("4|RUNNING|(null)|llama|1795480000\n", Ok("")).await,
            Search::Nowhere,
            "it is older"
        );
        assert!(
            matches!(search("", Ok("8||llama\n")).await, Search::Unsure(_)),
            "comments may not be recorded"
        );
        assert!(matches!(search("", Err("Connection refused")).await, Search::Unsure(_)));
    }
}
