//! Holding a runbook against its page.

use std::ops::Range;

use super::drift::{Drift, Page};
use super::{Block, blocks, flow};
use crate::check::{Findings, Library, codes};
use crate::diagnostic::{SourceFile, Span};
use crate::source::document::Document;
use crate::step::Registry;

/// Reports where a runbook and its page differ. Gives the page, if it was read: file `index` of the places.
pub(crate) fn check(
    document: &Document,
    registry: &Registry,
    library: &dyn Library,
    index: usize,
    findings: &mut Findings,
) -> Option<SourceFile> {
    let name = document.page.as_ref()?;
    let page = match library.page(&name.text)? {
        Ok(page) => page,
        Err(error) => {
            let help = error.help.unwrap_or_else(|| "Write the name of the file beside this one.".to_owned());
            findings
                .error(codes::PAGE_MISSING, error.message, name.span.clone())
                .label("not there, or not readable")
                .help(help);
            return None;
        }
    };
    let all = blocks(&page.text);
    let drawn = flowchart(&all).map(|block| (block, flow(&block.text)));
    let place = |block: &Block, at: &Range<usize>| {
        let at = block.place(at);
        Span { file: index, start: at.start, len: at.len() }
    };
    let flow = match drawn {
        Some((block, Ok(flow))) => Some((block, flow)),
        Some((block, Err(error))) => {
            findings
                .error(
                    codes::PAGE_FLOW,
                    format!("the page's flow cannot be read: {}", error.message),
                    place(block, &error.at),
                )
                .label("here")
                .help("Mend the diagram: Mermaid itself does not draw it, either.");
            return Some(page);
        }
        None => {
            if let Some(at) = document.nodes.iter().find_map(|node| node.flow.as_ref()) {
                findings
                    .error(codes::PAGE_FLOW, "the page has no Mermaid flow", at.span.clone())
                    .label("a box of which flow?")
                    .help("Draw it in a block of the language `mermaid`, or remove `flow`.");
                return Some(page);
            }
            None
        }
    };
    let shell = all.iter().filter(|block| block.is_shell()).collect();
    let page_of = Page { file: index, flow: flow.as_ref().map(|(block, flow)| (*block, flow)), shell };
    Drift { document, registry, page: page_of, used: vec![false; document.differs.len()] }.report(findings);
    Some(page)
}

/// The first block that is a flowchart.
pub fn flowchart(all: &[Block]) -> Option<&Block> {
    all.iter().filter(|block| block.language == "mermaid").find(|block| {
        let begins = begin(&block.text);
        begins.starts_with("flowchart") || begins.starts_with("graph")
    })
}

/// A diagram from its first word on: front matter, directives and comments are before it.
fn begin(mut text: &str) -> &str {
    loop {
        text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let (skipped, end) = match text {
            _ if text.starts_with("---") => ("---", "\n---"),
            _ if text.starts_with("%%{") => ("%%{", "}%%"),
            _ if text.starts_with("%%") => ("%%", "\n"),
            _ => return text,
        };
        text = text[skipped.len()..].split_once(end).map_or("", |(_, rest)| rest);
    }
}
