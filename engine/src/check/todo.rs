//! What the author left to do.

use super::{Findings, codes};
use crate::diagnostic::SourceFile;
use crate::source::node::Node;
use crate::source::place_in_scalar;

/// The word by which authors, and imported pages, mark what is left to do.
const TODO: &str = "TODO";

/// Warns of every `TODO` in a text of the file, wherever it stands.
pub(super) fn check(tree: &Node, file: &SourceFile, findings: &mut Findings) {
    tree.texts(&mut |text, at| {
        let Some(found) = text.match_indices(TODO).map(|(found, _)| found).find(|found| alone(text, *found))
        else {
            return;
        };
        findings
            .warning(
                codes::TEXT_TODO,
                "something is left to do here",
                place_in_scalar(&file.text, at, text, found..found + TODO.len()),
            )
            .label("left to do")
            .help("Decide it, then remove the word.");
    });
}

/// Whether it is a word of its own: `TODOS` and `MY_TODO` are names.
fn alone(text: &str, at: usize) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    !text[..at].ends_with(part) && !text[at + TODO.len()..].starts_with(part)
}
