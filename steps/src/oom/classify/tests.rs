//! The rules against public reports whose cause is known, and against devices that are made up.

use std::collections::BTreeMap;

use engine::step::{Performed, Read, Step};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::evidence::Snapshot;
use super::facts::{ErrorFields, Table};
use super::foreign::{Tenant, Tenants};
use super::rules::{Around, DEFAULT_MARGIN, classify as classify_around};
use super::step::OomClassify;
use super::verdict::{Classification, Verdict};
use crate::oom::fixtures::{Case, cases, released_messages, render, size_text};
use crate::oom::kind::Kind;
use crate::oom::message::{Passage, Process, read};
use crate::oom::snapshot::Cure;
use crate::size::{GIB, MIB, parse_size};

/// The fields as `oom.read` has them, from the text.
fn fields(text: &str) -> ErrorFields {
    message(text).unwrap()
}

fn message(text: &str) -> Option<ErrorFields> {
    let mut lines = text.lines();
    let first = lines.next().unwrap();
    let message = read(&Passage::new(first, &lines.collect::<Vec<_>>()))?;
    Some(ErrorFields {
        kind: Some(message.kind),
        tried: message.tried,
        capacity: message.capacity,
        free: message.free,
        allocated: message.allocated,
        reserved: message.reserved,
        reserved_unallocated: message.reserved_unallocated,
        private_pools: message.private_pools,
        this_process: message.this_process,
        processes: Some(message.processes),
        limit: message.limit,
        hint_expandable: message.hint_expandable,
        memory_summary: None,
    })
}

fn classify(error: &ErrorFields, tenants: Option<&Tenants>, margin: f64) -> Classification {
    classify_around(error, Around { tenants, snapshot: None }, margin)
}

fn alone(error: &ErrorFields) -> Verdict {
    classify(error, None, DEFAULT_MARGIN).verdict
}

fn tenants(bytes: &[u64]) -> Tenants {
    let tenant =
        |bytes: &u64| Tenant { pid: Some(9), bytes: Some(*bytes), gpu_uuid: Some("GPU-1".to_owned()) };
    let verdict = if bytes.is_empty() { "clean" } else { "shared" };
    Tenants { foreign: Some(bytes.iter().map(tenant).collect()), verdict: Some(verdict.to_owned()) }
}

/// What `gpu.tenants` would have found where the report's reader inferred a holder that the text does not name: all
/// that lies outside PyTorch's reserve but 1 GiB for the process's own context.
fn evidence(case: &Case) -> Option<Tenants> {
    let fields = &case.fields;
    let used = fields.capacity_bytes?.checked_sub(fields.free_bytes?)?;
    let others = used.checked_sub(fields.reserved_bytes?)?.checked_sub(GIB)?;
    (!case.holder_named).then(|| tenants(&[others]))
}

/// Counts of (label, verdict), as a table.
fn confusion(with_evidence: bool) -> (String, usize, usize) {
    let mut counts: BTreeMap<(String, Verdict), usize> = BTreeMap::new();
    let (mut right, mut all) = (0, 0);
    for case in cases() {
        let evidence = if with_evidence { evidence(&case) } else { None };
        let verdict = classify(&fields(&render(&case)), evidence.as_ref(), DEFAULT_MARGIN).verdict;
        assert!(!(verdict == Verdict::Fragmentation && case.label == "true_oom"), "{}", case.id);
        assert!(!(verdict == Verdict::TrueOom && case.label == "fragmentation"), "{}", case.id);
        assert!(!(verdict != Verdict::Unknown && case.label == "not_gpu_oom"), "{}", case.id);
        if !["ambiguous", "not_gpu_oom"].contains(&case.label.as_str()) {
            all += 1;
            right += usize::from(verdict.name() == case.label);
        }
        *counts.entry((case.label, verdict)).or_default() += 1;
    }
    let lines: Vec<String> =
        counts.iter().map(|((label, verdict), n)| format!("{label} -> {}: {n}", verdict.name())).collect();
    (lines.join("\n"), right, all)
}

#[test]
fn reports_with_what_gpu_tenants_would_add() {
    let (table, right, all) = confusion(true);
    assert!(right * 10 >= all * 9, "{right} of {all}\n{table}");
    insta::assert_snapshot!(table, @r"
    ambiguous -> true_oom: 2
    ambiguous -> fragmentation: 1
    ambiguous -> unknown: 52
    co_tenant -> true_oom: 1
    co_tenant -> co_tenant: 15
    co_tenant -> unknown: 2
    fragmentation -> fragmentation: 12
    not_gpu_oom -> unknown: 17
    true_oom -> true_oom: 52
    true_oom -> unknown: 3
    ");
}

#[test]
fn reports_by_their_text_alone() {
    // Where nobody is named, nobody is blamed: those stay unknown.
    let (table, right, all) = confusion(false);
    assert!(right * 100 >= all * 78, "{right} of {all}\n{table}");
    insta::assert_snapshot!(table, @r"
    ambiguous -> true_oom: 2
    ambiguous -> fragmentation: 1
    ambiguous -> unknown: 52
    co_tenant -> true_oom: 1
    co_tenant -> co_tenant: 5
    co_tenant -> unknown: 12
    fragmentation -> fragmentation: 12
    not_gpu_oom -> unknown: 17
    true_oom -> true_oom: 52
    true_oom -> unknown: 3
    ");
}

#[test]
fn released_messages_are_told_apart() {
    for (release, scenario, text) in released_messages() {
        let expected = match (scenario.as_str(), release.as_str()) {
            ("true-OOM", _) => Verdict::TrueOom,
            ("fragmented", _) => Verdict::Fragmentation,
            // Live 33 + tried 60 GiB on a device of 79.2: no packing holds both.
            _ => Verdict::TrueOom,
        };
        let found = classify(&fields(&text), None, DEFAULT_MARGIN);
        assert_eq!(found.verdict, expected, "{release} {scenario} {found:?}");
    }
}

#[test]
fn the_reasons_can_be_checked() {
    let text = &released_messages().into_iter().find(|(_, scenario, _)| scenario == "fragmented").unwrap().2;
    let found = classify(&fields(text), None, DEFAULT_MARGIN);
    insta::assert_snapshot!(found.reasons.join("\n"), @r"
    free 170.00 MiB + unallocated 6.61 GiB = 6.78 GiB for a request of 2.89 GiB
    packed without a gap it would fit, with 3.89 GiB to spare
    ");
    assert_eq!(found.could_fit, Some(parse_size("170.00 MiB").unwrap() + parse_size("6.61 GiB").unwrap()));
    assert_eq!((found.shortfall, found.gap), (Some(0), parse_size("6.61 GiB")));
}

/// A device of 80 GiB with a gap of 10 and a request of 5: fragmentation.
fn typical() -> ErrorFields {
    ErrorFields {
        kind: Some(Kind::CudaCachingAllocator),
        tried: Some(5 * GIB),
        capacity: Some(80 * GIB),
        free: Some(GIB),
        allocated: Some(67 * GIB),
        reserved: Some(77 * GIB),
        reserved_unallocated: Some(10 * GIB),
        ..ErrorFields::default()
    }
}

#[test]
fn the_traps() {
    assert_eq!(alone(&typical()), Verdict::Fragmentation);
    let small = ErrorFields { tried: Some(2 * MIB), ..typical() };
    assert_eq!(alone(&small), Verdict::Unknown, "small requests cannot use large gaps");
    let on = ErrorFields { hint_expandable: Some(true), ..typical() };
    assert_eq!(alone(&on), Verdict::Unknown, "expandable segments are on");
    let table = Table { expandable: Some(true), retries: Some(3), ..Table::default() };
    let on = ErrorFields { memory_summary: Some(table), ..typical() };
    let found = classify(&on, None, DEFAULT_MARGIN);
    assert_eq!(found.verdict, Verdict::Unknown, "the table says that they are on");
    assert_eq!(
        found.reasons.last().unwrap(),
        "memory_summary: everything flushed 3 times for want of memory"
    );
    let free = ErrorFields { tried: Some(GIB / 2), ..typical() };
    assert_eq!(alone(&free), Verdict::Unknown, "enough was free");
    let larger = ErrorFields { tried: Some(12 * GIB), ..typical() };
    let short = classify(&larger, None, DEFAULT_MARGIN);
    assert_eq!(short.verdict, Verdict::TrueOom, "a gap of 10 does not make 12");
    assert_eq!(
        short.reasons,
        [
            "free 1.00 GiB + unallocated 10.00 GiB = 11.00 GiB is 1.00 GiB less than tried 12.00 GiB: packing makes room for it only \
             if blocks in use are rounded up by that much, and then leaves nothing"
        ]
    );
    let mixed = ErrorFields {
        tried: Some(12 * GIB),
        free: Some(11 * GIB),
        allocated: Some(57 * GIB),
        reserved: Some(67 * GIB),
        ..typical()
    };
    assert_eq!(alone(&mixed), Verdict::Fragmentation, "a gap smaller than the request, and 21 in all");
    let hip = ErrorFields { kind: Some(Kind::HipCachingAllocator), ..typical() };
    assert_eq!(alone(&hip), Verdict::Fragmentation);
    for kind in [Kind::NvmlAssert, Kind::Cublas, Kind::MpsAllocator, Kind::HostOom, Kind::CudaAsyncAllocator]
    {
        assert_eq!(alone(&ErrorFields { kind: Some(kind), ..typical() }), Verdict::Unknown);
    }
    let contradicting = ErrorFields { reserved: Some(70 * GIB), ..typical() };
    assert_eq!(alone(&contradicting), Verdict::Unknown);
    let impossible = ErrorFields { free: Some(8 * GIB), ..typical() };
    assert_eq!(alone(&impossible), Verdict::Unknown, "reserved and free are more than the device");
    assert_eq!(alone(&ErrorFields::default()), Verdict::Unknown);
}

#[test]
fn a_cap_counts_like_a_smaller_device() {
    let capped = ErrorFields {
        free: Some(50 * GIB),
        allocated: Some(20 * GIB),
        reserved: Some(28 * GIB),
        reserved_unallocated: Some(8 * GIB),
        limit: Some(30 * GIB),
        ..typical()
    };
    assert_eq!(alone(&capped), Verdict::Fragmentation);
    assert_eq!(alone(&ErrorFields { limit: None, ..capped.clone() }), Verdict::Unknown, "it looks free");
    assert_eq!(alone(&ErrorFields { tried: Some(11 * GIB), ..capped.clone() }), Verdict::TrueOom);
    assert_eq!(alone(&ErrorFields { tried: Some(31 * GIB), ..capped }), Verdict::TrueOom);
}

#[test]
fn idle_private_pools_make_it_undecided() {
    let pools = ErrorFields { tried: Some(14 * GIB), private_pools: Some(8 * GIB), ..typical() };
    let found = classify(&pools, None, DEFAULT_MARGIN);
    assert_eq!(found.verdict, Verdict::Unknown);
    assert!(found.reasons.iter().any(|reason| reason.contains("CUDA graphs are released")), "{found:?}");
    let pools = ErrorFields { tried: Some(14 * GIB), private_pools: Some(GIB), ..typical() };
    assert_eq!(alone(&pools), Verdict::TrueOom);
}

#[test]
fn others_are_blamed_only_if_seen() {
    let shared = ErrorFields {
        tried: Some(4 * GIB),
        free: Some(GIB),
        allocated: Some(30 * GIB),
        reserved: Some(31 * GIB),
        reserved_unallocated: Some(GIB),
        ..typical()
    };
    assert_eq!(alone(&shared), Verdict::Unknown, "48 GiB are somebody's");
    let verdict = |tenants: &Tenants| classify(&shared, Some(tenants), DEFAULT_MARGIN).verdict;
    assert_eq!(verdict(&tenants(&[20 * GIB, 27 * GIB])), Verdict::CoTenant);
    assert_eq!(verdict(&tenants(&[5 * GIB])), Verdict::Unknown, "5 GiB do not explain 48: another device's");
    assert_eq!(
        verdict(&tenants(&[70 * GIB])),
        Verdict::Unknown,
        "70 GiB do not fit beside: another device's"
    );
    assert_eq!(verdict(&tenants(&[])), Verdict::Unknown, "nobody was seen, and no context has 48 GiB");
    let hidden = Tenants { foreign: Some(vec![Tenant::default()]), verdict: Some("unknown".to_owned()) };
    assert_eq!(verdict(&hidden), Verdict::Unknown);
    let named = ErrorFields { this_process: Some(32 * GIB), ..shared.clone() };
    assert_eq!(alone(&named), Verdict::CoTenant);
    let process = |pid, bytes| Process { pid, bytes: Some(bytes) };
    let named = ErrorFields { processes: Some(vec![process(1, 47 * GIB)]), ..shared.clone() };
    assert_eq!(alone(&named), Verdict::CoTenant);
    let named =
        ErrorFields { processes: Some(vec![process(1, 47 * GIB), process(2, 32 * GIB)]), ..shared.clone() };
    assert_eq!(alone(&named), Verdict::CoTenant, "47 GiB are too many for the failing one");
    let named = ErrorFields { processes: Some(vec![process(2, 32 * GIB)]), ..shared };
    assert_eq!(alone(&named), Verdict::Unknown, "it may be the failing one");
}

#[test]
fn ones_own_process_under_the_hosts_id_is_no_tenant() {
    let full = ErrorFields {
        tried: Some(14 * GIB),
        processes: Some(vec![Process { pid: 7, bytes: Some(78 * GIB) }]),
        ..typical()
    };
    let found = classify(&full, None, DEFAULT_MARGIN);
    assert_eq!((found.verdict, found.foreign_bytes), (Verdict::TrueOom, Some(GIB / 2)));
}

#[test]
fn clean_tenants_explain_a_large_context() {
    // 9 GiB outside the reserve on 80: context, NCCL, or somebody.
    let error = ErrorFields {
        tried: Some(4 * GIB),
        free: Some(GIB),
        allocated: Some(69 * GIB),
        reserved: Some(70 * GIB),
        reserved_unallocated: Some(GIB),
        ..typical()
    };
    assert_eq!(alone(&error), Verdict::Unknown);
    assert_eq!(classify(&error, Some(&tenants(&[])), DEFAULT_MARGIN).verdict, Verdict::TrueOom);
    let unsure = Tenants { foreign: Some(Vec::new()), verdict: Some("unknown".to_owned()) };
    assert_eq!(classify(&error, Some(&unsure), DEFAULT_MARGIN).verdict, Verdict::Unknown);
}

#[tokio::test]
async fn the_step_takes_what_the_others_yield() {
    let step = Read::new(OomClassify);
    let cx = crate::testkit::FakeSite::shared().cx();
    let error = json!({
        "kind": "cuda_caching_allocator", "tried": 5 * GIB, "capacity": 80 * GIB, "free": GIB, "allocated": 67 * GIB,
        "reserved_unallocated": 10 * GIB, "rank": 3, "torch": { "min": null, "max": null }, "limit": null,
        "processes": [{ "pid": 1, "bytes": null }],
    });
    let tenants = json!({ "verdict": "clean", "foreign": [], "node": "gpu-1", "foreign_bytes": 0 });
    let done = |params: Value| {
        let (step, cx) = (&step, &cx);
        async move {
            match step.perform(cx, &params, &Value::Null).await.unwrap() {
                Performed::Done(done) => done,
                Performed::Ask(..) => panic!("it asked"),
            }
        }
    };
    let found = done(json!({ "error": error, "tenants": tenants })).await;
    assert_eq!(
        (found.outcome.as_str(), &found.output["verdict"]),
        ("fragmentation", &json!("fragmentation"))
    );
    assert_eq!(found.summary[0], "fragmentation: 10.0 GiB reserved and not in use");
    assert_eq!(done(json!({ "error": null, "tenants": null, "margin": null })).await.outcome, "unknown");
    assert_eq!(done(json!({})).await.outcome, "unknown");
    for params in
        [json!({ "error": error, "margin": 1.5 }), json!({ "eror": error }), json!({ "margin": -0.1 })]
    {
        assert!(step.perform(&cx, &params, &Value::Null).await.is_err(), "{params}");
    }
}

#[test]
fn other_allocators_tell_only_what_cannot_fit() {
    for kind in [Kind::CudaAsyncAllocator, Kind::MpsAllocator] {
        let fits = ErrorFields { kind: Some(kind), ..typical() };
        assert_eq!(alone(&fits), Verdict::Unknown);
        assert_eq!(alone(&ErrorFields { tried: Some(20 * GIB), ..fits.clone() }), Verdict::TrueOom);
        assert_eq!(alone(&ErrorFields { limit: Some(70 * GIB), ..fits.clone() }), Verdict::TrueOom);
        assert_eq!(alone(&ErrorFields { tried: None, limit: Some(70 * GIB), ..fits }), Verdict::Unknown);
    }
    let vllm = |free: u64| ErrorFields {
        kind: Some(Kind::VllmStartupCheck),
        tried: Some(76 * GIB),
        capacity: Some(80 * GIB),
        free: Some(free * GIB),
        ..ErrorFields::default()
    };
    assert_eq!(alone(&vllm(40)), Verdict::CoTenant);
    assert_eq!(alone(&vllm(74)), Verdict::Unknown, "6 GiB may be its context and libraries");
    assert_eq!(alone(&ErrorFields { free: None, ..vllm(40) }), Verdict::Unknown);
}

#[test]
fn a_snapshot_decides_what_the_message_leaves_open() {
    let verdict = |error: &ErrorFields, snapshot: &Snapshot| {
        classify_around(error, Around { tenants: None, snapshot: Some(snapshot) }, DEFAULT_MARGIN).verdict
    };
    let shows = |error: &ErrorFields, cure| Snapshot {
        cure: Some(cure),
        tried: error.tried,
        free: error.free,
        expandable: Some(false),
    };
    let small = ErrorFields { tried: Some(2 * MIB), free: Some(MIB), ..typical() };
    assert_eq!(alone(&small), Verdict::Unknown);
    assert_eq!(verdict(&small, &shows(&small, Cure::Served)), Verdict::Fragmentation);
    assert_eq!(verdict(&small, &shows(&small, Cure::Unknown)), Verdict::Unknown);
    let tight = ErrorFields { tried: Some(10 * GIB + GIB / 2), ..typical() };
    assert_eq!(alone(&tight), Verdict::TrueOom, "it would fit, with less than the margin");
    assert_eq!(verdict(&tight, &shows(&tight, Cure::Served)), Verdict::Fragmentation);
    assert_eq!(verdict(&typical(), &shows(&typical(), Cure::Refused)), Verdict::TrueOom);
    // It shows another failure, or the lever is on, or the arithmetic forbids it.
    assert_eq!(verdict(&small, &shows(&typical(), Cure::Served)), Verdict::Unknown);
    let on = Snapshot { expandable: Some(true), ..shows(&typical(), Cure::Refused) };
    assert_eq!(verdict(&typical(), &on), Verdict::Unknown);
    let on = Snapshot { expandable: Some(true), ..Snapshot::default() };
    assert_eq!(verdict(&typical(), &on), Verdict::Unknown, "whichever failure it shows");
    let huge = ErrorFields { tried: Some(12 * GIB), ..typical() };
    assert_eq!(verdict(&huge, &shows(&huge, Cure::Served)), Verdict::TrueOom);
    let lost = ErrorFields { kind: Some(Kind::NvmlAssert), ..ErrorFields::default() };
    assert_eq!(verdict(&lost, &shows(&typical(), Cure::Served)), Verdict::Fragmentation);
    assert_eq!(verdict(&lost, &shows(&typical(), Cure::Refused)), Verdict::Unknown, "or somebody else's");
    // What is missing in the message stays missing.
    for lost in 0..9 {
        let part = thinned(&small, 1 << lost);
        let found = verdict(&part, &shows(&small, Cure::Served));
        assert!([Verdict::Unknown, Verdict::Fragmentation].contains(&found), "{lost}: {found:?}");
    }
    assert_eq!(verdict(&thinned(&small, 1), &shows(&small, Cure::Served)), Verdict::Unknown);
}

/// A device and what is on it, in MiB.
#[derive(Debug, Clone)]
struct Device {
    live: u64,
    gap: u64,
    context: u64,
    others: u64,
    free: u64,
    tried: u64,
    /// 0: the message names nobody, 1: itself, 2: itself and others, 3: itself and others by the host's ids.
    naming: u8,
}

impl Device {
    fn capacity(&self) -> u64 {
        self.live + self.gap + self.context + self.others + self.free
    }

    /// What the message says, rounded as it is printed.
    fn fields(&self) -> ErrorFields {
        let printed = |mib: u64| parse_size(&size_text(mib * MIB));
        let own = self.live + self.gap + self.context;
        let mut processes = Vec::new();
        if self.naming >= 2 && self.others > 0 {
            processes.push(Process { pid: 2, bytes: printed(self.others) });
        }
        if self.naming == 3 {
            processes.push(Process { pid: 1, bytes: printed(own) });
        }
        let (allocated, gap) = (printed(self.live), printed(self.gap));
        ErrorFields {
            kind: Some(Kind::CudaCachingAllocator),
            tried: printed(self.tried),
            capacity: printed(self.capacity()),
            free: printed(self.free),
            allocated,
            reserved: allocated.zip(gap).map(|(a, u)| a + u),
            reserved_unallocated: gap,
            this_process: if matches!(self.naming, 1 | 2) { printed(own) } else { None },
            processes: Some(processes),
            ..ErrorFields::default()
        }
    }
}

prop_compose! {
    fn device()(live in 0u64..80_000, gap in 0u64..20_000, context in 300u64..3_000, others in prop_oneof![Just(0u64), 0u64..60_000],
                free in 0u64..12_000, tried in 1u64..40_000, naming in 0u8..4) -> Device {
        Device { live, gap, context, others, free, tried: tried * 2, naming }
    }
}

/// Every way to lose some of the fields.
fn thinned(error: &ErrorFields, lost: u16) -> ErrorFields {
    let mut error = error.clone();
    let gone = |bit: u16| lost & (1 << bit) != 0;
    if gone(0) {
        error.tried = None;
    }
    if gone(1) {
        error.capacity = None;
    }
    if gone(2) {
        error.free = None;
    }
    if gone(3) {
        error.allocated = None;
    }
    if gone(4) {
        error.reserved = None;
    }
    if gone(5) {
        error.reserved_unallocated = None;
    }
    if gone(6) {
        error.this_process = None;
    }
    if gone(7) {
        error.processes = None;
    }
    if gone(8) {
        error.kind = None;
    }
    error
}

#[test]
fn no_report_gets_surer_by_losing_fields() {
    for case in cases() {
        let error = fields(&render(&case));
        let whole = alone(&error);
        for lost in 1..512 {
            let part = alone(&thinned(&error, lost));
            assert!(
                part == Verdict::Unknown || part == whole,
                "{} without {lost:b}: {whole:?} -> {part:?}",
                case.id
            );
        }
    }
}

/// A message that breaks off, anywhere.
#[test]
fn no_report_gets_surer_by_being_cut_off() {
    for case in cases().iter().filter(|case| case.kind.is_caching_allocator()) {
        let text = render(case);
        let whole = alone(&fields(&text));
        for end in (20..text.len()).step_by(3).filter(|end| text.is_char_boundary(*end)) {
            let Some(message) = message(&text[..end]) else { continue };
            let part = alone(&message);
            assert!(
                part == Verdict::Unknown || part == whole,
                "{} up to {:?}: {whole:?} -> {part:?}",
                case.id,
                &text[end.saturating_sub(30)..end]
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn losing_fields_never_makes_it_sure(device in device(), lost in 1u16..512, seen in any::<bool>()) {
        let error = device.fields();
        let tenants = (seen && device.others > 0).then(|| tenants(&[device.others * MIB]));
        let whole = classify(&error, tenants.as_ref(), DEFAULT_MARGIN).verdict;
        let part = classify(&thinned(&error, lost), tenants.as_ref(), DEFAULT_MARGIN).verdict;
        prop_assert!(part == Verdict::Unknown || part == whole, "{:?} -> {:?}", whole, part);
        let unseen = classify(&error, None, DEFAULT_MARGIN).verdict;
        prop_assert!(unseen == Verdict::Unknown || unseen == whole, "without tenants: {:?} -> {:?}", whole, unseen);
    }

    #[test]
    fn verdicts_are_true_of_the_device(device in device(), seen in any::<bool>()) {
        let tenants = seen.then(|| if device.others > 0 { tenants(&[device.others * MIB]) } else { tenants(&[]) });
        let found = classify(&device.fields(), tenants.as_ref(), DEFAULT_MARGIN);
        let slack = 64;
        match found.verdict {
            Verdict::Fragmentation => prop_assert!(device.free + device.gap + slack >= device.tried, "{:?}", found),
            Verdict::CoTenant => prop_assert!(device.free + device.others + 1024 >= device.tried && device.others + 3072 >= 1024, "{:?}", found),
            Verdict::TrueOom => {
                let room = device.free + device.gap;
                let margin = device.capacity() / 50 + slack;
                prop_assert!(room < device.tried + margin, "{:?}", found);
                // Nobody large was overlooked.
                let matters = (device.capacity() / 10).max(1024);
                let rest = device.live + device.tried;
                prop_assert!(device.others < matters + slack || room + device.others < device.tried + margin + slack || rest > device.capacity(), "{:?}", found);
            }
            Verdict::Unknown => prop_assert!(!found.reasons.is_empty()),
        }
    }

    #[test]
    fn any_numbers_are_survived(values in proptest::collection::vec(proptest::option::of(any::<u64>()), 9), margin in 0.0f64..1.0) {
        let error = ErrorFields {
            kind: Some(Kind::CudaCachingAllocator),
            tried: values[0], capacity: values[1], free: values[2], allocated: values[3], reserved: values[4],
            reserved_unallocated: values[5], private_pools: values[6], this_process: values[7], limit: values[8],
            processes: Some(vec![Process { pid: 1, bytes: values[0] }]),
            hint_expandable: None,
            memory_summary: None,
        };
        let found: Classification = classify(&error, Some(&tenants(&[u64::MAX, u64::MAX])), margin);
        prop_assert!(!found.reasons.is_empty());
    }
}
