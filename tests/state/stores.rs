//! One conformance suite for both stores, and what only a database does.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use engine::conformance::{self, Subject};
use engine::journal::{DirStore, Store};
use engine::run::RunId;
use state_postgres::Database;

use super::server::{Base, Server};

struct Directory(PathBuf);

impl Directory {
    fn journal(&self, run: &RunId) -> PathBuf {
        self.0.join("runs").join(run.as_str()).join("journal.jsonl")
    }
}

impl Subject for Directory {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(DirStore::new(&self.0))
    }

    fn lines(&self, run: &RunId) -> Vec<String> {
        fs::read_to_string(self.journal(run)).unwrap().lines().map(str::to_owned).collect()
    }

    fn tamper(&self, run: &RunId, lines: &[String]) {
        fs::write(self.journal(run), lines.join("\n") + "\n").unwrap();
    }

    fn account(&self) -> String {
        let output = std::process::Command::new("id").arg("-un").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// A database, as the role `ada` uses it.
pub(super) struct Team<'s>(pub Base<'s>);

impl Subject for Team<'_> {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(Database::open(&self.0.address("ada")).unwrap())
    }

    fn lines(&self, run: &RunId) -> Vec<String> {
        let lines = self.0.sql(&format!("SELECT line FROM runbook.entries WHERE run = '{run}' ORDER BY seq"));
        lines.lines().map(str::to_owned).collect()
    }

    fn tamper(&self, run: &RunId, lines: &[String]) {
        let rows = lines.iter().enumerate().map(|(at, line)| {
            let line = line.replace('\'', "''");
            format!(
                "INSERT INTO runbook.entries VALUES ('{run}', {}, 1, '', '', '{line}', '', now());",
                at + 1
            )
        });
        let rows: String = rows.collect();
        self.0.sql(&format!(
            "BEGIN; ALTER TABLE runbook.entries DISABLE TRIGGER USER;
            DELETE FROM runbook.entries WHERE run = '{run}'; {rows}
            ALTER TABLE runbook.entries ENABLE TRIGGER USER; COMMIT;"
        ));
    }

    fn account(&self) -> String {
        "ada".to_owned()
    }
}

#[test]
fn a_directory_does_what_every_store_has_to() {
    let dir = tempfile::tempdir().unwrap();
    let subject = Directory(dir.path().to_owned());
    conformance::journals(&subject);
    conformance::replies(&subject);
    conformance::locks(&subject);
    conformance::budgets(&subject);
}

#[test]
fn a_database_does_what_every_store_has_to() {
    let Some(server) = Server::shared() else { return };
    let subject = Team(server.database());
    conformance::journals(&subject);
    conformance::replies(&subject);
    conformance::locks(&subject);
    conformance::budgets(&subject);
}
