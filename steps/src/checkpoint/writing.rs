//! Whether a checkpoint that is not complete is being written now.
//!
//! Clocks of a file server and of this machine differ, so an age proves nothing: what changes between two looks is being
//! written.

use std::time::Duration;

use engine::site::Site;
use engine::step::StepError;
use jiff::Timestamp;

use super::choose::Survey;
use super::gather::{Tree, whole};

/// Time between the two looks; writers of checkpoints flush far more often.
const PAUSE: Duration = Duration::from_secs(5);
/// What was not touched for so long (15 min, clocks that differ included) is not looked at again.
const RECENT: i64 = 900;
/// Checkpoints looked at again at most, the newest first.
const MOST: usize = 3;

/// Looks again at the newest incomplete checkpoints and notes which of them grow.
///
/// # Errors
/// The file system does not answer.
pub(crate) async fn look_again(site: &dyn Site, survey: &mut Survey) -> Result<(), StepError> {
    let now = site.now();
    let recent = |at: Timestamp| now.duration_since(at).as_secs() < RECENT;
    let candidates = survey.candidates.iter_mut();
    let mut suspects: Vec<_> =
        candidates.filter(|c| c.complete != Some(true) && c.modified.is_none_or(recent)).take(MOST).collect();
    if suspects.is_empty() {
        return Ok(());
    }
    site.sleep(PAUSE).await;
    for candidate in &mut suspects {
        let Some(Tree { bytes, modified, .. }) = whole(site, &candidate.path).await? else { continue };
        let grows = Some(bytes) != candidate.bytes || modified != candidate.modified;
        candidate.writing = Some(grows);
        if grows {
            candidate.why = format!("being written now; {}", candidate.why);
            let step = candidate
                .step
                .map_or("one without a number".to_owned(), |step| format!("that of step {step}"));
            survey.reasons.push(format!(
                "a checkpoint is being written now, {step}: wait for it before the job is stopped"
            ));
        }
    }
    Ok(())
}
