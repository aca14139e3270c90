//! The answer, and the two questions.

use super::word::Word;
use super::{command, script};

/// Whether a command only reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was shown to read only.
    Reads,
    /// It could not be shown to read only.
    MayChange {
        /// The word or construct that could not be shown to read: one short line without control characters.
        why: String,
    },
}

/// What is shown to read, or why it cannot be shown.
pub(super) type Shown<T = ()> = Result<T, String>;

impl From<Shown> for Verdict {
    fn from(shown: Shown) -> Self {
        match shown {
            Ok(()) => Self::Reads,
            Err(why) => Self::MayChange { why },
        }
    }
}

/// Whether a text that bash executes (`bash -c TEXT`) only reads.
pub(crate) fn of_script(text: &str) -> Verdict {
    script::script(text).into()
}

/// Whether a program started with these words, without a shell, only reads; the first word is the program.
pub(crate) fn of_argv(argv: &[String]) -> Verdict {
    let words: Vec<Word> = argv.iter().map(Word::exact).collect();
    let shown = match argv.split_first() {
        None => Err("there is no command".to_owned()),
        Some(_)
            if argv.iter().any(|word| word.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t'))) =>
        {
            Err("a control character".to_owned())
        }
        Some((program, _)) => command::command(program, &words[1..]),
    };
    shown.into()
}

/// A piece of the command as it may stand in a message: bounded, on one line, in quotes.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 40;
    let clean = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut short: String = text.chars().map(|c| if clean(c) { c } else { ' ' }).take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    format!("`{short}`")
}
