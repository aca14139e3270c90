//! The site's budget is asked right before a change is announced, and what it refuses is not made.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::budget::{Budget, BudgetError, DirBudget, Limit, Limits, Measure, Spending};
use engine::plan::{EndKind, Node};
use engine::run::Entry;
use engine::walk::{Ending, Rollback, World};
use serde_json::json;

use crate::kit::*;

/// Two changes, each of which stops a job.
fn nodes() -> Vec<Node> {
    vec![
        node("one", "put", json!({"thing": "a", "value": "2"}), "*>two"),
        node("two", "put", json!({"thing": "b", "value": "2"}), "*>ok"),
        end("ok", EndKind::Resolved),
    ]
}

fn jobs(most: f64) -> Limits {
    [(Measure::JobsStopped, Limit { most, per: Duration::from_secs(3600) })].into()
}

#[tokio::test]
async fn what_there_is_no_room_for_is_neither_announced_nor_made() {
    let (things, root) = (Shared::default(), tempfile::tempdir().unwrap());
    let under = |most| World {
        budget: Arc::new(DirBudget::new(root.path(), jobs(most))),
        ..world(&things, Scripted::yes())
    };
    let (ending, journal) = walk(started(nodes(), vec![]), under(1.0)).await;
    let Ending::Held { node, why, help } = &ending else { panic!("{ending:?}") };
    assert!(node == "two" && why.contains("jobs_stopped of 1 per 1h, of which 1 are used"), "{ending:?}");
    assert!(help.as_ref().is_some_and(|help| help.contains("wait until there is room")));
    assert_eq!(things.lock().acts, ["put a 2"]);
    let intended = |journal: &Dying| {
        journal.disk.lock().unwrap().iter().filter(|one| matches!(one.entry, Entry::Intended { .. })).count()
    };
    assert_eq!(intended(&journal), 1);

    let ending = resume(&journal, under(1.0)).await.unwrap();
    assert!(matches!(ending, Ending::Held { .. }), "{ending:?}");
    let ending = resume(&journal, under(2.0)).await.unwrap();
    assert!(matches!(ending, Ending::Ended { .. }), "{ending:?}");
    assert_eq!(things.lock().acts, ["put a 2", "put b 2"]);
}

/// Keeps what it is asked.
#[derive(Default)]
struct Asked(Mutex<Vec<Spending>>);

impl Budget for Asked {
    fn spend(&self, spending: &Spending) -> Result<(), BudgetError> {
        self.0.lock().unwrap().push(spending.clone());
        Err(BudgetError::Broken("the disk is gone".to_owned()))
    }
}

#[tokio::test]
async fn a_change_that_is_tried_again_is_the_same_spending_and_a_broken_budget_closes() {
    let (things, asked) = (Shared::default(), Arc::new(Asked::default()));
    let here = || World { budget: Arc::clone(&asked) as _, ..world(&things, Scripted::yes()) };
    let started = started(nodes(), vec![]);
    let run = started.run.clone();
    let (ending, journal) = walk(started, here()).await;
    assert!(matches!(&ending, Ending::Held { why, .. } if why.contains("the disk is gone")), "{ending:?}");
    let _ = resume(&journal, here()).await.unwrap();
    let asked = asked.0.lock().unwrap();
    let [first, again] = &asked[..] else { panic!("{asked:?}") };
    assert!(first.same(again) && (&first.run, first.visit, first.item) == (&run, 1, None), "{asked:?}");
    assert_eq!(first.amounts[&Measure::JobsStopped], Some(1.0));
    assert!(things.lock().acts.is_empty());
}

#[tokio::test]
async fn taking_a_change_back_uses_it_up_too() {
    let (things, root) = (Shared::default(), tempfile::tempdir().unwrap());
    let under = |most| World {
        budget: Arc::new(DirBudget::new(root.path(), jobs(most))),
        ..world(&things, Scripted::yes())
    };
    let (_, journal) = walk(started(nodes(), vec![]), under(2.0)).await;
    let asked = Rollback::default();
    let ending = roll_back(&journal, under(3.0), &asked, None).await.unwrap();
    let Ending::Stuck { node, why, .. } = &ending else { panic!("{ending:?}") };
    assert!(node == "one" && why.contains("jobs_stopped of 3 per 1h, of which 3 are used"), "{ending:?}");
    assert_eq!(things.lock().acts, ["put a 2", "put b 2", "unput b"]);
    let ending = roll_back(&journal, under(4.0), &asked, None).await.unwrap();
    assert!(matches!(ending, Ending::RolledBack { .. }), "{ending:?}");
}
