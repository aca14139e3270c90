//! The rows of runs and their entries.

use engine::journal::Head;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use crate::error::Fault;
use crate::session::{LIVING, gone, whole};

/// What came of taking up a run.
pub(crate) enum Claimed {
    /// It is ours; this is its number.
    Ours(i64),
    /// A living process walks it.
    Taken(String),
    /// There is none.
    None,
}

/// Begins a run; refused with [`TWICE`](crate::error::TWICE) if there is one of that name.
pub(crate) async fn begin(client: &Client, run: &str, key: i64, holder: &str) -> Result<(), Fault> {
    let sql = "INSERT INTO runbook.runs (run, epoch, session, holder) VALUES ($1, 1, $2, $3)";
    client.query_typed(sql, &[(&run, Type::TEXT), (&key, Type::INT8), (&holder, Type::TEXT)]).await?;
    Ok(())
}

/// Takes up a run that nobody walks.
pub(crate) async fn claim(client: &Client, run: &str, key: i64, holder: &str) -> Result<Claimed, Fault> {
    whole(client, async {
        let sql = "SELECT session, holder FROM runbook.runs r WHERE run = $1
            AND EXISTS (SELECT FROM runbook.entries e WHERE e.run = r.run) FOR UPDATE";
        let Some(row) = client.query_typed_opt(sql, &[(&run, Type::TEXT)]).await? else {
            return Ok(Claimed::None);
        };
        if let Some(session) = row.get::<_, Option<i64>>(0)
            && (session == key || !gone(client, session).await?)
        {
            return Ok(Claimed::Taken(row.get::<_, Option<String>>(1).unwrap_or_default()));
        }
        let sql = "UPDATE runbook.runs SET epoch = epoch + 1, session = $2, holder = $3, summary = NULL
            WHERE run = $1 RETURNING epoch";
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
            [(&run, Type::TEXT), (&key, Type::INT8), (&holder, Type::TEXT)];
        Ok(Claimed::Ours(client.query_typed_one(sql, &params).await?.get(0)))
    })
    .await
}

/// Lets go of a run, unless another process has taken it up since.
pub(crate) async fn release(client: &Client, run: &str, epoch: i64) -> Result<(), Fault> {
    let sql = "UPDATE runbook.runs SET session = NULL, holder = NULL WHERE run = $1 AND epoch = $2";
    client.query_typed(sql, &[(&run, Type::TEXT), (&epoch, Type::INT8)]).await?;
    Ok(())
}

/// Keeps what lists say of a run.
pub(crate) async fn summarize(client: &Client, run: &str, epoch: i64, summary: &str) -> Result<(), Fault> {
    let sql = "UPDATE runbook.runs SET summary = $3 WHERE run = $1 AND epoch = $2";
    let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&run, Type::TEXT), (&epoch, Type::INT8), (&summary, Type::TEXT)];
    client.query_typed(sql, &params).await?;
    Ok(())
}

/// Adds lines, the first with this number; all of them or none.
pub(crate) async fn add(
    client: &Client,
    run: &str,
    epoch: i64,
    first: i64,
    lines: &[String],
    durable: bool,
) -> Result<(), Fault> {
    // What need not last is not waited for; the next one that must takes it along.
    let sync = if durable { "" } else { "off" };
    let sql = "WITH sync AS (
            SELECT CASE WHEN $5 <> '' THEN pg_catalog.set_config('synchronous_commit', $5, true) END
        )
        INSERT INTO runbook.entries (run, seq, epoch, line)
        SELECT $1, $3 + position - 1, $2, line
        FROM sync, pg_catalog.unnest($4) WITH ORDINALITY AS lines (line, position) ORDER BY position";
    let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 5] = [
        (&run, Type::TEXT),
        (&epoch, Type::INT8),
        (&first, Type::INT8),
        (&lines, Type::TEXT_ARRAY),
        (&sync, Type::TEXT),
    ];
    client.query_typed(sql, &params).await?;
    Ok(())
}

/// Where the entries of a run end, and the number of the process that may add to them with what is said of it.
pub(crate) struct Standing {
    pub head: Option<Head>,
    pub epoch: i64,
    pub holder: String,
}

pub(crate) async fn standing(client: &Client, run: &str) -> Result<Option<Standing>, Fault> {
    let sql = "SELECT r.epoch, r.holder, e.seq, e.hash FROM runbook.runs r LEFT JOIN LATERAL (
            SELECT seq, hash FROM runbook.entries WHERE run = r.run ORDER BY seq DESC LIMIT 1
        ) e ON true WHERE r.run = $1";
    let row = client.query_typed_opt(sql, &[(&run, Type::TEXT)]).await?;
    Ok(row.map(|row| Standing {
        epoch: row.get(0),
        holder: row.get::<_, Option<String>>(1).unwrap_or_default(),
        head: row.get::<_, Option<i64>>(2).map(|seq| Head { seq: seq.cast_unsigned(), hash: row.get(3) }),
    }))
}

/// The lines of a run in their order; empty if there is no such run.
pub(crate) async fn lines(client: &Client, run: &str) -> Result<Vec<String>, Fault> {
    let sql = "SELECT line FROM runbook.entries WHERE run = $1 ORDER BY seq";
    let rows = client.query_typed(sql, &[(&run, Type::TEXT)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What is kept of a run for lists.
pub(crate) struct Kept {
    pub run: String,
    pub summary: Option<String>,
    /// Whether a process walks it.
    pub walked: bool,
}

/// What is kept of all runs that were begun, newest first; of one if it is named.
pub(crate) async fn kept(client: &Client, run: Option<&str>) -> Result<Vec<Kept>, Fault> {
    let sql = format!(
        "SELECT run, summary, session IS NOT NULL AND session IN (SELECT session FROM {LIVING})
        FROM runbook.runs r WHERE ($1 IS NULL OR run = $1)
            AND EXISTS (SELECT FROM runbook.entries e WHERE e.run = r.run AND e.seq = 1)
        ORDER BY run DESC"
    );
    let rows = client.query_typed(&sql, &[(&run, Type::TEXT)]).await?;
    let kept = |row: &Row| Kept { run: row.get(0), summary: row.get(1), walked: row.get(2) };
    Ok(rows.iter().map(kept).collect())
}

/// Leaves an answer; `false` if there is no such run.
pub(crate) async fn reply(client: &Client, run: &str, reply: &str) -> Result<bool, Fault> {
    let sql = "INSERT INTO runbook.replies (run, reply) SELECT $1, $2
        WHERE EXISTS (SELECT FROM runbook.runs WHERE run = $1) RETURNING id";
    let row = client.query_typed_opt(sql, &[(&run, Type::TEXT), (&reply, Type::TEXT)]).await?;
    Ok(row.is_some())
}

/// An answer: its JSON, the account that wrote it, and when, in microseconds since 1970.
pub(crate) type Left = (String, String, i64);

/// The answers for a run, oldest first.
pub(crate) async fn replies(client: &Client, run: &str) -> Result<Vec<Left>, Fault> {
    let sql = "SELECT reply, account, (extract(epoch FROM at) * 1000000)::bigint
        FROM runbook.replies WHERE run = $1 ORDER BY id";
    let rows = client.query_typed(sql, &[(&run, Type::TEXT)]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

/// The account of this session, as the server knows it.
pub(crate) async fn account(client: &Client) -> Result<String, Fault> {
    Ok(client.query_one("SELECT session_user::text", &[]).await?.get(0))
}
