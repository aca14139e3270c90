//! What the changes of all runs together may use up, as rows under one lock.

use std::sync::Arc;

use engine::budget::{Budget, BudgetError, Limits, Spending, weigh};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::error::Fault;
use crate::session::{Session, whole};

/// Held while a spending is weighed and written down: two do not fit into the same room.
const WEIGHING: i64 = 0x0062_7564_6765_7400;

/// The budget of a team.
pub(crate) struct DatabaseBudget {
    session: Arc<Session>,
    place: String,
    limits: Limits,
}

impl DatabaseBudget {
    pub(crate) fn new(session: Arc<Session>, place: String, limits: Limits) -> Self {
        Self { session, place, limits }
    }
}

/// What was spent and may still count, in the order in which it was.
async fn spent(client: &Client, limits: &Limits) -> Result<Result<Vec<Spending>, String>, Fault> {
    let longest = limits.values().map(|limit| limit.per).max().unwrap_or_default();
    // A day more, because the clocks of hosts and of the server differ.
    let seconds = longest.as_secs_f64() + 86_400.0;
    let sql = "SELECT id, spending, account FROM runbook.spendings
        WHERE at > clock_timestamp() - make_interval(secs => $1) ORDER BY id";
    let rows = client.query_typed(sql, &[(&seconds, Type::FLOAT8)]).await?;
    let read = |row: &tokio_postgres::Row| {
        let spending: Spending = serde_json::from_str(row.get(1))
            .map_err(|error| format!("spending {}: {error}", row.get::<_, i64>(0)))?;
        Ok(Spending { account: row.get(2), ..spending })
    };
    Ok(rows.iter().map(read).collect())
}

async fn spend(client: &Client, limits: &Limits, new: &Spending) -> Result<Result<(), BudgetError>, Fault> {
    whole(client, async {
        client.query_typed("SELECT pg_catalog.pg_advisory_xact_lock($1)", &[(&WEIGHING, Type::INT8)]).await?;
        let spent = match spent(client, limits).await? {
            Ok(spent) => spent,
            Err(why) => return Ok(Err(BudgetError::Broken(why))),
        };
        if let Err(error) = weigh(limits, &spent, new) {
            return Ok(Err(error));
        }
        let text = serde_json::to_string(new).unwrap_or_default();
        let sql = "INSERT INTO runbook.spendings (spending) VALUES ($1)";
        client.query_typed(sql, &[(&text, Type::TEXT)]).await?;
        Ok(Ok(()))
    })
    .await
}

impl Budget for DatabaseBudget {
    fn spend(&self, spending: &Spending) -> Result<(), BudgetError> {
        if !spending.amounts.keys().any(|measure| self.limits.contains_key(measure)) {
            return Ok(());
        }
        // Counted once however often it is written down: the same change replaces itself.
        let weighed = self.session.again(|client| {
            let (limits, spending) = (self.limits.clone(), spending.clone());
            async move { spend(&client, &limits, &spending).await }
        });
        weighed.unwrap_or_else(|fault| Err(BudgetError::Broken(format!("{}: {fault}", self.place))))
    }
}
