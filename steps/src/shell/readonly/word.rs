//! A word of a command, as far as it is known before the shell expands it.

/// What may follow the known beginning of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rest {
    /// Nothing: the word is known.
    Nothing,
    /// Something within the same word (`"a$x"`).
    Within,
    /// File names: any number of words, each with the known beginning (`/var/log/*.gz`).
    Files,
    /// Any number of any words (`$x` without quotes is split).
    Anything,
}

/// A word: its known beginning and what may follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    text: String,
    rest: Rest,
    tame: bool,
    filled: bool,
    /// The known pieces after something that is not known.
    tail: String,
}

impl Word {
    /// The empty word, to be filled piece by piece.
    pub(super) fn empty() -> Self {
        Self { text: String::new(), rest: Rest::Nothing, tame: false, filled: false, tail: String::new() }
    }

    /// A word that is known.
    pub(super) fn exact(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::empty() }
    }

    /// Goes on with a known piece.
    pub(super) fn push(&mut self, piece: &str) {
        if self.rest == Rest::Nothing {
            self.text.push_str(piece);
        } else {
            self.tail.push_str(piece);
        }
    }

    /// Goes on with a piece that is not known.
    pub(super) fn open(&mut self, rest: Rest) {
        self.rest = self.rest.max(rest);
    }

    /// Goes on with one of some tame values (see [`tame`]).
    pub(super) fn open_tamely(&mut self) {
        self.tame |= self.text.is_empty() && self.rest == Rest::Nothing;
        self.open(Rest::Within);
    }

    /// Goes on with a piece that is not known, but is not empty.
    pub(super) fn open_filled(&mut self) {
        self.filled = true;
        self.open(Rest::Within);
    }

    /// Goes on with some numbers, each a word of its own (`{0..7}`).
    pub(super) fn open_numbers(&mut self) {
        self.open_tamely();
        self.open(Rest::Files);
    }

    /// Whether what follows the known beginning is not empty.
    pub(super) fn is_filled(&self) -> bool {
        self.filled
    }

    /// The text of a word that is known.
    pub(super) fn known(&self) -> Option<&str> {
        (self.rest == Rest::Nothing).then_some(self.text.as_str())
    }

    /// The known beginning.
    pub(super) fn beginning(&self) -> &str {
        &self.text
    }

    /// The known pieces after something that is not known.
    pub(super) fn tail(&self) -> &str {
        &self.tail
    }

    /// What may follow the known beginning.
    pub(super) fn rest(&self) -> Rest {
        self.rest
    }

    /// Whether this is exactly one word.
    pub(super) fn is_one(&self) -> bool {
        self.rest <= Rest::Within
    }

    /// Whether it, or a word it expands into, could begin with `-`.
    pub(super) fn may_be_flag(&self) -> bool {
        self.text.starts_with('-')
            || self.rest == Rest::Anything
            || (self.text.is_empty() && self.rest != Rest::Nothing && !self.tame)
    }
}

/// Whether a value stays one word, and no flag, even where it is expanded without quotes.
pub(super) fn tame(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:,@%+=-".contains(c);
    !value.is_empty() && !value.starts_with('-') && value.chars().all(plain)
}
