//! Where this process runs: state directory, account, host.

use std::path::PathBuf;
use std::sync::Arc;

use engine::journal::{DirStore, Store};

use crate::config;
use crate::error::CliError;

/// Where runs are kept: the database or directory `$RUNBOOK_STATE`, else `state` of the configuration, else
/// `$XDG_STATE_HOME/runbook`, else `~/.local/state/runbook`.
///
/// # Errors
/// If the configuration does not check, or it is a database that cannot be used.
pub(crate) fn store() -> Result<Arc<dyn Store>, CliError> {
    // A mistake in the configuration must not lead to another place.
    config::get()?;
    match address() {
        Some(address) => database(&address),
        None => Ok(Arc::new(DirStore::new(state_dir()))),
    }
}

/// The address of the database, if runs are kept in one.
pub(crate) fn address() -> Option<String> {
    match std::env::var("RUNBOOK_STATE").ok().filter(|state| !state.is_empty()) {
        Some(state) => Some(state).filter(|state| state.contains("://")),
        None => match config::get().ok()?.state.as_ref()? {
            config::State::Url(address) => Some(address.clone()),
            config::State::Directory(_) => None,
        },
    }
}

#[cfg(feature = "postgres")]
fn database(address: &str) -> Result<Arc<dyn Store>, CliError> {
    if !state_postgres::is_address(address) {
        // Not repeated: it may hold a password.
        return Err(CliError::usage(
            "the address in $RUNBOOK_STATE is none of a database that this program knows",
            "write a directory or postgres://HOST/DATABASE",
        ));
    }
    Ok(Arc::new(state_postgres::Database::open(address)?))
}

#[cfg(not(feature = "postgres"))]
fn database(_: &str) -> Result<Arc<dyn Store>, CliError> {
    Err(CliError::State {
        message: "this program was built without databases, and $RUNBOOK_STATE names one".to_owned(),
        hint: Some("build it with `--features postgres`".to_owned()),
    })
}

/// The account in whose name this process acts in a store.
pub(crate) fn account_in(store: &dyn Store) -> String {
    store.account().unwrap_or_else(account)
}

/// The state directory: of the environment, of the configuration, the customary one.
pub(crate) fn state_dir() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let configured = || match config::get().ok()?.state.as_ref()? {
        config::State::Directory(path) => Some(path.clone()),
        config::State::Url(_) => None,
    };
    set("RUNBOOK_STATE")
        .or_else(configured)
        .or_else(|| set("XDG_STATE_HOME").filter(|dir| dir.is_absolute()).map(|dir| dir.join("runbook")))
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/state/runbook")))
        .unwrap_or_else(|| PathBuf::from(".runbook"))
}

/// The account of this process by its user id, whatever the environment claims.
pub(crate) fn account() -> String {
    let uid = rustix::process::getuid().as_raw();
    engine::account::name_of(uid).unwrap_or_else(|| format!("uid {uid}"))
}

/// The name of this host.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A random number, from the system.
pub(crate) fn entropy() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // The keys of a fresh hasher are random; the process id keeps two of the same instant apart.
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}
