//! The change that all steps of this family make: read the script, compare it with what the job ran, propose an edit,
//! make it, find out whether it was made, take it back.

use std::collections::BTreeMap;

use engine::site::{SiteErrorKind, digest};
use engine::step::{
    Confirmation, Done, FileDiff, FileWrite, Performed, Predicted, Preview, StepCx, StepError, StepErrorKind,
    Undone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use similar::TextDiff;

use super::edits::{Changed, Edited};
use super::script::Script;
use crate::slurm::{JobId, batch_script};
use crate::text::clean;

/// The outcomes that every step of this family can end with.
pub(super) const EDITED: (&str, &str) = ("edited", "The script was edited.");
/// See [`EDITED`].
pub(super) const UNCHANGED: (&str, &str) = ("unchanged", "The script already has the wanted settings.");
/// See [`EDITED`].
pub(super) const DIFFERS: (&str, &str) =
    ("differs", "The script on disk is not the one that the job ran; `difference` shows how.");
/// See [`EDITED`].
pub(super) const CANNOT: (&str, &str) = ("cannot", "The script cannot be edited safely; `reason` says why.");

/// The script to edit.
pub(super) struct Target<'p> {
    pub(super) script: &'p str,
    pub(super) job: Option<&'p JobId>,
    pub(super) accept_difference: bool,
}

/// What every step of this family yields.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Report {
    /// The script.
    pub(super) path: String,
    /// The variables that are changed at the launch.
    pub(super) changed: Vec<Changed>,
    /// The changed variables as a rank's environment must show them; removed ones are left out.
    pub(super) environment: BTreeMap<String, String>,
    /// SHA-256 of the script before, hexadecimal; `null` if it could not be read.
    pub(super) before_digest: Option<String>,
    /// SHA-256 of the script afterwards, hexadecimal; `null` if it is not edited.
    pub(super) after_digest: Option<String>,
    /// The edit, as a unified diff; `null` if there is none.
    pub(super) diff: Option<String>,
    /// How the file differs from what the job ran, as a unified diff (at most 300 lines); `null` if it does not, or that is
    /// not known.
    pub(super) difference: Option<String>,
    /// Why it is not edited; `null` if it is.
    pub(super) reason: Option<String>,
    /// What a person should know about the edit.
    pub(super) notes: Vec<String>,
}

/// A script that was read and may be edited.
pub(super) struct Original {
    pub(super) script: Script,
    /// What is known so far; the notes are for the gate.
    pub(super) report: Report,
}

/// An end without an edit.
pub(super) struct Stop {
    pub(super) outcome: &'static str,
    pub(super) report: Report,
}

/// What performing, confirming and undoing need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Intent<O> {
    path: String,
    before_digest: String,
    after_digest: String,
    original: String,
    content: String,
    /// The answer once it is done; `None` where nothing was intended.
    done: Option<Done<O>>,
}

impl<O> Default for Intent<O> {
    fn default() -> Self {
        Self {
            path: String::new(),
            before_digest: String::new(),
            after_digest: String::new(),
            original: String::new(),
            content: String::new(),
            done: None,
        }
    }
}

impl Original {
    /// The same end for every reason not to edit.
    pub(super) fn stop(self, outcome: (&'static str, &str), reason: impl Into<String>) -> Stop {
        let report = Report { reason: Some(reason.into()), ..self.report };
        Stop { outcome: outcome.0, report }
    }
}

impl Stop {
    /// The preview that ends the node at once.
    pub(super) fn preview<O>(self, output: impl Fn(Report) -> O) -> Preview<Intent<O>, O> {
        let path = clean(&self.report.path);
        let reason = self.report.reason.as_deref().map(clean).unwrap_or_default();
        let line = if reason.is_empty() { path } else { format!("{path}: {reason}") };
        Preview::nothing(Done::new(self.outcome, output(self.report)).line(line))
    }
}

/// Reads the script and compares it with what the job ran.
///
/// # Errors
/// Where the site or Slurm gives no answer. That the script is missing, no text, or another than the job ran is an answer.
pub(super) async fn load(cx: &StepCx, target: &Target<'_>) -> Result<Result<Original, Stop>, StepError> {
    let path = target.script;
    if !path.starts_with('/') || path.chars().any(char::is_control) {
        let message = format!("{}: the path of the script is not absolute", clean(path));
        return Err(StepError::new(StepErrorKind::Params, message)
            .help("Give the path as `scontrol show job` prints it under Command, from the root."));
    }
    let mut report = Report { path: path.to_owned(), ..Report::default() };
    let cannot = |report: Report, reason: String| {
        Ok(Err(Stop { outcome: CANNOT.0, report: Report { reason: Some(reason), ..report } }))
    };
    let bytes = match cx.site.read_all(path, Script::LONGEST).await {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind, SiteErrorKind::NotFound | SiteErrorKind::Denied) => {
            return cannot(report, error.message);
        }
        Err(error) => return Err(error.into()),
    };
    report.before_digest = Some(digest(&bytes));
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) if !text.contains('\0') => text,
        _ => return cannot(report, "it is not a text file in UTF-8".to_owned()),
    };
    if let Some(job) = target.job {
        let not_compared = |why: &str| format!("Not compared with what job {job} ran: {why}.");
        match batch_script(cx, job.as_str()).await {
            Err(error) if error.kind == StepErrorKind::Denied => {
                report.notes.push(not_compared("only its owner or an operator may read its script"));
            }
            Err(error) => return Err(error),
            Ok(None) => report.notes.push(not_compared("Slurm no longer gives its script")),
            Ok(Some(ran)) if ran == bytes => {}
            Ok(Some(ran)) => {
                let ran = String::from_utf8_lossy(&ran);
                report.difference = Some(bounded(unified(&format!("job {job}"), path, &ran, text)));
                if !target.accept_difference {
                    let reason = format!("the script on disk is not the one that job {job} ran");
                    let report = Report { reason: Some(reason), ..report };
                    return Ok(Err(Stop { outcome: DIFFERS.0, report }));
                }
                report.notes.push(format!(
                    "The script on disk is not the one that job {job} ran; the difference was accepted."
                ));
            }
        }
    }
    match Script::parse(text) {
        Ok(script) => Ok(Ok(Original { script, report })),
        Err(misread) => cannot(report, misread.to_string()),
    }
}

/// Proposes an edit. `headline` is the first line of the answer's summary.
pub(super) fn propose<O: Clone>(
    original: Original,
    edited: Edited,
    headline: String,
    output: impl Fn(Report) -> O,
) -> Preview<Intent<O>, O> {
    let Original { script: before, mut report } = original;
    let content = edited.script.text();
    let diff = unified(&report.path, &report.path, before.text(), content);
    let before_digest = report.before_digest.clone().unwrap_or_default();
    let after_digest = digest(content.as_bytes());
    report.notes.extend(edited.notes);
    report.after_digest = Some(after_digest.clone());
    report.diff = Some(diff.clone());
    let mut summary = vec![headline];
    summary.extend(edited.changed.iter().take(3).map(Changed::line));
    let values =
        edited.changed.iter().filter_map(|changed| Some((changed.name.clone(), changed.after.clone()?)));
    report.environment = values.collect();
    report.changed = edited.changed;
    let (path, notes) = (report.path.clone(), report.notes.clone());
    let done = Done { outcome: EDITED.0.to_owned(), output: output(report), summary };
    Preview {
        target: path.clone(),
        commands: Vec::new(),
        diffs: vec![FileDiff { path: path.clone(), unified: diff }],
        notes,
        undo: Some(format!("{} gets its present content back, unless someone edits it first.", clean(&path))),
        predicted: vec![Predicted { outcome: done.outcome.clone(), output: done.output.clone() }],
        writes: vec![FileWrite { path: path.clone(), content: content.as_bytes().to_vec() }],
        intent: Intent {
            path,
            before_digest,
            after_digest,
            original: before.text().to_owned(),
            content: content.to_owned(),
            done: Some(done),
        },
        nothing_to_do: None,
    }
}

/// Writes the agreed content over the content that was agreed upon.
///
/// # Errors
/// Where the file is no longer what it was; nothing is changed then.
pub(super) async fn perform<O: Clone>(cx: &StepCx, intent: &Intent<O>) -> Result<Performed<O>, StepError> {
    let Some(done) = &intent.done else {
        return Err(StepError::failed("there is no agreed edit to make"));
    };
    let replaced =
        cx.site.replace(&intent.path, Some(&intent.before_digest), intent.content.as_bytes()).await;
    replaced.map_err(|error| {
        let drifted = error.kind == SiteErrorKind::Conflict;
        let error = StepError::from(error);
        if drifted {
            error.help("Someone edited the script meanwhile; look at it and resume.")
        } else {
            error
        }
    })?;
    Ok(done.clone().into())
}

/// Whether the edit was made, by the file's digest.
pub(super) async fn confirm<O: Clone>(cx: &StepCx, intent: &Intent<O>) -> Result<Confirmation<O>, StepError> {
    let Some(done) = &intent.done else { return Ok(Confirmation::DidNot) };
    Ok(match present(cx, intent).await? {
        Present::After => Confirmation::Happened(done.clone()),
        Present::Before => Confirmation::DidNot,
        Present::Gone => Confirmation::Unknown(format!("{} is gone", clean(&intent.path))),
        Present::Other => Confirmation::Unknown(format!(
            "{} is neither as it was nor as it was to be: someone else edited it",
            clean(&intent.path)
        )),
    })
}

/// Gives the file its former content back if it still has ours.
pub(super) async fn undo<O>(cx: &StepCx, intent: &Intent<O>) -> Result<Undone, StepError> {
    if intent.done.is_none() {
        return Ok(Undone::NothingToDo("nothing was edited".to_owned()));
    }
    let path = clean(&intent.path);
    let edited_since = format!("{path} was edited by someone else since");
    match present(cx, intent).await? {
        Present::Before => Ok(Undone::NothingToDo(format!("{path} has its former content"))),
        Present::Gone => Ok(Undone::Cannot(format!("{path} is gone"))),
        Present::Other => Ok(Undone::Cannot(edited_since)),
        Present::After => {
            let back = cx.site.replace(&intent.path, Some(&intent.after_digest), intent.original.as_bytes());
            match back.await {
                Ok(()) => Ok(Undone::Restored(format!("{path} has its former content again"))),
                Err(error) if error.kind == SiteErrorKind::Conflict => Ok(Undone::Cannot(edited_since)),
                Err(error) => Err(error.into()),
            }
        }
    }
}

enum Present {
    Before,
    After,
    Other,
    Gone,
}

async fn present<O>(cx: &StepCx, intent: &Intent<O>) -> Result<Present, StepError> {
    // Content that is longer than any script is neither of the two.
    let limit = 2 * Script::LONGEST;
    let bytes = match cx.site.read_all(&intent.path, limit).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind == SiteErrorKind::NotFound => return Ok(Present::Gone),
        Err(error) => return Err(error.into()),
    };
    let now = digest(&bytes);
    Ok(match () {
        () if now == intent.after_digest => Present::After,
        () if now == intent.before_digest => Present::Before,
        () => Present::Other,
    })
}

fn unified(old_name: &str, new_name: &str, old: &str, new: &str) -> String {
    TextDiff::from_lines(old, new).unified_diff().context_radius(3).header(old_name, new_name).to_string()
}

/// Most lines of a difference that is only shown.
const MOST_LINES: usize = 300;

fn bounded(diff: String) -> String {
    let more = diff.lines().count().saturating_sub(MOST_LINES);
    if more == 0 {
        return diff;
    }
    let kept: Vec<&str> = diff.lines().take(MOST_LINES).collect();
    format!("{}\n… {more} more lines\n", kept.join("\n"))
}
