//! Taking an earlier edit back by its patches, file by file and byte by byte.

use engine::site::{SiteErrorKind, digest};
use engine::step::{Preview, StepCx, StepError, StepErrorKind};

use super::change::{CANNOT, Intent, Patch, Proposal, Report, Stop, UNCHANGED, Version, propose_files};
use super::config::Doc;
use crate::text::clean;

/// Proposes to give the files of `patches` the contents that they had before.
///
/// # Errors
/// Where a patch is none, or the site gives no answer.
pub(super) async fn restore(
    cx: &StepCx,
    script: &str,
    patches: &[Patch],
) -> Result<Preview<Intent<Report>, Report>, StepError> {
    let report = Report { path: script.to_owned(), ..Report::default() };
    let stop = |outcome: (&'static str, &str), reason: String| {
        let report = Report { reason: Some(reason), ..report.clone() };
        Ok(Stop { outcome: outcome.0, report }.preview(|report| report))
    };
    let mut files = Vec::new();
    for patch in patches {
        let path = clean(&patch.path);
        if !patch.path.starts_with('/') || patch.path.chars().any(char::is_control) {
            let message = format!("launch.edit: {path} in restore is no absolute path");
            return Err(StepError::new(StepErrorKind::Params, message));
        }
        let bytes = match cx.site.read_all(&patch.path, 2 * Doc::LONGEST).await {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind, SiteErrorKind::NotFound | SiteErrorKind::Denied) => {
                return stop(CANNOT, error.message);
            }
            Err(error) => return Err(error.into()),
        };
        let now = digest(&bytes);
        if now == patch.before_digest {
            continue;
        }
        if now != patch.after_digest {
            return stop(CANNOT, format!("{path} was edited by someone else since"));
        }
        let before = String::from_utf8(bytes).ok();
        let after = before.as_deref().and_then(|text| patch.applied(text));
        match (before, after) {
            (Some(before), Some(after)) if digest(after.as_bytes()) == patch.before_digest => {
                files.push(Version { path: patch.path.clone(), before, after });
            }
            _ => return stop(CANNOT, format!("the patch of {path} does not give its former content")),
        }
    }
    if files.is_empty() {
        return stop(UNCHANGED, "it already has these settings".to_owned());
    }
    let paths = files.iter().map(|file| clean(&file.path)).collect::<Vec<_>>().join(", ");
    let proposal = Proposal { files, changed: Vec::new(), notes: Vec::new() };
    Ok(propose_files(report.clone(), proposal, format!("{paths}: former content"), |report| report))
}

impl Patch {
    /// The text with the splices made; `None` where they do not fit.
    fn applied(&self, text: &str) -> Option<String> {
        let mut text = text.to_owned();
        for splice in &self.splices {
            let end = splice.at.checked_add(splice.length)?;
            text.get(splice.at..end)?;
            text.replace_range(splice.at..end, &splice.text);
        }
        Some(text)
    }
}
