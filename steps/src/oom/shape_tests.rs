//! `oom.read` on the shapes in which messages reach a log: wrapped, escaped, cut, mixed, quoted.

use serde_json::{Value, json};

use super::read_tests::{fragmented, read, read_with};

/// All sizes of [`fragmented`].
fn assert_whole(out: &Value, text: &str) {
    let sizes =
        ["tried", "capacity", "free", "allocated", "reserved_unallocated"].map(|key| out[key].as_u64());
    let expected = [3_103_113_871u64, 41_940_355_645, 178_257_920, 34_144_990_003, 7_097_433_457].map(Some);
    assert_eq!(sizes, expected, "{text}");
}

fn raised() -> String {
    format!("torch.OutOfMemoryError: {}", fragmented())
}

fn wrapped(width: usize, indent: &str) -> String {
    let characters: Vec<char> = raised().chars().collect();
    let lines: Vec<String> = characters.chunks(width).map(|part| part.iter().collect()).collect();
    lines.join(&format!("\n{indent}"))
}

#[tokio::test]
async fn however_it_is_printed_the_numbers_are_the_same() {
    let message = raised();
    let json = |text: &str| serde_json::to_string(text).unwrap();
    let traceback = format!("Traceback (most recent call last):\n  File \"train.py\", line 12\n{message}\n");
    for text in [
        wrapped(80, ""),
        wrapped(40, "  "),
        wrapped(79, "│ "),
        format!("╭──── Traceback ────╮\n│ {} │\n╰──╯", wrapped(70, "│ ").replace('\n', " │\n")),
        message.replace("2.89 GiB", "\x1b[1;36m2.89\x1b[0m GiB").replace("torch.", "\x1b[1;31mtorch.\x1b[0m"),
        format!("{}\r\n", message.replace(". Of", ".\r\nOf")),
        format!("{{\"log\":{},\"stream\":\"stderr\",\"time\":\"2026-11-23T07:49:56.5Z\"}}", json(&message)),
        format!("{{\"level\":\"ERROR\",\"msg\":{},\"ts\":1795420196.2}}", json(&traceback)),
        format!("{{\"message\": {}}}", json(&json(&traceback))),
        format!(
            "ray.exceptions.RayTaskError(OutOfMemoryError): \x1b[36mray::f()\x1b[39m (pid=8, ip=10.0.0.2)\n{message}"
        ),
        format!("(TrainWorker pid=81, ip=10.0.0.2) {message}"),
        format!("AlgorithmError: OutOfMemoryError('{}'), exit code: 1", fragmented()),
        format!("[rank0]: {}", message.replace(' ', "  ")),
        format!("[rank0]: {}", wrapped(98, "")),
        format!("2026-11-23 07:49:56,123 - ERROR - {}", wrapped(90, "2026-11-23 07:49:56,123 - ERROR - ")),
        format!("2026-11-23T07:49:56.123456789Z {}", wrapped(80, "2026-11-23T07:49:56.123456789Z ")),
        format!("trainer-1  | {}", wrapped(80, "trainer-1  | ")),
        format!("E1123 07:49:56.755 4711 launch.py:1] {message}"),
        format!("2026-11-23 07:49:56,123 ERROR trainer: step failed: {message}"),
        format!(" 12%|#2        | 41/341 [00:10<01:10,  4.2it/s]{message}"),
        format!("{} {message}", "x".repeat(3 << 20)),
        format!("SIGKILL {} {message} {}", "x".repeat(1 << 20), "y".repeat(1 << 20)),
    ] {
        let done = read(&[("/l/a", &format!("hello\n{text}\nbye\n"))]).await;
        let shown: String = text.chars().filter(|c| !"xy".contains(*c)).take(300).collect();
        assert_eq!(done.outcome, "gpu_oom", "{shown}");
        assert_whole(&done.output, &shown);
        assert_eq!(done.output["ooms_seen"], json!(1), "{shown}");
    }
}

#[tokio::test]
async fn a_label_that_cuts_a_line_anywhere_changes_nothing() {
    let message = format!("[rank3]: {}", raised());
    for at in (9..message.len()).step_by(3) {
        let other = "5: [rank5]: step 41\n";
        let text = format!(
            "3: [rank3]: step 41\n{other}3: {}\n{other}3: {}\n{other}",
            &message[..at],
            &message[at..]
        );
        let done = read(&[("/l/a", &text)]).await;
        assert_eq!((done.outcome.as_str(), &done.output["rank"]), ("gpu_oom", &json!(3)), "{text}");
        assert_whole(&done.output, &text);
        assert_eq!(done.output["ooms_seen"], json!(1), "{text}");
    }
}

#[tokio::test]
async fn two_ranks_line_by_line_keep_their_numbers() {
    let (a, b) = (raised(), raised().replace("2.89", "5.50").replace("170.00", "90.00"));
    let cut = |text: &str| (text[..150].to_owned(), text[150..].to_owned());
    let ((a1, a2), (b1, b2)) = (cut(&a), cut(&b));
    let text = format!("[rank1]: {a1}\n[rank2]: {b1}\n[rank2]: {b2}\n[rank1]: {a2}\n");
    let out = read(&[("/l/a", &text)]).await.output;
    assert_whole(&out, &text);
    assert_eq!((&out["ooms_seen"], &out["first_of"]), (&json!(2), &json!([1, 2])));
}

#[tokio::test]
async fn the_first_by_time_is_found_in_every_style_of_time() {
    for (early, late) in [
        ("E1123 07:49:56.100 1 a.py:1] x", "E1123 07:49:56.900 1 a.py:1] x"),
        ("2026-11-23 07:49:56,100 x", "2026-11-23 07:49:56,900 x"),
        ("INFO 11-23 07:49:56 [a.py:1] x", "INFO 11-23 07:49:57 [a.py:1] x"),
        ("[Mon Nov 23 07:49:56 2026] x", "E1123 07:59:56.100 1 a.py:1] x"),
        (r#"{"log":"x","time":"2026-11-23T07:49:56.1Z"}"#, r#"{"log":"x","time":"2026-11-23T07:49:56.2Z"}"#),
    ] {
        let first = format!("{early}\n{}\n", raised());
        let second = format!("{late}\n{}\n", raised().replace("2.89", "5.50"));
        let out = read(&[("/l/rank_0.log", &second), ("/l/rank_7.log", &first)]).await.output;
        assert_eq!((&out["rank"], &out["first_of"]), (&json!(7), &json!([7, 0])), "{early}");
    }
}

/// torchrun's summary on one node; each names a root cause of its own.
fn block(host: &str, time: &str, rank: u32, local: u32, exit: &str) -> String {
    format!(
        "{0}\ntrain.py FAILED\n{1}\nFailures:\n  <NO_OTHER_FAILURES>\n{1}\nRoot Cause (first observed failure):\n[0]:\n  \
         time      : {time}\n  host      : {host}\n  rank      : {rank} (local_rank: {local})\n  exitcode  : {exit} (pid: 47{rank:02})\n  \
         error_file: <N/A>\n  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html\n{0}\n",
        "=".repeat(60),
        "-".repeat(60)
    )
}

#[tokio::test]
async fn a_root_cause_per_node_is_no_root_cause_of_the_job() {
    let survivors = block("gpu-20.cluster", "2026-11-23_07:59:56", 3, 3, "-6");
    let dead =
        format!("[default2]:{}\n{}", raised(), block("gpu-21.cluster", "2026-11-23_07:49:56", 10, 2, "1"));
    let params =
        json!({ "logs": ["/l/0.out", "/l/1.out"], "nodes": ["gpu-20", "gpu-21"], "tasks_per_node": 1 });
    let done = read_with(&[("/l/0.out", &survivors), ("/l/1.out", &dead)], params).await;
    assert_eq!(done.outcome, "gpu_oom");
    let out = &done.output;
    assert_eq!((&out["rank"], &out["local_rank"]), (&json!(10), &json!(2)));
    assert_eq!(
        (&out["node"], &out["pid"], &out["at"]),
        (&json!("gpu-21"), &json!(4710), &json!("2026-11-23T07:49:56"))
    );
}

#[tokio::test]
async fn near_relatives_are_no_failure_of_the_allocator() {
    let message = raised();
    for text in [
        "[rank4]:[E1206 18:44:12.755 ProcessGroupNCCL.cpp:607] [Rank 4] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7753, Timeout(ms)=600000) ran for 600099 milliseconds before timing out.\nterminate called after throwing an instance of 'c10::DistBackendError'\n".to_owned(),
        "RuntimeError: !block->expandable_segment_ INTERNAL ASSERT FAILED at \"../c10/cuda/CUDACachingAllocator.cpp\":2814, please report a bug to PyTorch.\n".to_owned(),
        "ValueError: Unrecognized key 'foo' in CUDA allocator config.\n".to_owned(),
        "RuntimeError: CUDA error: an illegal memory access was encountered\n".to_owned(),
        "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`\n".to_owned(),
        "srun: error: gpu-21: task 3: Exited with exit code 1\n".to_owned(),
        "[WARNING] 2 pytorch allocator cache flushes since last step. this happens when there is high memory pressure\n".to_owned(),
        "train.py:120:            if \"out of memory\" in str(e):\n".to_owned(),
        "        except torch.cuda.OutOfMemoryError:\n".to_owned(),
        "loss: -9.31 reward = -9 code: -9x\nstep 137\n".to_owned(),
        format!("> {message}\n"),
        format!("# last run: {message}\n"),
        "See the FAQ: what to do about `CUDA out of memory`? For example, RuntimeError: CUDA out of memory\n".to_owned(),
        "OOM-safe mode is on; bigscience/BLOOM loaded, 12 allocations FAILED over\n".to_owned(),
        "max memory allocated: 61 GiB | reserved by PyTorch: 70 GiB\n".to_owned(),
        format!("step 7\n[rank0]: {message}\n[rank0]: step 8\n[rank0]: step 9\n").replace("step 7", "[rank0]: step 7"),
    ] {
        let done = read(&[("/l/a", &text)]).await;
        assert_eq!((done.outcome.as_str(), &done.output["tried"]), ("none", &Value::Null), "{text}");
    }
}

#[tokio::test]
async fn a_truncated_message_says_what_is_left() {
    let message = raised();
    for at in [60, 75, 110, 150, 200] {
        let done = read(&[("/l/a", &format!("{}\n", &message[..at]))]).await;
        assert_eq!(done.outcome, "gpu_oom", "{at}");
        let tried = done.output["tried"].as_u64();
        assert_eq!(tried, (at >= 75).then_some(3_103_113_871), "{at}: {}", &message[..at]);
        assert_eq!(done.output["reserved_unallocated"], Value::Null);
    }
}

#[tokio::test]
async fn an_example_on_a_page_is_no_failure() {
    let message = raised();
    let page = format!(
        "# FAQ\n\n## Out of memory\n\nThe error looks like this:\n\n```\n{message}\n```\n\n**What to do**: use a smaller batch.\n"
    );
    assert_eq!(read(&[("/l/a", &page)]).await.outcome, "unknown");
    let host = page.replace(
        &message,
        "slurmstepd: error: Detected 1 oom_kill event in StepId=1.0. Some of the step tasks have been OOM Killed.",
    );
    assert_eq!(read(&[("/l/a", &host)]).await.outcome, "unknown");
    // A log in a code block, and a hint below a real error.
    let block = format!("The log:\n```\n{message}\n```\n");
    assert_eq!(read(&[("/l/a", &block)]).await.outcome, "gpu_oom");
    let hint = format!("step 41\n{message}\nThis error means that you ran out of memory on your GPU.\n");
    assert_eq!(read(&[("/l/a", &hint)]).await.outcome, "gpu_oom");
    let labelled = page.replace("torch.OutOf", "[rank3]: torch.OutOf");
    assert_eq!(read(&[("/l/a", &labelled)]).await.outcome, "gpu_oom");
}

#[tokio::test]
async fn what_trainers_say_after_a_caught_error() {
    let steps = |from: u64| (from..from + 8).map(|step| format!("step {step}\n")).collect::<String>();
    for after in [
        "OOM, clearing the cache and continuing",
        "CUDA OOM, batch skipped",
        "[trainer] emptied the cache, halving micro batch to 2",
        "', clearing CUDA cache and retrying.",
        "recovered from OOM",
    ] {
        let text = format!("{}{}\n{after}\n{}", steps(90), raised(), steps(98));
        assert_eq!(read(&[("/l/a", &text)]).await.outcome, "none", "{after}");
    }
    for after in
        ["Run with --resume to recover", "Skipping the final checkpoint", "Clearing CUDA cache before exit"]
    {
        let text = format!("{}{}\n{after}\n", steps(90), raised());
        assert_eq!(read(&[("/l/a", &text)]).await.outcome, "gpu_oom", "{after}");
    }
}
