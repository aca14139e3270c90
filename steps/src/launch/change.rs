//! The change that all steps of this family make: read the script, compare it with what the job ran, propose an edit,
//! make it, find out whether it was made, take it back. Several files are one change: one preview, one digest, one undo.

use std::collections::BTreeMap;

use engine::site::{SiteErrorKind, digest};
use engine::step::{
    Confirmation, Done, FileDiff, FileWrite, Performed, Predicted, Preview, Price, StepCx, StepError,
    StepErrorKind, UndoPlan, UndoPreview, Undone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};

use super::config::Doc;
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
    /// The settings that are changed at the launch.
    pub(super) changed: Vec<Changed>,
    /// The changed variables as a rank's environment must show them; removed ones are left out.
    pub(super) environment: BTreeMap<String, String>,
    /// The changed flags (`--seq-length`) and words (`model.seq_length=`) as a rank's command line must show them.
    pub(super) arguments: BTreeMap<String, String>,
    /// The changed configuration files: SHA-256 of their new content by path. What ranks read cannot be seen in their
    /// environment nor among their words.
    pub(super) files: BTreeMap<String, String>,
    /// SHA-256 of the script before, hexadecimal; `null` if it could not be read.
    pub(super) before_digest: Option<String>,
    /// SHA-256 of the script afterwards, hexadecimal; `null` if it is not edited.
    pub(super) after_digest: Option<String>,
    /// The edit, as a unified diff of all files; `null` if there is none.
    pub(super) diff: Option<String>,
    /// How the file differs from what the job ran, as a unified diff (at most 300 lines); `null` if it does not, or that is
    /// not known.
    pub(super) difference: Option<String>,
    /// How to take the edit back: the `restore` of a later `launch.edit`.
    pub(super) patches: Vec<Patch>,
    /// Why it is not edited; `null` if it is.
    pub(super) reason: Option<String>,
    /// What a person should know about the edit.
    pub(super) notes: Vec<String>,
}

/// A script that was read and may be edited.
pub(super) struct Original {
    pub(super) script: Script,
    /// It is what the job ran.
    pub(super) as_run: bool,
    /// What is known so far; the notes are for the gate.
    pub(super) report: Report,
}

/// An end without an edit.
pub(super) struct Stop {
    pub(super) outcome: &'static str,
    pub(super) report: Report,
}

/// One file of a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rewrite {
    path: String,
    before_digest: String,
    after_digest: String,
    original: String,
    content: String,
}

/// What performing, confirming and undoing need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Intent<O> {
    /// The files, in the order in which they are written.
    files: Vec<Rewrite>,
    /// The answer once it is done; `None` where nothing was intended.
    done: Option<Done<O>>,
}

impl<O> Default for Intent<O> {
    fn default() -> Self {
        Self { files: Vec::new(), done: None }
    }
}

/// How to take the change of one file back, as long as nobody edited the file since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Patch {
    /// The file.
    pub(super) path: String,
    /// SHA-256 of the changed file, hexadecimal.
    pub(super) after_digest: String,
    /// SHA-256 of the file before, hexadecimal.
    pub(super) before_digest: String,
    /// What goes where, from the end of the file to its beginning.
    pub(super) splices: Vec<Splice>,
}

/// Bytes that are taken out, and what takes their place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Splice {
    /// Offset in the changed file, in bytes.
    pub(super) at: usize,
    /// How many bytes go.
    pub(super) length: usize,
    /// What stood there.
    pub(super) text: String,
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
    let mut as_run = false;
    if let Some(job) = target.job {
        let not_compared = |why: &str| format!("Not compared with what job {job} ran: {why}.");
        match batch_script(cx, job.as_str()).await {
            Err(error) if error.kind == StepErrorKind::Denied => {
                report.notes.push(not_compared("only its owner or an operator may read its script"));
            }
            Err(error) => return Err(error),
            Ok(None) => report.notes.push(not_compared("Slurm no longer gives its script")),
            Ok(Some(ran)) if ran == bytes => as_run = true,
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
        Ok(script) => Ok(Ok(Original { script, as_run, report })),
        Err(misread) => cannot(report, misread.to_string()),
    }
}

/// A file as it is and as it would be.
pub(super) struct Version {
    pub(super) path: String,
    pub(super) before: String,
    pub(super) after: String,
}

/// What an edit would make.
pub(super) struct Proposal {
    /// The files that change. All are written, or none.
    pub(super) files: Vec<Version>,
    /// The settings that change.
    pub(super) changed: Vec<Changed>,
    /// What a person should know.
    pub(super) notes: Vec<String>,
}

/// Proposes an edit of the script. `headline` is the first line of the answer's summary.
pub(super) fn propose<O: Clone>(
    original: Original,
    edited: Edited,
    headline: String,
    output: impl Fn(Report) -> O,
) -> Preview<Intent<O>, O> {
    let proposal = Proposal::of_script(&original, edited);
    propose_files(original.report, proposal, headline, output)
}

impl Proposal {
    /// An edit of the script alone.
    pub(super) fn of_script(original: &Original, edited: Edited) -> Self {
        let file = Version {
            path: original.report.path.clone(),
            before: original.script.text().to_owned(),
            after: edited.script.text().to_owned(),
        };
        Self { files: vec![file], changed: edited.changed, notes: edited.notes }
    }
}

/// Proposes an edit of one file or several as one change.
pub(super) fn propose_files<O: Clone>(
    mut report: Report,
    proposal: Proposal,
    headline: String,
    output: impl Fn(Report) -> O,
) -> Preview<Intent<O>, O> {
    let mut files = Vec::new();
    let mut diffs = Vec::new();
    for file in proposal.files {
        let rewrite = Rewrite {
            before_digest: digest(file.before.as_bytes()),
            after_digest: digest(file.after.as_bytes()),
            original: file.before,
            content: file.after,
            path: file.path,
        };
        if rewrite.path == report.path {
            report.after_digest = Some(rewrite.after_digest.clone());
        } else {
            report.files.insert(rewrite.path.clone(), rewrite.after_digest.clone());
        }
        let unified = unified(&rewrite.path, &rewrite.path, &rewrite.original, &rewrite.content);
        diffs.push(FileDiff { path: rewrite.path.clone(), unified });
        report.patches.push(rewrite.patch());
        files.push(rewrite);
    }
    report.notes.extend(proposal.notes);
    report.diff = Some(diffs.iter().map(|diff| diff.unified.as_str()).collect());
    let mut summary = vec![headline];
    summary.extend(proposal.changed.iter().take(3).map(Changed::line));
    let after = |changed: &Changed| Some((changed.name.clone(), changed.after.clone()?));
    let (words, rest): (Vec<&Changed>, Vec<&Changed>) = proposal
        .changed
        .iter()
        .filter(|changed| changed.file.is_none())
        .partition(|changed| changed.is_word());
    let words = words.into_iter().filter_map(after);
    report.arguments = words.filter(|(_, value)| !value.is_empty()).collect();
    report.environment = rest.into_iter().filter_map(after).collect();
    report.changed = proposal.changed;
    let notes = report.notes.clone();
    let paths = files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>().join(", ");
    let undo = match files.len() {
        1 => format!("{} gets its present content back, unless someone edits it first.", clean(&paths)),
        _ => format!(
            "{} get their present contents back, unless someone edits one of them first.",
            clean(&paths)
        ),
    };
    let done = Done { outcome: EDITED.0.to_owned(), output: output(report), summary };
    let write =
        |file: &Rewrite| FileWrite { path: file.path.clone(), content: file.content.as_bytes().to_vec() };
    Preview {
        target: paths,
        commands: Vec::new(),
        diffs,
        notes,
        undo: Some(undo),
        price: Price::nothing(),
        predicted: vec![Predicted { outcome: done.outcome.clone(), output: done.output.clone() }],
        writes: files.iter().map(write).collect(),
        intent: Intent { files, done: Some(done) },
        nothing_to_do: None,
    }
}

impl Rewrite {
    /// How to take it back.
    fn patch(&self) -> Patch {
        let (old, new) = (self.original.as_bytes(), self.content.as_bytes());
        let mut splices: Vec<Splice> = Vec::new();
        let diff = TextDiff::from_lines(self.original.as_str(), self.content.as_str());
        let mut at = (0, 0);
        for change in diff.iter_all_changes() {
            let length = change.value().len();
            match change.tag() {
                ChangeTag::Equal => at = (at.0 + length, at.1 + length),
                ChangeTag::Delete => {
                    splices.push(Splice { at: at.1, length: 0, text: change.value().to_owned() });
                    at.0 += length;
                }
                ChangeTag::Insert => {
                    splices.push(Splice { at: at.1, length, text: String::new() });
                    at.1 += length;
                }
            }
        }
        debug_assert_eq!(at, (old.len(), new.len()));
        splices.reverse();
        Patch {
            path: self.path.clone(),
            before_digest: self.before_digest.clone(),
            after_digest: self.after_digest.clone(),
            splices,
        }
    }
}

/// Writes the agreed contents over the contents that were agreed upon. A file that has its new content already keeps it:
/// an edit of several files that was cut off in the middle is brought to its end.
///
/// # Errors
/// Where a file is no longer what it was; those written before it get their former contents back.
pub(super) async fn perform<O: Clone>(cx: &StepCx, intent: &Intent<O>) -> Result<Performed<O>, StepError> {
    let Some(done) = &intent.done else {
        return Err(StepError::failed("there is no agreed edit to make"));
    };
    // All are looked at before the first is written: what can be known is no reason to write and take back.
    if intent.files.len() > 1 {
        for file in &intent.files {
            if matches!(present(cx, file).await?, Present::Other | Present::Gone) {
                let message = format!("{} is no longer what it was when it was shown", clean(&file.path));
                return Err(edited_meanwhile(StepError::new(StepErrorKind::Drifted, message), &file.path));
            }
        }
    }
    for (index, file) in intent.files.iter().enumerate() {
        let replaced = cx.site.replace(&file.path, Some(&file.before_digest), file.content.as_bytes()).await;
        let Err(error) = replaced else { continue };
        let drifted = error.kind == SiteErrorKind::Conflict;
        if drifted && matches!(present(cx, file).await?, Present::After) {
            continue;
        }
        let mut all_back = true;
        for written in intent.files[..index].iter().rev() {
            let back =
                cx.site.replace(&written.path, Some(&written.after_digest), written.original.as_bytes());
            all_back &= back.await.is_ok();
        }
        let mut error = StepError::from(error);
        if !all_back {
            error.kind = StepErrorKind::InDoubt; // some of it is there; `confirm` tells what
        }
        return Err(if drifted { edited_meanwhile(error, &file.path) } else { error });
    }
    Ok(done.clone().into())
}

fn edited_meanwhile(error: StepError, path: &str) -> StepError {
    error.help(format!("Someone edited {} meanwhile; look at it and resume.", clean(path)))
}

/// Whether the edit was made, by the files' digests. One that was made in part is begun: performing it goes on from there.
pub(super) async fn confirm<O: Clone>(cx: &StepCx, intent: &Intent<O>) -> Result<Confirmation<O>, StepError> {
    let Some(done) = &intent.done else { return Ok(Confirmation::DidNot) };
    let (mut made, mut open) = (Vec::new(), Vec::new());
    for file in &intent.files {
        let path = clean(&file.path);
        match present(cx, file).await? {
            Present::After => made.push(path),
            Present::Before => open.push(path),
            Present::Gone => return Ok(Confirmation::Unknown(format!("{path} is gone"))),
            Present::Other => {
                let why = format!("{path} is neither as it was nor as it was to be: someone else edited it");
                return Ok(Confirmation::Unknown(why));
            }
        }
    }
    Ok(match (&made[..], &open[..]) {
        (_, []) => Confirmation::Happened(done.clone()),
        ([], _) => Confirmation::DidNot,
        _ => Confirmation::Begun(format!(
            "{} has its new content, {} has not",
            made.join(", "),
            open.join(", ")
        )),
    })
}

/// Which files still have the content that they were given, or why nothing is taken back.
async fn ours<'i, O>(
    cx: &StepCx,
    intent: &'i Intent<O>,
) -> Result<Result<Vec<&'i Rewrite>, Undone>, StepError> {
    if intent.done.is_none() {
        return Ok(Err(Undone::NothingToDo("nothing was edited".to_owned())));
    }
    let mut ours = Vec::new();
    for file in &intent.files {
        match present(cx, file).await? {
            Present::Before => {}
            Present::After => ours.push(file),
            Present::Gone => return Ok(Err(Undone::Cannot(format!("{} is gone", clean(&file.path))))),
            Present::Other => return Ok(Err(Undone::Cannot(edited_since(&file.path)))),
        }
    }
    if ours.is_empty() {
        let all: Vec<&Rewrite> = intent.files.iter().collect();
        return Ok(Err(Undone::NothingToDo(format!("former content: {}", paths(&all)))));
    }
    Ok(Ok(ours))
}

fn paths(files: &[&Rewrite]) -> String {
    files.iter().map(|file| clean(&file.path)).collect::<Vec<_>>().join(", ")
}

/// What [`undo`] would write.
pub(super) async fn preview_undo<O>(cx: &StepCx, intent: &Intent<O>) -> Result<UndoPreview, StepError> {
    let ours = match ours(cx, intent).await? {
        Ok(ours) => ours,
        Err(Undone::Cannot(why)) => return Ok(UndoPreview::Cannot(why)),
        Err(Undone::NothingToDo(why) | Undone::Restored(why) | Undone::Left(why)) => {
            return Ok(UndoPreview::NothingToDo(why));
        }
    };
    let back = |file: &&Rewrite| FileDiff {
        path: file.path.clone(),
        unified: unified(&file.path, &file.path, &file.content, &file.original),
    };
    Ok(UndoPreview::Would(UndoPlan {
        target: paths(&ours),
        diffs: ours.iter().rev().map(back).collect(),
        ..UndoPlan::default()
    }))
}

/// Gives the files their former contents back if they still have ours.
pub(super) async fn undo<O>(cx: &StepCx, intent: &Intent<O>) -> Result<Undone, StepError> {
    let ours = match ours(cx, intent).await? {
        Ok(ours) => ours,
        Err(undone) => return Ok(undone),
    };
    for file in ours.iter().rev() {
        let back = cx.site.replace(&file.path, Some(&file.after_digest), file.original.as_bytes());
        match back.await {
            Ok(()) => {}
            Err(error) if error.kind == SiteErrorKind::Conflict => {
                return Ok(Undone::Cannot(edited_since(&file.path)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Undone::Restored(format!("former content again: {}", paths(&ours))))
}

fn edited_since(path: &str) -> String {
    format!("{} was edited by someone else since", clean(path))
}

enum Present {
    Before,
    After,
    Other,
    Gone,
}

async fn present(cx: &StepCx, file: &Rewrite) -> Result<Present, StepError> {
    // Content that is longer than anything that is edited is neither of the two.
    let limit = 2 * Doc::LONGEST;
    let bytes = match cx.site.read_all(&file.path, limit).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind == SiteErrorKind::NotFound => return Ok(Present::Gone),
        Err(error) => return Err(error.into()),
    };
    let now = digest(&bytes);
    Ok(match () {
        () if now == file.after_digest => Present::After,
        () if now == file.before_digest => Present::Before,
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
