//! Reading the configuration files that a launch refers to.

use engine::site::SiteErrorKind;
use engine::step::{StepCx, StepError};
use jiff::Timestamp;

use super::super::config::{Doc, Lookup};
use super::super::script::{Line, Word, join};
use super::super::settings::{At, File, Launch, Reading};
use super::framework::{FileRef, Framework};
use crate::text::clean;

/// Reads the files of a framework's table into the launch. A file that is named but cannot be read or understood is kept as
/// such: what stands in it is then unclear, and not absent. What a person should know of them is given back.
///
/// # Errors
/// Where the site gives no answer.
pub(super) async fn load(
    cx: &StepCx,
    launch: &mut Launch,
    framework: &Framework,
    checkpoint: Option<&str>,
    started: Option<Timestamp>,
) -> Result<Vec<String>, StepError> {
    let mut notes = Vec::new();
    for file in &framework.files {
        let Some(path) = named(launch, file, checkpoint) else { continue };
        let read = match path {
            Ok(path) => match read(cx, &path, file).await? {
                Some(read) => read,
                None => continue,
            },
            Err(why) => File::Unclear(why),
        };
        if by_default(launch, file) {
            notes.push(format!(
                "Which file {} is, the environment that the script is submitted from may say otherwise.",
                read.name().map_or_else(|| file.name.clone(), clean)
            ));
        }
        // What the job ran is only known of its script.
        if let (File::Read { path, .. }, Some(started)) =
            (&read, started.filter(|_| file.checkpoint.is_none()))
        {
            let changed = match cx.site.stat(path).await {
                Ok(stat) => stat.is_some_and(|stat| stat.modified > started),
                Err(error) if error.kind == SiteErrorKind::NotRecorded => return Err(error.into()),
                Err(_) => false,
            };
            if changed {
                let path = clean(path);
                notes.push(format!(
                    "{path} was changed after the job started: what the job read is not known."
                ));
            }
        }
        launch.files.insert(file.name.clone(), read);
    }
    Ok(notes)
}

/// Whether the name of a file is the default of a variable that may be set outside of the script.
fn by_default(launch: &Launch, file: &FileRef) -> bool {
    let mut words = file.flags.iter().flat_map(|flag| launch.arguments(flag)).flatten();
    words.any(|(_, word, _)| launch.has_default(word))
}

/// The path under which a file is named; `None` if it is not.
fn named(launch: &Launch, file: &FileRef, checkpoint: Option<&str>) -> Option<Result<String, String>> {
    if let Some(name) = &file.checkpoint {
        return Some(Ok(join(checkpoint, name)?));
    }
    for flag in &file.flags {
        if let Some(path) = agreed(launch, launch.arguments(flag)) {
            return Some(path.and_then(|path| within(launch, file, path)).map(|path| inside(file, path)));
        }
    }
    if !file.ends.is_empty()
        && let Some(path) = agreed(launch, launch.ending(&file.ends))
    {
        return Some(path);
    }
    for name in &file.variables {
        match launch.read_at(&At::Variable(name.clone())) {
            Reading::Absent => {}
            Reading::Unclear(why) => return Some(Err(why)),
            Reading::Found(found) => return Some(launch.beside(&found.value.unwrap_or_default())),
        }
    }
    let key = file.key.as_ref()?;
    match launch.files.get("main")? {
        File::Unclear(why) => Some(Err(why.clone())),
        File::Read { path: _, doc } => match doc.get(key) {
            Lookup::Absent => None,
            Lookup::Unclear => Some(Err(format!("{key} is written twice or by an alias"))),
            Lookup::One(entry) => {
                let value = entry.value.word().filter(|value| !value.is_empty() && value != "null")?;
                Some(launch.beside(&value).map(|path| inside(file, path)))
            }
        },
    }
}

/// The path that all launch lines name.
fn agreed(launch: &Launch, arguments: Vec<Option<(&Line, &Word, usize)>>) -> Option<Result<String, String>> {
    let given: Vec<(&Line, &Word, usize)> = arguments.iter().copied().flatten().collect();
    let (first, rest) = given.split_first()?;
    if given.len() < arguments.len() {
        return Some(Err("not every launch line names the same files".to_owned()));
    }
    let path = launch.path(*first);
    match rest.iter().all(|other| launch.path(*other) == path) {
        true => Some(path),
        false => Some(Err("not every launch line names the same files".to_owned())),
    }
}

fn inside(file: &FileRef, path: String) -> String {
    match &file.inside {
        Some(name) => format!("{path}/{name}"),
        None => path,
    }
}

/// Hydra names directory and file apart, the file without its ending.
fn within(launch: &Launch, file: &FileRef, path: String) -> Result<String, String> {
    let Some(flag) = &file.within else { return Ok(path) };
    let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
    let dir = match agreed(launch, launch.arguments(flag)) {
        // A relative one is seen from the program's own directory.
        Some(Ok(dir)) if launch.written_from_root(flag) => dir,
        _ => {
            return Err(format!(
                "in which directory {} is cannot be told: no absolute {flag} is given",
                clean(&name)
            ));
        }
    };
    let ending = if name.contains(".y") { "" } else { ".yaml" };
    Ok(format!("{dir}/{name}{ending}"))
}

async fn read(cx: &StepCx, path: &str, file: &FileRef) -> Result<Option<File>, StepError> {
    let unclear = |why: String| Ok(Some(File::Unclear(format!("{}: {why}", clean(path)))));
    if path.chars().any(char::is_control) {
        return unclear("it is no path".to_owned());
    }
    // What only tells more, such as a model's dimensions, may be missing.
    let optional = file.inside.is_some() || file.checkpoint.is_some();
    let bytes = match cx.site.read_all(path, Doc::LONGEST).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind == SiteErrorKind::NotRecorded => return Err(error.into()),
        Err(_) if optional => return Ok(None),
        Err(error) => return unclear(error.message),
    };
    let Ok(text) = String::from_utf8(bytes) else { return unclear("it is not a text in UTF-8".to_owned()) };
    let Some(format) = file.format.of(path) else { return unclear("its kind is not known".to_owned()) };
    match Doc::parse(format, &text) {
        Ok(doc) => Ok(Some(File::Read { path: path.to_owned(), doc })),
        Err(why) => unclear(why),
    }
}
