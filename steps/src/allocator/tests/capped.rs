//! A cap, and garbage collection before it, against what `garbage_collect_cached_blocks` (v2.4) does by hand.

use crate::allocator::device::Call;
use crate::allocator::{Allocator, BlockId, Cap, Device, Settings};
use crate::size::{GIB, MIB};

const FREED: fn(u64) -> Call = |mib| Call::Free { bytes: mib * MIB };

fn allocator(allowed: u64, collect_above: Option<u64>, settings: Settings) -> Allocator {
    let mut allocator = Allocator::new(Device::new(8 * GIB, 0).recording(), settings);
    allocator.set_cap(Cap { allowed: allowed * MIB, collect_above });
    allocator
}

fn ask(allocator: &mut Allocator, mib: u64) -> BlockId {
    allocator.malloc(mib * MIB, 0).unwrap()
}

fn freed(allocator: &mut Allocator) -> Vec<Call> {
    allocator.device.calls().into_iter().filter(|call| matches!(call, Call::Free { .. })).collect()
}

#[test]
fn beyond_the_cap_the_driver_is_not_asked() {
    for expandable in [false, true] {
        let mut capped = allocator(100, None, Settings { expandable, ..Settings::default() });
        ask(&mut capped, 60);
        capped.device.calls();
        assert_eq!(capped.malloc(60 * MIB, 0).unwrap_err().tried, 60 * MIB);
        assert_eq!(capped.device.calls(), [], "nothing to give back, nothing to ask");
        assert_eq!((capped.stats().retries, capped.stats().ooms), (1, 1));
        ask(&mut capped, 40);
    }
}

#[test]
fn what_lies_idle_longest_goes_first() {
    // Beyond 80 % of 1000 MiB garbage is collected before more is asked for.
    let run = |collect_above| {
        let mut capped = allocator(1000, collect_above, Settings::default());
        let [first, second, _] = [300, 200, 100].map(|mib| ask(&mut capped, mib));
        capped.free(first);
        ask(&mut capped, 310);
        capped.free(second);
        // 910 MiB are reserved. The first has been passed over twice, the second once.
        ask(&mut capped, 320);
        freed(&mut capped)
    };
    assert_eq!(run(Some(800)), [FREED(300)]);
    assert_eq!(run(None), [FREED(200), FREED(300)], "without it the cap is reached, and everything goes");
}

#[test]
fn what_is_as_old_as_the_average_goes_too() {
    let mut capped = allocator(2000, Some(400), Settings::default());
    let [one, two, three] = [300, 200, 400].map(|mib| ask(&mut capped, mib));
    capped.free(one);
    capped.free(two);
    let part = ask(&mut capped, 150);
    // Of the second a part is in use: it stays. The first is more than was to be given back.
    ask(&mut capped, 310);
    assert_eq!(freed(&mut capped), [FREED(300)]);
    capped.free(part);
    capped.free(three);
    ask(&mut capped, 500);
    assert_eq!(freed(&mut capped), [FREED(200), FREED(400)], "both of one age, in the order of their sizes");
}

#[test]
fn expandable_segments_are_no_garbage() {
    let mut capped = allocator(1000, Some(100), Settings { expandable: true, ..Settings::default() });
    let block = ask(&mut capped, 300);
    capped.free(block);
    capped.device.calls();
    ask(&mut capped, 400);
    assert!(capped.device.calls().iter().all(|call| matches!(call, Call::Create { .. })));
}
