use serde_json::{Value, json};

use super::super::tests::{GALLERY, preview, told, with};
use super::names::customary;

fn run(script: &str, params: Value) -> String {
    told(&preview(&with(script), "launch.lever", params).unwrap())
}

const ALL: &str = "export MICRO_BATCH_SIZE=4 GRAD_ACCUM_STEPS=8\nSEQ_LENGTH=4096\nexport GRADIENT_CHECKPOINTING=false\n\
                   export SHARDING_DEGREE=8\nsrun python x.py --seq $SEQ_LENGTH\n";

#[test]
fn levers_come_in_the_order_of_the_page() {
    let mut tried = json!(null);
    let mut script = ALL.to_owned();
    let mut seen = Vec::new();
    loop {
        let shown =
            preview(&with(&script), "launch.lever", json!({ "tried": tried, "world_size": 16 })).unwrap();
        if let Some(done) = &shown.nothing_to_do {
            assert_eq!(done.outcome, "exhausted");
            break;
        }
        let output = &shown.predicted[0].output;
        seen.push((output["description"].as_str().unwrap().to_owned(), output["changes_training"] == true));
        tried = output["tried"].clone();
        script = String::from_utf8(shown.writes[0].content.clone()).unwrap();
    }
    assert_eq!(
        seen,
        [
            ("MICRO_BATCH_SIZE 4 -> 2, GRAD_ACCUM_STEPS 8 -> 16: same global batch".to_owned(), false),
            ("SEQ_LENGTH 4096 -> 2048 tokens".to_owned(), true),
            ("GRADIENT_CHECKPOINTING false -> true".to_owned(), false),
            ("SHARDING_DEGREE 8 -> 16 of 16 ranks".to_owned(), false),
        ]
    );
    assert_eq!(
        tried,
        json!([
            "micro_batch:4->2",
            "sequence:4096->2048",
            "activation_checkpointing:false->true",
            "sharding:8->16"
        ])
    );
    assert_eq!(
        script,
        "export MICRO_BATCH_SIZE=2 GRAD_ACCUM_STEPS=16\nSEQ_LENGTH=2048\nexport GRADIENT_CHECKPOINTING=true\n\
         export SHARDING_DEGREE=16\nsrun python x.py --seq $SEQ_LENGTH\n"
    );
}

#[test]
fn a_spent_lever_gives_way_to_the_next_and_a_missing_one_does_not() {
    let with = |micro: &str| ALL.replace("SIZE=4", &format!("SIZE={micro}"));
    for micro in ["1", "3"] {
        assert!(run(&with(micro), json!({})).contains("+SEQ_LENGTH=2048"), "{micro}");
    }
    let tried = json!({ "tried": ["micro_batch:8->4"], "repeat": true });
    assert!(run(ALL, tried).contains("+export MICRO_BATCH_SIZE=2 GRAD_ACCUM_STEPS=16"));
    assert!(run(ALL, json!({ "allow": ["activation_checkpointing"] })).contains("CHECKPOINTING=true"));
    for (script, params, outcome) in [
        (
            ALL.replace("MICRO_BATCH_SIZE", "X"),
            json!({}),
            "unknown: micro_batch: the script sets none of MICRO_BATCH_SIZE, ",
        ),
        (
            ALL.replace("GRAD_ACCUM_STEPS", "X"),
            json!({}),
            "unknown: micro_batch: MICRO_BATCH_SIZE is 4, but nothing that holds",
        ),
        (with("auto"), json!({}), "unknown: micro_batch: MICRO_BATCH_SIZE is auto, not a number"),
        (with("4 MBS=4"), json!({}), "cannot: micro_batch: MICRO_BATCH_SIZE and MBS are all set"),
        (with("$1"), json!({}), "cannot: micro_batch: MICRO_BATCH_SIZE: line 1 computes it"),
        (
            ALL.to_owned(),
            json!({ "allow": ["sharding"] }),
            "unknown: sharding: the number of ranks is not known",
        ),
        (
            ALL.to_owned(),
            json!({ "allow": ["sharding"], "world_size": 12 }),
            "exhausted: sharding: SHARDING_DEGREE is 8 of 12 ranks",
        ),
        (ALL.to_owned(), json!({ "allow": [] }), "exhausted: every lever was tried"),
        (
            ALL.replace("=false", "=selective"),
            json!({ "allow": ["activation_checkpointing"] }),
            "unknown: activation_checkpointing: GRADIENT_CHECKPOINTING is selective, neither on nor off",
        ),
        (
            "A=8\nARGS=\"--mbs $A\"\nA=8\nsrun python x.py $A".to_owned(),
            json!({ "names": { "micro_batch": "A" } }),
            "cannot: micro_batch: A: line 2 reads it before line 3 sets it",
        ),
        (
            "python_is_not_started_here".to_owned(),
            json!({}),
            "cannot: micro_batch: no command that starts the training was found",
        ),
    ] {
        let told = run(&script, params);
        assert!(told.starts_with(outcome), "{told}");
    }
}

#[test]
fn names_can_be_given() {
    let script = "B=6\nG=2\nsrun python x.py --b $B --g $G\n";
    let told = run(script, json!({ "names": { "micro_batch": "B", "accumulation": "G" } }));
    assert_eq!(told, "@@ -1,3 +1,3 @@\n-B=6\n-G=2\n+B=3\n+G=4");
    let fake = with(script);
    let wrong = preview(&fake, "launch.lever", json!({ "names": { "micro_batch": "B;x" } })).unwrap_err();
    assert_eq!(wrong.message, "launch.lever: B;x is not the name of an environment variable");
    let wrong = preview(&fake, "launch.lever", json!({ "tried": ["magic:1->2"] })).unwrap_err();
    assert_eq!(wrong.message, "launch.lever: magic:1->2 in tried is no lever");
}

#[test]
fn an_estimate_needs_the_numbers() {
    let gib = |n: f64| (n * f64::from(1 << 30)) as u64;
    let error = json!({ "tried": gib(2.0), "free": gib(0.5), "allocated": gib(70.0), "other": "x" });
    let estimate = |error: Value| {
        let shown = preview(&with(ALL), "launch.lever", json!({ "error": error })).unwrap();
        shown.predicted[0].output["estimate"].clone()
    };
    assert_eq!(
        estimate(error),
        "The job lacked 1.5 GiB at that moment (2.0 GiB asked, 512 MiB free). 70.0 GiB were in use. This frees about \
         half of the activations, nothing of the model states; the error does not tell how these divide."
    );
    assert_eq!(estimate(json!(null)), Value::Null);
    assert_eq!(estimate(json!({ "tried": null, "free": 1 })), Value::Null);
    assert_eq!(estimate(json!({ "tried": 1, "free": 2 })), Value::Null);
}

#[test]
fn customary_names_are_distinct() {
    let table = customary().unwrap();
    let all = [
        &table.micro_batch,
        &table.accumulation,
        &table.global_batch,
        &table.sequence,
        &table.activation_checkpointing,
        &table.sharding,
    ];
    let mut names: Vec<&String> = all.into_iter().flatten().collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn the_gallery_gets_its_next_lever() {
    let all: Vec<String> =
        GALLERY.iter().map(|(name, script)| format!("== {name}\n{}", run(script, json!({})))).collect();
    insta::assert_snapshot!(all.join("\n"), @r"
    == torchrun
    @@ -16,8 +16,8 @@
    -export MICRO_BATCH_SIZE=8          # per GPU
    -export GRADIENT_ACCUMULATION_STEPS=4
    +export MICRO_BATCH_SIZE=4          # per GPU
    +export GRADIENT_ACCUMULATION_STEPS=8
    == megatron
    @@ -5,7 +5,7 @@
    -MICRO_BATCH_SIZE=4
    +MICRO_BATCH_SIZE=2
    # --global-batch-size (line 16) stays 1024: the accumulation follows from it.
    == accelerate
    @@ -6,8 +6,8 @@
    -PER_DEVICE_TRAIN_BATCH_SIZE=${PER_DEVICE_TRAIN_BATCH_SIZE:-4}
    -GRAD_ACCUM=${GRAD_ACCUM:-8}
    +PER_DEVICE_TRAIN_BATCH_SIZE=${PER_DEVICE_TRAIN_BATCH_SIZE:-2}
    +GRAD_ACCUM=${GRAD_ACCUM:-16}
    # deepspeed_config.gradient_accumulation_steps could not be looked at, and must agree where it is set (in which directory fsdp.yaml is cannot be told).
    # Hugging Face's Trainer from 4.36 to 5.1 takes the batch size from the checkpoint's trainer_state.json when it resumes: there, train_batch_size needs the same change.
    # Line 10: a value of GRAD_ACCUM in the environment that the script is submitted from wins over the new one.
    # Line 9: a value of PER_DEVICE_TRAIN_BATCH_SIZE in the environment that the script is submitted from wins over the new one.
    == pyxis
    unknown: micro_batch: the script sets none of MICRO_BATCH_SIZE, MICRO_BATCH, MICRO_BSZ, MBS, BATCH_SIZE_PER_GPU, BATCH_SIZE_PER_DEVICE, PER_GPU_BATCH_SIZE, PER_DEVICE_BATCH_SIZE, PER_DEVICE_TRAIN_BATCH_SIZE, …
    == functions
    @@ -15,8 +15,8 @@
    -    export MICRO_BATCH=2
    -    export GRAD_ACCUM_STEPS=16
    +    export MICRO_BATCH=1
    +    export GRAD_ACCUM_STEPS=32
    == heredoc
    unknown: micro_batch: the script sets none of MICRO_BATCH_SIZE, MICRO_BATCH, MICRO_BSZ, MBS, BATCH_SIZE_PER_GPU, BATCH_SIZE_PER_DEVICE, PER_GPU_BATCH_SIZE, PER_DEVICE_BATCH_SIZE, PER_DEVICE_TRAIN_BATCH_SIZE, …
    == branches
    unknown: micro_batch: the script sets none of MICRO_BATCH_SIZE, MICRO_BATCH, MICRO_BSZ, MBS, BATCH_SIZE_PER_GPU, BATCH_SIZE_PER_DEVICE, PER_GPU_BATCH_SIZE, PER_DEVICE_BATCH_SIZE, PER_DEVICE_TRAIN_BATCH_SIZE, …
    == retry_loop
    unknown: micro_batch: the script sets none of MICRO_BATCH_SIZE, MICRO_BATCH, MICRO_BSZ, MBS, BATCH_SIZE_PER_GPU, BATCH_SIZE_PER_DEVICE, PER_GPU_BATCH_SIZE, PER_DEVICE_BATCH_SIZE, PER_DEVICE_TRAIN_BATCH_SIZE, …
    == posix_sh
    unknown: micro_batch: the script sets none of MICRO_BATCH_SIZE, MICRO_BATCH, MICRO_BSZ, MBS, BATCH_SIZE_PER_GPU, BATCH_SIZE_PER_DEVICE, PER_GPU_BATCH_SIZE, PER_DEVICE_BATCH_SIZE, PER_DEVICE_TRAIN_BATCH_SIZE, …
    == array_prefix
    unknown: micro_batch: the script sets none of MICRO_BATCH_SIZE, MICRO_BATCH, MICRO_BSZ, MBS, BATCH_SIZE_PER_GPU, BATCH_SIZE_PER_DEVICE, PER_GPU_BATCH_SIZE, PER_DEVICE_BATCH_SIZE, PER_DEVICE_TRAIN_BATCH_SIZE, …
    ");
}
