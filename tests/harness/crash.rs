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
        [Moment::BeforeEntry(number), Moment::AfterEntry(number)].map(|moment| (moment, number, place.as_str()))
    })
}

fn at_changes(reference: &Reference) -> impl Iterator<Item = Cut<'_>> {
    reference.changes.iter().enumerate().flat_map(|(at, what)| {
        let entry = reference.entry_of(at + 1);
        [Moment::BeforeChange(at + 1), Moment::AfterChange(at + 1)].map(|moment| (moment, entry, what.as_str()))
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
    let reference = Reference::of(runbook, recording).await;
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

#[tokio::test]
async fn true_oom() {
    cut_off_everywhere("training-oom", "true-oom").await;
}

#[tokio::test]
async fn fragmentation() {
    cut_off_everywhere("training-oom", "fragmentation").await;
}

#[tokio::test]
async fn hugging_face() {
    cut_off_everywhere("training-oom", "hugging-face").await;
}

#[tokio::test]
async fn megatron() {
    cut_off_everywhere("training-oom", "megatron").await;
}

#[tokio::test]
async fn torchtitan() {
    cut_off_everywhere("training-oom", "torchtitan").await;
}

#[tokio::test]
async fn faulty_gpu() {
    cut_off_everywhere("training-oom", "faulty-gpu").await;
}

#[tokio::test]
async fn reduced() {
    cut_off_everywhere("training-oom", "reduced").await;
}

#[tokio::test]
async fn co_tenant() {
    cut_off_everywhere("training-oom", "co-tenant").await;
}

#[tokio::test]
async fn taken_back() {
    cut_off_everywhere("training-oom", "taken-back").await;
}

#[tokio::test]
async fn masked() {
    cut_off_everywhere("training-oom", "masked").await;
}

#[tokio::test]
async fn host_oom() {
    cut_off_everywhere("training-oom", "host-oom").await;
}

#[tokio::test]
async fn not_an_oom() {
    cut_off_everywhere("training-oom", "not-an-oom").await;
}

#[tokio::test]
async fn node_sweep() {
    cut_off_everywhere("node-sweep", "one-faulty").await;
}
