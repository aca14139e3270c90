//! What the author left to do.

use super::{Findings, codes};
use crate::diagnostic::{Diagnostic, SourceFile, Span};
use crate::source::node::Node;
use crate::source::{parse, place_in_scalar};

/// The word by which authors, and imported pages, mark what is left to do.
const TODO: &str = "TODO";

/// A warning for every `TODO` in a file beside a runbook, such as a scenario. `index` is the file's in what places refer to.
pub fn left_to_do(file: &SourceFile, index: usize) -> Vec<Diagnostic> {
    // Recordings are large, and few files have any.
    if !file.text.contains(TODO) {
        return Vec::new();
    }
    let mut findings = Findings::default();
    comments(file, index, &mut findings);
    // What is wrong with the file itself is said by whoever reads it.
    if let Some(tree) = parse(file, index, &mut Findings::default()) {
        check(&tree, file, &mut findings);
    }
    findings.into_sorted()
}

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

/// Warns of every `TODO` in a comment: what a page did not say is marked there when it is imported.
pub(super) fn comments(file: &SourceFile, index: usize, findings: &mut Findings) {
    let mut start = 0;
    for line in file.text.split_inclusive('\n') {
        let hash =
            line.match_indices('#').map(|(at, _)| at).find(|at| *at == 0 || line[..*at].ends_with(' '));
        let comment = hash.map_or("", |hash| &line[hash..]);
        if let Some(found) = comment.find(TODO).filter(|found| alone(comment, *found)) {
            let what = comment[found + TODO.len()..].trim_matches([':', ' ', '\n', '\r']);
            let message = if what.is_empty() { "something is left to do here" } else { what };
            let at = start + line.len() - comment.len() + found;
            findings
                .warning(codes::TEXT_TODO, message, Span { file: index, start: at, len: TODO.len() })
                .label("left to do")
                .help("Decide it, then remove the comment.");
        }
        start += line.len();
    }
}

/// Whether it is a word of its own: `TODOS` and `MY_TODO` are names.
fn alone(text: &str, at: usize) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    !text[..at].ends_with(part) && !text[at + TODO.len()..].starts_with(part)
}
