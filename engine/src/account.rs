//! Accounts of this host.

use std::collections::HashMap;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The name of an account. `id` asks the name service (LDAP, SSSD) as every other program of the host does, once per account.
/// `None` if there is no such account or that cannot be told.
pub fn name_of(uid: u32) -> Option<String> {
    static KNOWN: Mutex<Option<HashMap<u32, String>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(name) = known.get(&uid) {
        return Some(name.clone());
    }
    let output = Command::new("id").args(["-un", &uid.to_string()]).output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    if !output.status.success() || name.is_empty() {
        return None;
    }
    known.insert(uid, name.clone());
    Some(name)
}
