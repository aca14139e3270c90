//! Whether there is room for a change. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{BudgetError, Limits, Spending, Used};

/// Whether there is room for a change after what was spent, in the order in which it was. An earlier spending for the same
/// change is replaced by this one.
///
/// # Errors
/// The first limit in the way.
pub fn weigh(limits: &Limits, spent: &[Spending], new: &Spending) -> Result<(), BudgetError> {
    for (measure, limit) in limits {
        let Some(wanted) = new.amounts.get(measure) else { continue };
        let Some(wanted) = wanted.filter(|wanted| wanted.is_finite() && *wanted >= 0.0) else {
            return Err(BudgetError::Unknown(*measure));
        };
        if wanted == 0.0 {
            continue;
        }
        // When a spending no longer counts. A clock that is ahead makes one count longer, never shorter.
        let until = |spending: &Spending| later(spending.at, limit.per);
        let mut inside: Vec<(&Spending, f64)> = spent
            .iter()
            .enumerate()
            .filter(|(at, spending)| {
                !spending.same(new)
                    && until(spending) > new.at
                    && !spent[at + 1..].iter().any(|later| later.same(spending))
            })
            .filter_map(|(_, spending)| Some((spending, (*spending.amounts.get(measure)?)?)))
            .collect();
        inside.sort_by_key(|(spending, _)| spending.at);
        let mut total: f64 = inside.iter().map(|(_, amount)| amount).sum();
        if total + wanted <= limit.most {
            continue;
        }
        let used = by_run(&inside);
        let again = inside.iter().find_map(|(spending, amount)| {
            total -= amount;
            (total + wanted <= limit.most).then(|| until(spending))
        });
        let (measure, limit) = (*measure, *limit);
        return Err(BudgetError::Exceeded { measure, limit, wanted, used, again });
    }
    Ok(())
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

/// Whoever used most comes first.
fn by_run(inside: &[(&Spending, f64)]) -> Vec<Used> {
    let mut used: Vec<Used> = Vec::new();
    for (spending, amount) in inside.iter().filter(|(_, amount)| *amount > 0.0) {
        match used.iter_mut().find(|used| used.run == spending.run) {
            Some(used) => used.amount += amount,
            None => used.push(Used {
                run: spending.run.clone(),
                account: spending.account.clone(),
                amount: *amount,
            }),
        }
    }
    used.sort_by(|one, other| other.amount.total_cmp(&one.amount));
    used
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::budget::{Limit, Measure};
    use crate::run::RunId;

    const HOUR: Duration = Duration::from_secs(3600);

    fn limits(most: f64) -> Limits {
        [(Measure::NodesDrained, Limit { most, per: HOUR })].into()
    }

    fn drain(run: &str, visit: u64, minute: i64, nodes: Option<f64>) -> Spending {
        Spending {
            run: RunId::parse(run).unwrap(),
            visit,
            item: None,
            account: "ada".to_owned(),
            at: Timestamp::from_second(1_800_000_000 + minute * 60).unwrap(),
            amounts: [(Measure::NodesDrained, nodes)].into(),
        }
    }

    #[test]
    fn who_used_it_and_when_there_is_room_is_said() {
        let spent = [
            drain("a", 1, 0, Some(1.0)),
            drain("b", 1, 10, Some(2.0)),
            drain("a", 2, 20, Some(1.0)),
            drain("c", 1, -90, Some(4.0)),
        ];
        let error = weigh(&limits(4.0), &spent, &drain("d", 1, 30, Some(2.0))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the site allows nodes_drained of 4 per 1h, of which 4 are used (2 by run a of ada, 2 by run b of ada); \
             this change takes 2: there is room again at 2027-01-15 09:10:00Z"
        );
        let BudgetError::Exceeded { again: Some(again), .. } = error else { panic!("{error}") };
        weigh(&limits(4.0), &spent, &Spending { at: again, ..drain("d", 1, 0, Some(2.0)) }).unwrap();
        let never = weigh(&limits(4.0), &[], &drain("d", 1, 0, Some(5.0))).unwrap_err();
        assert!(never.to_string().ends_with("there is never room for so much at once"), "{never}");
    }

    #[test]
    fn what_is_tried_again_counts_once_and_what_is_unknown_does_not_pass() {
        let spent = [drain("a", 1, 0, Some(4.0))];
        weigh(&limits(4.0), &spent, &drain("a", 1, 1, Some(4.0))).unwrap();
        weigh(&limits(4.0), &spent, &drain("a", 2, 1, Some(0.0))).unwrap();
        assert!(weigh(&limits(4.0), &spent, &drain("a", 2, 1, Some(1.0))).is_err());
        for unknown in [None, Some(f64::NAN), Some(-1.0)] {
            let error = weigh(&limits(4.0), &[], &drain("a", 1, 0, unknown)).unwrap_err();
            assert_eq!(error, BudgetError::Unknown(Measure::NodesDrained));
        }
        weigh(&Limits::new(), &[], &drain("a", 1, 0, None)).unwrap();
    }

    proptest! {
        #[test]
        fn in_no_span_is_more_used_than_there_may_be(
            tries in prop::collection::vec((0..4u64, 0..300i64, 0..4u8), 1..60), most in 1..8u8
        ) {
            let mut tries = tries;
            tries.sort_by_key(|(_, minute, _)| *minute);
            let mut spent: Vec<Spending> = Vec::new();
            for (at, (run, minute, nodes)) in tries.into_iter().enumerate() {
                let new = drain(&format!("r{run}"), at as u64, minute, Some(f64::from(nodes)));
                match weigh(&limits(f64::from(most)), &spent, &new) {
                    Ok(()) => spent.push(new),
                    Err(BudgetError::Exceeded { again: Some(again), .. }) => {
                        prop_assert!(again > new.at);
                        let then = Spending { at: again, ..new.clone() };
                        prop_assert!(weigh(&limits(f64::from(most)), &spent, &then).is_ok());
                    }
                    Err(BudgetError::Exceeded { again: None, wanted, .. }) => prop_assert!(wanted > f64::from(most)),
                    Err(error) => prop_assert!(false, "{error}"),
                }
            }
            for first in &spent {
                let inside = spent.iter().filter(|one| one.at >= first.at && later(first.at, HOUR) > one.at);
                let total: f64 = inside.filter_map(|one| one.amounts[&Measure::NodesDrained]).sum();
                prop_assert!(total <= f64::from(most));
            }
        }
    }
}
