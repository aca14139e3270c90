use std::sync::Arc;

use engine::site::SiteErrorKind;
use engine::step::{Read, Step};
use serde_json::{Value, json};

use super::*;
use crate::testkit::FakeSite;
use crate::testkit::told::{Told, told};

const APPS: &str = "ssh gpu-21 nvidia-smi --query-compute-apps=pid,used_memory,gpu_uuid,gpu_bus_id,process_name --format=csv,noheader,nounits";
const CARDS: &str = "ssh gpu-21 nvidia-smi --query-gpu=index,uuid,pci.bus_id,memory.used,mig.mode.current --format=csv,noheader,nounits";
const LIST: &str = "ssh gpu-21 scontrol listpids 123";
const SHOW: &str = "scontrol -d -o show job 123";

fn ps(pids: &str) -> String {
    format!("ssh gpu-21 ps -o pid=,user:32=,args= -p 1,{pids}")
}

fn grep(pids: &[u32]) -> String {
    let files: Vec<String> = pids.iter().map(|pid| format!("/proc/{pid}/cgroup")).collect();
    format!("ssh gpu-21 grep -sH job_ {}", files.join(" "))
}

/// What else is asked of strangers; none of them has a readable environment or is in a container.
fn strangers(fake: Arc<FakeSite>, pids: &[u32]) -> Arc<FakeSite> {
    fake.ran(&environ(pids), 2, "", "").ran(&containers(pids), 1, "", "").ran(SQUEUE, 0, "123\n77\n", "")
}

const SQUEUE: &str = "squeue -h -w gpu-21 -t R,S,CG,CF -o %A";

fn files(pids: &[u32], file: &str) -> String {
    pids.iter().map(|pid| format!(" /proc/{pid}/{file}")).collect()
}

fn environ(pids: &[u32]) -> String {
    format!("ssh gpu-21 grep -zasH '^SLURM_JOB_ID='{}", files(pids, "environ"))
}

fn containers(pids: &[u32]) -> String {
    format!(
        "ssh gpu-21 grep -sHE 'docker|libpod|containerd|crio|kubepods|lxc|garden'{}",
        files(pids, "cgroup")
    )
}

fn app(pid: u32, mib: u32, gpu: u32) -> String {
    format!("{pid}, {mib}, GPU-{gpu}, 00000000:{gpu}B:00.0, python\n")
}

fn card(gpu: u32, mib: u32) -> String {
    format!("{gpu}, GPU-{gpu}, 00000000:{gpu}B:00.0, {mib}, Disabled\n")
}

/// Job 123 was given GPUs 2 and 3 and has one process on GPU 2.
fn node() -> Arc<FakeSite> {
    let cards: String = (0..4).map(|gpu| card(gpu, 600)).collect();
    told()
        .ran(APPS, 0, &app(11, 90_000, 2), "")
        .ran(CARDS, 0, &(cards.replace("2B:00.0, 600", "2B:00.0, 90600")), "")
        .ran(
            LIST,
            0,
            "PID      JOBID    STEPID   LOCALID GLOBALID\n11       123      0        0       0\n",
            "",
        )
        .ran(SHOW, 0, "JobId=123 Nodes=gpu-21 CPU_IDs=0-15 Mem=0 GRES=gpu:2(IDX:2-3)\n", "")
        .ran(&ps("11"), 0, "1 root /sbin/init\n11 ann python -u train.py\n", "")
        .ran(
            &grep(&[11]),
            0,
            "/proc/11/cgroup:0::/system.slice/slurmstepd.scope/job_123/step_0/user/task_0\n",
            "",
        )
}

async fn ask(fake: Arc<FakeSite>, extra: Value) -> (String, Value, Vec<String>) {
    let mut params = json!({"node": "gpu-21", "job": 123});
    params.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let cx = fake.cx();
    match Read::new(Tenants).perform(&cx, &params, &Value::Null).await.unwrap() {
        Performed::Done(done) => (done.outcome, done.output, done.summary),
        Performed::Ask(..) => panic!("a read asks nothing"),
    }
}

fn owners(output: &Value) -> Vec<String> {
    let processes = output["processes"].as_array().unwrap().iter();
    processes
        .map(|p| format!("{} {} {} {}", p["pid"], p["owner"].as_str().unwrap(), p["job"], p["counts"]))
        .collect()
}

#[tokio::test]
async fn a_job_alone_is_clean() {
    let (outcome, output, summary) = ask(node(), json!({})).await;
    assert_eq!((outcome.as_str(), owners(&output)), ("clean", vec!["11 own 123 true".to_owned()]));
    assert_eq!(
        (&output["foreign_bytes"], &output["processes"][0]["bytes"]),
        (&json!(0), &json!(90_000u64 << 20))
    );
    assert_eq!(summary, ["gpu-21: 1 process on the GPUs, all of the job"]);
}

/// Foreign process 12 on GPU 3, orphan 99 on GPU 2, job 77's process 13 on its own GPU 0.
fn shared() -> Arc<FakeSite> {
    let apps = app(11, 50_000, 2) + &app(12, 20_480, 3) + &app(99, 39_936, 2) + &app(13, 70_000, 0);
    strangers(node(), &[12, 13])
        .ran(APPS, 0, &apps, "")
        .ran(
            &ps("11,12,13,99"),
            0,
            "1 root /sbin/init\n11 ann python\n12 ann python -c leftover\n13 eve python\n",
            "",
        )
        .ran(
            &grep(&[11, 12, 13, 99]),
            2,
            "/proc/11/cgroup:0::/s/job_123/step_0\n/proc/13/cgroup:0::/s/job_77/step_0\n",
            "",
        )
}

#[tokio::test]
async fn foreign_processes_and_orphans_on_the_jobs_gpus_count() {
    let (outcome, output, summary) = ask(shared(), json!({})).await;
    assert_eq!(outcome, "shared");
    assert_eq!(
        owners(&output),
        ["11 own 123 true", "12 foreign null true", "99 orphan null true", "13 foreign 77 false"]
    );
    assert_eq!(output["foreign_bytes"], json!((20_480u64 + 39_936) << 20));
    insta::assert_snapshot!(summary.join("\n"), @r"
    gpu-21: 2 processes not of the job, with 59.0 GiB
    pid 12, 20.0 GiB on 0000:3b:00.0: python (no job, user ann)
    pid 99, 39.0 GiB on 0000:2b:00.0: python (no such process on the node)
    ");
}

#[tokio::test]
async fn a_device_narrows_it_down_and_an_index_does_not() {
    let (outcome, output, _) = ask(shared(), json!({"device": "0000:3B:00.0"})).await;
    assert_eq!((outcome.as_str(), output["foreign"].as_array().unwrap().len()), ("shared", 1));
    let (_, output, _) = ask(shared(), json!({"device": 0})).await;
    assert_eq!(output["foreign"].as_array().unwrap().len(), 2);
    assert_eq!(
        output["unknowns"][0],
        "device 0 is an index as one process saw it: which GPU it was is not known"
    );
}

#[tokio::test]
async fn after_the_job_ended_everything_left_is_somebody_elses() {
    let fake = shared().ran(LIST, 1, "", "Job 123 does not exist on this node.\n").ran(
        SHOW,
        1,
        "",
        "slurm_load_jobs error: Invalid job id specified\n",
    );
    let fake = strangers(fake.ran(&grep(&[11, 12, 13, 99]), 1, "", ""), &[11, 12, 13]);
    let (outcome, output, _) = ask(fake, json!({})).await;
    assert_eq!(outcome, "shared");
    assert_eq!(
        owners(&output),
        ["11 foreign null true", "12 foreign null true", "99 orphan null true", "13 foreign null true"]
    );
}

#[tokio::test]
async fn slurms_numbers_are_dropped_when_the_jobs_own_process_disproves_them() {
    let (_, output, _) =
        ask(shared().ran(SHOW, 0, "Nodes=gpu-21 CPU_IDs=0 Mem=0 GRES=gpu:2(IDX:0-1)", ""), json!({})).await;
    assert_eq!(output["foreign"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_an_earlier_job_left_behind_is_told_from_a_neighbours() {
    // 12 left the cgroup of job 55, which is long over; 13 is that of job 77, which goes on.
    let fake = shared()
        .ran(
            &environ(&[12, 13]),
            2,
            "/proc/12/environ:SLURM_JOB_ID=55\0",
            "grep: /proc/13/environ: Permission denied\n",
        )
        .ran(&containers(&[12, 13]), 0, "/proc/13/cgroup:0::/system.slice/docker-01ab.scope\n", "");
    let (outcome, output, summary) = ask(fake, json!({"device": "0000:3B:00.0"})).await;
    assert_eq!(outcome, "shared");
    assert_eq!(
        owners(&output),
        ["11 own 123 false", "12 leaked 55 true", "99 orphan null false", "13 foreign 77 false"]
    );
    assert_eq!(output["processes"][3]["container"], "docker");
    insta::assert_snapshot!(summary.join("\n"), @r"
    gpu-21: 1 process not of the job, with 20.0 GiB
    pid 12, 20.0 GiB on 0000:3b:00.0: python (left behind by job 55, which has ended; user ann)
    ");
    // Without the list of jobs nothing is called left behind.
    let (_, output, _) = ask(
        shared()
            .ran(&environ(&[12, 13]), 2, "/proc/12/environ:SLURM_JOB_ID=55\0", "")
            .ran(SQUEUE, 1, "", "away"),
        json!({}),
    )
    .await;
    assert_eq!(owners(&output)[1], "12 foreign 55 true");
    assert_eq!(output["unknowns"][0], "which jobs Slurm has on the node could not be read");
}

#[tokio::test]
async fn idle_gpus_are_clean_and_hidden_rows_are_not() {
    let idle = node().ran(APPS, 0, "", "").ran(CARDS, 0, &card(2, 4), "");
    assert_eq!(ask(idle, json!({})).await.0, "clean");
    let hidden = "[Insufficient Permissions], [Insufficient Permissions], GPU-2, 00000000:2B:00.0, [Insufficient Permissions]\n";
    let (outcome, output, _) = ask(node().ran(APPS, 0, hidden, ""), json!({})).await;
    assert_eq!(
        (outcome.as_str(), &output["foreign_bytes"], &output["unknowns"][0]),
        ("unknown", &json!(0), &json!("1 process of unknown owner"))
    );
}

#[tokio::test]
async fn memory_that_no_process_has_is_not_clean() {
    let leak = node().ran(APPS, 0, "", "").ran(CARDS, 0, &(card(2, 39_000) + &card(3, 4)), "");
    let (outcome, _, summary) = ask(leak, json!({})).await;
    assert_eq!(
        (outcome.as_str(), summary[0].as_str()),
        ("unknown", "gpu-21: unknown: 38.1 GiB are in use on 0000:2b:00.0 that no listed process has")
    );
}

#[tokio::test]
async fn a_node_that_hides_processes_makes_no_orphans() {
    let fake = node().ran(APPS, 0, &(app(11, 1, 2) + &app(99, 1, 2)), "").ran(
        &ps("11,99"),
        0,
        "11 ann python\n",
        "",
    );
    let fake = fake.ran(&grep(&[11, 99]), 0, "/proc/11/cgroup:0::/s/job_123/step_0\n", "");
    let (outcome, output, _) = ask(fake, json!({})).await;
    assert_eq!((outcome.as_str(), owners(&output)[1].as_str()), ("unknown", "99 unknown null true"));
}

#[tokio::test]
async fn a_hang_is_unknown_and_unreachable_is_an_error() {
    let (outcome, output, _) = ask(node().broke(APPS, SiteErrorKind::Timeout), json!({})).await;
    assert_eq!((outcome.as_str(), &output["foreign_bytes"]), ("unknown", &Value::Null));
    let cx = node().broke(APPS, SiteErrorKind::Unreachable).cx();
    let error = Read::new(Tenants)
        .perform(&cx, &json!({"node": "gpu-21", "job": null}), &Value::Null)
        .await
        .unwrap_err();
    assert_eq!(error.kind, StepErrorKind::Unreachable);
}

#[tokio::test]
async fn without_a_job_and_its_processes_no_owner_is_guessed() {
    let (outcome, output, _) = ask(strangers(node(), &[11]), json!({"job": null})).await;
    assert_eq!((outcome.as_str(), owners(&output)[0].as_str()), ("unknown", "11 unknown 123 true"));
    let (outcome, ..) = ask(node(), json!({"job": null, "own_pids": [11]})).await;
    assert_eq!(outcome, "clean");
}

#[tokio::test]
async fn an_array_task_needs_its_own_number() {
    let cx = node().cx();
    let error = Read::new(Tenants)
        .perform(&cx, &json!({"node": "gpu-21", "job": "123_4"}), &Value::Null)
        .await
        .unwrap_err();
    assert_eq!(error.kind, StepErrorKind::Params);
}

#[tokio::test]
async fn a_rank_that_started_between_the_two_looks_is_no_unaccounted_memory() {
    let first = crate::testkit::ok("");
    let second = crate::testkit::ok(app(11, 90_000, 2));
    let fake = node();
    fake.host(
        "gpu-21",
        ["nvidia-smi", "--query-compute-apps=pid,used_memory,gpu_uuid,gpu_bus_id,process_name"],
        [first, second],
    );
    assert_eq!(ask(fake, json!({})).await.0, "clean");
}
