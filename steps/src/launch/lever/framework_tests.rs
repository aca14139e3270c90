use std::sync::Arc;

use engine::step::{AnyPreview, Confirmation, Performed, StepErrorKind, Undone};
use serde_json::{Value, json};

use super::super::tests::{PATH, block, preview, step, told, with};
use super::framework::frameworks;
use crate::testkit::FakeSite;

/// A site with the script and more files, in the job's working directory `/w`.
fn site(script: &str, files: &[(&str, &str)]) -> Arc<FakeSite> {
    let fake = with(script);
    for (name, content) in files {
        let path = if name.starts_with('/') { (*name).to_owned() } else { format!("/w/{name}") };
        fake.file(&path, *content);
    }
    fake
}

fn params(more: &Value) -> Value {
    let mut params = json!({ "work_dir": "/w", "world_size": 8, "gpus": 16, "nodes": 2 });
    for (key, value) in more.as_object().unwrap() {
        params[key] = value.clone();
    }
    params
}

/// What is shown, each diff under its file's name.
fn run(script: &str, files: &[(&str, &str)], more: &Value) -> String {
    let shown = preview(&site(script, files), "launch.lever", params(more)).unwrap();
    if shown.nothing_to_do.is_some() {
        return told(&shown);
    }
    let mut lines = Vec::new();
    for diff in &shown.diffs {
        let several = shown.diffs.len() > 1 || diff.path != PATH;
        lines.extend(several.then(|| format!("{}:", diff.path)));
        let changes =
            diff.unified.lines().filter(|line| !line.starts_with("---") && !line.starts_with("+++"));
        lines.extend(changes.filter(|line| line.starts_with(['+', '-'])).map(str::to_owned));
    }
    lines.join("\n")
}

/// The levers from first to last, each on what the one before made.
fn ladder(script: &str, files: &[(&str, &str)]) -> Vec<String> {
    let fake = site(script, files);
    let mut tried = json!(null);
    let mut seen = Vec::new();
    for _ in 0..6 {
        let shown = preview(&fake, "launch.lever", params(&json!({ "tried": tried }))).unwrap();
        if let Some(done) = shown.nothing_to_do {
            seen.push(format!("{}: {}", done.outcome, done.output["reason"].as_str().unwrap()));
            return seen;
        }
        let output = &shown.predicted[0].output;
        seen.push(output["description"].as_str().unwrap().to_owned());
        tried = output["tried"].clone();
        for write in shown.writes {
            fake.file(&write.path, write.content);
        }
    }
    panic!("no end: {seen:?}");
}

const MEGATRON: &str = "#!/bin/bash\nGPT_ARGS=(\n  --num-layers 32  # 7B\n  --hidden-size 4096\n  --seq-length 4096\n  \
    --tensor-model-parallel-size 2\n)\nsrun python pretrain_gpt.py \"${GPT_ARGS[@]}\" \\\n  --micro-batch-size 4 \\\n  \
    --global-batch-size 64 \\\n  --bf16\n";

#[test]
fn megatron_derives_its_accumulation() {
    insta::assert_snapshot!(ladder(MEGATRON, &[]).join("\n"), @r"
    --micro-batch-size 4 -> 2: same global batch
    --seq-length 4096 -> 2048
    --recompute-granularity not set -> full, --recompute-method not set -> uniform, --recompute-num-layers not set -> 1
    --use-distributed-optimizer not set -> 
    exhausted: every lever was tried
    ");
    let variable = MEGATRON.replace("#!/bin/bash\n", "export M=4\n").replace("size 4 ", "size $M ");
    let shown = preview(&site(&variable, &[]), "launch.lever", params(&json!({}))).unwrap();
    assert_eq!(shown.predicted[0].output["environment"], json!({ "M": "2" }));
    assert_eq!(shown.predicted[0].output["arguments"], json!({ "--micro-batch-size": "2" }));
    assert_eq!(run(MEGATRON, &[], &json!({})), "-  --micro-batch-size 4 \\\n+  --micro-batch-size 2 \\");
    let recompute = json!({ "allow": ["activation_checkpointing"] });
    assert_eq!(
        run(MEGATRON, &[], &recompute),
        "-  --micro-batch-size 4 \\\n+  --micro-batch-size 4 --recompute-granularity full --recompute-method uniform \
         --recompute-num-layers 1 \\"
    );
    // Selective recomputation frees next to nothing under FlashAttention: the whole layer is the lever.
    for (flag, added) in [("--recompute-activations", ""), ("--recompute-granularity selective", "")] {
        let script = MEGATRON.replace("--bf16", flag);
        assert_eq!(
            run(&script, &[], &recompute),
            format!(
                "-  {flag}\n+  --recompute-granularity full --recompute-method uniform --recompute-num-layers 1{added}"
            )
        );
    }
    let full = MEGATRON.replace("--bf16", "--recompute-granularity full");
    assert_eq!(
        run(&full, &[], &recompute),
        "exhausted: activation_checkpointing: --recompute-granularity (line 11): all activations are recomputed already"
    );
    // Where no global batch is given it would shrink with the micro-batch: 4 samples on 8 / 2 ranks are 16.
    let silent = MEGATRON.replace("  --global-batch-size 64 \\\n", "");
    assert_eq!(
        run(&silent, &[], &json!({})),
        "-  --micro-batch-size 4 \\\n+  --micro-batch-size 2 --global-batch-size 16 \\"
    );
    let unknown = run(&silent, &[], &json!({ "world_size": null }));
    assert!(
        unknown
            .starts_with("unknown: micro_batch (Megatron-LM): --micro-batch-size (line 9) is 4 and none of"),
        "{unknown}"
    );
    // Under torchrun the ranks are the GPUs, not Slurm's tasks.
    let torchrun = silent.replace("srun python", "srun torchrun --nproc-per-node 8");
    assert!(run(&torchrun, &[], &json!({})).contains("--global-batch-size 32"));
    let odd = MEGATRON.replace("size 64", "size 60");
    assert!(
        run(&odd, &[], &json!({})).starts_with(
            "cannot: micro_batch (Megatron-LM): --global-batch-size (line 10) is 60, no multiple"
        )
    );
}

#[test]
fn megatron_deepspeed_has_two_readers() {
    let script = MEGATRON.replace("--bf16", "--deepspeed --deepspeed_config ds.json");
    let file = "{\"train_batch_size\": 64, \"train_micro_batch_size_per_gpu\": 4, \"gradient_accumulation_steps\": 4}\n";
    assert_eq!(
        run(&script, &[("ds.json", file)], &json!({})),
        "/home/u/train.sbatch:\n-  --micro-batch-size 4 \\\n+  --micro-batch-size 2 \\\n/w/ds.json:\n\
         -{\"train_batch_size\": 64, \"train_micro_batch_size_per_gpu\": 4, \"gradient_accumulation_steps\": 4}\n\
         +{\"train_batch_size\": 64, \"train_micro_batch_size_per_gpu\": 2, \"gradient_accumulation_steps\": 8}"
    );
}

const HF: &str = "#!/bin/bash\ncd \"$SLURM_SUBMIT_DIR\"\nDS=conf/ds_z2.json\nsrun torchrun --nproc-per-node 8 run_clm.py \\\n    \
    --per_device_train_batch_size 4 \\\n    --gradient_accumulation_steps 2 \\\n    --block_size 2048 \\\n    \
    --deepspeed $DS --output_dir out\n";
const DS: &str = "{\n  \"zero_optimization\": { \"stage\": 2 },\n  \"train_batch_size\": 128,\n  \
    \"train_micro_batch_size_per_gpu\": 4,\n  \"gradient_accumulation_steps\": 2\n}\n";

#[test]
fn hugging_face_and_its_deepspeed_file_change_together() {
    let micro = "/home/u/train.sbatch:\n-    --per_device_train_batch_size 4 \\\n-    --gradient_accumulation_steps 2 \\\n\
        +    --per_device_train_batch_size 2 \\\n+    --gradient_accumulation_steps 4 \\\n";
    assert_eq!(
        run(HF, &[("conf/ds_z2.json", DS)], &json!({})),
        format!(
            "{micro}/w/conf/ds_z2.json:\n-  \"train_micro_batch_size_per_gpu\": 4,\n-  \"gradient_accumulation_steps\": 2\n\
             +  \"train_micro_batch_size_per_gpu\": 2,\n+  \"gradient_accumulation_steps\": 4"
        )
    );
    let auto = DS.replace(": 4,", ": \"auto\",").replace(": 2\n", ": \"auto\"\n").replace("128", "\"auto\"");
    let files = [("conf/ds_z2.json", auto.as_str())];
    assert_eq!(run(HF, &files, &json!({})), micro.replace("/home/u/train.sbatch:\n", "").trim_end());
    let wrong = DS.replace(": 4,", ": 8,");
    assert_eq!(
        run(HF, &[("conf/ds_z2.json", &wrong)], &json!({})),
        "cannot: micro_batch (Hugging Face Trainer): train_micro_batch_size_per_gpu (ds_z2.json line 4) is 8, where 4 would \
         agree with the rest"
    );
    insta::assert_snapshot!(ladder(HF, &files).join("\n"), @r"
    --per_device_train_batch_size 4 -> 2, --gradient_accumulation_steps 2 -> 4: same global batch
    --block_size 2048 -> 1024
    --gradient_checkpointing not set -> True
    zero_optimization.stage 2 -> 3
    exhausted: every lever was tried
    ");
    // No accumulation given is one pass.
    let bare = HF.replace("    --gradient_accumulation_steps 2 \\\n", "");
    assert_eq!(
        run(&bare, &files, &json!({})),
        "-    --per_device_train_batch_size 4 \\\n+    --per_device_train_batch_size 2 --gradient_accumulation_steps 2 \\"
    );
}

#[test]
fn a_resumed_training_finds_the_new_batch_size_in_its_checkpoint() {
    let script = HF.replace("    --deepspeed $DS --output_dir out\n", "    --output_dir out\n");
    let state = "{\n  \"global_step\": 500,\n  \"train_batch_size\": 4\n}\n";
    let more = json!({ "checkpoint": "/w/out/checkpoint-500" });
    let shown = run(&script, &[("out/checkpoint-500/trainer_state.json", state)], &more);
    let site = site(&script, &[("out/checkpoint-500/trainer_state.json", state)]);
    let notes = preview(&site, "launch.lever", params(&more)).unwrap().notes;
    assert!(!notes.iter().any(|note| note.contains("trainer_state")), "{notes:?}");
    assert!(
        shown.ends_with("trainer_state.json:\n-  \"train_batch_size\": 4\n+  \"train_batch_size\": 2"),
        "{shown}"
    );
}

#[test]
fn a_file_that_was_changed_since_is_said_to_be() {
    let fake = site(HF, &[("conf/ds_z2.json", DS)]);
    let notes =
        |started: &str| preview(&fake, "launch.lever", params(&json!({ "started": started }))).unwrap().notes;
    // The site's clock stands at 2026-11-24 03:12:44.
    let told = "/w/conf/ds_z2.json was changed after the job started: what the job read is not known.";
    assert!(notes("2026-11-24T02:00:00Z").iter().any(|note| note == told));
    assert!(!notes("2026-11-24T04:00:00Z").iter().any(|note| note == told));
    let wrong = preview(&fake, "launch.lever", params(&json!({ "started": "yesterday" }))).unwrap_err();
    assert_eq!(wrong.kind, StepErrorKind::Params);
}

#[test]
fn an_accelerate_file_with_fsdp_has_its_own_switches() {
    let script = "cd /w\naccelerate launch --config_file fsdp.yaml sft.py --per_device_train_batch_size 1 --output_dir o \\\n  \
        --gradient_accumulation_steps 8 --max_seq_length 4096\n";
    let file = "distributed_type: FSDP\nfsdp_config:\n  fsdp_sharding_strategy: SHARD_GRAD_OP  # ZeRO-2\n  \
        fsdp_activation_checkpointing: false\n";
    insta::assert_snapshot!(ladder(script, &[("fsdp.yaml", file)]).join("\n"), @r"
    --max_seq_length 4096 -> 2048
    fsdp_config.fsdp_activation_checkpointing false -> true
    fsdp_config.fsdp_sharding_strategy SHARD_GRAD_OP -> FULL_SHARD
    exhausted: micro_batch: --per_device_train_batch_size (line 2) is 1 already
    ");
}

#[test]
fn deepspeed_alone_gives_two_of_three() {
    let script = "deepspeed --num_gpus 8 train.py --deepspeed --deepspeed_config ds.json\n";
    for (before, after) in [
        (
            "{\"train_micro_batch_size_per_gpu\": 4, \"gradient_accumulation_steps\": 2}",
            "{\"train_micro_batch_size_per_gpu\": 2, \"gradient_accumulation_steps\": 4}",
        ),
        (
            "{\"train_micro_batch_size_per_gpu\": 4, \"train_batch_size\": 128}",
            "{\"train_micro_batch_size_per_gpu\": 2, \"train_batch_size\": 128}",
        ),
        (
            "{\"gradient_accumulation_steps\": 2, \"train_batch_size\": 128}",
            "{\"gradient_accumulation_steps\": 4, \"train_batch_size\": 128}",
        ),
        (
            "{\"train_micro_batch_size_per_gpu\": 4}",
            "{\"train_micro_batch_size_per_gpu\": 2, \"gradient_accumulation_steps\": 2}",
        ),
        ("{\"train_batch_size\": 64}", "{\"train_batch_size\": 64, \"gradient_accumulation_steps\": 2}"),
    ] {
        let shown = run(script, &[("ds.json", before)], &json!({}));
        let expected = format!("/w/ds.json:\n-{before}\n+{after}");
        assert_eq!(shown, expected);
    }
    let none =
        run(script, &[("ds.json", "{\"train_batch_size\": 16}")], &json!({ "allow": ["micro_batch"] }));
    assert_eq!(none, "exhausted: micro_batch: 16 samples in 1 passes on 16 ranks are 1 per pass already");
    let gone = run(script, &[], &json!({}));
    assert_eq!(gone, "cannot: micro_batch (DeepSpeed): /w/ds.json: /w/ds.json: no such file");
}

const TITAN: &str = "# Llama 3 8B\n[model]\nname = \"llama3\"\nflavor = \"8B\"\n\n[training]\nlocal_batch_size = 4\nseq_len = 8192\n\n\
    [parallelism]\ndata_parallel_replicate_degree = 2\ndata_parallel_shard_degree = -1\ntensor_parallel_degree = 2\n\n\
    [activation_checkpoint]\nmode = \"selective\"  # or full\n";

#[test]
fn torchtitan_does_not_shrink_silently() {
    let script = "CONFIG=train_configs/llama3_8b.toml\nsrun torchrun --nproc_per_node=8 -m torchtitan.train --job.config_file $CONFIG\n";
    let files = [("train_configs/llama3_8b.toml", TITAN)];
    insta::assert_snapshot!(run(script, &files, &json!({})), @r"
    /w/train_configs/llama3_8b.toml:
    -local_batch_size = 4
    +local_batch_size = 2
    +global_batch_size = 32
    ");
    insta::assert_snapshot!(ladder(script, &files).join("\n"), @r"
    training.local_batch_size 4 -> 2, training.global_batch_size not set -> 32: same global batch
    training.seq_len 8192 -> 4096
    activation_checkpoint.mode selective -> full
    parallelism.data_parallel_replicate_degree 2 -> 1
    exhausted: every lever was tried
    ");
    let default = script.replace("CONFIG=train", "CONFIG=${CONFIG:-train").replace(".toml\n", ".toml}\n");
    let notes = preview(&site(&default, &files), "launch.lever", params(&json!({}))).unwrap().notes;
    assert!(
        notes.iter().any(|note| note.starts_with("Which file /w/train_configs/llama3_8b.toml is, the env")),
        "{notes:?}"
    );
    // A flag wins over the file.
    let flag = script
        .replace("$CONFIG\n", "$CONFIG --training.local-batch-size 4 --training.global-batch-size -1\n");
    assert_eq!(
        run(&flag, &files, &json!({})).lines().last().unwrap(),
        "+srun torchrun --nproc_per_node=8 -m torchtitan.train --job.config_file $CONFIG --training.local-batch-size 2 \
         --training.global-batch-size 32"
    );
    let moved = script.replace("CONFIG=", "cd $(mktemp -d)\nCONFIG=");
    assert_eq!(
        run(&moved, &files, &json!({})),
        "cannot: micro_batch (torchtitan): in which directory train_configs/llama3_8b.toml is cannot be told"
    );
    let written = script.replace("srun", "sed -i s/a/b/ $CONFIG\nsrun");
    assert_eq!(
        run(&written, &files, &json!({})),
        "cannot: micro_batch (torchtitan): line 2 of the script writes train_configs/llama3_8b.toml itself, or may"
    );
}

#[test]
fn yaml_frameworks_are_edited_in_their_file() {
    let axolotl = "base_model: /m/llama\nmicro_batch_size: 2\ngradient_accumulation_steps: 4\nsequence_len: 4096\n\
        gradient_checkpointing: false\ndeepspeed: ds.json\n";
    insta::assert_snapshot!(ladder("cd /w\nsrun axolotl train cfg.yml\n", &[("cfg.yml", axolotl), ("ds.json", "{\"zero_optimization\": {\"stage\": 1}}")]).join("\n"), @r"
    micro_batch_size 2 -> 1, gradient_accumulation_steps 4 -> 8: same global batch
    sequence_len 4096 -> 2048
    gradient_checkpointing false -> true
    zero_optimization.stage 1 -> 2
    exhausted: every lever was tried
    ");
    let factory = "stage: sft\nfinetuning_type: full\nper_device_train_batch_size: 4\ncutoff_len: 2048\n";
    let line = "llamafactory-cli train sft.yaml gradient_accumulation_steps=8\n";
    insta::assert_snapshot!(ladder(line, &[("sft.yaml", factory)]).join("\n"), @r"
    per_device_train_batch_size 4 -> 2, gradient_accumulation_steps= 8 -> 16: same global batch
    cutoff_len 2048 -> 1024
    exhausted: activation_checkpointing: activations are recomputed already, as is the default; sharding: no DeepSpeed configuration was found
    ");
    let lightning =
        "trainer:\n  accumulate_grad_batches: 2\n  strategy: deepspeed_stage_2\ndata:\n  batch_size: 6\n";
    insta::assert_snapshot!(ladder("srun python main.py fit --config c.yaml\n", &[("c.yaml", lightning)]).join("\n"), @r"
    data.batch_size 6 -> 3, trainer.accumulate_grad_batches 2 -> 4: same global batch
    trainer.strategy deepspeed_stage_2 -> deepspeed_stage_3
    exhausted: sequence: the program's own code decides about it; activation_checkpointing: the program's own code decides about it
    ");
}

#[test]
fn hydra_overrides_win_over_nemos_file() {
    let file = "model:\n  micro_batch_size: 8\n  global_batch_size: 128\n  encoder_seq_length: 4096\n  \
        tensor_model_parallel_size: 2\n  activations_checkpoint_granularity: null\n  activations_checkpoint_method: null\n  \
        activations_checkpoint_num_layers: null\n  optim:\n    name: fused_adam\n";
    let script = "srun python megatron_gpt_pretraining.py --config-path=/w/conf --config-name=gpt \\\n  \
        model.micro_batch_size=4 trainer.devices=8\n";
    insta::assert_snapshot!(ladder(script, &[("conf/gpt.yaml", file)]).join("\n"), @r"
    model.micro_batch_size= 4 -> 2: same global batch
    model.encoder_seq_length 4096 -> 2048
    model.activations_checkpoint_granularity null -> full, model.activations_checkpoint_method null -> uniform, model.activations_checkpoint_num_layers null -> 1
    model.optim.name fused_adam -> distributed_fused_adam
    exhausted: every lever was tried
    ");
}

#[test]
fn a_lever_that_cannot_free_enough_is_skipped() {
    let gib = |n: f64| (n * f64::from(1 << 30)) as u64;
    let script = MEGATRON.replace("--bf16", "--bf16 --vocab-size 32000 --num-attention-heads 32");
    let error = |tried: f64| json!({ "error": { "tried": gib(tried), "free": gib(1.0), "allocated": gib(70.0), "capacity": gib(80.0) } });
    let shown = preview(&site(&script, &[]), "launch.lever", params(&error(2.0))).unwrap();
    assert_eq!(
        shown.predicted[0].output["estimate"],
        "The job lacked 1.0 GiB at that moment (2.0 GiB asked, 1.0 GiB free). 70.0 GiB were in use. By the model's dimensions \
         this frees 17.6 GiB to 98.8 GiB of activations, and nothing of the model states."
    );
    // More than all activations can free.
    assert!(run(&script, &[], &error(300.0)).contains("--use-distributed-optimizer"));
    let shown = preview(&site(&script, &[]), "launch.lever", params(&error(300.0))).unwrap();
    assert!(
        shown.notes.iter().any(|note| note.starts_with("Not taken: micro_batch: frees at most ")),
        "{:?}",
        shown.notes
    );
    // Where a half is too little and a quarter is enough, the quarter is taken at once.
    assert!(run(&script, &[], &error(20.0)).contains("+  --micro-batch-size 1"));
}

#[test]
fn numbers_beyond_sense_are_not_reckoned_with() {
    for size in ["0", "-4", "18446744073709551615", "4294967296", "1e3", "99999999999999999999"] {
        let told = run(&MEGATRON.replace("size 4 ", &format!("size {size} ")), &[], &json!({}));
        assert!(
            told.starts_with("unknown: micro_batch (Megatron-LM): --micro-batch-size (line 9) is "),
            "{told}"
        );
    }
    let large = MEGATRON.replace("size 4 ", "size 2147483647 ").replace("size 4096", "size 1073741824");
    assert!(run(&large, &[], &json!({ "world_size": 2 })).starts_with("cannot: "));
}

#[test]
fn an_unknown_framework_is_not_guessed_at() {
    let told = run("srun python my_train.py --batch 8\n", &[], &json!({}));
    assert!(told.starts_with("unknown: micro_batch: the script sets none of MICRO_BATCH_SIZE, "), "{told}");
    let shown =
        preview(&site("srun python my_train.py --batch 8\n", &[]), "launch.lever", params(&json!({})))
            .unwrap();
    let reason = shown.nothing_to_do.unwrap().output["reason"].as_str().unwrap().to_owned();
    assert!(reason.ends_with("nor does the launch show one of Megatron-LM, NeMo, torchtitan, Axolotl, LLaMA-Factory, Hugging Face Trainer, DeepSpeed, Lightning"), "{reason}");
    let both = "srun python x.py --micro-batch-size 2 --per_device_train_batch_size 2 --output_dir o\n";
    assert_eq!(
        run(both, &[], &json!({})),
        "unknown: the launch shows signs of Megatron-LM and Hugging Face Trainer at once"
    );
}

#[test]
fn the_tables_name_only_frameworks_and_files_that_there_are() {
    let all = frameworks().unwrap();
    assert_eq!(all.len(), 8);
    for framework in all {
        let files: Vec<&str> = framework.files.iter().map(|file| file.name.as_str()).collect();
        let text = format!("{framework:?}");
        for key in text.split("Key(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let file = key.split_once(':').map_or("main", |(file, _)| file);
            assert!(files.contains(&file), "{}: {key}", framework.name);
        }
    }
}

/// The preview of a change of two files, its parameters, and the site.
fn two_files() -> (Arc<FakeSite>, Value, AnyPreview) {
    let fake = site(HF, &[("conf/ds_z2.json", DS)]);
    let mut params = params(&json!({}));
    params["script"] = json!(PATH);
    let shown = block(step("launch.lever").preview(&fake.cx(), &params)).unwrap();
    (fake, params, shown)
}

fn contents(fake: &FakeSite) -> [String; 2] {
    [PATH, "/w/conf/ds_z2.json"].map(|path| String::from_utf8(fake.content(path).unwrap()).unwrap())
}

#[test]
fn several_files_are_one_change() {
    let (fake, params, shown) = two_files();
    let (step, cx) = (step("launch.lever"), fake.cx());
    let after = [
        HF.replace("size 4", "size 2").replace("steps 2", "steps 4"),
        DS.replace("steps\": 2", "steps\": 4").replace("gpu\": 4", "gpu\": 2"),
    ];
    assert_eq!(shown.target, "/home/u/train.sbatch, /w/conf/ds_z2.json");
    assert_eq!(shown.diffs.len(), 2);
    let arguments = json!({ "--per_device_train_batch_size": "2", "--gradient_accumulation_steps": "4" });
    assert_eq!(shown.predicted[0].output["arguments"], arguments);
    assert_eq!(block(step.confirm(&cx, &params, &shown.intent)).unwrap(), Confirmation::DidNot);
    let Performed::Done(done) = block(step.perform(&cx, &params, &shown.intent)).unwrap() else { panic!() };
    assert_eq!(contents(&fake), after);
    assert_eq!(
        block(step.confirm(&cx, &params, &shown.intent)).unwrap(),
        Confirmation::Happened(done.clone())
    );

    // Cut off between the two: doing it again goes on from there.
    fake.file("/w/conf/ds_z2.json", DS);
    let half = "/home/u/train.sbatch has its new content, /w/conf/ds_z2.json has not";
    assert_eq!(
        block(step.confirm(&cx, &params, &shown.intent)).unwrap(),
        Confirmation::Begun(half.to_owned())
    );
    assert!(matches!(block(step.perform(&cx, &params, &shown.intent)).unwrap(), Performed::Done(_)));
    assert_eq!(contents(&fake), after);

    assert!(matches!(block(step.undo(&cx, &params, &shown.intent)).unwrap(), Undone::Restored(_)));
    assert_eq!(contents(&fake), [HF, DS]);
    assert!(matches!(block(step.undo(&cx, &params, &shown.intent)).unwrap(), Undone::NothingToDo(_)));

    // The patches take it back later, as long as nobody edited the files.
    block(step.perform(&cx, &params, &shown.intent)).unwrap();
    let restore = json!({ "restore": done.output["patches"] });
    let back = preview(&fake, "launch.edit", restore.clone()).unwrap();
    assert_eq!(
        back.writes.iter().map(|write| write.content.clone()).collect::<Vec<_>>(),
        [HF.as_bytes(), DS.as_bytes()]
    );
    fake.file("/w/conf/ds_z2.json", "{}");
    let back = preview(&fake, "launch.edit", restore).unwrap();
    assert_eq!(told(&back), "cannot: /w/conf/ds_z2.json was edited by someone else since");
}

#[test]
fn a_change_of_several_files_is_made_whole_or_not_at_all() {
    let (fake, params, shown) = two_files();
    let (step, cx) = (step("launch.lever"), fake.cx());
    fake.file("/w/conf/ds_z2.json", "{\"someone\": \"else\"}");
    let error = block(step.perform(&cx, &params, &shown.intent)).unwrap_err();
    assert_eq!(error.kind, StepErrorKind::Drifted);
    assert!(fake.files_untouched(), "the first was written before the second was looked at");
    assert_eq!(contents(&fake), [HF, "{\"someone\": \"else\"}"]);
    assert!(matches!(block(step.undo(&cx, &params, &shown.intent)).unwrap(), Undone::Cannot(_)));
}
