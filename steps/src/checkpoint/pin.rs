//! `checkpoint.pin`: keeps a checkpoint from being rotated away.
//!
//! torchtitan's `keep_latest_k` counts directories without looking whether they are complete, and transformers' rotation
//! goes by time: a relaunch that writes torn checkpoints can delete the last good one. Both look for names anywhere in
//! theirs (`step-(\d+)`, `checkpoint-([0-9]+)`), so the pinned one lies in a directory beside, not among them.

use async_trait::async_trait;
use engine::site::{Command, SiteErrorKind, digest};
use engine::step::{
    ChangeStep, Confirmation, Done, Effect, Outcomes, Performed, Predicted, Preview, Price, StepCx,
    StepError, StepErrorKind, UndoPlan, UndoPreview, Undone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gather::{Tree, whole};
use super::latest;
use super::layout::root_of;
use super::room::{Room, room};
use crate::size::show;
use crate::target;
use crate::text::{clean_to, count};

/// How long copying may take: a checkpoint can be a terabyte.
const COPYING: std::time::Duration = std::time::Duration::from_secs(4 * 3600);

/// Parameters of `checkpoint.pin`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// Path of the checkpoint, as `checkpoint.latest` gives it. Only one that is complete is pinned.
    path: String,
    /// Directory in which the pinned one is put; not given: that of the checkpoints with `.pinned` at its end.
    #[serde(default)]
    to: Option<String>,
    /// Copy its bytes. Not given: hard links, which take no room, unless its name has no number: then it is written again
    /// in place, and a link would change with it.
    #[serde(default)]
    copy: Option<bool>,
}

/// The change in full.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Intent {
    source: String,
    holder: String,
    name: String,
    token: String,
    copy: bool,
    files: usize,
    bytes: u64,
    step: Option<u64>,
    /// Of the names and sizes of its files.
    listing: String,
}

/// A checkpoint that stays.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// The checkpoint.
    path: String,
    /// Where the pinned one is; null if there is none.
    pinned: Option<String>,
    /// Its step.
    step: Option<u64>,
    /// Size of its files, bytes.
    bytes: Option<u64>,
    /// Whether its bytes were copied; false: they are shared with the checkpoint by hard links.
    copied: Option<bool>,
    /// Why it cannot be pinned.
    reason: Option<String>,
}

/// See the module.
pub(crate) struct Pin;

#[async_trait]
impl ChangeStep for Pin {
    const KIND: &'static str = "checkpoint.pin";
    const SUMMARY: &'static str =
        "Keep a complete checkpoint from being rotated away, by hard links or a copy";
    const EFFECT: Effect = Effect::Reversible;
    type Params = Params;
    type Intent = Intent;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[
            ("pinned", "a second set of its files is in `pinned` (or was there before)"),
            (
                "cannot",
                "it is not complete, or there is no room, or links are not possible; `reason` says it",
            ),
        ])
    }

    fn targets(&self, params: &Params) -> Vec<String> {
        vec![target::file(&params.path)]
    }

    async fn preview(&self, cx: &StepCx, params: &Params) -> Result<Preview<Intent, Output>, StepError> {
        let intent = match plan(cx, params).await? {
            Ok(intent) => intent,
            Err(reason) => return Ok(Preview::nothing(cannot(&params.path, reason))),
        };
        if listing_at(cx, &intent.pinned()).await?.is_some_and(|(_, listing)| listing == intent.listing) {
            return Ok(Preview::nothing(done(&intent).line("it was there before")));
        }
        let room = room(cx, &intent.source, &intent.holder).await?;
        if let Some(reason) = room.refuses(intent.copy, intent.bytes) {
            return Ok(Preview::nothing(cannot(&params.path, reason)));
        }
        let Done { outcome, output, .. } = done(&intent);
        Ok(Preview {
            target: clean_to(&intent.source, 160),
            commands: intent.commands().iter().map(Command::to_string).collect(),
            diffs: Vec::new(),
            notes: notes(&intent, &room),
            undo: Some(format!("{} (only while the checkpoint itself is still there)", intent.removal())),
            price: Price::nothing(),
            predicted: vec![Predicted { outcome, output }],
            intent,
            writes: Vec::new(),
            nothing_to_do: None,
        })
    }

    async fn perform(
        &self,
        cx: &StepCx,
        _: &Params,
        intent: &Intent,
    ) -> Result<Performed<Output>, StepError> {
        match listing_at(cx, &intent.source).await? {
            Some((_, listing)) if listing == intent.listing => {}
            _ => {
                let message = format!(
                    "{} is no longer as it was shown; nothing was done",
                    clean_to(&intent.source, 160)
                );
                return Err(StepError::new(StepErrorKind::Drifted, message));
            }
        }
        if let Some((_, listing)) = listing_at(cx, &intent.pinned()).await? {
            if listing == intent.listing {
                return Ok(done(intent).into());
            }
            let there = clean_to(&intent.pinned(), 160);
            return Err(StepError::failed(format!("{there} is there already, and is something else"))
                .help("Give another directory with `to`."));
        }
        // Whose it is stands beside it before it is there: undo removes nothing without this.
        match cx.site.replace(&intent.mark(), None, intent.token.as_bytes()).await {
            Err(error) if error.kind == SiteErrorKind::Conflict && marked(cx, intent).await? => {}
            other => other?,
        }
        // What an earlier attempt left half-made.
        if whole(&*cx.site, &intent.half_made()).await?.is_some() {
            order(cx, &Command::argv(["rm", "-rf", "--", &intent.half_made()]), intent).await?;
        }
        for command in intent.commands() {
            order(cx, &command, intent).await?;
        }
        match listing_at(cx, &intent.pinned()).await? {
            Some((_, listing)) if listing == intent.listing => Ok(done(intent).into()),
            _ => Err(StepError::failed(format!(
                "{} was made, but does not have the same files",
                clean_to(&intent.pinned(), 160)
            ))),
        }
    }

    async fn confirm(
        &self,
        cx: &StepCx,
        _: &Params,
        intent: &Intent,
    ) -> Result<Confirmation<Output>, StepError> {
        Ok(match listing_at(cx, &intent.pinned()).await? {
            Some((_, listing)) if listing == intent.listing => Confirmation::Happened(done(intent)),
            Some(_) => {
                let there = clean_to(&intent.pinned(), 160);
                Confirmation::Unknown(format!("{there} is there, but does not have the same files"))
            }
            None => Confirmation::DidNot,
        })
    }

    async fn preview_undo(&self, cx: &StepCx, _: &Params, intent: &Intent) -> Result<UndoPreview, StepError> {
        let there = match removable(cx, intent).await? {
            Ok(there) => there,
            Err(Undone::Cannot(why)) => return Ok(UndoPreview::Cannot(why)),
            Err(Undone::NothingToDo(why) | Undone::Restored(why) | Undone::Left(why)) => {
                return Ok(UndoPreview::NothingToDo(why));
            }
        };
        let mark = format!("{} is removed last", clean_to(&intent.mark(), 160));
        let notes = match there {
            true => vec!["the checkpoint itself stays".to_owned(), mark],
            false => vec!["it was never made; what may be left half-made goes".to_owned(), mark],
        };
        Ok(UndoPreview::Would(UndoPlan {
            target: clean_to(&intent.pinned(), 160),
            commands: vec![intent.removal().to_string()],
            notes,
            ..UndoPlan::default()
        }))
    }

    async fn undo(&self, cx: &StepCx, _: &Params, intent: &Intent) -> Result<Undone, StepError> {
        let there = match removable(cx, intent).await? {
            Ok(there) => there,
            Err(undone) => return Ok(undone),
        };
        let pinned = clean_to(&intent.pinned(), 160);
        order(cx, &intent.removal(), intent).await?;
        cx.site.remove(&intent.mark(), &digest(intent.token.as_bytes())).await?;
        Ok(if there {
            Undone::Restored(format!("{pinned} was removed; the checkpoint itself stays"))
        } else {
            Undone::NothingToDo(format!("{pinned} was never made"))
        })
    }
}

/// Whether what this visit pinned is there, or why nothing is removed.
async fn removable(cx: &StepCx, intent: &Intent) -> Result<Result<bool, Undone>, StepError> {
    let pinned = clean_to(&intent.pinned(), 160);
    if !marked(cx, intent).await? {
        return Ok(Err(Undone::NothingToDo(format!("{pinned} was not made by this run"))));
    }
    let original =
        listing_at(cx, &intent.source).await?.is_some_and(|(_, listing)| listing == intent.listing);
    let there = whole(&*cx.site, &intent.pinned()).await?.is_some();
    if there && !original {
        let source = clean_to(&intent.source, 160);
        return Ok(Err(Undone::Cannot(format!("{pinned} stays: {source} is gone or has changed since"))));
    }
    Ok(Ok(there))
}

impl Intent {
    fn pinned(&self) -> String {
        format!("{}/{}", self.holder, self.name)
    }

    /// The file that says who made it.
    fn mark(&self) -> String {
        format!("{}/.{}.by", self.holder, self.name)
    }

    /// Where it is made, before it gets its name at once.
    fn half_made(&self) -> String {
        format!("{}/.{}.half", self.holder, self.name)
    }

    /// GNU cp: recursive, following links, keeping times and modes; `-l` makes hard links instead of copies.
    fn commands(&self) -> Vec<Command> {
        let (half, pinned) = (self.half_made(), self.pinned());
        let how: &[&str] = if self.copy { &["-rLp", "--reflink=auto"] } else { &["-rLpl"] };
        let copy = [&["cp"], how, &["--", &self.source, &half]].concat();
        vec![Command::argv(copy).timeout(COPYING), Command::argv(["mv", "-T", "--", &half, &pinned])]
    }

    fn removal(&self) -> Command {
        Command::argv(["rm", "-rf", "--", &self.half_made(), &self.pinned()])
    }
}

/// What is to be made, or why it cannot be.
async fn plan(cx: &StepCx, params: &Params) -> Result<Result<Intent, String>, StepError> {
    let source = params.path.trim_end_matches('/');
    let to = params.to.as_deref().map(|to| to.trim_end_matches('/'));
    for path in [Some(source), to].into_iter().flatten() {
        if !path.starts_with('/')
            || path.chars().any(char::is_control)
            || path.split('/').any(|part| part == "..")
        {
            let message = format!("{} is not an absolute path without `..`", clean_to(path, 160));
            return Err(StepError::new(StepErrorKind::Params, message));
        }
    }
    let survey = latest(&*cx.site, root_of(source)).await?;
    if let Some(why) = survey.unreadable {
        return Ok(Err(why));
    }
    let Some(candidate) = survey.at(source) else {
        return Ok(Err("it is not among the newest checkpoints that lie there".to_owned()));
    };
    match candidate.complete {
        Some(true) => {}
        Some(false) => return Ok(Err(format!("it is not complete: {}", candidate.why))),
        None => return Ok(Err(format!("it cannot be told whether it is complete: {}", candidate.why))),
    }
    let Some((tree, listing)) = listing_at(cx, source).await? else {
        return Ok(Err("it went away while it was looked at".to_owned()));
    };
    let name = source.rsplit('/').next().unwrap_or_default();
    // One distributed checkpoint of torch is the directory itself.
    let dir = source.strip_suffix(name).map_or("", |dir| dir.trim_end_matches('/'));
    let holder = to.map_or_else(|| format!("{dir}.pinned"), str::to_owned);
    if holder == ".pinned" || holder == dir {
        return Ok(Err("give a directory beside that of the checkpoints with `to`".to_owned()));
    }
    Ok(Ok(Intent {
        source: source.to_owned(),
        holder,
        name: name.to_owned(),
        token: cx.token.clone(),
        copy: params.copy.unwrap_or(candidate.step.is_none()),
        files: tree.items.len(),
        bytes: tree.bytes,
        step: candidate.step,
        listing,
    }))
}

/// The files at a path and a digest of their names and sizes; `None` where there is nothing.
async fn listing_at(cx: &StepCx, path: &str) -> Result<Option<(Tree, String)>, StepError> {
    let Some(tree) = whole(&*cx.site, path).await? else { return Ok(None) };
    if let Some(partial) = &tree.partial {
        return Err(StepError::failed(format!("{}: {}", clean_to(path, 160), clean_to(partial, 120))));
    }
    let mut lines: Vec<String> =
        tree.items.iter().map(|item| format!("{}\0{}\n", item.path, item.size)).collect();
    lines.sort_unstable();
    let listing = digest(lines.concat().as_bytes());
    Ok(Some((tree, listing)))
}

/// Whether what is there was made by this visit.
async fn marked(cx: &StepCx, intent: &Intent) -> Result<bool, StepError> {
    match cx.site.read_all(&intent.mark(), 4096).await {
        Ok(text) => Ok(text == intent.token.as_bytes()),
        Err(error) if error.kind == SiteErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn order(cx: &StepCx, command: &Command, intent: &Intent) -> Result<(), StepError> {
    let output = cx.site.run(&command.clone().changing()).await?;
    if output.success() {
        return Ok(());
    }
    let said = output.err_text();
    let said = clean_to(said.lines().next().unwrap_or("it said nothing"), 200);
    let error = StepError::failed(format!("{}: {said}", clean_to(&command.to_string(), 160)));
    Err(if intent.copy { error } else { error.help("Where hard links are not possible, set `copy: true`.") })
}

fn output(path: &str) -> Output {
    Output { path: path.to_owned(), pinned: None, step: None, bytes: None, copied: None, reason: None }
}

fn done(intent: &Intent) -> Done<Output> {
    let output = Output {
        pinned: Some(intent.pinned()),
        step: intent.step,
        bytes: Some(intent.bytes),
        copied: Some(intent.copy),
        ..output(&intent.source)
    };
    let step = intent.step.map_or(String::new(), |step| format!("step {step}, "));
    Done::new("pinned", output).line(format!(
        "{step}{}, {}: {}",
        count(intent.files, "file"),
        show(intent.bytes),
        clean_to(&intent.pinned(), 160)
    ))
}

fn cannot(path: &str, reason: String) -> Done<Output> {
    let line = format!("{}: {}", clean_to(path, 160), clean_to(&reason, 200));
    Done::new("cannot", Output { reason: Some(reason), ..output(path) }).line(line)
}

fn notes(intent: &Intent, room: &Room) -> Vec<String> {
    let what = format!("{} with {}", count(intent.files, "file"), show(intent.bytes));
    let mark = format!("{} is written first: it says who made it", clean_to(&intent.mark(), 160));
    if !intent.copy {
        let warning = "a program that writes into these very files again would change both; `copy: true` guards against that";
        return vec![format!("hard links of {what}: they take no room"), warning.to_owned(), mark];
    }
    // The free bytes waver, and consent binds to what is shown.
    let room = if room.free.is_some() {
        "there is room for them"
    } else {
        "how much room there is could not be read"
    };
    vec![format!("copies {what}; {room}"), mark]
}

#[cfg(test)]
#[path = "pin_tests.rs"]
mod tests;
