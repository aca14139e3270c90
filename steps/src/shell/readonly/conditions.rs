//! `test`, `[` and `[[`.

use super::verdict::{Shown, quoted};
use super::word::Word;

/// Tests of one word. `-v` is none of them: bash evaluates the subscript of the name, and what stands in it.
const ONE: [&str; 23] = [
    "-a", "-b", "-c", "-d", "-e", "-f", "-g", "-h", "-k", "-L", "-n", "-N", "-O", "-G", "-p", "-r", "-s",
    "-S", "-t", "-u", "-w", "-x", "-z",
];
/// Tests of two words that compare text or files.
const TWO: [&str; 6] = ["=", "==", "!=", "-nt", "-ot", "-ef"];
/// Tests of two words that compare numbers; within `[[` bash evaluates both sides as arithmetic, which can execute commands.
const NUMBERS: [&str; 6] = ["-eq", "-ne", "-lt", "-le", "-gt", "-ge"];

/// Shows that `test` with these words only tests.
pub(super) fn test(words: &[Word]) -> Shown {
    if let Some(word) = words.iter().find(|word| !word.is_one()) {
        return Err(format!("{} in a test may become several words", quoted(word.beginning())));
    }
    tests(words, &[&TWO[..], &NUMBERS[..]].concat())
}

/// Shows that `[[` with these words only tests. Within it no word is split, and no name of a file expanded.
pub(super) fn double(words: &[Word]) -> Shown {
    tests(words, &TWO)
}

/// With one to three words the operator's place decides how they are read (POSIX, `test`): no word's value can become an operator.
fn tests(words: &[Word], two: &[&str]) -> Shown {
    let operator = |word: &Word, known: &[&str]| word.known().is_some_and(|text| known.contains(&text));
    match words {
        [] | [_] => Ok(()),
        [not, rest @ ..] if rest.len() <= 3 && not.known() == Some("!") && !operator(&rest[0], two) => {
            tests(rest, two)
        }
        [one, _] if operator(one, &ONE) => Ok(()),
        [_, middle, _] if operator(middle, two) => Ok(()),
        [first, ..] => Err(format!("the test that begins with {}", quoted(first.beginning()))),
    }
}
