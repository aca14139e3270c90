//! Whether a checkpoint can be resumed with another number of ranks, from its files: pure.
//!
//! Sources: torch's distributed checkpoints are resharded on load (`torch.distributed.checkpoint`, "Load" in its
//! documentation), and with them torchtitan's, FSDP's sharded ones, NeMo 2's and Megatron-LM's `torch_dist`. DeepSpeed
//! refuses ZeRO states of another data-parallel size (`runtime/engine.py`, "Automatic adjustment of ZeRO's optimizer state
//! partitioning with a new world size is not currently supported"). transformers' Trainer without either keeps whole states
//! and only warns about a missing `rng_state_R.pth`.

use super::check::Item;
use super::layout::Layout;

/// `None`: the files do not tell.
pub(crate) fn other_world_size(layout: Layout, items: &[Item]) -> Option<bool> {
    let name = |item: &Item| item.path.rsplit('/').next().unwrap_or_default().to_owned();
    let any = |wanted: &dyn Fn(&str) -> bool| items.iter().any(|item| wanted(&name(item)));
    // Wherever they lie: the Trainer and Lightning keep DeepSpeed's files in directories of their own.
    if any(&|name| name.contains("zero_pp_rank_") && name.ends_with("_optim_states.pt")) {
        return Some(false);
    }
    let resharded = any(&|name| name.ends_with(".distcp"));
    match layout {
        Layout::Torchtitan | Layout::TorchDcp => resharded.then_some(true),
        Layout::HfTrainer => {
            let whole = any(&|name| ["optimizer.pt", "optimizer.bin"].contains(&name));
            (resharded || whole).then_some(true)
        }
        Layout::Megatron if resharded => Some(true),
        // One file of all optimizer states per tensor- and pipeline-parallel rank: its shape is that of the old ranks.
        Layout::Megatron if any(&|name| name == "distrib_optim.pt") => None,
        Layout::Megatron if any(&|name| name == "model_optim_rng.pt") => Some(true),
        Layout::Deepspeed if any(&|name| name.ends_with("_model_states.pt")) => {
            // Model states of every rank are those of ZeRO stage 3, optimizer states or not.
            if any(&|name| name.contains("zero_pp_rank_")) { Some(false) } else { Some(true) }
        }
        Layout::Nemo | Layout::Lightning => resharded.then_some(true),
        Layout::Megatron | Layout::Deepspeed | Layout::Plain => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_layout() {
        let of = |layout, paths: &[&str]| {
            let item = |path: &&str| Item { path: (*path).to_owned(), size: 9 };
            other_world_size(layout, &paths.iter().map(item).collect::<Vec<_>>())
        };
        let zero = "global_step500/bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt";
        for (layout, paths, expected) in [
            (Layout::Torchtitan, &[".metadata", "__0_0.distcp"][..], Some(true)),
            (Layout::TorchDcp, &["model.safetensors"], None),
            (Layout::HfTrainer, &["model.safetensors", "optimizer.pt", "rng_state_0.pth"], Some(true)),
            (
                Layout::HfTrainer,
                &["pytorch_model_fsdp_0/__0_0.distcp", "optimizer_0/__0_0.distcp"],
                Some(true),
            ),
            (Layout::HfTrainer, &["latest", zero], Some(false)),
            (Layout::HfTrainer, &["model.safetensors"], None),
            (Layout::Deepspeed, &[zero, "mp_rank_00_model_states.pt"], Some(false)),
            (Layout::Deepspeed, &["zero_pp_rank_0_mp_rank_00_model_states.pt"], Some(false)),
            (Layout::Deepspeed, &["mp_rank_00_model_states.pt"], Some(true)),
            (Layout::Megatron, &["__0_0.distcp", "metadata.json"], Some(true)),
            (Layout::Megatron, &["mp_rank_00/model_optim_rng.pt", "mp_rank_00/distrib_optim.pt"], None),
            (Layout::Megatron, &["mp_rank_00/model_optim_rng.pt"], Some(true)),
            (Layout::Nemo, &["weights/__0_0.distcp", "weights/.metadata"], Some(true)),
            (Layout::Lightning, &["checkpoint/zero_pp_rank_0_mp_rank_00_optim_states.pt"], Some(false)),
            (Layout::Lightning, &[], None),
            (Layout::Plain, &[], None),
        ] {
            assert_eq!(of(layout, paths), expected, "{layout:?} {paths:?}");
        }
    }
}
