//! Which commands of a batch script start the training.

use std::collections::BTreeMap;

/// Programs that start ranks.
const RUNNERS: &[&str] = &[
    "srun",
    "torchrun",
    "accelerate",
    "deepspeed",
    "mpirun",
    "mpiexec",
    "mpiexec.hydra",
    "orterun",
    "prun",
    "jsrun",
    "ibrun",
    "axolotl",
    "llamafactory-cli",
];
/// Programs that start another program, given among their words.
const WRAPPERS: &[&str] = &[
    "time",
    "exec",
    "nohup",
    "env",
    "command",
    "timeout",
    "stdbuf",
    "nice",
    "numactl",
    "taskset",
    "bash",
    "sh",
    "eval",
    "apptainer",
    "singularity",
    "docker",
    "podman",
    "enroot",
    "shifter",
    "conda",
    "mamba",
    "micromamba",
    "uv",
    "poetry",
    "pixi",
    "nsys",
    "ncu",
    "unbuffer",
    "catchsegv",
];
/// Programs that look at a node or prepare it: starting them is not starting the training.
const HELPERS: &[&str] = &[
    "hostname",
    "nvidia-smi",
    "dcgmi",
    "nvcc",
    "mkdir",
    "rm",
    "cp",
    "mv",
    "ln",
    "rsync",
    "tar",
    "unzip",
    "chmod",
    "chown",
    "touch",
    "date",
    "env",
    "printenv",
    "sleep",
    "ls",
    "cat",
    "echo",
    "df",
    "du",
    "free",
    "uptime",
    "which",
    "id",
    "whoami",
    "true",
    "ip",
    "ibstat",
    "ibv_devinfo",
    "lscpu",
    "lsof",
    "pkill",
    "killall",
    "wget",
    "curl",
    "sbcast",
    "ulimit",
    "modprobe",
    "ray",
    "enroot",
];

/// How sure it is that a command starts the training. Only the surest ones of a script count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A Python program without a launcher.
    Alone,
    /// A launcher with a program that says nothing.
    Likely,
    /// A launcher that by its words starts Python or is one of PyTorch's own.
    Sure,
}

/// Judges a command by its words as written; `assigned` gives the texts assigned to a variable.
pub(super) fn rank(words: &[String], assigned: &BTreeMap<String, Vec<String>>) -> Option<Rank> {
    let tokens = tokens(words, assigned);
    let bases: Vec<&str> = tokens.iter().map(|token| token.rsplit('/').next().unwrap_or(token)).collect();
    let head = *bases.first()?;
    let python = is_python(head);
    if !python && !RUNNERS.contains(&head) && !WRAPPERS.contains(&head) {
        return None;
    }
    let module = |names: &[&str]| {
        bases.windows(2).any(|pair| pair[0] == "-m" && names.iter().any(|name| pair[1].starts_with(name)))
    };
    let torch = bases.contains(&"torchrun")
        || bases.contains(&"deepspeed")
        || bases
            .windows(2)
            .any(|pair| matches!(pair, ["accelerate", "launch"] | ["axolotl" | "llamafactory-cli", "train"]))
        || module(&["torch.distributed.", "accelerate.commands.launch", "deepspeed"]);
    // Python's own options may stand between it and `-m`.
    let runs_module =
        |after: &[&str]| after.iter().take_while(|next| next.starts_with('-')).any(|next| *next == "-m");
    let program = bases
        .iter()
        .enumerate()
        .any(|(at, base)| base.ends_with(".py") || (is_python(base) && runs_module(&bases[at + 1..])));
    let runner = bases.iter().any(|base| {
        RUNNERS.contains(base) && !matches!(*base, "accelerate" | "axolotl" | "llamafactory-cli")
    });
    match () {
        () if torch || (runner && program) => Some(Rank::Sure),
        () if runner && !bases.iter().any(|base| HELPERS.contains(base) || is_python(base)) => {
            Some(Rank::Likely)
        }
        () if program => Some(Rank::Alone),
        () => None,
    }
}

fn is_python(base: &str) -> bool {
    base.strip_prefix("python").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

/// Most tokens looked at in one command.
const MOST_TOKENS: usize = 2_000;

/// The words split at blanks and quotes, variables followed by what the script assigns to them: launch lines are often
/// put together from `LAUNCHER="torchrun …"` and `CMD="train.py …"`.
fn tokens(words: &[String], assigned: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut out = Vec::new();
    for word in words {
        expand(word, assigned, 3, &mut out);
    }
    out
}

fn expand(text: &str, assigned: &BTreeMap<String, Vec<String>>, depth: usize, out: &mut Vec<String>) {
    for token in text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '(' | ')' | ';' | '\\')) {
        if token.is_empty() || out.len() >= MOST_TOKENS {
            continue;
        }
        let name = token.strip_prefix('$').map(|name| {
            let name = name.strip_prefix('{').unwrap_or(name);
            let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
            &name[..end]
        });
        match name.and_then(|name| assigned.get(name)) {
            Some(texts) if depth > 0 => {
                for text in texts {
                    expand(text, assigned, depth - 1, out);
                }
            }
            _ => out.push(token.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(line: &str) -> Option<Rank> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let assigned = BTreeMap::from([
            ("LAUNCHER".to_owned(), vec!["\"torchrun --nnodes 2\"".to_owned()]),
            ("CMD".to_owned(), vec!["\"train.py --lr 1\"".to_owned()]),
        ]);
        rank(&words, &assigned)
    }

    #[test]
    fn commands_are_ranked_by_how_surely_they_train() {
        for line in [
            "srun torchrun train.py",
            "srun --container-image=x python -u train.py",
            "torchrun --nproc-per-node 8 train.py",
            "python -m torch.distributed.launch train.py",
            "python3.11 -m torch.distributed.run train.py",
            "accelerate launch --config_file x.yaml train.py",
            "deepspeed --hostfile h train.py",
            "mpirun -np 8 python train.py",
            "/usr/bin/srun apptainer exec x.sif python -m my.train",
            "time srun python train.py",
            "llamafactory-cli train sft.yaml",
            "srun /usr/bin/python3 -u -m torchtitan.train --job.config_file x.toml",
            "uv run axolotl train cfg.yml",
            "$LAUNCHER $CMD",
            "srun --jobid 3 bash -c \"$LAUNCHER --node_rank 0 $CMD\"",
        ] {
            assert_eq!(judge(line), Some(Rank::Sure), "{line}");
        }
        assert_eq!(judge("srun ./train"), Some(Rank::Likely));
        assert_eq!(judge("srun bash inner.sh"), Some(Rank::Likely));
        assert_eq!(judge("python train.py"), Some(Rank::Alone));
        for line in [
            "echo srun torchrun train.py",
            "srun hostname",
            "srun -n 1 nvidia-smi -L",
            "python -c print(1)",
            "srun python -c import",
            "cd work",
            "accelerate env",
            "axolotl preprocess cfg.yml",
            "bash inner.sh",
            "scontrol show hostnames",
        ] {
            assert_eq!(judge(line), None, "{line}");
        }
    }
}
