//! `oom.read` on whole logs.

use std::sync::Arc;

use engine::site::SiteErrorKind;
use engine::step::{Done, Performed, Read, Step};
use serde_json::{Value, json};

use super::fixtures::{cases, released_messages, render};
use super::kind::Nature;
use super::read::OomRead;
use crate::testkit::told::{Told, files};
use crate::testkit::{Call, FakeSite};

async fn read_from(site: Arc<FakeSite>, params: Value) -> Done<Value> {
    let cx = site.cx();
    match Read::new(OomRead).perform(&cx, &params, &Value::Null).await.unwrap() {
        Performed::Done(done) => done,
        Performed::Ask(..) => panic!("it asked"),
    }
}

pub(super) async fn read(files: &[(&str, &str)]) -> Done<Value> {
    let logs: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
    read_with(files, json!({ "logs": logs })).await
}

pub(super) async fn read_with(texts: &[(&str, &str)], params: Value) -> Done<Value> {
    let texts: Vec<(&str, &[u8])> = texts.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    read_from(files(&texts), params).await
}

/// A fragmented 2.4.1 message.
pub(super) fn fragmented() -> String {
    released_messages()
        .into_iter()
        .find(|(release, kind, _)| release == "2.4.1" && kind == "fragmented")
        .unwrap()
        .2
}

#[tokio::test]
async fn a_plain_log() {
    let text = format!(
        "2026-11-23 07:49:50 step 41/200 loss 2.31\nTraceback (most recent call last):\n  File \"train.py\", line 12, in <module>\n\
         torch.OutOfMemoryError: {}\n",
        fragmented()
    );
    let done = read(&[("/l/slurm-1.out", &text)]).await;
    assert_eq!(done.outcome, "gpu_oom");
    insta::assert_json_snapshot!(done.output, @r#"
    {
      "kind": "cuda_caching_allocator",
      "device": 0,
      "tried": 3103113871,
      "capacity": 41940355645,
      "free": 178257920,
      "allocated": 34144990003,
      "reserved": 41242423460,
      "reserved_unallocated": 7097433457,
      "private_pools": null,
      "this_process": null,
      "processes": [],
      "limit": null,
      "identities": [
        {
          "identity": "free <= capacity",
          "holds": true,
          "difference": -41762097725,
          "slack": 16777216,
          "means": null
        },
        {
          "identity": "allocated + reserved_unallocated = reserved",
          "holds": true,
          "difference": 0,
          "slack": 16777216,
          "means": null
        },
        {
          "identity": "allocated <= reserved",
          "holds": true,
          "difference": -7097433457,
          "slack": 16777216,
          "means": null
        },
        {
          "identity": "reserved + free <= capacity",
          "holds": true,
          "difference": -519674265,
          "slack": 67108864,
          "means": null
        },
        {
          "identity": "tried > free",
          "holds": true,
          "difference": 2924855951,
          "slack": 67108864,
          "means": null
        }
      ],
      "rank": null,
      "local_rank": null,
      "node": null,
      "pid": null,
      "step": 41,
      "torch": {
        "min": "2.4",
        "max": "2.10"
      },
      "hint_expandable": null,
      "memory_summary": null,
      "file": "/l/slurm-1.out",
      "line": 4,
      "at": "2026-11-23T07:49:50",
      "message": "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.89 GiB. GPU 0 has a total capacity of 39.06 GiB of which 170.00 MiB is free. Of the allocated memory 31.80 GiB is allocated by PyTorch, and 6.61 GiB is reserved by PyTorch but unallocated. If reserved but unallocated memory is large try setting PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation.  See documentation for Memory Management  (https://pytorch.org/docs/stable/notes/cuda.html#environment-variables)",
      "ooms_seen": 1,
      "first_of": []
    }
    "#);
    insta::assert_snapshot!(done.summary.join("\n"), @r"
    an unknown rank: CUDA out of memory, last step 41
    tried 2.9 GiB, 170 MiB of 39.1 GiB free, 31.8 GiB allocated, 6.6 GiB reserved but unallocated
    /l/slurm-1.out:4, 2026-11-23T07:49:50
    ");
}

#[tokio::test]
async fn a_message_that_contradicts_itself_is_no_diagnosis() {
    // The numbers of two devices in one message.
    let mixed = fragmented()
        .replace("capacity of 39.06 GiB of which 170.00 MiB", "capacity of 14.75 GiB of which 39.06 GiB");
    let done = read(&[("/l/a", &format!("torch.OutOfMemoryError: {mixed}\n"))]).await;
    assert_eq!(done.outcome, "unknown");
    assert_eq!(
        done.summary.last().unwrap(),
        "the numbers contradict each other: free <= capacity is off by 24.31 GiB"
    );
    let broken = done.output["identities"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|identity| identity["holds"] == json!(false));
    assert_eq!(broken.count(), 3, "{}", done.output["identities"]);
    assert_eq!(done.output["tried"], json!(3_103_113_871_u64), "what it says is shown all the same");
}

#[tokio::test]
async fn the_first_rank_is_found_among_labels_and_collateral() {
    let message = fragmented();
    let (head, tail) = message.split_at(message.find("free. Of").unwrap() + 2);
    let text = format!(
        "05: [default1]:[rank5]: step 40/200\n07: [default3]:[rank7]: step 41/200\n05: [default1]:step 42/200 warm\n\
         07: [default3]:[rank7]: Traceback (most recent call last):\n\
         07: [default3]:[rank7]: torch.OutOfMemoryError: {head}\n\
         05: [default1]:[rank5]: Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7)\n\
         07: {tail}\n\
         07: [default3]:[rank7]: torch.OutOfMemoryError: {message}\n\
         05: [default1]:terminate called after throwing an instance of 'c10::DistBackendError'\n\
         srun: error: gpu-21: task 7: Exited with exit code 1\n\
         slurmstepd: error: *** STEP 123.0 ON gpu-20 CANCELLED AT 2026-11-23T08:00:00 ***\n"
    );
    let done = read(&[("/l/slurm-1.out", &text)]).await;
    assert_eq!(done.outcome, "gpu_oom", "{done:?}");
    let out = &done.output;
    assert_eq!((&out["rank"], &out["local_rank"], &out["step"]), (&json!(7), &json!(3), &json!(41)));
    assert_eq!((&out["ooms_seen"], &out["first_of"], &out["line"]), (&json!(1), &json!([7]), &json!(5)));
    assert_eq!(out["free"], json!(170 << 20));
    assert_eq!(out["node"], json!("gpu-21"));
    assert!(out["message"].as_str().unwrap().contains("31.80 GiB is allocated"));
}

#[tokio::test]
async fn tasks_map_to_nodes() {
    let text = format!("09: step 3\n09: RuntimeError: {}\n10: step 3\n", fragmented());
    let nodes = json!(["gpu-20", "gpu-21"]);
    let params = json!({ "logs": ["/l/a"], "nodes": nodes, "tasks_per_node": 8 });
    let out = read_with(&[("/l/a", &text)], params).await.output;
    assert_eq!((&out["rank"], &out["node"], &out["local_rank"]), (&json!(9), &json!("gpu-21"), &json!(1)));
    // One task on each node and a rank without a task: torchrun's ranks are no tasks, so the node is not guessed.
    let text = format!("[rank1]: RuntimeError: {}\n", fragmented());
    let params = json!({ "logs": ["/l/a"], "nodes": nodes, "tasks_per_node": 1 });
    let out = read_with(&[("/l/a", &text)], params).await.output;
    assert_eq!((&out["rank"], &out["node"]), (&json!(1), &Value::Null));
}

#[tokio::test]
async fn torchruns_summary_names_rank_and_host() {
    let text = format!(
        "Traceback (most recent call last):\ntorch.OutOfMemoryError: {}\n\
         E1123 07:49:56 api.py:826] failed (exitcode: 1) local_rank: 3 (pid: 4711) of binary: /usr/bin/python3\n\
         ============================================================\ntrain.py FAILED\n\
         ------------------------------------------------------------\nFailures:\n[1]:\n  time      : 2026-11-23_07:59:56\n  host      : gpu-21.cluster\n  \
         rank      : 8 (local_rank: 0)\n  exitcode  : -9 (pid: 4708)\n  error_file: <N/A>\n  traceback : Signal 9 (SIGKILL) received by PID 4708\n\
         ------------------------------------------------------------\nRoot Cause (first observed failure):\n[0]:\n  \
         time      : 2026-11-23_07:49:56\n  host      : gpu-21.cluster\n  rank      : 11 (local_rank: 3)\n  exitcode  : 1 (pid: 4711)\n  \
         error_file: <N/A>\n  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html\n\
         ============================================================\n",
        fragmented()
    );
    let params = json!({ "logs": ["/l/a"], "nodes": ["gpu-20", "gpu-21"] });
    let out = read_with(&[("/l/a", &text)], params).await;
    assert_eq!(out.outcome, "gpu_oom");
    let out = out.output;
    assert_eq!((&out["rank"], &out["local_rank"]), (&json!(11), &json!(3)));
    assert_eq!((&out["node"], &out["pid"]), (&json!("gpu-21"), &json!(4711)));
    assert_eq!(out["at"], json!("2026-11-23T07:49:56"));
}

#[tokio::test]
async fn an_error_file_is_the_same_event() {
    let message = fragmented();
    let json_text = format!(
        r#"{{"message": {{"message": "OutOfMemoryError: {message}", "extraInfo": {{"py_callstack": "Traceback (most recent call last):\n  File \"t.py\"\ntorch.OutOfMemoryError: {message}\n", "timestamp": "1795420196"}}}}}}"#
    );
    let console = format!("[rank3]: torch.OutOfMemoryError: {message}\n");
    let files = [("/t/attempt_0/3/error.json", json_text.as_str()), ("/l/console.log", console.as_str())];
    let out = read(&files).await.output;
    assert_eq!(out["ooms_seen"], json!(1));
    assert_eq!((&out["rank"], &out["local_rank"]), (&json!(3), &json!(3)));
    assert_eq!(out["at"], json!("2026-11-23T07:49:56Z"));
}

#[tokio::test]
async fn the_earliest_by_time_wins_over_file_order() {
    let message = fragmented();
    let late = format!("2026-11-23 08:00:00 ERROR x\nRuntimeError: {message}\n");
    let early = format!("2026-11-23 07:00:00 ERROR x\nRuntimeError: {}\n", message.replace("2.89", "3.89"));
    let out = read(&[("/l/rank_0.log", &late), ("/l/rank_5.log", &early)]).await.output;
    assert_eq!((&out["rank"], &out["first_of"], &out["ooms_seen"]), (&json!(5), &json!([5, 0]), &json!(2)));
}

#[tokio::test]
async fn what_is_older_is_ignored() {
    let undated = format!("2026-11-20 08:00:00 start\nRuntimeError: {}\n", fragmented());
    let text = format!("{undated}2026-11-23 08:00:00 start\n");
    let params = json!({ "logs": ["/l/a"], "from": "2026-11-23T07:00:00Z" });
    assert_eq!(read_with(&[("/l/a", &undated)], params.clone()).await.outcome, "gpu_oom");
    assert_eq!(read_with(&[("/l/a", &text)], params).await.outcome, "none");
    let params = json!({ "logs": ["/l/a"], "from": "2026-11-20T09:00:00Z" });
    assert_eq!(read_with(&[("/l/a", &text)], params).await.outcome, "gpu_oom");
}

#[tokio::test]
async fn what_was_caught_is_not_the_failure() {
    let message = fragmented();
    let going_on = |between: &str| format!("step 7\n{between}\nstep 8\nstep 9\nstep 10\n");
    for text in [
        going_on(&format!("WARNING: CUDA out of memory caught, skipping batch: {message}")),
        format!("[rank1]: step 7\n[rank1]: RuntimeError: {message}\n[rank1]: step 8\n"),
        format!("step 7\nRuntimeError: {message}\nstep 8\nstep 300\n"),
        going_on("WARNING d2.utils.memory: Attempting to copy inputs of <function f> to CPU due to CUDA OOM"),
        going_on("[W1123 CUDACachingAllocator.cpp:1] expandable_segments: memory mapping failed with OOM on device 0 while trying to map 20971520 bytes (free: 1, total: 2)."),
        going_on("[WARNING] 2 pytorch allocator cache flushes since last step."),
        "triton.runtime.errors.OutOfResources: out of resource: shared memory, Required: 98304, Hardware limit: 65536\n".to_owned(),
        format!("# RuntimeError: {message}\n"),
        format!("    raise RuntimeError(\"{message}\")\n"),
        "If you encounter CUDA out of memory, try to set --tile with a smaller number.\n".to_owned(),
        "Hint: RuntimeError: CUDA error: out of memory usually means that the batch is too large\n".to_owned(),
        "echo 'handle RuntimeError: CUDA out of memory.'\n".to_owned(),
        "loaded bigscience/BLOOM and ZOOM\n".to_owned(),
        "[rank4]:[E1206 18:44:12.755 ProcessGroupNCCL.cpp:607] [Rank 4] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7753)\n".to_owned(),
    ] {
        let done = read(&[("/l/a", &text)]).await;
        assert_eq!(done.outcome, "none", "{text}\n{done:?}");
        assert_eq!((&done.output["tried"], &done.output["ooms_seen"]), (&Value::Null, &json!(0)));
    }
}

#[tokio::test]
async fn other_ranks_may_report_some_more_steps() {
    let text = format!(
        "iter 7\nRuntimeError: {}\nTry reducing the batch size.\niter 8\niter 9\niter 23\n",
        fragmented()
    );
    assert_eq!(read(&[("/l/a", &text)]).await.outcome, "gpu_oom");
}

#[tokio::test]
async fn thousands_of_caught_errors_do_not_hide_the_last() {
    let mut text = String::new();
    for step in 0..200 {
        text += &format!(
            "WARNING: CUDA OOM, retrying: {}\nstep {step}\n",
            fragmented().replace("2.89", &format!("{step}.00"))
        );
        text += "[WARNING] 2 pytorch allocator cache flushes since last step.\n";
    }
    text += &format!("RuntimeError: {}\n", fragmented());
    let out = read(&[("/l/a", &text)]).await;
    assert_eq!((out.outcome.as_str(), &out.output["step"]), ("gpu_oom", &json!(199)));
}

#[tokio::test]
async fn a_warning_without_an_end_is_unknown() {
    let text = format!("step 7\n2026-11-23 07:49:56 WARNING trainer: {}\n", fragmented());
    assert_eq!(read(&[("/l/a", &text)]).await.outcome, "unknown");
    let text = format!("step 7\nRuntimeError: {}\nwill retry with half the batch\n", fragmented());
    assert_eq!(read(&[("/l/a", &text)]).await.outcome, "unknown");
}

#[tokio::test]
async fn host_memory_is_told_apart() {
    for (text, outcome) in [
        (
            "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=12.0 cgroup. Some of your processes may have been killed by the cgroup out-of-memory handler.\n",
            "host_oom",
        ),
        (
            "slurmstepd: error: Detected 1 oom_kill event in StepId=12.0. Some of the step tasks have been OOM Killed.\n",
            "host_oom",
        ),
        ("srun: error: gpu-21: task 3: Out Of Memory\n", "host_oom"),
        ("RuntimeError: DataLoader worker (pid 23862) is killed by signal: Killed.\n", "host_oom"),
        (
            "RuntimeError: [enforce fail at alloc_cpu.cpp:114] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 12 bytes. Error code 12 (Cannot allocate memory)\n",
            "host_oom",
        ),
        (
            "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.\n",
            "host_oom",
        ),
        ("  rank      : 3 (local_rank: 3)\n  exitcode  : -9 (pid: 12)\n", "unknown"),
        ("Killed\n", "unknown"),
    ] {
        assert_eq!(read(&[("/l/a", text)]).await.outcome, outcome, "{text}");
    }
}

#[tokio::test]
async fn an_unknown_order_of_host_and_gpu_is_unknown() {
    let gpu = format!("RuntimeError: {}\n", fragmented());
    let host = "slurmstepd: error: Detected 1 oom_kill event in StepId=12.0. Some of the step tasks have been OOM Killed.\n";
    assert_eq!(read(&[("/l/a", &gpu), ("/l/b", host)]).await.outcome, "unknown");
    assert_eq!(read(&[("/l/a", &format!("{gpu}{host}"))]).await.outcome, "gpu_oom");
    assert_eq!(read(&[("/l/a", &format!("{host}{gpu}"))]).await.outcome, "host_oom");
}

#[tokio::test]
async fn logs_that_cannot_be_read_are_no_proof_of_absence() {
    let done = read_with(&[("/l/a", "fine\n")], json!({ "logs": ["/l/a", "/l/gone"] })).await;
    assert_eq!(done.outcome, "unknown");
    assert!(done.summary.iter().any(|line| line.contains("/l/gone: is not there")), "{done:?}");
    assert_eq!(read_with(&[], json!({})).await.outcome, "unknown");
    assert_eq!(read_with(&[], json!({ "logs": null, "nodes": null, "from": null })).await.outcome, "unknown");
    let site = files(&[("/l/a", b"fine"), ("/l/b", b"fine")]).faulty("/l/b", SiteErrorKind::Io);
    let done = read_from(site, json!({ "logs": ["/l/a", "/l/b"] })).await;
    assert_eq!(done.outcome, "unknown");
    assert_eq!(read(&[("/l/a", "fine\n")]).await.outcome, "none");
}

#[tokio::test]
async fn every_case_is_found_in_a_log() {
    for case in cases() {
        let text = format!("step 41/200\nTraceback (most recent call last):\n{}\n", render(&case));
        let done = read(&[("/l/a", &text)]).await;
        let suggestion = ["elastic_sigkill", "deepspeed_rc9", "bare_killed"].contains(&case.format.as_str());
        let expected = match case.kind.nature() {
            _ if suggestion => "unknown",
            Nature::Gpu => "gpu_oom",
            Nature::Host => "host_oom",
            Nature::Harmless => "none",
        };
        assert_eq!(done.outcome, expected, "{text}\n{done:?}");
        assert_eq!(done.output["kind"], serde_json::to_value(case.kind).unwrap(), "{text}");
        if expected == "gpu_oom" {
            assert_eq!(
                (&done.output["step"], &done.output["tried"]),
                (&json!(41), &json!(case.fields.tried_bytes))
            );
        }
    }
}

#[tokio::test]
async fn windows_line_ends_colours_and_broken_bytes_do_no_harm() {
    let mut bytes = b"\xff\xfe 3%|#| 1/9\r\x1b[31mTraceback\x1b[0m\r\n".to_vec();
    bytes.extend(vec![b'.'; 3 << 20]);
    bytes.extend_from_slice(b"\r\n\x1b[1;31mtorch.OutOfMemoryError\x1b[0m: ");
    bytes.extend_from_slice(fragmented().as_bytes());
    bytes.extend_from_slice(b"\r\n");
    let done = read_from(files(&[("/l/a", &bytes)]), json!({ "logs": ["/l/a"] })).await;
    assert_eq!((done.outcome.as_str(), &done.output["line"]), ("gpu_oom", &json!(3)));
    assert!(!done.output["message"].as_str().unwrap().contains(char::is_control));
    assert!(done.output["torch"]["min"] == json!("2.4"), "{:?}", done.output["torch"]);
}

#[tokio::test]
async fn a_file_is_read_once_in_chunks_and_nothing_else_is_touched() {
    let content = "step 1\n".repeat(300_000);
    let site = files(&[("/l/a", content.as_bytes())]);
    let cx = site.cx();
    Read::new(OomRead).perform(&cx, &json!({ "logs": ["/l/a"] }), &Value::Null).await.unwrap();
    let told = |call: &Call| match call {
        Call::Stat(path) => format!("stat {path}"),
        Call::Read { path, offset, .. } => format!("read {path} {offset}"),
        other => format!("{other:?}"),
    };
    let calls: Vec<String> = site.calls().iter().map(told).collect();
    insta::assert_snapshot!(calls.join("\n"), @r"
    stat /l/a
    read /l/a 2034464
    read /l/a 2100000
    read /l/a 0
    read /l/a 1048576
    ");
}

#[tokio::test]
async fn compressed_logs_are_read() {
    use super::unpack::tests::{gzip, zstd};
    let text = format!("{}RuntimeError: {}\nlast words\n", "step 41\n".repeat(300_000), fragmented());
    for (path, packed) in [("/l/a.log.gz", gzip(text.as_bytes())), ("/l/a.log.zst", zstd(text.as_bytes()))] {
        let done = read_from(files(&[(path, &packed)]), json!({ "logs": ["/l"] })).await;
        assert_eq!((done.outcome.as_str(), &done.output["line"]), ("gpu_oom", &json!(300_001)));
        // A file that breaks off still tells what is in it; what is missing may matter where nothing was found.
        let cut = &packed[..packed.len() - 4];
        let done = read_from(files(&[(path, cut)]), json!({ "logs": [path] })).await;
        assert!(matches!(done.outcome.as_str(), "gpu_oom" | "unknown"), "{done:?}");
        assert!(done.summary.iter().any(|line| line.contains("not read")), "{done:?}");
    }
    let done = read_from(files(&[("/l/a.log.xz", b"x")]), json!({ "logs": ["/l"] })).await;
    assert_eq!(done.outcome, "unknown");
}

#[tokio::test]
async fn a_person_can_stop_it() {
    let cx = files(&[("/l/a", b"x")]).cx();
    cx.cancel.cancel();
    let error =
        Read::new(OomRead).perform(&cx, &json!({ "logs": ["/l/a"] }), &Value::Null).await.unwrap_err();
    assert_eq!(error.message, "oom.read: stopped before all logs were read");
}

#[tokio::test]
async fn a_second_attempt_that_dies_later_is_the_failure() {
    let message = fragmented();
    let run = |from: u64, to: u64, tail: &str| {
        let steps: Vec<String> = (from..=to).map(|step| format!("step {step}/200")).collect();
        format!("{}\nRuntimeError: {tail}\n", steps.join("\n"))
    };
    let grown = message.replace("2.89", "3.50");
    let text = run(1, 41, &message) + &run(30, 60, &grown);
    let out = read(&[("/l/a", &text)]).await.output;
    assert_eq!(
        (&out["step"], &out["tried"], &out["ooms_seen"]),
        (&json!(60), &json!(3_758_096_384u64), &json!(1))
    );
    // Dying again at the same step, it is one failure, and its first occurrence is shown.
    let text = run(1, 41, &message) + &run(30, 41, &message);
    let out = read(&[("/l/a", &text)]).await.output;
    assert_eq!((&out["step"], &out["line"], &out["ooms_seen"]), (&json!(41), &json!(42), &json!(1)));
}

#[tokio::test]
async fn the_step_may_stand_in_another_ranks_log() {
    let oom = format!("[rank3]: torch.OutOfMemoryError: {}\n", fragmented());
    let out = read(&[("/l/rank_3.log", &oom), ("/l/rank_0.log", "step 40\nstep 41\n")]).await.output;
    assert_eq!((&out["rank"], &out["step"]), (&json!(3), &json!(41)));
}

#[tokio::test]
async fn unknown_parameters_and_bad_times_are_refused() {
    let cx = FakeSite::shared().cx();
    for params in [json!({ "log": [] }), json!({ "logs": [], "from": "yesterday" })] {
        let error = Read::new(OomRead).perform(&cx, &params, &Value::Null).await.unwrap_err();
        assert_eq!(error.kind, engine::step::StepErrorKind::Params);
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2000), at in 0usize..2000) {
        let mut bytes = bytes;
        let at = at.min(bytes.len());
        bytes.splice(at..at, b"\nOutOfMemoryError: CUDA out of memory. Tried to allocate ".iter().copied());
        let done = block_on(read_from(files(&[("/l/a", &bytes)]), json!({ "logs": ["/l/a"] })));
        proptest::prop_assert!(done.output.is_object());
    }

    #[test]
    fn noise_around_changes_nothing(
        before in proptest::collection::vec("[ -~]{0,60}", 0..20),
        after in proptest::collection::vec("[ -~]{0,60}", 0..20),
        case in 0usize..157,
    ) {
        let all = cases();
        let case = &all[case];
        // Noise that is itself a message or a step is no noise.
        let quiet = |lines: &[String]| -> Vec<String> {
            lines.iter().map(|line| format!("- {line}").replace("tep", "").replace("iter", "")).collect()
        };
        let text = format!("{}\n{}\n", quiet(&before).join("\n"), render(case));
        let alone = block_on(read(&[("/l/a", &format!("\n{}\n", render(case)))]));
        let amid = block_on(read(&[("/l/a", &format!("{text}\n{}", quiet(&after).join("\n")))]));
        proptest::prop_assert_eq!(&alone.outcome, &amid.outcome);
        for key in ["kind", "tried", "capacity", "free", "allocated", "reserved", "processes", "rank", "step", "ooms_seen"] {
            proptest::prop_assert_eq!(&alone.output[key], &amid.output[key], "{}: {}", key, text);
        }
    }

    #[test]
    fn interleaved_ranks_do_not_mix(
        cuts in proptest::collection::vec(0usize..700, 0..3),
        noise in proptest::collection::vec((0usize..8, 0u32..16, "[a-z ,.]{0,40}"), 0..12),
        rank in 0u32..16,
    ) {
        // srun cuts a long line into several, each with its label.
        let message = format!("[rank{rank}]: torch.OutOfMemoryError: {}", fragmented());
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut > 60 && *cut < message.len()).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut lines = vec![format!("{rank:02}: [rank{rank}]: step 41")];
        let mut from = 0;
        for cut in cuts.iter().copied().chain([message.len()]) {
            lines.push(format!("{rank:02}: {}", &message[from..cut]));
            from = cut;
        }
        for (at, other, text) in noise.into_iter().filter(|(_, other, _)| *other != rank) {
            lines.insert(at.min(lines.len()), format!("{other:02}: [rank{other}]: {text}"));
        }
        let done = block_on(read(&[("/l/a", &lines.join("\n"))]));
        proptest::prop_assert_eq!(&done.outcome, "gpu_oom");
        let out = &done.output;
        proptest::prop_assert_eq!((&out["rank"], &out["step"]), (&json!(rank), &json!(41)));
        proptest::prop_assert_eq!(&out["reserved_unallocated"], &json!(7_097_433_457u64));
        proptest::prop_assert_eq!((&out["ooms_seen"], &out["first_of"]), (&json!(1), &json!([rank])));
    }
}

/// What matters of an answer.
fn gist(found: &super::outcome::Found, logs: &super::logs::Logs) -> String {
    let done = found.answer(logs, &super::placing::Layout::default());
    let told = serde_json::to_value(&done.output).unwrap();
    let keys = ["kind", "tried", "rank", "step", "file", "line", "at", "ooms_seen", "first_of"];
    format!("{} {:?}", done.outcome, keys.map(|key| &told[key]))
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    #[test]
    fn reading_tails_first_changes_nothing(
        ranks in proptest::collection::vec((300usize..6000, proptest::option::of((0usize..6000, 0u32..4)), proptest::bool::ANY), 1..4),
        dated in proptest::bool::ANY,
        labelled in proptest::bool::ANY,
    ) {
        let mut all = Vec::new();
        for (rank, (lines, oom, dies)) in ranks.into_iter().enumerate() {
            let mut text = String::new();
            for step in 0..lines {
                let time = if dated { format!("2026-11-23 07:{:02}:{:02},{:03} ", step / 600 % 60, step / 10 % 60, step % 10 * 100) } else { String::new() };
                text += &format!("{time}[rank{rank}]: step {step} loss 2.31 tokens 9130 and other words\n");
                let Some((at, size)) = oom.filter(|(at, _)| *at == step) else { continue };
                let message = fragmented().replace("2.89", &format!("{size}.50"));
                text += &format!("[rank{rank}]: torch.OutOfMemoryError: {message}\n");
                if dies || at % 2 == 0 {
                    text += &format!("[rank{rank}]:[W1123 ProcessGroupNCCL.cpp:1] a warning\n").repeat(if dies { 3 } else { 3000 });
                    break;
                }
            }
            all.push((format!("/l/{}{rank}.log", if labelled { "rank_" } else { "out" }), text));
        }
        let texts: Vec<(&str, &[u8])> = all.iter().map(|(path, text)| (path.as_str(), text.as_bytes())).collect();
        let cx = files(&texts).cx();
        let paths: Vec<String> = all.iter().map(|(path, _)| path.clone()).collect();
        let gist_of = |tail| block_on(async {
            let mut logs = super::logs::find(&*cx.site, &paths, &[]).await.unwrap();
            let found = super::survey::survey(&cx, &mut logs, &[], None, tail).await.unwrap();
            gist(&found, &logs)
        });
        proptest::prop_assert_eq!(gist_of(super::survey::TAIL), gist_of(u64::MAX));
    }
}
