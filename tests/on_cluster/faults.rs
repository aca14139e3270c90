//! One fault of each kind, injected on the real cluster and looked at by one step.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::kit::{quiet, tool};

/// Heals the nodes and ends the jobs before and after, also of a test that failed.
struct Quiet;

impl Quiet {
    fn new() -> Self {
        tool("inject", &["all", "clear"]);
        Self
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        tool("inject", &["all", "clear"]);
        quiet();
    }
}

fn runbook() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runbook"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    command
}

fn arguments(kind: &str, with: &[&str]) -> Vec<String> {
    let with = with.iter().flat_map(|pair| ["--with".to_owned(), (*pair).to_owned()]);
    ["steps", "run", kind, "--yes", "--json"].map(str::to_owned).into_iter().chain(with).collect()
}

/// Runs one step: its outcome and output.
#[track_caller]
fn step(kind: &str, with: &[&str]) -> (String, Value) {
    read(&runbook().args(arguments(kind, with)).output().expect("runs"))
}

#[track_caller]
fn read(output: &Output) -> (String, Value) {
    let said = String::from_utf8_lossy(&output.stderr);
    let answer: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (answer["outcome"].as_str().unwrap_or_else(|| panic!("{answer} {said}")).to_owned(), answer)
}

fn run(argv: &[&str]) -> String {
    let output = Command::new(argv[0]).args(&argv[1..]).output().expect("runs");
    assert!(output.status.success(), "{argv:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn cluster() -> PathBuf {
    std::env::var("RUNBOOK_CLUSTER_DIR").unwrap_or_else(|_| "/var/tmp/runbook-cluster".to_owned()).into()
}

/// Submits a job that sleeps, and waits until it runs.
fn sleeper(options: &[&str]) -> String {
    let dir = cluster().join("share/jobs");
    let argv = ["sbatch", "--parsable", "--chdir", dir.to_str().unwrap(), "--wrap", "sleep 600"];
    let job = run(&[&argv[..], options].concat());
    wait_for(&job, "RUNNING");
    job
}

#[track_caller]
fn wait_for(job: &str, state: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !run(&["squeue", "-h", "-t", "all", "-j", job, "-o", "%T"]).lines().any(|line| line == state) {
        assert!(Instant::now() < deadline, "job {job} is not {state}");
        sleep(Duration::from_millis(200));
    }
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn a_hung_nvidia_smi_is_a_finding_in_bounded_time() {
    let _quiet = Quiet::new();
    tool("inject", &["gpu-22", "hang"]);
    let began = Instant::now();
    let (outcome, output) = step("gpu.health", &["node=gpu-22", "timeout=2s"]);
    assert_eq!((outcome.as_str(), &output["gpus"]), ("unknown", &json!([])));
    assert_eq!(output["unknowns"][0], "nvidia-smi --query-gpu did not come back within 2 s");
    let (outcome, _) = step("gpu.tenants", &["node=gpu-22", "timeout=2s"]);
    assert_eq!(outcome, "unknown");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // With the Xid that is known to make it hang it is a fault, however old.
    tool("inject", &["gpu-22", "xid", "119", "--gpu", "4", "--ago", "90000"]);
    let now = present();
    let (outcome, output) = step("gpu.health", &["node=gpu-22", "timeout=2s", &format!("from={now}")]);
    assert_eq!(outcome, "faulty", "{output}");
}

/// The present, as RFC 3339.
fn present() -> String {
    run(&["date", "-u", "+%Y-%m-%dT%H:%M:%SZ"])
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn a_kernel_log_that_may_not_be_read_is_no_kernel_log_without_errors() {
    let _quiet = Quiet::new();
    tool("inject", &["gpu-22", "xid", "95", "--gpu", "3"]);
    assert_eq!(step("gpu.health", &["node=gpu-22"]).0, "faulty");
    tool("inject", &["gpu-22", "deny-dmesg"]);
    let (outcome, output) = step("gpu.health", &["node=gpu-22"]);
    assert_eq!((outcome.as_str(), &output["xids"]), ("unknown", &json!([])));
    let why = output["unknowns"][0].as_str().unwrap();
    assert!(why.contains("not allowed to see the system's messages"), "{why}");
    assert!(why.contains("Operation not permitted"), "{why}");
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn a_pending_remap_and_old_errors_alone_are_no_fault() {
    let _quiet = Quiet::new();
    tool("inject", &["gpu-22", "remap-pending", "--gpu", "5"]);
    let (outcome, output) = step("gpu.health", &["node=gpu-22"]);
    assert_eq!((outcome.as_str(), &output["gpus"][5]["remap_pending"]), ("healthy", &json!(true)));
    // Of a card that once had errors the report is asked for, too, and says that they are not too many.
    let errors = ["gpu-22", "ecc-uncorrectable", "2", "--gpu", "5", "--kind", "sram"];
    tool("inject", &[&errors[..], &["--lifetime"]].concat());
    let (outcome, output) = step("gpu.health", &["node=gpu-22"]);
    assert_eq!((outcome.as_str(), &output["gpus"][5]["sram_threshold_exceeded"]), ("healthy", &json!(false)));
    tool("inject", &errors);
    assert_eq!(step("gpu.health", &["node=gpu-22"]).0, "faulty");
    tool("inject", &["gpu-22", "clear"]);
    tool("inject", &["gpu-22", "remap-failure", "--gpu", "5"]);
    assert_eq!(step("gpu.health", &["node=gpu-22"]).0, "faulty");
}

/// A process on a node that outlives the job that started it.
struct Leaked(Child, String);

impl Drop for Leaked {
    fn drop(&mut self) {
        let _ = Command::new("ssh").args(["gpu-22", "kill", &self.1]).output();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn what_an_ended_job_left_behind_is_told_from_strangers() {
    let _quiet = Quiet::new();
    let ended = sleeper(&["-w", "gpu-22", "--gpus-per-node=4"]);
    run(&["scancel", &ended]);
    wait_for(&ended, "CANCELLED");
    // As a data-loader worker would: out of the job's cgroup, with its environment.
    let told = cluster().join("share/jobs/leaked.pid");
    let script = format!("SLURM_JOB_ID={ended} setsid sleep 300 & echo $! > {}; wait", told.display());
    let child = Command::new("ssh").args(["gpu-22", &script]).stdin(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let pid = loop {
        let text = fs::read_to_string(&told).unwrap_or_default();
        if let Ok(pid) = text.trim().parse::<u32>() {
            break pid.to_string();
        }
        assert!(Instant::now() < deadline, "no process");
        sleep(Duration::from_millis(50));
    };
    let _leaked = Leaked(child, pid.clone());
    fs::remove_file(&told).unwrap();
    let job = sleeper(&["-w", "gpu-22", "--gpus-per-node=8"]);
    tool("inject", &["gpu-22", "co-tenant", "--gpu", "0", "--mib", "30000", "--pid", &pid]);
    tool("inject", &["gpu-22", "co-tenant", "--gpu", "1", "--mib", "30000", "--pid", "999999"]);
    let (outcome, output) = step("gpu.tenants", &["node=gpu-22", &format!("job={job}")]);
    assert_eq!(outcome, "shared", "{output}");
    let of = |gpu: usize| {
        let process = &output["foreign"][gpu];
        (process["owner"].clone(), process["job"].to_string())
    };
    assert_eq!(of(0), (json!("leaked"), ended), "{output}");
    assert_eq!(of(1), (json!("orphan"), "null".to_owned()), "{output}");
    assert_eq!(output["foreign_bytes"], json!(60_000u64 << 20));
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn one_task_of_an_array_is_stopped_and_no_other() {
    let _quiet = Quiet::new();
    let array = sleeper(&["--array=1-2", "-N1"]);
    let refused = runbook().args(arguments("slurm.job", &[&format!("job={array}")])).output().unwrap();
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    let said = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
    assert!(said.contains("is an array, not one job"), "{said}");
    let one = format!("{array}_1");
    wait_for(&one, "RUNNING");
    let (outcome, output) = step("slurm.job", &[&format!("job={one}")]);
    assert_eq!((outcome.as_str(), &output["job"], &output["array_task"]), ("found", &json!(one), &json!(1)));
    let (outcome, output) = step("slurm.cancel", &[&format!("job={one}")]);
    assert_eq!((outcome.as_str(), &output["state_after"]), ("released", &json!("CANCELLED")));
    wait_for(&format!("{array}_2"), "RUNNING");
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn a_heterogeneous_job_has_the_nodes_of_all_its_parts() {
    let _quiet = Quiet::new();
    let script = cluster().join("share/jobs/het.sbatch");
    fs::write(&script, "#!/bin/bash\n#SBATCH -N1\n#SBATCH hetjob\n#SBATCH -N2\nsleep 600\n").unwrap();
    let dir = cluster().join("share/jobs");
    let job = run(&["sbatch", "--parsable", "--chdir", dir.to_str().unwrap(), script.to_str().unwrap()]);
    wait_for(&job, "RUNNING");
    let (outcome, output) = step("slurm.job", &[&format!("job={job}")]);
    assert_eq!((outcome.as_str(), &output["num_nodes"]), ("found", &json!(3)), "{output}");
    assert_eq!(output["nodes"].as_array().unwrap().len(), 3, "{output}");
    let (outcome, _) = step("slurm.cancel", &[&format!("job={job}")]);
    assert_eq!(outcome, "released");
    assert_eq!(run(&["squeue", "-h", "-t", "R,CG", "-o", "%i"]), "");
    fs::remove_file(script).unwrap();
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn a_job_that_slurm_started_again_shows_its_runs_and_is_not_the_one_that_was_pinned() {
    let _quiet = Quiet::new();
    let job = sleeper(&["--requeue", "-N1"]);
    let pin = step("slurm.job", &[&format!("job={job}")]).1["pin"].to_string();
    run(&["scontrol", "requeue", &job]);
    let deadline = Instant::now() + Duration::from_secs(40);
    let output = loop {
        let (_, output) = step("slurm.job", &[&format!("job={job}")]);
        if output["restarts"] == 1 && output["earlier"].as_array().is_some_and(|runs| runs.len() == 1) {
            break output;
        }
        assert!(Instant::now() < deadline, "{output}");
        sleep(Duration::from_millis(500));
    };
    assert!(output["earlier"][0]["ended"].is_string(), "{output}");
    let pinned = [format!("job={job}"), format!("pin={pin}")];
    let stop = runbook().args(arguments("slurm.cancel", &[&pinned[0], &pinned[1]])).output().unwrap();
    assert_eq!(stop.status.code(), Some(5), "{stop:?}");
    let said = String::from_utf8_lossy(&[stop.stdout, stop.stderr].concat()).into_owned();
    assert!(said.contains("no longer the one that was looked at"), "{said}");
}

/// slurmctld's configuration with one setting changed, and back again.
struct Setting(PathBuf, String);

impl Setting {
    fn new(line: &str) -> Self {
        let path = cluster().join("etc/slurm/slurm.conf");
        let before = fs::read_to_string(&path).unwrap();
        let name = line.split('=').next().unwrap();
        let kept = before.lines().filter(|known| !known.starts_with(name));
        fs::write(&path, kept.chain([line, ""]).collect::<Vec<_>>().join("\n")).unwrap();
        run(&["scontrol", "reconfigure"]);
        Self(path, before)
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        fs::write(&self.0, &self.1).unwrap();
        run(&["scontrol", "reconfigure"]);
    }
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn a_job_that_slurmctld_has_forgotten_is_found_in_the_records() {
    let _quiet = Quiet::new();
    let job = sleeper(&["-N1", "--comment=kept"]);
    let _setting = Setting::new("MinJobAge=2");
    run(&["scancel", &job]);
    // slurmctld looks for jobs to forget once in a minute.
    let deadline = Instant::now() + Duration::from_secs(90);
    while Command::new("scontrol").args(["show", "job", &job]).output().unwrap().status.success() {
        assert!(Instant::now() < deadline, "it remembers");
        sleep(Duration::from_secs(1));
    }
    let (outcome, output) = step("slurm.job", &[&format!("job={job}")]);
    assert_eq!((outcome.as_str(), &output["source"]), ("found", &json!("sacct")), "{output}");
    assert_eq!((&output["state"], output["nodes"].as_array().unwrap().len()), (&json!("CANCELLED"), 1));
    // It holds no nodes any more, so there is nothing to stop.
    let (outcome, output) = step("slurm.cancel", &[&format!("job={job}")]);
    assert_eq!((outcome.as_str(), &output["released"]), ("released", &json!(true)));
    assert_eq!(step("slurm.job", &["job=4000000"]).0, "missing");
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn without_the_right_to_it_the_answer_is_a_message_to_who_has_it() {
    let _quiet = Quiet::new();
    let job = sleeper(&["-N1"]);
    // The binary where everybody can run it, as a user whom Slurm grants nothing.
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let binary = dir.path().join("runbook");
    fs::copy(env!("CARGO_BIN_EXE_runbook"), &binary).unwrap();
    run(&["chmod", "777", dir.path().to_str().unwrap()]);
    let as_nobody = |kind: &str, with: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "33", "--regid", "33", "--clear-groups"]).arg(&binary);
        command.args(arguments(kind, with)).current_dir("/").stdin(Stdio::null());
        command.env("RUNBOOK_STATE", dir.path().join("state"));
        // The one who runs the tests has a home that others may not read.
        command.env("HOME", dir.path()).env_remove("XDG_CONFIG_HOME");
        read(&command.output().expect("runs"))
    };
    let (outcome, output) = as_nobody("slurm.drain", &["node=gpu-23", "reason=Xid 95"]);
    assert_eq!((outcome.as_str(), &output["drained"]), ("denied", &json!(false)), "{output}");
    let request = output["request"].as_str().unwrap();
    assert!(request.contains("scontrol update NodeName=gpu-23 State=DRAIN 'Reason=Xid 95"), "{request}");
    assert!(!run(&["sinfo", "-h", "-n", "gpu-23", "-o", "%T"]).contains("drain"));
    let (outcome, output) = as_nobody("slurm.cancel", &[&format!("job={job}")]);
    assert_eq!((outcome.as_str(), &output["released"]), ("denied", &json!(false)), "{output}");
    wait_for(&job, "RUNNING");
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn a_torn_checkpoint_is_seen_and_the_good_one_outlives_its_rotation() {
    let dir = tempfile::tempdir_in(cluster().join("share/jobs")).unwrap();
    let at = |path: &str| dir.path().join("out").join(path);
    for (step, size) in [(40, "state of step 40"), (60, "")] {
        write(&at(&format!("checkpoint-{step}/model.safetensors")), size);
        write(&at(&format!("checkpoint-{step}/optimizer.pt")), "state");
    }
    write(&at("checkpoint-40/trainer_state.json"), "{\n \"global_step\": 40,\n \"log_history\": []\n}\n");
    let dir_is = format!("dir={}", at("").display());
    let (outcome, output) = step("checkpoint.latest", &[&dir_is, "error_step=66"]);
    assert_eq!((outcome.as_str(), &output["step"], &output["lost_steps"]), ("torn", &json!(40), &json!(26)));
    assert_eq!(
        (&output["resume_pick"]["step"], &output["candidates"][0]["writing"]),
        (&json!(60), &json!(false))
    );
    // Somebody goes on writing it.
    let grow = format!(
        "for i in $(seq 60); do echo $i >> {}; sleep 0.2; done",
        at("checkpoint-60/optimizer.pt").display()
    );
    let mut writer = Command::new("sh").args(["-c", &grow]).spawn().unwrap();
    let (_, output) = step("checkpoint.latest", &[&dir_is]);
    assert_eq!(output["candidates"][0]["writing"], true, "{output}");
    writer.kill().unwrap();
    writer.wait().unwrap();

    let path = format!("path={}", at("checkpoint-40").display());
    let (outcome, output) = step("checkpoint.pin", &[&path]);
    assert_eq!((outcome.as_str(), &output["copied"]), ("pinned", &json!(false)), "{output}");
    fs::remove_dir_all(at("checkpoint-40")).unwrap();
    let pinned = Path::new(output["pinned"].as_str().unwrap());
    assert_eq!(fs::read_to_string(pinned.join("model.safetensors")).unwrap(), "state of step 40");
    let torn = format!("path={}", at("checkpoint-60").display());
    assert_eq!(step("checkpoint.pin", &[&torn]).0, "cannot");
}
