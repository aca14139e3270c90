//! Files of this machine. Everything here blocks; the live site calls it off the async threads.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::num::NonZero;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use engine::site::{DirEntry, FileKind, FileStat, Found, Search, SiteError, SiteErrorKind, Sweep, digest};
use jiff::Timestamp;

/// Bytes searched at once. A chunk that stays in the processor's cache between reading and searching is twice as fast as
/// a large one, and a mapping would end the process if somebody truncates the file meanwhile.
const SEARCHED: usize = 256 << 10;

/// Where what is read lies, after the few bytes kept of the chunk before: on a line of the cache. A few bytes past a page, the
/// kernel's copy takes twice as long.
const LINE: usize = 64;

/// Space made ready for a read, at most.
const MOST_AT_ONCE: usize = 1 << 20;

/// Threads that search, at least: files of a cluster come over a network, and one waits while another is searched.
const LEAST_THREADS: usize = 4;

fn open(path: &str) -> Result<File, SiteError> {
    let at = |error| failed(path, "read", error);
    // Not blocking: opening a FIFO would otherwise wait for a writer.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(at)?;
    if !file.metadata().map_err(at)?.is_file() {
        return Err(SiteError::new(SiteErrorKind::Denied, format!("{path}: not a regular file")));
    }
    Ok(file)
}

/// Looks for words in part of a file.
pub(super) fn find(path: &str, search: &Search) -> Result<Found, SiteError> {
    thread_local! {
        // Kept by the thread: fresh memory for each of thousands of files would cost as much as searching them.
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    let file = open(path)?;
    let mut sweep = Sweep::new(search);
    BUFFER.with_borrow_mut(|buffer| {
        let longest = search.words.longest();
        buffer.resize(LINE + longest + SEARCHED, 0);
        let start = buffer[longest.saturating_sub(1)..].as_ptr().align_offset(LINE).min(LINE);
        let buffer = &mut buffer[start..];
        loop {
            let length = usize::try_from(sweep.wanted()).unwrap_or(usize::MAX).min(SEARCHED);
            let space = &mut buffer[sweep.kept()..sweep.kept() + length];
            let new = match file.read_at(space, sweep.offset()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                new => new.map_err(|error| failed(path, "read", error))?,
            };
            if let Some(found) = sweep.look(buffer, new) {
                return Ok(found);
            }
        }
    })
}

/// Looks in many parts, several at once: one hand-over for all, because one for each costs as much as searching a
/// megabyte.
pub(super) fn find_many(parts: &[(String, Search)]) -> Vec<Result<Found, SiteError>> {
    many(parts, |(path, search)| find(path, search))
}

/// Reads many parts, several at once.
pub(super) fn read_many(parts: &[(String, u64, usize)]) -> Vec<Result<Vec<u8>, SiteError>> {
    many(parts, |(path, offset, length)| read(path, *offset, *length))
}

fn many<P: Sync, T: Send>(
    parts: &[P],
    work: impl Fn(&P) -> Result<T, SiteError> + Sync,
) -> Vec<Result<T, SiteError>> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).max(LEAST_THREADS).min(parts.len());
    let next = AtomicUsize::new(0);
    let share = || {
        let mut answers = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = parts.get(index) else { return answers };
            answers.push((index, work(part)));
        }
    };
    let broken = || Err(SiteError::new(SiteErrorKind::Unknown, "a file operation broke off"));
    let mut answers: Vec<_> = parts.iter().map(|_| broken()).collect();
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(share)).collect();
        for (index, answer) in running.into_iter().filter_map(|thread| thread.join().ok()).flatten() {
            answers[index] = answer;
        }
    });
    answers
}

/// Reads `length` bytes from `offset`; fewer at the end.
pub(super) fn read(path: &str, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
    let at = |error| failed(path, "read", error);
    let mut file = open(path)?;
    file.seek(SeekFrom::Start(offset)).map_err(at)?;
    // At once, for a growing vector would be filled in many small reads.
    let mut content = Vec::with_capacity(length.min(MOST_AT_ONCE));
    file.take(length as u64).read_to_end(&mut content).map_err(at)?;
    Ok(content)
}

/// What a path is; `None` where there is nothing, or a symbolic link to nothing.
pub(super) fn stat(path: &str) -> Result<Option<FileStat>, SiteError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(describe(&metadata))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(failed(path, "look at", error)),
    }
}

/// The entries of a directory, by name. What vanishes meanwhile, and links to nothing, are left out.
pub(super) fn list(path: &str) -> Result<Vec<DirEntry>, SiteError> {
    let at = |error| failed(path, "list", error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(at)? {
        let entry = entry.map_err(at)?;
        let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), fs::metadata(entry.path())) else {
            continue;
        };
        entries.push(DirEntry { name, stat: describe(&metadata) });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Replaces a file's content; see [`Site::replace`](engine::site::Site::replace).
///
/// A symbolic link stays and what it names is replaced. Mode and owner are kept; where the owner cannot be, nothing is
/// changed. Access control lists and hard links are not carried over to the new file.
pub(super) fn replace(path: &str, expected: Option<&str>, content: &[u8]) -> Result<(), SiteError> {
    let at = |error| failed(path, "replace", error);
    let real = target(path)?;
    let dir = real.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if expected.is_none() {
        fs::create_dir_all(dir).map_err(at)?;
    }
    let present = match fs::metadata(&real) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(at(error)),
    };
    unchanged(path, &real, expected)?; // early: no temporary file for what is going to be refused

    let mut temporary = tempfile::Builder::new()
        .prefix(".runbook-")
        .permissions(fs::Permissions::from_mode(0o666)) // as any new file: less the umask
        .tempfile_in(dir)
        .map_err(at)?;
    temporary.write_all(content).map_err(at)?;
    if let Some(present) = &present {
        keep(temporary.as_file(), present).map_err(at)?;
    }
    temporary.as_file().sync_all().map_err(at)?;
    unchanged(path, &real, expected)?;
    let moved = match expected {
        Some(_) => temporary.persist(&real),
        None => temporary.persist_noclobber(&real),
    };
    if let Err(failure) = moved {
        let appeared = expected.is_none() && failure.error.kind() == io::ErrorKind::AlreadyExists;
        return Err(if appeared { conflict(path) } else { at(failure.error) });
    }
    sync_dir(dir).map_err(at)
}

/// Removes a file if it is what it was expected to be; already gone is success.
pub(super) fn remove(path: &str, expected: &str) -> Result<(), SiteError> {
    let at = |error| failed(path, "remove", error);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at(error)),
        Ok(_) => unchanged(path, Path::new(path), Some(expected))?,
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(error)),
        _ => {}
    }
    let dir = Path::new(path).parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_dir(dir).map_err(at)
}

fn describe(metadata: &fs::Metadata) -> FileStat {
    let kind = match metadata.file_type() {
        t if t.is_file() => FileKind::File,
        t if t.is_dir() => FileKind::Dir,
        _ => FileKind::Other,
    };
    let nanoseconds = i32::try_from(metadata.mtime_nsec()).unwrap_or_default();
    let modified = Timestamp::new(metadata.mtime(), nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH);
    FileStat { kind, size: metadata.len(), modified, mode: metadata.mode() & 0o7777 }
}

/// The file that is really meant: what a symbolic link names.
fn target(path: &str) -> Result<PathBuf, SiteError> {
    match fs::canonicalize(path) {
        Ok(real) => Ok(real),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, "replace", error)),
        Err(_) if fs::symlink_metadata(path).is_ok() => {
            Err(SiteError::new(SiteErrorKind::Denied, format!("{path}: a symbolic link to nothing")))
        }
        Err(_) => Ok(PathBuf::from(path)),
    }
}

fn unchanged(path: &str, real: &Path, expected: Option<&str>) -> Result<(), SiteError> {
    let present = match read(&real.to_string_lossy(), 0, usize::MAX) {
        Ok(content) => Some(digest(&content)),
        Err(error) if error.kind == SiteErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if present.as_deref() == expected { Ok(()) } else { Err(conflict(path)) }
}

fn keep(file: &File, present: &fs::Metadata) -> io::Result<()> {
    let mine = file.metadata()?;
    if (mine.uid(), mine.gid()) != (present.uid(), present.gid()) {
        std::os::unix::fs::fchown(file, Some(present.uid()), Some(present.gid()))?;
    }
    file.set_permissions(present.permissions()) // after the owner: a change of owner clears set-id bits
}

/// Makes a rename durable. Some file systems cannot sync a directory and need not.
fn sync_dir(dir: &Path) -> io::Result<()> {
    match File::open(dir)?.sync_all() {
        Err(error) if error.kind() != io::ErrorKind::InvalidInput => Err(error),
        _ => Ok(()),
    }
}

fn conflict(path: &str) -> SiteError {
    SiteError::new(SiteErrorKind::Conflict, format!("{path}: is no longer what it was expected to be"))
}

fn failed(path: &str, verb: &str, error: io::Error) -> SiteError {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    let kind = match error.kind() {
        NotFound | NotADirectory => SiteErrorKind::NotFound,
        PermissionDenied | ReadOnlyFilesystem => SiteErrorKind::Denied,
        _ => SiteErrorKind::Io,
    };
    SiteError::new(kind, format!("{path}: could not {verb} it: {error}"))
}

#[cfg(test)]
mod tests {
    use engine::site::Words;

    use super::*;

    fn setup() -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.sbatch").to_str().unwrap().to_owned();
        (dir, path)
    }

    fn names(dir: &tempfile::TempDir) -> Vec<String> {
        list(dir.path().to_str().unwrap()).unwrap().into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn replacing_keeps_mode_and_link() {
        let (dir, path) = setup();
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        let link = dir.path().join("link").to_str().unwrap().to_owned();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        replace(&link, Some(&digest(b"old")), b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((fs::read(&path).unwrap(), stat(&path).unwrap().unwrap().mode), (b"new".to_vec(), 0o750));
        assert_eq!(names(&dir), ["link", "train.sbatch"]);
    }

    #[test]
    fn another_content_is_a_conflict_and_stays() {
        let (dir, path) = setup();
        fs::write(&path, "theirs").unwrap();
        for expected in [None, Some(digest(b"old"))] {
            let error = replace(&path, expected.as_deref(), b"new").unwrap_err();
            assert_eq!(error.kind, SiteErrorKind::Conflict);
        }
        assert_eq!(remove(&path, &digest(b"old")).unwrap_err().kind, SiteErrorKind::Conflict);
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        assert_eq!(names(&dir), ["train.sbatch"]);
        fs::remove_file(&path).unwrap();
        let gone = replace(&path, Some(&digest(b"old")), b"new").unwrap_err();
        assert_eq!(gone.kind, SiteErrorKind::Conflict);
    }

    #[test]
    fn a_new_file_brings_its_directories() {
        let (dir, _) = setup();
        let path = dir.path().join("a/b/c").to_str().unwrap().to_owned();
        replace(&path, None, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        remove(&path, &digest(b"new")).unwrap();
        remove(&path, &digest(b"new")).unwrap();
        assert_eq!(stat(&path).unwrap(), None);
    }

    #[test]
    fn words_are_found_wherever_chunks_end() {
        let (_dir, path) = setup();
        let words = Words::new(["out of memory", "Killed"]);
        for at in [0, SEARCHED - 20, SEARCHED - 6, SEARCHED, 3 * SEARCHED - 3] {
            let mut content = vec![b'x'; at];
            content.extend_from_slice(b"out of memory");
            content.resize(at + SEARCHED, b'\n');
            fs::write(&path, &content).unwrap();
            let search = |from, to| Search { words: words.clone(), from, to, count_lines: true };
            let place = at as u64;
            let found = Found { at: Some(place), end: place, lines: Some(0) };
            assert_eq!(find(&path, &search(0, u64::MAX)).unwrap(), found);
            let rest = find(&path, &search(place + 1, u64::MAX)).unwrap();
            let end = content.len() as u64;
            assert_eq!(rest, Found { at: None, end, lines: Some(end - place - 13) });
        }
        let many: Vec<_> = [0, 9, 1 << 40]
            .map(|from| {
                (path.clone(), Search { words: words.clone(), from, to: u64::MAX, count_lines: false })
            })
            .into();
        let found: Vec<_> = find_many(&many).into_iter().map(Result::unwrap).collect();
        let alone: Vec<_> = many.iter().map(|(path, search)| find(path, search).unwrap()).collect();
        assert_eq!(found, alone);
        let search = Search { words, from: 9, to: 5, count_lines: false };
        assert_eq!(find(&path, &search).unwrap(), Found { at: None, end: 9, lines: None });
        assert_eq!(find("/no/such/file", &search).unwrap_err().kind, SiteErrorKind::NotFound);
    }

    #[test]
    fn reads_a_window_and_no_fifo() {
        let (dir, path) = setup();
        fs::write(&path, "0123456789").unwrap();
        assert_eq!(read(&path, 2, 3).unwrap(), b"234");
        assert_eq!(read(&path, 8, 99).unwrap(), b"89");
        assert_eq!(read(&path, 99, 9).unwrap(), b"");
        assert_eq!(read("/no/such/file", 0, 1).unwrap_err().kind, SiteErrorKind::NotFound);
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert_eq!(read(fifo.to_str().unwrap(), 0, 1).unwrap_err().kind, SiteErrorKind::Denied);
        assert_eq!(stat(fifo.to_str().unwrap()).unwrap().unwrap().kind, FileKind::Other);
        assert_eq!(read(dir.path().to_str().unwrap(), 0, 1).unwrap_err().kind, SiteErrorKind::Denied);
    }
}
