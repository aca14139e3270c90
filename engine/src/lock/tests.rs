//! The locks in a directory beside those in memory, and what only a directory can meet.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::run::RunId;

fn run(name: &str) -> RunId {
    RunId::parse(name).unwrap()
}

fn claim(target: &str, name: &str) -> Claim {
    Claim {
        target: target.to_owned(),
        run: run(name),
        account: "ada".to_owned(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        pid: std::process::id(),
        since: "2026-11-24T03:12:44Z".parse().unwrap(),
    }
}

/// The only place under `locks/`.
fn place(root: &Path) -> PathBuf {
    let mut places = fs::read_dir(root.join("locks")).unwrap();
    let place = places.next().unwrap().unwrap().path();
    assert!(places.next().is_none());
    place
}

fn names(place: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(place)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// What a process leaves that dies with this lease: its file, which nobody has locked.
fn die(root: &Path, target: &str, lease: Box<dyn Lease>) {
    let fence = lease.fence();
    drop(lease);
    for place in fs::read_dir(root.join("locks")).unwrap() {
        let (place, file) = (place.unwrap().path(), fence.to_string());
        // Two targets may be at the same number.
        let claim = fs::read(place.join(format!("{fence}.free"))).unwrap_or_default();
        if serde_json::from_slice::<Claim>(&claim).is_ok_and(|claim| claim.target == target)
            && fs::rename(place.join(format!("{fence}.free")), place.join(&file)).is_ok()
        {
            // A program that another test starts just now has it open, too, until it runs.
            let file = fs::File::open(place.join(file)).unwrap();
            rustix::fs::flock(file, rustix::fs::FlockOperation::LockShared).unwrap();
        }
    }
}

#[derive(Debug, Clone)]
enum Op {
    Take(&'static str, &'static str),
    TakeOver(&'static str, &'static str, &'static str),
    LetGo(usize),
    Die(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let target = || prop::sample::select(vec!["job/1", "node/gpu-1"]);
    let name = || prop::sample::select(vec!["a", "b", "c"]);
    prop_oneof![
        (target(), name()).prop_map(|(target, name)| Op::Take(target, name)),
        (target(), name(), name()).prop_map(|(target, name, from)| Op::TakeOver(target, name, from)),
        (0..4usize).prop_map(Op::LetGo),
        (0..4usize).prop_map(Op::Die),
    ]
}

/// What a person would be told, less the numbers.
fn said<T>(result: &Result<T, LockError>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(LockError::Taken(held)) => format!("taken by {}", held.claim.run),
        Err(LockError::Fenced(held)) => format!("fenced by {}", held.claim.run),
        Err(error) => error.to_string(),
    }
}

/// What was taken in the directory and in memory.
type Both = (Box<dyn Lease>, Box<dyn Lease>, Claim);

fn holders(locks: &dyn Locks) -> Vec<Claim> {
    locks.held().unwrap().into_iter().map(|held| held.claim).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_directory_does_what_memory_does(ops in prop::collection::vec(op(), 1..30)) {
        let root = tempfile::tempdir().unwrap();
        let (dir, memory) = (DirLocks::new(root.path()), MemoryLocks::default());
        let mut leases: Vec<Both> = Vec::new();
        let mut fences: BTreeMap<String, u64> = BTreeMap::new();
        let mut lost: BTreeSet<String> = BTreeSet::new();
        for op in ops {
            match op {
                Op::Take(target, name) | Op::TakeOver(target, name, _) => {
                    let claim = claim(target, name);
                    let (one, other) = match op {
                        Op::TakeOver(_, _, from) => {
                            (dir.take_over(&claim, &run(from)), memory.take_over(&claim, &run(from)))
                        }
                        _ => (dir.take(&claim), memory.take(&claim)),
                    };
                    prop_assert_eq!(said(&one), said(&other));
                    let (Ok(one), Ok(other)) = (one, other) else { continue };
                    let fence = one.lease.fence();
                    prop_assert!(fences.insert(target.to_owned(), fence).is_none_or(|last| last < fence));
                    prop_assert_eq!(&one.before, &other.before);
                    prop_assert_eq!(one.lost, lost.remove(target) || other.lost);
                    leases.push((one.lease, other.lease, claim));
                }
                Op::LetGo(at) if at < leases.len() => drop(leases.remove(at)),
                Op::Die(at) if at < leases.len() => {
                    let (one, other, claim) = leases.remove(at);
                    if one.check().is_ok() {
                        lost.insert(claim.target.clone());
                    }
                    die(root.path(), &claim.target, one);
                    drop(other);
                }
                _ => {}
            }
            for (one, other, _) in &leases {
                prop_assert_eq!(said(&one.check()), said(&other.check()));
            }
            prop_assert_eq!(holders(&dir), holders(&memory));
        }
    }
}

#[test]
fn old_numbers_are_removed_by_the_next_holder() {
    let root = tempfile::tempdir().unwrap();
    let locks = DirLocks::new(root.path());
    for _ in 0..3 {
        drop(locks.take(&claim("job/1", "a")).unwrap());
    }
    let lease = locks.take(&claim("job/1", "b")).unwrap().lease;
    assert_eq!(names(&place(root.path())), [lease.fence().to_string()]);
}

#[test]
fn who_was_fenced_off_learns_it_even_if_the_other_is_gone_since() {
    let root = tempfile::tempdir().unwrap();
    for locks in [&MemoryLocks::default() as &dyn Locks, &DirLocks::new(root.path())] {
        let paused = locks.take(&claim("job/1", "a")).unwrap().lease;
        assert_eq!(said(&locks.take_over(&claim("job/1", "b"), &run("c"))), "taken by a");
        drop(locks.take_over(&claim("job/1", "b"), &run("a")).unwrap());
        assert_eq!(said(&paused.check()), "fenced by b");
        // Letting go of what it no longer has takes nothing from the next one.
        let next = locks.take(&claim("job/1", "c")).unwrap().lease;
        drop(paused);
        next.check().unwrap();
        assert_eq!(holders(locks), [claim("job/1", "c")]);
    }
}

#[test]
fn a_lock_whose_holder_cannot_be_read_is_not_taken() {
    let root = tempfile::tempdir().unwrap();
    let locks = DirLocks::new(root.path());
    let lease = locks.take(&claim("job/1", "a")).unwrap().lease;
    fs::write(place(root.path()).join(lease.fence().to_string()), "torn").unwrap();
    let error = locks.take(&claim("job/1", "b")).err().unwrap();
    assert!(error.to_string().contains("who holds it cannot be read"), "{error}");
    assert!(locks.take_over(&claim("job/1", "b"), &run("a")).is_err());
}

#[test]
fn what_nobody_has_held_for_long_is_removed_and_what_is_held_or_lost_stays() {
    let root = tempfile::tempdir().unwrap();
    let locks = DirLocks::new(root.path());
    let age = |place: &Path| {
        let old = SystemTime::now() - Duration::from_secs(3 * 24 * 60 * 60);
        fs::File::open(place).unwrap().set_modified(old).unwrap();
    };
    let places = || fs::read_dir(root.path().join("locks")).unwrap().count();
    let before = locks.take(&claim("job/1", "a")).unwrap().lease;
    let fence = before.fence();
    drop(before);
    age(&place(root.path()));
    let held = locks.take(&claim("job/2", "a")).unwrap().lease;
    assert_eq!(places(), 1, "job/1 is removed");
    age(&place(root.path()));
    let lost = locks.take(&claim("job/3", "a")).unwrap().lease;
    die(root.path(), "job/3", lost);
    fs::read_dir(root.path().join("locks")).unwrap().for_each(|place| age(&place.unwrap().path()));
    std::thread::sleep(Duration::from_millis(2));
    let again = locks.take(&claim("job/1", "b")).unwrap().lease;
    assert_eq!(places(), 3);
    assert!(again.fence() > fence, "numbers grow all the same");
    held.check().unwrap();
    let taken = locks.take(&claim("job/3", "b")).unwrap();
    assert_eq!((taken.before, taken.lost), (Some(claim("job/3", "a")), true));
    // Whose place is put away is told so and does nothing.
    fs::remove_dir_all(root.path().join("locks")).unwrap();
    assert!(matches!(held.check(), Err(LockError::Broken { .. })));
}

#[test]
fn who_links_after_having_been_asleep_lets_go() {
    let root = tempfile::tempdir().unwrap();
    let locks = DirLocks::new(root.path());
    let lease = locks.take(&claim("job/1", "a")).unwrap().lease;
    let (fence, place) = (lease.fence(), place(root.path()));
    // As one leaves it that let go of a number which a sleeper links again.
    drop(lease);
    fs::write(place.join(fence.to_string()), "").unwrap();
    let lease = locks.take(&claim("job/1", "b")).unwrap().lease;
    assert_eq!(lease.fence(), fence + 1);
    assert_eq!(names(&place), [lease.fence().to_string()]);
}
