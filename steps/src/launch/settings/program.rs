//! Which of a launch line's words belong to the program, and which to those that start it.

use super::super::script::Line;

/// The parts of a launch line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::launch) struct Program {
    /// Base name of the program (`train.py`, `axolotl`), or the module after `-m`; empty if it cannot be told.
    pub(in crate::launch) name: String,
    /// Index of its first argument.
    pub(in crate::launch) first: usize,
    /// Base names of those that start it: `srun`, `torchrun`.
    pub(in crate::launch) launchers: Vec<String>,
}

/// Programs that start a Python program for every rank.
const LAUNCHERS: &[&str] =
    &["srun", "torchrun", "accelerate", "deepspeed", "mpirun", "mpiexec", "composer", "colossalai", "fabric"];
/// Modules that do.
const MODULES: &[&str] = &["torch.distributed.run", "torch.distributed.launch", "accelerate.commands.launch"];
/// Commands of training frameworks that are programs by themselves.
const COMMANDS: &[&str] = &["axolotl", "llamafactory-cli", "litgpt", "tune", "trl"];

/// The parts of a line; `None` where neither a program nor what starts one is found in it.
pub(super) fn program(line: &Line) -> Option<Program> {
    let texts: Vec<String> = line.words.iter().map(super::super::script::Word::text).collect();
    let mut launchers = Vec::new();
    let mut started = None;
    let mut at = 0;
    while let Some(text) = texts.get(at) {
        let base = text.rsplit('/').next().unwrap_or(text);
        let module = texts.get(at + 1).filter(|_| text == "-m" || text == "--module");
        if let Some(module) = module {
            if !MODULES.contains(&module.as_str()) {
                return Some(Program { name: module.clone(), first: at + 2, launchers });
            }
            launchers.push(module.clone());
            at += 1;
            started = Some(at + 1);
        } else if LAUNCHERS.contains(&base) {
            launchers.push(base.to_owned());
            started = Some(at + 1);
        } else if COMMANDS.contains(&base) || base.ends_with(".py") || base == "run_train.sh" {
            return Some(Program { name: base.to_owned(), first: at + 1, launchers });
        }
        at += 1;
    }
    // What is started cannot be told, but what starts it: `srun ./train --flag`, `torchrun $SCRIPT --flag`.
    started.map(|first| Program { name: String::new(), first, launchers })
}

impl Program {
    /// How many words of its line stand before it.
    pub(super) fn before(&self, line: &Line) -> usize {
        self.first.saturating_sub(1).min(line.words.len())
    }

    /// Whether the ranks are started by one process per node (torchrun and its like) and not by Slurm.
    pub(in crate::launch) fn by_agent(&self) -> bool {
        self.launchers.iter().any(|name| !matches!(name.as_str(), "srun" | "mpirun" | "mpiexec"))
    }
}
