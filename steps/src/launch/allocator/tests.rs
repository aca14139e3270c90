use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::tests::{GALLERY, preview, told, with};
use super::knowledge::knowledge;
use super::settings::{get, merge, parse, write};
use super::version::{Releases, Version};

fn releases(min: &str, max: Option<&str>) -> Releases {
    Releases { min: Version::parse(min).unwrap(), max: max.map(|max| Version::parse(max).unwrap()) }
}

/// What becomes of a script in which the variables have these values.
fn run(script: &str, params: Value) -> String {
    told(&preview(&with(script), "launch.allocator", params).unwrap())
}

fn expandable(min: &str) -> Value {
    json!({ "options": { "expandable_segments": true }, "torch": { "min": min, "max": null } })
}

#[test]
fn releases_are_read_from_any_build() {
    for (text, version) in
        [("2.4", (2, 4)), ("2.10.0", (2, 10)), ("v1.13", (1, 13)), ("2.4.0a0+07cecf4168.nv24.05", (2, 4))]
    {
        assert_eq!(Version::parse(text), Some(Version(version.0, version.1)), "{text}");
    }
    for text in ["", "2", "two.one", "2.x"] {
        assert_eq!(Version::parse(text), None, "{text}");
    }
    assert!(Version(2, 10) > Version(2, 9));
}

#[test]
fn the_text_is_read_as_the_allocator_reads_it() {
    let read = |text: &str| parse(text).map(|settings| write(&settings));
    assert_eq!(read(""), Ok(String::new()));
    assert_eq!(read(" expandable_segments : True , "), Ok("expandable_segments:True".to_owned()));
    assert_eq!(read("a:1,b:2,a:3"), Ok("a:3,b:2".to_owned()));
    let list = "roundup_power2_divisions:[256:1,512:2,>:8],max_split_size_mb:64";
    assert_eq!(read(list), Ok(list.to_owned()));
    for text in ["a", "a=1", "a:", ":1", "a:[1:2", "a:1]", "a:1,,b:2", ","] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn values_are_legal_where_the_releases_take_them() {
    let table = knowledge().unwrap();
    for (key, value, min, max, legal) in [
        ("expandable_segments", "True", "2.1", None, true),
        ("expandable_segments", "True", "2.0", None, false),
        ("expandable_segments", "true", "2.1", None, false),
        ("max_split_size_mb", "20", "2.10", None, true),
        ("max_split_size_mb", "20", "2.4", None, false),
        ("max_split_size_mb", "20", "1.10", Some("1.10"), true),
        ("max_split_size_mb", "21", "1.10", None, true),
        ("max_split_size_mb", "-1", "1.10", None, false),
        ("garbage_collection_threshold", "0.8", "2.0", None, true),
        ("garbage_collection_threshold", "1.0", "2.0", None, false),
        ("garbage_collection_threshold", "NaN", "2.0", None, false),
        ("per_process_memory_fraction", "1.0", "2.10", None, true),
        ("per_process_memory_fraction", "0.9", "2.9", Some("2.9"), false),
        ("roundup_bypass_threshold_mb", "64", "1.13", Some("1.13"), true),
        ("roundup_bypass_threshold_mb", "64", "1.13", None, false),
        ("roundup_power2_divisions", "4", "2.0", None, true),
        ("roundup_power2_divisions", "3", "2.0", None, false),
        ("roundup_power2_divisions", "0", "2.5", None, false),
        ("roundup_power2_divisions", "[256:1,>:0]", "2.4", None, true),
        ("roundup_power2_divisions", "[256:1,>:0]", "2.3", None, false),
        ("pinned_num_register_threads", "256", "2.2", None, false),
        ("large_segment_size_mb", "10", "2.11", None, false),
        ("backend", "cuda", "2.0", None, false),
        ("nonsense", "1", "2.0", None, false),
    ] {
        let got = table.legal_on_all(key, value, &releases(min, max));
        assert_eq!(got.is_ok(), legal, "{key}:{value} on {min}..{max:?}: {got:?}");
    }
}

#[test]
fn both_names_get_one_value() {
    let script = "#!/bin/bash\nsrun python x.py\n";
    insta::assert_snapshot!(run(script, expandable("2.4")), @r"
    @@ -1,2 +1,4 @@
    +export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
    +export PYTORCH_ALLOC_CONF=expandable_segments:True
    ");
    // The CUDA name wins as a whole; what the other holds was never in force.
    let script = "export PYTORCH_CUDA_ALLOC_CONF=max_split_size_mb:512,garbage_collection_threshold:0.8\n\
                  export PYTORCH_ALLOC_CONF=roundup_power2_divisions:4\nsrun python x.py\n";
    insta::assert_snapshot!(run(script, expandable("2.4")), @r"
    @@ -1,3 +1,3 @@
    -export PYTORCH_CUDA_ALLOC_CONF=max_split_size_mb:512,garbage_collection_threshold:0.8
    -export PYTORCH_ALLOC_CONF=roundup_power2_divisions:4
    +export PYTORCH_CUDA_ALLOC_CONF=garbage_collection_threshold:0.8,expandable_segments:True
    +export PYTORCH_ALLOC_CONF=garbage_collection_threshold:0.8,expandable_segments:True
    # PYTORCH_ALLOC_CONF was set as well, but PYTORCH_CUDA_ALLOC_CONF wins as a whole: it gets the same value now.
    # garbage_collection_threshold has no effect unless the program limits its memory fraction.
    # max_split_size_mb:512 is dropped: with expandable segments it prevents no fragmentation, and PyTorch 2.1 to 2.4 crash on the pair.
    ");
}

#[test]
fn what_is_in_force_already_is_not_edited() {
    let cuda = "export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True\nsrun python x.py\n";
    assert!(run(cuda, expandable("2.1")).starts_with("unchanged: "));
    let new = "export PYTORCH_ALLOC_CONF=expandable_segments:True\nsrun python x.py\n";
    let done = preview(&with(new), "launch.allocator", expandable("2.10")).unwrap().nothing_to_do.unwrap();
    assert_eq!(done.outcome, "unchanged");
    assert_eq!(
        done.output["notes"],
        json!([
            "A value of PYTORCH_CUDA_ALLOC_CONF from outside the script would win over PYTORCH_ALLOC_CONF."
        ])
    );
    // From 2.10 on that name is read, before it is not: then the lever was never on.
    insta::assert_snapshot!(run(new, json!({
        "options": { "expandable_segments": true }, "torch": { "min": "2.4", "max": "2.8" }
    })), @r"
    @@ -1,2 +1,3 @@
    +export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
    # PYTORCH_ALLOC_CONF was set, but PyTorch 2.4 to 2.8 does not read it: its expandable_segments:True was never in force.
    ");
    insta::assert_snapshot!(run(new, expandable("2.4")), @r"
    @@ -1,2 +1,3 @@
    +export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
    # PYTORCH_ALLOC_CONF is read from PyTorch 2.10 on: whether its expandable_segments:True was in force is not known; it is taken as if it was.
    ");
    // A variable that is not exported has no effect.
    let unexported = "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True\nsrun python x.py\n";
    insta::assert_snapshot!(run(unexported, expandable("2.4")), @r"
    @@ -1,2 +1,3 @@
    -PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
    +export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
    +export PYTORCH_ALLOC_CONF=expandable_segments:True
    ");
}

#[test]
fn keys_that_may_kill_the_job_are_refused() {
    let script = "srun python x.py\n";
    let options = json!({ "expandable_segments": true });
    for (torch, outcome) in [
        (
            json!(null),
            "cannot: expandable_segments is unknown, and so fatal, before PyTorch 2.1; the job's release is not known (assume_torch can say it)",
        ),
        (
            json!({ "min": null, "max": "2.9" }),
            "cannot: expandable_segments is unknown, and so fatal, before PyTorch 2.1; the job's release is not known (assume_torch can say it)",
        ),
        (
            json!({ "min": "1.13", "max": "2.3" }),
            "cannot: expandable_segments is unknown, and so fatal, before PyTorch 2.1",
        ),
    ] {
        assert_eq!(run(script, json!({ "options": options, "torch": torch })), outcome);
    }
    let assumed = json!({ "options": options, "torch": null, "assume_torch": "2.4.1" });
    assert!(run(script, assumed).contains("+export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True"));
    for (setting, outcome) in [
        (
            "backend:cudaMallocAsync",
            "cannot: backend:cudaMallocAsync has no expandable segments; they need the native backend",
        ),
        (
            "max_split_size_mb=128",
            "cannot: the present setting cannot have worked: `max_split_size_mb=128` has no colon between key and value",
        ),
        (
            "expandable_segments:true",
            "cannot: the present setting cannot have worked: expandable_segments:true is illegal on PyTorch 2.4: it must be True or False",
        ),
        ("$OTHER", "cannot: PYTORCH_CUDA_ALLOC_CONF: line 1 computes it"),
    ] {
        let script = format!("export PYTORCH_CUDA_ALLOC_CONF={setting}\nsrun python x.py\n");
        assert_eq!(run(&script, expandable("2.4")), outcome);
    }
    let dormant = "export PYTORCH_ALLOC_CONF=max_split_size_mb:20\nsrun python x.py\n";
    assert!(run(dormant, expandable("2.4")).starts_with("cannot: whether the present setting was ever read"));
    let off = "export PYTORCH_NO_CUDA_MEMORY_CACHING=1\nsrun python x.py\n";
    assert!(run(off, expandable("2.4")).starts_with("cannot: PYTORCH_NO_CUDA_MEMORY_CACHING turns"));
}

#[test]
fn a_key_can_be_taken_away() {
    let script = "export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True\nsrun python x.py\n";
    insta::assert_snapshot!(run(script, json!({ "remove": ["expandable_segments"] })), @r"
    @@ -1,2 +1 @@
    -export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
    # expandable_segments:True is dropped: it was to be removed.
    ");
}

#[test]
fn the_gallery_gets_expandable_segments() {
    let all: Vec<String> = GALLERY
        .iter()
        .map(|(name, script)| format!("== {name}\n{}", run(script, expandable("2.4"))))
        .collect();
    insta::assert_snapshot!(all.join("\n"), @r#"
    == torchrun
    @@ -22,6 +22,8 @@
    +export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
    +export PYTORCH_ALLOC_CONF=expandable_segments:True
    == megatron
    @@ -19,9 +19,10 @@
    -export PYTORCH_CUDA_ALLOC_CONF=max_split_size_mb:512,garbage_collection_threshold:0.8
    +export PYTORCH_CUDA_ALLOC_CONF=garbage_collection_threshold:0.8,expandable_segments:True
    +export PYTORCH_ALLOC_CONF=garbage_collection_threshold:0.8,expandable_segments:True
    # garbage_collection_threshold has no effect unless the program limits its memory fraction.
    # max_split_size_mb:512 is dropped: with expandable segments it prevents no fragmentation, and PyTorch 2.1 to 2.4 crash on the pair.
    == accelerate
    @@ -10,6 +10,8 @@
    +export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
    +export PYTORCH_ALLOC_CONF=expandable_segments:True
    == pyxis
    @@ -4,8 +4,9 @@
    -export PYTORCH_CUDA_ALLOC_CONF="expandable_segments:False"
    +export PYTORCH_CUDA_ALLOC_CONF="expandable_segments:True"
    -srun --container-image=$IMAGE --container-mounts=/lustre:/lustre \
    +export PYTORCH_ALLOC_CONF=expandable_segments:True
    +srun --container-image=$IMAGE --container-env=PYTORCH_CUDA_ALLOC_CONF,PYTORCH_ALLOC_CONF --container-mounts=/lustre:/lustre \
    # The container's image may set these variables itself: --container-env lets the script's win.
    == functions
    @@ -11,6 +11,8 @@
    +    export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
    +    export PYTORCH_ALLOC_CONF=expandable_segments:True
    == heredoc
    cannot: PYTORCH_CUDA_ALLOC_CONF: line 11 sets it in text that another program reads
    == branches
    cannot: PYTORCH_CUDA_ALLOC_CONF: line 8 sets it only under some condition
    == retry_loop
    @@ -6,6 +6,8 @@
    +  export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
    +  export PYTORCH_ALLOC_CONF=expandable_segments:True
    == posix_sh
    @@ -2,6 +2,7 @@
    -PYTORCH_ALLOC_CONF=max_split_size_mb:256; export PYTORCH_ALLOC_CONF
    +PYTORCH_ALLOC_CONF=expandable_segments:True; export PYTORCH_ALLOC_CONF
    +export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
    # PYTORCH_ALLOC_CONF is read from PyTorch 2.10 on: whether its max_split_size_mb:256 was in force is not known; it is taken as if it was.
    # max_split_size_mb:256 is dropped: with expandable segments it prevents no fragmentation, and PyTorch 2.1 to 2.4 crash on the pair.
    == array_prefix
    @@ -3,6 +3,7 @@
    -CUDA_LAUNCH_BLOCKING=0 PYTORCH_CUDA_ALLOC_CONF='max_split_size_mb:128' \
    +export PYTORCH_ALLOC_CONF=expandable_segments:True
    +CUDA_LAUNCH_BLOCKING=0 PYTORCH_CUDA_ALLOC_CONF='expandable_segments:True' \
    # max_split_size_mb:128 is dropped: with expandable segments it prevents no fragmentation, and PyTorch 2.1 to 2.4 crash on the pair.
    "#);
}

fn setting() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        (21_u32..600).prop_map(|mb| ("max_split_size_mb".to_owned(), mb.to_string())),
        (1_u32..10).prop_map(|tenth| ("garbage_collection_threshold".to_owned(), format!("0.{tenth}"))),
        any::<bool>().prop_map(|on| {
            ("expandable_segments".to_owned(), if on { "True" } else { "False" }.to_owned())
        }),
        (0_u32..4).prop_map(|power| ("roundup_power2_divisions".to_owned(), (1_u32 << power).to_string())),
        Just(("roundup_power2_divisions".to_owned(), "[256:1,512:2,>:8]".to_owned())),
    ]
}

proptest! {
    /// What was wanted is in force, what was set is kept, and the fatal pair never comes out.
    #[test]
    fn merging_keeps_and_overrides(
        current in prop::collection::vec(setting(), 0..5),
        wanted in prop::collection::btree_map("k", Just(()), 0..1).prop_flat_map(|_| prop::collection::vec(setting(), 1..4)),
    ) {
        let current = parse(&write(&current)).unwrap();
        let wanted = parse(&write(&wanted)).unwrap();
        let merged = merge(knowledge().unwrap(), &current, &wanted, &[], &releases("2.4", None)).unwrap();
        let value = |key: &str| get(&merged.settings, key);
        prop_assert!(!(value("expandable_segments") == Some("True") && value("max_split_size_mb").is_some()));
        for (key, wish) in &wanted {
            let dropped = merged.dropped.iter().any(|gone| gone.key == *key);
            prop_assert!(dropped || value(key) == Some(wish.as_str()));
        }
        for (key, old) in &current {
            let overridden = get(&wanted, key).is_some() || merged.dropped.iter().any(|gone| gone.key == *key);
            prop_assert!(overridden || value(key) == Some(old.as_str()));
        }
        prop_assert_eq!(parse(&write(&merged.settings)).unwrap(), merged.settings.clone());
        let again = merge(knowledge().unwrap(), &merged.settings, &wanted, &[], &releases("2.4", None)).unwrap();
        prop_assert_eq!(again.settings, merged.settings);
    }

    /// Any text is read or refused.
    #[test]
    fn no_text_panics(text in "[a-z_:,\\[\\]>=0-9 .TF]{0,40}") {
        if let Ok(settings) = parse(&text) {
            prop_assert_eq!(parse(&write(&settings)).unwrap(), settings);
        }
    }
}

#[test]
fn what_the_launch_line_sets_is_edited_there() {
    for (script, expected) in [
        (
            "srun --export=ALL,PYTORCH_CUDA_ALLOC_CONF=max_split_size_mb:128 python x.py",
            "+srun --export=ALL,PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True python x.py",
        ),
        (
            "export PYTORCH_CUDA_ALLOC_CONF=max_split_size_mb:64\nsrun env PYTORCH_CUDA_ALLOC_CONF=backend:native python x.py",
            "+srun env PYTORCH_CUDA_ALLOC_CONF=backend:native,expandable_segments:True python x.py",
        ),
        (
            "srun apptainer exec --env PYTORCH_CUDA_ALLOC_CONF=backend:native x.sif python x.py",
            "+srun apptainer exec --env PYTORCH_CUDA_ALLOC_CONF=backend:native,expandable_segments:True x.sif python x.py",
        ),
        (
            "C=expandable_segments:False\nsrun docker run -e PYTORCH_CUDA_ALLOC_CONF=$C img python x.py",
            "+C=expandable_segments:True",
        ),
        (
            "mpirun -np 8 -x PYTORCH_CUDA_ALLOC_CONF=backend:native python x.py",
            "+mpirun -np 8 -x PYTORCH_CUDA_ALLOC_CONF=backend:native,expandable_segments:True python x.py",
        ),
    ] {
        let told = run(script, expandable("2.4"));
        let added: Vec<&str> = told.lines().filter(|line| line.starts_with('+')).collect();
        assert_eq!(added, [expected], "{told}");
    }
    for (script, expected) in [
        (
            "srun --export=ALL,PYTORCH_CUDA_ALLOC_CONF=backend:native python x.py",
            "cannot: PYTORCH_CUDA_ALLOC_CONF (line 1): a list inside of the list of --export is not written",
        ),
        (
            "srun --export=ALL,PYTORCH_CUDA_ALLOC_CONF=a:1,B=2 python x.py",
            "cannot: PYTORCH_CUDA_ALLOC_CONF (line 1): a list inside",
        ),
        (
            "srun env PYTORCH_ALLOC_CONF=backend:native python x.py",
            "cannot: PYTORCH_ALLOC_CONF (line 1): PyTorch 2.4 or newer does not surely read this name",
        ),
        (
            "srun docker run --gpus all img python x.py",
            "cannot: line 1 starts a container that gets only the variables",
        ),
        (
            "srun singularity exec --cleanenv x.sif python x.py",
            "cannot: line 1 starts a container that gets none",
        ),
        ("srun env PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True python x.py", "unchanged: "),
    ] {
        let told = run(script, expandable("2.4"));
        assert!(told.starts_with(expected), "{told}");
    }
    let passed = "srun docker run -e PYTORCH_CUDA_ALLOC_CONF img python x.py";
    assert!(
        run(passed, expandable("2.4")).contains("+export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True")
    );
    let image = "srun --container-image=x --container-env=A,PYTORCH_ALLOC_CONF python x.py";
    assert!(
        run(image, expandable("2.4"))
            .contains("--container-env=A,PYTORCH_ALLOC_CONF,PYTORCH_CUDA_ALLOC_CONF python")
    );
}

#[test]
fn settings_that_were_on_when_the_job_failed_are_no_cure() {
    let script = "export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True\nsrun python x.py\n";
    let fake = with(script);
    fake.answer("scontrol write batch_script 7 -", script);
    let mut params = expandable("2.4");
    params["job"] = json!("7");
    let told = told(&preview(&fake, "launch.allocator", params).unwrap());
    assert!(
        told.starts_with("cannot: expandable_segments:True: the job that failed ran with these settings"),
        "{told}"
    );
}

/// Other builds have variables of their own, and keys that these do not know.
#[test]
fn builds_whose_settings_are_not_known_are_left_alone() {
    let mut params = expandable("2.4");
    for (kind, outcome) in [
        ("cuda_caching_allocator", "+export"),
        ("nvml_assert", "+export"),
        ("hip_caching_allocator", "cannot: the error is \"HIP out of memory\""),
        ("npu_caching_allocator", "cannot: the error is \"NPU out of memory\""),
    ] {
        params["kind"] = json!(kind);
        let told = run("srun python x.py\n", params.clone());
        assert!(told.lines().any(|line| line.starts_with(outcome)), "{told}");
    }
}

#[test]
fn another_setting_takes_the_place_of_one_that_the_release_may_not_know() {
    let mut params = expandable("1.13");
    params["instead"] = json!({ "max_split_size_mb": 256 });
    let told = run("srun python x.py\n", params.clone());
    assert!(told.contains("+export PYTORCH_CUDA_ALLOC_CONF=max_split_size_mb:256\n"), "{told}");
    assert!(told.contains("# Not expandable_segments:True: expandable_segments is unknown, and so fatal, before PyTorch 2.1."), "{told}");
    params["torch"]["min"] = json!("2.4");
    assert!(run("srun python x.py\n", params).contains("expandable_segments:True"));
}
