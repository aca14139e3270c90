//! Snapshots of the stand-in trainer's allocator (see `fixtures/make.py`), and bytes that mean harm.

use engine::step::{Performed, Read, Step};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::pickle::{Bounds, load};
use super::replay::Cure;
use super::report::{Evidence, Wanted, examine};
use super::step::OomSnapshot;
use super::value::Value;
use crate::size::MIB;
use crate::testkit::FakeSite;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("fixtures/", $name, ".pickle")).as_slice()
    };
}

fn seen(bytes: &[u8]) -> Evidence {
    examine(bytes, &Wanted::default()).unwrap()
}

#[test]
fn all_protocols_say_the_same() {
    let first = seen(fixture!("curable-2"));
    for bytes in [fixture!("curable-3"), fixture!("curable-4"), fixture!("curable-5")] {
        assert_eq!(seen(bytes), first);
    }
}

#[test]
fn the_holes_are_measured() {
    let found = seen(fixture!("curable-4"));
    let held = found.holdings.unwrap();
    assert_eq!((held.reserved, held.allocated, held.pending), (424 * MIB, 112 * MIB, 0));
    assert_eq!((held.free, held.stranded, held.largest_free), (312 * MIB, 312 * MIB, 52 * MIB));
    assert_eq!((held.segments, held.worst.len(), held.worst[0].in_use), (7, 6, 1));
    assert_eq!((found.device, found.entries, found.expandable), (Some(0), 105, Some(false)));
    assert_eq!((found.tried, found.free), (Some(128 * MIB), Some(64 * MIB)));
}

#[test]
fn the_replay_tells_what_the_lever_would_do() {
    let found = seen(fixture!("curable-4"));
    assert_eq!(found.cure, Some(Cure::Served));
    insta::assert_snapshot!(found.reasons.join("\n"), @r"
    when it was taken 312.00 MiB of 424.00 MiB reserved were free, 312.00 MiB of them stranded, the largest piece 52.00 MiB
    replayed as it was, 104 entries, the model fails at the same request
    replayed with expandable segments, it is served
    ");
    // More lies idle than is asked for, and expandable segments would not give a page of it back.
    let found = seen(fixture!("stubborn"));
    let held = found.holdings.as_ref().unwrap();
    assert!(held.free > found.tried.unwrap());
    assert_eq!(found.cure, Some(Cure::Refused), "{found:?}");
}

#[test]
fn a_late_trace_says_what_is_assumed() {
    let found = seen(fixture!("late"));
    assert_eq!((found.cure, found.assumed), (Some(Cure::Served), Some(40 * MIB)), "{found:?}");
    // Nothing but the failure was recorded: holes of 52 MiB were there already.
    let found = seen(fixture!("last"));
    assert_eq!((found.cure, found.assumed), (Some(Cure::Served), Some(112 * MIB)), "{found:?}");
    assert!(found.reasons.last().unwrap().contains("however the 112.00 MiB lie"), "{found:?}");
    // Whether pages would be free between what lay there before, the trace does not tell.
    let found = seen(fixture!("stubborn-last"));
    assert_eq!(found.cure, Some(Cure::Unknown), "{found:?}");
    assert!(found.reasons.last().unwrap().contains("lie well"), "{found:?}");
}

#[test]
fn what_the_model_does_not_reproduce_is_unknown() {
    for (bytes, why) in [
        (fixture!("elsewhere"), "the model serves the request as things were"),
        (fixture!("graphs"), "CUDA graphs or of a MemPool"),
    ] {
        let found = seen(bytes);
        assert_eq!(found.cure, Some(Cure::Unknown));
        assert!(found.reasons.iter().any(|reason| reason.contains(why)), "{found:?}");
    }
    let found = seen(fixture!("no-history"));
    assert_eq!((found.cure, found.tried, found.entries), (None, None, 0));
    let found = seen(fixture!("expandable"));
    assert_eq!((found.cure, found.expandable), (Some(Cure::Refused), Some(true)), "{found:?}");
}

#[test]
fn a_cap_that_the_message_tells_is_the_replays_too() {
    let look = |limit: u64| {
        examine(fixture!("elsewhere"), &Wanted { limit: Some(limit * MIB), ..Wanted::default() }).unwrap()
    };
    // As much as the device had in `curable`: refused as it was, and served by expandable segments.
    assert_eq!(look(488).cure, Some(Cure::Served), "{:?}", look(488));
    // What was reserved already is more than that; and what would not have been refused.
    for limit in [300, 800] {
        assert_eq!(look(limit).cure, Some(Cure::Unknown), "{:?}", look(limit));
    }
}

#[test]
fn only_the_failure_of_the_message_counts() {
    let look = |tried: u64, free: u64| {
        examine(
            fixture!("curable-4"),
            &Wanted { tried: Some(tried * MIB), free: Some(free * MIB), limit: None },
        )
        .unwrap()
    };
    assert_eq!(look(128, 64).cure, Some(Cure::Served));
    assert_eq!(look(128, 100).cure, None);
    assert_eq!(look(256, 64).cure, None);
    assert!(look(256, 64).reasons.iter().any(|reason| reason.contains("shows no such failure")));
}

/// What pickles are feared for; each would run `os.system` in Python.
#[test]
fn nothing_is_run() {
    for (bytes, name) in [
        (b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R.".as_slice(), "GLOBAL"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.", "GLOBAL"),
        (b"\x80\x02(ios\nsystem\n.", "INST"),
        (b"\x80\x02N)R.", "REDUCE"),
        (b"\x80\x02N}b.", "BUILD"),
        (b"\x80\x02N)\x81.", "NEWOBJ"),
        (b"\x80\x02\x82\x01.", "EXT"),
        (b"\x80\x02K\x01Q.", "PERSID"),
    ] {
        let why = load(bytes, &[], Bounds::default()).unwrap_err();
        assert!(why.contains(name) && why.contains("nothing of it was run"), "{why}");
    }
}

#[test]
fn what_is_no_snapshot_is_refused() {
    for (bytes, why) in [
        (b"".as_slice(), "ends in the middle"),
        (b"\x1f\x8b gzip", "no pickle"),
        (b"\x80\x09N.", "protocol 9"),
        (b"\x80\x02.", "no well-formed"),
        (b"\x80\x02}", "ends in the middle"),
        (b"\x80\x02}.", "no `segments`"),
        (b"\x80\x02X\xff\xff\xff\xff", "ends in the middle"),
        (b"\x80\x02h\x07.", "no well-formed"),
        (b"\x80\x02Nt.", "no well-formed"),
        (b"\x80\x02(N(a.", "no well-formed"),
        (b"\x80\x02B\x01\0\0\0x.", "instruction 0x42"),
    ] {
        let found = examine(bytes, &Wanted::default()).unwrap_err();
        assert!(found.contains(why), "{bytes:?}: {found}");
    }
}

#[test]
fn size_and_depth_are_bounded() {
    let tight = Bounds { entries: 100, stack: 50 };
    let marks = [b"\x80\x02".as_slice(), &[b'('; 60], b"."].concat();
    assert!(load(&marks, &[], tight).unwrap_err().contains("nested too deeply"));
    let values = [b"\x80\x02".as_slice(), &[b'N'; 60], b"."].concat();
    assert!(load(&values, &[], tight).unwrap_err().contains("too many values"));
    // A list that holds itself, ever larger.
    let growing = [b"\x80\x02]q\0".as_slice(), &b"h\0a".repeat(120), b"."].concat();
    assert!(load(&growing, &[], tight).unwrap_err().contains("more than 100 values"));
    let own = load(b"\x80\x02]q\0h\0a.", &[], tight).unwrap();
    assert_eq!(own.list(own.root), Some([own.root].as_slice()));
    let far = load(b"\x80\x02Nr\xff\xff\xff\xff.", &[], tight).unwrap_err();
    assert!(far.contains("more than 100 values"), "an index that would make the memo large: {far}");
    // A hundred thousand levels are no recursion of ours.
    let deep = [b"\x80\x02".as_slice(), &b"]".repeat(100_000), &b"a".repeat(99_999), b"."].concat();
    assert!(load(&deep, &[], Bounds::default()).is_ok());
}

#[test]
fn numbers_are_what_python_wrote() {
    for (bytes, expected) in [
        (b"\x80\x02K\xff.".as_slice(), Value::Int(255)),
        (b"\x80\x02J\xff\xff\xff\xff.", Value::Int(-1)),
        (b"\x80\x02\x8a\0.", Value::Int(0)),
        (b"\x80\x02\x8a\x01\xff.", Value::Int(-1)),
        (b"\x80\x02\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\0.", Value::Large(u64::MAX)),
        (b"\x80\x02\x8a\x09\0\0\0\0\0\0\0\0\x01.", Value::Huge),
        (b"\x80\x02G\x3f\xf8\0\0\0\0\0\0.", Value::Float(1.5)),
    ] {
        assert_eq!(load(bytes, &[], Bounds::default()).unwrap().root, expected);
    }
}

async fn done(site: &std::sync::Arc<FakeSite>, params: Json) -> engine::step::Done<Json> {
    match Read::new(OomSnapshot).perform(&site.cx(), &params, &Json::Null).await.unwrap() {
        Performed::Done(done) => done,
        Performed::Ask(..) => panic!("it asked"),
    }
}

#[tokio::test]
async fn the_step_takes_the_snapshot_that_shows_the_failure() {
    let site = crate::testkit::told::files(&[
        ("/run/a.pickle", fixture!("no-history")),
        ("/run/b.pickle", fixture!("curable-4")),
        ("/run/d.pickle", fixture!("graphs")),
        ("/run/c.pickle", b"\x80\x02cos\nsystem\n."),
        ("/run/model.pt", b"weights"),
    ]);
    let error = json!({ "tried": 128 * MIB, "free": 64 * MIB, "rank": 3 });
    let found = done(&site, json!({ "paths": ["/run/"], "error": error })).await;
    assert_eq!(
        (found.outcome.as_str(), &found.output["file"], &found.output["cure"]),
        ("found", &json!("/run/b.pickle"), &json!("served"))
    );
    assert_eq!(found.summary[0], "with expandable segments the 128 MiB would have been served");
    let found = done(&site, json!({ "paths": ["/run/c.pickle"] })).await;
    assert_eq!(found.outcome, "unreadable");
    assert!(found.summary[0].contains("GLOBAL"), "{:?}", found.summary);
    assert_eq!(done(&site, json!({ "paths": ["/gone"] })).await.outcome, "unreadable");
    for nothing in [json!({}), json!({ "paths": [""] }), json!({ "paths": null, "error": null })] {
        assert_eq!(done(&site, nothing).await.outcome, "none");
    }
    let later = json!({ "paths": ["/run"], "from": "2030-01-01T00:00:00Z" });
    assert_eq!(done(&site, later).await.outcome, "none");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = super::examine_any(&[b"\x80\x04".as_slice(), &bytes].concat());
    }

    /// Snapshots in which some bytes are others, or that are cut off.
    #[test]
    fn no_damage_panics(changes in proptest::collection::vec((0usize..6000, any::<u8>()), 1..12), end in 1usize..6000) {
        for whole in [fixture!("curable-4"), fixture!("curable-2"), fixture!("expandable")] {
            let mut bytes = whole[..end.min(whole.len())].to_vec();
            let _ = super::examine_any(&bytes);
            bytes = whole.to_vec();
            for (at, byte) in &changes {
                let at = at % bytes.len();
                bytes[at] = *byte;
            }
            let _ = super::examine_any(&bytes);
        }
    }
}
