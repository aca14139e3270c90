//! Recording and replaying: the same answers, whatever was asked.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::site::{Command, Site, SiteErrorKind, digest};
use proptest::prelude::*;

use super::{Content, Exchange, Looked, Ran, ReadPart, RecordedSite, Recorder, Recording, RecordingWriter};
use crate::duration::Timespan;
use crate::testkit::{FakeSite, exit, fails, ok};

const RECORDED: &str = "20261124-aaaa";
const REPLAYED: &str = "20261125-bbbb";

#[derive(Debug, Clone)]
enum Ask {
    Run { host: Option<u8>, word: u8, token: bool, input: Option<u8> },
    Read { file: u8, offset: u64, length: usize },
    Stat(u8),
    List,
    Replace { file: u8, right: bool, content: u8 },
    Remove { file: u8, right: bool },
    Sleep(u8),
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let file = 0u8..3;
    let ask = prop_oneof![
        (prop::option::of(0u8..2), 0u8..3, any::<bool>(), prop::option::of(0u8..2))
            .prop_map(|(host, word, token, input)| Ask::Run { host, word, token, input }),
        (file.clone(), 0u64..6, 0usize..40).prop_map(|(file, offset, length)| Ask::Read {
            file,
            offset,
            length
        }),
        file.clone().prop_map(Ask::Stat),
        Just(Ask::List),
        (file.clone(), any::<bool>(), any::<u8>()).prop_map(|(file, right, content)| Ask::Replace {
            file,
            right,
            content
        }),
        (file, any::<bool>()).prop_map(|(file, right)| Ask::Remove { file, right }),
        (0u8..90).prop_map(Ask::Sleep),
    ];
    prop::collection::vec(ask, 0..30)
}

fn world() -> FakeSite {
    let site = FakeSite::new();
    let mut turn = 0;
    site.when_run(
        |_| true,
        move |command| {
            turn += 1;
            match turn % 5 {
                0 => fails(SiteErrorKind::Timeout, format!("{command}: too long")),
                1 => exit(1, "", vec![0xff, turn]),
                _ => ok(format!("turn {turn} of {{run}}\n  {command}\n")),
            }
        },
    );
    site.file("/d/f0", "zero\nzero\n");
    site.file("/d/f1", vec![0x80, b'\n', 0]);
    site
}

/// Asks everything of one site and gives what it said, with the run's id taken out.
async fn answers(site: &dyn Site, run: &str, asks: &[Ask]) -> Vec<String> {
    let mut said = Vec::new();
    for ask in asks {
        let path = |file: &u8| format!("/d/f{file}");
        let answer = match ask {
            Ask::Run { host, word, token, input } => {
                let word =
                    if *token { format!("--comment=runbook:{run}/{word}") } else { format!("{{run}}{word}") };
                let mut command = Command::argv(["tool".to_owned(), word]);
                command.host = host.map(|n| format!("gpu-{n}"));
                command.stdin = input.map(|n| format!("{run} {n}").into_bytes());
                let answer = site.run(&command).await;
                format!(
                    "{:?}",
                    answer
                        .map(|mut o| (o.exit, std::mem::take(&mut o.stdout), o.stderr))
                        .map_err(|e| e.to_string())
                ) + &String::from_utf8_lossy(&[])
            }
            Ask::Read { file, offset, length } => {
                format!("{:?}", site.read(&path(file), *offset, *length).await.map_err(|e| e.to_string()))
            }
            Ask::Stat(file) => format!("{:?}", site.stat(&path(file)).await.map_err(|e| e.to_string())),
            Ask::List => format!("{:?}", site.list("/d").await.map_err(|e| e.to_string())),
            Ask::Replace { file, right, content } => {
                let present = site.read_all(&path(file), 1000).await.ok();
                let expected = if *right { present.map(|p| digest(&p)) } else { Some("0".repeat(64)) };
                let content = format!("{content} is new");
                let done = site.replace(&path(file), expected.as_deref(), content.as_bytes()).await;
                format!("{:?}", done.map_err(|e| e.to_string()))
            }
            Ask::Remove { file, right } => {
                let present = site.read_all(&path(file), 1000).await.unwrap_or_default();
                let expected = if *right { digest(&present) } else { "0".repeat(64) };
                format!("{:?}", site.remove(&path(file), &expected).await.map_err(|e| e.to_string()))
            }
            Ask::Sleep(seconds) => {
                site.sleep(Duration::from_secs((*seconds).into())).await;
                String::new()
            }
        };
        said.push(answer);
    }
    said
}

/// `Debug` of bytes is a list of numbers, in which a run's id hides; both ids become the same numbers.
fn comparable(said: Vec<String>) -> Vec<String> {
    let numbers = |run: &str| run.bytes().map(|b| b.to_string()).collect::<Vec<_>>().join(", ");
    said.into_iter()
        .map(|s| s.replace(&numbers(REPLAYED), &numbers(RECORDED)).replace(REPLAYED, RECORDED))
        .collect()
}

fn recorder(world: FakeSite, run: &str, path: &Path) -> Recorder {
    let writer = RecordingWriter::create(path, world.now(), &BTreeMap::new()).unwrap();
    Recorder::new(Arc::new(world), run, writer)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_replay_answers_like_the_recorded_world(asks in asks()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("r.yaml");
            let recorder = recorder(world(), RECORDED, &path);
            let live = answers(&recorder, RECORDED, &asks).await;
            prop_assert!(recorder.take_error().is_none());
            let text = std::fs::read_to_string(&path).unwrap();
            prop_assert!(!text.contains(RECORDED), "{}", text);
            let replay = RecordedSite::new(Recording::load(&path).unwrap(), REPLAYED);
            let replayed = answers(&replay, REPLAYED, &asks).await;
            prop_assert_eq!(comparable(replayed), comparable(live));
            Ok(())
        })?;
    }
}

fn recording(exchanges: Vec<Exchange>) -> Recording {
    let mut recording = Recording::new("2026-11-24T03:12:44Z".parse().unwrap());
    recording.exchanges = exchanges;
    recording
}

fn squeue(stdout: &str, took: u64) -> Exchange {
    Exchange::Run(Ran {
        argv: Some(vec!["squeue".into(), "-j".into(), "7".into()]),
        stdout: Content::Inline(stdout.into()),
        took: Timespan::seconds(took),
        ..Ran::default()
    })
}

fn file(path: &str, offset: u64, length: Option<u64>, content: &str) -> Exchange {
    let content = Content::Inline(content.into());
    Exchange::Read(ReadPart { path: path.into(), offset, length, content, error: None })
}

#[tokio::test]
async fn answers_come_in_order_and_the_clock_is_the_recordings() {
    let site = RecordedSite::new(recording(vec![squeue("PENDING", 2), squeue("RUNNING", 3)]), "r");
    let ask = Command::argv(["squeue", "-j", "7"]);
    let mut said = Vec::new();
    for _ in 0..3 {
        said.push(site.run(&ask).await.unwrap().text().into_owned());
    }
    site.sleep(Duration::from_secs(60)).await;
    assert_eq!(said, ["PENDING", "RUNNING", "RUNNING"]);
    assert_eq!(site.now().to_string(), "2026-11-24T03:13:52Z");
    let input = ask.clone().stdin("recorded without input: fits any");
    assert!(site.run(&input).await.is_ok());
}

#[tokio::test]
async fn while_the_run_was_idle_time_went_on_in_a_replay_too() {
    let runs = [squeue("PENDING", 2), Exchange::Idle(Timespan::minutes(20)), squeue("RUNNING", 3)];
    let site = RecordedSite::new(recording(runs.to_vec()), "r");
    let ask = Command::argv(["squeue", "-j", "7"]);
    let mut times = Vec::new();
    for _ in 0..3 {
        site.run(&ask).await.unwrap();
        times.push(site.now().to_string());
    }
    assert_eq!(times, ["2026-11-24T03:12:46Z", "2026-11-24T03:32:49Z", "2026-11-24T03:32:52Z"]);
}

/// Only what is neither asked nor slept is idle.
#[tokio::test]
async fn a_recording_tells_how_long_the_run_was_idle() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.yaml");
    let world = Arc::new(world());
    let writer = RecordingWriter::create(&path, world.now(), &BTreeMap::new()).unwrap();
    let recorder = Recorder::new(Arc::clone(&world) as Arc<dyn Site>, RECORDED, writer);
    let look = async || recorder.stat("/x").await.unwrap();
    look().await;
    recorder.sleep(Duration::from_secs(90)).await;
    look().await;
    world.sleep(Duration::from_secs(1260)).await;
    look().await;
    let exchanges = Recording::load(&path).unwrap().exchanges;
    let idle: Vec<_> = exchanges.iter().filter(|one| matches!(one, Exchange::Idle(_))).collect();
    assert_eq!(idle, [&Exchange::Idle(Timespan::minutes(21))]);
    assert_eq!(exchanges.len(), 4);
    assert_eq!(&exchanges[2], idle[0]);
}

#[tokio::test]
async fn causes_come_before_their_effects_however_often_is_asked() {
    let scancel = |id: &str| {
        let argv = Some(vec!["scancel".into(), id.to_owned()]);
        Exchange::Run(Ran { argv, changes: true, ..Ran::default() })
    };
    let exchanges = vec![
        squeue("RUNNING", 0),
        scancel("7"),
        squeue("COMPLETING", 0),
        squeue("CANCELLED", 0),
        scancel("8"),
        Exchange::Stat(Looked { path: "/new".into(), is: None, error: None }),
    ];
    let site = RecordedSite::new(recording(exchanges), "no-such-run");
    let ask = async |site: &RecordedSite| {
        site.run(&Command::argv(["squeue", "-j", "7"])).await.unwrap().text().into_owned()
    };
    let cancel = async |site: &RecordedSite, id: &str| {
        site.run(&Command::argv(["scancel", id]).changing()).await.unwrap();
    };
    assert_eq!([ask(&site).await, ask(&site).await], ["RUNNING", "RUNNING"]);
    assert_eq!(site.stat("/new").await.unwrap_err().kind, SiteErrorKind::NotRecorded);
    // A run that was cut off before it asked does not get what is stale by now.
    let other = RecordedSite::fork(&site);
    cancel(&site, "7").await;
    assert_eq!(
        [ask(&site).await, ask(&site).await, ask(&site).await],
        ["COMPLETING", "CANCELLED", "CANCELLED"]
    );
    cancel(&site, "8").await;
    assert_eq!((ask(&site).await.as_str(), site.stat("/new").await.unwrap()), ("CANCELLED", None));
    assert_eq!(ask(&other).await, "RUNNING", "a fork goes its own way");
    cancel(&other, "8").await;
    assert_eq!(ask(&other).await, "CANCELLED");
}

#[tokio::test]
async fn what_is_not_there_names_the_nearest_and_the_remedy() {
    let site = RecordedSite::new(recording(vec![squeue("x", 0), file("/logs/7.out", 0, None, "x")]), "r");
    let error = site.run(&Command::argv(["squeue", "-j", "8"])).await.unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::NotRecorded);
    insta::assert_snapshot!(error, @r#"the recording has no `squeue -j 8`; the nearest is `squeue -j 7`; add under `exchanges`:  - run: {"exit":0,"stdout":"…","argv":["squeue","-j","8"]}"#);
    insta::assert_snapshot!(site.run(&Command::argv(["squeue", "-j", "7"]).cwd("/x")).await.unwrap_err(), @r#"the recording has no `squeue -j 7`; the same command is there with another directory or standard input; add under `exchanges`:  - run: {"exit":0,"stdout":"…","argv":["squeue","-j","7"],"cwd":"/x"}"#);
    insta::assert_snapshot!(site.read("/logs/8.out", 0, 9).await.unwrap_err(), @r#"the recording has no read of /logs/8.out; the nearest is /logs/7.out; add under `exchanges`:  - read: {"path":"/logs/8.out","content":"…"}"#);
}

#[tokio::test]
async fn parts_of_a_file_are_put_together() {
    let parts =
        vec![file("/log", 0, Some(4), "0123"), file("/log", 4, Some(4), "45"), file("/a", 0, None, "whole")];
    let site = RecordedSite::new(recording(parts), "r");
    assert_eq!(site.read("/log", 2, 100).await.unwrap(), b"2345");
    assert_eq!(site.read("/log", 9, 1).await.unwrap(), b"");
    assert_eq!(site.read("/a", 1, 3).await.unwrap(), b"hol");
    let hole = RecordedSite::new(recording(vec![file("/log", 0, Some(4), "0123")]), "r");
    assert_eq!(hole.read("/log", 2, 100).await.unwrap_err().kind, SiteErrorKind::NotRecorded);
}

#[tokio::test]
async fn writes_are_checked_and_seen_by_later_reads() {
    let site = RecordedSite::new(recording(vec![file("/s", 0, None, "old")]), "r");
    let stale = site.replace("/s", Some(&digest(b"other")), b"new").await.unwrap_err();
    assert_eq!(stale.kind, SiteErrorKind::Conflict);
    site.replace("/s", Some(&digest(b"old")), b"newer").await.unwrap();
    assert_eq!(site.read("/s", 0, 9).await.unwrap(), b"newer");
    assert_eq!(site.stat("/s").await.unwrap().unwrap().size, 5);
    assert_eq!(site.list("/").await.unwrap()[0].name, "s");
    site.remove("/s", &digest(b"newer")).await.unwrap();
    assert_eq!(site.stat("/s").await.unwrap(), None);
    assert_eq!(site.read("/s", 0, 9).await.unwrap_err().kind, SiteErrorKind::NotFound);
    let blind = site.replace("/never-read", None, b"x").await.unwrap_err();
    assert_eq!(blind.kind, SiteErrorKind::NotRecorded);
}

#[tokio::test]
async fn environment_and_input_are_not_written_down() {
    let world = FakeSite::new();
    world.local(["tool"], ok(""));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.yaml");
    let recorder = recorder(world, "r", &path);
    let mut command = Command::argv(["tool"]).stdin("hunter2");
    command.env.insert("TOKEN".into(), "hunter3".into());
    recorder.run(&command).await.unwrap();
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept.contains("tool"), "{kept}");
    assert!(!kept.contains("hunter") && !kept.contains("TOKEN"), "{kept}");
}

#[tokio::test]
async fn a_visit_may_have_another_number_than_when_it_was_recorded() {
    let run = |line: &str, stdout: &str, changes| {
        let argv = Some(line.split(' ').map(str::to_owned).collect());
        Exchange::Run(Ran { argv, stdout: Content::Inline(stdout.into()), changes, ..Ran::default() })
    };
    let exchanges = vec![
        run("sbatch --comment={run}/12", "7", true),
        run("squeue", "7 {run}/12", false),
        run("sbatch --comment={run}/25", "8", true),
        run("squeue", "7 {run}/12, 8 {run}/25", false),
    ];
    let site = RecordedSite::new(recording(exchanges), "r");
    let ask = async |words: [&str; 2]| {
        let words = words.into_iter().filter(|word| !word.is_empty());
        site.run(&Command::argv(words)).await.map(|output| output.text().into_owned())
    };
    assert_eq!(ask(["sbatch", "--comment=r/13"]).await.unwrap(), "7");
    assert_eq!(ask(["squeue", ""]).await.unwrap(), "7 r/13");
    assert_eq!(ask(["sbatch", "--comment=r/27"]).await.unwrap(), "8");
    assert_eq!(ask(["squeue", ""]).await.unwrap(), "7 r/13, 8 r/27");
    assert_eq!(ask(["sbatch", "--comment=r/40"]).await.unwrap_err().kind, SiteErrorKind::NotRecorded);
}
