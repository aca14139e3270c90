//! Leases in the state directory, on a local file system or on NFS.
//!
//! `locks/<digest of the target>/` has a file per holder whose name is its fencing number. The highest number counts: `N` is
//! held, `N.free` was let go of. Nothing is ever decided by two looks that something could come between:
//!
//! - A claim is written and locked (`flock`) under a name that nobody looks at, and only then linked to `N + 1`. `link` is
//!   atomic, on NFS too, so of all who saw `N` free one gets in; and whoever sees `N + 1` sees it locked.
//! - Whoever linked `N + 1` looks once more. Was it asleep so long that higher numbers came (and went), it lets go.
//! - A lock of the kernel ends with its process, so one that can be had tells that the holder is gone. One that is paused or
//!   cut off keeps it and is never taken for dead.
//! - Taking over from one that is not dead needs no lock: `N + 1` is there, and `N` sees that at its next look.
//!
//! Looking opens the directory anew, which makes an NFS client ask its server (close-to-open consistency).

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::mount::locks_reach_all_hosts;
use super::{Claim, Held, Lease, LockError, Locks, Taken};
use crate::files::Sharing;
use crate::run::RunId;
use crate::site::digest;

/// Time for which a lock is tried to be taken, or looked at, while others come and go.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time after which what was kept of a target that nobody holds is removed. It is far more than the clocks of hosts differ.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes of a claim that are read.
const MOST: u64 = 16 << 10;

/// The locks in a state directory.
#[derive(Debug, Clone)]
pub struct DirLocks {
    root: PathBuf,
}

/// A holder's file: its number, and whether it was let go of.
type Number = (u64, bool);

/// What stands in the way of taking a lock now.
enum Obstacle {
    /// Something changed while it was looked at.
    Changed,
    /// Somebody has it.
    Held(Box<Held>),
    Io(io::Error),
}

impl From<io::Error> for Obstacle {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What may be taken.
struct Free {
    /// The number that is next.
    next: u64,
    before: Option<Claim>,
    lost: bool,
}

impl DirLocks {
    /// The locks in this state directory.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn all(&self) -> PathBuf {
        self.root.join("locks")
    }

    fn hand_out(&self, claim: &Claim, from: Option<&RunId>) -> Result<Taken, LockError> {
        let place = self.all().join(&digest(claim.target.as_bytes())[..32]);
        let broken = |why: String| LockError::Broken {
            action: "take",
            target: claim.target.clone(),
            why: format!("{}: {why}", place.display()),
        };
        let mut text = serde_json::to_vec(claim).map_err(|error| broken(error.to_string()))?;
        text.push(b'\n');
        let begin = Instant::now();
        loop {
            match self.try_once(&place, claim, from, &text) {
                Ok(taken) => return Ok(taken),
                Err(Obstacle::Changed) if begin.elapsed() < PATIENCE => give_way(),
                Err(Obstacle::Changed) => return Err(broken("it changes hands all the time".to_owned())),
                Err(Obstacle::Held(held)) => return Err(LockError::Taken(held)),
                Err(Obstacle::Io(source)) => {
                    let (action, target) = ("take", claim.target.clone());
                    return Err(LockError::Io { action, target, path: place, source });
                }
            }
        }
    }

    fn try_once(
        &self,
        place: &Path,
        claim: &Claim,
        from: Option<&RunId>,
        text: &[u8],
    ) -> Result<Taken, Obstacle> {
        let sharing = Sharing::of(&self.root);
        self.make(sharing, place)?;
        // Most who come too late need not write anything.
        free(place, claim, from)?;
        let draft = place.join(unique(".draft"));
        let mut options = OpenOptions::new();
        let mut file =
            sharing.open_own(options.read(true).write(true).create_new(true), &draft).map_err(|error| {
                if error.kind() == ErrorKind::NotFound { Obstacle::Changed } else { error.into() }
            })?;
        let taken = flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(io::Error::from)
            // Synced, so that other NFS clients see it while it is open here.
            .and_then(|()| file.write_all(text))
            .and_then(|()| file.sync_data())
            .map_err(Obstacle::from)
            .and_then(|()| claim_next(place, &draft, &file, claim, from));
        // What is left of it nobody looks at.
        let _ = fs::remove_file(&draft);
        let Free { next: fence, before, lost } = taken?;
        let lease = DirLease { place: place.to_owned(), target: claim.target.clone(), fence, _file: file };
        Ok(Taken { lease: Box::new(lease), before, lost })
    }

    /// Makes the place of a target, if it is not there. It begins with a number from the clock that is let go of already, so
    /// that numbers grow even after it was removed for want of use.
    fn make(&self, sharing: Sharing, place: &Path) -> io::Result<()> {
        if place.is_dir() {
            return Ok(());
        }
        let all = self.all();
        sharing.dirs(&all)?;
        self.sweep()?;
        let new = all.join(unique(".new"));
        sharing.dir(&new)?;
        let first = Timestamp::now().as_millisecond().unsigned_abs();
        let made = sharing
            .open_own(OpenOptions::new().write(true).create_new(true), &new.join(format!("{first}.free")))
            .and_then(|_| fs::rename(&new, place));
        if made.is_err() {
            let _ = fs::remove_dir_all(&new);
        }
        // Somebody else may have been faster: a directory that is not empty is not replaced.
        made.or_else(|error| if place.is_dir() { Ok(()) } else { Err(error) })
    }

    /// Removes what is kept of targets that nobody has held for long.
    ///
    /// The place is moved away as a whole: whoever is about to link into it finds it gone and begins anew, and whoever got in
    /// at the last moment is told at its next look that the lock is no longer its own.
    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.all())?.flatten() {
            let old = |about: &fs::Metadata| {
                let age = about.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
                age.is_some_and(|age| age > KEEP)
            };
            if !entry.metadata().is_ok_and(|about| about.is_dir() && old(&about)) {
                continue;
            }
            let place = entry.path();
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if !hidden && !matches!(numbers(&place)?.last(), Some((_, true))) {
                continue;
            }
            let away = self.all().join(unique(".old"));
            // Others sweep too, and somebody else's files may not be ours to remove.
            let _ = fs::rename(&place, &away).and_then(|()| fs::remove_dir_all(&away));
        }
        Ok(())
    }
}

impl Locks for DirLocks {
    fn take(&self, claim: &Claim) -> Result<Taken, LockError> {
        self.hand_out(claim, None)
    }

    fn take_over(&self, claim: &Claim, from: &RunId) -> Result<Taken, LockError> {
        self.hand_out(claim, Some(from))
    }

    fn held(&self) -> Result<Vec<Held>, LockError> {
        let broken = |place: &Path, source: io::Error| LockError::Io {
            action: "look at",
            target: "all targets".to_owned(),
            path: place.to_owned(),
            source,
        };
        let all = self.all();
        let places = match fs::read_dir(&all) {
            Ok(places) => places,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(broken(&all, error)),
        };
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let mut held = Vec::new();
        for entry in places.flatten() {
            let place = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            while let Some((fence, false)) = numbers(&place).map_err(|error| broken(&place, error))?.pop() {
                match standing(&place, fence, &host) {
                    Ok((Some(claim), false)) => held.push(Held { claim, fence }),
                    Ok(_) => {}
                    // It changed hands.
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    Err(error) => return Err(broken(&place, error)),
                }
                break;
            }
        }
        held.sort_by(|one, other| one.claim.target.cmp(&other.claim.target));
        Ok(held)
    }
}

/// The number that may be taken next, if one may.
fn free(place: &Path, claim: &Claim, from: Option<&RunId>) -> Result<Free, Obstacle> {
    let Some((fence, let_go)) = numbers(place)?.pop() else { return Err(Obstacle::Changed) };
    let next = fence + 1;
    if let_go {
        let before = fs::read(place.join(name(fence, true))).ok();
        let before = before.and_then(|text| serde_json::from_slice(&text).ok());
        return Ok(Free { next, before, lost: false });
    }
    let path = place.join(fence.to_string());
    let changed =
        |error: io::Error| if error.kind() == ErrorKind::NotFound { Obstacle::Changed } else { error.into() };
    let (holder, gone) = standing(place, fence, &claim.host).map_err(changed)?;
    if gone {
        // Letting go renames it before it unlocks it.
        return if path.exists() {
            Ok(Free { next, before: holder, lost: true })
        } else {
            Err(Obstacle::Changed)
        };
    }
    let Some(holder) = holder else {
        let why = format!("{fence} is locked, and who holds it cannot be read");
        return Err(io::Error::new(ErrorKind::InvalidData, why).into());
    };
    if from == Some(&holder.run) {
        return Ok(Free { next, before: Some(holder), lost: true });
    }
    Err(Obstacle::Held(Box::new(Held { claim: holder, fence })))
}

/// Gives a draft the next number.
fn claim_next(
    place: &Path,
    draft: &Path,
    file: &File,
    claim: &Claim,
    from: Option<&RunId>,
) -> Result<Free, Obstacle> {
    let free = free(place, claim, from)?;
    let next = free.next;
    let path = place.join(next.to_string());
    if let Err(error) = fs::hard_link(draft, &path) {
        let about = file.metadata()?;
        // NFS may have lost the answer to a link that it made, and refuses to make it again.
        let ours = fs::metadata(&path).is_ok_and(|it| (it.dev(), it.ino()) == (about.dev(), about.ino()));
        match error.kind() {
            ErrorKind::AlreadyExists if ours => {}
            ErrorKind::AlreadyExists | ErrorKind::NotFound => return Err(Obstacle::Changed),
            _ => return Err(error.into()),
        }
    }
    let numbers = numbers(place)?;
    if numbers.last() != Some(&(next, false)) {
        let _ = fs::remove_file(&path);
        return Err(Obstacle::Changed);
    }
    for (number, let_go) in numbers.into_iter().filter(|(number, _)| *number < next) {
        let _ = fs::remove_file(place.join(name(number, let_go)));
    }
    Ok(free)
}

/// Who has this number, and whether they are provably gone.
fn standing(place: &Path, fence: u64, host: &str) -> io::Result<(Option<Claim>, bool)> {
    let mut file = File::open(place.join(fence.to_string()))?;
    let mut text = Vec::new();
    (&mut file).take(MOST).read_to_end(&mut text)?;
    let claim: Option<Claim> = serde_json::from_slice(&text).ok();
    // Shared, so that two who look do not take each other for the holder.
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok((claim, false)),
        Err(error) => return Err(error.into()),
    }
    let here = claim.as_ref().is_none_or(|claim| claim.host == host);
    let gone = here || locks_reach_all_hosts(&file)?;
    Ok((claim, gone))
}

/// All numbers in a place, the highest last; none if it is not there.
fn numbers(place: &Path) -> io::Result<Vec<Number>> {
    let entries = match fs::read_dir(place) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let (number, let_go) = name.strip_suffix(".free").map_or((&*name, false), |number| (number, true));
        numbers.extend(number.parse().ok().map(|number| (number, let_go)));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn name(number: u64, let_go: bool) -> String {
    format!("{number}{}", if let_go { ".free" } else { "" })
}

/// Waits a moment, not as long as others do.
fn give_way() {
    std::thread::sleep(Duration::from_millis(
        1 + u64::from(Timestamp::now().subsec_nanosecond().unsigned_abs()) % 8,
    ));
}

/// A name that no other process uses.
fn unique(word: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let host = digest(rustix::system::uname().nodename().to_bytes());
    let (now, count) = (Timestamp::now().as_nanosecond(), COUNT.fetch_add(1, Ordering::Relaxed));
    format!("{word}-{}-{}-{now}-{count}", &host[..8], std::process::id())
}

struct DirLease {
    place: PathBuf,
    target: String,
    fence: u64,
    /// Keeps the kernel's lock.
    _file: File,
}

impl Lease for DirLease {
    fn fence(&self) -> u64 {
        self.fence
    }

    fn check(&self) -> Result<(), LockError> {
        let broken = |why: String| LockError::Broken {
            action: "look at",
            target: self.target.clone(),
            why: format!("{}: {why}", self.place.display()),
        };
        let begin = Instant::now();
        loop {
            let highest = numbers(&self.place).map_err(|source| LockError::Io {
                action: "look at",
                target: self.target.clone(),
                path: self.place.clone(),
                source,
            })?;
            let highest = highest.last().copied();
            let (fence, let_go) = match highest {
                Some((fence, false)) if fence == self.fence => return Ok(()),
                Some((fence, let_go)) if fence > self.fence => (fence, let_go),
                _ => return Err(broken(format!("{} is no longer there", self.fence))),
            };
            // It is lost; what is left to say is to whom, and that may change while it is read.
            let claim = fs::read(self.place.join(name(fence, let_go))).ok();
            match claim.and_then(|text| serde_json::from_slice(&text).ok()) {
                Some(claim) => return Err(LockError::Fenced(Box::new(Held { claim, fence }))),
                None if begin.elapsed() < PATIENCE => give_way(),
                None => return Err(broken(format!("{fence} was taken after {}", self.fence))),
            }
        }
    }
}

impl Drop for DirLease {
    fn drop(&mut self) {
        // Whoever was fenced off has nothing to let go of. What cannot be renamed is free once the process is gone.
        let held = self.place.join(name(self.fence, false));
        let _ = fs::rename(held, self.place.join(name(self.fence, true)));
    }
}
