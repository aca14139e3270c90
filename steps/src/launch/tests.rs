use std::sync::Arc;

use engine::site::digest;
use engine::step::{AnyPreview, Confirmation, Performed, Registry, Step, StepError, StepErrorKind, Undone};
use serde_json::{Value, json};

use crate::testkit::told::files;
use crate::testkit::{FakeSite, exit};

pub(super) const PATH: &str = "/home/u/train.sbatch";

/// A site on which the script has this content.
pub(super) fn with(content: impl AsRef<[u8]>) -> Arc<FakeSite> {
    files(&[(PATH, content.as_ref())])
}

fn text(site: &FakeSite) -> String {
    String::from_utf8(site.content(PATH).unwrap()).unwrap()
}

/// What Slurm answers when asked for a job's script; nothing is in its records.
fn ran(site: &FakeSite, job: &str, code: i32, stdout: &str, stderr: &str) {
    site.local(["scontrol", "write", "batch_script", job, "-"], exit(code, stdout, stderr));
    site.fail("sacct -B", 1, "Slurm accounting storage is disabled");
}

pub(super) fn step(kind: &str) -> Arc<dyn Step> {
    let mut registry = Registry::default();
    super::register(&mut registry);
    Arc::clone(registry.get(kind).unwrap())
}

pub(super) fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The preview of a step on the script at [`PATH`], which is added to the parameters.
pub(super) fn preview(fake: &Arc<FakeSite>, kind: &str, mut params: Value) -> Result<AnyPreview, StepError> {
    params["script"] = json!(PATH);
    block(step(kind).preview(&fake.cx(), &params))
}

/// The preview as a person sees it: the changed lines of the diff and the notes, or the outcome and its summary.
pub(super) fn told(preview: &AnyPreview) -> String {
    if let Some(done) = &preview.nothing_to_do {
        return format!("{}: {}", done.outcome, done.summary.join("\n").replace(&format!("{PATH}: "), ""));
    }
    let mut lines: Vec<String> = Vec::new();
    for line in preview.diffs[0].unified.lines().filter(|l| !l.starts_with("---") && !l.starts_with("+++")) {
        if line.starts_with(['+', '-', '@']) {
            lines.push(line.to_owned());
        }
    }
    lines.extend(preview.notes.iter().map(|note| format!("# {note}")));
    lines.join("\n")
}

pub(super) const GALLERY: &[(&str, &str)] = &[
    ("torchrun", include_str!("gallery/torchrun.sbatch")),
    ("megatron", include_str!("gallery/megatron.sbatch")),
    ("accelerate", include_str!("gallery/accelerate.sbatch")),
    ("pyxis", include_str!("gallery/pyxis.sbatch")),
    ("functions", include_str!("gallery/functions.sbatch")),
    ("heredoc", include_str!("gallery/heredoc.sbatch")),
    ("branches", include_str!("gallery/branches.sbatch")),
    ("retry_loop", include_str!("gallery/retry_loop.sbatch")),
    ("posix_sh", include_str!("gallery/posix_sh.sbatch")),
    ("array_prefix", include_str!("gallery/array_prefix.sbatch")),
];

#[test]
fn an_edit_is_previewed_made_confirmed_and_taken_back() {
    let before = "#!/bin/bash\nexport A=1\nsrun python x.py\n";
    let after = "#!/bin/bash\nexport A='2 3'\nexport B=4\nsrun python x.py\n";
    let fake = with(before);
    ran(&fake, "123", 0, before, "");
    let (step, cx) = (step("launch.edit"), fake.cx());
    let params = json!({ "script": PATH, "job": "123_4", "set": { "A": "2 3", "B": "4" } });
    let preview = block(step.preview(&cx, &params)).unwrap();
    assert_eq!(fake.lines(), ["scontrol write batch_script 123 -"]);
    assert_eq!(preview.writes[0].content, after.as_bytes());
    assert_eq!(preview.predicted[0].outcome, "edited");
    insta::assert_snapshot!(preview.diffs[0].unified, @r"
    --- /home/u/train.sbatch
    +++ /home/u/train.sbatch
    @@ -1,3 +1,4 @@
     #!/bin/bash
    -export A=1
    +export A='2 3'
    +export B=4
     srun python x.py
    ");
    let intent = &preview.intent;
    assert_eq!(block(step.confirm(&cx, &params, intent)).unwrap(), Confirmation::DidNot);
    assert!(matches!(block(step.undo(&cx, &params, intent)).unwrap(), Undone::NothingToDo(_)));

    let Performed::Done(done) = block(step.perform(&cx, &params, intent)).unwrap() else { panic!() };
    assert_eq!(text(&fake), after);
    assert_eq!(done.output, preview.predicted[0].output);
    assert_eq!(done.output["before_digest"], digest(before.as_bytes()));
    assert_eq!(done.output["after_digest"], digest(after.as_bytes()));
    assert_eq!(
        done.summary,
        ["/home/u/train.sbatch edited", "A: 1 -> 2 3 (line 2)", "B: not set -> 4 (line 3)"]
    );
    assert_eq!(block(step.confirm(&cx, &params, intent)).unwrap(), Confirmation::Happened(done));

    assert!(matches!(block(step.undo(&cx, &params, intent)).unwrap(), Undone::Restored(_)));
    assert_eq!(text(&fake), before);
    assert!(matches!(block(step.undo(&cx, &params, intent)).unwrap(), Undone::NothingToDo(_)));
}

#[test]
fn what_someone_else_wrote_is_never_overwritten() {
    let fake = with("export A=1\nsrun python x.py\n");
    let (step, cx) = (step("launch.edit"), fake.cx());
    let params = json!({ "script": PATH, "set": { "A": "2" } });
    let intent = block(step.preview(&cx, &params)).unwrap().intent;
    fake.file(PATH, "export A=9\nsrun python x.py\n");
    let error = block(step.perform(&cx, &params, &intent)).unwrap_err();
    assert_eq!(error.kind, StepErrorKind::Drifted);
    assert!(matches!(block(step.confirm(&cx, &params, &intent)).unwrap(), Confirmation::Unknown(_)));
    assert!(matches!(block(step.undo(&cx, &params, &intent)).unwrap(), Undone::Cannot(_)));
    assert_eq!(text(&fake), "export A=9\nsrun python x.py\n");
    fake.gone(PATH);
    assert!(matches!(block(step.confirm(&cx, &params, &intent)).unwrap(), Confirmation::Unknown(_)));
    assert!(matches!(block(step.undo(&cx, &params, &intent)).unwrap(), Undone::Cannot(_)));
}

#[test]
fn the_file_is_compared_with_what_the_job_ran() {
    let fake = with("export A=2\nsrun python x.py\n");
    ran(&fake, "7", 0, "export A=1\nsrun python x.py\n", "");
    let shown = preview(&fake, "launch.edit", json!({ "job": "7", "set": { "A": "2" } })).unwrap();
    let done = shown.nothing_to_do.unwrap();
    assert_eq!(done.outcome, "differs");
    assert_eq!(
        done.output["difference"],
        "--- job 7\n+++ /home/u/train.sbatch\n@@ -1,2 +1,2 @@\n-export A=1\n+export A=2\n srun python x.py\n"
    );
    let params = json!({ "job": "7", "set": { "A": "2" }, "accept_difference": true });
    let done = preview(&fake, "launch.edit", params).unwrap().nothing_to_do.unwrap();
    assert_eq!(done.outcome, "unchanged");
    assert!(done.output["difference"].is_string());

    for (error, why) in [
        ("Invalid job id specified", "Slurm no longer gives its script"),
        ("Job script not specified", "Slurm no longer gives its script"),
        ("Invalid user id", "only its owner or an operator may read its script"),
        ("Access/permission denied", "only its owner or an operator may read its script"),
    ] {
        ran(&fake, "8", 1, "", &format!("job script retrieval failed: {error}\n"));
        let shown = preview(&fake, "launch.edit", json!({ "job": "8", "set": { "A": "3" } })).unwrap();
        assert_eq!(shown.notes, [format!("Not compared with what job 8 ran: {why}.")]);
        assert_eq!(shown.predicted[0].output["difference"], Value::Null);
    }
    ran(&fake, "9", 1, "", "slurm_load_jobs error: Unable to contact slurm controller\n");
    let error = preview(&fake, "launch.edit", json!({ "job": "9", "set": { "A": "3" } })).unwrap_err();
    assert!(error.message.contains("Unable to contact"), "{error}");
}

#[test]
fn what_cannot_be_edited_says_why() {
    for (content, outcome) in [
        (&b"\x7fELF\0\0"[..], "cannot: it is not a text file in UTF-8"),
        (b"# caf\xe9\nsrun python x.py\n", "cannot: it is not a text file in UTF-8"),
        (b"export A=$(date)\nsrun python x.py\n", "cannot: A: line 1 computes it"),
        (b"if (\n", "cannot: the script is not understood as shell text near line 1"),
        (b"export A=2\nsrun python x.py\n", "unchanged: it already has these settings"),
    ] {
        let shown = preview(&with(content), "launch.edit", json!({ "set": { "A": "2" } })).unwrap();
        assert_eq!(told(&shown), outcome);
    }
    let shown = preview(&FakeSite::shared(), "launch.edit", json!({ "set": { "A": "2" } })).unwrap();
    assert_eq!(told(&shown), format!("cannot: {PATH}: no such file").replace(&format!("{PATH}: "), ""));
}

#[test]
fn no_change_to_take_back_leaves_the_script_unchanged() {
    let shown = preview(&with("srun python x.py\n"), "launch.edit", json!({ "revert": [] })).unwrap();
    assert_eq!(told(&shown), "unchanged: it already has these settings");
}

#[test]
fn wrong_parameters_break_before_anything_is_asked() {
    for params in [
        json!({ "set": { "A B": "1" } }),
        json!({ "set": { "1A": "1" } }),
        json!({ "set": { "A": "a\nb" } }),
        json!({ "set": { "A": "1" }, "unset": ["A"] }),
        json!({ "set": { "A": "1" }, "job": "1; rm -rf /" }),
        json!({ "set": { "A": "1" }, "job": "-h" }),
        json!({ "set": { "A": "1" }, "jobs": "1" }),
    ] {
        let fake = with("srun python x.py");
        let error = preview(&fake, "launch.edit", params.clone()).unwrap_err();
        assert_eq!(error.kind, StepErrorKind::Params, "{params}");
        assert!(fake.calls().is_empty());
    }
    let params = json!({ "script": "train.sbatch", "set": { "A": "1" } });
    let error = block(step("launch.edit").preview(&with("").cx(), &params)).unwrap_err();
    assert_eq!(error.kind, StepErrorKind::Params);
}

#[test]
fn notes_name_what_could_undo_the_edit() {
    let fake = with("export A=${A:-1}\nB=1\nsource env.sh\nsrun --export=NONE bash inner.sh --b $B\n");
    let shown = preview(&fake, "launch.edit", json!({ "set": { "A": "2" } })).unwrap();
    insta::assert_snapshot!(told(&shown), @r"
    @@ -1,4 +1,4 @@
    -export A=${A:-1}
    +export A=${A:-2}
    # Line 1: a value of A in the environment that the script is submitted from wins over the new one.
    # Line 3 loads other settings after A is set, and may set it again.
    # --export keeps srun from passing on the environment: A may not arrive.
    # The launcher runs inner.sh, which may set A itself; it was not looked at.
    ");
}

#[test]
fn every_kind_has_schemas_and_declares_its_outcomes() {
    for (kind, own) in [("launch.edit", "path"), ("launch.allocator", "merged"), ("launch.lever", "rung")] {
        let step = step(kind);
        let spec = step.spec();
        for property in spec.params["properties"].as_object().unwrap().values() {
            assert!(property["description"].is_string(), "{kind}: {property}");
        }
        let fields = spec.output["properties"].as_object().unwrap();
        for name in [own, "changed", "environment", "reason", "notes"] {
            assert!(fields.contains_key(name), "{kind} lacks {name}");
        }
        for (name, property) in fields {
            assert!(property["description"].is_string(), "{kind}: {name}");
        }
        let names: Vec<String> = spec.outcomes.of(&Value::Null).into_iter().map(|o| o.name).collect();
        for outcome in ["edited", "differs", "cannot"] {
            assert!(names.iter().any(|name| name == outcome), "{kind} lacks {outcome}");
        }
    }
}
