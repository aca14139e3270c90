//! Surveying a directory of checkpoints.

use engine::site::{DirEntry, Site};
use engine::step::StepError;

use super::check::{Check, dcp, deepspeed, hf, lightning_dir, megatron, optimizer_files};
use super::choose::{Candidate, Survey, sort};
use super::gather::{Tree, bytes, entries, head, tree};
use super::layout::{LATEST, Layout, Named, TRACKER, is_dir, layout, named, suspect};
use super::resume::{Tracker, resume, tracker_file};
use super::seal::{Seal, sealed};
use super::world_size::other_world_size;
use crate::size::show;
use crate::text::clean_to;

/// Checkpoints that are looked into at most, the newest first.
const MOST: usize = 20;
/// DeepSpeed's file with the last tag of a universal checkpoint, which can be resumed with any number of ranks.
const UNIVERSAL: &str = "latest_universal";
/// Directories in which frameworks put their checkpoints below the one that they are given.
const BELOW: &[&str] = &["checkpoints", "checkpoint", "ckpts", "ckpt"];

/// Surveys the checkpoints in a directory of this machine's file system. A directory that is not there or may
/// not be read gives a survey with [`Survey::unreadable`].
///
/// # Errors
/// The file system does not answer.
pub(crate) async fn latest(site: &dyn Site, dir: &str) -> Result<Survey, StepError> {
    let dir = if dir == "/" { dir } else { dir.trim_end_matches('/') };
    let found = match entries(site, dir).await? {
        Ok(found) => found,
        Err(why) => return Ok(Survey { dir: dir.to_owned(), unreadable: Some(why), ..Survey::default() }),
    };
    let here = layout(&found);
    // A lone `training_state.pt` beside `checkpoints/` is not what is looked for.
    if let Some(layout) = here.filter(|layout| *layout != Layout::Plain) {
        return of_layout(site, dir, layout, &found).await;
    }
    for below in deeper(site, dir, &found).await? {
        if let Ok(inside) = entries(site, &below).await?
            && let Some(layout) = layout(&inside)
        {
            return of_layout(site, &below, layout, &inside).await;
        }
    }
    if let Some(layout) = here {
        return of_layout(site, dir, layout, &found).await;
    }
    let odd: Vec<String> =
        found.iter().filter(|e| suspect(&e.name)).take(3).map(|e| clean_to(&e.name, 60)).collect();
    let reasons = match odd.as_slice() {
        [] => Vec::new(),
        odd => vec![format!("laid out like nothing known: {}", odd.join(", "))],
    };
    Ok(Survey { dir: dir.to_owned(), reasons, ..Survey::default() })
}

/// Where checkpoints may lie below a directory; Lightning's default is
/// `lightning_logs/version_N/checkpoints`.
async fn deeper(site: &dyn Site, dir: &str, found: &[DirEntry]) -> Result<Vec<String>, StepError> {
    let there = |name: &str| found.iter().any(|entry| is_dir(entry) && entry.name == name);
    let mut below: Vec<String> =
        BELOW.iter().filter(|name| there(name)).map(|name| format!("{dir}/{name}")).collect();
    if there("lightning_logs")
        && let Ok(versions) = entries(site, &format!("{dir}/lightning_logs")).await?
    {
        let number = |entry: &DirEntry| entry.name.strip_prefix("version_")?.parse::<u64>().ok();
        if let Some(version) = versions.iter().filter_map(number).max() {
            below.push(format!("{dir}/lightning_logs/version_{version}/checkpoints"));
        }
    }
    Ok(below)
}

/// One checkpoint before it is judged.
struct Raw<'a> {
    entry: &'a DirEntry,
    named: Named,
    tree: Option<Tree>,
}

async fn of_layout(
    site: &dyn Site,
    dir: &str,
    layout: Layout,
    found: &[DirEntry],
) -> Result<Survey, StepError> {
    let mut survey = Survey { dir: dir.to_owned(), layout: Some(layout), ..Survey::default() };
    if layout == Layout::TorchDcp {
        let tree = tree(site, dir).await?;
        let check = dcp(&tree.items);
        survey.candidates.push(candidate(dir.to_owned(), None, layout, &tree, check));
        survey.reasons.push("the directory is one checkpoint; its step is inside".to_owned());
        return Ok(survey);
    }
    let tracker = read_tracker(site, dir, layout, found).await?;
    let mut raw: Vec<Raw> = found
        .iter()
        .filter_map(|entry| {
            let named = named(&entry.name, is_dir(entry)).filter(|named| named.layout == layout)?;
            Some(Raw { entry, named, tree: None })
        })
        .collect();
    let chosen = tracker.chosen(layout);
    raw.sort_by_key(|raw| {
        let first = chosen.as_deref() == Some(raw.entry.name.as_str());
        std::cmp::Reverse((first, raw.named.step, raw.entry.stat.modified))
    });
    if raw.len() > MOST {
        survey.reasons.push(format!("{} older checkpoints were not looked into", raw.len() - MOST));
        raw.truncate(MOST);
    }
    for raw in &mut raw {
        if is_dir(raw.entry) {
            raw.tree = Some(tree(site, &format!("{dir}/{}", raw.entry.name)).await?);
        }
    }
    let most = |except: &Raw| {
        let others = raw.iter().filter(|other| other.entry.name != except.entry.name);
        others.filter_map(|other| other.tree.as_ref()).map(|tree| optimizer_files(&tree.items)).max()
    };
    for one in &raw {
        let path = format!("{dir}/{}", one.entry.name);
        let empty =
            Tree { bytes: one.entry.stat.size, modified: Some(one.entry.stat.modified), ..Tree::default() };
        let tree = one.tree.as_ref().unwrap_or(&empty);
        let mut check = examine(site, &path, layout, one, tree, most(one)).await?;
        if one.named.unfinished || found.iter().any(|e| e.name == format!("{}-unfinished", one.entry.name)) {
            check = Check::no("marked as unfinished");
        } else if layout == Layout::Megatron && check.complete == Some(true) {
            check = committed(check, one.named.step, &tracker);
        }
        survey.candidates.push(candidate(path, one.named.step, layout, tree, check));
    }
    sort(&mut survey.candidates);
    survey.resume_pick = resume(&mut survey, layout, found, &tracker);
    seal_newest(site, &mut survey).await?;
    if layout == Layout::Deepspeed && found.iter().any(|entry| entry.name == UNIVERSAL) {
        survey.reasons.push(format!(
            "there is a {UNIVERSAL}, too: with `--universal-checkpoint` it counts instead of {LATEST}"
        ));
    }
    survey.reasons.extend(shrunk(&survey.candidates));
    if survey.layout == Some(Layout::Lightning) && survey.candidates.iter().any(|c| c.step.is_none()) {
        survey.reasons.push("the step of last.ckpt and hpc_ckpt_N.ckpt is inside them".to_owned());
    }
    Ok(survey)
}

/// The newest complete checkpoint that is much smaller than the one before it: its markers may be there and parts of it
/// missing all the same.
fn shrunk(candidates: &[Candidate]) -> Option<String> {
    let mut complete = candidates.iter().filter(|c| c.complete == Some(true) && c.step.is_some());
    let (newest, before) = (complete.next()?, complete.next()?);
    let (now, then) = (newest.bytes?, before.bytes?);
    // Log histories and the like make a checkpoint grow, by little; 10 % is no such thing.
    (now.saturating_mul(10) < then.saturating_mul(9)).then(|| {
        format!(
            "step {} is complete by its markers, but smaller than step {}: {} and {}",
            newest.step.unwrap_or_default(),
            before.step.unwrap_or_default(),
            show(now),
            show(then)
        )
    })
}

fn candidate(path: String, step: Option<u64>, layout: Layout, tree: &Tree, check: Check) -> Candidate {
    let (complete, why) = match (&tree.partial, check.complete) {
        // What was not seen may be what is missing, or what seems to be missing.
        (Some(partial), _) => (None, format!("{}, but {}", check.why, clean_to(partial, 120))),
        (None, complete) => (complete, check.why),
    };
    Candidate {
        step,
        path,
        complete,
        bytes: Some(tree.bytes),
        modified: tree.modified,
        why: clean_to(&why, 240),
        writing: None,
        other_world_size: other_world_size(layout, &tree.items),
    }
}

async fn examine(
    site: &dyn Site,
    path: &str,
    layout: Layout,
    raw: &Raw<'_>,
    tree: &Tree,
    siblings: Option<usize>,
) -> Result<Check, StepError> {
    let has = |name: &str| tree.items.iter().find(|item| item.path == name);
    Ok(match layout {
        Layout::HfTrainer => {
            let (mut state, mut ends, mut tag) = (None, false, None);
            if let Some(file) = has("trainer_state.json") {
                let file_path = format!("{path}/trainer_state.json");
                let tail = bytes(site, &file_path, file.size.saturating_sub(64), 64).await?;
                match (head(site, &file_path, 64 << 10).await?, tail) {
                    (Ok(text), Ok(tail)) => {
                        state = Some(text);
                        ends = String::from_utf8_lossy(&tail).trim_end().ends_with('}');
                    }
                    (Err(why), _) | (_, Err(why)) => return Ok(Check::unknown(why)),
                }
            }
            if has(LATEST).is_some() {
                tag = head(site, &format!("{path}/{LATEST}"), 256).await?.ok();
            }
            hf(&tree.items, raw.named.step, state.as_deref(), ends, tag.as_deref())
        }
        Layout::Megatron => megatron(&tree.items),
        Layout::Deepspeed => deepspeed(&tree.items, siblings),
        Layout::Torchtitan | Layout::TorchDcp => dcp(&tree.items),
        Layout::Nemo => lightning_dir(&tree.items, false),
        Layout::Lightning if raw.tree.is_some() => lightning_dir(&tree.items, true),
        Layout::Lightning | Layout::Plain => match sealed(site, path, raw.entry.stat.size).await? {
            Seal::Whole => Check::yes("the file was written to its end"),
            Seal::Cut => Check::no("the file's end is missing"),
            Seal::Unrecognised => Check::unknown("the file's format does not tell whether its end is there"),
        },
    })
}

async fn read_tracker(
    site: &dyn Site,
    dir: &str,
    layout: Layout,
    found: &[DirEntry],
) -> Result<Tracker, StepError> {
    let Some(file) = tracker_file(layout).filter(|file| found.iter().any(|entry| entry.name == *file)) else {
        return Ok(Tracker::Absent);
    };
    Ok(match head(site, &format!("{dir}/{file}"), 256).await? {
        Ok(text) => Tracker::Says(text),
        Err(why) => Tracker::Unreadable(why),
    })
}

/// A whole iteration counts only once the tracker has come to it.
fn committed(check: Check, step: Option<u64>, tracker: &Tracker) -> Check {
    match (step, tracker.number()) {
        (Some(step), Some(last)) if step > last => {
            Check::no(format!("newer than {TRACKER}, which says {last}: not committed"))
        }
        _ => check,
    }
}

/// Looks at the ends of the newest complete checkpoint's files; one that is cut makes it incomplete, and the
/// next is looked at.
async fn seal_newest(site: &dyn Site, survey: &mut Survey) -> Result<(), StepError> {
    if matches!(survey.layout, Some(Layout::Plain)) {
        return Ok(());
    }
    for candidate in &mut survey.candidates {
        if candidate.complete != Some(true) {
            continue;
        }
        let mut cut = None;
        for name in top_files(site, &candidate.path).await? {
            let path = format!("{}/{}", candidate.path, name.name);
            if sealed(site, &path, name.stat.size).await? == Seal::Cut {
                cut = Some(name.name);
                break;
            }
        }
        let Some(name) = cut else { break };
        candidate.complete = Some(false);
        candidate.why = format!("the end of {} is missing", clean_to(&name, 80));
        if let Some(pick) =
            survey.resume_pick.as_mut().filter(|pick| pick.path.as_deref() == Some(&*candidate.path))
        {
            pick.complete = Some(false);
        }
    }
    Ok(())
}

/// The files of tensors right in a checkpoint, at most 16.
async fn top_files(site: &dyn Site, path: &str) -> Result<Vec<DirEntry>, StepError> {
    let mut found = entries(site, path).await?.unwrap_or_default();
    let tensors = |name: &str| [".safetensors", ".bin", ".pt", ".pth"].iter().any(|end| name.ends_with(end));
    found.retain(|entry| !is_dir(entry) && tensors(&entry.name));
    found.truncate(16);
    Ok(found)
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
