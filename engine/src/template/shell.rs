//! Puts values into shell text so that the shell sees each as the bytes it is, wherever the author wrote it.
//!
//! The template is rendered with a placeholder for every value; the finished text is then read as a shell would read
//! it (POSIX.1-2024, Shell Command Language, 2.2 Quoting), and each value goes in as the quoting at that place demands.
//! Where no quoting can make a value safe (after a backslash, in a here-document, in `$'…'`, `${…}` or backquotes)
//! the command is refused.

/// Marks the place of value `number`. Private-use characters: they mean nothing to a shell, and one that the author or
/// a raw value wrote is refused.
pub(super) fn placeholder(number: usize) -> String {
    format!("{OPEN}{number}{CLOSE}")
}

const OPEN: char = '\u{F0000}';
const CLOSE: char = '\u{F0001}';

/// A value at a place where it cannot be made safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a value cannot be put safely {0}")]
pub(crate) struct UnsafePlace(&'static str);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Quote {
    /// Outside any quotes; `depth` counts the open parentheses of this level.
    None {
        depth: usize,
    },
    Single,
    Double,
}

/// Replaces every placeholder in `text` by its value, quoted.
pub(super) fn fill(text: &str, values: &[String]) -> Result<String, UnsafePlace> {
    if values.is_empty() {
        return Ok(text.to_owned());
    }
    let mut out = String::with_capacity(text.len() + values.iter().map(|v| v.len() + 4).sum::<usize>());
    let mut levels = vec![Quote::None { depth: 0 }];
    let mut chars = text.chars().peekable();
    let mut before = '\n';
    let mut here_document = false;
    while let Some(c) = chars.next() {
        let top = levels.last_mut();
        let Some(quote) = top else { return Err(UnsafePlace("after unbalanced parentheses")) };
        if c == OPEN {
            let number: String = std::iter::from_fn(|| chars.next_if(char::is_ascii_digit)).collect();
            let value = number.parse::<usize>().ok().and_then(|n| values.get(n));
            let (Some(value), Some(CLOSE)) = (value, chars.next()) else {
                return Err(UnsafePlace("beside a private-use character"));
            };
            match quote {
                _ if here_document => return Err(UnsafePlace("in a command with a here-document")),
                Quote::None { .. } if before == '$' => return Err(UnsafePlace("right after `$`")),
                Quote::None { .. } => out.push_str(&word(value)),
                Quote::Single => out.push_str(&format!("'{}'", single(value))),
                Quote::Double if before == '$' => return Err(UnsafePlace("right after `$`")),
                Quote::Double => out.push_str(&format!("\"{}\"", single(value))),
            }
            before = 'x';
            continue;
        }
        out.push(c);
        match (*quote, c) {
            (Quote::Single, '\'') => drop(levels.pop()),
            (Quote::Single, _) => {}
            (_, '\\') => match chars.next() {
                Some(OPEN) => return Err(UnsafePlace("right after a backslash")),
                Some(escaped) => out.push(escaped),
                None => {}
            },
            (_, '`') => return Err(UnsafePlace("in a command with backquotes; write $(…)")),
            (_, '$') if chars.peek() == Some(&'{') => {
                for inner in chars.by_ref() {
                    if inner == OPEN {
                        return Err(UnsafePlace("inside ${…}"));
                    }
                    out.push(inner);
                    if inner == '}' {
                        break;
                    }
                }
            }
            (_, '$') if chars.peek() == Some(&'(') => {
                out.extend(chars.next());
                levels.push(Quote::None { depth: 0 });
                if chars.peek() == Some(&'(') {
                    return Err(UnsafePlace("in a command with arithmetic $((…))"));
                }
            }
            (Quote::Double, '"') => drop(levels.pop()),
            (Quote::Double, _) => {}
            (Quote::None { .. }, '\'') if before == '$' => return Err(UnsafePlace("in a command with $'…'")),
            (Quote::None { .. }, '\'') => levels.push(Quote::Single),
            (Quote::None { .. }, '"') => levels.push(Quote::Double),
            (Quote::None { .. }, '#') if before.is_whitespace() || ";&|(".contains(before) => {
                while let Some(inner) = chars.next_if(|c| *c != '\n') {
                    if inner == OPEN {
                        return Err(UnsafePlace("in a comment"));
                    }
                    out.push(inner);
                }
            }
            (Quote::None { .. }, '<') if before == '<' => here_document = true,
            (Quote::None { depth }, '(') => levels_set(&mut levels, depth + 1),
            (Quote::None { depth: 0 }, ')') if levels.len() > 1 => drop(levels.pop()),
            (Quote::None { depth }, ')') => levels_set(&mut levels, depth.saturating_sub(1)),
            (Quote::None { .. }, _) => {}
        }
        before = c;
    }
    Ok(out)
}

fn levels_set(levels: &mut [Quote], depth: usize) {
    if let Some(top) = levels.last_mut() {
        *top = Quote::None { depth };
    }
}

/// A value as one word of an unquoted place. Only what can be neither syntax nor a reserved word stays bare.
fn word(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,@%+".contains(c);
    let tells = |c: char| c.is_ascii_digit() || "_./:@%+".contains(c);
    if value.chars().all(plain) && value.chars().any(tells) { value.to_owned() } else { single(value) }
}

fn single(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// What `sh` prints for `text`, its arguments one per NUL.
    fn sh(text: &str) -> Vec<u8> {
        let output = Command::new("sh").arg("-c").arg(text).output().expect("sh runs");
        assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    #[test]
    fn a_value_cannot_leave_the_quotes_the_author_wrote() {
        let hostile = "a'; touch /tmp/owned; echo 'b\"$(id)`id`".to_owned();
        for frame in [
            "printf %s P",
            "printf %s 'P'",
            "printf %s \"P\"",
            "printf %s \"$(printf %s P)\"",
            "(printf %s P)",
        ] {
            let text = fill(&frame.replace('P', &placeholder(0)), std::slice::from_ref(&hostile))
                .expect("safe place");
            assert_eq!(String::from_utf8(sh(&text)).expect("text"), hostile, "{text}");
        }
    }

    #[test]
    fn places_that_no_quoting_makes_safe_are_refused() {
        for frame in [
            r"echo \P",
            "echo $P",
            "echo \"$P\"",
            "echo `P`",
            "echo ${x:-P}",
            "echo $'P'",
            "cat <<E\nP\nE",
            "cat <<'E'\nP\nE",
            "true # P",
            "echo $((P))",
        ] {
            let text = frame.replace('P', &placeholder(0));
            assert!(fill(&text, &["x".to_owned()]).is_err(), "{frame}");
        }
    }

    #[test]
    fn a_reserved_word_stays_a_word() {
        assert_eq!(fill(&placeholder(0), &["if".to_owned()]), Ok("'if'".to_owned()));
        assert_eq!(fill(&placeholder(0), &["A=b".to_owned()]), Ok("'A=b'".to_owned()));
        assert_eq!(fill(&placeholder(0), &["gpu-21".to_owned()]), Ok("gpu-21".to_owned()));
        assert_eq!(fill(&placeholder(0), &[String::new()]), Ok("''".to_owned()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn any_text_round_trips_through_sh(a in "[^\0]{0,40}", b in "[ -~\n\t]{0,40}") {
            let p = |n| placeholder(n);
            let frame = format!("printf '%s\\0' {} '{}' \"x{}\" \"$(printf '%s.' {})\"", p(0), p(1), p(0), p(1));
            let text = fill(&frame, &[a.clone(), b.clone()]).expect("safe places");
            let expected = format!("{a}\0{b}\0x{a}\0{b}.\0");
            prop_assert_eq!(sh(&text), expected.into_bytes());
        }
    }
}
