//! What each training framework calls its settings, where they stand, and how it is told from the others: tables that are
//! compiled in, one per framework.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::super::config::Format;
use super::super::settings::{At, Launch};
use super::choose::Rung;

/// One framework.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Framework {
    /// Its name.
    pub(super) name: String,
    /// Any of these tells it.
    signs: Vec<Sign>,
    /// Frameworks whose signs it shows as well, since it is built on them.
    #[serde(default)]
    over: Vec<String>,
    /// `-` and `_` mean the same in its flags.
    #[serde(default)]
    pub(super) loose: bool,
    /// Files that its launch refers to.
    #[serde(default)]
    pub(super) files: Vec<FileRef>,
    /// How micro-batch, accumulation and global batch depend on each other.
    pub(super) batch: Batch,
    /// Samples per GPU and pass.
    pub(super) micro_batch: Vec<At>,
    /// Passes per optimizer step.
    #[serde(default)]
    pub(super) accumulation: Vec<At>,
    /// Samples per optimizer step.
    #[serde(default)]
    pub(super) global_batch: Vec<At>,
    /// Values of the global batch that mean that it is not given.
    #[serde(default)]
    pub(super) unset: Vec<String>,
    /// What holds where nothing is given.
    #[serde(default)]
    pub(super) defaults: Defaults,
    /// Tokens per sample.
    #[serde(default)]
    pub(super) sequence: Vec<At>,
    /// What divides the ranks before data parallelism does.
    #[serde(default)]
    pub(super) parallel: Parallel,
    /// Places that must say the same, or `auto`.
    #[serde(default)]
    pub(super) agrees: Agrees,
    /// Where a checkpoint keeps the micro-batch that a resumed training takes instead of the given one.
    #[serde(default)]
    pub(super) resumes_with: Option<At>,
    /// What a person should know about a lever.
    #[serde(default)]
    pub(super) notes: BTreeMap<Rung, Vec<String>>,
    /// Why a lever is not there at all.
    #[serde(default)]
    pub(super) without: BTreeMap<Rung, String>,
    /// Ways to recompute more, the first that fits counts.
    #[serde(default)]
    pub(super) activation_checkpointing: Vec<Turn>,
    /// Ways to shard more, the first that fits counts.
    #[serde(default)]
    pub(super) sharding: Vec<Turn>,
    /// Where the model's dimensions stand.
    #[serde(default)]
    pub(super) model: ModelRef,
}

/// Something by which a framework is told; all that is given must hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sign {
    /// The program's or module's name is one of these.
    #[serde(default)]
    programs: Vec<String>,
    /// The program gets all of these.
    #[serde(default)]
    flags: Vec<String>,
    /// The program gets all of these as `word=…`, or as a word of their own.
    #[serde(default)]
    words: Vec<String>,
    /// It is started by one of these.
    #[serde(default)]
    launchers: Vec<String>,
}

/// A file that a launch refers to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileRef {
    /// Its name in this table.
    pub(super) name: String,
    /// Flags that name it.
    #[serde(default)]
    pub(super) flags: Vec<String>,
    /// It is the first argument that ends so.
    #[serde(default)]
    pub(super) ends: Vec<String>,
    /// A key of the main file that names it.
    #[serde(default)]
    pub(super) key: Option<String>,
    /// A variable that names it where no flag does.
    #[serde(default)]
    pub(super) variables: Vec<String>,
    /// It is this file in the newest checkpoint.
    #[serde(default)]
    pub(super) checkpoint: Option<String>,
    /// What is named is a directory, and it is this file in there.
    #[serde(default)]
    pub(super) inside: Option<String>,
    /// The flag that names its directory (Hydra's `--config-path`); its name then lacks the ending.
    #[serde(default)]
    pub(super) within: Option<String>,
    /// How it is written.
    pub(super) format: Written,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Written {
    Json,
    Yaml,
    Toml,
    /// Its name tells.
    ByName,
}

impl Written {
    /// The format of the file at this path.
    pub(super) fn of(self, path: &str) -> Option<Format> {
        match self {
            Self::Json => Some(Format::Json),
            Self::Yaml => Some(Format::Yaml),
            Self::Toml => Some(Format::Toml),
            Self::ByName => Format::of(path),
        }
    }
}

/// How the batch settings depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Batch {
    /// The accumulation is given; the global batch is the product.
    Explicit,
    /// The accumulation follows from the global batch.
    Derived,
    /// Two of the three are given and must give the third.
    TwoOfThree,
}

/// What holds where nothing is given.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Defaults {
    /// Passes per optimizer step.
    #[serde(default)]
    pub(super) accumulation: Option<u64>,
}

/// What divides the ranks.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parallel {
    #[serde(default)]
    pub(super) tensor: Vec<At>,
    #[serde(default)]
    pub(super) pipeline: Vec<At>,
    #[serde(default)]
    pub(super) context: Vec<At>,
}

/// Places that must say the same.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Agrees {
    #[serde(default)]
    pub(super) micro_batch: Vec<At>,
    #[serde(default)]
    pub(super) accumulation: Vec<At>,
    #[serde(default)]
    pub(super) sequence: Vec<At>,
}

/// One way to turn a switch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Turn {
    /// The switch.
    pub(super) at: At,
    /// The values at which it fits: `absent`, `bare` (a flag without a value), or as written. None: any.
    #[serde(default)]
    pub(super) from: Vec<String>,
    /// The new value; empty for a flag without one.
    #[serde(default)]
    pub(super) to: Option<String>,
    /// Words in the place of a flag without a value.
    #[serde(default)]
    pub(super) words: Option<String>,
    /// The new value is half of a whole number.
    #[serde(default)]
    pub(super) halve: bool,
    /// What is doubled with it, where it is a positive number.
    #[serde(default)]
    pub(super) doubles: Option<At>,
    /// What must be set with it.
    #[serde(default)]
    pub(super) also: Vec<Also>,
    /// Beside what it is added, the first that is there.
    #[serde(default)]
    pub(super) beside: Vec<At>,
    /// What a person should know.
    #[serde(default)]
    pub(super) notes: Vec<String>,
    /// There is nothing left to turn; why.
    #[serde(default)]
    pub(super) spent: Option<String>,
}

/// A setting that goes with another.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Also {
    pub(super) at: At,
    pub(super) to: String,
}

/// Where the model's dimensions stand.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelRef {
    #[serde(default)]
    pub(super) layers: Vec<At>,
    #[serde(default)]
    pub(super) hidden: Vec<At>,
    #[serde(default)]
    pub(super) ffn: Vec<At>,
    #[serde(default)]
    pub(super) heads: Vec<At>,
    #[serde(default)]
    pub(super) vocabulary: Vec<At>,
    /// The model's name, and that of its size: together they stand in `flavors` as `name/flavor`.
    #[serde(default)]
    pub(super) name: Vec<At>,
    #[serde(default)]
    pub(super) flavor: Vec<At>,
    #[serde(default)]
    pub(super) flavors: BTreeMap<String, Dimensions>,
}

/// A model's dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dimensions {
    /// Transformer layers.
    pub(super) layers: u64,
    /// Width of the residual stream.
    pub(super) hidden: u64,
    /// Width inside of the MLP.
    #[serde(default)]
    pub(super) ffn: Option<u64>,
    /// Attention heads.
    #[serde(default)]
    pub(super) heads: Option<u64>,
    /// Words of the vocabulary.
    #[serde(default)]
    pub(super) vocabulary: Option<u64>,
}

const TABLES: &[(&str, &str)] = &[
    ("megatron", include_str!("frameworks/megatron.yaml")),
    ("nemo", include_str!("frameworks/nemo.yaml")),
    ("torchtitan", include_str!("frameworks/torchtitan.yaml")),
    ("axolotl", include_str!("frameworks/axolotl.yaml")),
    ("llama_factory", include_str!("frameworks/llama_factory.yaml")),
    ("huggingface", include_str!("frameworks/huggingface.yaml")),
    ("deepspeed", include_str!("frameworks/deepspeed.yaml")),
    ("lightning", include_str!("frameworks/lightning.yaml")),
];

static FRAMEWORKS: LazyLock<Result<Vec<Framework>, String>> = LazyLock::new(|| {
    let read = |(name, text): &(&str, &str)| {
        serde_yaml::from_str::<Framework>(text).map_err(|error| format!("{name}.yaml: {error}"))
    };
    TABLES.iter().map(read).collect()
});

/// All frameworks.
///
/// # Errors
/// If the program was built with a broken table.
pub(super) fn frameworks() -> Result<&'static [Framework], String> {
    FRAMEWORKS.as_ref().map(Vec::as_slice).map_err(Clone::clone)
}

/// The frameworks that a launch shows signs of, without those on which another of them is built.
pub(super) fn recognised(all: &'static [Framework], launch: &Launch) -> Vec<&'static Framework> {
    let shown: Vec<&Framework> =
        all.iter().filter(|one| one.signs.iter().any(|sign| sign.holds(one, launch))).collect();
    let covered = |one: &Framework| shown.iter().any(|other| other.over.contains(&one.name));
    shown.iter().copied().filter(|one| !covered(one)).collect()
}

impl Sign {
    fn holds(&self, framework: &Framework, launch: &Launch) -> bool {
        let mut launch = launch.clone();
        launch.loosen(framework.loose);
        let among = |names: &[String], name: &String| names.is_empty() || names.contains(name);
        let mut programs = launch.programs().peekable();
        programs.peek().is_some()
            && programs.all(|program| {
                among(&self.programs, &program.name)
                    && (self.launchers.is_empty()
                        || program.launchers.iter().any(|name| self.launchers.contains(name)))
            })
            && self.flags.iter().all(|flag| launch.has_flag(flag))
            && self.words.iter().all(|wanted| {
                launch.has_word(|word| {
                    let word = word.trim_start_matches('+');
                    word == wanted
                        || word.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.starts_with('='))
                })
            })
    }
}
