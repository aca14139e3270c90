//! Finding a job: slurmctld first, the records where it has forgotten.

use engine::step::{StepCx, StepError, StepErrorKind};

use super::call::{Refusal, ask};
use super::fields::{Fields, JOB_KEYS, records as split_records};
use super::id::JobId;
use super::json;
use super::record::Record;
use super::sacct::{self, SEPARATOR};

/// What is known of a job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    /// It is this one. A heterogeneous job has further components.
    Job(Box<Record>, Vec<Record>),
    /// Neither slurmctld nor the records know it; the sentence says who was asked.
    Missing(String),
    /// It cannot be told; why.
    Unknown(String),
    /// Who could tell did not answer, and may do so later; the sentence says who.
    Unreachable(String),
}

impl Found {
    /// It cannot be told, but may be `later`.
    fn untold(later: bool, why: String) -> Self {
        if later { Self::Unreachable(why) } else { Self::Unknown(why) }
    }
}

/// Looks a job up, with the records' additions (how it was submitted).
///
/// # Errors
/// The id names a whole array, or Slurm's programs are not there.
pub(crate) async fn job(cx: &StepCx, id: &JobId) -> Result<Found, StepError> {
    let live = live(cx, id).await?;
    let recorded = match sacct::records(cx, id).await? {
        Ok(records) => pick(records, id)?,
        Err(refusal) => {
            return Ok(match live {
                Ok(Some((main, others))) => Found::Job(Box::new(main), others),
                Ok(None) if refusal == Refusal::NoRecords => Found::Missing(format!(
                    "slurmctld does not know job {id}, and this cluster keeps no records"
                )),
                Ok(None) => {
                    let later = refusal.is_unreachable();
                    let why = refusal.error("sacct").message;
                    Found::untold(
                        later,
                        format!(
                            "slurmctld does not know job {id} (any more), and the records cannot be read: {why}"
                        ),
                    )
                }
                Err(why) => {
                    let later = why.is_unreachable() || refusal.is_unreachable();
                    let (why, refusal) = (why.error("scontrol").message, refusal.error("sacct").message);
                    Found::untold(
                        later,
                        format!("neither slurmctld nor the records can be asked: {why}; {refusal}"),
                    )
                }
            });
        }
    };
    Ok(match (live, recorded) {
        (Ok(Some((mut main, others))), recorded) => {
            if let Some((recorded, _)) = recorded {
                main.complete_from(&recorded);
            }
            Found::Job(Box::new(main), others)
        }
        (_, Some((main, others))) => Found::Job(Box::new(main), others),
        (Ok(None), None) => Found::Missing(format!("neither slurmctld nor the records know job {id}")),
        (Err(why), None) => {
            let later = why.is_unreachable();
            let why = why.error("scontrol").message;
            Found::untold(
                later,
                format!("slurmctld cannot be asked, and the records do not know job {id}: {why}"),
            )
        }
    })
}

/// Looks a job up in slurmctld alone; `Ok(None)` if it does not know it (any more).
pub(crate) async fn live(
    cx: &StepCx,
    id: &JobId,
) -> Result<Result<Option<(Record, Vec<Record>)>, Refusal>, StepError> {
    let text = match ask(cx, ["scontrol", "-o", "show", "job", id.as_str()]).await? {
        Ok(answer) => String::from_utf8_lossy(&answer).into_owned(),
        Err(Refusal::NoSuch) => return Ok(Ok(None)),
        // scontrol says so on standard output for a task or component that is not there.
        Err(Refusal::Other(text)) if text.contains("not found") => return Ok(Ok(None)),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut found = Vec::new();
    for record in split_records(&text, "JobId") {
        found.extend(read(cx, record).await?);
    }
    if found.is_empty() && !text.trim().is_empty() && !text.contains("not found") {
        return Err(StepError::malformed(format!(
            "the answer of `scontrol show job {id}` is not understood: {}",
            crate::text::clean(&text)
        )));
    }
    pick(found, id).map(Ok)
}

/// Reads one record of `scontrol -o show job`. Free texts that look like further keys, and a flag that hides the state,
/// are settled by asking in another form.
async fn read(cx: &StepCx, text: &str) -> Result<Option<Record>, StepError> {
    let fields = Fields::split(text, JOB_KEYS, &[]);
    let doubtful = fields.doubtful;
    let Some(record) = Record::from_scontrol(&fields) else { return Ok(None) };
    let hidden = record.state.as_ref().is_some_and(|state| state.is_flag() && !state.is_waiting());
    let (Ok(id), Some(number), true) = (JobId::parse(&record.job), record.number, doubtful || hidden) else {
        return Ok(Some(record));
    };
    if let Some(json) = json::job_of(cx, &id, number).await? {
        let sure: Vec<(&str, &str)> = json.texts.iter().map(|(key, text)| (*key, text.as_str())).collect();
        let mut record = Record::from_scontrol(&Fields::split(text, JOB_KEYS, &sure));
        if let Some(record) = record.as_mut().filter(|_| hidden) {
            record.base = json.base().filter(|state| state.is_released()).cloned();
        }
        return Ok(record);
    }
    if !doubtful {
        return Ok(Some(record));
    }
    Ok(Record::from_scontrol(&settle(cx, text, &id, fields).await?))
}

/// Splits a record again with the free texts as `squeue` prints them, one by one: what stands in them is no key.
async fn settle(cx: &StepCx, record: &str, id: &JobId, fields: Fields) -> Result<Fields, StepError> {
    let format = ["%j", "%k", "%o", "%Z"].join(&SEPARATOR.to_string());
    let Ok(answer) = ask(cx, ["squeue", "-h", "-t", "all", "-j", id.as_str(), "-o", &format]).await? else {
        return Ok(fields);
    };
    let text = String::from_utf8_lossy(&answer);
    let rows = sacct::rows(&text, 4);
    let [row] = rows.as_slice() else { return Ok(fields) };
    let &[name, comment, command, dir] = row.as_slice() else { return Ok(fields) };
    let sure = [("JobName", name), ("Comment", comment), ("Command", command), ("WorkDir", dir)];
    Ok(Fields::split(record, JOB_KEYS, &sure))
}

/// The one job that an id names, and the other components of a heterogeneous job.
fn pick(mut found: Vec<Record>, id: &JobId) -> Result<Option<(Record, Vec<Record>)>, StepError> {
    if let Some(task) = id.task() {
        found.retain(|record| record.array_task.is_some_and(|index| index.to_string() == task));
    }
    if let Some(component) = id.component() {
        found.retain(|record| record.component.is_some_and(|offset| offset.to_string() == component));
    }
    if found.len() > 1 && found.iter().all(|record| record.component.is_some()) {
        found.sort_by_key(|record| record.component);
        let mut main = found.remove(0);
        // Acting on component 0 acts on the whole job, so it is named by the plain number.
        main.job = id.number().to_owned();
        return Ok(Some((main, found)));
    }
    match found.len() {
        0 => Ok(None),
        1 if found[0].array_rest.is_none() => Ok(found.pop().map(|record| (record, Vec::new()))),
        _ => {
            let tasks: Vec<String> = found.iter().map(|record| record.job.clone()).collect();
            Err(StepError::new(StepErrorKind::Params, format!("job {id} is an array, not one job"))
                .help(format!("Name one task of it: {}.", crate::text::names(&tasks))))
        }
    }
}

/// The nodes of a folded list, in order.
///
/// # Errors
/// Slurm's programs are not there.
pub(crate) async fn nodes(cx: &StepCx, list: Option<&str>) -> Result<Option<Vec<String>>, StepError> {
    let Some(list) = list else { return Ok(Some(Vec::new())) };
    if list.starts_with('-') {
        return Ok(None);
    }
    // Slurm unfolds it itself, without a daemon: brackets may be nested and numbers padded.
    let answer = ask(cx, ["scontrol", "show", "hostnames", list]).await?;
    Ok(answer.ok().map(|answer| {
        String::from_utf8_lossy(&answer)
            .lines()
            .map(str::trim)
            .filter(|node| !node.is_empty())
            .map(str::to_owned)
            .collect()
    }))
}

/// The cluster's name, asked of slurmctld; `None` if it does not answer.
///
/// # Errors
/// Slurm's programs are not there.
pub(crate) async fn cluster(cx: &StepCx) -> Result<Option<String>, StepError> {
    Ok(config(cx).await?.and_then(|config| setting(&config, "ClusterName")))
}

/// slurmctld's configuration as `scontrol show config` prints it; `None` if it does not answer.
///
/// # Errors
/// Slurm's programs are not there.
pub(crate) async fn config(cx: &StepCx) -> Result<Option<String>, StepError> {
    let answer = ask(cx, ["scontrol", "show", "config"]).await?;
    Ok(answer.ok().map(|answer| String::from_utf8_lossy(&answer).into_owned()))
}

/// A setting of `scontrol show config`.
pub(crate) fn setting(config: &str, name: &str) -> Option<String> {
    config.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == name).then(|| super::value::known(value).map(str::to_owned))?
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::slurm::fixtures as fixture;
    use crate::testkit::FakeSite;

    fn id(text: &str) -> JobId {
        JobId::parse(text).unwrap()
    }

    fn no_records(site: &Arc<FakeSite>) {
        site.answer("sacct --helpformat", "SubmitLine");
        site.answer("sacct -n", "");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_doubtful_record_is_settled_by_squeue() {
        let site = FakeSite::shared();
        no_records(&site);
        site.answer("scontrol -o show job 1", fixture::job("n", "/x WorkDir=/evil Comment=foo", ""));
        site.fail("scontrol show job 1 --json", 1, fixture::NO_JSON);
        site.answer("squeue", "n\u{1f}\u{1f}/x WorkDir=/evil Comment=foo\u{1f}/d\n");
        let Found::Job(record, _) = job(&site.cx(), &id("1")).await.unwrap() else { panic!() };
        assert_eq!(record.work_dir.as_deref(), Some("/d"));
        assert_eq!(record.comment, None);
        assert!(site.lines().iter().any(|call| call.starts_with("squeue -h -t all -j 1 -o")));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn json_settles_free_texts_and_shows_the_state_below_a_flag() {
        use fixture::versions::{JSON, TEXT};
        for (version, text) in TEXT {
            let site = FakeSite::shared();
            no_records(&site);
            site.answer("scontrol -o show job 123_1", *text);
            let json = JSON.iter().find(|(other, _)| other == version && *version >= "23.02");
            match json {
                Some((_, json)) => site.answer("scontrol show job 123_1 --json", *json),
                None => site.fail("scontrol show job 123_1 --json", 1, fixture::NO_JSON),
            }
            let row = [
                "llama JobState=FAILED",
                "nightly run=7",
                "/home/kim/my dir/train.sbatch",
                "/home/kim/my dir",
            ];
            site.answer("squeue", format!("{}\n", row.join("\u{1f}")));
            let Found::Job(record, _) = job(&site.cx(), &id("123_1")).await.unwrap() else {
                panic!("{version}")
            };
            assert_eq!(record.name.as_deref(), Some("llama JobState=FAILED"), "{version}");
            assert_eq!(record.state.as_ref().unwrap().word(), "COMPLETING", "{version}");
            let base = (*version >= "23.11").then_some("FAILED");
            assert_eq!(record.base.as_ref().map(|state| state.word()), base, "{version}");
            let by_squeue = site.lines().iter().any(|line| line.starts_with("squeue"));
            assert_eq!(by_squeue, json.is_none(), "{version}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_real_releases_answer_is_understood() {
        for (version, text, json) in fixture::versions::REAL {
            let site = FakeSite::shared();
            no_records(&site);
            site.answer("scontrol -o show job 6", *text);
            site.answer("scontrol show job 6 --json", *json);
            let Found::Job(record, _) = job(&site.cx(), &id("6")).await.unwrap() else { panic!("{version}") };
            assert_eq!(record.name.as_deref(), Some("my job=1 Reason=x"), "{version}");
            assert_eq!(record.comment.as_deref(), Some("hello JobState=FAILED a=b"), "{version}");
            assert_eq!(record.state.as_ref().unwrap().word(), "COMPLETED", "{version}");
            assert_eq!(record.stdout.as_deref(), Some("/d/logs/my job=1 Reason=x-6.out"), "{version}");
            assert_eq!((record.exit_code.as_deref(), record.gpus), (Some("0:0"), Some(0)), "{version}");
            assert!(!site.lines().iter().any(|line| line.starts_with("squeue")), "{version}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_array_is_not_one_job() {
        let site = FakeSite::shared();
        no_records(&site);
        site.answer("scontrol -o show job 2", fixture::ARRAY_22_05);
        let error = job(&site.cx(), &id("2")).await.unwrap_err();
        assert_eq!(error.kind, StepErrorKind::Params);
        assert!(error.help.unwrap().contains("2_3, 2_2"));
        let Found::Job(record, _) = job(&site.cx(), &id("2_2")).await.unwrap() else { panic!() };
        assert_eq!((record.job.as_str(), record.number), ("2_2", Some(4)));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn who_was_asked_decides_between_missing_and_unknown() {
        let gone = "slurm_load_jobs error: Invalid job id specified";
        let away = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)";
        for (scontrol, sacct, missing) in [
            (gone, None, true),
            (gone, Some("sacct: error: Problem talking to the database: Connection refused"), false),
            (gone, Some("Slurm accounting storage is disabled"), true),
            (away, None, false),
            (away, Some("sacct: error: Problem talking to the database: Connection refused"), false),
        ] {
            let site = FakeSite::shared();
            site.fail("scontrol", 1, scontrol);
            site.answer("sacct --helpformat", "SubmitLine");
            match sacct {
                Some(text) => site.fail("sacct -n", 1, text),
                None => site.answer("sacct -n", ""),
            }
            let found = job(&site.cx(), &id("7")).await.unwrap();
            assert_eq!(matches!(found, Found::Missing(_)), missing, "{scontrol} / {sacct:?}: {found:?}");
            assert_eq!(matches!(found, Found::Unreachable(_)), !missing);
        }
    }

    #[test]
    fn settings() {
        let config =
            "ClusterName             = testcluster\nRequeueExit             = (null)\nMinJobAge = 300 sec\n";
        assert_eq!(setting(config, "ClusterName").as_deref(), Some("testcluster"));
        assert_eq!(setting(config, "RequeueExit"), None);
        assert_eq!(setting(config, "MinJobAge").as_deref(), Some("300 sec"));
    }
}
