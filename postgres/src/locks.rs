//! Which run acts on what, as rows with fencing numbers.
//!
//! A row names the session that holds it. A session lives as long as the server holds its advisory lock; a holder that was
//! stopped or cut off for good is taken over by name, and what it does then is refused by the number it no longer has.

use std::sync::Arc;

use engine::lock::{Claim, Held, Lease, LockError, Locks, Taken};
use engine::run::RunId;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::error::Fault;
use crate::session::{LIVING, Session, gone, whole};

/// The locks of all runs of a team.
pub(crate) struct DatabaseLocks {
    session: Arc<Session>,
    place: String,
}

/// What a row says.
struct Row {
    fence: i64,
    session: Option<i64>,
    claim: Option<Claim>,
}

impl Row {
    fn read(row: &tokio_postgres::Row) -> Self {
        let claim: Option<&str> = row.get(2);
        Self {
            fence: row.get(0),
            session: row.get(1),
            claim: claim.and_then(|text| serde_json::from_str(text).ok()),
        }
    }

    /// Who has it, or had it last. What cannot be read was written by somebody else's program: nobody is named, and it
    /// is held all the same.
    fn held(self, target: &str) -> Held {
        let claim = self.claim.unwrap_or_else(|| unreadable(target));
        Held { claim, fence: self.fence.cast_unsigned() }
    }
}

fn unreadable(target: &str) -> Claim {
    Claim {
        target: target.to_owned(),
        run: RunId::new(jiff::Timestamp::UNIX_EPOCH, 0),
        account: "?".to_owned(),
        host: "?".to_owned(),
        pid: 0,
        since: jiff::Timestamp::UNIX_EPOCH,
    }
}

/// What came of it inside the transaction.
enum Came {
    Ours { fence: i64, before: Option<Claim>, lost: bool },
    Taken(Row),
}

async fn take(client: &Client, key: i64, claim: &Claim, from: Option<&RunId>) -> Result<Came, Fault> {
    let target = claim.target.as_str();
    whole(client, async {
        let sql = "INSERT INTO runbook.locks (target, fence) VALUES ($1, 0) ON CONFLICT DO NOTHING";
        client.query_typed(sql, &[(&target, Type::TEXT)]).await?;
        let sql = "SELECT fence, session, claim FROM runbook.locks WHERE target = $1 FOR UPDATE";
        let row = Row::read(&client.query_typed_one(sql, &[(&target, Type::TEXT)]).await?);
        if let Some(session) = row.session {
            let named = from.is_some() && row.claim.as_ref().map(|claim| &claim.run) == from;
            if !named && (session == key || !gone(client, session).await?) {
                return Ok(Came::Taken(row));
            }
        }
        let text = serde_json::to_string(claim).unwrap_or_default();
        let sql = "UPDATE runbook.locks SET fence = fence + 1, session = $2, claim = $3 WHERE target = $1
            RETURNING fence";
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
            [(&target, Type::TEXT), (&key, Type::INT8), (&text, Type::TEXT)];
        let fence = client.query_typed_one(sql, &params).await?.get(0);
        Ok(Came::Ours { fence, before: row.claim, lost: row.session.is_some() })
    })
    .await
}

impl DatabaseLocks {
    pub(crate) fn new(session: Arc<Session>, place: String) -> Self {
        Self { session, place }
    }

    fn take_from(&self, claim: &Claim, from: Option<&RunId>) -> Result<Taken, LockError> {
        let key = self.session.key;
        let (wanted, named) = (claim.clone(), from.cloned());
        let came =
            self.session.once(|client| async move { take(&client, key, &wanted, named.as_ref()).await });
        let target = claim.target.clone();
        match came.map_err(|fault| broken("take", &target, &self.place, &fault))? {
            Came::Taken(row) => Err(LockError::Taken(Box::new(row.held(&target)))),
            Came::Ours { fence, before, lost } => {
                let (session, place) = (Arc::clone(&self.session), self.place.clone());
                Ok(Taken { lease: Box::new(DatabaseLease { session, place, target, fence }), before, lost })
            }
        }
    }
}

fn broken(action: &'static str, target: &str, place: &str, fault: &Fault) -> LockError {
    LockError::Broken { action, target: target.to_owned(), why: format!("{place}: {fault}") }
}

impl Locks for DatabaseLocks {
    fn take(&self, claim: &Claim) -> Result<Taken, LockError> {
        self.take_from(claim, None)
    }

    fn take_over(&self, claim: &Claim, from: &RunId) -> Result<Taken, LockError> {
        self.take_from(claim, Some(from))
    }

    fn held(&self) -> Result<Vec<Held>, LockError> {
        let rows = self.session.again(|client| async move {
            let sql = format!(
                "SELECT fence, session, claim, target FROM runbook.locks
                WHERE session IN (SELECT session FROM {LIVING}) ORDER BY target COLLATE \"C\""
            );
            let rows = client.query_typed(&sql, &[]).await?;
            Ok(rows.iter().map(|row| (row.get::<_, String>(3), Row::read(row))).collect::<Vec<_>>())
        });
        let rows = rows.map_err(|fault| broken("list", "all targets", &self.place, &fault))?;
        Ok(rows.into_iter().map(|(target, row)| row.held(&target)).collect())
    }
}

/// A lock that this process holds.
struct DatabaseLease {
    session: Arc<Session>,
    place: String,
    target: String,
    fence: i64,
}

impl Lease for DatabaseLease {
    fn fence(&self) -> u64 {
        self.fence.cast_unsigned()
    }

    fn check(&self) -> Result<(), LockError> {
        let target = self.target.clone();
        // On the session that has the advisory lock: an answer shows that it lives.
        let row = self.session.again(move |client| {
            let target = target.clone();
            async move {
                let sql = "SELECT fence, session, claim FROM runbook.locks WHERE target = $1";
                Ok(Row::read(&client.query_typed_one(sql, &[(&target, Type::TEXT)]).await?))
            }
        });
        let row = row.map_err(|fault| broken("look at", &self.target, &self.place, &fault))?;
        if row.fence == self.fence && row.session == Some(self.session.key) {
            return Ok(());
        }
        Err(LockError::Fenced(Box::new(row.held(&self.target))))
    }
}

impl Drop for DatabaseLease {
    fn drop(&mut self) {
        let (target, fence, key) = (self.target.clone(), self.fence, self.session.key);
        self.session.if_connected(|client| async move {
            let sql =
                "UPDATE runbook.locks SET session = NULL WHERE target = $1 AND fence = $2 AND session = $3";
            let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
                [(&target, Type::TEXT), (&fence, Type::INT8), (&key, Type::INT8)];
            client.query_typed(sql, &params).await?;
            Ok(())
        });
    }
}
