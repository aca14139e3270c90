//! Answers from another terminal, host or account.

use std::time::Duration;

use rustix::process::Signal;

use super::bench::{Bench, Said, signal};
use super::team::Team;

const OOM: &str = "[rank3]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 3 has a total \
capacity of 79.10 GiB of which 417.19 MiB is free. Including non-PyTorch memory, this process has 78.68 GiB memory in \
use. Of the allocated memory 60.92 GiB is allocated by PyTorch, and 16.40 GiB is reserved by PyTorch but unallocated.\n";
pub(super) const RUN: &[&str] = &["run", "mend", "--log", "train.err", "--script", "train.sbatch"];

/// A runbook that edits a script, with this gate.
pub(super) fn bench(approve: &str) -> Bench {
    let bench = Bench::new();
    bench.runbook("mend").write("train.err", OOM);
    bench.write("train.sbatch", "#!/bin/bash\n#SBATCH --nodes=2\nsrun python train.py\n");
    let written = bench.read("runbooks/mend/runbook.yaml");
    let ruled: Vec<String> = written
        .lines()
        .map(|line| match line.trim_start().starts_with("approve:") {
            true => format!("    approve: {approve}"),
            false => line.to_owned(),
        })
        .collect();
    assert_ne!(ruled.join("\n"), written.trim_end());
    bench.write("runbooks/mend/runbook.yaml", &ruled.join("\n"));
    bench
}

fn with<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [RUN, args].concat()
}

pub(super) fn edited(bench: &Bench) -> bool {
    bench.read("train.sbatch").contains("expandable_segments:True")
}

/// The digest of what the only gate shows.
fn digest(bench: &Bench) -> String {
    let pending = bench.run(&["pending", "--json"]).exits(0).json();
    pending["waiting"][0]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn what_waits_is_listed_and_a_parked_run_goes_on_with_the_answer() {
    let bench = bench("{ prompt: Edit it?, expires: 1h }");
    bench.run(RUN).exits(3);
    let run = bench.only_run();
    let pending = bench.run(&["pending"]).exits(0).out;
    for part in [&run[..], "Edit it?", "1 person", "closes ", "runbook approve", "(parked)"] {
        assert!(pending.contains(part), "{part}: {pending}");
    }
    let json = bench.run(&["pending", "--json"]).exits(0).json();
    let one = &json["waiting"][0];
    assert_eq!((&one["kind"], &one["node"], &one["walked"]), (&"gate".into(), &"edit".into(), &false.into()));
    assert_eq!(json["locks"], serde_json::json!([]));

    // Without a terminal only the digest of what was looked at is an answer.
    let unnamed = bench.run(&["approve", &run]).exits(2);
    assert!(unnamed.out.contains("+export PYTORCH_ALLOC_CONF") && unnamed.err.contains("--digest"));
    bench.run(&["approve", &run, "--yes"]).exits(2);
    bench.run(&["approve", &run, "--digest", "0123456789"]).exits(2);
    let digest = digest(&bench);
    bench.run(&["approve", &run, "--digest", &digest[..7]]).exits(2);
    assert_eq!(bench.run(&["pending", "--json"]).json()["waiting"][0]["agreed"], serde_json::json!([]));

    bench.run(&["approve", &run, "--digest", &digest[..8], "--reason", "looks right"]).exits(0);
    let twice = bench.run(&["approve", &run, "--digest", &digest[..8]]).exits(2);
    assert!(twice.err.contains("heard once"), "{}", twice.err);
    assert!(!edited(&bench), "an answer alone does nothing");
    let resumed = bench.run(&["resume", &run]).exits(0);
    assert!(resumed.out.contains("looks right") && resumed.out.contains("(from "), "{}", resumed.out);
    assert!(edited(&bench));
    let over = bench.run(&["approve", &run, "--digest", &digest[..8]]).exits(2);
    assert!(over.err.contains("it is over"), "{}", over.err);
    assert!(bench.run(&["pending"]).exits(0).out.contains("Nothing waits"));
}

#[test]
fn consent_to_what_is_no_longer_so_is_told_and_not_used() {
    let bench = bench("true");
    bench.run(RUN).exits(3);
    let run = bench.only_run();
    bench.run(&["approve", &run, "--digest", &digest(&bench)[..8]]).exits(0);
    bench.write("train.sbatch", "#!/bin/bash\n# somebody else was here\nsrun python train.py\n");
    let said = bench.run(&["resume", &run]).exits(3);
    assert!(said.out.contains("not counted, because it is about what was shown before"), "{}", said.out);
    assert!(said.out.contains("changed") && said.out.contains("look again"), "{}", said.out);
    assert!(!edited(&bench));
    bench.run(&["approve", &run, "--digest", &digest(&bench)[..8]]).exits(0);
    bench.run(&["resume", &run]).exits(0);
    assert!(edited(&bench));
}

#[test]
fn a_closed_gate_takes_no_answer_and_an_old_one_does_not_open_it() {
    let bench = bench("{ expires: 1s }");
    bench.run(RUN).exits(3);
    let run = bench.only_run();
    let digest = digest(&bench);
    bench.run(&["approve", &run, "--digest", &digest[..8]]).exits(0);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert!(bench.run(&["approve", &run, "--digest", &digest[..8]]).exits(2).err.contains("closed at"));
    bench.run(&["resume", &run]).exits(3);
    assert!(!edited(&bench));
}

#[test]
fn a_run_that_waits_goes_on_at_once() {
    let bench = bench("true");
    let child = bench.spawn(&with(&["--wait=5m"]));
    bench.wait_for("state/runs");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while bench.run(&["pending", "--json"]).json()["waiting"][0]["walked"] != true {
        assert!(std::time::Instant::now() < until);
    }
    let run = bench.only_run();
    let said = bench.run(&["approve", &run, "--digest", &digest(&bench)[..8]]).exits(0);
    assert!(said.out.contains("hears it at once"), "{}", said.out);
    super::bench::Said::of(child.wait_with_output().unwrap()).exits(0);
    assert!(edited(&bench));
}

#[test]
fn patience_ends() {
    let bench = bench("true");
    let said = bench.run(&with(&["--wait=1s"])).exits(3);
    assert!(said.out.contains("waits for an answer: runbook approve"), "{}", said.out);
    bench.run(&with(&["--wait=soon"])).exits(2);
}

#[test]
fn an_answer_reaches_whoever_sits_at_the_terminal() {
    let bench = bench("true");
    let mut terminal = bench.terminal(RUN);
    terminal.see("Approve?");
    let run = bench.only_run();
    bench.run(&["deny", &run, "--reason", "not during the demo"]).exits(0);
    terminal.see("declined").see("from ").see("not during the demo").see("HELD");
    terminal.exits(5);
    assert!(!edited(&bench));
}

#[test]
fn a_question_is_answered_from_elsewhere() {
    let bench = Bench::new();
    bench.runbook("choose");
    bench.run(&["run", "choose"]).exits(3);
    let run = bench.only_run();
    assert!(bench.run(&["pending"]).exits(0).out.contains("cold|warm"));
    let shown = bench.run(&["answer", &run]).exits(2);
    assert!(shown.out.contains("the sensor says 31 C"), "{}", shown.out);
    bench.run(&["answer", &run, "hot"]).exits(2);
    assert!(bench.run(&["approve", &run]).exits(2).err.contains("asks a question"));
    bench.run(&["answer", &run, "2"]).exits(0);
    assert!(bench.run(&["answer", &run, "cold"]).exits(2).err.contains("answered this already"));
    let said = bench.run(&["resume", &run]).exits(4);
    assert!(said.out.contains("chose warm"), "{}", said.out);
}

#[test]
fn two_accounts_agree() {
    let Some(team) = Team::new(bench("{ by: 2, expires: 1h }")) else { return };
    let (ada, ben, eve) = (team.ada(), team.ben(), team.eve());
    let bench = &team.bench;
    assert!(
        std::process::Command::new("chown")
            .arg(format!("{ada}:"))
            .arg(bench.path("train.sbatch"))
            .status()
            .unwrap()
            .success()
    );

    let mut terminal = team.terminal(ada, RUN);
    terminal.see("needs    2 people").see("Approve? ").type_in("y\n");
    terminal
        .see("(1 of 2)")
        .see("waits for somebody else (2 people): runbook approve")
        .see("[n]o / [d]etails / [l]ater: ");
    assert!(!edited(bench));
    let run = bench.only_run();

    // Whoever is not of the team cannot even look, and nobody can answer for another.
    let outside = team.run(eve, &["approve", &run, "--digest", "0123456789"]).exits(1);
    assert!(outside.err.contains("install -d -m 2770 -g GROUP"), "{}", outside.err);
    let place = format!("state/runs/{run}");
    for forbidden in [
        format!("echo >> {place}/journal.jsonl"),
        format!("mv {place}/replies {place}/other"),
        format!("rm -f {place}/lock"),
        format!("mv state/runs/{run} state/runs/gone"),
    ] {
        assert!(!team.shell(ben, &forbidden), "{forbidden}");
    }
    let own = team.run(ada, &["approve", &run, "--digest", &digest(bench)[..8]]).exits(2);
    assert!(own.err.contains("heard once"), "{}", own.err);

    let pending = team.run(ben, &["pending"]).exits(0).out;
    assert!(pending.contains(&format!("1 agreed: {ada}")), "{pending}");
    let mut other = team.terminal(ben, &["approve", &run, "--reason", "looks right"]);
    other.see("walked by").see("digest").see("Approve? ").type_in("y\n").see("(2 of 2)");
    other.exits(0);
    terminal.see("approved").see(&format!("by {ben} (from ")).see("(2 of 2): looks right").see("RESOLVED");
    terminal.exits(0);
    assert!(edited(bench));
}

#[test]
fn whose_a_vote_is_cannot_be_made_up() {
    let Some(team) = Team::new(bench("{ not_operator: true }")) else { return };
    let (ada, ben, bench) = (team.ada(), team.ben(), &team.bench);
    team.run(ada, RUN).exits(3);
    let run = bench.only_run();
    let own = team.run(ada, &["approve", &run, "--digest", &digest(bench)[..8]]).exits(2);
    assert!(own.err.contains("somebody else has to agree"), "{}", own.err);
    team.run(ada, &["resume", &run, "--yes"]).exits(3);

    // Ada writes what ben's answer would be: it is hers.
    team.run(ben, &["approve", &run, "--digest", &digest(bench)[..8]]).exits(0);
    let place = format!("state/runs/{run}/replies");
    assert!(team.shell(ada, &format!("cp {place}/*.json /tmp/stolen-$$ && rm {place}/*.json && cp /tmp/stolen-$$ {place}/1.json; rm /tmp/stolen-$$")));
    let said = team.run(ada, &["resume", &run]).exits(3);
    assert!(said.out.contains("does not count"), "{}", said.out);
    assert!(!edited(bench));

    // Ben's own file, that ada may write to.
    team.run(ada, &["resume", &run]).exits(3);
    team.run(ben, &["approve", &run, "--digest", &digest(bench)[..8]]).exits(0);
    assert!(team.shell(ben, &format!("for f in {place}/*.json; do [ -O $f ] && chmod 666 $f; done; true")));
    let said = team.run(ada, &["resume", &run]).exits(3);
    assert!(said.out.contains("may be written to by others"), "{}", said.out);
    assert!(!edited(bench));
}

#[test]
fn only_members_of_the_group_count() {
    let bench = bench("true");
    let Some(team) = Team::new(bench) else { return };
    let written = team.bench.read("runbooks/mend/runbook.yaml");
    let ruled = written.replace("approve: true", &format!("approve: {{ group: {}x }}", team.group()));
    team.bench.write("runbooks/mend/runbook.yaml", &ruled);
    team.run(team.ada(), RUN).exits(3);
    let run = team.bench.only_run();
    let said = team.run(team.ben(), &["approve", &run, "--digest", &digest(&team.bench)[..8]]).exits(2);
    assert!(said.err.contains("is no member of"), "{}", said.err);
    team.run(team.ben(), &["deny", &run, "--reason", "x"]).exits(2);
    team.run(team.ada(), &["deny", &run, "--reason", "whoever walks a run may stop it"]).exits(0);
    assert!(team.run(team.ada(), &["resume", &run]).exits(5).out.contains("HELD"));
}

#[test]
fn whoever_waits_for_somebody_else_may_say_no_or_stop() {
    let waiting = |bench: &Bench| {
        let mut terminal = bench.terminal(RUN);
        terminal.see("waits for somebody else").see("[n]o / [d]etails / [l]ater: ");
        terminal
    };
    let no = bench("{ not_operator: true }");
    let mut terminal = waiting(&no);
    terminal.type_in("y\n").see("Please type n, d or l.").see("[l]ater: ").type_in("n\n");
    terminal.see("Why not? (Enter to skip)").type_in("too late\n").see("too late");
    terminal.exits(5);
    assert!(!edited(&no));
    assert_eq!(answers(&no), [(false, Some("too late".to_owned()))]);

    let stop = bench("{ not_operator: true }");
    let terminal = waiting(&stop);
    signal(terminal.pid(), Signal::INT);
    terminal.exits(130);
    assert_eq!(answers(&stop), []);
    // It waits as before.
    let said = stop.run(&["resume", &stop.only_run()]).exits(3);
    assert!(said.out.contains("runbook approve"), "{}", said.out);
    assert!(!edited(&stop));
}

/// What was answered at gates, and why, as the journal has it.
fn answers(bench: &Bench) -> Vec<(bool, Option<String>)> {
    let journal = bench.read(&format!("state/runs/{}/journal.jsonl", bench.only_run()));
    let entries = journal.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let entries = entries.map(|mut line| line["entry"].take());
    let entries = entries.filter(|entry| entry["type"] == "gate_answered");
    let reason = |entry: &serde_json::Value| entry["reason"].as_str().map(str::to_owned);
    entries.map(|entry| (entry["approved"].as_bool().unwrap(), reason(&entry))).collect()
}

#[test]
fn of_answers_at_the_terminal_and_elsewhere_at_the_same_time_one_counts() {
    let once = bench("true");
    once.run(&with(&["--yes"])).exits(0);
    for (number, word) in ["approve", "deny", "approve", "deny", "approve", "deny"].into_iter().enumerate() {
        let bench = bench("true");
        let mut terminal = bench.terminal(RUN);
        terminal.see("Approve? ");
        let (run, digest) = (bench.only_run(), digest(&bench));
        let digest = format!("--digest={}", &digest[..8]);
        let args = if word == "approve" { vec![word, &run, &digest] } else { vec![word, &run] };
        let other = bench.spawn(&args);
        // Before, while and after the other one is heard.
        std::thread::sleep(Duration::from_millis(60 * number as u64));
        terminal.type_if_it_lives("y\n");
        let other = Said::of(other.wait_with_output().unwrap());
        terminal.ends();
        let answers = answers(&bench);
        assert_eq!(answers.len(), 1, "{answers:?}, {word}: {other:?}");
        let yes = answers[0].0;
        assert!(yes || (word == "deny" && other.code == Some(0)), "{answers:?}, {word}: {other:?}");
        let expected = if yes { &once } else { &self::bench("true") };
        assert_eq!(bench.read("train.sbatch"), expected.read("train.sbatch"), "{word}");
    }
}
