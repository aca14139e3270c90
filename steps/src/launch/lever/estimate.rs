//! What a lever can be expected to free, from the error's numbers and, where they are known, the model's dimensions.
//!
//! Activations of one transformer layer, in bytes, after arXiv:2205.05198 (equations 2 and 6; s tokens, b samples, h width,
//! a heads, t tensor-parallel ranks, 16-bit): `sbh(18 + 4·ffn/h)/t` with FlashAttention, and `5as²b/t` more without. The
//! output layer and the loss in fp32: `4sb(h + V)` (Megatron-LM, megatron/training/theoretical_memory_usage.py), kept in one
//! to three copies. Model states after arXiv:1910.02054: no lever on activations touches them.

use serde_json::{Map, Value};

use super::choose::Rung;
use super::framework::Dimensions;
use crate::size::show;

/// The error's numbers, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lack {
    /// What was asked for.
    pub(super) tried: u64,
    /// What was free.
    pub(super) free: u64,
    /// What live tensors held.
    pub(super) allocated: Option<u64>,
    /// The card's memory.
    pub(super) capacity: Option<u64>,
}

/// What is known of the model and of how it is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) model: Dimensions,
    /// Samples per GPU and pass.
    pub(super) micro_batch: u64,
    /// Tokens per sample.
    pub(super) sequence: u64,
    /// Tensor-parallel ranks.
    pub(super) tensor: u64,
}

/// All that estimates are made from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Estimate {
    pub(super) lack: Option<Lack>,
    pub(super) run: Option<Run>,
}

/// Largest number by which a micro-batch is divided, unless it is made 1.
const MOST_FACTOR: u64 = 1024;

/// From, at least; to, at most; in bytes.
type Between = (u64, u64);

impl Lack {
    /// Reads them from an error; `None` where the numbers are not known or do not show that anything lacked.
    pub(super) fn read(error: &Map<String, Value>) -> Option<Self> {
        let bytes = |name: &str| error.get(name).and_then(Value::as_u64);
        let (tried, free) = (bytes("tried")?, bytes("free")?);
        let lack = Self { tried, free, allocated: bytes("allocated"), capacity: bytes("capacity") };
        (tried > free).then_some(lack)
    }

    fn lacked(&self) -> u64 {
        self.tried.saturating_sub(self.free)
    }
}

impl Run {
    /// Activations of all layers: what grows with the length, and the part that grows with its square.
    fn layers(&self) -> (u128, u128) {
        let Dimensions { layers, hidden, ffn, heads, .. } = self.model;
        let tokens = self.tokens() * u128::from(layers) / u128::from(self.tensor.max(1));
        let linear = tokens * u128::from(18 * hidden + 4 * ffn.unwrap_or(4 * hidden));
        (linear, tokens * u128::from(self.sequence) * u128::from(5 * heads.unwrap_or(hidden / 64)))
    }

    /// One fp32 copy of the logits.
    fn logits(&self) -> u128 {
        let words = self.model.vocabulary.unwrap_or(0) / self.tensor.max(1);
        4 * self.tokens() * u128::from(self.model.hidden + words)
    }

    fn tokens(&self) -> u128 {
        u128::from(self.sequence) * u128::from(self.micro_batch)
    }
}

impl Estimate {
    /// What a lever frees, least and most; `None` where that is not known.
    fn frees(&self, rung: Rung, from_to: &str) -> Option<Between> {
        let run = self.run?;
        let (linear, square) = run.layers();
        let logits = run.logits();
        let share = |bytes: u128| match numbers(from_to) {
            Some((from, to)) if from > 0 => bytes * u128::from(from - to.min(from)) / u128::from(from),
            _ => bytes / 2,
        };
        let (least, most) = match rung {
            Rung::MicroBatch => (share(linear + logits), share(linear + square + 3 * logits)),
            Rung::Sequence => (share(linear + logits), share(linear + 3 * logits) + square / 4 * 3),
            // Two bytes per value stay for each layer, and one layer is whole while it is recomputed.
            Rung::ActivationCheckpointing => {
                let layers = u128::from(run.model.layers.max(1));
                let kept =
                    2 * run.tokens() * u128::from(run.model.hidden) * layers / u128::from(run.tensor.max(1));
                (linear.saturating_sub(kept + linear / layers), linear + square)
            }
            Rung::Sharding => return None,
        };
        let bytes = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
        Some((bytes(least), bytes(most)))
    }

    /// By what the micro-batch is divided: by two, or by more where two would free too little. `None` if it is 1.
    pub(super) fn factor(&self, size: u64) -> Option<u64> {
        let factors =
            || (2..=size.min(MOST_FACTOR)).chain([size]).filter(|factor| size.is_multiple_of(*factor));
        let smallest = factors().find(|factor| *factor > 1)?;
        let (Some(lack), Some(_)) = (self.lack, self.run) else { return Some(smallest) };
        // A twentieth of the card as a margin: the next batch is not the same as this one.
        let need = lack.lacked() + lack.capacity.unwrap_or(0) / 20;
        let enough = |factor: &u64| {
            self.frees(Rung::MicroBatch, &format!("{size}->{}", size / factor))
                .is_some_and(|(least, _)| least >= need)
        };
        Some(factors().find(enough).unwrap_or(smallest))
    }

    /// Why a lever cannot free what lacked, if that is sure.
    pub(super) fn too_little(&self, rung: Rung, from_to: &str) -> Option<String> {
        let lack = self.lack?;
        let most = match self.frees(rung, from_to) {
            Some((_, most)) => most,
            // At the very most everything in use were activations, the request that failed among them.
            None => match (rung, lack.allocated, numbers(from_to)) {
                (Rung::MicroBatch, Some(allocated), Some((from, to))) if from > 0 => {
                    let whole = u128::from(allocated.saturating_add(lack.tried));
                    let part = whole * u128::from(from - to.min(from)) / u128::from(from);
                    u64::try_from(part).unwrap_or(u64::MAX)
                }
                _ => return None,
            },
        };
        (most < lack.lacked())
            .then(|| format!("frees at most {}, and {} lacked", show(most), show(lack.lacked())))
    }

    /// For people; `None` where the error's numbers are not known.
    pub(super) fn tell(&self, rung: Rung, from_to: &str) -> Option<String> {
        let lack = self.lack?;
        let live =
            lack.allocated.map_or(String::new(), |allocated| format!(" {} were in use.", show(allocated)));
        let asked = format!("{} asked, {} free", show(lack.tried), show(lack.free));
        let lacked = format!("The job lacked {} at that moment ({asked}).{live}", show(lack.lacked()));
        let rest = match self.frees(rung, from_to) {
            Some((least, most)) => format!(
                "By the model's dimensions this frees {} to {} of activations, and nothing of the model states.",
                show(least),
                show(most)
            ),
            None => {
                let frees = match rung {
                    Rung::MicroBatch => "frees about half of the activations, nothing of the model states",
                    Rung::Sequence => "frees at least half of the activations, nothing of the model states",
                    Rung::ActivationCheckpointing => {
                        "frees most of the activations, nothing of the model states"
                    }
                    Rung::Sharding => {
                        "frees up to half of the sharded model states, nothing of the activations"
                    }
                };
                format!("This {frees}; the error does not tell how these divide.")
            }
        };
        Some(format!("{lacked} {rest}"))
    }
}

/// The two numbers of `8->4`.
fn numbers(from_to: &str) -> Option<(u64, u64)> {
    let (from, to) = from_to.split_once("->")?;
    Some((from.parse().ok()?, to.parse().ok()?))
}
