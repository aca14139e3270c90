//! Changes are taken back newest first, each once, at gates that show what is run.

use engine::plan::{EndKind, ForEach, Node, OnFailure, Undo};
use engine::run::{Change, Entry};
use engine::step::{StepErrorKind, Undone};
use engine::walk::{Ending, Rollback};
use serde_json::json;

use crate::kit::*;

fn nodes() -> Vec<Node> {
    let fan =
        ForEach { items: "{{ ['x','y'] }}".to_owned(), item: "item".to_owned(), at_once: 1, tolerate: 0 };
    vec![
        node("one", "put", json!({"thing": "b", "value": "1"}), "*>many"),
        but(node("many", "put", json!({"thing": "{{ item }}", "value": "v"}), "*>two"), |step| {
            step.for_each = Some(Box::new(fan))
        }),
        node("two", "put", json!({"thing": "c", "value": "2"}), "*>ok"),
        end("ok", EndKind::Resolved),
    ]
}

const BACK: [&str; 4] = ["unput c", "unput y", "unput x", "unput b"];

fn unputs(things: &Shared) -> Vec<String> {
    things.lock().acts.iter().filter(|act| act.starts_with("unput")).cloned().collect()
}

/// A run that changed four things and is over.
async fn done(things: &Shared) -> Dying {
    things.set("b", "before");
    let (ending, journal) = walk(started(nodes(), vec![]), world(things, Scripted::yes())).await;
    assert!(matches!(ending, Ending::Ended { .. }));
    journal
}

fn left(changes: &[Change]) -> Vec<&str> {
    changes.iter().filter(|change| !change.settled()).map(|change| change.node.as_str()).collect()
}

#[tokio::test]
async fn everything_is_taken_back_newest_first_and_only_once() {
    let things = Shared::default();
    let journal = done(&things).await;
    let person = Scripted::yes();
    let ending =
        roll_back(&journal, world(&things, person.clone()), &Rollback::default(), None).await.unwrap();
    assert!(
        matches!(&ending, Ending::RolledBack { broke: None, changes } if left(changes).is_empty()),
        "{ending:?}"
    );
    assert_eq!(unputs(&things), BACK);
    assert_eq!(things.lock().values.get("b").map(String::as_str), Some("before"));
    let shown: Vec<String> =
        person.asked.lock().unwrap().iter().map(|gate| gate.items[0].commands.concat()).collect();
    assert_eq!(
        shown,
        ["put c back to nothing", "put y back to nothing", "put x back to nothing", "put b back to before"]
    );

    let again =
        roll_back(&journal, world(&things, Scripted::yes()), &Rollback::default(), None).await.unwrap();
    assert!(matches!(again, Ending::RolledBack { .. }));
    let resumed = resume(&journal, world(&things, Scripted::yes())).await.unwrap();
    assert!(
        matches!(resumed, Ending::RolledBack { .. }),
        "a run that was taken back does not go on: {resumed:?}"
    );
    assert_eq!(unputs(&things), BACK);
}

#[tokio::test]
async fn killed_at_every_entry_it_is_taken_back_once() {
    let mut deaths = 0;
    for dies_after in 0.. {
        let things = Shared::default();
        let journal = done(&things).await;
        let asked = Rollback::default();
        let died = roll_back(&journal, world(&things, Scripted::yes()), &asked, Some(dies_after)).await;
        if died.is_ok() {
            break;
        }
        deaths += 1;
        let began = |journal: &Dying| {
            let disk = journal.disk.lock().unwrap();
            disk.iter().any(|record| matches!(record.entry, Entry::RollbackBegan { .. }))
        };
        let world = world(&things, Scripted::yes());
        let ending = match began(&journal) {
            true => resume(&journal, world).await.unwrap(),
            false => roll_back(&journal, world, &asked, None).await.unwrap(),
        };
        assert!(matches!(ending, Ending::RolledBack { .. }), "killed after {dies_after}: {ending:?}");
        assert_eq!(unputs(&things), BACK, "killed after {dies_after}");
    }
    assert!(deaths > 20, "a gate, an intent and an end for each of four: {deaths}");
}

#[tokio::test]
async fn half_way_it_is_stuck_and_says_what_is_left() {
    let things = Shared::default();
    let journal = done(&things).await;
    things.lock().breaks.push(("undo x".to_owned(), StepErrorKind::Failed));
    let ending =
        roll_back(&journal, world(&things, Scripted::yes()), &Rollback::default(), None).await.unwrap();
    let Ending::Stuck { node, why, changes } = ending else { panic!("{ending:?}") };
    assert_eq!((node.as_str(), why.as_str()), ("many", "undo x broke as told"));
    assert_eq!(left(&changes), ["many", "one"]);
    let ending =
        roll_back(&journal, world(&things, Scripted::yes()), &Rollback::default(), None).await.unwrap();
    assert!(matches!(ending, Ending::RolledBack { .. }));
    assert_eq!(unputs(&things), BACK);
}

#[tokio::test]
async fn a_change_that_cannot_be_taken_back_stops_it_unless_it_is_left() {
    let things = Shared::default();
    let mut nodes = nodes();
    nodes.insert(2, node("burn", "burn", json!({"thing": "z"}), "*>two"));
    nodes[1] = node("many", "put", json!({"thing": "x", "value": "v"}), "*>burn");
    let (_, journal) = walk(started(nodes.clone(), vec![]), world(&things, Scripted::yes())).await;
    let asked = Rollback::default();
    let ending = roll_back(&journal, world(&things, Scripted::yes()), &asked, None).await.unwrap();
    let Ending::Stuck { node, changes, .. } = ending else { panic!("{ending:?}") };
    assert_eq!((node.as_str(), left(&changes)), ("burn", vec!["burn", "many", "one"]));
    assert!(changes.iter().any(|change| change.irreversible && change.node == "burn"));
    assert_eq!(unputs(&things), ["unput c"]);
    let asked = Rollback { leave: ["burn".to_owned()].into(), ..Rollback::default() };
    let ending = roll_back(&journal, world(&things, Scripted::yes()), &asked, None).await.unwrap();
    let Ending::RolledBack { changes, .. } = ending else { panic!("{ending:?}") };
    assert!(changes.iter().any(|change| matches!(&change.undone, Some(Ok(Undone::Left(by))) if by == "ben")));
    assert_eq!(unputs(&things), ["unput c", "unput x", "unput b"]);

    // What did not happen, for it was not allowed, stands in nobody's way.
    let things = Shared::default();
    things.set("refuse z", "yes");
    let (_, journal) = walk(started(nodes, vec![]), world(&things, Scripted::yes())).await;
    let ending =
        roll_back(&journal, world(&things, Scripted::yes()), &Rollback::default(), None).await.unwrap();
    assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
}

#[tokio::test]
async fn only_back_to_a_node() {
    let things = Shared::default();
    let journal = done(&things).await;
    let asked = Rollback { to: Some(2), ..Rollback::default() };
    let ending = roll_back(&journal, world(&things, Scripted::yes()), &asked, None).await.unwrap();
    assert!(matches!(&ending, Ending::RolledBack { changes, .. } if left(changes) == ["one"]), "{ending:?}");
    assert_eq!(unputs(&things), &BACK[..3]);
    let rest =
        roll_back(&journal, world(&things, Scripted::yes()), &Rollback::default(), None).await.unwrap();
    assert!(matches!(&rest, Ending::RolledBack { changes, .. } if left(changes).is_empty()));
    assert_eq!(unputs(&things), BACK);
}

#[tokio::test]
async fn nobody_parks_no_is_no_and_drift_is_shown_anew() {
    let things = Shared::default();
    let journal = done(&things).await;
    let asked = Rollback::default();
    let nobody = Scripted::with(vec![None], false);
    let ending = roll_back(&journal, world(&things, nobody), &asked, None).await.unwrap();
    assert_eq!(ending, Ending::Parked { node: "two".to_owned() });
    let no = Scripted::with(vec![Some(false)], false);
    let ending = resume(&journal, world(&things, no)).await.unwrap();
    assert!(matches!(&ending, Ending::Stuck { node, .. } if node == "two"), "{ending:?}");
    assert_eq!(unputs(&things), Vec::<String>::new());
    // While the person looks, somebody else gives it another value: it is no longer ours to take back.
    let person = Scripted::yes();
    let meanwhile = things.clone();
    *person.meanwhile.lock().unwrap() = Some(Box::new(move || meanwhile.set("c", "somebody else's")));
    let ending = resume(&journal, world(&things, person)).await.unwrap();
    assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
    assert_eq!(unputs(&things), &BACK[1..]);
    assert_eq!(things.lock().values.get("c").map(String::as_str), Some("somebody else's"));
}

#[tokio::test]
async fn a_failed_visit_whose_change_was_made_is_taken_back_too() {
    let unwinding = |step: &mut engine::plan::StepNode| step.on_failure = OnFailure::Unwind;
    for (happened, back) in [(true, &["unput c", "unput b"][..]), (false, &["unput b"][..])] {
        let things = Shared::default();
        things.set("blind", "yes");
        let nodes = vec![
            node("one", "put", json!({"thing": "b", "value": "1"}), "*>two"),
            but(node("two", "put", json!({"thing": "c", "value": "2"}), "*>ok"), unwinding),
            end("ok", EndKind::Resolved),
        ];
        let when = if happened { "after c" } else { "before c" };
        things.lock().breaks.push((when.to_owned(), StepErrorKind::InDoubt));
        let person = Scripted::yes();
        let (ending, journal) = walk(started(nodes, vec![]), world(&things, person.clone())).await;
        let Ending::RolledBack { broke: Some((node, _)), .. } = &ending else { panic!("{ending:?}") };
        assert_eq!((node.as_str(), unputs(&things)), ("two", back.iter().map(ToString::to_string).collect()));
        let doubt = "whether the change happened at all is not known".to_owned();
        let told = person.asked.lock().unwrap().iter().any(|gate| gate.items[0].notes.contains(&doubt));
        assert_eq!(told, happened, "{happened}");
        let again = resume(&journal, world(&things, Scripted::yes())).await.unwrap();
        assert!(matches!(again, Ending::RolledBack { .. }));
    }
}

#[tokio::test]
async fn an_undo_that_nobody_can_look_up_is_never_repeated_blindly() {
    for (answer, times) in [("done", 1), ("not_done", 2)] {
        let things = Shared::default();
        let nodes = vec![
            node("two", "put", json!({"thing": "c", "value": "2"}), "*>ok"),
            end("ok", EndKind::Resolved),
        ];
        let (_, journal) = walk(started(nodes, vec![]), world(&things, Scripted::yes())).await;
        things.set("blind undo", "yes");
        // Began, gate, answer, intent; then it is killed while it acts.
        let asked = Rollback::default();
        let died = roll_back(&journal, world(&things, Scripted::yes()), &asked, Some(5)).await;
        assert!(died.is_err());
        assert_eq!(unputs(&things), ["unput c"], "it was killed after the act");
        let nobody = resume(&journal, world(&things, Scripted::yes())).await.unwrap();
        assert_eq!(nobody, Ending::Parked { node: "two".to_owned() });
        let person = Scripted::yes();
        person.choices.lock().unwrap().push(answer.to_owned());
        let ending = resume(&journal, world(&things, person)).await.unwrap();
        assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
        assert_eq!(unputs(&things).len(), times, "{answer}");
    }
}

#[tokio::test]
async fn the_runbooks_own_undo_step_is_previewed_announced_and_confirmed() {
    let own = |step: &mut engine::plan::StepNode| {
        let with = json!({"thing": "c", "value": "as it was"});
        step.undo = Undo::Step { kind: "put".to_owned(), with };
    };
    let nodes = || {
        vec![
            but(node("two", "put", json!({"thing": "c", "value": "2"}), "*>ok"), own),
            end("ok", EndKind::Resolved),
        ]
    };
    let mut deaths = 0;
    for dies_after in 0.. {
        let things = Shared::default();
        let (_, journal) = walk(started(nodes(), vec![]), world(&things, Scripted::yes())).await;
        let person = Scripted::yes();
        let asked = Rollback::default();
        let first = roll_back(&journal, world(&things, person.clone()), &asked, Some(dies_after)).await;
        let over = first.is_ok();
        let ending = match first {
            Ok(ending) => ending,
            Err(_) => roll_back(&journal, world(&things, Scripted::yes()), &asked, None).await.unwrap(),
        };
        assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
        assert_eq!(things.lock().acts, ["put c 2", "put c as it was"], "killed after {dies_after}");
        if over {
            assert_eq!(person.asked.lock().unwrap()[0].items[0].commands, ["put c as it was"]);
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 5, "{deaths}");
}

#[tokio::test]
async fn a_dry_rollback_shows_everything_and_does_nothing() {
    let things = Shared::default();
    let journal = done(&things).await;
    let records = journal.disk.lock().unwrap().clone();
    let (acts, entries) = (things.lock().acts.len(), records.len());
    let world = world(&things, Scripted::with(vec![], false));
    let walker = engine::walk::Walker::look(Dying::default(), &records, world).unwrap();
    let shown = walker.undoable(&Rollback::default()).await;
    let commands: Vec<String> = shown
        .iter()
        .map(|(_, undoable)| match undoable {
            engine::walk::Undoable::Would(item) => item.commands.concat(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(commands[0], "put c back to nothing");
    assert_eq!(commands.len(), 4);
    assert_eq!((things.lock().acts.len(), journal.disk.lock().unwrap().len()), (acts, entries));
}
