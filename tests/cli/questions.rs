//! What only a person can answer.

use super::bench::Bench;

fn bench() -> Bench {
    let bench = Bench::new();
    bench.runbook("choose");
    bench
}

#[test]
fn a_question_waits_and_says_how_it_can_be_answered() {
    let bench = bench();
    // `--yes` agrees to changes; it knows no answers.
    let said = bench.run(&["run", "choose", "--yes"]).exits(3);
    insta::assert_snapshot!(bench.redact(&said.out));
    let run = bench.only_run();
    bench.run(&["resume", &run, "--answer", "which=cold"]).exits(0);
    assert!(bench.run(&["runs", "show", &run]).exits(0).out.contains("(--answer) chose"));
}

#[test]
fn an_answer_by_flag_has_to_be_one_of_its_answers() {
    let bench = bench();
    bench.run(&["run", "choose", "--answer", "which=warm"]).exits(4);
    let wrong = bench.run(&["run", "choose", "--answer", "which=hot"]).exits(2);
    assert!(wrong.err.contains("it can with cold, warm"), "{}", wrong.err);
    bench.run(&["run", "choose", "--answer", "where=cold"]).exits(2);
    bench.run(&["run", "choose", "--answer", "which"]).exits(2);
}

#[test]
fn a_person_chooses_by_number_or_word() {
    for (typed, code) in [("1\n", 0), ("warm\n", 4), ("l\n", 3)] {
        let bench = bench();
        let mut terminal = bench.terminal(&["run", "choose"]);
        terminal.see("the sensor says 31 C").see("1  cold").see("Answer 1-2 or [l]ater: ").type_in("3\n");
        terminal.see("Please type a number from 1 to 2.").see("Answer 1-2").type_in(typed);
        terminal.exits(code);
    }
}
