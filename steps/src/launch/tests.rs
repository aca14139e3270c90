use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use engine::site::{
    Command, DirEntry, Exit, FileKind, FileStat, Output, Program, Site, SiteError, SiteErrorKind, digest,
};
use engine::step::{
    AnyPreview, Confirmation, Performed, Registry, Step, StepCx, StepError, StepErrorKind, Undone,
};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) const PATH: &str = "/home/u/train.sbatch";

/// A site with files and the answers of `scontrol write batch_script`; what was done to it is recorded.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) files: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(super) scripts: Mutex<BTreeMap<String, Output>>,
    pub(super) calls: Mutex<Vec<String>>,
}

impl Fake {
    pub(super) fn with(content: impl AsRef<[u8]>) -> Arc<Self> {
        let fake = Self::default();
        fake.put(content);
        Arc::new(fake)
    }

    pub(super) fn put(&self, content: impl AsRef<[u8]>) {
        self.files.lock().unwrap().insert(PATH.to_owned(), content.as_ref().to_vec());
    }

    pub(super) fn content(&self) -> String {
        String::from_utf8(self.files.lock().unwrap()[PATH].clone()).unwrap()
    }

    /// What Slurm answers when asked for a job's script.
    pub(super) fn ran(&self, job: &str, code: i32, stdout: &str, stderr: &str) {
        let (stdout, stderr) = (stdout.into(), stderr.into());
        let output =
            Output { exit: Exit::Code(code), stdout, stderr, truncated: false, took: Duration::ZERO };
        self.scripts.lock().unwrap().insert(job.to_owned(), output);
    }

    pub(super) fn cx(self: &Arc<Self>) -> StepCx {
        StepCx::new(Arc::clone(self) as Arc<dyn Site>, "run/1")
    }
}

#[async_trait]
impl Site for Fake {
    async fn run(&self, command: &Command) -> Result<Output, SiteError> {
        self.calls.lock().unwrap().push(command.to_string());
        let Program::Argv(argv) = &command.program else { panic!("a shell is asked") };
        assert_eq!(argv[..3], ["scontrol", "write", "batch_script"]);
        assert_eq!(argv[4], "-");
        let scripts = self.scripts.lock().unwrap();
        scripts.get(&argv[3]).cloned().ok_or_else(|| SiteError::new(SiteErrorKind::NotStarted, "no scontrol"))
    }

    async fn read(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, SiteError> {
        let files = self.files.lock().unwrap();
        let file = files.get(path).ok_or_else(|| SiteError::new(SiteErrorKind::NotFound, "gone"))?;
        Ok(file.iter().skip(usize::try_from(offset).unwrap()).take(length).copied().collect())
    }

    async fn stat(&self, path: &str) -> Result<Option<FileStat>, SiteError> {
        let stat = |file: &Vec<u8>| FileStat {
            kind: FileKind::File,
            size: file.len() as u64,
            modified: Timestamp::UNIX_EPOCH,
            mode: 0o755,
        };
        Ok(self.files.lock().unwrap().get(path).map(stat))
    }

    async fn list(&self, _path: &str) -> Result<Vec<DirEntry>, SiteError> {
        Ok(Vec::new())
    }

    async fn replace(&self, path: &str, expected: Option<&str>, content: &[u8]) -> Result<(), SiteError> {
        self.calls.lock().unwrap().push(format!("replace {path}"));
        let mut files = self.files.lock().unwrap();
        if files.get(path).map(|file| digest(file)).as_deref() != expected {
            return Err(SiteError::new(SiteErrorKind::Conflict, format!("{path} is another")));
        }
        files.insert(path.to_owned(), content.to_vec());
        Ok(())
    }

    async fn remove(&self, _path: &str, _expected: &str) -> Result<(), SiteError> {
        panic!("nothing is ever removed");
    }

    fn now(&self) -> Timestamp {
        panic!("no step of this family reads the clock");
    }

    async fn sleep(&self, _duration: Duration) {}
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
pub(super) fn preview(fake: &Arc<Fake>, kind: &str, mut params: Value) -> Result<AnyPreview, StepError> {
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
    let fake = Fake::with(before);
    fake.ran("123", 0, before, "");
    let (step, cx) = (step("launch.edit"), fake.cx());
    let params = json!({ "script": PATH, "job": "123_4", "set": { "A": "2 3", "B": "4" } });
    let preview = block(step.preview(&cx, &params)).unwrap();
    assert_eq!(fake.calls.lock().unwrap().as_slice(), ["LC_ALL=C scontrol write batch_script 123 -"]);
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
    assert_eq!(fake.content(), after);
    assert_eq!(done.output, preview.predicted[0].output);
    assert_eq!(done.output["before_digest"], digest(before.as_bytes()));
    assert_eq!(done.output["after_digest"], digest(after.as_bytes()));
    assert_eq!(
        done.summary,
        ["/home/u/train.sbatch edited", "A: 1 -> 2 3 (line 2)", "B: not set -> 4 (line 3)"]
    );
    assert_eq!(block(step.confirm(&cx, &params, intent)).unwrap(), Confirmation::Happened(done));

    assert!(matches!(block(step.undo(&cx, &params, intent)).unwrap(), Undone::Restored(_)));
    assert_eq!(fake.content(), before);
    assert!(matches!(block(step.undo(&cx, &params, intent)).unwrap(), Undone::NothingToDo(_)));
}

#[test]
fn what_someone_else_wrote_is_never_overwritten() {
    let fake = Fake::with("export A=1\nsrun python x.py\n");
    let (step, cx) = (step("launch.edit"), fake.cx());
    let params = json!({ "script": PATH, "set": { "A": "2" } });
    let intent = block(step.preview(&cx, &params)).unwrap().intent;
    fake.put("export A=9\nsrun python x.py\n");
    let error = block(step.perform(&cx, &params, &intent)).unwrap_err();
    assert_eq!(error.kind, StepErrorKind::Drifted);
    assert!(matches!(block(step.confirm(&cx, &params, &intent)).unwrap(), Confirmation::Unknown(_)));
    assert!(matches!(block(step.undo(&cx, &params, &intent)).unwrap(), Undone::Cannot(_)));
    assert_eq!(fake.content(), "export A=9\nsrun python x.py\n");
    fake.files.lock().unwrap().clear();
    assert!(matches!(block(step.confirm(&cx, &params, &intent)).unwrap(), Confirmation::Unknown(_)));
    assert!(matches!(block(step.undo(&cx, &params, &intent)).unwrap(), Undone::Cannot(_)));
}

#[test]
fn the_file_is_compared_with_what_the_job_ran() {
    let fake = Fake::with("export A=2\nsrun python x.py\n");
    fake.ran("7", 0, "export A=1\nsrun python x.py\n", "");
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

    for error in ["Invalid job id specified", "Invalid user id", "Job script not specified"] {
        fake.ran("8", 1, "", &format!("job script retrieval failed: {error}\n"));
        let shown = preview(&fake, "launch.edit", json!({ "job": "8", "set": { "A": "3" } })).unwrap();
        assert_eq!(shown.notes, ["Not compared with what job 8 ran: Slurm no longer gives its script."]);
        assert_eq!(shown.predicted[0].output["difference"], Value::Null);
    }
    fake.ran("9", 1, "", "slurm_load_jobs error: Unable to contact slurm controller\n");
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
        let shown = preview(&Fake::with(content), "launch.edit", json!({ "set": { "A": "2" } })).unwrap();
        assert_eq!(told(&shown), outcome);
    }
    let shown = preview(&Arc::new(Fake::default()), "launch.edit", json!({ "set": { "A": "2" } })).unwrap();
    assert_eq!(told(&shown), format!("cannot: {PATH}: no such file").replace(&format!("{PATH}: "), ""));
}

#[test]
fn wrong_parameters_break_before_anything_is_asked() {
    for params in [
        json!({}),
        json!({ "set": { "A B": "1" } }),
        json!({ "set": { "1A": "1" } }),
        json!({ "set": { "A": "a\nb" } }),
        json!({ "set": { "A": "1" }, "unset": ["A"] }),
        json!({ "set": { "A": "1" }, "job": "1; rm -rf /" }),
        json!({ "set": { "A": "1" }, "job": "-h" }),
        json!({ "set": { "A": "1" }, "jobs": "1" }),
    ] {
        let fake = Fake::with("srun python x.py");
        let error = preview(&fake, "launch.edit", params.clone()).unwrap_err();
        assert_eq!(error.kind, StepErrorKind::Params, "{params}");
        assert!(fake.calls.lock().unwrap().is_empty());
    }
    let params = json!({ "script": "train.sbatch", "set": { "A": "1" } });
    let error = block(step("launch.edit").preview(&Fake::with("").cx(), &params)).unwrap_err();
    assert_eq!(error.kind, StepErrorKind::Params);
}

#[test]
fn notes_name_what_could_undo_the_edit() {
    let fake = Fake::with("export A=${A:-1}\nB=1\nsource env.sh\nsrun --export=NONE bash inner.sh --b $B\n");
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
    for kind in ["launch.edit", "launch.allocator", "launch.lever"] {
        let step = step(kind);
        let spec = step.spec();
        for property in spec.params["properties"].as_object().unwrap().values() {
            assert!(property["description"].is_string(), "{kind}: {property}");
        }
        let fields = spec.output["properties"].as_object().unwrap();
        assert!(fields.len() >= 8, "{kind}");
        for (name, property) in fields {
            assert!(property["description"].is_string(), "{kind}: {name}");
        }
        let names: Vec<String> = spec.outcomes.of(&Value::Null).into_iter().map(|o| o.name).collect();
        for outcome in ["edited", "differs", "cannot"] {
            assert!(names.iter().any(|name| name == outcome), "{kind} lacks {outcome}");
        }
    }
}
