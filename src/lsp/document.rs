//! One open file, and places in it: the protocol counts lines and UTF-16 units, we count bytes.

use std::path::PathBuf;

use engine::check::Outline;
use engine::diagnostic::{SourceFile, Span};
use engine::step::Registry;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::library::Found;

/// An open file.
pub(super) struct Document {
    pub(super) file: SourceFile,
    /// Where it is kept, if that is a file.
    pub(super) found: Option<Found>,
    /// How the file was when it last was YAML: while one types it often is none.
    pub(super) outline: Outline,
    /// The outline is of the text as it is now.
    pub(super) current: bool,
}

impl Document {
    pub(super) fn new(uri: &str) -> Self {
        let path = uri.strip_prefix("file://").map(|path| percent_decode_str(path).decode_utf8_lossy());
        let name = path.as_deref().unwrap_or(uri).to_owned();
        let found = path.map(|path| Found::at(PathBuf::from(path.as_ref())));
        let file = SourceFile { name, text: String::new() };
        Self { file, found, outline: Outline::default(), current: false }
    }

    pub(super) fn set(&mut self, text: String, registry: &Registry) {
        self.file.text = text;
        let outline = Outline::of(&self.file, registry);
        self.current = outline.is_some();
        if let Some(outline) = outline {
            self.outline = outline;
        }
    }

    /// The byte at a place of the protocol.
    pub(super) fn offset(&self, place: &Value) -> usize {
        let number = |key: &str| place[key].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let text = &self.file.text;
        let start = match number("line") {
            0 => 0,
            line => text.match_indices('\n').nth(line - 1).map_or(text.len(), |(at, _)| at + 1),
        };
        let line = text[start..].split('\n').next().unwrap_or_default();
        let mut units = number("character");
        for (at, c) in line.char_indices() {
            if units == 0 {
                return start + at;
            }
            units = units.saturating_sub(c.len_utf16());
        }
        start + line.len()
    }

    pub(super) fn range(&self, at: &Span) -> Value {
        range(&self.file.text, at)
    }

    /// The node that is named at a byte, with every place that names it.
    pub(super) fn node_at(&self, offset: usize) -> Option<&str> {
        let mut mentions = self.outline.mentions.iter();
        mentions.find(|(at, _)| covers(at, offset)).map(|(_, name)| name.as_str())
    }

    /// Exactly the name within a place that may have quotes around it.
    pub(super) fn bare(&self, at: &Span, name: &str) -> Option<Span> {
        let written = self.file.text.get(at.start..at.start + at.len)?;
        let quotes = if written == name { 0 } else { 1 };
        let inner = written.get(quotes..written.len().checked_sub(quotes)?)?;
        (inner == name).then(|| Span { file: at.file, start: at.start + quotes, len: name.len() })
    }
}

/// A range of the protocol.
pub(super) fn range(text: &str, at: &Span) -> Value {
    json!({ "start": place(text, at.start), "end": place(text, at.start + at.len) })
}

fn place(text: &str, offset: usize) -> Value {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    json!({ "line": before.matches('\n').count(), "character": line.encode_utf16().count() })
}

/// Whether a place covers a byte; the byte after its end counts, because that is where one is after typing it.
pub(super) fn covers(at: &Span, offset: usize) -> bool {
    at.file == 0 && at.start <= offset && offset <= at.start + at.len
}
