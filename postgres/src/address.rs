//! Where the database is, from `postgres://[USER@]HOST[:PORT]/DATABASE[?OPTION=VALUE…]`.
//!
//! Nothing of an address is repeated before it was understood: a mistyped one may have a password anywhere.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::error::DatabaseError;
use crate::passfile::{self, Door};

/// Options of an address that are understood here; what else PostgreSQL knows has no business with runs.
const OPTIONS: [&str; 8] =
    ["connect_timeout", "dbname", "host", "hostaddr", "port", "sslmode", "sslrootcert", "user"];

/// How long the database may take for an answer, and to come back, if the address says nothing.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where the database is and how to reach it; without a password.
#[derive(Clone)]
pub(crate) struct Address {
    pub config: Config,
    /// Whether connections are encrypted and the server's certificate is checked.
    pub encrypted: bool,
    /// Certificates to trust; the host's own if none are named.
    pub roots: Option<PathBuf>,
    /// How long the database may take for an answer, and to come back after the connection was lost.
    pub patience: Duration,
    /// For people and journals' errors.
    pub place: String,
}

impl Address {
    /// Understands an address. `variable` reads the environment.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it.
    pub(crate) fn parse(
        text: &str,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, DatabaseError> {
        let wrong = |what: &str| DatabaseError::Address(what.to_owned());
        let set =
            |name: &str| variable(name).and_then(|value| value.into_string().ok()).filter(|v| !v.is_empty());
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut mode, mut roots) = (set("PGSSLMODE"), set("PGSSLROOTCERT").map(PathBuf::from));
        let mut left = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| wrong("has an option without a value"))?;
            match name {
                "password" => return Err(password()),
                "sslmode" => mode = Some(value.to_owned()),
                "sslrootcert" => roots = Some(PathBuf::from(value)),
                name if OPTIONS.contains(&name) => left.push(pair),
                _ => {
                    let known = OPTIONS.join(", ");
                    return Err(wrong(&format!("has an option other than {known}")));
                }
            }
        }
        let bare = if left.is_empty() { base.to_owned() } else { format!("{base}?{}", left.join("&")) };
        let mut config = Config::from_str(&bare).map_err(|_| wrong("cannot be understood"))?;
        if config.get_password().is_some() {
            return Err(password());
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host(set("PGHOST").unwrap_or_else(socket));
        }
        let database = config.get_dbname().map(str::to_owned).or_else(|| set("PGDATABASE"));
        let database = database.filter(|name| !name.is_empty()).ok_or_else(|| wrong("names no database"))?;
        if config.get_user().is_none() {
            let user = set("PGUSER").or_else(account).ok_or_else(|| wrong("names no user"))?;
            config.user(user);
        }
        let tcp = config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_)))
            || !config.get_hostaddrs().is_empty();
        let encrypted = match mode.as_deref() {
            None | Some("require" | "verify-full") => tcp,
            Some("disable") => false,
            Some(_) => {
                return Err(wrong(
                    "has an sslmode other than require (which checks the certificate, too) and disable",
                ));
            }
        };
        let patience = config.get_connect_timeout().copied().filter(|limit| !limit.is_zero());
        let place = place(&config, &database);
        config
            .dbname(database)
            .application_name("runbook")
            .connect_timeout(patience.unwrap_or(PATIENCE))
            .ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable })
            // Of several hosts only the one that can be written to.
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(30));
        Ok(Self { config, encrypted, roots, patience: patience.unwrap_or(PATIENCE), place })
    }

    /// What to connect with, now: the password is looked up anew each time and kept nowhere.
    ///
    /// # Errors
    /// If there is a password file that cannot be used.
    pub(crate) fn with_password(&self) -> Result<Config, DatabaseError> {
        let mut config = self.config.clone();
        let names: Vec<String> = config.get_hosts().iter().map(name).collect();
        let mut hosts: Vec<&str> = names.iter().map(String::as_str).collect();
        if config.get_hosts().iter().any(|host| matches!(host, Host::Unix(_))) {
            hosts.push("localhost");
        }
        let door = Door {
            hosts,
            port: config.get_ports().first().copied().unwrap_or(5432),
            database: self.config.get_dbname().unwrap_or_default(),
            user: self.config.get_user().unwrap_or_default(),
        };
        if let Some(password) = passfile::password(&door, |name| std::env::var_os(name))? {
            config.password(password);
        }
        Ok(config)
    }
}

fn password() -> DatabaseError {
    DatabaseError::Address("has a password in it, where others see it".to_owned())
}

fn name(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    }
}

/// An address for people; it can be given again.
fn place(config: &Config, database: &str) -> String {
    let ports = config.get_ports();
    let port = |at: usize| ports.get(at).or(ports.first()).filter(|port| **port != 5432);
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .filter(|(_, host)| matches!(host, Host::Tcp(_)))
        .map(|(at, host)| port(at).map_or(name(host), |port| format!("{}:{port}", name(host))))
        .collect();
    if hosts.is_empty()
        && let Some(host) = config.get_hosts().first()
    {
        let port = port(0).map_or(String::new(), |port| format!("&port={port}"));
        return format!("postgres:///{database}?host={}{port}", name(host));
    }
    format!("postgres://{}/{database}", hosts.join(","))
}

/// Where Debian and Red Hat keep the server's socket; else where PostgreSQL itself does.
fn socket() -> String {
    let usual = ["/run/postgresql", "/var/run/postgresql"];
    usual.iter().find(|dir| Path::new(dir).is_dir()).unwrap_or(&"/tmp").to_string()
}

/// The account of this process by its user id, whatever the environment claims.
fn account() -> Option<String> {
    engine::account::name_of(rustix::process::getuid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, String> {
        Address::parse(text, |name| (name == "PGUSER").then(|| "ada".into())).map_err(|e| e.to_string())
    }

    #[test]
    fn an_address_is_shown_without_its_user() {
        let place = |text| parse(text).map(|address| address.place);
        assert_eq!(place("postgres://ben@db1/runs"), Ok("postgres://db1/runs".to_owned()));
        assert_eq!(
            place("postgresql://db1:5433,db2:5434/runs?sslmode=disable"),
            Ok("postgres://db1:5433,db2:5434/runs".to_owned())
        );
        let socket = "postgres:///runs?host=/run/pg";
        assert_eq!(place(socket), Ok(socket.to_owned()));
        assert_eq!(
            place("postgres:///runs?host=/run/pg&port=5433&user=x"),
            Ok(format!("{socket}&port=5433"))
        );
    }

    #[test]
    fn what_goes_over_a_network_is_encrypted_unless_somebody_wrote_that_it_is_not() {
        let encrypted = |text| parse(text).map(|address| address.encrypted);
        assert_eq!(encrypted("postgres://db1/runs"), Ok(true));
        assert_eq!(encrypted("postgres://db1/runs?sslmode=require"), Ok(true));
        assert_eq!(encrypted("postgres://db1/runs?sslmode=disable"), Ok(false));
        assert_eq!(encrypted("postgres:///runs?host=/run/pg"), Ok(false));
        assert!(encrypted("postgres://db1/runs?sslmode=prefer").is_err_and(|e| e.contains("sslmode other")));
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_no_mistake_repeats_it() {
        for text in [
            "postgres://ada:hunter2@db1/runs",
            "postgres://db1/runs?password=hunter2",
            "postgres://ada:hun?ter2@db1/runs",
            "postgres://ada:hun?ter2=@db1/runs",
            "postgres://ada:hunter2@db1:port/runs",
            "postgres://ada:%zzhunter2@db1/runs",
            "postgres://ada:hunter2@db1/runs?connect_timeout=hunter2",
            "postgres://ada:hunter2@db1",
            "postgres://db1/",
        ] {
            let error = parse(text).err().expect(text);
            assert!(!error.contains("hun") && !error.contains("ter2"), "{error}");
        }
    }
}
