//! What the administrators of a site demand. Only a debug build lets the tests name another file than theirs.

use std::os::unix::fs::PermissionsExt;

use super::approval::{RUN, bench, edited};
use super::bench::{Bench, Said};

const TWO: &str = "rules:\n- match: { effect: changes, steps: [launch.*] }\n  approve: { by: 2 }\n";

/// The program under the bench's own policy.
fn run(bench: &Bench, args: &[&str]) -> Said {
    let mut command = bench.command(args);
    Said::of(command.env("RUNBOOK_TEST_POLICY", bench.path("site/policy.yaml")).output().unwrap())
}

fn with<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [RUN, args].concat()
}

fn policy(bench: &Bench, text: &str) {
    let path = bench.write("site/policy.yaml", text);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn no_author_can_forget_a_gate() {
    let bench = bench("never");
    policy(&bench, TWO);
    let dry = run(&bench, &with(&["--dry-run"])).exits(0).out;
    assert!(dry.contains("the policy of this site: asks 2 people"), "{dry}");
    let json = run(&bench, &with(&["--dry-run", "--json"])).exits(0).out;
    assert!(json.contains(r#""policy":{"gate":{"by":2"#), "{json}");
    let said = run(&bench, &with(&["--yes"])).exits(3);
    assert!(said.out.contains("needs    2 people") && said.out.contains("(1 of 2)"), "{}", said.out);
    assert!(!edited(&bench));
}

#[test]
fn what_is_forbidden_is_not_done() {
    let bench = bench("true");
    policy(&bench, "rules: [{ match: { runbooks: [me*] }, forbid: not before the audit }]");
    let dry = run(&bench, &with(&["--dry-run"])).exits(0).out;
    assert!(dry.contains("FORBIDS it: not before the audit"), "{dry}");
    let said = run(&bench, &with(&["--yes"])).exits(5);
    assert!(said.out.contains("the policy of this site: not before the audit"), "{}", said.out);
    assert!(!edited(&bench));
}

#[test]
fn a_policy_that_cannot_be_used_lets_nothing_through() {
    let closed = |spoil: &dyn Fn(&Bench), why: &str| {
        let bench = bench("true");
        policy(&bench, "rules: []");
        spoil(&bench);
        let said = run(&bench, &with(&["--yes"])).exits(5);
        assert!(said.out.contains(why) && !edited(&bench), "{}", said.out);
        let shown = run(&bench, &["policy"]).exits(2).err;
        assert!(shown.contains("nothing may be changed"), "{shown}");
        // What only reads goes on.
        let read = ["steps", "run", "oom.read", "--with", "logs=train.err", "--json"];
        assert_eq!(run(&bench, &read).exits(0).json()["outcome"], "gpu_oom");
        run(&bench, &["check", "mend"]).exits(0);
    };
    let mode = |bench: &Bench, name: &str, mode| {
        std::fs::set_permissions(bench.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    closed(&|bench| policy(bench, "rules: [{ match: {}, forbid: x"), "policy.yaml, line 1");
    closed(&|bench| mode(bench, "site/policy.yaml", 0o664), "may be written to by others");
    closed(&|bench| mode(bench, "site", 0o777), "may be written to by others");
    closed(
        &|bench| {
            std::fs::remove_file(bench.path("site/policy.yaml")).unwrap();
            std::os::unix::fs::symlink("nowhere", bench.path("site/policy.yaml")).unwrap();
        },
        "No such file",
    );
    closed(
        &|bench| {
            std::fs::remove_file(bench.path("site/policy.yaml")).unwrap();
            std::fs::create_dir(bench.path("site/policy.yaml")).unwrap();
        },
        "no plain file",
    );
}

#[test]
fn a_policy_that_changes_while_people_are_asked_counts() {
    let bench = bench("true");
    policy(&bench, "rules: []");
    run(&bench, RUN).exits(3);
    let id = bench.only_run();
    let pending = run(&bench, &["pending", "--json"]).json();
    let digest = pending["waiting"][0]["digest"].as_str().unwrap().to_owned();
    run(&bench, &["approve", &id, "--digest", &digest[..8]]).exits(0);
    policy(&bench, TWO);
    let said = run(&bench, &["resume", &id]).exits(3);
    assert!(said.out.contains("the policy of the site was changed"), "{}", said.out);
    assert!(said.out.contains("needs    2 people") && !edited(&bench), "{}", said.out);
}

#[test]
fn what_is_in_force_and_what_is_wrong_is_shown() {
    let bench = Bench::new();
    assert!(run(&bench, &["policy"]).exits(0).out.contains("There is no"));
    policy(
        &bench,
        "rules:\n- match: { effect: irreversible, targets: [node/login*] }\n  approve: { by: 2, not_operator: true, group: sre, expires: 30m }\n- match: {}\n  forbid: holidays\nbudget: { nodes_drained: { most: 4, per: 1h } }\n",
    );
    insta::assert_snapshot!(bench.redact(&run(&bench, &["policy"]).exits(0).out));
    bench.write("new.yaml", "rules:\n- match: { effcet: irreversible }\n  approve: { by: 0 }\n");
    insta::assert_snapshot!(bench.redact(&run(&bench, &["policy", "--check", "new.yaml"]).exits(2).err));
}
