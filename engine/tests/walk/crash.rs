//! A process that dies at any entry loses nothing and repeats nothing.

use engine::plan::{EndKind, ForEach, Node};
use engine::run::Entry;
use engine::step::StepErrorKind;
use engine::walk::{Ending, Walker};
use serde_json::json;

use crate::kit::*;

fn nodes() -> Vec<Node> {
    let fan =
        ForEach { items: "{{ ['x','y','z'] }}".to_owned(), item: "item".to_owned(), at_once: 2, tolerate: 0 };
    vec![
        node("look", "probe", json!({"thing": "a"}), "*>one"),
        node("one", "put", json!({"thing": "b", "value": "{{ look.value }}"}), "*>many"),
        but(node("many", "put", json!({"thing": "{{ item }}", "value": "v"}), "*>again"), |step| {
            step.for_each = Some(Box::new(fan))
        }),
        node("again", "probe", json!({"thing": "b"}), "*>two"),
        node("two", "put", json!({"thing": "c", "value": "{{ again.value }}"}), "*>ok"),
        end("ok", EndKind::Resolved),
    ]
}

#[tokio::test]
async fn killed_at_every_entry_it_comes_to_the_same_end_and_acts_once() {
    let mut deaths = 0;
    for dies_after in 1.. {
        let things = Shared::default();
        things.set("a", "1");
        let journal = Dying { dies_after: Some(dies_after), ..Dying::default() };
        let mut walker =
            Walker::start(started(nodes(), vec![]), journal.clone(), world(&things, Scripted::yes()))
                .unwrap();
        let died = walker.walk().await;
        drop(walker);
        if let Ok(ending) = died {
            assert!(matches!(ending, Ending::Ended { .. }));
            break;
        }
        deaths += 1;
        let ending = resume(&journal, world(&things, Scripted::yes())).await.unwrap();
        assert!(
            matches!(ending, Ending::Ended { end: EndKind::Resolved, .. }),
            "killed after {dies_after}: {ending:?}"
        );
        let mut acts = things.lock().acts.clone();
        acts.sort();
        assert_eq!(
            acts,
            ["put b 1", "put c 1", "put x v", "put y v", "put z v"],
            "killed after {dies_after}"
        );
    }
    assert!(deaths > 15, "the walk has more entries than that: {deaths}");
}

#[tokio::test]
async fn a_break_after_the_effect_is_looked_into_not_repeated() {
    let things = Shared::default();
    things.set("a", "1");
    things.lock().breaks.push(("after b".to_owned(), StepErrorKind::InDoubt));
    let (ending, _) = walk(started(nodes(), vec![]), world(&things, Scripted::yes())).await;
    assert!(matches!(ending, Ending::Ended { .. }), "{ending:?}");
    assert_eq!(things.lock().acts.iter().filter(|act| **act == "put b 1").count(), 1);
}

#[tokio::test]
async fn items_that_broke_are_tried_again_and_no_others() {
    let things = Shared::default();
    things.set("a", "1");
    things.lock().breaks.push(("before y".to_owned(), StepErrorKind::Denied));
    let (ending, journal) = walk(started(nodes(), vec![]), world(&things, Scripted::yes())).await;
    assert!(matches!(&ending, Ending::Held { node, .. } if node == "many"), "{ending:?}");
    let ending = resume(&journal, world(&things, Scripted::yes())).await.unwrap();
    assert!(matches!(ending, Ending::Ended { .. }), "{ending:?}");
    let mut acts = things.lock().acts.clone();
    acts.sort();
    assert_eq!(acts, ["put b 1", "put c 1", "put x v", "put y v", "put z v"]);
}

#[tokio::test]
async fn what_cannot_be_looked_up_is_asked() {
    for (answer, acts) in [("done", 1), ("not_done", 2)] {
        let things = Shared::default();
        things.set("a", "1");
        things.set("blind", "yes");
        things.lock().breaks.push(("after b".to_owned(), StepErrorKind::InDoubt));
        let (ending, journal) = walk(started(nodes(), vec![]), world(&things, Scripted::yes())).await;
        assert!(matches!(&ending, Ending::Held { node, .. } if node == "one"), "{ending:?}");
        let person = Scripted::yes();
        person.choices.lock().unwrap().push(answer.to_owned());
        if answer == "not_done" {
            things.lock().values.remove("b");
        }
        let ending = resume(&journal, world(&things, person)).await.unwrap();
        assert!(matches!(ending, Ending::Ended { .. }), "{answer}: {ending:?}");
        assert_eq!(things.lock().acts.iter().filter(|act| **act == "put b 1").count(), acts, "{answer}");
    }
}

#[tokio::test]
async fn every_intent_is_on_disk_before_its_effect() {
    let things = Shared::default();
    things.set("a", "1");
    let (_, journal) = walk(started(nodes(), vec![]), world(&things, Scripted::yes())).await;
    let disk = journal.disk.lock().unwrap();
    let intents = disk.iter().filter(|record| matches!(record.entry, Entry::Intended { .. })).count();
    assert_eq!(intents, things.lock().acts.len());
}
