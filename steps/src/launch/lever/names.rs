//! Where a script keeps the settings that levers change.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::script::{Reading, Script, Unclear};
use crate::text::clean;

/// Which environment variable holds which setting; what is not given is looked for under customary names.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Names {
    /// Samples per GPU and pass.
    #[serde(default)]
    pub(super) micro_batch: Option<String>,
    /// Passes per optimizer step.
    #[serde(default)]
    pub(super) accumulation: Option<String>,
    /// Samples per optimizer step over all GPUs, from which the program derives the accumulation.
    #[serde(default)]
    pub(super) global_batch: Option<String>,
    /// Tokens per sample.
    #[serde(default)]
    pub(super) sequence: Option<String>,
    /// Whether activations are recomputed.
    #[serde(default)]
    pub(super) activation_checkpointing: Option<String>,
    /// Over how many ranks parameters, gradients and optimizer state are split.
    #[serde(default)]
    pub(super) sharding: Option<String>,
}

impl Names {
    /// The names that were given.
    pub(super) fn given(&self) -> Vec<&String> {
        let Self { micro_batch, accumulation, global_batch, sequence, activation_checkpointing, sharding } =
            self;
        [micro_batch, accumulation, global_batch, sequence, activation_checkpointing, sharding]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// The customary names, from the table that is compiled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Customary {
    pub(super) micro_batch: Vec<String>,
    pub(super) accumulation: Vec<String>,
    pub(super) global_batch: Vec<String>,
    pub(super) sequence: Vec<String>,
    pub(super) activation_checkpointing: Vec<String>,
    pub(super) sharding: Vec<String>,
    /// How a switch is written: off, on.
    pub(super) switches: Vec<(String, String)>,
}

static TABLE: LazyLock<Result<Customary, String>> =
    LazyLock::new(|| serde_yaml::from_str(include_str!("levers.yaml")).map_err(|error| error.to_string()));

/// The customary names.
///
/// # Errors
/// If the program was built with a broken table.
pub(super) fn customary() -> Result<&'static Customary, String> {
    TABLE.as_ref().map_err(|error| format!("levers.yaml: {error}"))
}

/// A setting in a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) name: String,
    pub(super) value: String,
}

/// Why a setting is not to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// None of these variables is set, or what is set is used nowhere.
    Nowhere(String),
    /// It is there, but cannot be told apart or read safely.
    Unclear(String),
}

/// Looks for a setting under the given name, or else under the customary ones.
pub(super) fn find(
    script: &Script,
    given: Option<&String>,
    customary: &[String],
) -> Result<Setting, Missing> {
    let names = given.map_or(customary, std::slice::from_ref);
    let mut found = Vec::new();
    for name in names {
        match script.reading(name) {
            Reading::Absent => {}
            Reading::Unclear(why @ Unclear::NoLaunch) => return Err(Missing::Unclear(why.to_string())),
            Reading::Unclear(why) => return Err(Missing::Unclear(format!("{}: {why}", clean(name)))),
            Reading::Known(setting) => match setting.read_before {
                Some(line) => {
                    let why =
                        format!("{}: line {line} reads it before line {} sets it", clean(name), setting.line);
                    return Err(Missing::Unclear(why));
                }
                // What is neither passed on nor expanded has no effect.
                None if !setting.exported && !setting.used => {}
                None => found.push(Setting { name: name.clone(), value: setting.value }),
            },
        }
    }
    match found.len() {
        0 => Err(Missing::Nowhere(names.join(", "))),
        1 => found.pop().ok_or_else(|| Missing::Nowhere(names.join(", "))),
        _ => {
            let all: Vec<&str> = found.iter().map(|setting| setting.name.as_str()).collect();
            Err(Missing::Unclear(format!(
                "{} are all set; `names` can say which one counts",
                all.join(" and ")
            )))
        }
    }
}
