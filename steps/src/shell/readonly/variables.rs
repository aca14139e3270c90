//! What sets variables: assignments, `export`, `read`, and `set`.

use tree_sitter::Node;

use super::command::leads_to_a_device;
use super::decode::{Surroundings, word};
use super::script::Walk;
use super::verdict::{Shown, quoted};
use super::word::{Word, tame};

impl Walk<'_> {
    /// `IFS=`, with a literal value.
    pub(super) fn is_separator(&mut self, node: Node<'_>) -> bool {
        let parts: Vec<Node<'_>> = Self::children(node).collect();
        match parts.as_slice() {
            [name, equals] => self.text(*name) == "IFS" && equals.kind() == "=",
            [name, equals, value] => {
                self.text(*name) == "IFS"
                    && equals.kind() == "="
                    && word(*value, self).is_ok_and(|value| value.known().is_some())
            }
            _ => false,
        }
    }

    /// An assignment; `lasting` if it is not made for one command only.
    pub(super) fn assignment(&mut self, node: Node<'_>, lasting: bool) -> Shown {
        let parts: Vec<Node<'_>> = Self::children(node).collect();
        let [name, equals, value @ ..] = parts.as_slice() else {
            return Err(quoted(self.text(node)));
        };
        let refused = format!("setting {} may change what commands do", quoted(self.text(*name)));
        if name.kind() != "variable_name" || !matches!(equals.kind(), "=" | "+=") || value.len() > 1 {
            return Err(refused);
        }
        let value = match value {
            [value] => word(*value, self)?,
            _ => Word::empty(),
        };
        if leads_to_a_device(&value) {
            return Err(format!("{}: opening a device can act on it", quoted(value.beginning())));
        }
        let name = self.text(*name);
        let harmless = value.known().is_some_and(|value| is_harmless(name, value));
        let own = lasting && is_own(name);
        if harmless || own { Ok(()) } else { Err(refused) }
    }

    /// `export LC_ALL=C`.
    pub(super) fn export(&mut self, node: Node<'_>) -> Shown {
        let mut parts = Self::children(node);
        if parts.next().is_none_or(|keyword| keyword.kind() != "export") {
            return Err(quoted(self.text(node)));
        }
        for part in parts {
            if part.kind() != "variable_assignment" {
                return Err(quoted(self.text(part)));
            }
            self.assignment(part, false)?;
        }
        self.commands += 1;
        Ok(())
    }
}

/// Whether a variable with this value changes nothing but how something is shown.
fn is_harmless(name: &str, value: &str) -> bool {
    match name {
        "PAGER" | "GIT_PAGER" | "SYSTEMD_PAGER" => matches!(value, "" | "cat"),
        // `:/dev/x` is a path, too.
        "LC_ALL" | "LANG" | "LC_NUMERIC" | "LC_TIME" | "LC_MESSAGES" | "LC_CTYPE" | "LC_COLLATE" | "TZ" => {
            value.is_empty() || (tame(value) && !value.starts_with(['/', ':']) && !value.contains(".."))
        }
        "COLUMNS"
        | "NO_COLOR"
        | "SYSTEMD_COLORS"
        | "CUDA_VISIBLE_DEVICES"
        | "SLURM_TIME_FORMAT"
        | "SQUEUE_FORMAT"
        | "SINFO_FORMAT"
        | "SACCT_FORMAT" => value.chars().all(|c| c.is_ascii_alphanumeric() || " ._:,@%+-|".contains(c)),
        _ => false,
    }
}

/// Shows that `set` only says how the text goes on after a failure.
pub(super) fn options(words: &[Word]) -> Shown {
    let mut words = words.iter().map(Word::known);
    while let Some(word) = words.next() {
        let ok = match word {
            Some("-e" | "-u" | "-eu" | "-ue" | "+e" | "+u") => true,
            Some("-o" | "+o" | "-eo" | "-uo" | "-euo" | "-ueo") => {
                matches!(words.next(), Some(Some("pipefail" | "errexit" | "nounset")))
            }
            _ => false,
        };
        if !ok {
            return Err(format!("set {} is not on the read-only list", quoted(word.unwrap_or_default())));
        }
    }
    Ok(())
}

/// Shows that `read` only fills variables that nothing else looks at.
pub(super) fn names(words: &[Word]) -> Shown {
    let own = |word: &Word| word.known().is_some_and(|name| name == "-r" || is_own(name));
    match words.iter().find(|word| !own(word)) {
        Some(word) => Err(format!("read {}", quoted(word.beginning()))),
        // Without a name bash fills `REPLY`.
        None if words.iter().all(|word| word.known() == Some("-r")) => Err("read without a name".to_owned()),
        None => Ok(()),
    }
}

/// Whether a variable is one of the text's own: those that programs or bash look at are in capitals, but for a few.
pub(super) fn is_own(name: &str) -> bool {
    const CAPITAL: [&str; 16] = [
        "JOB", "JOBS", "JOBID", "JOB_ID", "NODE", "NODES", "LOG", "LOGS", "DIR", "FILE", "FILES", "OUT",
        "GPU", "GPUS", "PID", "PIDS",
    ];
    let small = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.ends_with("_proxy")
        && !matches!(name, "histchars" | "auto_resume");
    small || CAPITAL.contains(&name)
}
