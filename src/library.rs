//! Where runbooks come from: a path, the directories of the site, the program itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine::diagnostic::{Diagnostic, SourceFile};
use engine::scenario::Scenario;

use crate::error::CliError;

/// A runbook that ships with the program.
#[derive(Debug)]
pub(crate) struct Shipped {
    pub name: &'static str,
    pub yaml: &'static str,
    /// The written page.
    pub page: &'static str,
    /// Recordings by name, the one to begin with first.
    pub rehearsals: &'static [(&'static str, &'static str)],
}

/// A runbook of `runbooks/` with these recordings of its `rehearsals/`.
macro_rules! shipped {
    ($name:literal, $($recording:literal),+) => {
        Shipped {
            name: $name,
            yaml: include_str!(concat!("../runbooks/", $name, "/runbook.yaml")),
            page: include_str!(concat!("../runbooks/", $name, "/page.md")),
            rehearsals: &[$((
                $recording,
                include_str!(concat!("../runbooks/", $name, "/rehearsals/", $recording, ".yaml")),
            )),+],
        }
    };
}

/// The runbooks that ship with the program.
pub(crate) const SHIPPED: &[Shipped] = &[
    shipped!("training-oom", "fragmentation", "true-oom"),
    shipped!("nccl-hang", "bad-node", "tcp-fallback"),
];

/// Where a runbook is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// In this file.
    File(PathBuf),
    /// In the program.
    Program(&'static Shipped),
}

/// A runbook that was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Its name: that of its directory.
    pub name: String,
    /// Where it is.
    pub place: Place,
}

/// A recording holds what hosts answered, logs included.
const MOST_RECORDED: u64 = 256 << 20;

/// A recording that was found.
#[derive(Debug)]
pub(crate) struct Tape {
    /// Its name for people.
    pub name: String,
    /// Where it is, or would be.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
}

impl Found {
    /// The one in this file.
    pub(crate) fn at(file: PathBuf) -> Self {
        Self { name: name_of(&file), place: Place::File(file) }
    }

    /// Its file, for people.
    pub(crate) fn shown(&self) -> String {
        match &self.place {
            Place::File(path) => path.display().to_string(),
            Place::Program(shipped) => format!("runbooks/{}/runbook.yaml (shipped)", shipped.name),
        }
    }

    /// The files in `rehearsals/` beside it, by name.
    pub(crate) fn rehearsals(&self) -> BTreeMap<String, PathBuf> {
        match &self.place {
            Place::File(path) => rehearsals_beside(path),
            Place::Program(_) => BTreeMap::new(),
        }
    }

    /// Its text, not yet known to be text.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, CliError> {
        match &self.place {
            // One byte too many is enough for the checker to say that it is too long.
            Place::File(path) => read(path, engine::source::MAX_BYTES + 1),
            Place::Program(shipped) => Ok(shipped.yaml.as_bytes().to_vec()),
        }
    }

    /// The page beside it, under the name that the runbook gives it.
    pub(crate) fn page(&self, name: &str) -> Result<SourceFile, Box<Diagnostic>> {
        match &self.place {
            Place::Program(shipped) => {
                let name = format!("runbooks/{}/{name} (shipped)", shipped.name);
                engine::source::from_bytes(&name, shipped.page.as_bytes().to_vec())
            }
            Place::File(path) => {
                let path = path.with_file_name(name);
                let shown = path.display().to_string();
                match std::fs::File::open(&path) {
                    Ok(file) => {
                        let len = file.metadata().map_or(0, |meta| meta.len());
                        engine::source::from_reader(&shown, len, file)
                    }
                    Err(error) => engine::source::from_reader(&shown, 0, Refused(Some(error))),
                }
            }
        }
    }

    /// The recording (or scenario) of this name or at this path; without one, the first that comes with the runbook.
    pub(crate) fn recording(&self, wanted: Option<&str>) -> Result<Tape, CliError> {
        let at =
            |name: String, path: &Path| Ok(Tape { name, path: path.to_owned(), text: recording_text(path)? });
        if let Some(path) = wanted.map(Path::new).filter(|path| path.is_file()) {
            return at(path.display().to_string(), path);
        }
        let names: Vec<String> = match &self.place {
            Place::Program(shipped) => {
                let mut recordings = shipped.rehearsals.iter();
                if let Some((name, text)) =
                    recordings.find(|(name, _)| wanted.is_none_or(|wanted| wanted == *name))
                {
                    let path = format!("runbooks/{}/rehearsals/{name}.yaml", shipped.name).into();
                    return Ok(Tape { name: (*name).to_owned(), path, text: (*text).to_owned() });
                }
                shipped.rehearsals.iter().map(|(name, _)| (*name).to_owned()).collect()
            }
            Place::File(path) => {
                let rehearsals = rehearsals_beside(path);
                let found = match wanted {
                    Some(wanted) => rehearsals.get_key_value(wanted),
                    None => {
                        let first = rehearsals.iter().find(|(_, path)| is_recording(path));
                        first.or_else(|| rehearsals.iter().next())
                    }
                };
                if let Some((name, path)) = found {
                    return at(name.clone(), path);
                }
                rehearsals.into_keys().collect()
            }
        };
        Err(match (wanted, &names[..]) {
            (_, []) => CliError::usage(
                format!("{} comes with no recording", self.name),
                "name a file with --recording; `runbook run --record FILE` makes one",
            ),
            (wanted, names) => CliError::usage(
                format!("{} has no recording {}", self.name, wanted.unwrap_or_default()),
                format!("it has {}", names.join(", ")),
            ),
        })
    }
}

/// A file that could not be opened.
struct Refused(Option<std::io::Error>);

impl std::io::Read for Refused {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(self.0.take().unwrap_or_else(|| std::io::ErrorKind::NotFound.into()))
    }
}

/// The runbook of this name, or at this path.
pub(crate) fn find(asked: &str) -> Result<Found, CliError> {
    let path = Path::new(asked);
    if asked.contains('/') || asked.ends_with(".yaml") || asked.ends_with(".yml") {
        let file = if path.is_dir() { path.join("runbook.yaml") } else { path.to_owned() };
        if !file.is_file() {
            return Err(CliError::usage(
                format!("there is no runbook at {asked}"),
                "`runbook list` shows all by name",
            ));
        }
        return Ok(Found::at(file));
    }
    let all = all();
    all.get(asked).cloned().ok_or_else(|| {
        let names = all.keys().map(String::as_str);
        CliError::no_such("runbook", asked, names, "`runbook list` shows all; a path needs a / or .yaml")
    })
}

/// All runbooks that can be run by name; the first directory that has a name wins.
pub(crate) fn all() -> BTreeMap<String, Found> {
    let mut all = BTreeMap::new();
    for directory in directories() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let file = entry.path().join("runbook.yaml");
            let name = name_of(&file);
            if file.is_file() {
                all.entry(name.clone()).or_insert(Found { name, place: Place::File(file) });
            }
        }
    }
    for shipped in SHIPPED {
        let found = Found { name: shipped.name.to_owned(), place: Place::Program(shipped) };
        all.entry(shipped.name.to_owned()).or_insert(found);
    }
    all
}

fn directories() -> Vec<PathBuf> {
    let mut directories = vec![PathBuf::from("runbooks")];
    if let Some(path) = std::env::var_os("RUNBOOK_PATH") {
        directories.extend(std::env::split_paths(&path).filter(|path| !path.as_os_str().is_empty()));
    }
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let config = config.or_else(|| std::env::home_dir().map(|home| home.join(".config")));
    directories.extend(config.map(|config| config.join("runbook/runbooks")));
    directories.push(PathBuf::from("/etc/runbook/runbooks"));
    directories
}

/// `training-oom` of `…/training-oom/runbook.yaml`; `mine` of `mine.yaml`.
fn name_of(file: &Path) -> String {
    let text = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let stem = text(file.file_stem()).unwrap_or_default();
    if stem != "runbook" {
        return stem;
    }
    let absolute = std::path::absolute(file).ok();
    text(absolute.as_deref().and_then(Path::parent).and_then(Path::file_name)).unwrap_or(stem)
}

/// Whether a file in `rehearsals/` is a recording, and no scenario.
fn is_recording(path: &Path) -> bool {
    recording_text(path).is_ok_and(|text| !Scenario::is_one(&text))
}

fn rehearsals_beside(runbook: &Path) -> BTreeMap<String, PathBuf> {
    let directory = runbook.parent().unwrap_or(Path::new("")).join("rehearsals");
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let yaml = entries.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    yaml.filter_map(|path| Some((path.file_stem()?.to_string_lossy().into_owned(), path))).collect()
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, CliError> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map_err(|error| CliError::read(path, error))?;
    Ok(bytes)
}

fn recording_text(path: &Path) -> Result<String, CliError> {
    String::from_utf8(read(path, MOST_RECORDED)?).map_err(|_| {
        let message = format!("the recording {} is not UTF-8 text", path.display());
        CliError::usage(message, "make one with `runbook run --record FILE`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runbook_of_the_repository_ships() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks");
        let in_repository: Vec<String> = std::fs::read_dir(root)
            .unwrap()
            .flatten()
            .filter(|entry| entry.path().join("runbook.yaml").is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        for name in &in_repository {
            assert!(SHIPPED.iter().any(|shipped| shipped.name == name), "{name} is not in SHIPPED");
        }
        assert_eq!(SHIPPED.len(), in_repository.len());
    }

    #[test]
    fn names_come_from_directories() {
        assert_eq!(name_of(Path::new("/a/b/runbook.yaml")), "b");
        assert_eq!(name_of(Path::new("mine.yaml")), "mine");
    }

    #[test]
    fn a_misspelt_name_gets_a_suggestion() {
        let error = find("trainig-oom").unwrap_err();
        assert!(
            matches!(&error, CliError::Usage { hint: Some(hint), .. } if hint.contains("training-oom")),
            "{error:?}"
        );
    }
}
