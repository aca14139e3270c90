//! The target under treatment: which submission of which job on which cluster.

use engine::step::{StepCx, StepError, StepErrorKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::query;
use super::record::Record;
use crate::text::clean;

/// What tells one start of a job from another: a requeued job keeps its id. What is not known is not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pin {
    /// Name of the cluster.
    #[serde(default)]
    pub(crate) cluster: Option<String>,
    /// Id of exactly this job (`123`, `123_4`).
    pub(crate) job: String,
    /// When it was submitted or last requeued, RFC 3339.
    #[serde(default)]
    pub(crate) submitted: Option<String>,
    /// How often it was started again.
    #[serde(default)]
    pub(crate) restarts: Option<u64>,
}

impl Pin {
    /// The pin of a job.
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            cluster: record.cluster.clone(),
            job: record.job.clone(),
            submitted: record.submitted.map(|time| time.to_string()),
            restarts: record.restarts,
        }
    }

    /// Whether `now` is still what was pinned.
    ///
    /// # Errors
    /// [`StepErrorKind::Drifted`], saying what differs.
    pub(crate) fn check(&self, now: &Self) -> Result<(), StepError> {
        fn differs<T: PartialEq + std::fmt::Display>(
            then: Option<&T>,
            now: Option<&T>,
            what: &str,
        ) -> Option<String> {
            let (then, now) = (then?, now?);
            (then != now).then(|| format!("{what} is {now}, was {then}"))
        }
        let found = differs(self.cluster.as_ref(), now.cluster.as_ref(), "cluster")
            .or_else(|| differs(Some(&self.job), Some(&now.job), "job"))
            .or_else(|| differs(self.restarts.as_ref(), now.restarts.as_ref(), "number of restarts"))
            .or_else(|| differs(self.submitted.as_ref(), now.submitted.as_ref(), "time of submission"));
        match found {
            None => Ok(()),
            Some(what) => Err(StepError::new(
                StepErrorKind::Drifted,
                format!("job {} is no longer the one that was looked at: its {what}", self.job),
            )
            .help("It was requeued, or its id was given out anew. Look at it again before anything is done to it.")),
        }
    }
}

/// Whether Slurm's programs reach the cluster of the pinned job: on another one its id stands for nothing, or for another
/// job. What is not known is not compared.
///
/// # Errors
/// [`StepErrorKind::Drifted`] if it is another, or Slurm's programs are not there.
pub(crate) async fn same_cluster(cx: &StepCx, pin: &Pin) -> Result<(), StepError> {
    let Some(then) = &pin.cluster else { return Ok(()) };
    match query::cluster(cx).await? {
        Some(now) if now != *then => Err(StepError::new(
            StepErrorKind::Drifted,
            format!("job {} is on cluster {}, and this is cluster {}", pin.job, clean(then), clean(&now)),
        )
        .help("Go on where the run was started, or set SLURM_CONF to that cluster.")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(restarts: Option<u64>, submitted: Option<&str>) -> Pin {
        Pin { cluster: None, job: "5".into(), submitted: submitted.map(str::to_owned), restarts }
    }

    #[test]
    fn a_requeued_job_is_another() {
        let then = pin(Some(0), Some("2026-11-24T02:04:35Z"));
        assert!(then.check(&then).is_ok());
        let error = then.check(&pin(Some(1), Some("2026-11-24T02:04:35Z"))).unwrap_err();
        assert_eq!(error.kind, StepErrorKind::Drifted);
        assert!(error.message.contains("number of restarts is 1, was 0"), "{error}");
        assert!(then.check(&pin(None, Some("2026-11-24T03:00:00Z"))).is_err());
        assert!(then.check(&pin(None, None)).is_ok(), "what is unknown is not compared");
    }
}
