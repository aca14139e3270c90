//! The choice among levers for one script: by the framework that its launch shows, or else by customary variables.

use std::collections::BTreeMap;

use engine::step::{StepCx, StepError};
use jiff::Timestamp;

use super::super::script::Script;
use super::super::settings::{Launch, Program};
use super::choose::{Ask, Choice, Rung, choose};
use super::estimate::{Estimate, Lack};
use super::files;
use super::framework::{frameworks, recognised};
use super::ladder;
use super::names::customary;
use super::step::{Params, tried, wrong};
use crate::text::clean;

/// A choice among levers, and how it was made.
pub(super) struct Chosen {
    pub(super) choice: Choice,
    /// The launch before, where a framework was recognised.
    pub(super) launch: Option<Launch>,
    /// Its name.
    pub(super) framework: Option<String>,
    pub(super) estimate: Estimate,
    /// What a person should know about how it was made.
    pub(super) notes: Vec<String>,
}

/// The values of variables that Slurm sets, as far as they are known.
fn given(params: &Params, script: &Script) -> BTreeMap<String, String> {
    let mut given = BTreeMap::new();
    let mut put = |names: &[&str], value: Option<String>| {
        given.extend(
            value
                .into_iter()
                .flat_map(|value| names.iter().map(move |name| ((*name).to_owned(), value.clone()))),
        );
    };
    put(&["PWD"], params.work_dir.clone());
    // With another working directory than the one it was submitted from, the latter is not known.
    let moved = script.text().lines().filter(|line| line.starts_with("#SBATCH")).any(|line| {
        line.split_whitespace().any(|word| word.starts_with("-D") || word.starts_with("--chdir"))
    });
    put(&["SLURM_SUBMIT_DIR"], params.work_dir.clone().filter(|_| !moved));
    put(&["SLURM_NTASKS", "SLURM_NPROCS"], params.world_size.map(|tasks| tasks.to_string()));
    put(&["SLURM_NNODES", "SLURM_JOB_NUM_NODES"], params.nodes.map(|nodes| nodes.to_string()));
    given
}

/// Chooses by the framework that the launch shows, or else by customary variables.
///
/// # Errors
/// Where the site gives no answer, or a parameter is wrong.
pub(super) async fn choose_lever(cx: &StepCx, script: &Script, params: &Params) -> Result<Chosen, StepError> {
    let tried = tried(params)?;
    let allow = params.allow.as_deref().unwrap_or(&Rung::ALL);
    let lack = params.error.as_ref().and_then(Lack::read);
    let mut estimate = Estimate { lack, run: None };
    let mut launch = Launch::new(script.clone(), given(params, script));
    // torchrun and its like start a rank per GPU; Slurm's tasks are their agents then.
    let agents = launch.programs().any(Program::by_agent);
    let world_size = if agents { params.gpus } else { params.world_size }.map(u64::from);
    let all = frameworks().map_err(StepError::failed)?;
    let recognised = match &params.names {
        // Who names the variables says that they count.
        Some(names) if !names.given().is_empty() => Vec::new(),
        _ => recognised(all, &launch),
    };
    match recognised.as_slice() {
        [] => {
            let names = params.names.clone().unwrap_or_default();
            let customary = customary().map_err(StepError::failed)?;
            let repeat = params.repeat;
            let ask = Ask {
                names: &names,
                customary,
                allow,
                tried: &tried,
                repeat,
                world_size,
                estimate: &estimate,
            };
            let choice = match choose(script, &ask) {
                Choice::Unknown(why) if names.given().is_empty() => {
                    let known: Vec<&str> = all.iter().map(|framework| framework.name.as_str()).collect();
                    Choice::Unknown(format!("{why}; nor does the launch show one of {}", known.join(", ")))
                }
                choice => choice,
            };
            Ok(Chosen { choice, launch: None, framework: None, estimate, notes: Vec::new() })
        }
        [framework] => {
            launch.loosen(framework.loose);
            let started = started(params)?;
            let notes =
                files::load(cx, &mut launch, framework, params.checkpoint.as_deref(), started).await?;
            estimate.run = ladder::run(framework, &launch);
            let ask = ladder::Ask {
                framework,
                launch: &launch,
                allow,
                tried: &tried,
                repeat: params.repeat,
                world_size,
                estimate: &estimate,
            };
            let choice = ladder::choose(&ask);
            let framework = Some(framework.name.clone());
            Ok(Chosen { choice, launch: Some(launch), framework, estimate, notes })
        }
        several => {
            let names: Vec<&str> = several.iter().map(|framework| framework.name.as_str()).collect();
            let why = format!("the launch shows signs of {} at once", names.join(" and "));
            Ok(Chosen {
                choice: Choice::Unknown(why),
                launch: None,
                framework: None,
                estimate,
                notes: Vec::new(),
            })
        }
    }
}

/// When the job started.
fn started(params: &Params) -> Result<Option<Timestamp>, StepError> {
    let parse = |text: &String| text.parse().map_err(|_| wrong(format!("{} is no time", clean(text))));
    params.started.as_ref().map(parse).transpose()
}
