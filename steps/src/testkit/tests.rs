use std::time::Duration;

use engine::site::{Command, Exit, Site, SiteErrorKind, digest};

use super::*;

#[tokio::test]
async fn answers_in_turn_and_the_last_repeats() {
    let site = FakeSite::new();
    site.local(["squeue"], [ok("PENDING"), ok("RUNNING")]);
    let ask = || async { site.run(&Command::argv(["squeue", "-j", "7"])).await.unwrap().text().into_owned() };
    assert_eq!([ask().await, ask().await, ask().await], ["PENDING", "RUNNING", "RUNNING"]);
    let elsewhere = site.run(&Command::argv(["squeue"]).on("gpu-1")).await.unwrap_err();
    assert_eq!(elsewhere.kind, SiteErrorKind::NotStarted);
    assert_eq!(site.commands()[3], "ssh gpu-1 squeue");
}

#[tokio::test]
async fn the_last_rule_wins_and_output_is_bounded() {
    let site = FakeSite::new();
    site.script("a", ok("first"));
    site.script("ab", exit(3, "second", "x"));
    let mut command = Command::script("echo ab");
    command.output_limit = 2;
    let output = site.run(&command).await.unwrap();
    assert_eq!((output.exit, output.stdout.as_slice(), output.truncated), (Exit::Code(3), &b"se"[..], true));
}

#[tokio::test]
async fn files_behave_like_files() {
    let site = FakeSite::new();
    site.file("/a/b/c", "hello");
    assert_eq!(site.read("/a/b/c", 1, 3).await.unwrap(), b"ell");
    assert_eq!(site.read("/a/b/c", 9, 3).await.unwrap(), b"");
    assert_eq!(site.list("/a").await.unwrap()[0].name, "b");
    assert_eq!(site.stat("/nothing").await.unwrap(), None);
    let stale = site.replace("/a/b/c", Some(&digest(b"other")), b"new").await.unwrap_err();
    assert_eq!(stale.kind, SiteErrorKind::Conflict);
    site.replace("/a/b/c", Some(&digest(b"hello")), b"new").await.unwrap();
    site.remove("/a/b/c", &digest(b"new")).await.unwrap();
    site.remove("/a/b/c", &digest(b"new")).await.unwrap();
    assert_eq!(site.content("/a/b/c"), None);
}

#[tokio::test]
async fn sleeping_moves_the_clock_and_lets_things_happen() {
    let site = FakeSite::new();
    let start = site.now();
    site.later(Duration::from_secs(20), |site| site.file("/log", "two"));
    site.later(Duration::from_secs(10), |site| site.file("/log", "one"));
    site.sleep(Duration::from_secs(15)).await;
    assert_eq!(site.content("/log").unwrap(), b"one");
    site.sleep(Duration::from_secs(15)).await;
    assert_eq!(site.content("/log").unwrap(), b"two");
    assert_eq!(site.now().duration_since(start), jiff::SignedDuration::from_secs(30));
}

#[tokio::test]
async fn the_longest_beginning_of_a_line_answers_and_answers_queue_up() {
    let site = FakeSite::new();
    site.answer("squeue", "PENDING");
    site.answer("squeue", "RUNNING");
    site.fail("squeue -j 8", 1, "Invalid job id specified");
    let ask = async |id: &str| {
        let mut command = Command::argv(["squeue", "-j", id]);
        command.env.insert("TZ".to_owned(), "UTC".to_owned());
        site.run(&command).await.unwrap()
    };
    assert_eq!(ask("7").await.text(), "PENDING");
    assert_eq!(ask("8").await.exit, Exit::Code(1));
    assert_eq!([ask("7").await.text(), ask("7").await.text()], ["RUNNING", "RUNNING"]);
    assert_eq!(site.lines()[0], "squeue -j 7");
}

#[tokio::test]
async fn what_is_broken_fails_and_a_pause_lets_things_happen() {
    let site = FakeSite::new();
    site.file("/a/b", "x");
    site.broken("/a", SiteErrorKind::Timeout);
    assert_eq!(site.list("/a").await.unwrap_err().kind, SiteErrorKind::Timeout);
    site.on_sleep(|site| site.file("/log", site.slept().as_secs().to_string()));
    site.sleep(Duration::from_secs(2)).await;
    site.sleep(Duration::from_secs(3)).await;
    assert_eq!(site.content("/log").unwrap(), b"5");
}
