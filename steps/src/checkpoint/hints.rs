//! Where a job's checkpoints may lie, from its script and its log: pure and literal, nothing is evaluated.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::layout::root_of;
use crate::text::{Pattern, clean_to, pattern};

/// A directory that a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hint {
    /// The path as the text gives it, with the script's own variables filled in.
    pub(crate) path: String,
    /// What named it: `--output_dir`, `CHECKPOINT_DIR`, `the log`.
    pub(crate) by: String,
}

static ASSIGNMENT: Pattern = Pattern::new(|| {
    pattern(
        r#"(?:^|[\s;])(?:export\s+|declare\s+-x\s+)?([A-Za-z_][A-Za-z0-9_]*)=("[^"]*"|'[^']*'|[^\s;"'|&]*)"#,
    )
});
static VARIABLE: Pattern = Pattern::new(|| {
    pattern(
        r"^(?:(?:SAVE_)?(?:CHECKPOINT|CKPT)S?(?:_(?:DIR|PATH|SAVE_PATH|ROOT|FOLDER))?|(?:OUTPUT|SAVE|OUT)_?(?:DIR|PATH)|SAVE_CHECKPOINT_PATH)$",
    )
});
static FLAG: Pattern = Pattern::new(|| {
    pattern(
        r#"(?:^|\s)(--(?:save|save[-_]dir|save[-_]path|output[-_]dir|checkpoint[-_](?:dir|path)|ckpt[-_](?:dir|path)|default[-_]root[-_]dir|checkpoint\.folder|job\.dump_folder))(?:=|\s+)("[^"]*"|'[^']*'|[^\s;"'|&]+)"#,
    )
});
static USE: Pattern =
    LazyLock::new(|| pattern(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::?-([^}]*))?\}|([A-Za-z_][A-Za-z0-9_]*))"));
static LOGGED: Pattern = Pattern::new(|| {
    pattern(
        r"(?i)\b(?:sav|load|resum|restor)\w*\b[^/\n]{0,60}?\b(?:checkpoint|model|state)\b[^/\n]{0,60}?[\s:'=]((?:\.{0,2}/)?[A-Za-z0-9_./=@%+-]*/[A-Za-z0-9_./=@%+-]+)",
    )
});

/// The directories that a batch script names: flags first, for a flag is what the program gets.
pub(crate) fn from_script(text: &str) -> Vec<Hint> {
    let Words { mut flags, mut variables } = words(text, &FLAG);
    flags.retain(|hint| !hint.path.is_empty());
    flags.reverse();
    variables.reverse();
    distinct(flags.into_iter().chain(variables))
}

/// What a script says in plain words, in its order.
pub(super) struct Words {
    /// Flags that the pattern knows (its first group) with their values (its second); an unknown value is left out.
    pub(super) flags: Vec<Hint>,
    /// Variables that usually hold the directory.
    variables: Vec<Hint>,
}

/// Reads a script: `flag` finds the flags of interest.
pub(super) fn words(text: &str, flag: &Regex) -> Words {
    let joined = text.replace("\\\n", " ");
    let code = joined.lines().filter(|line| !line.trim_start().starts_with('#')).take(5_000);
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    let mut words = Words { flags: Vec::new(), variables: Vec::new() };
    for line in code {
        for found in ASSIGNMENT.captures_iter(line) {
            let Some(value) = fill(&found[2], &values) else {
                values.remove(&found[1]);
                continue;
            };
            if VARIABLE.is_match(&found[1]) && value.contains('/') {
                words.variables.push(Hint { path: value.clone(), by: found[1].to_owned() });
            }
            values.insert(found[1].to_owned(), value);
        }
        for found in flag.captures_iter(line) {
            if let Some(path) = fill(&found[2], &values) {
                words.flags.push(Hint { path, by: found[1].to_owned() });
            }
        }
    }
    words
}

/// A word with its quotes taken off and variables of the script filled in; `None` if one is not known, or if
/// a command would have to be run.
fn fill(word: &str, values: &BTreeMap<String, String>) -> Option<String> {
    if let Some(literal) = word.strip_prefix('\'').and_then(|word| word.strip_suffix('\'')) {
        return Some(literal.to_owned());
    }
    let word = word.strip_prefix('"').and_then(|word| word.strip_suffix('"')).unwrap_or(word);
    let mut unknown = false;
    let filled = USE.replace_all(word, |found: &regex::Captures<'_>| {
        let name = found.get(1).or_else(|| found.get(3)).map_or("", |m| m.as_str());
        let default = found.get(2).map(|m| m.as_str().to_owned());
        values.get(name).cloned().or(default).unwrap_or_else(|| {
            unknown = true;
            String::new()
        })
    });
    let open = filled.contains(['$', '`', '*', '?', '{', '~', '\0', '\n']);
    (!unknown && !open && filled.len() <= 4096).then(|| filled.into_owned())
}

/// The directories that a log names as saved to or resumed from, the last first.
pub(crate) fn from_log(text: &str) -> Vec<Hint> {
    let paths = text.lines().rev().filter_map(|line| {
        let path = LOGGED.captures(line)?.get(1)?.as_str().trim_end_matches(['.', ',', '\'', ':']);
        let root = root_of(path);
        (!root.is_empty() && root != "/").then(|| Hint { path: root.to_owned(), by: "the log".to_owned() })
    });
    distinct(paths.take(200))
}

/// The directory of checkpoints that one log line names, absolute.
pub(crate) fn named_by(line: &str, workdir: Option<&str>) -> Option<String> {
    absolute(&from_log(line).first()?.path, workdir)
}

/// Each path once, at most eight.
fn distinct(hints: impl Iterator<Item = Hint>) -> Vec<Hint> {
    let mut all: Vec<Hint> = Vec::new();
    for hint in hints {
        if all.len() < 8 && !all.iter().any(|known| known.path == hint.path) {
            all.push(hint);
        }
    }
    all
}

/// A path made absolute with a job's working directory; `None` if it is relative and that is not known.
pub(crate) fn absolute(path: &str, workdir: Option<&str>) -> Option<String> {
    if path.starts_with('/') {
        return Some(path.to_owned());
    }
    let workdir = workdir.filter(|dir| dir.starts_with('/'))?;
    Some(format!("{}/{}", workdir.trim_end_matches('/'), path.trim_start_matches("./")))
}

impl Hint {
    /// `/out/run1 (--output_dir)`.
    pub(crate) fn label(&self) -> String {
        format!("{} ({})", clean_to(&self.path, 160), self.by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(hints: &[Hint]) -> String {
        hints.iter().map(Hint::label).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_script_names_its_directories() {
        let script = "#!/bin/bash\n#SBATCH --output=/logs/%j.out\n# --save /old\nROOT=/scratch/run1\nexport CHECKPOINT_PATH=\"${ROOT}/ckpt\"\nLOGS=/logs\nSAVE_DIR=out/$SLURM_JOB_ID\n\ntorchrun pretrain.py \\\n  --save $CHECKPOINT_PATH \\\n  --load $CHECKPOINT_PATH --micro-batch-size 4\npython x.py --output_dir=./res_${N:-3} --save-dir `mktemp`\n";
        insta::assert_snapshot!(labels(&from_script(script)), @r"
        ./res_3 (--output_dir)
        /scratch/run1/ckpt (--save)
        ");
    }

    #[test]
    fn a_log_names_its_directories_the_last_first() {
        let log = "Saving model checkpoint to /out/hf/checkpoint-500\n\
                   [INFO] [logging.py:96:log_dist] [Rank 0] Saving model checkpoint: /out/ds/global_step100/mp_rank_00_model_states.pt\n\
                   saving checkpoint at iteration    5000 to /out/meg in torch_dist format\n\
                   successfully saved checkpoint from iteration 5000 to /out/meg [ t 1/1, p 1/1 ]\n\
                   [titan] Loading the checkpoint from ./outputs/checkpoint/step-40.\n\
                   Restoring states from the checkpoint path at /out/pl/epoch=0-step=9.ckpt\n\
                   step 10 loss 2.0\n";
        insta::assert_snapshot!(labels(&from_log(log)), @r"
        /out/pl (the log)
        ./outputs/checkpoint (the log)
        /out/meg (the log)
        /out/ds (the log)
        /out/hf (the log)
        ");
    }

    #[test]
    fn relative_paths_need_a_working_directory() {
        assert_eq!(absolute("./out", Some("/home/a/")), Some("/home/a/out".to_owned()));
        assert_eq!(absolute("out", None), None);
        assert_eq!(absolute("/x", None), Some("/x".to_owned()));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[\\PC\\n]{0,200}") {
            let _ = (from_script(&text), from_log(&text));
            let _ = from_script(&format!("CKPT_DIR={text}\npython --save \"$CKPT_DIR\""));
        }

        #[test]
        fn nothing_that_a_shell_would_run_comes_through(word in "[a-z/$`(){}]{0,20}") {
            for hint in from_script(&format!("SAVE_DIR=/x\npython --save \"{word}\"\n")) {
                prop_assert!(!hint.path.contains(['$', '`']));
            }
        }
    }
}
