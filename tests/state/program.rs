//! The command on a database: set-up, accounts, what is refused, and that no password is ever shown.

use engine::conformance::{begun, now, run, stopped};
use engine::journal::Store;
use engine::run::{Reply, Word};
use state_postgres::Database;

use super::server::{Base, Server};
use crate::cli::bench::{Bench, Said};

fn bench(state: &str) -> Bench {
    let mut bench = Bench::new();
    bench.keep_runs_in(state);
    bench.runbook("choose");
    bench
}

#[test]
fn tables_are_made_once_and_only_by_who_is_asked_to() {
    let Some(server) = Server::shared() else { return };
    let base = server.bare();
    let bench = bench(&base.address("postgres"));
    let bare = bench.run(&["runs", "list"]).exits(1);
    assert!(
        bare.err.contains("has no tables for runs yet") && bare.err.contains("runbook state init"),
        "{}",
        bare.err
    );
    let made = bench.run(&["state", "init", "--operators", "operators"]).exits(0);
    assert!(made.out.contains("has the tables for runs now (version 1)"), "{}", made.out);
    assert!(made.out.contains("fsync = off"), "a server that may lose entries is named: {}", made.out);
    let again = bench.run(&["state", "init"]).exits(0);
    assert!(again.out.contains("has the tables for runs (version 1)"), "{}", again.out);
    assert!(bench.run(&["runs", "list"]).exits(0).out.starts_with("No runs in postgres:///"));

    base.sql("UPDATE runbook.version SET version = 2");
    for args in [&["runs", "list"][..], &["state", "init"]] {
        let newer = bench.run(args).exits(1);
        assert!(newer.err.contains("have version 2; this program knows 1"), "{}", newer.err);
        assert!(newer.err.contains("use the newer program"), "{}", newer.err);
    }
    let strange = bench.run(&["runs", "list"]).err;
    assert!(!strange.contains("panicked"));
}

#[test]
fn whoever_is_no_operator_is_told_how_to_become_one() {
    let Some(server) = Server::shared() else { return };
    let base = server.bare();
    state_postgres::prepare(&base.address("postgres"), None).unwrap();
    let said = bench(&base.address("ada")).run(&["runs", "list"]).exits(1);
    assert!(said.err.contains("permission denied") && said.err.contains("--operators ROLE"), "{}", said.err);
}

#[test]
fn operators_add_and_neither_they_nor_the_owner_change_what_is_there() {
    let Some(server) = Server::shared() else { return };
    let base = server.database();
    let (ada, ben) =
        (Database::open(&base.address("ada")).unwrap(), Database::open(&base.address("ben")).unwrap());
    let id = run(70);
    let mut journal = begun(&ada, &id);
    let reply = Reply {
        run: id.clone(),
        visit: 1,
        about: "digest".to_owned(),
        word: Word::Approve,
        reason: None,
        host: "login1".to_owned(),
    };
    ben.reply(&reply).unwrap();
    assert_eq!(ada.replies(&id).unwrap()[0].account, "ben");
    assert_eq!((ada.account(), ben.account()), (Some("ada".to_owned()), Some("ben".to_owned())));

    let refused = |role: &str, sql: &str, why: &str| {
        let error = base.as_role(role, sql).expect_err(sql);
        assert!(error.contains(why), "{sql}: {error}");
    };
    for sql in [
        "UPDATE runbook.entries SET line = '{}'",
        "DELETE FROM runbook.entries",
        "TRUNCATE runbook.entries",
        "UPDATE runbook.replies SET account = 'ada'",
        "DELETE FROM runbook.replies",
        "DELETE FROM runbook.spendings",
        "DELETE FROM runbook.runs",
        "DELETE FROM runbook.locks",
        "DROP TABLE runbook.entries",
    ] {
        refused("ada", sql, if sql.starts_with("DROP") { "must be owner" } else { "permission denied" });
        if !sql.starts_with("DROP") {
            refused("postgres", sql, "is only ever added to");
        }
    }
    let entry = |seq: i64, epoch: i64, line: &str| {
        format!(
            "INSERT INTO runbook.entries (run, seq, epoch, line) VALUES ('{id}', {seq}, {epoch}, '{line}')"
        )
    };
    refused(
        "ada",
        "INSERT INTO runbook.replies (run, reply, account) VALUES ('x', '{}', 'ben')",
        "permission denied",
    );
    refused("ada", "SET ROLE ben", "permission denied");
    refused("ada", &entry(2, 2, "{}"), "was taken up by another process");
    refused("ada", &entry(3, 1, "{}"), "does not follow entry 1");
    refused("ada", &entry(2, 1, r#"{"seq":2,"prev":"00"}"#), "does not follow entry 1");
    refused("ada", &entry(2, 1, "no JSON"), "invalid input syntax for type json");
    refused("ada", "UPDATE runbook.runs SET epoch = epoch - 1", "never goes back");
    // Nothing of that harmed the run.
    journal.append(now(), stopped("goes on")).unwrap();
    assert_eq!(ada.records(&id).unwrap().len(), 2);
    // Entries are those of the account that wrote them, and the hashes are the database's own.
    let sql = "SELECT DISTINCT account, hash = encode(sha256(convert_to(line, 'UTF8')), 'hex') FROM runbook.entries";
    assert_eq!(base.sql(sql), "ada|t");
}

#[test]
fn a_run_is_kept_in_the_database_under_the_name_of_its_session() {
    let Some(server) = Server::shared() else { return };
    let base = server.database();
    let bench = bench(&base.address("ada"));
    bench.run(&["run", "choose"]).exits(3);
    let run = base.sql("SELECT run FROM runbook.runs");
    let listed = bench.run(&["runs", "list", "--json"]).exits(0).json();
    assert_eq!((&listed[0]["run"], &listed[0]["state"]), (&run.as_str().into(), &"parked".into()));
    let shown = bench.run(&["runs", "show", &run, "--json"]).exits(0).json();
    assert_eq!(shown["entries"][0]["entry"]["operator"], "ada", "the account is the session's");
    let shown = bench.run(&["runs", "show", &run[run.len() - 4..]]).exits(0);
    assert!(shown.out.contains(&format!("run {run}")), "{}", shown.out);
    assert!(!bench.path("state").exists() && !bench.path("postgres:").exists());
}

/// Whatever was said, and whatever is in the database.
fn all(base: &Base<'_>, said: &Said) -> String {
    let kept = "SELECT line FROM runbook.entries UNION ALL SELECT reply FROM runbook.replies UNION ALL SELECT holder || coalesce(summary, '') FROM runbook.runs";
    format!("{}{}{}", said.out, said.err, base.sql(kept))
}

#[test]
fn no_password_is_ever_shown() {
    let Some(server) = Server::shared() else { return };
    let base = server.database();
    let address = base.address("secretive");
    let walk: &[&str] = &["run", "choose"];
    let commands: [&[&str]; 5] =
        [walk, &["runs", "list"], &["runs", "show", "x"], &["resume", "x"], &["state", "init"]];
    for args in commands {
        let bench = bench(&address);
        let wrong = Said::of(bench.command(args).env("PGPASSWORD", "wr0ng").output().unwrap()).exits(1);
        assert!(wrong.err.contains("password authentication failed"), "{}", wrong.err);
        let none = bench.run(args).exits(1);
        assert!(none.err.contains(".pgpass"), "{}", none.err);
        bench.write(".pgpass", "*:*:*:secretive:wr0ng\n");
        let open = bench.run(args).exits(1);
        assert!(open.err.contains("others may read it"), "{}", open.err);
        let with = bench
            .command(args)
            .env("RUNBOOK_STATE", address.replace("secretive@", "secretive:wr0ng@"))
            .output();
        let refused = Said::of(with.unwrap()).exits(2);
        assert!(refused.err.contains("has a password in it"), "{}", refused.err);
        for said in [wrong, none, open, refused] {
            assert!(!all(&base, &said).contains("wr0ng"), "{}{}", said.out, said.err);
        }
    }
    // What a step starts does not inherit it: Slurm would keep it with the job.
    let printed: &[&str] = &["steps", "run", "shell", "--with", "run=printenv PGPASSWORD PGUSER || true"];
    let inherits = bench(&address);
    let mut inherits = inherits.command(printed);
    let said = Said::of(inherits.env("PGPASSWORD", "wr0ng").env("PGUSER", "ada").output().unwrap());
    assert!(said.out.contains("ada") && !said.out.contains("wr0ng"), "{}{}", said.out, said.err);
    // The right one opens, and is nowhere either.
    let bench = bench(&address);
    let right = Said::of(bench.command(walk).env("PGPASSWORD", "hunter2").output().unwrap()).exits(3);
    let run = base.sql("SELECT run FROM runbook.runs");
    let pass = bench.write(".pgpass", "other:*:*:*:no\nlocalhost:*:*:secretive:hunter2\n");
    std::fs::set_permissions(pass, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let shown = bench.run(&["runs", "show", &run, "--json"]).exits(0);
    for said in [right, shown] {
        let text = all(&base, &said);
        assert!(text.contains("secretive") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn what_goes_over_a_network_is_encrypted_to_a_server_that_shows_who_it_is() {
    let Some(server) = Server::on_the_network() else { return };
    let base = server.database();
    let list = |address: &str| bench(address).run(&["runs", "list"]);
    let trusted = format!("sslrootcert={}", server.certificate().display());
    let address = base.network_address("ada", "localhost");
    list(&format!("{address}?sslmode=require&{trusted}")).exits(0);
    list(&format!("{address}?{trusted}")).exits(0);
    list(&format!("{address}?sslmode=disable")).exits(0);
    let unknown = list(&address).exits(1);
    assert!(unknown.err.contains("certificate"), "{}", unknown.err);
    let other = list(&format!("{}?{trusted}", base.network_address("ada", "127.0.0.1"))).exits(1);
    assert!(other.err.contains("certificate"), "{}", other.err);
    let missing = list(&format!("{address}?sslrootcert=/no/such/file")).exits(1);
    assert!(
        missing.err.contains("/no/such/file") && missing.err.contains("sslmode=disable"),
        "{}",
        missing.err
    );
    base.sql("ALTER SYSTEM SET ssl = off");
    base.sql("SELECT pg_reload_conf()");
    let plain = list(&format!("{address}?{trusted}"));
    let plain = if plain.code == Some(0) { list(&format!("{address}?{trusted}")) } else { plain }.exits(1);
    assert!(plain.err.contains("TLS"), "{}", plain.err);
}
