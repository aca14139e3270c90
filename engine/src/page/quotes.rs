//! Commands without their quotes: `"x"`, `'x'` and `x` are the same word to a shell.

/// A simple command as its words, with a backslash before whatever was quoted and would mean more without; `None` if it is
/// none, or what its words are is known to a shell alone (`$(…)`, a pipe, a comment).
pub(super) fn plain(command: &str) -> Option<String> {
    let mut words = vec![];
    // What the word under way is; none between words, for `''` is one, too.
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some('\''), _) => literal(&mut word, c),
            (Some(_), '$' | '`') => return None,
            (Some(_), '\\') => match chars.next()? {
                next @ ('$' | '`' | '"' | '\\') => literal(&mut word, next),
                '\n' => {}
                next => {
                    literal(&mut word, '\\');
                    literal(&mut word, next);
                }
            },
            (Some(_), _) => literal(&mut word, c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') => match chars.next()? {
                '\n' => {}
                next => literal(&mut word, next),
            },
            (None, '|' | '&' | ';' | '<' | '>' | '(' | ')' | '$' | '`' | '\n') => return None,
            (None, '#') if word.is_none() => return None,
            (None, _) if c.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    // A quoted `A=b` is a command's name, and no quoted keyword is one.
    let quoted = command.trim_start().starts_with(['\'', '"', '\\']) || words.first()?.contains(['=', '\\']);
    let words: Vec<&str> = words.iter().map(|word| if word.is_empty() { "''" } else { word }).collect();
    (quote.is_none() && !quoted).then(|| words.join(" "))
}

/// Adds a character that means itself.
fn literal(word: &mut Option<String>, c: char) {
    let word = word.get_or_insert_default();
    let itself =
        c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | ',' | '+' | '@' | '%' | '=');
    if !itself && !super::commands::HOLE.contains(c) {
        word.push('\\');
    }
    word.push(c);
}

/// A word of a program in quotes, if a shell would make something else of it. One with a template is what the template makes it.
pub(super) fn quoted(word: &str) -> String {
    let template = ["{{", "{%", "{#"].iter().any(|mark| word.contains(mark));
    let mut as_is = None;
    word.chars().for_each(|c| literal(&mut as_is, c));
    if template || as_is.as_deref() == Some(word) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_that_say_nothing_are_none() {
        for same in [
            ["grep \"x\" f", "grep 'x' f"],
            ["grep x f", "grep 'x'  \"f\""],
            ["grep 'a b' f", "grep a\\ b f"],
            ["grep \"it's\"", "grep it\\'s"],
            ["grep \"a\\$b\\\"\"", "grep 'a$b\"'"],
            ["grep a'b'\"c\"", "grep abc"],
            ["grep '*' \"\"", "grep \\* ''"],
            ["a --x='y'", "a '--x=y'"],
        ] {
            assert!(plain(same[0]).is_some() && plain(same[0]) == plain(same[1]), "{same:?}");
        }
    }

    #[test]
    fn quotes_that_say_something_stay() {
        for other in [
            ["ls '*'", "ls *"],
            ["a 'b c'", "a b c"],
            ["a ''", "a"],
            ["a '~'", "a ~"],
            ["a '{b,c}'", "a {b,c}"],
        ] {
            assert!(plain(other[0]).is_some() && plain(other[0]) != plain(other[1]), "{other:?}");
        }
        for shell in [
            "a | b",
            "a; b",
            "a $(b)",
            "a \"`b`\"",
            "a > b",
            "a # b",
            "a 'b",
            "'A=b' c",
            "A='b' c",
            "'if' x",
            "a \"$b\"",
            "",
        ] {
            assert_eq!(plain(shell), None, "{shell}");
        }
    }

    #[test]
    fn words_of_a_program_are_quoted_where_they_have_to_be() {
        let words = ["--since=1 day", "it's", "*.log", "plain/x", "{{ inputs.x }}", ""].map(quoted);
        assert_eq!(words, ["'--since=1 day'", "'it'\\''s'", "'*.log'", "plain/x", "{{ inputs.x }}", "''"]);
    }
}
