//! The budget of all runs.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::subject::{Subject, now, run};
use crate::budget::{BudgetError, Limit, Limits, Measure, Spending};

fn drain(number: i64, visit: u64, nodes: Option<f64>) -> Spending {
    Spending {
        run: run(number),
        visit,
        item: None,
        account: "ada".to_owned(),
        at: now(),
        amounts: [(Measure::NodesDrained, nodes)].into(),
    }
}

/// Everything about budgets. Wants a place where nothing was spent.
pub fn budgets(subject: &impl Subject) {
    let limits: Limits =
        [(Measure::NodesDrained, Limit { most: 10.0, per: Duration::from_secs(3600) })].into();
    let (here, there) = (subject.store(), subject.store());
    let (one, other) = (here.budget(limits.clone()), there.budget(limits.clone()));
    one.spend(&drain(60, 1, Some(4.0))).unwrap();
    other.spend(&drain(60, 1, Some(4.0))).expect("the same change, tried again, counts once");
    other.spend(&drain(60, 2, Some(1.0))).unwrap();
    let Err(BudgetError::Exceeded { used, .. }) = other.spend(&drain(61, 1, Some(6.0))) else {
        panic!("what one handle spent, the other knows")
    };
    assert_eq!((used[0].run.clone(), used[0].amount), (run(60), 5.0));
    assert!(matches!(one.spend(&drain(61, 1, None)), Err(BudgetError::Unknown(_))), "unknown is not zero");
    there.budget(Limits::new()).spend(&drain(62, 1, Some(1000.0))).expect("what has no limit is not counted");

    let through = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for number in 0..12 {
            let (budget, through) = ([&one, &other][number % 2], &through);
            let spending = drain(63 + i64::try_from(number).unwrap(), 1, Some(1.0));
            scope.spawn(move || match budget.spend(&spending) {
                Ok(()) => drop(through.fetch_add(1, Ordering::Relaxed)),
                Err(BudgetError::Exceeded { .. }) => {}
                Err(error) => panic!("{error}"),
            });
        }
    });
    assert_eq!(through.into_inner(), 5, "of many at once only as many get through as there is room for");
}
