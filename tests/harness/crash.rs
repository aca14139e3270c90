//! Cut off at every entry of the journal and before and after every change, a run comes to the same end, and every change is
//! made exactly once.

use super::case::registry;
use super::process::{End, Left};
use super::reference::Reference;
use super::stage::Moment;

/// A moment, the entry before or after which it is, and where that is.
type Cut<'r> = (Moment, usize, &'r str);

fn at_entries(reference: &Reference) -> impl Iterator<Item = Cut<'_>> {
    reference.places.iter().enumerate().flat_map(|(at, place)| {
        let number = at + 1;
        [Moment::BeforeEntry(number), Moment::AfterEntry(number)]
            .map(|moment| (moment, number, place.as_str()))
    })
}

fn at_changes(reference: &Reference) -> impl Iterator<Item = Cut<'_>> {
    reference.changes.iter().enumerate().flat_map(|(at, what)| {
        let entry = reference.entry_of(at + 1);
        [Moment::BeforeChange(at + 1), Moment::AfterChange(at + 1)]
            .map(|moment| (moment, entry, what.as_str()))
    })
}

const LEFT: [Left; 3] = [Left::Killed, Left::PowerLost, Left::Torn];

async fn cut_off(reference: &Reference, (moment, entry, place): Cut<'_>, left: Left) {
    let how = format!("{moment:?} {place}, {left:?}");
    let name = &reference.case.name;
    let (stage, disk) = reference.before(entry);
    stage.seen().dies = Some(moment);
    match disk.process(&stage, registry(), left).await {
        End::Dead(at) => assert_eq!(at, place, "{name}, {how}"),
        End::Rest(ending, _) => panic!("{name}, {how}: it lived: {ending:?}"),
    }
    stage.revive();
    reference.holds(disk.process(&stage, registry(), left).await, &stage, &how);
}

async fn cut_off_everywhere(runbook: &str, recording: &str) {
    let reference = Reference::shared(runbook, recording).await;
    let mut deaths = 0;
    for (number, cut) in at_entries(&reference).enumerate() {
        cut_off(&reference, cut, LEFT[number % 3]).await;
        deaths += 1;
    }
    for (cut, left) in at_changes(&reference).flat_map(|cut| LEFT.map(|left| (cut, left))) {
        cut_off(&reference, cut, left).await;
        deaths += 1;
    }
    assert_eq!(deaths, 2 * reference.records.len() + 6 * reference.changes.len(), "{}", reference.case.name);
}

on_every_recording!(cut_off_everywhere);
