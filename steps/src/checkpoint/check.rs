//! Whether a checkpoint is complete, from the names and sizes of its files: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::text::{Pattern, pattern};

/// A file inside a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// Path below the checkpoint: `optimizer_0/.metadata`.
    pub(crate) path: String,
    /// Bytes.
    pub(crate) size: u64,
}

/// Whether a checkpoint is complete, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// `None`: cannot be told.
    pub(crate) complete: Option<bool>,
    /// Why, a few words.
    pub(crate) why: String,
}

impl Check {
    /// It is complete.
    pub(crate) fn yes(why: impl Into<String>) -> Self {
        Self { complete: Some(true), why: why.into() }
    }

    /// It is not.
    pub(crate) fn no(why: impl Into<String>) -> Self {
        Self { complete: Some(false), why: why.into() }
    }

    /// It cannot be told.
    pub(crate) fn unknown(why: impl Into<String>) -> Self {
        Self { complete: None, why: why.into() }
    }
}

static SHARD: Pattern = Pattern::new(|| pattern(r"^(.*)-(\d{5,6})-of-(\d{5,6})\.(safetensors|bin)$"));
static ZERO: Pattern =
    LazyLock::new(|| pattern(r"zero_pp_rank_(\d+)_mp_rank_(\d+)(?:_\d+)?_(optim|model)_states\.pt$"));

fn has(items: &[Item], path: &str) -> bool {
    items.iter().any(|item| item.path == path && item.size > 0)
}

/// What no layout allows: an empty file of tensors, a numbered shard that is not there, a distributed part
/// without its `.metadata`.
pub(crate) fn hole(items: &[Item]) -> Option<String> {
    let tensor = |path: &str| {
        [".pt", ".pth", ".bin", ".safetensors", ".distcp", ".ckpt"].iter().any(|end| path.ends_with(end))
    };
    if let Some(empty) = items.iter().find(|item| item.size == 0 && tensor(&item.path)) {
        return Some(format!("{} is empty", empty.path));
    }
    let mut shards: BTreeMap<(&str, u32), BTreeSet<u32>> = BTreeMap::new();
    for item in items {
        if let Some(found) = SHARD.captures(&item.path) {
            let (stem, number, of) = (found.get(1), found[2].parse(), found[3].parse());
            if let (Some(stem), Ok(number), Ok(of)) = (stem, number, of) {
                shards.entry((stem.as_str(), of)).or_default().insert(number);
            }
        }
    }
    if let Some(((stem, of), there)) = shards.iter().find(|((_, of), there)| (there.len() as u32) < *of) {
        return Some(format!("{} of {of} shards of {stem} are there", there.len()));
    }
    let dirs = items.iter().filter(|item| item.path.ends_with(".distcp")).map(|item| dir(&item.path));
    let bare = dirs
        .collect::<BTreeSet<_>>()
        .into_iter()
        .find(|dir| !committed(items, dir) && !has(items, &below(dir, "metadata.json")))?;
    Some(format!("{} has no .metadata", if bare.is_empty() { "it" } else { bare }))
}

/// Whether a distributed checkpoint in `dir` was written to its end: one `.metadata`, or (without collectives, torch 2.9+)
/// `__R.metadata` of every rank R that wrote a part.
fn committed(items: &[Item], at: &str) -> bool {
    if has(items, &below(at, ".metadata")) {
        return true;
    }
    let rank = |item: &Item| {
        let name = item.path.strip_prefix(at)?.trim_start_matches('/');
        let (rank, _) = name.strip_prefix("__")?.strip_suffix(".distcp")?.split_once('_')?;
        Some(rank.to_owned())
    };
    let ranks: BTreeSet<String> =
        items.iter().filter(|item| dir(&item.path) == at).filter_map(rank).collect();
    !ranks.is_empty() && ranks.iter().all(|rank| has(items, &below(at, &format!("__{rank}.metadata"))))
}

fn dir(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

fn below(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

/// transformers' Trainer. `state` is the beginning of `trainer_state.json`, `ends` whether that file ends in
/// `}`.
///
/// The file is written after model, optimizer, scheduler and random states (transformers 4.56 `trainer.py`,
/// `_save_checkpoint`).
pub(crate) fn hf(
    items: &[Item],
    step: Option<u64>,
    state: Option<&str>,
    ends: bool,
    tag: Option<&str>,
) -> Check {
    let Some(state) = state else { return Check::no("no trainer_state.json, which is written last") };
    let written = global_step(state);
    if !ends || written.is_none() {
        return Check::no("trainer_state.json is cut off");
    }
    if step.is_some() && written != step {
        return Check::no(format!("trainer_state.json is of step {}", written.unwrap_or_default()));
    }
    if let Some(hole) = hole(items) {
        return Check::no(hole);
    }
    let weights = |item: &Item| {
        let name = item.path.rsplit('/').next().unwrap_or_default();
        name.ends_with(".safetensors")
            || name.ends_with(".distcp")
            || name.ends_with("_model_states.pt")
            || name.starts_with("pytorch_model") && name.ends_with(".bin")
            || name == "adapter_model.bin"
    };
    if !items.iter().any(weights) {
        return Check::no("no weights in it");
    }
    if let Some(tag) = tag {
        let inside: Vec<Item> = within(items, tag);
        let check = deepspeed(&inside, None);
        if check.complete == Some(false) {
            return Check::no(format!("{tag}: {}", check.why));
        }
    }
    let optimizer = items.iter().any(|item| item.path.contains("optim"));
    Check::yes(if optimizer {
        "trainer_state.json and weights are there"
    } else {
        "trainer_state.json and weights are there; no optimizer state"
    })
}

/// The files below a directory of a checkpoint, with paths from there.
pub(crate) fn within(items: &[Item], dir: &str) -> Vec<Item> {
    let below = |item: &Item| {
        let path = item.path.strip_prefix(dir)?.strip_prefix('/')?;
        Some(Item { path: path.to_owned(), size: item.size })
    };
    items.iter().filter_map(below).collect()
}

/// `"global_step": 500` of a trainer_state.json; keys are sorted, so it stands before the long log history.
pub(crate) fn global_step(state: &str) -> Option<u64> {
    let (_, rest) = state.split_once("\"global_step\"")?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let digits = &rest[..rest.bytes().take_while(u8::is_ascii_digit).count()];
    digits.parse().ok()
}

/// A DeepSpeed tag directory; `siblings`: the most files of optimizer states that another tag has.
///
/// `latest` is written by rank 0 without a barrier, so it does not prove that the other ranks were done.
pub(crate) fn deepspeed(items: &[Item], siblings: Option<usize>) -> Check {
    if items.is_empty() {
        return Check::no("the directory is not there or empty");
    }
    if let Some(hole) = hole(items) {
        return Check::no(hole);
    }
    if !items.iter().any(|item| item.path.ends_with("_model_states.pt")) {
        return Check::no("no *_model_states.pt");
    }
    let mut ranks: BTreeMap<(u32, &str), BTreeSet<u32>> = BTreeMap::new();
    for found in items.iter().filter_map(|item| ZERO.captures(&item.path)) {
        let (Ok(rank), Ok(mp), Some(what)) = (found[1].parse(), found[2].parse(), found.get(3)) else {
            continue;
        };
        ranks.entry((mp, what.as_str())).or_default().insert(rank);
    }
    let width = ranks.values().filter_map(|there| there.last()).max().map(|most| u64::from(*most) + 1);
    if let Some(width) = width
        && let Some(((mp, what), there)) = ranks.iter().find(|(_, there)| (there.len() as u64) < width)
    {
        return Check::no(format!(
            "{what} states of {} of {width} ranks are there (mp_rank {mp})",
            there.len()
        ));
    }
    let optim = optimizer_files(items);
    match siblings {
        Some(other) if optim < other => {
            Check::unknown(format!("{optim} files of optimizer states, another checkpoint has {other}"))
        }
        _ if optim == 0 => {
            Check::unknown("no files of optimizer states: right without ZeRO, else they are missing")
        }
        _ => Check::yes(format!("states of all {optim} ranks that appear")),
    }
}

/// How many files of optimizer states are there.
pub(crate) fn optimizer_files(items: &[Item]) -> usize {
    items.iter().filter(|item| item.path.ends_with("_optim_states.pt")).count()
}

/// A Megatron iteration: `metadata.json`, written last, with the distributed formats; else every rank's file.
pub(crate) fn megatron(items: &[Item]) -> Check {
    if has(items, "metadata.json") {
        return hole(items)
            .map_or_else(|| Check::yes("metadata.json, which is written last, is there"), Check::no);
    }
    if let Some(hole) = hole(items) {
        return Check::no(hole);
    }
    let ranks: BTreeSet<&str> = items
        .iter()
        .filter_map(|item| item.path.split_once('/'))
        .map(|(rank, _)| rank)
        .filter(|r| r.starts_with("mp_rank_"))
        .collect();
    if ranks.is_empty() {
        return if committed(items, "") {
            Check::yes(".metadata, which is written last, is there")
        } else {
            Check::no("no metadata.json")
        };
    }
    let model =
        |rank: &str| ["model_optim_rng.pt", "model_rng.pt"].iter().any(|name| has(items, &below(rank, name)));
    let optim = |rank: &str| has(items, &below(rank, "distrib_optim.pt"));
    if let Some(rank) = ranks.iter().find(|rank| !model(rank)) {
        return Check::no(format!("{rank} has no model"));
    }
    if ranks.iter().any(|rank| optim(rank)) && !ranks.iter().all(|rank| optim(rank)) {
        return Check::no("distrib_optim.pt is not in every rank's directory");
    }
    Check::yes(format!("files of all {} ranks that appear", ranks.len()))
}

/// A distributed checkpoint of torch: the coordinator renames `.metadata` into place last (`filesystem.py`,
/// torch 2.1+).
pub(crate) fn dcp(items: &[Item]) -> Check {
    if committed(items, "") {
        Check::yes(".metadata, which is written last, is there")
    } else if has(items, "model.safetensors.index.json") {
        hole(items).map_or_else(|| Check::yes("the index of its shards is there"), Check::no)
    } else {
        Check::no("no .metadata, which is written last")
    }
}

/// A directory that Lightning or NeMo made. `fsdp`: Lightning's FSDP strategy writes `meta.pt` after the parts
/// (`strategies/fsdp.py`, `save_checkpoint`); its DeepSpeed strategy has a tag `checkpoint/` and the file `latest`.
pub(crate) fn lightning_dir(items: &[Item], fsdp: bool) -> Check {
    if items.is_empty() {
        return Check::no("it is empty");
    }
    if items.iter().any(|item| item.path.ends_with("_model_states.pt")) {
        let tag = items.iter().find_map(|item| item.path.strip_suffix("_model_states.pt")?.split_once('/'));
        return tag.map_or_else(|| deepspeed(items, None), |(tag, _)| deepspeed(&within(items, tag), None));
    }
    if let Some(hole) = hole(items) {
        return Check::no(hole);
    }
    if fsdp && items.iter().any(|item| dir(&item.path).is_empty() && item.path.ends_with(".distcp")) {
        return if has(items, "meta.pt") {
            Check::yes("meta.pt, which is written last, is there")
        } else {
            Check::no("no meta.pt, which is written last")
        };
    }
    let marked = items.iter().any(|item| {
        item.size > 0
            && ["meta.pt", ".metadata", "metadata.json"]
                .contains(&item.path.rsplit('/').next().unwrap_or_default())
    });
    if marked { Check::yes("its metadata is there") } else { Check::no("no metadata in it") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(paths: &[&str]) -> Vec<Item> {
        paths
            .iter()
            .map(|path| Item {
                path: path.trim_end_matches('!').to_owned(),
                size: if path.ends_with('!') { 0 } else { 9 },
            })
            .collect()
    }

    const STATE: &str =
        "{\n  \"best_metric\": null,\n  \"epoch\": 0.5,\n  \"global_step\": 500,\n  \"log_history\": [";

    fn hf_500(paths: &[&str], tag: Option<&str>) -> (Option<bool>, String) {
        let check = hf(&items(paths), Some(500), Some(STATE), true, tag);
        (check.complete, check.why)
    }

    #[test]
    fn trainer_needs_its_state_and_its_weights() {
        let yes = (Some(true), "trainer_state.json and weights are there".to_owned());
        assert_eq!(hf_500(&["trainer_state.json", "model.safetensors", "optimizer.pt"], None), yes);
        assert_eq!(
            hf_500(
                &[
                    "pytorch_model_fsdp_0/.metadata",
                    "pytorch_model_fsdp_0/__0_0.distcp",
                    "optimizer_0/.metadata",
                    "optimizer_0/__0_0.distcp"
                ],
                None
            ),
            yes
        );
        assert_eq!(hf_500(&["trainer_state.json"], None).1, "no weights in it");
        assert_eq!(hf_500(&["model.safetensors!"], None).1, "model.safetensors is empty");
        assert_eq!(
            hf_500(&["model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"], None).1,
            "2 of 3 shards of model are there"
        );
        assert_eq!(
            hf_500(
                &[
                    "pytorch_model_fsdp_0/.metadata",
                    "pytorch_model_fsdp_0/__0_0.distcp",
                    "optimizer_0/__0_0.distcp"
                ],
                None
            )
            .1,
            "optimizer_0 has no .metadata"
        );
        assert_eq!(hf(&[], Some(500), None, true, None).complete, Some(false));
        assert_eq!(
            hf(&items(&["model.safetensors"]), Some(500), Some(STATE), false, None).why,
            "trainer_state.json is cut off"
        );
        assert_eq!(
            hf(&items(&["model.safetensors"]), Some(600), Some(STATE), true, None).why,
            "trainer_state.json is of step 500"
        );
    }

    #[test]
    fn trainer_with_deepspeed_needs_the_tag_that_latest_names() {
        let model = "global_step500/mp_rank_00_model_states.pt";
        let optim = |rank: u32| format!("global_step500/bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt");
        assert_eq!(hf_500(&[model, &optim(0), &optim(1)], Some("global_step500")).0, Some(true));
        assert_eq!(
            hf_500(&[model, &optim(0), &optim(2)], Some("global_step500")).1,
            "global_step500: optim states of 2 of 3 ranks are there (mp_rank 0)"
        );
        assert_eq!(hf_500(&[model, &optim(0)], Some("global_step600")).0, Some(false));
    }

    #[test]
    fn deepspeed_counts_ranks_and_siblings() {
        let full: Vec<String> = (0..4)
            .map(|r| format!("zero_pp_rank_{r}_mp_rank_00_optim_states.pt"))
            .chain(["mp_rank_00_model_states.pt".into()])
            .collect();
        let full: Vec<&str> = full.iter().map(String::as_str).collect();
        assert_eq!(deepspeed(&items(&full), Some(4)).complete, Some(true));
        assert_eq!(deepspeed(&items(&full), Some(8)).complete, None);
        assert_eq!(deepspeed(&items(&["mp_rank_00_model_states.pt"]), None).complete, None);
        assert_eq!(deepspeed(&items(&full[..4]), None).why, "no *_model_states.pt");
    }

    #[test]
    fn megatron_in_its_formats() {
        assert_eq!(
            megatron(&items(&["__0_0.distcp", "common.pt", "metadata.json", ".metadata!"])).complete,
            Some(true)
        );
        assert_eq!(megatron(&items(&["__0_0.distcp", "common.pt"])).complete, Some(false));
        assert_eq!(megatron(&items(&["common.pt"])).why, "no metadata.json");
        assert_eq!(
            megatron(&items(&["mp_rank_00/model_optim_rng.pt", "mp_rank_01/model_optim_rng.pt"])).complete,
            Some(true)
        );
        assert_eq!(
            megatron(&items(&["mp_rank_00/model_optim_rng.pt", "mp_rank_01/x"])).why,
            "mp_rank_01 has no model"
        );
        assert_eq!(
            megatron(&items(&[
                "mp_rank_00/model_optim_rng.pt",
                "mp_rank_00/distrib_optim.pt",
                "mp_rank_01/model_optim_rng.pt"
            ]))
            .complete,
            Some(false)
        );
    }

    #[test]
    fn torch_and_lightning() {
        assert_eq!(dcp(&items(&["__0_0.distcp", ".metadata"])).complete, Some(true));
        assert_eq!(dcp(&items(&["__0_0.distcp", ".metadata.tmp"])).complete, Some(false));
        let ranks = ["__0_0.distcp", "__1_0.distcp", "__0.metadata", "__1.metadata"];
        assert_eq!(dcp(&items(&ranks)).complete, Some(true));
        assert_eq!(dcp(&items(&ranks[..3])).complete, Some(false));
        let lightning = |paths: &[&str]| lightning_dir(&items(paths), true).complete;
        assert_eq!(lightning(&["meta.pt", "__0_0.distcp", ".metadata"]), Some(true));
        assert_eq!(lightning(&["__0_0.distcp", ".metadata"]), Some(false));
        let ranks = ["zero_pp_rank_0", "zero_pp_rank_1"]
            .map(|rank| format!("checkpoint/{rank}_mp_rank_00_optim_states.pt"));
        let zero = ["latest", "checkpoint/mp_rank_00_model_states.pt", &ranks[0], &ranks[1]];
        assert_eq!(lightning(&zero), Some(true));
        assert_eq!(lightning(&[zero[0], zero[1], zero[3]]), Some(false));
        let nemo = |paths: &[&str]| lightning_dir(&items(paths), false).complete;
        assert_eq!(nemo(&["weights/__0_0.distcp", "weights/.metadata", "context/model.yaml"]), Some(true));
        assert_eq!(nemo(&["weights/__0_0.distcp"]), Some(false));
        assert_eq!(nemo(&["context/model.yaml"]), Some(false));
    }

    proptest! {
        #[test]
        fn never_panics(paths in proptest::collection::vec("(zero_pp_rank_[0-9]{1,12}_mp_rank_[0-9]{1,3}_optim_states.pt|m-[0-9]{5}-of-[0-9]{5}.bin|\\PC{0,20})", 0..9), state in "\\PC{0,60}") {
            let items: Vec<Item> = paths.into_iter().enumerate().map(|(n, path)| Item { path, size: n as u64 % 3 }).collect();
            let _ = (hf(&items, Some(1), Some(&state), true, Some("a")), deepspeed(&items, Some(2)), megatron(&items), dcp(&items), lightning_dir(&items, true));
            let _ = global_step(&format!("\"global_step\":{state}"));
        }
    }
}
