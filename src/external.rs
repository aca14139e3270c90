//! Steps that are executables: where they are found, which may be run, and how they get into the registry.
//!
//! They run with the rights of whoever walks the runbook. One is taken only if nobody but that account and root could have put it
//! there or can change it. One on the PATH is asked what it is. One beside a runbook is not: that would let the runbook of a
//! stranger act when it is merely checked. What it is stands in a file beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use engine::check::{Checked, STEP_EXTERNAL, STEP_UNKNOWN};
use engine::plan::{PlanData, Undo};
use engine::step::Registry;
use steps::external::{Executable, External, PREFIX, describe, described_by};
use steps::site::LiveSite;

use crate::error::CliError;
use crate::library::{Found, Place};
use crate::terminal::line;

/// The directory beside a runbook that holds its own steps.
const BESIDE: &str = "steps";
/// What is behind the name of an executable in the name of the file that describes it.
const DESCRIPTION: &str = ".json";
/// A longer description is none.
const MOST: u64 = 1 << 20;

/// The executables that were looked for.
#[derive(Default)]
pub(crate) struct Externals {
    /// Those that can be used, by kind.
    pub steps: BTreeMap<String, External>,
    /// Those that are there and cannot be used: where, and why.
    pub refused: BTreeMap<String, (PathBuf, String)>,
}

impl Found {
    /// The absolute path of its file; `None` if it is in the program.
    pub(crate) fn place(&self) -> Option<String> {
        let Place::File(path) = &self.place else { return None };
        Some(std::path::absolute(path).ok()?.display().to_string())
    }
}

/// The executables for these kinds, beside these runbooks or on the PATH: the first that is there counts.
///
/// # Errors
/// If nothing can be run at all.
pub(crate) fn find(kinds: &BTreeSet<String>, runbooks: &[PathBuf]) -> Result<Externals, CliError> {
    let directories = directories(runbooks);
    let at = |kind: &String| {
        let file = format!("{PREFIX}{kind}");
        let directory =
            directories.iter().find(|directory| directory.path.join(&file).symlink_metadata().is_ok())?;
        Some((kind.clone(), directory.clone()))
    };
    described(kinds.iter().filter_map(at).collect())
}

/// All executables beside these runbooks and on the PATH.
///
/// # Errors
/// If nothing can be run at all.
pub(crate) fn all(runbooks: &[PathBuf]) -> Result<Externals, CliError> {
    let mut found = BTreeMap::new();
    for directory in directories(runbooks) {
        for entry in std::fs::read_dir(&directory.path).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let kind = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            if let Some(kind) = kind.filter(|kind| !kind.ends_with(DESCRIPTION)) {
                found.entry(kind.to_owned()).or_insert_with(|| directory.clone());
            }
        }
    }
    described(found)
}

/// Adds the steps of a run that are not in the program.
///
/// # Errors
/// If one is not there any more, or cannot be used.
pub(crate) fn complete(
    registry: &mut Registry,
    plan: &PlanData,
    place: Option<&str>,
) -> Result<(), CliError> {
    let mut kinds = BTreeSet::new();
    for step in plan.nodes.iter().filter_map(|node| node.step()) {
        kinds.insert(step.kind.clone());
        if let Undo::Step { kind, .. } = &step.undo {
            kinds.insert(kind.clone());
        }
    }
    kinds.retain(|kind| registry.get(kind).is_none());
    if kinds.is_empty() {
        return Ok(());
    }
    let runbooks: Vec<PathBuf> = place.map(PathBuf::from).into_iter().collect();
    let mut found = find(&kinds, &runbooks)?;
    for kind in kinds {
        let Some(step) = found.steps.remove(&kind) else {
            let (message, hint) = match found.refused.remove(&kind) {
                Some((path, why)) => {
                    (format!("the step {kind} cannot be used: {}: {why}", path.display()), MEND)
                }
                None => (format!("the step {kind} of this run is not there"), MISSING),
            };
            return Err(CliError::usage(message, hint));
        };
        registry.register(step);
    }
    Ok(())
}

/// What to do about one that cannot be used.
pub(crate) const MEND: &str =
    "mend it, then try again; docs/external-steps.md says what is asked of an executable";
const MISSING: &str = "put its executable runbook-step-NAME into `steps` beside the runbook, or on the PATH";

/// The kinds that a check did not know, and the files that name them.
pub(crate) fn unknown(checked: &Checked) -> (BTreeSet<String>, Vec<PathBuf>) {
    let (mut kinds, mut files) = (BTreeSet::new(), Vec::new());
    for found in checked.diagnostics.iter().filter(|found| found.code == STEP_UNKNOWN) {
        let Some(file) = checked.files.get(found.at.file) else { continue };
        if let Some(kind) = word(&file.text, found.at.start, found.at.len) {
            kinds.insert(kind);
            files.push(PathBuf::from(&file.name));
        }
    }
    files.dedup();
    (kinds, files)
}

/// Says of a kind that is not known why its executable is not used.
pub(crate) fn explain(checked: &mut Checked, refused: &BTreeMap<String, (PathBuf, String)>) {
    for found in checked.diagnostics.iter_mut().filter(|found| found.code == STEP_UNKNOWN) {
        let Some(file) = checked.files.get(found.at.file) else { continue };
        let Some(kind) = word(&file.text, found.at.start, found.at.len) else { continue };
        let Some((path, why)) = refused.get(&kind) else { continue };
        found.code = STEP_EXTERNAL;
        found.message = format!("the step `{kind}` cannot be used: {}", line(why));
        found.label = "this executable".to_owned();
        found.help = Some(format!("It is {}.", line(&path.display().to_string())));
    }
}

/// The word at a place, without its quotes.
fn word(text: &str, start: usize, len: usize) -> Option<String> {
    Some(text.get(start..start + len)?.trim_matches(['"', '\'']).to_owned())
}

/// Where executables are looked for.
#[derive(Debug, Clone)]
struct Directory {
    path: PathBuf,
    /// It came with a runbook.
    beside: bool,
}

/// Beside the runbooks, then on the PATH. A relative part of the PATH would mean another program in every directory.
fn directories(runbooks: &[PathBuf]) -> Vec<Directory> {
    let beside = runbooks.iter().filter(|file| file.is_file()).filter_map(|file| {
        let file = std::path::absolute(file).ok()?;
        Some(Directory { path: file.parent()?.join(BESIDE), beside: true })
    });
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::split_paths(&path).filter(|path| path.is_absolute());
    beside.chain(path.map(|path| Directory { path, beside: false })).collect()
}

/// Finds out what each is.
fn described(found: BTreeMap<String, Directory>) -> Result<Externals, CliError> {
    let mut externals = Externals::default();
    if found.is_empty() {
        return Ok(externals);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| CliError::Internal(format!("cannot start the runtime: {error}")))?;
    let site = LiveSite::new();
    for (kind, directory) in found {
        let path = directory.path.join(format!("{PREFIX}{kind}"));
        let named = directory.path.to_str().and_then(|directory| Executable::new(&kind, directory));
        let step = safe_to_run(&path).and_then(|()| {
            let name = "a name is words of a-z, 0-9 and _, joined by `.` or `-`";
            let executable = named.ok_or_else(|| name.to_owned())?;
            let step = match directory.beside {
                true => described_by(executable, &description(&path)?),
                false => runtime.block_on(describe(&site, executable)),
            };
            step.map_err(|error| error.message)
        });
        match step {
            Ok(step) => drop(externals.steps.insert(kind, step)),
            Err(why) => drop(externals.refused.insert(kind, (path, why))),
        }
    }
    Ok(externals)
}

/// What stands in the file beside it.
fn description(executable: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let mut path = executable.as_os_str().to_owned();
    path.push(DESCRIPTION);
    let path = PathBuf::from(path);
    let missing = |error: std::io::Error| {
        let (name, path) = (executable.file_name().unwrap_or_default().display(), path.display());
        format!(
            "what it is must stand beside it, in {path}: {error}; `./{name} describe </dev/null >{name}{DESCRIPTION}` makes it"
        )
    };
    let mut text = Vec::new();
    let file = std::fs::File::open(&path).map_err(missing)?;
    safe(&path, &file.metadata().map_err(missing)?)?;
    file.take(MOST).read_to_end(&mut text).map_err(missing)?;
    Ok(text)
}

/// Whether nobody but root and whoever runs this can have put a file there, or can change it.
fn safe_to_run(path: &Path) -> Result<(), String> {
    let real = path.canonicalize().map_err(|error| error.to_string())?;
    let about = |path: &Path| path.metadata().map_err(|error| format!("{}: {error}", path.display()));
    let file = about(&real)?;
    if !file.is_file() || file.mode() & 0o111 == 0 {
        return Err("it is no file that can be executed".to_owned());
    }
    safe(&real, &file)?;
    // Whoever may write to the directory that holds it, or the link to it, could put another in its place.
    let beside = path.parent().unwrap_or(Path::new("/"));
    let beside = beside.canonicalize().map_err(|error| format!("{}: {error}", beside.display()))?;
    for directory in beside.ancestors().chain(real.ancestors().skip(1)) {
        safe(directory, &about(directory)?)?;
    }
    Ok(())
}

fn safe(path: &Path, about: &Metadata) -> Result<(), String> {
    let own = rustix::process::getuid().as_raw();
    if about.uid() != 0 && about.uid() != own {
        return Err(format!("{} belongs to uid {}, who could change it", path.display(), about.uid()));
    }
    // In a sticky directory nobody takes away what is another's.
    let sticky = about.is_dir() && about.mode() & 0o1000 != 0;
    if about.mode() & 0o022 != 0 && !sticky {
        let mode = about.mode() & 0o7777;
        return Err(format!("{} may be written to by others (mode {mode:o})", path.display()));
    }
    Ok(())
}
