//! Text from outside, made safe to show: no terminal may be steered by a log line, a file name or a node.

/// Text for reading: escape sequences are removed whole, every other control character becomes a space.
/// Line breaks stay.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => cleaned.push('\n'),
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_until_final(&mut chars),
            '\r' if chars.peek() == Some(&'\n') => {}
            c if c.is_control() => cleaned.push(' '),
            c if invisible(c) => {}
            c => cleaned.push(c),
        }
    }
    cleaned
}

/// [`clean`] on one line: line breaks become spaces.
pub(crate) fn line(text: &str) -> String {
    clean(text).replace('\n', " ").trim().to_owned()
}

/// Text whose every character matters, such as a command that somebody is about to consent to: nothing is dropped;
/// what would not show, or would steer the terminal, is spelled out. Line breaks and tabs stay.
pub(crate) fn exact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\n' | '\t') || !(c.is_control() || invisible(c)) {
            shown.push(c);
        } else {
            shown.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
        }
    }
    shown
}

/// Characters that reorder the text around them or do not show at all.
fn invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// What follows an escape character (ECMA-48): a control sequence, a string up to its end, or one character.
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_until_final(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            // A string that never ends must not swallow the lines after it.
            while let Some(c) = chars.next_if(|c| *c != '\n') {
                if matches!(c, '\u{7}' | '\u{9c}') {
                    break;
                }
                if c == '\u{1b}' {
                    chars.next_if_eq(&'\\');
                    break;
                }
            }
        }
        Some(' '..='/') => {
            while chars.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            chars.next_if(|c| matches!(c, '0'..='~'));
        }
        Some('0'..='~') => drop(chars.next()),
        _ => {}
    }
}

/// Parameters and intermediates of a control sequence, then its final character.
fn skip_until_final(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    chars.next_if(|c| matches!(c, '@'..='~'));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escape_sequences_vanish_whole() {
        assert_eq!(clean("\u{1b}[2J\u{1b}[1;31mred\u{1b}[0m"), "red");
        assert_eq!(clean("a\u{1b}]0;new title\u{7}b\u{1b}]8;;http://x\u{1b}\\c"), "abc");
        assert_eq!(clean("a\u{1b}(Bb\u{9b}31mc\u{1b}Pq#0\u{1b}\\d\u{1b}7e"), "abcde");
        assert_eq!(clean("bell\u{7}, back\u{8}, tab\t, line\r\n"), "bell , back , tab , line\n");
        assert_eq!(clean("begun\u{1b}]0;and never ended\nnext line"), "begun\nnext line");
        assert_eq!(clean("user\u{202e}gnp.exe"), "usergnp.exe");
    }

    #[test]
    fn a_command_is_spelled_out() {
        assert_eq!(exact("scancel 1\u{1b}[2K\rls"), "scancel 1\\u{1b}[2K\\u{d}ls");
        assert_eq!(exact("cat <<E\n\tx\nE"), "cat <<E\n\tx\nE");
    }

    fn hostile() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop_oneof![
                any::<char>(),
                Just('\u{1b}'),
                Just('['),
                Just(']'),
                Just('\u{9b}'),
                Just('\u{7}'),
                Just('\n')
            ],
            0..60,
        )
        .prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn nothing_that_steers_is_left(text in hostile()) {
            prop_assert!(clean(&text).chars().all(|c| c == '\n' || !(c.is_control() || invisible(c))));
            prop_assert!(exact(&text).chars().all(|c| c == '\n' || c == '\t' || !(c.is_control() || invisible(c))));
            prop_assert!(!line(&text).contains('\n'));
        }

        #[test]
        fn cleaning_twice_is_cleaning_once(text in hostile()) {
            prop_assert_eq!(clean(&clean(&text)), clean(&text));
            prop_assert_eq!(exact(&exact(&text)), exact(&text));
        }

        #[test]
        fn plain_text_stays(text in "[ -~äöü€→\n]*") {
            prop_assert_eq!(clean(&text), text.clone());
            prop_assert_eq!(exact(&text), text);
        }
    }
}
