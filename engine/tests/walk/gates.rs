//! Consent: to exactly what was shown, by somebody who was there.

use engine::plan::{Approve, EndKind, Node};
use engine::walk::Ending;
use serde_json::json;

use crate::kit::*;

fn nodes() -> Vec<Node> {
    vec![
        node("act", "put", json!({"thing": "a", "value": "2"}), "*>ok"),
        end("ok", EndKind::Resolved),
        end("no", EndKind::NoAction),
    ]
}

#[tokio::test]
async fn nobody_parks_and_resume_asks_again() {
    let things = Shared::default();
    let (ending, journal) =
        walk(started(nodes(), vec![]), world(&things, Scripted::with(vec![None], false))).await;
    assert_eq!(ending, Ending::Parked { node: "act".to_owned() });
    assert!(things.lock().acts.is_empty());
    let ending = resume(&journal, world(&things, Scripted::yes())).await.unwrap();
    assert!(matches!(ending, Ending::Ended { .. }), "{ending:?}");
    assert_eq!(things.lock().acts, ["put a 2"]);
}

#[tokio::test]
async fn no_is_a_decision() {
    let things = Shared::default();
    let (ending, journal) =
        walk(started(nodes(), vec![]), world(&things, Scripted::with(vec![Some(false)], false))).await;
    assert!(matches!(ending, Ending::Held { .. }), "{ending:?}");
    assert_eq!(trail(&journal), ["act-"]);
    let mut declined = nodes();
    declined[0] = but(declined[0].clone(), |step| step.declined = Some("no".to_owned()));
    let (_, journal) =
        walk(started(declined, vec![]), world(&things, Scripted::with(vec![Some(false)], false))).await;
    assert_eq!(trail(&journal), ["act-", "no"]);
    assert!(things.lock().acts.is_empty());
}

#[tokio::test]
async fn what_drifts_while_the_person_looks_is_asked_again() {
    let things = Shared::default();
    things.set("a", "1");
    let person = Scripted::with(vec![Some(true), None], false);
    let meanwhile = things.clone();
    *person.meanwhile.lock().unwrap() = Some(Box::new(move || meanwhile.set("a", "somebody else's")));
    let (ending, _) = walk(started(nodes(), vec![]), world(&things, person.clone())).await;
    assert_eq!(ending, Ending::Parked { node: "act".to_owned() });
    assert!(things.lock().acts.is_empty(), "consent to something else was used");
    let asked = person.asked.lock().unwrap();
    assert_eq!(asked.iter().map(|gate| gate.again).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn nothing_to_do_asks_nobody() {
    let things = Shared::default();
    things.set("a", "2");
    let person = Scripted::with(vec![], false);
    let (ending, journal) = walk(started(nodes(), vec![]), world(&things, person.clone())).await;
    assert!(matches!(ending, Ending::Ended { .. }));
    assert_eq!(trail(&journal), ["act:unchanged", "ok"]);
    assert!(person.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn only_what_is_written_ungated_is_ungated() {
    let things = Shared::default();
    let mut nodes = nodes();
    nodes[0] = but(nodes[0].clone(), |step| step.approve = Approve::Never);
    let (ending, _) = walk(started(nodes, vec![]), world(&things, Scripted::with(vec![], false))).await;
    assert!(matches!(ending, Ending::Ended { .. }));
    assert_eq!(things.lock().acts, ["put a 2"]);
}
