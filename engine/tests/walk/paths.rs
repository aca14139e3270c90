//! Where a walk goes.

use std::sync::Arc;

use engine::plan::{Body, EndKind, Enter, ForEach, Next, Node, OnFailure, Plan, Scope};
use engine::run::Entry;
use engine::step::StepErrorKind;
use engine::walk::Ending;
use serde_json::json;

use crate::kit::*;

#[tokio::test]
async fn outcomes_lead_and_outputs_flow() {
    let things = Shared::default();
    things.set("a", "41");
    let nodes = vec![
        but(node("look", "probe", json!({"thing": "{{ vars.what }}"}), "*>choose"), |step| {
            step.set = vec![("n".to_owned(), json!("{{ output.number + 1 }}"))];
        }),
        node(
            "choose",
            "pick",
            json!({"yes": "{{ vars.n == 42 and look.value == '41' }}", "no": true}),
            "yes>act *>bad",
        ),
        node("act", "put", json!({"thing": "b", "value": "n{{ vars.n }}"}), "*>ok"),
        end("ok", EndKind::Resolved),
        end("bad", EndKind::Escalated),
    ];
    let vars = vec![("what".to_owned(), json!("a")), ("n".to_owned(), json!(0))];
    let (ending, journal) = walk(started(nodes, vars), world(&things, Scripted::yes())).await;
    let message = Some("test ended".to_owned());
    assert_eq!(ending, Ending::Ended { end: EndKind::Resolved, node: "ok".to_owned(), message });
    assert_eq!(trail(&journal), ["look:good", "choose:yes", "act:done", "ok"]);
    assert_eq!(things.lock().acts, ["put b n42"]);
}

#[tokio::test]
async fn something_unknown_never_decides() {
    let things = Shared::default();
    things.set("a", "not a number");
    let nodes = vec![
        node("look", "probe", json!({"thing": "a"}), "*>choose"),
        node(
            "choose",
            "pick",
            json!({"small": "{{ look.number < 5 }}", "other": true}),
            "small>act other>act unknown>bad",
        ),
        node("act", "put", json!({"thing": "b", "value": "x"}), "*>ok"),
        end("ok", EndKind::Resolved),
        end("bad", EndKind::Escalated),
    ];
    let (_, journal) = walk(started(nodes, vec![]), world(&things, Scripted::yes())).await;
    assert_eq!(trail(&journal), ["look:good", "choose:unknown", "bad"]);
    assert!(things.lock().acts.is_empty());
}

#[tokio::test]
async fn a_change_with_an_unknown_parameter_is_not_made() {
    let things = Shared::default();
    let nodes = vec![
        node("look", "probe", json!({"thing": "a"}), "*>act"),
        node("act", "put", json!({"thing": "b", "value": "{{ look.value }}"}), "*>ok"),
        end("ok", EndKind::Resolved),
    ];
    let (ending, _) = walk(started(nodes, vec![]), world(&things, Scripted::yes())).await;
    let Ending::Held { node, why, .. } = ending else { panic!("{ending:?}") };
    assert_eq!(node, "act");
    assert!(why.contains("look.value"), "{why}");
    assert!(things.lock().acts.is_empty());
}

#[tokio::test]
async fn a_fan_out_gathers_and_tolerates() {
    let things = Shared::default();
    for (name, value) in [("a", "1"), ("b", "bad"), ("c", "3")] {
        things.set(name, value);
    }
    things.lock().breaks.push(("c".to_owned(), StepErrorKind::Failed));
    let fan = |tolerate| {
        let fan = ForEach {
            items: "{{ ['a','b','c'] }}".to_owned(),
            item: "item".to_owned(),
            at_once: 2,
            tolerate,
        };
        but(node("look", "probe", json!({"thing": "{{ item }}"}), "mixed>count *>bad"), |step| {
            step.for_each = Some(Box::new(fan))
        })
    };
    let rest = || {
        vec![
            node(
                "count",
                "pick",
                json!({"two": "{{ look.items[1].outcome == 'bad' and look.items[2].outcome == 'broken' and look.items | map(attribute='item') | join == 'abc' }}"}),
                "two>ok *>bad",
            ),
            end("ok", EndKind::Resolved),
            end("bad", EndKind::Escalated),
        ]
    };
    let nodes = |tolerate| [vec![fan(tolerate)], rest()].concat();
    let (_, journal) = walk(started(nodes(1), vec![]), world(&things, Scripted::yes())).await;
    assert_eq!(trail(&journal), ["look:mixed", "count:two", "ok"]);
    // The others agree; of the one that broke nobody knows.
    things.set("b", "1");
    things.lock().breaks.push(("c".to_owned(), StepErrorKind::Failed));
    let (_, journal) = walk(started(nodes(1), vec![]), world(&things, Scripted::yes())).await;
    assert_eq!(trail(&journal), ["look:mixed", "count:unknown", "bad"]);
    things.lock().breaks.push(("c".to_owned(), StepErrorKind::Failed));
    let (ending, _) = walk(started(nodes(0), vec![]), world(&things, Scripted::yes())).await;
    assert!(matches!(ending, Ending::Held { .. }), "{ending:?}");
}

#[tokio::test]
async fn a_hole_in_a_recording_breaks_the_run_whatever_is_tolerated() {
    let things = Shared::default();
    let hole = || things.lock().breaks.push(("b".to_owned(), StepErrorKind::NotRecorded));
    let fan = ForEach {
        items: "{{ ['a','b','c'] }}".to_owned(),
        item: "item".to_owned(),
        at_once: 1,
        tolerate: 1000,
    };
    let many = but(node("look", "probe", json!({"thing": "{{ item }}"}), "*>ok"), |step| {
        step.for_each = Some(Box::new(fan))
    });
    let one = but(node("look", "probe", json!({"thing": "b"}), "*>ok"), |step| {
        step.on_failure = OnFailure::Goto("bad".to_owned());
    });
    for look in [many, one] {
        let nodes = || vec![look.clone(), end("ok", EndKind::Resolved), end("bad", EndKind::Escalated)];
        hole();
        let (ending, journal) = walk(started(nodes(), vec![]), world(&things, Scripted::yes())).await;
        let Ending::Held { why, .. } = ending else { panic!("{ending:?}") };
        assert_eq!(
            (trail(&journal).as_slice(), why.as_str()),
            (["look!".to_owned()].as_slice(), "b broke as told")
        );
        hole();
        let shown = engine::dry_run::dry_run(started(nodes(), vec![]), &world(&things, Scripted::yes()))
            .await
            .unwrap();
        assert!(!shown.complete);
    }
}

#[tokio::test]
async fn a_broken_read_is_tried_again_and_a_loop_is_bounded() {
    let things = Shared::default();
    things.set("a", "bad");
    things.lock().breaks.push(("a".to_owned(), StepErrorKind::Unreachable));
    let nodes = vec![
        but(node("look", "probe", json!({"thing": "a"}), "bad>look *>ok"), |step| {
            step.retry.attempts = 2;
            step.max_visits = Some(3);
        }),
        end("ok", EndKind::Resolved),
    ];
    let (ending, journal) = walk(started(nodes, vec![]), world(&things, Scripted::yes())).await;
    assert!(matches!(ending, Ending::Held { .. }));
    assert_eq!(trail(&journal), ["look:bad", "look:bad", "look:bad", "look!"]);
}

#[tokio::test]
async fn a_break_leads_where_the_author_said() {
    let things = Shared::default();
    things.lock().breaks.push(("a".to_owned(), StepErrorKind::Failed));
    let nodes = vec![
        but(node("look", "probe", json!({"thing": "a"}), "*>ok"), |step| {
            step.on_failure = OnFailure::Goto("bad".to_owned())
        }),
        end("ok", EndKind::Resolved),
        end("bad", EndKind::Escalated),
    ];
    let (_, journal) = walk(started(nodes, vec![]), world(&things, Scripted::yes())).await;
    assert_eq!(trail(&journal), ["look!", "bad"]);
}

#[tokio::test]
async fn unwinding_takes_changes_back_newest_first() {
    let things = Shared::default();
    things.set("a", "1");
    things.lock().breaks.push(("x".to_owned(), StepErrorKind::Failed));
    let nodes = vec![
        node("one", "put", json!({"thing": "a", "value": "2"}), "*>two"),
        node("two", "put", json!({"thing": "b", "value": "2"}), "*>look"),
        but(node("look", "probe", json!({"thing": "x"}), "*>ok"), |step| step.on_failure = OnFailure::Unwind),
        end("ok", EndKind::Resolved),
    ];
    let (ending, journal) = walk(started(nodes.clone(), vec![]), world(&things, Scripted::yes())).await;
    assert!(
        matches!(&ending, Ending::RolledBack { broke: Some((node, _)), .. } if node == "look"),
        "{ending:?}"
    );
    assert_eq!(things.lock().acts, ["put a 2", "put b 2", "unput b", "unput a"]);
    assert_eq!(things.lock().values.get("a").map(String::as_str), Some("1"));
    let undone =
        journal.disk.lock().unwrap().iter().filter(|r| matches!(r.entry, Entry::Undone { .. })).count();
    assert_eq!(undone, 2);

    things.lock().breaks.push(("x".to_owned(), StepErrorKind::Failed));
    things.lock().breaks.push(("undo b".to_owned(), StepErrorKind::Failed));
    let (ending, _) = walk(started(nodes, vec![]), world(&things, Scripted::yes())).await;
    let Ending::Stuck { node, why, .. } = ending else { panic!("{ending:?}") };
    assert_eq!((node.as_str(), why.as_str()), ("two", "undo b broke as told"));
}

#[tokio::test]
async fn an_inlined_runbook_has_its_own_names_and_its_end_is_the_outcome() {
    let things = Shared::default();
    things.set("a", "7");
    let inner = |node: Node| Node { id: format!("sub/{}", node.id), scope: "sub".to_owned(), ..node };
    let retarget = |node: Node| {
        but(node, |step| {
            for edge in &mut step.next.edges {
                edge.to = format!("sub/{}", edge.to);
            }
            step.next.otherwise = step.next.otherwise.take().map(|to| format!("sub/{to}"));
        })
    };
    let next = node("x", "pick", json!({}), "resolved>check *>bad");
    let Body::Step(step) = next.body else { panic!() };
    let enter = Enter {
        scope: "sub".to_owned(),
        start: "sub/look".to_owned(),
        with: json!({"thing": "{{ vars.what }}"}),
        max_visits: None,
        next: Next { ..step.next },
    };
    let nodes = vec![
        Node { body: Body::Enter(Box::new(enter)), ..end("sub", EndKind::Resolved) },
        inner(retarget(node("look", "probe", json!({"thing": "{{ inputs.thing }}"}), "*>done"))),
        inner(end("done", EndKind::Resolved)),
        node("check", "pick", json!({"yes": "{{ sub.end == 'resolved' }}"}), "yes>ok *>bad"),
        end("ok", EndKind::Resolved),
        end("bad", EndKind::Escalated),
    ];
    let mut started = started(nodes, vec![("what".to_owned(), json!("a"))]);
    let scope = Scope { runbook: "inner".to_owned(), inputs: Default::default(), vars: vec![] };
    Arc::make_mut(&mut started.plan).scopes.insert("sub".to_owned(), scope);
    let (_, journal) = walk(started, world(&things, Scripted::yes())).await;
    assert_eq!(trail(&journal), ["sub/look:good", "sub:resolved", "check:yes", "ok"]);
}

#[test]
fn only_what_a_template_mentions_is_kept() {
    let plan = Plan::new(
        started(
            vec![
                node("look", "probe", json!({"thing": "look"}), "*>look_again"),
                node("look_again", "probe", json!({"thing": "{{ look.number | string }}"}), "*>done"),
                node("unread", "probe", json!({"thing": "a"}), "*>done"),
                end("done", EndKind::Resolved),
            ],
            vec![],
        )
        .plan,
    )
    .unwrap();
    let read = |id: &str| plan.is_read(plan.node(id).unwrap());
    assert_eq!(["look", "look_again", "unread"].map(read), [true, false, false]);
}
