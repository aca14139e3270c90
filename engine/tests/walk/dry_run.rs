//! A dry run changes nothing, and the path that a real run takes is among those it showed.

use engine::dry_run::{How, Shown, dry_run};
use engine::plan::{EndKind, Node};
use engine::walk::Ending;
use proptest::prelude::*;
use serde_json::json;

use crate::kit::*;

/// Looks, acts by what it found, looks again whether it helped, and tries the next thing.
fn nodes() -> Vec<Node> {
    vec![
        node("look", "probe", json!({"thing": "a"}), "good>ok bad>first unknown>second"),
        node(
            "first",
            "put",
            json!({"thing": "b", "value": "{{ look.value }}"}),
            "done>verify unchanged>second refused>bad",
        ),
        but(node("second", "put", json!({"thing": "c", "value": "{{ vars.n }}"}), "*>verify"), |step| {
            step.set = vec![("n".to_owned(), json!("{{ output.after }}x"))];
        }),
        but(node("verify", "probe", json!({"thing": "d"}), "good>choose *>second"), |step| {
            step.max_visits = Some(3)
        }),
        node(
            "choose",
            "pick",
            json!({"yes": "{{ verify.value == 'fine' }}", "no": "{{ verify.value != 'fine' }}"}),
            "yes>ok *>bad",
        ),
        end("ok", EndKind::Resolved),
        end("bad", EndKind::Escalated),
    ]
}

fn vars() -> Vec<(String, serde_json::Value)> {
    vec![("n".to_owned(), json!("1"))]
}

/// Whether the tree has this path. Where it refers back, it goes on there.
fn has_path(root: &Shown, at: &Shown, path: &[String]) -> bool {
    let at = match at.how {
        How::Again { number } => find(root, number).expect("refers to a number in the tree"),
        _ => at,
    };
    let Some((first, rest)) = path.split_first() else { return true };
    match first.split_once(':') {
        None if first.ends_with('!') => at.how == How::TooOften || at.node == first.trim_end_matches('!'),
        None => at.node == *first && rest.is_empty(),
        Some((node, outcome)) => {
            at.node == node
                && at
                    .branches
                    .iter()
                    .any(|branch| branch.outcome == outcome && has_path(root, &branch.then, rest))
        }
    }
}

fn find(at: &Shown, number: usize) -> Option<&Shown> {
    if at.number == number {
        return Some(at);
    }
    at.branches.iter().find_map(|branch| find(&branch.then, number))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn the_real_path_was_shown(
        a in prop::option::of(prop::sample::select(vec!["good", "bad"])),
        b in prop::option::of(prop::sample::select(vec!["bad", "other"])),
        c in prop::option::of(prop::sample::select(vec!["1", "2"])),
        d in prop::option::of(prop::sample::select(vec!["fine", "bad", "other"])),
        refuse in any::<bool>(),
    ) {
        let things = Shared::default();
        for (name, value) in [("a", a), ("b", b), ("c", c), ("d", d)] {
            if let Some(value) = value {
                things.set(name, value);
            }
        }
        if refuse {
            things.set("refuse b", "yes");
        }
        let before = things.lock().values.clone();
        let shown = runtime().block_on(dry_run(started(nodes(), vars()), &world(&things, Scripted::with(vec![], false)))).unwrap();
        prop_assert!(shown.complete);
        prop_assert_eq!(&things.lock().values, &before);
        prop_assert!(things.lock().acts.is_empty());
        let (ending, journal) = runtime().block_on(walk(started(nodes(), vars()), world(&things, Scripted::yes())));
        let _: Ending = ending;
        let path = trail(&journal);
        prop_assert!(has_path(&shown.first, &shown.first, &path), "{:?} is not in {:#?}", path, shown.first);
    }
}

#[tokio::test]
async fn reads_before_any_change_are_certain_and_open_ones_fork() {
    let things = Shared::default();
    things.set("a", "bad");
    let shown = dry_run(started(nodes(), vars()), &world(&things, Scripted::yes())).await.unwrap();
    let outcomes = |at: &Shown| at.branches.iter().map(|branch| branch.outcome.clone()).collect::<Vec<_>>();
    assert_eq!(outcomes(&shown.first), ["bad"]);
    let first = &shown.first.branches[0].then;
    assert!(matches!(first.how, How::Change { gated: true, .. }));
    assert_eq!(outcomes(first), ["done", "unchanged", "refused"]);
    let verify = &first.branches[0].then;
    assert_eq!(verify.how, How::ReadTooEarly);
    assert_eq!(outcomes(verify).len(), 3);
}
