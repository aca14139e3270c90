//! The policy of the site as it is in force: read anew whenever it is asked, so that what changes while a run waits counts.

use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use engine::budget::Limits;
use engine::diagnostic::{Diagnostic, SourceFile};
use engine::policy::{Closed, Demand, Intended, NoPolicy, Policy, SitePolicy};
use engine::source::from_reader;

/// Where it is.
const PATH: &str = "/etc/runbook/policy.yaml";

/// The policy of this site.
pub(crate) struct InForce;

/// What there is of it.
pub(crate) enum State {
    /// There is none.
    None,
    /// It is in force.
    Rules(SitePolicy),
    /// It cannot be used; why. Nothing may be changed.
    Closed(String),
}

impl InForce {
    /// The file. Whoever runs the program cannot name another: only a debug build, for tests, listens to the environment.
    pub(crate) fn path() -> PathBuf {
        let named = if cfg!(debug_assertions) { std::env::var_os("RUNBOOK_TEST_POLICY") } else { None };
        named.map_or_else(|| PathBuf::from(PATH), PathBuf::from)
    }

    /// What there is of it now.
    pub(crate) fn state() -> State {
        let path = Self::path();
        match load(&path) {
            Ok(None) => State::None,
            Ok(Some(policy)) => State::Rules(policy),
            Err(why) => State::Closed(why),
        }
    }

    fn now() -> Box<dyn Policy> {
        match Self::state() {
            State::None => Box::new(NoPolicy),
            State::Rules(policy) => Box::new(policy),
            State::Closed(why) => Box::new(Closed(why)),
        }
    }
}

impl Policy for InForce {
    fn demands(&self, change: &Intended<'_>) -> Demand {
        Self::now().demands(change)
    }

    fn digest(&self) -> String {
        Self::now().digest()
    }

    fn limits(&self) -> Limits {
        Self::now().limits()
    }
}

/// The policy in a file that only root can have put there; `None` if there is none.
fn load(path: &Path) -> Result<Option<SitePolicy>, String> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    // Whoever may write to the directory could take the file away.
    let directory = match directory.canonicalize() {
        Ok(directory) => directory,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", directory.display())),
    };
    safe_above(&directory)?;
    let file = match File::open(path) {
        Ok(file) => file,
        // A link that leads nowhere is not that there is no policy.
        Err(error) if error.kind() == ErrorKind::NotFound && path.symlink_metadata().is_err() => {
            return Ok(None);
        }
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let about = file.metadata().map_err(|error| format!("{}: {error}", path.display()))?;
    if !about.is_file() {
        return Err(format!("{} is no plain file", path.display()));
    }
    safe(path, &about)?;
    let real = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
    safe_above(real.parent().unwrap_or(&real))?;
    let name = path.display().to_string();
    let file = from_reader(&name, about.len(), file).map_err(|found| found.message)?;
    match SitePolicy::read(&file) {
        Ok(policy) => Ok(Some(policy)),
        Err(found) => Err(format!("{}; `runbook policy` shows all", summary(&file, &found))),
    }
}

/// The first mistake, with its line, and how many there are.
fn summary(file: &SourceFile, found: &[Diagnostic]) -> String {
    let first = found.first();
    let at = first.and_then(|first| file.text.get(..first.at.start)).unwrap_or_default();
    let line = at.matches('\n').count() + 1;
    let message = first.map_or("it cannot be read", |first| &first.message);
    format!("{}, line {line}: {message} ({} in all)", file.name, found.len())
}

fn safe_above(directory: &Path) -> Result<(), String> {
    for directory in directory.ancestors() {
        let about = directory.metadata().map_err(|error| format!("{}: {error}", directory.display()))?;
        safe(directory, &about)?;
    }
    Ok(())
}

/// Whether only root can change it. In a debug build, for tests, whoever runs it counts as root.
fn safe(path: &Path, about: &Metadata) -> Result<(), String> {
    let own = cfg!(debug_assertions) && about.uid() == rustix::process::getuid().as_raw();
    if about.uid() != 0 && !own {
        return Err(format!("{} belongs to uid {}, not to root", path.display(), about.uid()));
    }
    // In a sticky directory nobody takes away what is another's.
    let sticky = about.is_dir() && about.mode() & 0o1000 != 0;
    if about.mode() & 0o022 != 0 && !sticky {
        let mode = about.mode() & 0o7777;
        return Err(format!("{} may be written to by others than root (mode {mode:o})", path.display()));
    }
    Ok(())
}
