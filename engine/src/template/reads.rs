//! Notices, during one evaluation, which values were read that are unknown, open or predicted.
//!
//! Evaluation is synchronous, so a thread-local is the record of exactly one evaluation.

use std::cell::RefCell;

use super::Standing;

/// What was noticed.
#[derive(Debug, Default, Clone)]
pub(super) struct Reads {
    /// Paths of unknown values that were read.
    pub unknown: Vec<String>,
    /// Paths of open values that were read.
    pub open: Vec<String>,
    /// A predicted value was read.
    pub predicted: bool,
    /// Values interpolated into shell text, in order.
    pub shell: Vec<String>,
    /// The result is being converted: nothing counts as read any more.
    paused: bool,
}

thread_local! {
    static READS: RefCell<Reads> = RefCell::new(Reads::default());
}

/// Runs one evaluation and returns what it noticed.
pub(super) fn noticing<T>(evaluate: impl FnOnce() -> T) -> (T, Reads) {
    let before = READS.take();
    let result = evaluate();
    (result, READS.replace(before))
}

/// Runs something whose reads do not count.
pub(super) fn unnoticed<T>(f: impl FnOnce() -> T) -> T {
    let before = READS.with_borrow_mut(|reads| std::mem::replace(&mut reads.paused, true));
    let result = f();
    READS.with_borrow_mut(|reads| reads.paused = before);
    result
}

pub(super) fn notice_unknown(path: &str) {
    change(|reads| reads.unknown.push(path.to_owned()));
}

pub(super) fn notice_standing(standing: Standing, path: &str) {
    match standing {
        Standing::Known => {}
        Standing::Predicted => change(|reads| reads.predicted = true),
        Standing::Open => change(|reads| reads.open.push(path.to_owned())),
    }
}

/// The last read of this unknown value was a question whether it is known, or had a default: it does not count.
pub(super) fn forgive(path: &str) {
    READS.with_borrow_mut(|reads| {
        if let Some(at) = reads.unknown.iter().rposition(|read| read == path) {
            reads.unknown.remove(at);
        }
    });
}

/// Keeps a value for the shell and returns its number.
pub(super) fn keep_shell(value: String) -> usize {
    READS.with_borrow_mut(|reads| {
        reads.shell.push(value);
        reads.shell.len() - 1
    })
}

fn change(f: impl FnOnce(&mut Reads)) {
    READS.with_borrow_mut(|reads| {
        if !reads.paused {
            f(reads);
        }
    });
}
