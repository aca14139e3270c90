//! `printf`, whose format can assign a variable.

use super::verdict::{Shown, quoted};
use super::word::Word;

/// Shows that `printf` only prints. The format has to be known: `-v NAME` and `%n` assign (bash 5.2, `builtins/printf.def`).
pub(super) fn printf(words: &[Word]) -> Shown {
    let format = match words {
        [dashes, format, ..] if dashes.known() == Some("--") => format,
        [format, ..] => format,
        [] => return Ok(()),
    };
    let text = format.known().ok_or("the format of printf is not literal")?;
    if text.starts_with('-') && text != "-" && words.first().and_then(Word::known) != Some("--") {
        return Err(format!("printf {} is not on the read-only list", quoted(text)));
    }
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        // Flags, width, precision and length.
        rest = rest[at + 1..].trim_start_matches(|c: char| "#- +'.*hjlLtz".contains(c) || c.is_ascii_digit());
        let time = rest.strip_prefix('(').and_then(|time| time.split_once(')'));
        rest = match (time, rest.chars().next()) {
            (Some((time, after)), _) if after.starts_with('T') && !time.contains('(') => after,
            (None, Some(c)) if "diouxXfFeEgGaAcsbq%".contains(c) => &rest[c.len_utf8()..],
            _ => return Err(format!("printf {} can assign a variable", quoted(text))),
        };
    }
    Ok(())
}
