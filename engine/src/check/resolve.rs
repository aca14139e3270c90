//! Reading a runbook and all runbooks that it runs as nodes.

use std::collections::HashMap;

use super::{Findings, Library, codes, list, todo};
use crate::diagnostic::SourceFile;
use crate::source::convert::document;
use crate::source::document::{DocBody, Document};
use crate::source::node::Word;
use crate::source::parse;

/// The files that were read and what they say. The runbook itself is the first.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) files: Vec<SourceFile>,
    /// What each file says; `None` if it could not be read as a runbook.
    pub(super) documents: Vec<Option<Document>>,
    by_name: HashMap<String, usize>,
}

impl Loaded {
    /// Reads `file` and everything it runs. `flags` are taken by the command line.
    pub(super) fn load(
        file: SourceFile,
        library: &dyn Library,
        flags: &[&str],
        findings: &mut Findings,
    ) -> Self {
        let mut loaded = Self::default();
        loaded.add(file, flags, findings);
        if let Some(Some(document)) = loaded.documents.first() {
            loaded.by_name.insert(document.name.text.clone().into(), 0);
        }
        let mut at = 0;
        while at < loaded.documents.len() {
            for word in loaded.wanted(at) {
                if loaded.by_name.contains_key(word.text.as_str()) {
                    continue;
                }
                match library.find(&word.text) {
                    Some(Ok(file)) => {
                        // What is inlined is called by this runbook, not by the command line: no flag is taken.
                        loaded.by_name.insert(word.text.into(), loaded.files.len());
                        loaded.add(file, &[], findings);
                    }
                    Some(Err(refused)) => {
                        let report =
                            findings.error(refused.code, refused.message, word.span).label("run here");
                        if let Some(help) = refused.help {
                            report.help(help);
                        }
                    }
                    None => unknown(&word, library, findings),
                }
            }
            at += 1;
        }
        loaded.recursion(findings);
        loaded
    }

    fn add(&mut self, file: SourceFile, flags: &[&str], findings: &mut Findings) {
        let tree = parse(&file, self.files.len(), findings);
        if let Some(tree) = &tree {
            todo::check(tree, &file, findings);
            todo::comments(&file, self.files.len(), findings);
        }
        self.documents.push(tree.and_then(|tree| document(&tree, flags, findings)));
        self.files.push(file);
    }

    /// The runbook of this name and its position, if it was found and could be read.
    pub(super) fn named(&self, name: &str) -> Option<(usize, &Document)> {
        let at = *self.by_name.get(name)?;
        Some((at, self.documents.get(at)?.as_ref()?))
    }

    /// The runbook itself, which no other runs, for good.
    pub(super) fn take_first(&mut self) -> Option<Document> {
        self.documents.first_mut()?.take()
    }

    /// The names of the runbooks that one runs.
    fn wanted(&self, at: usize) -> Vec<Word> {
        let nodes = self.documents[at].iter().flat_map(|document| &document.nodes);
        nodes
            .filter_map(|node| match &node.body {
                DocBody::Runbook(run) => Some(run.runbook.clone()),
                _ => None,
            })
            .collect()
    }

    /// Reports each way in which a runbook comes to run itself.
    fn recursion(&self, findings: &mut Findings) {
        let mut done = vec![false; self.documents.len()];
        let mut path = Vec::new();
        self.follow(0, &mut path, &mut done, findings);
    }

    /// Depth is bounded by the number of different runbooks.
    fn follow(&self, at: usize, path: &mut Vec<usize>, done: &mut [bool], findings: &mut Findings) {
        if done[at] {
            return;
        }
        path.push(at);
        for word in self.wanted(at) {
            let Some(next) = self.by_name.get(word.text.as_str()).copied() else { continue };
            if let Some(first) = path.iter().position(|earlier| *earlier == next) {
                let name =
                    |at: usize| self.documents[at].as_ref().map_or("?", |document| &document.name.text);
                let round: Vec<&str> = path[first..].iter().chain([&next]).map(|at| name(*at)).collect();
                findings
                    .error(
                        codes::RUNBOOK_RECURSIVE,
                        format!("`{}` runs itself: {}", word.text, round.join(" → ")),
                        word.span,
                    )
                    .label("and so on for ever")
                    .help("Use a loop with `max_visits` inside of one runbook.");
            } else {
                self.follow(next, path, done, findings);
            }
        }
        path.pop();
        done[at] = true;
    }
}

fn unknown(word: &Word, library: &dyn Library, findings: &mut Findings) {
    let names = library.names();
    let meant = findings.meant(&word.text, names.iter().map(String::as_str));
    let report = findings
        .error(codes::RUNBOOK_UNKNOWN, format!("there is no runbook `{}`", word.text), word.span.clone())
        .label("unknown runbook");
    match (meant, list(names.iter().map(String::as_str))) {
        (Some(meant), _) => report.help(format!("Did you mean `{meant}`?")),
        (None, Some(list)) => report.help(format!("Runbooks are {list}.")),
        (None, None) => report.help("No other runbooks were found here."),
    };
}
