//! Launches in the style of each framework: the right settings are edited where they stand, as little as can be, and the job
//! trains on because of them.

use std::process::Command;

use super::kit::World;

/// The words by which a rank of a running job was started, as `/proc` has them.
fn argv_of_rank(job: &str, node: &str) -> Vec<String> {
    let pids = Command::new("ssh").args([node, "scontrol", "listpids", job]).output().expect("runs");
    let text = String::from_utf8_lossy(&pids.stdout).into_owned();
    // Column STEPID is `0` for the ranks of the first step.
    let ranks = text.lines().filter(|line| line.split_whitespace().nth(2) == Some("0"));
    let pid = ranks.filter_map(|line| line.split_whitespace().next()).next().expect("a rank");
    let cmdline =
        Command::new("ssh").args([node, "cat", &format!("/proc/{pid}/cmdline")]).output().expect("runs");
    cmdline.stdout.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// The changed lines of each file: `-old` and `+new`.
fn changed(world: &World, before: &[(&str, String)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, old) in before {
        let new = std::fs::read_to_string(world.dir.join(name)).expect("readable");
        let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
        lines.extend(old.iter().filter(|line| !new.contains(line)).map(|line| format!("-{line}")));
        lines.extend(new.iter().filter(|line| !old.contains(line)).map(|line| format!("+{line}")));
    }
    lines
}

/// Cures the world by one lever; the words of a rank afterwards.
fn cured_by(name: &str, files: &[&str], framework: &str, expected: &[&str], unseen: &[&str]) -> Vec<String> {
    let world = World::new(name, &[]);
    let read = |name: &&str| std::fs::read_to_string(world.dir.join(name)).expect("readable");
    let before: Vec<(&str, String)> = files.iter().map(|name| (*name, read(name))).collect();
    let ran = world.treat(&[]);
    let lever = ran.output("lever");
    assert_eq!(lever["framework"], framework, "{:?}\n{}", ran.path(), ran.stderr);
    assert_eq!(ran.path().last().map(String::as_str), Some("done"), "{:?}\n{}", ran.path(), ran.stderr);
    assert_eq!(ran.status, Some(0));
    assert_eq!(changed(&world, &before), expected, "the smallest edit");
    assert_eq!(world.counts(), [("sbatch".to_owned(), 1), ("scancel".to_owned(), 1)].into());
    // What was on the command line of the first job is on that of the second.
    let sbatch = world.changes().into_iter().find(|argv| argv[0] == "sbatch").expect("one");
    for word in ["--nodes=2", "--ntasks-per-node=4", "--gpus-per-node=4"] {
        assert!(sbatch.iter().any(|given| given == word), "{sbatch:?} lacks {word}");
    }
    // Flags are looked up in the ranks; of a file they only show that they were started with it after it was written.
    let verify = ran.output("verify");
    let named = verify["files_unseen"].as_array().expect("a list").iter().filter_map(|line| line.as_str());
    let named: Vec<&str> = named.filter_map(|line| line.split(':').next()?.rsplit('/').next()).collect();
    assert_eq!(named, unseen, "{verify}");
    let sure = files.len() > 1 && unseen.is_empty();
    assert_eq!(verify["files_confirmed"], serde_json::json!(sure.then_some(true)), "{verify}");
    let flags = expected.iter().any(|line| line.contains("--") || line.contains("MICRO"));
    assert_eq!(verify["args_confirmed"], serde_json::json!(flags.then_some(true)), "{}", ran.stderr);
    argv_of_rank(&ran.jobs()[0], world.about["node"].as_str().expect("a node"))
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn hugging_face_with_deepspeed() {
    let argv = cured_by(
        "hugging-face",
        &["train.sbatch", "conf/ds_zero2.json", "checkpoints/checkpoint-40/trainer_state.json"],
        "Hugging Face Trainer",
        &[
            "-    --per_device_train_batch_size 2 \\",
            "-    --gradient_accumulation_steps 4 \\",
            "+    --per_device_train_batch_size 1 \\",
            "+    --gradient_accumulation_steps 8 \\",
            "-  \"train_micro_batch_size_per_gpu\": 2,",
            "-  \"gradient_accumulation_steps\": 4,",
            "+  \"train_micro_batch_size_per_gpu\": 1,",
            "+  \"gradient_accumulation_steps\": 8,",
            "-  \"train_batch_size\": 2",
            "+  \"train_batch_size\": 1",
        ],
        &["trainer_state.json"],
    );
    let pair = ["--per_device_train_batch_size", "1"];
    assert!(argv.windows(2).any(|words| words == pair), "{argv:?}");
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn megatron_flags() {
    let argv = cured_by(
        "megatron",
        &["train.sbatch"],
        "Megatron-LM",
        &["-MICRO_BATCH_SIZE=2      # per GPU", "+MICRO_BATCH_SIZE=1      # per GPU"],
        &[],
    );
    for pair in [["--micro-batch-size", "1"], ["--global-batch-size", "64"]] {
        assert!(argv.windows(2).any(|words| words == pair), "{argv:?}");
    }
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn torchtitan_toml() {
    let argv = cured_by(
        "torchtitan",
        &["train.sbatch", "train_configs/llama_7b.toml"],
        "torchtitan",
        &[
            "-local_batch_size = 2   # per data-parallel rank",
            "+local_batch_size = 1   # per data-parallel rank",
            "+global_batch_size = 16",
        ],
        &[],
    );
    let pair = ["--job.config_file", "train_configs/llama_7b.toml"];
    assert!(argv.windows(2).any(|words| words == pair), "{argv:?}");
}
