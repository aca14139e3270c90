//! Small programs that are written as an operand: `awk '{ print $1 }'`, `sed -n 5p`.
//!
//! Both languages can write files and start commands, so only programs of a plain form are shown to read.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use super::verdict::{Shown, quoted};
use super::word::Word;

/// The language of a program's first operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Language {
    /// POSIX awk, gawk, mawk.
    Awk,
    /// POSIX and GNU sed.
    Sed,
}

impl Language {
    /// Shows that a program only reads; with `number` 1 the word is the program, later ones name files.
    pub(super) fn operand(self, word: &Word, number: usize) -> Shown {
        match (self, number) {
            (_, 1) => {
                let program = word.known().ok_or("the program is not literal")?;
                match self {
                    Self::Awk => awk(program),
                    Self::Sed => sed(program),
                }
            }
            // To gawk this is a connection. (`/i$x` is refused as a path whose first folder is not known.)
            (Self::Awk, _) if word.beginning().starts_with("/inet") => Err(quoted(word.beginning())),
            _ => Ok(()),
        }
    }
}

/// Words that start commands, read or write other files, call what is named elsewhere, or need not come to an end. They
/// are looked for anywhere, within strings and longer names too: where a string or a regular expression begins depends on
/// what stands before it.
const ACTS: [&str; 11] = [
    "system",
    "getline",
    "close",
    "func",
    "while",
    "ARGV",
    "ARGC",
    "SYMTAB",
    "FUNCTAB",
    "extension",
    "include",
];

/// Shows that an awk program only reads: no output but to standard output, and none of the words that act.
fn awk(program: &str) -> Shown {
    static OVER_KEYS: LazyLock<Result<Regex, regex::Error>> = LazyLock::new(|| {
        let keys = r"[A-Za-z_]\w*[ \t]+in[ \t]+[A-Za-z_]\w*";
        let fields = r"([A-Za-z_]\w*)[ \t]*=[ \t]*[0-9]+[ \t]*;[ \t]*[A-Za-z_]\w*[ \t]*<=?[ \t]*(?:NF|NR|[0-9]+)[ \t]*;[ \t]*[A-Za-z_]\w*\+\+";
        Regex::new(&format!(r"\bfor[ \t]*\([ \t]*(?:{keys}|{fields})[ \t]*\)"))
    });
    let refused = |what: &str| Err(format!("{} in an awk program", quoted(what)));
    if let Some(word) = ACTS.iter().find(|word| program.contains(**word)) {
        return refused(word);
    }
    if program.contains('@') || program.contains("\\\n") {
        return refused(if program.contains('@') { "@" } else { "\\" });
    }
    if let Some(sign) = redirection(program) {
        return refused(&sign.to_string());
    }
    let over_keys = OVER_KEYS.as_ref().map_err(ToString::to_string)?;
    let rest = over_keys.replace_all(program, " ");
    let mut words = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    match words.find(|word| ["for", "do"].contains(&word.trim_start_matches(|c: char| c.is_ascii_digit()))) {
        Some(word) => refused(word),
        None => Ok(()),
    }
}

/// The first `>` or `|` that may send output elsewhere. That needs a `print`, which stands in braces, and there outside
/// parentheses.
fn redirection(program: &str) -> Option<char> {
    let sends = |text: &str| text.chars().find(|c| matches!(c, '>' | '|'));
    // Two characters that are one token: neither redirects.
    let plain = |text: &str| text.replace(">=", " ").replace("||", " ");
    // Before the first brace there is none, whatever is a string and what is a regular expression.
    let (_, actions) = program.split_once('{')?;
    // Where a slash may begin a regular expression, or a `#` a comment, strings and parentheses cannot be told.
    if program.contains(['/', '#']) {
        return sends(&plain(actions));
    }
    let (mut parentheses, mut braces) = (0_u32, 0_u32);
    let mut outside = String::new();
    let mut characters = program.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => loop {
                match characters.next() {
                    Some('\\') => drop(characters.next()),
                    Some('"') => break,
                    Some('\n') | None => return sends(actions),
                    Some(_) => {}
                }
            },
            '\\' => return sends(actions),
            '(' => parentheses += 1,
            ')' => parentheses = parentheses.saturating_sub(1),
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            _ => {}
        }
        outside.push(if parentheses > 0 || braces == 0 { ' ' } else { character });
    }
    // Parentheses that are left open are an error for awk, and nothing to rely on.
    if parentheses > 0 { sends(actions) } else { sends(&plain(&outside)) }
}

/// Shows that a sed program only reads: commands like `p`, `d`, `q` and `s` without `w` and `e`, separated by `;`,
/// and blocks of them.
fn sed(program: &str) -> Shown {
    static PLAIN: LazyLock<Result<Regex, regex::Error>> = LazyLock::new(|| {
        // Text up to a delimiter; brackets are closed before it, because sed programs differ in whether they look.
        let part = |delimiter: &str| {
            let class = if delimiter == ":" { "" } else { r"|\[:[a-z]+:\]" };
            format!(r"(?:[^{delimiter}\\\n\[\]]|\\[^\n]|\[\^?\]?(?:[^{delimiter}\\\n\[\]]{class})*\])*")
        };
        let address = format!(r"(?:[0-9]+|\$|/{}/I?)", part("/"));
        let substitutes = ["/", "|", ",", "#", ":", "%"].map(|delimiter| {
            let text = part(delimiter);
            format!(r"s{0}{text}{0}{text}{0}[gpIiMm0-9]*", regex::escape(delimiter))
        });
        let command = format!(r"(?:[pdnNhHgGxP=]|q[0-9]*|{})", substitutes.join("|"));
        let at = format!(r"[ \t]*(?:{address}(?:,[ \t]*(?:{address}|[+~][0-9]+))?[ \t]*!?[ \t]*)?");
        let one = format!(r"{at}{command}[ \t]*");
        let one = format!(r"(?:{one}|{at}\{{{one}(?:;{one})*;?[ \t]*\}}[ \t]*)");
        Regex::new(&format!(r"\A{one}(?:;{one})*;?\z"))
    });
    match PLAIN.as_ref() {
        Ok(plain) if plain.is_match(program) => Ok(()),
        Ok(_) => Err(format!("the sed program {} is not of a form that only reads", quoted(program))),
        Err(error) => Err(error.to_string()),
    }
}
