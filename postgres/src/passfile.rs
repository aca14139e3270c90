//! Passwords from where PostgreSQL's own programs take them: `$PGPASSWORD`, else `$PGPASSFILE`, else `~/.pgpass`.
//! Format: <https://www.postgresql.org/docs/current/libpq-pgpass.html>.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::error::DatabaseError;

/// Bytes of a password file that are read.
const MOST: u64 = 1 << 20;

/// What a password is for.
pub(crate) struct Door<'a> {
    /// The hosts by which it is known; a socket is also `localhost`.
    pub hosts: Vec<&'a str>,
    pub port: u16,
    pub database: &'a str,
    pub user: &'a str,
}

/// The password for a door, if one is kept.
///
/// # Errors
/// If there is a password file that others can read or that cannot be read.
pub(crate) fn password(
    door: &Door<'_>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Vec<u8>>, DatabaseError> {
    if let Some(password) = variable("PGPASSWORD").filter(|password| !password.is_empty()) {
        return Ok(Some(std::os::unix::ffi::OsStringExt::into_vec(password)));
    }
    let named = variable("PGPASSFILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || variable("HOME").map(|home| PathBuf::from(home).join(".pgpass"));
    let Some(path) = named.or_else(home) else { return Ok(None) };
    let failed = |why: String| DatabaseError::Passfile { path: path.clone(), why };
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    let about = file.metadata().map_err(|error| failed(error.to_string()))?;
    if !about.is_file() {
        return Ok(None);
    }
    if about.mode() & 0o077 != 0 {
        return Err(failed("others may read it".to_owned()));
    }
    let mut text = String::new();
    let read = (&mut file).take(MOST).read_to_string(&mut text);
    read.map_err(|error| failed(error.to_string()))?;
    Ok(text.lines().find_map(|line| fits(line, door)).map(String::into_bytes))
}

/// The password of a line, if it is for this door.
fn fits(line: &str, door: &Door<'_>) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let fields = fields(line);
    let [host, port, database, user, password] = &fields[..] else { return None };
    let is = |field: &String, value: &str| field == "*" || field == value;
    let fits = (host == "*" || door.hosts.contains(&host.as_str()))
        && is(port, &door.port.to_string())
        && is(database, door.database)
        && is(user, door.user);
    fits.then(|| password.clone())
}

/// The fields of a line: `:` divides, `\` takes the next character as it is.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            ':' if fields.len() < 5 => fields.push(String::new()),
            c => {
                let c = if c == '\\' { characters.next().unwrap_or(c) } else { c };
                if let Some(field) = fields.last_mut() {
                    field.push(c);
                }
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> Door<'static> {
        Door { hosts: vec!["db1"], port: 5432, database: "runs", user: "ada" }
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        let found = |text: &str| text.lines().find_map(|line| fits(line, &door()));
        assert_eq!(
            found("#db1:5432:runs:ada:no\ndb2:*:*:*:other\ndb1:*:*:ada:o\\:n\\\\e:x\n*:*:*:*:late"),
            Some("o:n\\e:x".to_owned())
        );
        assert_eq!(found("db1:5433:runs:ada:x\ndb1:5432:runs:ada"), None);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_and_not_quoted() {
        use std::os::unix::fs::PermissionsExt;
        let dir = std::env::temp_dir().join(format!("passfile-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let path = dir.join("pass");
        std::fs::write(&path, "*:*:*:*:hunter2").expect("a file");
        let variable = |name: &str| (name == "PGPASSFILE").then(|| path.clone().into_os_string());
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode));
        mode(0o640).expect("a mode");
        let error = password(&door(), variable).expect_err("refused").to_string();
        assert!(error.contains("others may read it") && !error.contains("hunter2"), "{error}");
        mode(0o600).expect("a mode");
        assert_eq!(password(&door(), variable).expect("read"), Some(b"hunter2".to_vec()));
        std::fs::remove_dir_all(&dir).expect("removed");
    }
}
