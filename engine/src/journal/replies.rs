//! Answers left for a run in its directory: one file each, whose owner is who answered.
//!
//! A file cannot be given away, so its owner wrote it, or let it be written by whoever may write to it. It counts only if
//! that is nobody else, and says itself which run, visit and digest it is about: moving or linking it elsewhere, or to
//! another name, changes nothing. Where the run is a team's, everybody of the team may leave an answer and nobody may
//! take away another's (the directory is sticky).

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::JournalError;
use crate::account::name_of;
use crate::run::{Replied, Reply, RunId};

/// Bytes of an answer that are read; a longer file is none.
const MOST: u64 = 16 << 10;
/// Files that are looked at. More answers than this nobody needs, and what fills the directory must not keep a run busy.
const MOST_FILES: usize = 1_000;
/// The account that stands for those that a file server does not know or does not trust (`/proc/sys/kernel/overflowuid`).
const NOBODY: u32 = 65_534;

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { action, path, source }
}

/// Where the answers of a run are.
pub(super) fn place(dir: &Path) -> PathBuf {
    dir.join("replies")
}

/// Leaves an answer.
pub(super) fn leave(dir: &Path, reply: &Reply) -> Result<(), JournalError> {
    let place = place(dir);
    let text = serde_json::to_vec(reply).unwrap_or_default();
    let (now, pid) = (Timestamp::now().as_nanosecond(), std::process::id());
    let temporary = place.join(format!(".{now}-{pid}.new"));
    let path = place.join(format!("{now}-{pid}.json"));
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create_new(true).mode(0o640).open(&temporary).map_err(io("make", &temporary))?;
    let written = readable(&file)
        .and_then(|()| file.write_all(&text))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, &path))
        .and_then(|()| File::open(&place)?.sync_all());
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        io("write", &path)(error)
    })
}

/// Whoever walks the run has to read it, whatever the umask of whoever answers; only that one may write to it.
fn readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o640))
}

/// All answers, oldest first, and what is none, with why.
pub(super) fn all(dir: &Path, run: &RunId) -> Result<(Vec<Replied>, Vec<String>), JournalError> {
    let place = place(dir);
    let entries = match fs::read_dir(&place) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
        Err(error) => return Err(io("list", &place)(error)),
    };
    let (mut replies, mut spoilt) = (Vec::new(), Vec::new());
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.retain(|name| name.to_string_lossy().ends_with(".json"));
    // A file system's clock is coarse: of two answers of the same moment the names say which came first.
    names.sort();
    for (at, name) in names.iter().enumerate() {
        if at == MOST_FILES {
            spoilt.push(format!("there are more than {MOST_FILES} files; the others are not looked at"));
            break;
        }
        match one(&place.join(name), run) {
            Ok(replied) => replies.push(replied),
            Err(why) => spoilt.push(format!("{}: {why}", name.to_string_lossy())),
        }
    }
    replies.sort_by_key(|replied: &Replied| replied.at);
    spoilt.sort();
    Ok((replies, spoilt))
}

/// One answer.
///
/// # Errors
/// Why it cannot be attributed to an account, or is none.
fn one(path: &Path, run: &RunId) -> Result<Replied, String> {
    // Neither is a link followed nor a pipe waited for.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let mut file = opened.map_err(|error| format!("cannot be opened: {error}"))?;
    let about = file.metadata().map_err(|error| format!("cannot be looked at: {error}"))?;
    if !about.is_file() {
        return Err("is no plain file".to_owned());
    }
    if about.nlink() != 1 {
        return Err("has several names: whose answer it is cannot be told".to_owned());
    }
    // An access list shows in the bits of the group, which are its mask.
    if about.mode() & 0o022 != 0 {
        return Err(format!("may be written to by others than its owner (mode {:o})", about.mode() & 0o7777));
    }
    if about.len() > MOST {
        return Err(format!("has {} bytes: an answer has at most {MOST}", about.len()));
    }
    let account =
        account(about.uid()).ok_or_else(|| format!("belongs to uid {}, which is nobody's", about.uid()))?;
    let mut text = Vec::new();
    (&mut file).take(MOST).read_to_end(&mut text).map_err(|error| format!("cannot be read: {error}"))?;
    let reply: Reply =
        serde_json::from_slice(&text).map_err(|error| format!("({account}) is no answer: {error}"))?;
    if reply.run != *run {
        return Err(format!("({account}) is about run {}", reply.run));
    }
    let at = about.modified().ok().and_then(|at| at.try_into().ok());
    Ok(Replied { reply, account, at: at.ok_or("has no time")? })
}

/// The name of who owns an answer; the account of those who have none answers for nobody.
fn account(uid: u32) -> Option<String> {
    Some(uid).filter(|uid| *uid != NOBODY).and_then(name_of)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::run::Word;

    fn run(name: &str) -> RunId {
        RunId::parse(name).unwrap()
    }

    fn reply(of: &str) -> Reply {
        Reply {
            run: run(of),
            visit: 3,
            about: "d".to_owned(),
            word: Word::Approve,
            reason: Some("looks right".to_owned()),
            host: "login2".to_owned(),
        }
    }

    fn dir() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(place(dir.path())).unwrap();
        dir
    }

    /// What is there besides one good answer.
    fn spoilt(spoil: impl Fn(&Path)) -> String {
        let dir = dir();
        leave(dir.path(), &reply("a")).unwrap();
        spoil(&place(dir.path()));
        let (replies, spoilt) = all(dir.path(), &run("a")).unwrap();
        assert_eq!((replies.len(), spoilt.len()), (1, 1), "{replies:?} {spoilt:?}");
        spoilt[0].clone()
    }

    fn text(of: &str) -> Vec<u8> {
        serde_json::to_vec(&reply(of)).unwrap()
    }

    fn with_mode(path: &Path, text: &[u8], mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn an_answer_is_its_owners() {
        let dir = dir();
        assert_eq!(all(dir.path(), &run("a")).unwrap(), (vec![], vec![]));
        leave(dir.path(), &reply("a")).unwrap();
        let (replies, spoilt) = all(dir.path(), &run("a")).unwrap();
        assert_eq!((&replies[0].reply, &spoilt[..]), (&reply("a"), &[][..]));
        let me = account(rustix::process::getuid().as_raw()).unwrap();
        assert_eq!(replies[0].account, me);
        let names: Vec<_> = fs::read_dir(place(dir.path())).unwrap().flatten().collect();
        assert_eq!(names.len(), 1, "nothing is left behind");
        assert_eq!(names[0].metadata().unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn what_is_not_provably_one_accounts_own_is_no_answer() {
        let linked = spoilt(|place| {
            with_mode(&place.join("one"), &text("a"), 0o600);
            fs::hard_link(place.join("one"), place.join("two.json")).unwrap();
        });
        assert!(linked.starts_with("two.json: has several names"), "{linked}");
        let symlinked = spoilt(|place| {
            with_mode(&place.join("one"), &text("a"), 0o600);
            symlink(place.join("one"), place.join("two.json")).unwrap();
        });
        assert!(symlinked.contains("cannot be opened"), "{symlinked}");
        for mode in [0o660, 0o602, 0o666] {
            let writable = spoilt(|place| with_mode(&place.join("w.json"), &text("a"), mode));
            assert!(writable.contains("may be written to by others"), "{writable}");
        }
        let pipe = spoilt(|place| {
            let path = place.join("p.json");
            assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        });
        assert!(pipe.contains("no plain file"), "{pipe}");
        let folder = spoilt(|place| fs::create_dir(place.join("d.json")).unwrap());
        assert!(folder.contains("no plain file"), "{folder}");
    }

    #[test]
    fn what_is_no_answer_to_this_run_is_none() {
        let other = spoilt(|place| with_mode(&place.join("o.json"), &text("b"), 0o600));
        assert!(other.ends_with("is about run b"), "{other}");
        let huge = spoilt(|place| {
            let padded = [text("a"), vec![b' '; 20 << 10]].concat();
            with_mode(&place.join("h.json"), &padded, 0o600);
        });
        assert!(huge.contains("at most 16384"), "{huge}");
        for garbage in [&b"yes"[..], b"", b"{}", b"\xff\xfe", b"[[[[[[[["] {
            let said = spoilt(|place| with_mode(&place.join("g.json"), garbage, 0o600));
            assert!(said.contains("is no answer"), "{said}");
        }
    }

    #[test]
    fn a_full_directory_keeps_nobody_busy() {
        let dir = dir();
        for at in 0..MOST_FILES + 5 {
            fs::write(place(dir.path()).join(format!("{at}.json")), "").unwrap();
        }
        let (replies, spoilt) = all(dir.path(), &run("a")).unwrap();
        assert_eq!((replies.len(), spoilt.len()), (0, MOST_FILES + 1));
    }
}
