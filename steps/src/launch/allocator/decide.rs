//! What becomes of a script's allocator settings. Pure.

use engine::step::StepError;

use super::super::edits::{Edited, apply};
use super::super::script::{Reading, Script, Unclear};
use super::knowledge::{Knowledge, knowledge};
use super::on_line::{let_through, on_line};
use super::settings::{Merged, Settings, merge, parse, write};
use super::version::Releases;
use crate::text::clean;

/// What is wanted.
pub(super) struct Ask {
    /// Keys to set.
    pub(super) wanted: Settings,
    /// Keys to take away.
    pub(super) remove: Vec<String>,
    /// The releases to reckon with.
    pub(super) releases: Releases,
    /// Whether anything was said about the oldest of them.
    pub(super) release_known: bool,
}

/// What to do with a script.
pub(super) enum Verdict {
    /// Edit it like this.
    Edit(Box<(Edited, Merged)>),
    /// Nothing: the settings are in force.
    Same,
    /// Nothing: the wanted settings are not surely legal on the releases; why.
    Illegal(String),
    /// Nothing, for this reason.
    Cannot(String),
}

/// The settings in force, and what becomes of them.
pub(super) struct Decided {
    /// The text in force.
    pub(super) before: Option<String>,
    pub(super) verdict: Verdict,
}

/// The text in force: of the variable that wins among those that the releases read.
fn in_force(
    script: &Script,
    knowledge: &Knowledge,
    releases: &Releases,
    notes: &mut Vec<String>,
) -> Result<Option<(usize, String)>, String> {
    let mut found: Option<(usize, String)> = None;
    for (index, variable) in knowledge.variables.iter().enumerate() {
        let name = &variable.name;
        let setting = match script.reading(name) {
            Reading::Absent => continue,
            Reading::Unclear(why) => return Err(format!("{name}: {why}")),
            Reading::Known(setting) if !setting.exported => continue,
            Reading::Known(setting) => setting,
        };
        if let Some((winner, _)) = &found {
            let winner = &knowledge.variables[*winner].name;
            notes.push(format!(
                "{name} was set as well, but {winner} wins as a whole: it gets the same value now."
            ));
        } else if releases.all_before(variable.since) {
            notes.push(format!(
                "{name} was set, but {releases} does not read it: its {} was never in force.",
                clean(&setting.value)
            ));
        } else {
            if !releases.all_since(variable.since) {
                notes.push(format!(
                    "{name} is read from PyTorch {} on: whether its {} was in force is not known; it is taken as if it was.",
                    variable.since,
                    clean(&setting.value)
                ));
            }
            found = Some((index, setting.value));
        }
    }
    Ok(found)
}

/// Decides what becomes of a script; `notes` gets what a person should know.
///
/// # Errors
/// If the program was built with a broken table.
pub(super) fn decide(script: &Script, ask: &Ask, notes: &mut Vec<String>) -> Result<Decided, StepError> {
    let Ask { wanted, remove, releases, release_known } = ask;
    let knowledge = knowledge().map_err(StepError::failed)?;
    let cannot = |before, why: String| Ok(Decided { before, verdict: Verdict::Cannot(why) });
    if releases.all_before(Releases::OLDEST) {
        return cannot(None, format!("{releases} reads no allocator settings"));
    }
    for (name, why) in [
        (
            "PYTORCH_NO_CUDA_MEMORY_CACHING",
            "turns the caching allocator off, so that no setting has an effect",
        ),
        ("PYTORCH_HIP_ALLOC_CONF", "is set: settings of ROCm builds are not known here"),
    ] {
        if !matches!(script.reading(name), Reading::Absent | Reading::Unclear(Unclear::NoLaunch)) {
            return cannot(None, format!("{name} {why}"));
        }
    }
    let line = match on_line(script, knowledge, releases) {
        Ok(line) => line,
        Err(why) => return cannot(None, why),
    };
    let winner = match &line {
        Some(line) => Ok(Some((0, line.text.clone()))),
        None => in_force(script, knowledge, releases, notes),
    };
    let winner = match winner {
        Ok(winner) => winner,
        Err(why) => return cannot(None, why),
    };
    let before = winner.as_ref().map(|(_, text)| text.clone());
    let current = match parse(before.as_deref().unwrap_or_default()) {
        Ok(current) => current,
        Err(why) => return cannot(before, format!("the present setting cannot have worked: {why}")),
    };
    let surely_read =
        winner.as_ref().is_none_or(|(index, _)| releases.all_since(knowledge.variables[*index].since));
    if !surely_read {
        // What may never have been read may never have been legal either.
        let legal = |(key, value): &(String, String)| knowledge.legal_on_all(key, value, releases);
        if let Err(why) = current.iter().try_for_each(legal) {
            return cannot(
                before,
                format!("whether the present setting was ever read is not known, and {why}"),
            );
        }
    }
    let merged = match merge(knowledge, &current, wanted, remove, releases) {
        Ok(merged) => merged,
        Err(why) => {
            let hint = match release_known {
                true => "",
                false => "; the job's release is not known (assume_torch can say it)",
            };
            return Ok(Decided { before, verdict: Verdict::Illegal(format!("{why}{hint}")) });
        }
    };
    if merged.settings == current && surely_read {
        if let Some((index, _)) = winner.filter(|(index, _)| *index > 0) {
            let (first, name) = (&knowledge.variables[0].name, &knowledge.variables[index].name);
            notes.push(format!("A value of {first} from outside the script would win over {name}."));
        }
        return Ok(Decided { before, verdict: Verdict::Same });
    }
    let text = (!merged.settings.is_empty()).then(|| write(&merged.settings));
    if let Some(line) = line {
        return match line.edit(text.as_deref()) {
            Ok(edited) => Ok(Decided { before, verdict: Verdict::Edit(Box::new((edited, merged))) }),
            Err(why) => cannot(before, why),
        };
    }
    let names: Vec<&str> = knowledge.variables.iter().map(|variable| variable.name.as_str()).collect();
    let opened = match let_through(script, &names) {
        Ok(opened) => opened,
        Err(why) => return cannot(before, why),
    };
    if opened.is_some() {
        notes.push(
            "The container's image may set these variables itself: --container-env lets the script's win."
                .to_owned(),
        );
    }
    let wanted: Vec<(String, Option<String>)> =
        knowledge.variables.iter().map(|variable| (variable.name.clone(), text.clone())).collect();
    match apply(opened.as_ref().unwrap_or(script), &wanted) {
        Ok(edited) => Ok(Decided { before, verdict: Verdict::Edit(Box::new((edited, merged))) }),
        Err(refusal) => cannot(before, refusal.to_string()),
    }
}
