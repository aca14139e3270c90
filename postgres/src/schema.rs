//! The tables: made and brought up to date by hand, never in passing.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::address::Address;
use crate::error::{DatabaseError, Fault};
use crate::runner::Runner;
use crate::session::{Connector, whole};

/// What leads from each version to the next.
const STEPS: [&str; 1] = [include_str!("schema/1.sql")];

/// The version that this program knows.
const VERSION: i32 = STEPS.len() as i32;

/// Held while tables are made, so that two who do that wait for each other.
const MAKING: i64 = 0x0072_756e_626f_6f6b;

/// What operators may do. Entries and answers can be added, and of those only what nobody else attests.
const GRANTS: [&str; 7] = [
    "GRANT USAGE ON SCHEMA runbook TO",
    "GRANT SELECT ON ALL TABLES IN SCHEMA runbook TO",
    "GRANT INSERT (run, epoch, session, holder), UPDATE (epoch, session, holder, summary) ON runbook.runs TO",
    "GRANT INSERT (run, seq, epoch, line) ON runbook.entries TO",
    "GRANT INSERT (run, reply) ON runbook.replies TO",
    "GRANT INSERT (spending) ON runbook.spendings TO",
    "GRANT INSERT (target, fence), UPDATE (fence, session, claim) ON runbook.locks TO",
];

/// What [`prepare`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Where, for people.
    pub place: String,
    /// The version of the tables before; 0 if there were none.
    pub before: i32,
    /// Their version now.
    pub now: i32,
    /// What makes entries less lasting than they should be, in words.
    pub warnings: Vec<String>,
}

/// Makes the tables, or brings them up to date, and lets the members of a role in.
///
/// # Errors
/// If the database does not answer, the account may not do that, or the tables are those of a newer program.
pub fn prepare(address: &str, operators: Option<&str>) -> Result<Prepared, DatabaseError> {
    let address = Address::parse(address, |name| std::env::var_os(name))?;
    let runner = Runner::new().map_err(DatabaseError::Thread)?;
    let (place, patience) = (address.place.clone(), address.patience);
    let connector = Connector::new(address)?;
    let operators = operators.map(str::to_owned);
    let made = runner.run(patience, async move {
        let (client, pump) = connector.connect(|_| {}).await?;
        tokio::spawn(pump);
        let place = connector.address.place.clone();
        let before = whole(&client, make(&client, operators.as_deref())).await;
        let before = before
            .map_err(|fault| DatabaseError::Refused { place: place.clone(), why: fault.to_string() })?;
        // Only now: an error inside would have been a refusal of the server's.
        if before > VERSION {
            return Err(DatabaseError::Version { place, found: before, known: VERSION });
        }
        let warnings = warnings(&client).await.unwrap_or_default();
        Ok(Prepared { place, before, now: VERSION, warnings })
    });
    let late = || DatabaseError::Connect { place, why: format!("no answer within {} s", patience.as_secs()) };
    made.unwrap_or_else(|_| Err(late()))
}

async fn make(client: &Client, operators: Option<&str>) -> Result<i32, Fault> {
    let refused = |message: &str| Fault::Refused { code: String::new(), message: message.to_owned() };
    client.query_typed("SELECT pg_catalog.pg_advisory_xact_lock($1)", &[(&MAKING, Type::INT8)]).await?;
    let encoding: String =
        client.query_one("SELECT pg_catalog.getdatabaseencoding()::text", &[]).await?.get(0);
    if encoding != "UTF8" {
        return Err(refused(&format!("the database has the encoding {encoding}; journals need UTF8")));
    }
    let before = version(client).await?.unwrap_or(0);
    let from = usize::try_from(before).unwrap_or(usize::MAX);
    if from > STEPS.len() {
        return Ok(before);
    }
    for step in &STEPS[from..] {
        client.batch_execute(step).await?;
    }
    if from < STEPS.len() {
        client.batch_execute("DELETE FROM runbook.version").await?;
        let sql = "INSERT INTO runbook.version (version) VALUES ($1)";
        client.query_typed(sql, &[(&VERSION, Type::INT4)]).await?;
    }
    if let Some(role) = operators {
        let sql = "SELECT pg_catalog.quote_ident($1)";
        let role: String = client.query_typed_one(sql, &[(&role, Type::TEXT)]).await?.get(0);
        for grant in GRANTS {
            client.batch_execute(&format!("{grant} {role}")).await?;
        }
    }
    Ok(before)
}

/// The version of the tables; `None` if there are none.
async fn version(client: &Client) -> Result<Option<i32>, Fault> {
    let there = "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'runbook')";
    if !client.query_one(there, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    Ok(client.query_opt("SELECT version FROM runbook.version", &[]).await?.map(|row| row.get(0)))
}

/// Makes sure that the tables are those of this program.
pub(crate) async fn known(client: &Client, place: &str) -> Result<(), DatabaseError> {
    let place = place.to_owned();
    match version(client).await {
        Ok(Some(VERSION)) => Ok(()),
        Ok(Some(found)) => Err(DatabaseError::Version { place, found, known: VERSION }),
        Ok(None) => Err(DatabaseError::Bare { place }),
        Err(Fault::Refused { message, .. }) => Err(DatabaseError::Refused { place, why: message }),
        Err(Fault::Lost(why)) => Err(DatabaseError::Connect { place, why }),
    }
}

/// Settings of the server under which an acknowledged entry can be lost.
async fn warnings(client: &Client) -> Result<Vec<String>, Fault> {
    let sql = "SELECT name, setting FROM pg_catalog.pg_settings
        WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name";
    let rows = client.query(sql, &[]).await?;
    let says = |row: &tokio_postgres::Row| {
        format!(
            "the server has {} = {}: entries can be lost when its host goes down",
            row.get::<_, &str>(0),
            row.get::<_, &str>(1)
        )
    };
    Ok(rows.iter().map(says).collect())
}
