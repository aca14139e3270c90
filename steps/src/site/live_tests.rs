//! The live site against real processes and a real sshd.

use std::path::Path;
use std::time::{Duration, Instant};

use engine::site::{Command, Exit, Output, Site, SiteError, SiteErrorKind};
use proptest::prelude::*;

use super::LiveSite;
use super::sshd::Sshd;

fn live(sshd: &Sshd) -> LiveSite {
    LiveSite::with_ssh(Some(sshd.client_config()), Duration::from_secs(5))
}

fn seconds(seconds: f32) -> Duration {
    Duration::from_secs_f32(seconds)
}

/// Whether a process with this id runs; a zombie does not.
fn alive(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z') && !line.contains('X'))
}

fn gone_soon(pid: &str) -> bool {
    let patience = Instant::now() + seconds(5.0);
    while alive(pid) {
        if Instant::now() > patience {
            return false;
        }
        std::thread::sleep(seconds(0.02));
    }
    true
}

/// A script that leaves its own id and its child's in `dir`, both of which have to be gone after a timeout. The child
/// ignores every polite signal.
fn stubborn(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "echo $$ > {dir}/parent; (trap '' TERM HUP; sh -c 'echo $$ > {dir}/child; while :; do sleep 1; done') & sleep 100"
    )
}

fn pids(dir: &Path) -> [String; 2] {
    ["parent", "child"].map(|name| std::fs::read_to_string(dir.join(name)).unwrap())
}

#[tokio::test]
async fn local_commands_answer() {
    let site = LiveSite::new();
    let mut command = Command::script("cat; echo $A-$CARGO_PKG_NAME-$CARGO_MANIFEST_DIR >&2; pwd; exit 3")
        .stdin("in\n")
        .cwd("/usr");
    command.env.insert("A".into(), "b".into());
    command.env_remove = vec!["CARGO_*".into()];
    let output = site.run(&command).await.unwrap();
    assert_eq!((output.exit, output.text().as_ref()), (Exit::Code(3), "in\n/usr\n"));
    assert_eq!(output.err_text(), "b--\n");
    let killed = site.run(&Command::script("kill -9 $$")).await.unwrap();
    assert_eq!(killed.exit, Exit::Signal(9));
    let started = Instant::now();
    let left = site.run(&Command::script("sleep 20 & echo done")).await.unwrap();
    assert_eq!((left.text().as_ref(), started.elapsed() < seconds(15.0)), ("done\n", true));
}

#[tokio::test]
async fn local_commands_that_cannot_start_say_so() {
    let site = LiveSite::new();
    for command in [
        Command::argv(["no-such-program"]),
        Command::argv(["/etc/passwd"]),
        Command::argv(["true"]).cwd("/no"),
    ] {
        let error = site.run(&command).await.unwrap_err();
        assert_eq!(error.kind, SiteErrorKind::NotStarted, "{error}");
    }
}

#[tokio::test]
async fn local_output_is_bounded_while_it_is_drained() {
    let mut command = Command::script("head -c 3000000 /dev/zero; echo end >&2");
    command.output_limit = 1000;
    let output = LiveSite::new().run(&command).await.unwrap();
    assert_eq!((output.stdout.len(), output.truncated, output.exit), (1000, true, Exit::Code(0)));
    assert_eq!(output.stderr, b"end\n");
}

#[tokio::test]
async fn a_local_timeout_ends_the_whole_group() {
    let dir = tempfile::tempdir().unwrap();
    let command = Command::script(stubborn(dir.path())).timeout(seconds(2.0));
    let error = LiveSite::new().run(&command).await.unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Timeout);
    assert!(pids(dir.path()).iter().all(|pid| gone_soon(pid)));
}

#[tokio::test]
async fn a_local_command_nobody_waits_for_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let command = Command::script(stubborn(dir.path()));
    let site = LiveSite::new();
    assert!(tokio::time::timeout(seconds(1.5), site.run(&command)).await.is_err());
    assert!(pids(dir.path()).iter().all(|pid| gone_soon(pid)));
}

#[tokio::test]
async fn commands_on_a_host_share_one_connection() {
    let Some(sshd) = Sshd::start() else { return };
    let site = live(&sshd);
    let numbers: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let commands: Vec<Command> = numbers.iter().map(|n| Command::argv(["echo", n]).on("gpu-1")).collect();
    let site = std::sync::Arc::new(site);
    let running: Vec<_> = commands
        .into_iter()
        .map(|command| {
            let site = site.clone();
            tokio::spawn(async move { site.run(&command).await.unwrap().text().into_owned() })
        })
        .collect();
    for (n, task) in running.into_iter().enumerate() {
        assert_eq!(task.await.unwrap(), format!("{n}\n"));
    }
    assert_eq!(sshd.logins(), 1);
    let sockets = site.sockets().unwrap().to_owned();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&sockets).unwrap()) & 0o777, 0o700);
    site.close().await;
    assert_eq!(std::fs::read_dir(&sockets).unwrap().count(), 0);
    drop(site);
    assert!(!sockets.exists());
}

#[tokio::test]
async fn a_command_on_a_host_answers_like_a_local_one() {
    let Some(sshd) = Sshd::start() else { return };
    let site = live(&sshd);
    let mut command =
        Command::script("cat; echo $A >&2; pwd; exit 255").stdin("in\n").cwd("/usr").on("gpu-1");
    command.env.insert("A".into(), "b".into());
    let output = site.run(&command).await.unwrap();
    assert_eq!((output.exit, output.text().as_ref()), (Exit::Code(255), "in\n/usr\n"));
    assert_eq!(output.err_text(), "b\n");
    let missing = site.run(&Command::argv(["no-such-program"]).on("gpu-1")).await.unwrap_err();
    assert_eq!(missing.kind, SiteErrorKind::NotStarted, "{missing}");
    let nowhere = site.run(&Command::argv(["true"]).cwd("/no").on("gpu-1")).await.unwrap_err();
    assert_eq!(nowhere.kind, SiteErrorKind::NotStarted, "{nowhere}");
    let not_found = site.run(&Command::script("no-such-program").on("gpu-1")).await.unwrap();
    assert_eq!(not_found.exit, Exit::Code(127));
    let started = Instant::now();
    let left = site.run(&Command::script("sleep 20 & echo done").on("gpu-1")).await.unwrap();
    assert_eq!((left.text().as_ref(), started.elapsed() < seconds(15.0)), ("done\n", true));
}

#[tokio::test]
async fn output_of_a_host_is_bounded() {
    let Some(sshd) = Sshd::start() else { return };
    let mut command = Command::script("head -c 5000000 /dev/zero; head -c 5000 /dev/zero >&2").on("gpu-1");
    command.output_limit = 4096;
    let output = live(&sshd).run(&command).await.unwrap();
    assert_eq!((output.stdout.len(), output.stderr.len(), output.truncated), (4096, 4096, true));
    assert_eq!(output.exit, Exit::Code(0));
}

#[tokio::test]
async fn a_timeout_ends_the_command_on_the_host() {
    let Some(sshd) = Sshd::start() else { return };
    let site = live(&sshd);
    let command = Command::script(stubborn(sshd.dir())).timeout(seconds(2.0)).on("gpu-1");
    let error = site.run(&command).await.unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Timeout, "{error}");
    assert!(pids(sshd.dir()).iter().all(|pid| gone_soon(pid)));
    let deaf = Command::script("trap '' TERM; echo $$ > parent; sleep 100; sleep 100")
        .cwd(sshd.dir().to_str().unwrap())
        .timeout(seconds(2.0))
        .on("gpu-1");
    assert_eq!(site.run(&deaf).await.unwrap_err().kind, SiteErrorKind::Timeout);
    assert!(gone_soon(&pids(sshd.dir())[0]));
    assert!(site.run(&Command::argv(["true"]).on("gpu-1")).await.unwrap().success());
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test]
async fn hosts_that_cannot_be_reached_are_told_apart() {
    let Some(sshd) = Sshd::start() else { return };
    let site = live(&sshd);
    let kind = |answer: Result<Output, SiteError>| answer.unwrap_err().kind;
    let on = |host: &str| Command::argv(["true"]).on(host);
    assert_eq!(kind(site.run(&on("gone-1")).await), SiteErrorKind::Unreachable);
    assert_eq!(kind(site.run(&on("stranger")).await), SiteErrorKind::Denied);
    assert_eq!(kind(site.run(&on("-oProxyCommand=true")).await), SiteErrorKind::NotStarted);
    assert_eq!(kind(site.run(&on("a b")).await), SiteErrorKind::NotStarted);
}

#[tokio::test]
async fn a_connection_lost_midway_leaves_doubt_and_is_opened_anew() {
    let Some(sshd) = Sshd::start() else { return };
    let site = live(&sshd);
    // Ends the sshd process that serves this connection.
    let suicide = Command::script(
        "p=$PPID; while [ $(ps -o comm= $p) != sshd ]; do p=$(ps -o ppid= $p); done; kill -9 $p; sleep 2",
    )
    .on("gpu-1");
    let error = site.run(&suicide).await.unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Unknown, "{error}");
    assert!(site.run(&Command::argv(["true"]).on("gpu-1")).await.unwrap().success());
    assert_eq!(sshd.logins(), 2);
}

#[test]
fn any_words_arrive_on_a_host_as_they_are() {
    let Some(sshd) = Sshd::start() else { return };
    let site = live(&sshd);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let words = prop::collection::vec("[^\0]{0,16}", 1..4);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(24));
    let checked = runner.run(&words, |words| {
        let argv = ["printf".to_owned(), "%s\\n".to_owned()].into_iter().chain(words.iter().cloned());
        let output = runtime.block_on(site.run(&Command::argv(argv).on("gpu-1"))).unwrap();
        let expected: String = words.iter().map(|word| format!("{word}\n")).collect();
        prop_assert_eq!(output.text().into_owned(), expected);
        Ok(())
    });
    checked.unwrap();
    runtime.block_on(site.close());
}
