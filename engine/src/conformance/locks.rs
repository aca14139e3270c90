//! Locks with fencing numbers.

use super::subject::{Subject, now, run, soon};
use crate::lock::{Claim, LockError};

fn claim(target: &str, number: i64) -> Claim {
    Claim {
        target: target.to_owned(),
        run: run(number),
        account: "ada".to_owned(),
        host: "login1".to_owned(),
        pid: std::process::id(),
        since: now(),
    }
}

/// Everything about locks. Wants a place without locks.
pub fn locks(subject: &impl Subject) {
    one_holder_at_a_time(subject);
    who_is_gone_is_taken_over(subject);
    who_is_named_is_fenced_off(subject);
}

fn one_holder_at_a_time(subject: &impl Subject) {
    let (here, there) = (subject.store(), subject.store());
    let (one, other) = (here.locks(), there.locks());
    let (job, node) = (claim("job/1", 40), claim("node/gpu \u{1b}[2J/../'x'", 40));
    let taken = one.take(&job).unwrap();
    assert!(taken.before.is_none() && !taken.lost);
    assert!(taken.lease.check().is_ok());
    let second = one.take(&node).unwrap();
    for locks in [&one, &other] {
        let Err(LockError::Taken(held)) = locks.take(&claim("job/1", 41)).map(|_| ()) else {
            panic!("two hold one target")
        };
        assert_eq!((&held.claim, held.fence), (&job, taken.lease.fence()));
        let held = locks.held().unwrap();
        let claims: Vec<&Claim> = held.iter().map(|held| &held.claim).collect();
        assert_eq!(claims, [&job, &node], "by target");
    }
    assert!(one.take(&job).is_err(), "not even the same run takes it twice");
    let first = taken.lease.fence();
    drop(taken);
    let taken = other.take(&claim("job/1", 41)).unwrap();
    assert_eq!(taken.before.as_ref(), Some(&job));
    assert!(!taken.lost, "the one before let go of it");
    assert!(taken.lease.fence() > first, "the number grows with every holder");
    drop((taken, second));
    assert!(one.held().unwrap().is_empty());
}

fn who_is_gone_is_taken_over(subject: &impl Subject) {
    let here = subject.store();
    let gone = subject.store();
    let fence = {
        let taken = gone.locks().take(&claim("job/2", 42)).unwrap();
        taken.lease.fence()
    };
    drop(gone);
    let mut found = None;
    soon("a target whose holder is gone can be taken", || {
        found = here.locks().take(&claim("job/2", 43)).ok();
        found.is_some()
    });
    assert!(found.unwrap().lease.fence() > fence);
}

fn who_is_named_is_fenced_off(subject: &impl Subject) {
    let (here, there) = (subject.store(), subject.store());
    let paused = here.locks().take(&claim("job/3", 44)).unwrap();
    let other = there.locks();
    assert!(matches!(other.take_over(&claim("job/3", 45), &run(46)).map(|_| ()), Err(LockError::Taken(_))));
    let taken = other.take_over(&claim("job/3", 45), &run(44)).unwrap();
    assert!(taken.lost && taken.before.is_some_and(|before| before.run == run(44)));
    assert!(taken.lease.fence() > paused.lease.fence());
    let Err(LockError::Fenced(held)) = paused.lease.check() else { panic!("it was not fenced off") };
    assert_eq!((held.claim.run, held.fence), (run(45), taken.lease.fence()));
    // What the one that was fenced off lets go of is not its any more.
    drop(paused);
    assert!(taken.lease.check().is_ok());
    assert_eq!(other.held().unwrap().len(), 1);
    let fenced = taken.lease;
    drop(here.locks().take_over(&claim("job/3", 47), &run(45)).unwrap());
    assert!(fenced.check().is_err(), "also after its successor let go");
}
