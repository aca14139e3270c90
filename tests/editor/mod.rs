//! What editors and code hosts get: `runbook lsp`; the JSON Schema of runbooks, driven by yaml-language-server, and SARIF, held against
//! its published schema. Both come from npm, in the versions of `package-lock.json`.

mod client;
mod sarif;
mod schema;
mod server;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The directory with `node_modules`; nothing, and a word about it, where npm is not installed.
///
/// It is installed once for each `package-lock.json`, beside what cargo builds.
#[expect(clippy::print_stderr, reason = "what is not run is said")]
fn tools() -> Option<&'static Path> {
    static TOOLS: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = TOOLS.get_or_init(|| {
        if Command::new("npm").arg("--version").stdout(Stdio::null()).status().is_err() {
            let what = "the tests in an editor: npm is not installed";
            eprintln!("NOT RUN: {what}");
            if let Some(list) = std::env::var_os("RUNBOOK_NOT_RUN") {
                let mut list = std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
                writeln!(list, "{what}").unwrap();
            }
            return None;
        }
        Some(install())
    });
    found.as_deref()
}

fn install() -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/editor");
    let into = Path::new(env!("CARGO_TARGET_TMPDIR")).join("editor");
    let (lock, installed) = (from.join("package-lock.json"), into.join("installed.json"));
    let wanted = std::fs::read(&lock).unwrap();
    if std::fs::read(&installed).is_ok_and(|there| there == wanted) {
        return into;
    }
    std::fs::create_dir_all(&into).unwrap();
    for name in ["package.json", "package-lock.json"] {
        std::fs::copy(from.join(name), into.join(name)).unwrap();
    }
    let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    let done = Command::new("npm").args(npm).current_dir(&into).stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "npm ci: {}", String::from_utf8_lossy(&done.stderr));
    // Written last: what was cut off is installed anew.
    std::fs::write(installed, wanted).unwrap();
    into
}
