//! An allocator that begins in the middle of a trace goes on as the one that was there from the start.

use std::collections::BTreeMap;

use super::told::Deed;
use super::traces::Trace;
use crate::allocator::pool::Class;
use crate::allocator::{Allocator, BlockId, Device, Found, InUse};

/// Does one deed; whether it was served.
fn act(allocator: &mut Allocator, live: &mut BTreeMap<u64, BlockId>, deed: Deed) -> bool {
    match deed {
        Deed::Ask(name, bytes) => match allocator.malloc(bytes, 0) {
            Ok(block) => drop(live.insert(name, block)),
            Err(_) => return false,
        },
        Deed::Free(name) => {
            if let Some(block) = live.remove(&name) {
                allocator.free(block);
            }
        }
        Deed::Flush => allocator.release_cached(),
        Deed::Stats => {}
    }
    true
}

/// The segments of an allocator, by address.
fn segments(allocator: &Allocator, live: &BTreeMap<u64, BlockId>) -> BTreeMap<u64, Found> {
    let free = allocator.small.free.iter().chain(&allocator.large.free).map(|key| key.3);
    let mut found = BTreeMap::new();
    for mut id in live.values().copied().chain(free) {
        while let Some(prev) = allocator.blocks[id].prev {
            id = prev;
        }
        let head = allocator.blocks[id];
        let mut segment = Found {
            address: head.address,
            total: 0,
            small: head.class == Class::Small,
            stream: 0,
            live: Vec::new(),
        };
        let mut at = Some(id);
        while let Some(id) = at {
            let block = allocator.blocks[id];
            segment.total += block.size;
            if block.allocated {
                let (address, requested) = (block.address, block.requested);
                segment.live.push(InUse { address, requested, size: Some(block.size) });
            }
            at = block.next;
        }
        found.insert(head.address, segment);
    }
    found
}

#[test]
fn it_goes_on_as_it_would_have() {
    let (mut served, mut refused) = (0, 0);
    for seed in (0..400).filter(|seed| seed % 4 != 3) {
        let trace = Trace::of(seed);
        let device = || Device::new(trace.total, trace.others);
        let mut whole = Allocator::new(device(), trace.settings);
        let mut live = BTreeMap::new();
        let (before, after) = trace.deeds.split_at(trace.deeds.len() / 2);
        for deed in before {
            act(&mut whole, &mut live, *deed);
        }
        let mut middle = Allocator::new(device(), trace.settings);
        let mut adopted = BTreeMap::new();
        for found in segments(&whole, &live).values() {
            let blocks = middle.adopt(found).unwrap();
            for (block, InUse { address, .. }) in blocks.into_iter().zip(&found.live) {
                let name = live.iter().find(|(_, id)| whole.address(**id) == *address).unwrap().0;
                adopted.insert(*name, block);
            }
        }
        for deed in after {
            let one = act(&mut whole, &mut live, *deed);
            assert_eq!(one, act(&mut middle, &mut adopted, *deed), "{seed} {deed:?}");
            *(if one { &mut served } else { &mut refused }) += 1;
            let (a, b) = (whole.stats(), middle.stats());
            assert_eq!(
                (a.allocated, a.requested, a.reserved, a.inactive_split, a.inactive_splits, a.segments),
                (b.allocated, b.requested, b.reserved, b.inactive_split, b.inactive_splits, b.segments),
                "{seed} {deed:?}"
            );
        }
    }
    assert!(served > 10_000 && refused > 100, "{served} {refused}");
}
