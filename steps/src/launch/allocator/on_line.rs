//! What stands between the script's exports and the ranks: launch lines that set the variable themselves, and containers.

use super::super::edits::{Changed, Edited};
use super::super::script::Script;
use super::super::settings::{At, Found, Launch, Reading};
use super::knowledge::Knowledge;
use super::version::Releases;

/// A setting on the launch line, which wins over what the script exports.
pub(super) struct OnLine {
    launch: Launch,
    found: Found,
    /// The variable.
    name: String,
    /// The settings that it holds.
    pub(super) text: String,
}

/// The setting on the launch line; `None` if there is none.
///
/// # Errors
/// Why what stands there cannot be told or edited.
pub(super) fn on_line(
    script: &Script,
    knowledge: &Knowledge,
    releases: &Releases,
) -> Result<Option<OnLine>, String> {
    let launch = Launch::new(script.clone(), Default::default());
    for (index, variable) in knowledge.variables.iter().enumerate() {
        let name = &variable.name;
        let found = match launch.read_at(&At::Passed(name.clone())) {
            Reading::Absent => continue,
            Reading::Unclear(why) => return Err(why),
            Reading::Found(found) => found,
        };
        let text = found.value.clone().unwrap_or_default();
        if text.contains(['\'', '"', ','])
            && launch.starts_with_word(|word| word.starts_with("--export=")).is_some()
        {
            return Err(format!("{}: a list inside of the list of --export is not edited", found.place));
        }
        if !releases.all_since(variable.since) {
            return Err(format!("{}: {releases} does not surely read this name", found.place));
        }
        if index > 0
            && !matches!(script.reading(&knowledge.variables[0].name), super::super::script::Reading::Absent)
        {
            return Err(format!("{}: {} is set as well and wins", found.place, knowledge.variables[0].name));
        }
        return Ok(Some(OnLine { launch, found, name: name.clone(), text }));
    }
    Ok(None)
}

impl OnLine {
    /// The script with other settings on the launch line.
    ///
    /// # Errors
    /// Why there is no such edit.
    pub(super) fn edit(&self, text: Option<&str>) -> Result<Edited, String> {
        let place = &self.found.place;
        let text =
            text.ok_or_else(|| format!("{place}: taking it off the launch line is left to a person"))?;
        if text.contains(',') && self.launch.starts_with_word(|word| word.starts_with("--export=")).is_some()
        {
            return Err(format!("{place}: a list inside of the list of --export is not written"));
        }
        let after = self.launch.set(&self.found, text)?;
        let changed = Changed {
            name: self.name.clone(),
            before: Some(self.text.clone()),
            after: Some(text.to_owned()),
            line: self.found.line,
            file: None,
        };
        Ok(Edited { script: after.script, changed: vec![changed], notes: self.found.notes.clone() })
    }
}

/// The script with what its containers need to let the variables through; `None` if nothing has to be done.
///
/// # Errors
/// Why the variables would not arrive.
pub(super) fn let_through(script: &Script, names: &[&str]) -> Result<Option<Script>, String> {
    let launch = Launch::new(script.clone(), Default::default());
    let word = |is: &dyn Fn(&str) -> bool| launch.starts_with_word(is);
    let base = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
    let given = |word: &str| names.iter().any(|name| word == *name || word == format!("--env={name}"));
    if let Some(line) = word(&|word| matches!(base(word).as_str(), "docker" | "podman"))
        && word(&given).is_none()
    {
        return Err(format!(
            "line {line} starts a container that gets only the variables that its -e names: add -e {}",
            names.join(" -e ")
        ));
    }
    if let Some(line) = word(&|word| matches!(base(word).as_str(), "apptainer" | "singularity"))
        && word(&|word| matches!(word, "--cleanenv" | "--containall" | "-C")).is_some()
    {
        return Err(format!(
            "line {line} starts a container that gets none of the script's variables (--cleanenv)"
        ));
    }
    // Pyxis: the image's own variables win over the job's unless they are named (its README, "--container-env").
    let Reading::Found(image) = launch.read_at(&At::Starter("--container-image".to_owned())) else {
        return Ok(None);
    };
    let at = At::Starter("--container-env".to_owned());
    let after = match launch.read_at(&at) {
        Reading::Found(found) => {
            let passed = found.value.clone().unwrap_or_default();
            let missing: Vec<&str> =
                names.iter().copied().filter(|name| !passed.split(',').any(|one| one == *name)).collect();
            match missing.is_empty() {
                true => return Ok(None),
                false => launch.set(&found, &format!("{passed},{}", missing.join(",")))?,
            }
        }
        Reading::Absent => launch.add(&at, &names.join(","), &image)?,
        Reading::Unclear(why) => return Err(why),
    };
    Ok(Some(after.script))
}
