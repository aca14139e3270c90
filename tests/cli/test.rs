//! Scenarios: what they find, what they cover, and that those of the runbooks that ship pass every edge.

use std::path::Path;

use super::bench::Bench;
use super::slurm::bench;

/// A bench with the runbook `stop` and a recording of a run that stopped job 1.
fn recorded() -> Bench {
    let bench = bench();
    bench.run(&["run", "stop", "--job", "1", "--yes", "--record", "released.yaml"]).exits(0);
    let recording = bench.read("released.yaml");
    let clean = Bench::new();
    clean.runbook("stop").write("runbooks/stop/rehearsals/worlds/released.yaml", &recording);
    clean
}

fn scenario(bench: &Bench, name: &str, text: &str) {
    bench.write(&format!("runbooks/stop/rehearsals/{name}.yaml"), text);
}

const RELEASED: &str = "\
# Kept: comments of people.
scenario: The job is stopped
recording: worlds/released
expect:
  path: [job:found, stop:released, done]
  end: resolved
  outputs: { job: { state: RUNNING } }
  commands: [scancel *]
# And this one.
";

#[test]
fn every_runbook_that_ships_is_clean_and_passes_its_scenarios_over_every_edge() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bench = Bench::new();
    for shelf in ["runbooks", "examples"] {
        for folder in std::fs::read_dir(root.join(shelf)).unwrap().map(|entry| entry.unwrap().path()) {
            if !folder.join("runbook.yaml").is_file() {
                continue;
            }
            bench.run(&["check", folder.to_str().unwrap(), "--deny", "warnings"]).exits(0);
            let suites = bench.run(&["test", folder.to_str().unwrap(), "--json"]).exits(0).json();
            let coverage = &suites[0]["coverage"];
            assert_eq!(coverage["nodes"]["missing"], serde_json::json!([]), "{}", folder.display());
            assert_eq!(coverage["edges"]["missing"], serde_json::json!([]), "{}", folder.display());
        }
    }
}

#[test]
fn what_does_not_do_as_expected_is_told_and_can_be_written_down() {
    let bench = recorded();
    scenario(&bench, "released", RELEASED);
    bench.run(&["test"]).exits(0);
    let other = RELEASED
        .replace("stop:released, done", "stop:stuck, by_hand")
        .replace("end: resolved", "end: escalated")
        .replace("RUNNING", "PENDING")
        .replace("[scancel *]", "[]");
    scenario(&bench, "released", &other);
    let said = bench.run(&["test", "stop", "--junit", "results.xml"]).exits(1);
    insta::assert_snapshot!(bench.redact(&said.out));
    let xml = bench.read("results.xml");
    assert!(xml.contains("tests=\"1\" failures=\"1\" errors=\"0\""), "{xml}");
    assert!(
        xml.contains("message=\"path: after job:found expected stop:stuck, found stop:released\""),
        "{xml}"
    );
    bench.run(&["test", "stop", "--update"]).exits(0);
    insta::assert_snapshot!(bench.read("runbooks/stop/rehearsals/released.yaml"));
    bench.run(&["test", "stop"]).exits(0);
}

#[test]
fn faults_answers_and_hand_written_worlds_lead_elsewhere() {
    let bench = recorded();
    scenario(
        &bench,
        "declined",
        "scenario: no\nrecording: worlds/released\nanswers: { stop: no }\nexpect: { path: [job:found, stop!declined], end: held, commands: [] }\n",
    );
    scenario(
        &bench,
        "nobody",
        "scenario: nobody\nrecording: worlds/released\nanswers: { stop: nobody }\nexpect: { path: [job:found, stop], end: parked }\n",
    );
    scenario(
        &bench,
        "denied",
        "scenario: denied\nrecording: worlds/released\nfaults:\n- { on: scancel 1, exit: 1, stderr: \"scancel: error: Kill job error on job id 1: Access/permission denied\" }\nexpect: { path: [job:found, stop:denied, by_hand] }\n",
    );
    scenario(
        &bench,
        "broken",
        "scenario: broken\nrecording: worlds/released\nfaults:\n- { at: stop, breaks: timeout }\nexpect: { path: [job:found, stop!failed], end: held }\n",
    );
    scenario(
        &bench,
        "by-hand",
        "scenario: written by hand\nclock: 2026-11-24T03:12:44Z\ninputs: { job: 7 }\nexchanges:\n- run: { argv: [scontrol, -o, show, job, \"7\"], exit: 1, stderr: \"slurm_load_jobs error: Invalid job id specified\\n\" }\n- run: { argv: [sacct, --helpformat], stdout: \"JobID State\\n\" }\nfaults:\n- { on: \"sacct -n *\", stdout: \"\" }\nexpect: { path: [job:missing, nothing] }\n",
    );
    let said = bench.run(&["test", "stop"]).exits(0);
    assert!(said.out.contains("5 of 5 passed"), "{}", said.out);
    let rehearsed = bench.run(&["rehearse", "stop", "--recording", "declined"]).exits(5);
    assert!(rehearsed.out.contains("HELD"), "{}", rehearsed.out);
    scenario(
        &bench,
        "idle",
        "scenario: never\nrecording: worlds/released\nfaults: [{ on: \"sinfo *\", error: io }]\nexpect: { end: resolved }\n",
    );
    let said = bench.run(&["test", "stop", "--scenario", "idle"]).exits(1);
    assert!(said.out.contains("nothing like `sinfo *` was asked"), "{}", said.out);
}

#[test]
fn every_mistake_in_a_scenario_is_shown_at_its_place() {
    let bench = recorded();
    scenario(
        &bench,
        "wrong",
        "scenario: wrong\nrecording: worlds/nowhere\ninputs: { jbo: 1, job: [] }\nanswers: { stpo: yes, stop: maybe, done: yes }\n\
         faults:\n- { on: x }\n- { at: stop, outcome: relesed }\n- { at: stop, breaks: often }\n- { on: x, error: bad }\n\
         expect:\n  path: [job:fuond, nowhere, \"stop!what\"]\n  end: fine\n  outputs: { nodes: {} }\n",
    );
    let said = bench.run(&["test", "stop"]).exits(2);
    insta::assert_snapshot!(bench.redact(&said.out));
    scenario(&bench, "wrong", "scenario: wrong\nrecording: worlds/nowhere\n");
    let said = bench.run(&["test", "stop"]).exits(2);
    assert!(said.out.contains("worlds/nowhere") && said.out.contains("No such file"), "{}", said.out);
    scenario(
        &bench,
        "wrong",
        "scenario: wrong\nclock: 2026-11-24T03:12:44Z\nexchanges:\n- run: { argv: scancel }\n",
    );
    let said = bench.run(&["test", "stop"]).exits(2);
    assert!(said.out.contains("this is no exchange"), "{}", said.out);
}
