//! What the changes of all runs together may use up in a time, as the site's administrators say.

mod ledger;
mod port;
mod weigh;

pub use ledger::DirBudget;
pub use port::{Amounts, Budget, BudgetError, Limit, Limits, Measure, NoBudget, Spending, Used};
pub use weigh::weigh;
