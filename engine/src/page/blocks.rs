//! The fenced blocks of a Markdown page.

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use super::commands::lines;

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The first word after the fence, in lower case: `mermaid`, `sh`; empty if there is none.
    pub language: String,
    /// What is in it, without the indentation of the fence.
    pub text: String,
    /// Its place in the page, fences included.
    pub at: Range<usize>,
    /// Where each piece of `text` is in the page: its begin here and there, and its length.
    pieces: Vec<(usize, usize, usize)>,
    /// What is written right above it: a paragraph, an item of a list or a heading.
    pub before: String,
}

impl Block {
    /// A whole file as one block.
    pub fn whole(language: &str, text: &str) -> Self {
        Self {
            language: language.to_owned(),
            text: text.to_owned(),
            at: 0..text.len(),
            pieces: vec![(0, 0, text.len())],
            before: String::new(),
        }
    }

    /// The place in the page of a place in the text.
    pub fn place(&self, at: &Range<usize>) -> Range<usize> {
        let start = self.byte(at.start);
        start..self.byte(at.end).max(start)
    }

    fn byte(&self, at: usize) -> usize {
        let piece = self.pieces.iter().rev().find(|(here, _, _)| *here <= at);
        piece.map_or(self.at.start, |(here, there, len)| there + (at - here).min(*len))
    }

    /// Whether it holds commands for a shell.
    pub fn is_shell(&self) -> bool {
        matches!(self.language.as_str(), "sh" | "bash" | "shell" | "zsh" | "console")
    }
}

/// The fenced blocks of a page, in order.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut said, mut in_block) = (String::new(), false);
    let page = fenced(page);
    for (event, at) in Parser::new(&page).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { .. } | Tag::Paragraph | Tag::Item) => said.clear(),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                // Some write `{mermaid}` or `{.mermaid}`.
                let info = info.trim_start_matches(['{', '.', ' ']);
                let language = info.split([' ', ',', '{', '}', '\t']).next().unwrap_or_default();
                in_block = true;
                blocks.push(Block {
                    language: language.to_lowercase(),
                    text: String::new(),
                    at,
                    pieces: Vec::new(),
                    before: said.clone(),
                });
            }
            Event::End(TagEnd::CodeBlock) => in_block = false,
            Event::Text(text) if in_block => {
                if let Some(block) = blocks.last_mut() {
                    block.pieces.push((block.text.len(), at.start, at.len()));
                    block.text.push_str(&text);
                }
            }
            Event::Text(text) | Event::Code(text) => said.push_str(&text),
            Event::SoftBreak | Event::HardBreak => said.push(' '),
            _ => {}
        }
    }
    blocks
}

/// A page on which a block between `:::mermaid` and `:::`, as some wikis have it, is between fences of the same length.
fn fenced(page: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(page);
    let mut colons = lines(page).filter(|(line, _)| line.starts_with(COLONS));
    while let Some((line, open)) = colons.next() {
        if !line[COLONS.len()..].trim().eq_ignore_ascii_case("mermaid") {
            continue;
        }
        if let Some((_, close)) = colons.next().filter(|(line, _)| *line == COLONS) {
            for Range { start, .. } in [open, close] {
                text.to_mut().replace_range(start..start + COLONS.len(), "```");
            }
        }
    }
    text
}

const COLONS: &str = ":::";
