//! The session of this process: one connection, and an advisory lock by which others see that it lives.
//!
//! Rows that this process holds (a run, a lock) name the key of that advisory lock. The server gives it free when the
//! connection ends, however it ends; so a dead holder is known without a clock and without asking its host. After a lost
//! connection the same key is taken again, and the rows are still held if nobody took them in between: their numbers say so.

use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::address::Address;
use crate::error::{DatabaseError, Fault, words};
use crate::runner::Runner;
use crate::schema;

/// What a site or an account may have set otherwise and runs rely on. `synchronous_commit` is only ever raised.
const SETTINGS: &str = "
    SELECT set_config(s.name, w.value, false)
    FROM (VALUES
        ('search_path', 'pg_catalog, pg_temp'),
        ('default_transaction_isolation', 'read committed'),
        ('default_transaction_read_only', 'off'),
        ('synchronous_commit', 'on'),
        ('statement_timeout', '0'),
        ('lock_timeout', '10s'),
        ('idle_session_timeout', '0'),
        ('idle_in_transaction_session_timeout', '60s'),
        ('tcp_keepalives_idle', '10'),
        ('tcp_keepalives_interval', '5'),
        ('tcp_keepalives_count', '3'),
        ('client_connection_check_interval', '0')
    ) w (name, value)
    JOIN pg_catalog.pg_settings s USING (name)
    WHERE s.name <> 'synchronous_commit' OR s.setting = 'off'";

/// Pause between two tries to come back.
const PAUSE: Duration = Duration::from_millis(200);

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Connector {
    pub address: Address,
    tls: Option<MakeRustlsConnect>,
}

/// What a connection does beside answering, until it ends: gives notifications to whoever listens.
pub(crate) type Pump = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

impl Connector {
    pub(crate) fn new(address: Address) -> Result<Self, DatabaseError> {
        let tls = if address.encrypted { Some(crate::tls::connector(&address)?) } else { None };
        Ok(Self { address, tls })
    }

    /// A connection and its pump; `heard` is told of every notification.
    pub(crate) async fn connect(
        &self,
        heard: impl FnMut(String) + Send + 'static,
    ) -> Result<(Client, Pump), DatabaseError> {
        let config: Config = self.address.with_password()?;
        let failed = |error: tokio_postgres::Error| DatabaseError::Connect {
            place: self.address.place.clone(),
            why: words(&error),
        };
        match self.tls.clone() {
            Some(tls) => {
                let (client, connection) = config.connect(tls).await.map_err(failed)?;
                Ok((client, Box::pin(pump(connection, heard))))
            }
            None => {
                let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
                Ok((client, Box::pin(pump(connection, heard))))
            }
        }
    }
}

async fn pump<S, T>(
    mut connection: tokio_postgres::Connection<S, T>,
    mut heard: impl FnMut(String) + Send + 'static,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    use tokio_postgres::AsyncMessage::Notification;
    while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
        if let Notification(notification) = message {
            heard(notification.payload().to_owned());
        }
    }
}

/// The session.
pub(crate) struct Session {
    runner: Arc<Runner>,
    connector: Connector,
    /// The advisory lock that this process holds as long as it is connected.
    pub key: i64,
    link: Mutex<Option<Arc<Client>>>,
}

impl Session {
    /// A session that is connected.
    ///
    /// # Errors
    /// If the database does not answer, lets nobody in, or has not the tables of this program.
    pub(crate) fn open(runner: Arc<Runner>, connector: Connector) -> Result<Self, DatabaseError> {
        // The keys of a fresh hasher are random, from the system.
        let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        let key = hasher.finish().cast_signed();
        let session = Self { runner, connector, key, link: Mutex::new(None) };
        let client = session.connect_once(Duration::ZERO)?;
        *session.lock() = Some(client);
        Ok(session)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Client>>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does work that must not be done twice. If the connection is gone beforehand it is made anew.
    pub(crate) fn once<T, W>(&self, work: impl FnOnce(Arc<Client>) -> W) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let mut link = self.lock();
        let client = match link.as_ref().filter(|client| !client.is_closed()) {
            Some(client) => Arc::clone(client),
            None => Arc::clone(link.insert(self.come_back()?)),
        };
        let patience = self.connector.address.patience;
        let result = self
            .runner
            .run(patience, work(client))
            .unwrap_or_else(|_| Err(Fault::Lost(format!("no answer within {} s", patience.as_secs()))));
        if matches!(result, Err(Fault::Lost(_))) {
            *link = None;
        }
        result
    }

    /// Does work that may be done twice, once more after the connection was lost.
    pub(crate) fn again<T, W>(&self, work: impl Fn(Arc<Client>) -> W) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        match self.once(&work) {
            Err(Fault::Lost(_)) => self.once(&work),
            result => result,
        }
    }

    /// Does work only if the connection is there.
    pub(crate) fn if_connected<W>(&self, work: impl FnOnce(Arc<Client>) -> W)
    where
        W: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        let connected = self.lock().as_ref().is_some_and(|client| !client.is_closed());
        if connected {
            let _ = self.once(work);
        }
    }

    /// Connects again, with patience: a database that is restarted comes back.
    fn come_back(&self) -> Result<Arc<Client>, Fault> {
        let until = Instant::now() + self.connector.address.patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.connect_once(left) {
                Ok(client) => return Ok(client),
                Err(error) if left.is_zero() => return Err(Fault::Lost(why(error))),
                Err(_) => std::thread::sleep(PAUSE.min(left)),
            }
        }
    }

    /// Connects and takes the key, which the server may need so long to free.
    fn connect_once(&self, free: Duration) -> Result<Arc<Client>, DatabaseError> {
        let (connector, key) = (self.connector.clone(), self.key);
        let place = connector.address.place.clone();
        let patience = connector.address.patience;
        let result = self.runner.run(patience + free, async move {
            let (client, pump) = connector.connect(|_| {}).await?;
            tokio::spawn(pump);
            let place = &connector.address.place;
            let refused = |fault: Fault| match fault {
                Fault::Refused { message, .. } => {
                    DatabaseError::Refused { place: place.clone(), why: message }
                }
                Fault::Lost(why) => DatabaseError::Connect { place: place.clone(), why },
            };
            client.batch_execute(SETTINGS).await.map_err(|error| refused(error.into()))?;
            schema::known(&client, place).await?;
            take_key(&client, key, free).await.map_err(refused)?;
            Ok(Arc::new(client))
        });
        result.unwrap_or_else(|_| {
            Err(DatabaseError::Connect { place, why: format!("no answer within {} s", patience.as_secs()) })
        })
    }
}

/// What went wrong, without the place, which whoever hears it names.
fn why(error: DatabaseError) -> String {
    match error {
        DatabaseError::Connect { why, .. } | DatabaseError::Refused { why, .. } => why,
        error => error.to_string(),
    }
}

/// Takes the advisory lock of this process. A former session of its own that the server still keeps is ended.
async fn take_key(client: &Client, key: i64, limit: Duration) -> Result<(), Fault> {
    let until = Instant::now() + limit;
    loop {
        let taken = client
            .query_typed_one("SELECT pg_catalog.pg_try_advisory_lock($1)", &[(&key, Type::INT8)])
            .await?;
        if taken.get(0) {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(Fault::Lost("the server still keeps the former session".to_owned()));
        }
        let end = format!("SELECT pg_catalog.pg_terminate_backend(pid) FROM {LIVING} WHERE session = $1");
        // Whether that may be done or not: the lock is what counts.
        let _ = client.query_typed(&end, &[(&key, Type::INT8)]).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Does this in one transaction.
pub(crate) async fn whole<T>(
    client: &Client,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    client.batch_execute("BEGIN").await?;
    let result = work.await;
    client.batch_execute(if result.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    result
}

/// Whether the session with this key is certainly gone. Inside a transaction: until its end the key cannot be taken again.
pub(crate) async fn gone(client: &Client, key: i64) -> Result<bool, Fault> {
    // Shared: two who look at the same time do not take each other for the holder.
    let sql = "SELECT pg_catalog.pg_try_advisory_xact_lock_shared($1)";
    Ok(client.query_typed_one(sql, &[(&key, Type::INT8)]).await?.get(0))
}

/// All sessions of this database that live: `pid` and the key as `session`. Any account may see them.
pub(crate) const LIVING: &str = "(
    SELECT pid, (classid::bigint << 32) | objid::bigint AS session FROM pg_catalog.pg_locks
    WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted AND objsubid = 1
      AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
    ) living";
