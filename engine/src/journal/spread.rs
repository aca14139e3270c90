//! The same for many things, several at once.

use std::thread;

/// Fewer things than this are not worth a thread.
const WORTH_IT: usize = 256;
/// Most threads: reading from a file server waits more than it works.
const MOST: usize = 8;

/// What `work` makes of each, in order.
pub(super) fn spread<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, usize::from).clamp(1, MOST);
    if things.len() < WORTH_IT || threads == 1 {
        return things.iter().map(work).collect();
    }
    let work = &work;
    thread::scope(|scope| {
        let parts = things.chunks(things.len().div_ceil(threads));
        let begun: Vec<_> =
            parts.map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<R>>())).collect();
        let done = begun.into_iter().map(|thread| thread.join());
        // What broke in a thread breaks here, as it would have without one.
        done.flat_map(|done| done.unwrap_or_else(|broke| std::panic::resume_unwind(broke))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_done_in_order() {
        for count in [0, 1, WORTH_IT - 1, WORTH_IT, 1001] {
            let things: Vec<usize> = (0..count).collect();
            assert_eq!(spread(&things, |thing| thing * 2), (0..count).map(|n| n * 2).collect::<Vec<_>>());
        }
    }
}
