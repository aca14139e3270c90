//! Which lever comes next, and what it changes. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::edits::Changed;
use super::super::script::Script;
use super::super::settings::Launch;
use super::estimate::Estimate;
use super::names::{Customary, Missing, Names, Setting, find};
use crate::text::clean;

/// A lever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rung {
    /// Half the samples per GPU and pass, twice the passes: the global batch stays.
    MicroBatch,
    /// Half the tokens per sample.
    Sequence,
    /// Recompute activations instead of keeping them.
    ActivationCheckpointing,
    /// Split parameters, gradients and optimizer state over twice the ranks.
    Sharding,
}

impl Rung {
    /// From the least to the most invasive.
    pub(super) const ALL: [Self; 4] =
        [Self::MicroBatch, Self::Sequence, Self::ActivationCheckpointing, Self::Sharding];

    /// Its name in parameters and outputs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MicroBatch => "micro_batch",
            Self::Sequence => "sequence",
            Self::ActivationCheckpointing => "activation_checkpointing",
            Self::Sharding => "sharding",
        }
    }

    /// The lever that an entry of `tried` (`micro_batch:8->4`) names.
    pub(super) fn of_entry(entry: &str) -> Option<Self> {
        let name = entry.split(':').next().unwrap_or_default();
        Self::ALL.into_iter().find(|rung| rung.name() == name)
    }
}

/// What the choice depends on.
pub(super) struct Ask<'a> {
    pub(super) names: &'a Names,
    pub(super) customary: &'a Customary,
    /// Levers that may be taken at all.
    pub(super) allow: &'a [Rung],
    /// Levers that were taken.
    pub(super) tried: &'a [Rung],
    /// The micro-batch may be halved again.
    pub(super) repeat: bool,
    /// Ranks of the job.
    pub(super) world_size: Option<u64>,
    pub(super) estimate: &'a Estimate,
}

/// What a lever edits.
#[derive(Debug, Clone)]
pub(super) enum Edits {
    /// Variables of the script, and their new values.
    Variables(Vec<(String, String)>),
    /// Settings of a framework: the launch as it would be.
    Launch(Box<Launch>, Vec<Changed>),
}

/// What to say about shorter sequences.
pub(super) const SHORTER: &str =
    "Shorter sequences change what the model learns from: the owner of the training should agree.";
/// What to say about recomputation.
pub(super) const SLOWER: &str = "Steps get slower: the forward pass is computed a second time.";

/// A lever and what it changes.
#[derive(Debug, Clone)]
pub(super) struct Pull {
    pub(super) rung: Rung,
    /// What is edited.
    pub(super) edits: Edits,
    /// The change of the lever's own setting: `8->4`.
    pub(super) from_to: String,
    /// One line for people.
    pub(super) description: String,
    /// What a person should know.
    pub(super) notes: Vec<String>,
}

/// What comes next.
#[derive(Debug, Clone)]
pub(super) enum Choice {
    /// This lever.
    Pull(Pull),
    /// None is left; why those that were not tried are spent.
    Exhausted(Vec<String>),
    /// The next lever's setting was not found, or its value says nothing.
    Unknown(String),
    /// The next lever's setting is there but cannot be edited safely.
    Cannot(String),
}

/// How one lever stands.
enum Stand {
    Pull(Pull),
    Spent(String),
    Unknown(String),
    Cannot(String),
}

/// Chooses the next lever: the first that is allowed, not yet tried and not spent.
///
/// A lever whose setting is not found ends the search: the levers after it cost more, and skipping one would be a guess.
pub(super) fn choose(script: &Script, ask: &Ask<'_>) -> Choice {
    let mut spent = Vec::new();
    for rung in Rung::ALL {
        let tried = ask.tried.contains(&rung) && !(rung == Rung::MicroBatch && ask.repeat);
        if tried || !ask.allow.contains(&rung) {
            continue;
        }
        let stand = match rung {
            Rung::MicroBatch => micro_batch(script, ask),
            Rung::Sequence => sequence(script, ask),
            Rung::ActivationCheckpointing => activation_checkpointing(script, ask),
            Rung::Sharding => sharding(script, ask),
        };
        match stand {
            Ok(Stand::Spent(why)) => spent.push(format!("{}: {why}", rung.name())),
            Ok(Stand::Pull(mut pull)) => {
                if let Some(why) = ask.estimate.too_little(rung, &pull.from_to) {
                    spent.push(format!("{}: {why}", rung.name()));
                    continue;
                }
                pull.notes.extend(spent.iter().map(|why| format!("Not taken: {why}.")));
                return Choice::Pull(pull);
            }
            Ok(Stand::Unknown(why)) => return Choice::Unknown(format!("{}: {why}", rung.name())),
            Ok(Stand::Cannot(why)) | Err(Missing::Unclear(why)) => {
                return Choice::Cannot(format!("{}: {why}", rung.name()));
            }
            Err(Missing::Nowhere(names)) => {
                return Choice::Unknown(format!("{}: the script sets none of {names}", rung.name()));
            }
        }
    }
    Choice::Exhausted(spent)
}

fn number(setting: &Setting) -> Result<u64, Stand> {
    setting
        .value
        .parse::<u64>()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| Stand::Unknown(format!("{} is {}, not a number", setting.name, clean(&setting.value))))
}

fn micro_batch(script: &Script, ask: &Ask<'_>) -> Result<Stand, Missing> {
    let micro = find(script, ask.names.micro_batch.as_ref(), &ask.customary.micro_batch)?;
    let size = match number(&micro) {
        Ok(size) => size,
        Err(stand) => return Ok(stand),
    };
    if size % 2 == 1 {
        let why = if size == 1 { "is 1 already" } else { "is odd: halving it would change the global batch" };
        return Ok(Stand::Spent(format!("{} {why}", micro.name)));
    }
    let mut edits = vec![(micro.name.clone(), (size / 2).to_string())];
    let mut description = format!("{} {size} -> {}", micro.name, size / 2);
    let mut notes = Vec::new();
    match find(script, ask.names.accumulation.as_ref(), &ask.customary.accumulation) {
        Ok(accumulation) => {
            let steps = match number(&accumulation) {
                Ok(steps) => steps,
                Err(stand) => return Ok(stand),
            };
            let Some(doubled) = steps.checked_mul(2) else {
                return Ok(Stand::Cannot(format!("{} is too large to be doubled", accumulation.name)));
            };
            edits.push((accumulation.name.clone(), doubled.to_string()));
            description.push_str(&format!(", {} {steps} -> {doubled}: same global batch", accumulation.name));
        }
        Err(Missing::Unclear(why)) => return Ok(Stand::Cannot(why)),
        Err(Missing::Nowhere(looked)) => {
            match find(script, ask.names.global_batch.as_ref(), &ask.customary.global_batch) {
                Ok(global) => {
                    let value = clean(&global.value);
                    description.push_str(&format!(", {} stays {value}", global.name));
                    notes.push(format!(
                        "The script sets {} and no accumulation: this relies on the program deriving the accumulation \
                         from it, as Megatron-LM does.",
                        global.name
                    ));
                }
                Err(Missing::Unclear(why)) => return Ok(Stand::Cannot(why)),
                Err(Missing::Nowhere(global)) => {
                    return Ok(Stand::Unknown(format!(
                        "{} is {size}, but nothing that holds the global batch constant was found: none of {looked} \
                         nor {global}",
                        micro.name
                    )));
                }
            }
        }
    }
    if micro.name.starts_with("PER_DEVICE_TRAIN") {
        // trainer.py of transformers 4.36 to 5.1, https://github.com/huggingface/transformers/issues/43708.
        notes.push(
            "Hugging Face's Trainer from 4.36 to 5.1 takes the batch size from the checkpoint's trainer_state.json when \
             it resumes: there, train_batch_size needs the same change."
                .to_owned(),
        );
    }
    let from_to = format!("{size}->{}", size / 2);
    Ok(Stand::Pull(Pull {
        rung: Rung::MicroBatch,
        edits: Edits::Variables(edits),
        from_to,
        description,
        notes,
    }))
}

fn sequence(script: &Script, ask: &Ask<'_>) -> Result<Stand, Missing> {
    let sequence = find(script, ask.names.sequence.as_ref(), &ask.customary.sequence)?;
    let length = match number(&sequence) {
        Ok(length) => length,
        Err(stand) => return Ok(stand),
    };
    if length % 2 == 1 {
        return Ok(Stand::Spent(format!("{} is {length} and cannot be halved", sequence.name)));
    }
    let half = length / 2;
    Ok(Stand::Pull(Pull {
        rung: Rung::Sequence,
        edits: Edits::Variables(vec![(sequence.name.clone(), half.to_string())]),
        from_to: format!("{length}->{half}"),
        description: format!("{} {length} -> {half} tokens", sequence.name),
        notes: vec![SHORTER.to_owned()],
    }))
}

fn activation_checkpointing(script: &Script, ask: &Ask<'_>) -> Result<Stand, Missing> {
    let given = ask.names.activation_checkpointing.as_ref();
    let switch = find(script, given, &ask.customary.activation_checkpointing)?;
    let value = switch.value.as_str();
    if let Some((off, on)) = ask.customary.switches.iter().find(|(off, _)| off == value) {
        return Ok(Stand::Pull(Pull {
            rung: Rung::ActivationCheckpointing,
            edits: Edits::Variables(vec![(switch.name.clone(), on.clone())]),
            from_to: format!("{off}->{on}"),
            description: format!("{} {off} -> {on}", switch.name),
            notes: vec![SLOWER.to_owned()],
        }));
    }
    if ask.customary.switches.iter().any(|(_, on)| on == value) {
        return Ok(Stand::Spent(format!("{} is {value} already", switch.name)));
    }
    Ok(Stand::Unknown(format!("{} is {}, neither on nor off", switch.name, clean(value))))
}

fn sharding(script: &Script, ask: &Ask<'_>) -> Result<Stand, Missing> {
    let sharding = find(script, ask.names.sharding.as_ref(), &ask.customary.sharding)?;
    let degree = match number(&sharding) {
        Ok(degree) => degree,
        Err(stand) => return Ok(stand),
    };
    let Some(world) = ask.world_size else {
        return Ok(Stand::Unknown("the number of ranks is not known".to_owned()));
    };
    let fits = degree.checked_mul(2).filter(|doubled| *doubled <= world && world % *doubled == 0);
    let Some(doubled) = fits else {
        return Ok(Stand::Spent(format!("{} is {degree} of {world} ranks", sharding.name)));
    };
    Ok(Stand::Pull(Pull {
        rung: Rung::Sharding,
        edits: Edits::Variables(vec![(sharding.name.clone(), doubled.to_string())]),
        from_to: format!("{degree}->{doubled}"),
        description: format!("{} {degree} -> {doubled} of {world} ranks", sharding.name),
        notes: vec!["More communication; a checkpoint in sharded form must allow another degree.".to_owned()],
    }))
}
