//! Answers left for a run in its directory: one file each, whose owner is who answered.
//!
//! A file cannot be given away, so its owner wrote it. It counts only if nobody else may write to it, and says itself which
//! run, visit and digest it is about: moving or linking it to another run changes nothing.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::JournalError;
use crate::run::{Replied, Reply, RunId};

/// Bytes of an answer that are read; a longer file is none.
const MOST: u64 = 16 << 10;

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { action, path, source }
}

fn place(dir: &Path) -> PathBuf {
    dir.join("replies")
}

/// Leaves an answer.
pub(super) fn leave(dir: &Path, reply: &Reply) -> Result<(), JournalError> {
    if !dir.is_dir() {
        return Err(JournalError::NoRun(reply.run.to_string()));
    }
    let place = place(dir);
    match DirBuilder::new().mode(0o700).create(&place) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io("make", &place)(error)),
        _ => {}
    }
    let text = serde_json::to_vec(reply).unwrap_or_default();
    let now = Timestamp::now().as_nanosecond();
    let (temporary, path) = (place.join(format!(".{now}.new")), place.join(format!("{now}.json")));
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create_new(true).mode(0o644).open(&temporary).map_err(io("make", &temporary))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(io("write", &temporary))?;
    fs::rename(&temporary, &path).map_err(io("write", &path))
}

/// All answers, oldest first.
pub(super) fn all(dir: &Path, run: &RunId) -> Result<Vec<Replied>, JournalError> {
    let place = place(dir);
    let entries = match fs::read_dir(&place) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io("list", &place)(error)),
    };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(".json"))
        .map(|entry| entry.path())
        .collect();
    // A file system's clock is coarse: of two answers of the same moment the names say which came first.
    paths.sort();
    let mut replies: Vec<Replied> =
        paths.iter().filter_map(|path| one(path)).filter(|replied| replied.reply.run == *run).collect();
    replies.sort_by_key(|replied| replied.at);
    Ok(replies)
}

/// One answer, if it can be attributed.
fn one(path: &Path) -> Option<Replied> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let mut file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path).ok()?;
    let about = file.metadata().ok()?;
    if !about.is_file() || about.mode() & 0o022 != 0 || about.len() > MOST {
        return None;
    }
    let mut text = Vec::new();
    (&mut file).take(MOST).read_to_end(&mut text).ok()?;
    Some(Replied {
        reply: serde_json::from_slice(&text).ok()?,
        account: account(about.uid())?,
        at: about.modified().ok()?.try_into().ok()?,
    })
}

/// The name of an account, as the name service of this host has it.
fn account(uid: u32) -> Option<String> {
    let output = std::process::Command::new("id").args(["-un", &uid.to_string()]).output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !name.is_empty()).then_some(name)
}
