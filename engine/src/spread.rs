//! The same for many things, several at once.

use std::thread;

/// Fewer things than this are not worth a thread.
const WORTH_IT: usize = 256;
/// Most threads: reading from a file server waits more than it works.
const MOST: usize = 8;

/// In how many parts `size` is worked on at once, if each is to have `least` of it.
pub(crate) fn parts(size: usize, least: usize) -> usize {
    let worth = size / least;
    if worth < 2 { 1 } else { worth.min(thread::available_parallelism().map_or(1, usize::from)).min(MOST) }
}

/// What `work` makes of each, in order, each on a thread of its own but for the last, which this one does.
pub(crate) fn side_by_side<T: Send, R: Send>(mut things: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let Some(last) = things.pop() else { return Vec::new() };
    let work = &work;
    thread::scope(|scope| {
        let begun: Vec<_> = things.into_iter().map(|thing| scope.spawn(move || work(thing))).collect();
        let last = work(last);
        // What broke in a thread breaks here, as it would have without one.
        let done = begun
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|broke| std::panic::resume_unwind(broke)));
        done.chain([last]).collect()
    })
}

/// Things in as many [`parts`], each with the position of its first.
pub(crate) fn chunks<T>(things: &[T], least: usize) -> Vec<(usize, &[T])> {
    let size = things.len().div_ceil(parts(things.len(), least)).max(1);
    (0..).step_by(size).zip(things.chunks(size)).collect()
}

/// What `work` makes of each, in order.
pub(crate) fn spread<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let chunks = chunks(things, WORTH_IT);
    let done = side_by_side(chunks, |(_, part)| part.iter().map(&work).collect::<Vec<R>>());
    done.into_iter().flatten().collect()
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
