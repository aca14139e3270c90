//! A parsed batch script.

use std::ops::Range;

use tree_sitter::{Node, Parser, Tree};

use super::facts::{Call, Facts, gather};
use super::flow::{Moment, moments};
use super::launcher::rank;
use crate::text::{clean, clean_to};

/// Why a text cannot be taken as a batch script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::launch) enum Misread {
    /// It is longer than any script that a person wrote.
    #[error("the script is longer than {} KiB, or has more commands than are followed", Script::LONGEST >> 10)]
    TooLong,
    /// The grammar does not know what stands there.
    #[error("the script is not understood as shell text near line {line}")]
    NotUnderstood {
        /// Counted from 1.
        line: usize,
    },
    /// Its first line hands it to something else than a POSIX shell.
    #[error("the script is for {interpreter}, not for a shell that is understood here (sh, bash, dash, ksh)")]
    OtherShell {
        /// The program's name.
        interpreter: String,
    },
    /// Blocks in blocks beyond any sense.
    #[error("the script is nested too deeply")]
    TooDeep,
}

/// A batch script with what was found out about it.
#[derive(Debug, Clone)]
pub(in crate::launch) struct Script {
    text: String,
    tree: Tree,
    pub(super) facts: Facts,
    launches: Vec<Launch>,
    untold: Option<usize>,
}

/// A command that starts the training, at one moment.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    pub(super) moment: Moment,
    pub(super) range: Range<usize>,
    words: Vec<String>,
}

impl Script {
    /// Longest text that is parsed, in bytes.
    pub(in crate::launch) const LONGEST: usize = 256 << 10;
    /// Most assignments, commands and launches that are followed: what is compared with what grows with their product.
    const MOST: (usize, usize, usize) = (2_000, 5_000, 64);

    /// Parses a script.
    ///
    /// # Errors
    /// Where any part of it is not understood: an edit beside something misread could do harm.
    pub(in crate::launch) fn parse(text: impl Into<String>) -> Result<Self, Misread> {
        let text = text.into();
        if text.len() > Self::LONGEST {
            return Err(Misread::TooLong);
        }
        if let Some(interpreter) = other_shell(&text) {
            return Err(Misread::OtherShell { interpreter });
        }
        let tree = tree(&text)?;
        let facts = gather(tree.root_node(), &text);
        if facts.too_deep {
            return Err(Misread::TooDeep);
        }
        let (launches, untold) = launches(&facts);
        let (events, calls, starts) = Self::MOST;
        if facts.events.len() > events || facts.calls.len() > calls || launches.len() > starts {
            return Err(Misread::TooLong);
        }
        Ok(Self { text, tree, facts, launches, untold })
    }

    /// The script's text.
    pub(in crate::launch) fn text(&self) -> &str {
        &self.text
    }

    /// The line of a byte offset, counted from 1.
    pub(in crate::launch) fn line(&self, at: usize) -> usize {
        line(&self.text, at)
    }

    /// The moments at which the training is started.
    pub(super) fn launches(&self) -> &[Launch] {
        &self.launches
    }

    /// The line of a command that starts the training in a function whose calls cannot be told.
    pub(super) fn untold_launch(&self) -> Option<usize> {
        self.untold.map(|at| self.line(at))
    }

    /// The smallest node that covers exactly this range or more.
    pub(super) fn node(&self, range: &Range<usize>) -> Option<Node<'_>> {
        self.tree.root_node().descendant_for_byte_range(range.start, range.end)
    }

    /// Lines of the commands that start the training.
    pub(in crate::launch) fn launch_lines(&self) -> Vec<usize> {
        let mut lines: Vec<usize> = self.launches.iter().map(|l| self.line(l.range.start)).collect();
        lines.sort_unstable();
        lines.dedup();
        lines
    }

    /// Names that the script assigns.
    pub(in crate::launch) fn assigned(&self) -> Vec<String> {
        self.facts.assigned.keys().cloned().collect()
    }

    /// What a person should know about how `names` reach the training.
    pub(in crate::launch) fn caveats(&self, names: &[&str]) -> Vec<String> {
        let mut notes = Vec::new();
        let words = || self.launches.iter().flat_map(|launch| &launch.words);
        let header = |option: &str| {
            self.text.lines().map(str::trim).filter(|l| l.starts_with("#SBATCH")).any(|l| l.contains(option))
        };
        let joined = names.join(",");
        let passed = words().filter(|word| word.starts_with("--container-env")).cloned().collect::<String>();
        if (words().any(|word| word.starts_with("--container-image")) || header("--container-image"))
            && !names.iter().all(|name| passed.contains(name))
        {
            notes.push(format!(
                "The job runs in a container: a value that its image sets wins over the script's unless srun is given \
                 --container-env={joined}."
            ));
        }
        let exports = words()
            .find(|word| word.starts_with("--export=") && !word.contains("ALL"))
            .is_some_and(|word| !names.iter().all(|name| word.contains(name)));
        if exports || (header("--export=NONE") && !self.text.contains("SLURM_EXPORT_ENV")) {
            notes.push(format!(
                "--export keeps srun from passing on the environment: {joined} may not arrive."
            ));
        }
        if let Some(inner) = words().find(|word| word.ends_with(".sh")) {
            let inner = clean(inner);
            notes.push(format!(
                "The launcher runs {inner}, which may set {joined} itself; it was not looked at."
            ));
        }
        notes
    }

    /// Lines that run text from elsewhere in this shell (`source`, `eval`, `module load`), up to the last launch.
    pub(in crate::launch) fn loads(&self) -> Vec<usize> {
        let last = self.launches.iter().map(|launch| launch.range.start).max().unwrap_or(0);
        let loads = |call: &&Call| {
            let program = call.words.first().map_or("", String::as_str);
            matches!(program, "source" | "." | "eval" | "module" | "ml" | "conda" | "spack")
                && call.range.start < last
        };
        self.facts.calls.iter().filter(loads).map(|call| self.line(call.range.start)).collect()
    }
}

/// The line of a byte offset, counted from 1.
pub(super) fn line(text: &str, at: usize) -> usize {
    1 + text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count()
}

/// The interpreter of the first line, if it is no POSIX shell.
fn other_shell(text: &str) -> Option<String> {
    let first = text.lines().next()?.strip_prefix("#!")?;
    // `#!/usr/bin/env -S bash -l`: the first word after env that is neither an option nor an assignment.
    let mut words = first.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
    let program = words.next()?;
    let program = match program {
        "env" => words.find(|word| !word.starts_with('-') && !word.contains('='))?,
        _ => program,
    };
    let shell = matches!(program, "sh" | "bash" | "dash" | "ash" | "ksh" | "ksh93" | "mksh");
    (!shell).then(|| clean_to(program, 40))
}

fn tree(text: &str) -> Result<Tree, Misread> {
    let mut parser = Parser::new();
    let grammar = tree_sitter_bash::LANGUAGE.into();
    // The grammar is compiled in; it cannot fail to load for a reason that lies in the script.
    if parser.set_language(&grammar).is_err() {
        return Err(Misread::NotUnderstood { line: 1 });
    }
    let mut view = text.to_owned();
    for _ in 0..MOST_ROUNDS {
        let Some(tree) = parser.parse(&view, None) else {
            return Err(Misread::NotUnderstood { line: 1 });
        };
        if tree.root_node().has_error() {
            return Err(Misread::NotUnderstood { line: line(text, innermost_error(tree.root_node())) });
        }
        let glued = glued(tree.root_node(), &view);
        if glued.is_empty() {
            return Ok(tree);
        }
        for at in glued {
            view.replace_range(at..=at, ";");
        }
    }
    Err(Misread::NotUnderstood { line: 1 })
}

/// Most rounds in which pieces that the grammar glues together are taken apart.
const MOST_ROUNDS: usize = 16;

/// Where the grammar (tree-sitter-bash 0.25) reads on over a line end after `A=1 B=2`, as if the next line's command or
/// assignment belonged to it: the offsets of the blanks after such assignments. Parsing goes on with a `;` in their places,
/// all offsets stay.
fn glued(root: Node<'_>, text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut cursor = root.walk();
    let mut stack: Vec<Node<'_>> = vec![root];
    while let Some(node) = stack.pop() {
        stack.extend(node.children(&mut cursor));
        if !matches!(node.kind(), "command" | "variable_assignments") {
            continue;
        }
        let mut inner = node.walk();
        let parts: Vec<Node<'_>> =
            node.named_children(&mut inner).filter(|c| c.kind() != "comment").collect();
        for pair in parts.windows(2) {
            let end = pair[0].end_byte();
            let gap = text.get(end..pair[1].start_byte()).unwrap_or("");
            let joined = gap.replace("\\\r\n", "").replace("\\\n", "");
            let blank = gap.as_bytes().first().is_some_and(u8::is_ascii_whitespace);
            if pair[0].kind() == "variable_assignment" && joined.contains('\n') && blank {
                found.push(end);
            }
        }
    }
    found
}

/// Where the parser lost its way: an error often begins with the script, so its last readable piece is taken.
fn innermost_error(root: Node<'_>) -> usize {
    let mut node = root;
    loop {
        let mut cursor = node.walk();
        let inner = node.children(&mut cursor).find(|child| child.has_error() || child.is_missing());
        match inner {
            Some(inner) => node = inner,
            None => return last_child(node).unwrap_or(node).start_byte(),
        }
    }
}

fn last_child(node: Node<'_>) -> Option<Node<'_>> {
    node.child(node.child_count().checked_sub(1)?.try_into().ok()?)
}

/// The surest launches in the order of their execution, and the offset of one whose moments cannot be told.
fn launches(facts: &Facts) -> (Vec<Launch>, Option<usize>) {
    let ranked: Vec<_> = facts
        .calls
        .iter()
        .filter_map(|call| rank(&call.words, &facts.assigned).map(|rank| (rank, call)))
        .collect();
    let best = ranked.iter().map(|(rank, _)| *rank).max();
    let mut launches = Vec::new();
    let mut untold = None;
    for (_, call) in ranked.iter().filter(|(rank, _)| Some(*rank) == best) {
        match moments(facts, &call.place) {
            None => untold = Some(call.range.start),
            Some(all) => launches.extend(all.into_iter().map(|moment| Launch {
                moment,
                range: call.range.clone(),
                words: call.words.clone(),
            })),
        }
    }
    launches.sort_by(|a, b| a.moment.order.cmp(&b.moment.order));
    (launches, untold)
}
