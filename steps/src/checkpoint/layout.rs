//! How frameworks name their checkpoints: pure.
//!
//! Sources: Megatron-LM `training/checkpointing.py`; DeepSpeed `runtime/engine.py`; transformers
//! `trainer_utils.py` (`^checkpoint-(\d+)$`) and 4.36's `tmp-checkpoint-N`; torchtitan v0.2
//! `components/checkpoint.py`; Lightning `model_checkpoint.py` and `checkpoint_connector.py`; NeMo 2
//! `lightning/pytorch/callbacks/model_checkpoint.py`.

use std::sync::LazyLock;

use engine::site::{DirEntry, FileKind};
use regex::Regex;
use schemars::JsonSchema;
use serde::Serialize;

use crate::text::{Pattern, pattern};

/// Megatron's file with the number of the last committed iteration.
pub(crate) const TRACKER: &str = "latest_checkpointed_iteration.txt";
/// DeepSpeed's file with the last tag.
pub(crate) const LATEST: &str = "latest";

/// Which framework's way a directory of checkpoints is laid out in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Layout {
    /// Megatron-LM: `iter_0005000/` and a tracker file.
    Megatron,
    /// transformers' Trainer: `checkpoint-N/`; inside, perhaps DeepSpeed or FSDP.
    HfTrainer,
    /// DeepSpeed: `global_stepN/` and the file `latest`.
    Deepspeed,
    /// torchtitan: `step-N/`.
    Torchtitan,
    /// NeMo 2: directories with `step=N`, the newest with `-last`.
    Nemo,
    /// Lightning: `*.ckpt`.
    Lightning,
    /// One distributed checkpoint of torch: the directory itself.
    TorchDcp,
    /// Files such as `model_step_1000.pt`.
    Plain,
}

/// What a name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Whose way of naming it is.
    pub(crate) layout: Layout,
    /// The step, if the name tells it.
    pub(crate) step: Option<u64>,
    /// The name says that it is not finished.
    pub(crate) unfinished: bool,
}

struct Shape {
    layout: Layout,
    dir: bool,
    regex: Regex,
    unfinished: bool,
}

static PATTERNS: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    let pattern =
        |layout, dir, text: &str, unfinished| Shape { layout, dir, regex: pattern(text), unfinished };
    vec![
        pattern(Layout::Megatron, true, r"^iter_(\d+)$", false),
        pattern(Layout::Megatron, true, r"^release$", false),
        pattern(Layout::HfTrainer, true, r"^checkpoint-(\d+)$", false),
        pattern(Layout::HfTrainer, true, r"^tmp-checkpoint-(\d+)$", true),
        pattern(Layout::Deepspeed, true, r"^global_step(\d+)$", false),
        pattern(Layout::Torchtitan, true, r"^step-(\d+)$", false),
        pattern(Layout::Lightning, true, r"\.ckpt$", false),
        pattern(Layout::Nemo, true, r"\bstep=(\d+)", false),
        pattern(Layout::Nemo, true, r"-last$", false),
        pattern(Layout::Lightning, false, r"^.*\.ckpt$", false),
        pattern(
            Layout::Plain,
            false,
            r"(?i)(?:step|iteration|iter|update|checkpoint|ckpt|model)[-_=]?(\d{1,12})(?:\D.*)?\.(?:pt|pth|bin|safetensors|tar)$",
            false,
        ),
        pattern(
            Layout::Plain,
            false,
            r"(?i)(?:checkpoint|ckpt|last|latest|state|epoch).*\.(?:pt|pth|tar)$",
            false,
        ),
    ]
});
static STEP: Pattern = Pattern::new(|| pattern(r"(?i)step[=_-](\d{1,18})"));
static SUSPECT: Pattern =
    Pattern::new(|| pattern(r"(?i)ckpt|checkpoint|step|iter|epoch|\.pt$|\.pth$|\.distcp$"));

/// What the name of a file (or, with `dir`, of a directory) says of a checkpoint.
pub(crate) fn named(name: &str, dir: bool) -> Option<Named> {
    let pattern = PATTERNS.iter().find(|pattern| pattern.dir == dir && pattern.regex.is_match(name))?;
    let number = |regex: &Regex| regex.captures(name)?.get(1)?.as_str().parse().ok();
    let step = number(&pattern.regex).or_else(|| number(&STEP));
    Some(Named { layout: pattern.layout, step, unfinished: pattern.unfinished })
}

/// `hpc_ckpt_3.ckpt`: what Lightning saves when Slurm requeues the job; the highest wins over any other.
pub(crate) fn requeue_number(name: &str) -> Option<u64> {
    name.strip_prefix("hpc_ckpt_")?.strip_suffix(".ckpt")?.parse().ok()
}

/// The layout of a directory with these entries.
pub(crate) fn layout(entries: &[DirEntry]) -> Option<Layout> {
    let has =
        |name: &str| entries.iter().any(|entry| entry.name == name && entry.stat.kind == FileKind::File);
    if has(TRACKER) {
        return Some(Layout::Megatron);
    }
    let names = entries.iter().filter_map(|entry| named(&entry.name, is_dir(entry)));
    // A directory called `release` alone is no sign of Megatron.
    let sure = names.filter(|named| named.layout != Layout::Megatron || named.step.is_some());
    let found: Vec<Layout> = sure.map(|named| named.layout).collect();
    let order = [
        Layout::Megatron,
        Layout::HfTrainer,
        Layout::Deepspeed,
        Layout::Torchtitan,
        Layout::Nemo,
        Layout::Lightning,
        Layout::Plain,
    ];
    let first = order.into_iter().find(|layout| found.contains(layout) && (*layout != Layout::Plain));
    first
        .or_else(|| has(".metadata").then_some(Layout::TorchDcp))
        .or_else(|| has(LATEST).then_some(Layout::Deepspeed))
        .or_else(|| entries.iter().any(|e| e.name.ends_with(".distcp")).then_some(Layout::TorchDcp))
        .or_else(|| found.contains(&Layout::Plain).then_some(Layout::Plain))
}

/// Whether an entry is a directory.
pub(crate) fn is_dir(entry: &DirEntry) -> bool {
    entry.stat.kind == FileKind::Dir
}

/// Whether a name looks like part of some checkpoint though no layout claims it.
pub(crate) fn suspect(name: &str) -> bool {
    SUSPECT.is_match(name)
}

/// The directory that holds the checkpoints, for a path that may lead into one of them: `/out/checkpoint-500`
/// and `/out/global_step100/mp_rank_00_model_states.pt` are in `/out`.
pub(crate) fn root_of(path: &str) -> &str {
    let mut start = 0;
    for part in path.split('/') {
        let end = start + part.len();
        let last = end == path.len();
        let inside = named(part, true).is_some_and(|n| n.step.is_some() || n.layout == Layout::Lightning)
            || last && named(part, false).is_some();
        if inside && start > 1 {
            return &path[..start - 1];
        }
        start = end + 1;
    }
    path.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn say(name: &str, dir: bool) -> String {
        named(name, dir).map_or("-".into(), |n| {
            format!("{:?} {:?}{}", n.layout, n.step, if n.unfinished { " unfinished" } else { "" })
        })
    }

    #[test]
    fn knows_the_names_of_the_frameworks() {
        let dirs = [
            "iter_0005000",
            "release",
            "checkpoint-500",
            "tmp-checkpoint-500",
            "global_step1000",
            "step-100",
            "epoch=3-step=1200.ckpt",
            "llama--val_loss=1.20-step=99-consumed_samples=800.0-last",
            "model-last",
            "runs",
            "checkpoint-best",
        ];
        let files = [
            "epoch=3-step=1200.ckpt",
            "last.ckpt",
            "hpc_ckpt_2.ckpt",
            "model_step_1000.pt",
            "ckpt_2000.pth",
            "checkpoint.pt",
            "iter-000500-ckpt.pth",
            "model.safetensors",
            "train.log",
        ];
        let all = dirs.map(|n| format!("{n}: {}", say(n, true))).join("\n")
            + "\n"
            + &files.map(|n| format!("{n}: {}", say(n, false))).join("\n");
        insta::assert_snapshot!(all, @r"
        iter_0005000: Megatron Some(5000)
        release: Megatron None
        checkpoint-500: HfTrainer Some(500)
        tmp-checkpoint-500: HfTrainer Some(500) unfinished
        global_step1000: Deepspeed Some(1000)
        step-100: Torchtitan Some(100)
        epoch=3-step=1200.ckpt: Lightning Some(1200)
        llama--val_loss=1.20-step=99-consumed_samples=800.0-last: Nemo Some(99)
        model-last: Nemo None
        runs: -
        checkpoint-best: -
        epoch=3-step=1200.ckpt: Lightning Some(1200)
        last.ckpt: Lightning None
        hpc_ckpt_2.ckpt: Lightning None
        model_step_1000.pt: Plain Some(1000)
        ckpt_2000.pth: Plain Some(2000)
        checkpoint.pt: Plain None
        iter-000500-ckpt.pth: Plain Some(500)
        model.safetensors: -
        train.log: -
        ");
        assert_eq!(requeue_number("hpc_ckpt_12.ckpt"), Some(12));
    }

    #[test]
    fn finds_the_directory_that_holds_a_checkpoint() {
        for (path, root) in [
            ("/out/checkpoint-500", "/out"),
            ("/out/checkpoint-500/model.safetensors", "/out"),
            ("/out/global_step100/mp_rank_00_model_states.pt", "/out"),
            (
                "/out/lightning_logs/version_0/checkpoints/epoch=0-step=9.ckpt",
                "/out/lightning_logs/version_0/checkpoints",
            ),
            ("/out/iter_0000100/", "/out"),
            ("/out/", "/out"),
            ("rel/step-3", "rel"),
            ("checkpoint-500", "checkpoint-500"),
        ] {
            assert_eq!(root_of(path), root, "{path}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,60}") {
            let _ = (named(&text, true), named(&text, false), requeue_number(&text), suspect(&text));
            prop_assert!(text.starts_with(root_of(&text)));
        }
    }
}
