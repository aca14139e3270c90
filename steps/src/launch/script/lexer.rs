//! Words inside of words: the text that `bash -c` gets is read once more.

use super::trace::{Piece, Word};

/// Puts the words of the text after `bash -c` (and `sh -c`, `bash -lc`) in its place.
pub(super) fn lex(words: &mut Vec<Word>) {
    let shell = |word: &Word| {
        let text = word.text();
        matches!(text.rsplit('/').next(), Some("bash" | "sh" | "dash" | "ksh"))
    };
    let command = |word: &Word| {
        let text = word.text();
        text.strip_prefix('-').is_some_and(|flags| !flags.starts_with('-') && flags.ends_with('c'))
    };
    let Some(at) = words.iter().position(shell) else { return };
    let Some(flag) = words.iter().skip(at + 1).position(command).map(|offset| at + 1 + offset) else {
        return;
    };
    // Options of the shell may stand between, and nothing else.
    if words[at + 1..flag].iter().any(|word| !word.text().starts_with('-')) {
        return;
    }
    let Some(text) = words.get(flag + 1) else { return };
    let inner = read(&text.pieces);
    words.splice(flag + 1..flag + 2, inner);
}

/// The words of a shell text. Signs between commands are words of their own.
fn read(pieces: &[Piece]) -> Vec<Word> {
    let mut reader = Reader::default();
    for piece in pieces {
        if !piece.known {
            reader.word.get_or_insert_default().pieces.push(piece.clone());
            continue;
        }
        for (at, c) in piece.text.char_indices() {
            reader.letter(c, at, piece);
        }
    }
    reader.end();
    reader.words
}

#[derive(Default)]
struct Reader {
    words: Vec<Word>,
    word: Option<Word>,
    quote: Option<char>,
    escaped: bool,
    /// In `$NAME` or `${NAME`, which the inner shell expands.
    expansion: Option<bool>,
}

impl Reader {
    fn letter(&mut self, c: char, at: usize, piece: &Piece) {
        if self.escaped {
            self.escaped = false;
            if c != '\n' {
                self.add(c, at, piece, true);
            }
            return;
        }
        if let Some(braced) = self.expansion {
            let name = c.is_ascii_alphanumeric() || c == '_';
            if name || braced || (c == '{' && self.at_dollar()) {
                self.add(c, at, piece, false);
                self.expansion = match (c, braced) {
                    ('}', true) => None,
                    ('{', false) => Some(true),
                    _ => Some(braced),
                };
                return;
            }
            self.expansion = None;
        }
        match (c, self.quote) {
            ('\'', None) | ('"', None) => {
                self.quote = Some(c);
                self.word.get_or_insert_default();
            }
            (_, Some(quote)) if c == quote => self.quote = None,
            ('\\', None | Some('"')) => self.escaped = true,
            ('$', None | Some('"')) => {
                self.expansion = Some(false);
                self.add(c, at, piece, false);
            }
            (' ' | '\t' | '\r', None) => self.end(),
            (';' | '&' | '|' | '\n' | '(' | ')', None) => {
                self.end();
                self.add(c, at, piece, true);
                self.end();
            }
            _ => self.add(c, at, piece, true),
        }
    }

    fn at_dollar(&self) -> bool {
        let last = self.word.as_ref().and_then(|word| word.pieces.last());
        last.is_some_and(|piece| piece.text == "$")
    }

    fn add(&mut self, c: char, at: usize, piece: &Piece, known: bool) {
        let start = piece.start.map(|start| start + at);
        let word = self.word.get_or_insert_default();
        if let Some(last) = word.pieces.last_mut() {
            let follows = match (last.start, start) {
                (Some(last_start), Some(start)) => last_start + last.text.len() == start,
                (None, None) => true,
                _ => false,
            };
            if follows && last.known == known && last.sites == piece.sites {
                last.text.push(c);
                return;
            }
        }
        word.pieces.push(Piece { text: c.to_string(), start, known, ..piece.clone() });
    }

    fn end(&mut self) {
        self.expansion = None;
        self.words.extend(self.word.take());
    }
}
