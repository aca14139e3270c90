//! A job in trouble, and the program let loose on it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A command of `tests/cluster`.
pub(super) fn tool(name: &str, arguments: &[&str]) -> Output {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster").join(name);
    let output = Command::new(&path).args(arguments).output().expect("runs");
    assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A job that got into trouble.
pub(super) struct World {
    pub about: Value,
    pub job: String,
    pub dir: PathBuf,
    pub state: PathBuf,
    counting: PathBuf,
    log: PathBuf,
}

/// What the program did.
pub(super) struct Ran {
    pub status: Option<i32>,
    pub events: Vec<Value>,
    pub stdout: String,
    pub stderr: String,
}

impl World {
    pub(super) fn new(name: &str, options: &[&str]) -> Self {
        tool("inject", &["all", "clear"]);
        let about: Value =
            serde_json::from_slice(&tool("world", &[&[name], options].concat()).stdout).expect("JSON");
        let counting = PathBuf::from(text(&tool("count", &["on"])).trim());
        let dir = PathBuf::from(about["dir"].as_str().expect("a directory"));
        let state = dir.join(".state");
        let log = dir.join(".calls");
        Self { job: about["job"].to_string(), about, dir, state, counting, log }
    }

    /// The program, its calls counted.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runbook"));
        let path = format!("{}:{}", self.counting.display(), std::env::var("PATH").unwrap_or_default());
        command
            .args(arguments)
            .env("PATH", path)
            .env("RUNBOOK_COUNT_LOG", &self.log)
            .env("RUNBOOK_STATE", &self.state)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null());
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    /// The main job with everything agreed to.
    pub(super) fn treat(&self, more: &[&str]) -> Ran {
        Ran::of(&mut self.treating(more))
    }

    pub(super) fn treating(&self, more: &[&str]) -> Command {
        let fixed = ["run", "training-oom", "--job", &self.job, "--watch", "3m", "--yes", "--json"];
        self.command(&[&fixed[..], more].concat())
    }

    /// The changing calls so far: `sbatch`, `scancel`, `scontrol update …`.
    pub(super) fn changes(&self) -> Vec<Vec<String>> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let calls = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let argv = calls.filter_map(|call| serde_json::from_value::<Vec<String>>(call["argv"].clone()).ok());
        argv.filter(|argv| match argv[0].as_str() {
            "sbatch" => !argv.iter().any(|word| word == "--test-only"),
            "scancel" => true,
            "scontrol" => {
                argv.iter().any(|word| matches!(word.as_str(), "update" | "requeue" | "hold" | "release"))
            }
            _ => false,
        })
        .collect()
    }

    /// How often each changing program was called.
    pub(super) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for argv in self.changes() {
            *counts.entry(argv[0].clone()).or_insert(0) += 1;
        }
        counts
    }

    /// The job's files: content by path, logs and our own state left out (the wedged job may still write its log).
    pub(super) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn add(dir: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in fs::read_dir(dir).expect("a directory").flatten() {
                let path = entry.path();
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with('.') {
                    continue;
                }
                if path.is_dir() {
                    add(&path, into);
                } else if !name.ends_with(".out") && !name.ends_with(".log") {
                    into.insert(path.clone(), fs::read(&path).expect("readable"));
                }
            }
        }
        let mut files = BTreeMap::new();
        add(&self.dir, &mut files);
        files
    }

    pub(super) fn script(&self) -> String {
        fs::read_to_string(self.about["script"].as_str().expect("a script")).expect("readable")
    }
}

/// Ends every job and waits until its nodes are free.
pub(super) fn quiet() {
    let _ = Command::new("scancel").args(["--user", "root"]).output();
    let busy = || {
        let listed = Command::new("squeue").args(["-h", "-o", "%T"]).output().expect("runs");
        !listed.stdout.is_empty()
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while busy() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Ends every job and heals the nodes, also after a test that failed: the next one starts on a quiet cluster.
impl Drop for World {
    fn drop(&mut self) {
        let node = self.about["node"].as_str().unwrap_or_default();
        let _ =
            Command::new("scontrol").args(["update", &format!("nodename={node}"), "state=resume"]).output();
        quiet();
    }
}

impl Ran {
    pub(super) fn of(command: &mut Command) -> Self {
        let output = command.output().expect("runs");
        let stdout = text(&output);
        let events = stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { status: output.status.code(), events, stdout, stderr }
    }

    fn entries(&self) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(|event| event["event"] == "recorded").map(|event| &event["entry"])
    }

    /// `node:outcome` words of the path, the end node last.
    pub(super) fn path(&self) -> Vec<String> {
        let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        self.entries()
            .filter_map(|entry| match entry["type"].as_str()? {
                "finished" => Some(format!("{}:{}", word(&entry["node"]), word(&entry["outcome"]))),
                "failed" => Some(format!("{}!{}", word(&entry["node"]), entry["error"]["message"])),
                "ended" => Some(word(&entry["node"])),
                _ => None,
            })
            .collect()
    }

    /// The last output of a node.
    pub(super) fn output(&self, node: &str) -> &Value {
        let finished = self.entries().filter(|entry| entry["type"] == "finished" && entry["node"] == node);
        finished.last().map_or(&Value::Null, |entry| &entry["output"])
    }

    /// What it says at its end.
    pub(super) fn message(&self) -> String {
        let ended = self.entries().filter(|entry| entry["type"] == "ended");
        ended.last().and_then(|entry| entry["message"].as_str()).unwrap_or_default().to_owned()
    }

    /// Jobs that were submitted.
    pub(super) fn jobs(&self) -> Vec<String> {
        let submitted =
            self.entries().filter(|entry| entry["type"] == "finished" && entry["outcome"] == "submitted");
        submitted.filter_map(|entry| entry["output"]["job"].as_str().map(str::to_owned)).collect()
    }

    #[track_caller]
    pub(super) fn assert_path(&self, expected: &[&str]) {
        assert_eq!(self.path(), expected, "stderr:\n{}\nlast output:\n{}", self.stderr, self.last_output());
    }

    fn last_output(&self) -> String {
        self.entries().last().map(|entry| entry.to_string().chars().take(4000).collect()).unwrap_or_default()
    }
}

/// Whether the dry run's tree has this path.
pub(super) fn shown(dry_run: &Value, path: &[String]) -> bool {
    has_path(&dry_run["first"], &dry_run["first"], path)
}

fn has_path(root: &Value, at: &Value, path: &[String]) -> bool {
    let again = at["how"]["again"]["number"].as_u64();
    let at = match again {
        Some(number) => find(root, number).expect("it refers to a number in the tree"),
        None => at,
    };
    let Some((first, rest)) = path.split_first() else { return true };
    let Some((node, outcome)) = first.split_once(':') else {
        return at["node"] == first.as_str() && rest.is_empty();
    };
    let branches = at["branches"].as_array().map(Vec::as_slice).unwrap_or_default();
    at["node"] == node
        && branches.iter().any(|branch| branch["outcome"] == outcome && has_path(root, &branch["then"], rest))
}

fn find(at: &Value, number: u64) -> Option<&Value> {
    if at["number"] == number {
        return Some(at);
    }
    at["branches"].as_array()?.iter().find_map(|branch| find(&branch["then"], number))
}

/// A variable in the environment of a rank of a running job, as `/proc` has it.
pub(super) fn in_rank(job: &str, node: &str, name: &str) -> Option<String> {
    let pids = Command::new("ssh").args([node, "scontrol", "listpids", job]).output().expect("runs");
    let text = text(&pids);
    let pids = text.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    for pid in pids.filter(|pid| *pid != "-1") {
        let environ =
            Command::new("ssh").args([node, "cat", &format!("/proc/{pid}/environ")]).output().expect("runs");
        let prefix = format!("{name}=");
        let found = environ.stdout.split(|byte| *byte == 0).find_map(|entry| {
            let entry = String::from_utf8_lossy(entry).into_owned();
            entry.strip_prefix(&prefix).map(str::to_owned)
        });
        let is_rank =
            environ.stdout.split(|byte| *byte == 0).any(|entry| entry.starts_with(b"SLURM_PROCID="));
        if is_rank && found.is_some() {
            return found;
        }
    }
    None
}
