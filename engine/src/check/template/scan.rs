//! Finding templates in a text, and the names, filters and tests in templates, with their places.
//!
//! minijinja says which names a template reads but not where, and says nothing about filters and tests before they
//! run. This reads the same tokens and keeps the places. It runs only on templates that minijinja has accepted.

use std::ops::Range;

use crate::template::{Code, code, one_expression, string};

/// Whether a text is exactly one `{{ expression }}`, which keeps the type of its value.
pub(crate) fn is_one_expression(text: &str) -> bool {
    one_expression(text).is_some()
}

/// All code in a text.
pub(super) fn codes(text: &str) -> Vec<Code> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].find('{') {
        at += next;
        let rest = &text[at..];
        if rest.starts_with("{#") {
            at += rest.find("#}").map_or(rest.len(), |end| end + 2);
        } else if rest.starts_with("{{") || rest.starts_with("{%") {
            let Some(code) = code(text, at) else { break };
            at = code.whole.end;
            if code.block && text[code.inner.clone()].trim() == "raw" {
                at = endraw(text, at);
            } else {
                found.push(code);
            }
        } else {
            at += 1;
        }
    }
    found
}

/// Where a raw block that begins at `at` ends.
fn endraw(text: &str, mut at: usize) -> usize {
    while let Some(next) = text[at..].find("{%") {
        at += next;
        match code(text, at) {
            Some(block) if text[block.inner.clone()].trim() == "endraw" => return block.whole.end,
            _ => at += 2,
        }
    }
    text.len()
}

/// Whether a text gives a name to something of its own: the variable of a loop, a `set`.
pub(super) fn binds(text: &str, name: &str) -> bool {
    codes(text).iter().filter(|code| code.block).any(|code| {
        let tokens = tokens(text, &code.inner);
        let mut words = tokens.iter().map(|(token, _)| token);
        match words.next() {
            Some(Token::Name("for")) => words
                .take_while(|token| **token != Token::Name("in"))
                .any(|token| *token == Token::Name(name)),
            Some(Token::Name("set" | "with" | "macro" | "call" | "import" | "from")) => {
                words.any(|token| *token == Token::Name(name))
            }
            _ => false,
        }
    })
}

/// A thing that a template names.
#[derive(Debug, PartialEq)]
pub(super) enum Mention<'t> {
    /// `root.a[0].b`
    Path {
        root: &'t str,
        steps: Vec<PathStep<'t>>,
        at: Range<usize>,
        /// Its value is called as a function.
        called: bool,
    },
    /// `| name`
    Filter { name: &'t str, at: Range<usize> },
    /// `is name`
    Test { name: &'t str, at: Range<usize> },
}

/// One step of a path.
#[derive(Debug, PartialEq)]
pub(super) enum PathStep<'t> {
    /// `.name` or `['name']`; `dotted` for the first.
    Field { name: &'t str, at: Range<usize>, dotted: bool },
    /// `[anything else]`
    Index,
}

/// The smallest piece of code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token<'t> {
    Name(&'t str),
    Text(&'t str),
    Number,
    Sign(char),
}

/// Everything that the code of `text` names, in written order.
pub(super) fn mentions(text: &str) -> Vec<Mention<'_>> {
    let mut found = Vec::new();
    for code in codes(text) {
        let tokens = tokens(text, &code.inner);
        read(&tokens, code.block, &mut found);
    }
    found
}

pub(super) fn tokens<'t>(text: &'t str, range: &Range<usize>) -> Vec<(Token<'t>, Range<usize>)> {
    let mut found = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let rest = &text[at..range.end];
        let Some(first) = rest.chars().next() else { break };
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let len = match first {
            '"' | '\'' => string(rest).unwrap_or(rest.len()),
            c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let token = match first {
            '"' | '\'' => Token::Text(rest.get(1..len - 1).unwrap_or_default()),
            c if c.is_ascii_digit() => Token::Number,
            c if word(c) => Token::Name(&rest[..len]),
            c => Token::Sign(c),
        };
        if !first.is_whitespace() {
            found.push((token, at..at + len));
        }
        at += len;
    }
    found
}

/// Words of the language, which name nothing.
pub(super) const WORDS: [&str; 16] = [
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "true",
    "false",
    "none",
    "True",
    "False",
    "None",
    "recursive",
    "with",
    "as",
];

fn read<'t>(tokens: &[(Token<'t>, Range<usize>)], block: bool, found: &mut Vec<Mention<'t>>) {
    let sign = |at: usize, wanted: char| matches!(tokens.get(at), Some((Token::Sign(c), _)) if *c == wanted);
    let name = |at: usize| match tokens.get(at) {
        Some((Token::Name(name), place)) => Some((*name, place.clone())),
        _ => None,
    };
    let mut at = 0;
    if block {
        // The first word says what the block does; `filter` names one.
        if let (Some(("filter", _)), Some((name, at))) = (name(0), name(1)) {
            found.push(Mention::Filter { name, at });
        }
        at = if matches!(name(0), Some(("filter", _))) { 2 } else { 1 };
    }
    while at < tokens.len() {
        if sign(at, '|') {
            if let Some((name, place)) = name(at + 1) {
                found.push(Mention::Filter { name, at: place });
                at += 1;
            }
        } else if let Some((word, start)) = name(at) {
            if word == "is" {
                let negated = matches!(name(at + 1), Some(("not", _)));
                at += if negated { 2 } else { 1 };
                if let Some((name, place)) = name(at) {
                    found.push(Mention::Test { name, at: place });
                }
            } else if sign(at + 1, '=') && !sign(at + 2, '=') {
                // The name of an argument, or of what a block sets.
            } else if at > 0 && sign(at - 1, '.') {
                // A field of what a larger expression yields: `(a | default(b)).field`.
            } else if !WORDS.contains(&word) {
                let (path, next) = path(tokens, at, word, &start);
                found.push(path);
                at = next;
                continue;
            }
        }
        at += 1;
    }
}

/// Reads the path that begins with `root` at token `at`; also says which token comes after it.
pub(super) fn path<'t>(
    tokens: &[(Token<'t>, Range<usize>)],
    first: usize,
    root: &'t str,
    start: &Range<usize>,
) -> (Mention<'t>, usize) {
    let mut steps = Vec::new();
    let mut end = start.end;
    let mut at = first + 1;
    let token = |at: usize| tokens.get(at).map(|(token, place)| (*token, place.clone()));
    loop {
        match (token(at), token(at + 1), token(at + 2)) {
            (Some((Token::Sign('.'), _)), Some((Token::Name(name), place)), _) => {
                end = place.end;
                steps.push(PathStep::Field { name, at: place, dotted: true });
                at += 2;
            }
            (Some((Token::Sign('.'), _)), Some((Token::Number, place)), _) => {
                end = place.end;
                steps.push(PathStep::Index);
                at += 2;
            }
            (
                Some((Token::Sign('['), _)),
                Some((Token::Text(name), place)),
                Some((Token::Sign(']'), close)),
            ) => {
                end = close.end;
                steps.push(PathStep::Field { name, at: place, dotted: false });
                at += 3;
            }
            (Some((Token::Sign('['), _)), Some((Token::Number, _)), Some((Token::Sign(']'), close))) => {
                end = close.end;
                steps.push(PathStep::Index);
                at += 3;
            }
            // Anything else in brackets is read on its own; what comes after them is not known.
            _ => break,
        }
    }
    let called = matches!(token(at), Some((Token::Sign('('), _)));
    (Mention::Path { root, steps, at: start.start..end, called }, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        let step = |step: &PathStep<'_>| match step {
            PathStep::Field { name, .. } => format!(".{name}"),
            PathStep::Index => "[]".to_owned(),
        };
        let one = |mention: &Mention<'_>| match mention {
            Mention::Path { root, steps, called, .. } => {
                let steps: String = steps.iter().map(step).collect();
                format!("{root}{steps}{}", if *called { "()" } else { "" })
            }
            Mention::Filter { name, .. } => format!("|{name}"),
            Mention::Test { name, .. } => format!("?{name}"),
        };
        mentions(text).iter().map(one).collect()
    }

    #[test]
    fn names_filters_and_tests_are_found() {
        assert_eq!(
            said("{{ a.b[0].c | gib }} and {{ x['y'].z is not known }}"),
            ["a.b[].c", "|gib", "x.y.z", "?known"]
        );
        assert_eq!(said("{{ f(a, b.c) ~ 'd.e | g' ~ m.n() }}"), ["f()", "a", "b.c", "m.n()"]);
        assert_eq!(said("{% if a and not b %}{{ c }}{% endif %}{# d #}"), ["a", "b", "c"]);
        assert_eq!(said("{% filter upper %}{{ a[i] }}{% endfilter %}"), ["|upper", "a", "i"]);
        assert_eq!(said("{% raw %}{{ a }}{% endraw %}{{ b }}"), ["b"]);
        assert_eq!(said("no { template } at all"), [] as [&str; 0]);
        assert_eq!(said("{{ {'k': {'l': a}} }}{{ 1.5 }}"), ["a"]);
    }

    #[test]
    fn names_of_its_own_are_told_from_others() {
        let text = "{% for a, b in c %}{{ d }}{% endfor %}{% set e = f %}{{ a }}";
        let bound = ["a", "b", "c", "d", "e"].map(|name| binds(text, name));
        assert_eq!(bound, [true, true, false, false, true]);
    }

    #[test]
    fn one_expression_is_told_from_text_around_it() {
        let cut = |text: &'static str| one_expression(text).map(|range| text[range].trim());
        assert_eq!(cut("{{ a.b }}"), Some("a.b"));
        assert_eq!(cut(" {{- a -}}\n"), Some("a"));
        assert_eq!(cut("{{ '}}' ~ {'a': {'b': 1}} }}"), Some("'}}' ~ {'a': {'b': 1}}"));
        assert_eq!(cut("{{ a }}{{ b }}"), None);
        assert_eq!(cut("x {{ a }}"), None);
        assert_eq!(cut("{{ a"), None);
        assert_eq!(cut("{% if a %}{% endif %}"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[{}%#a.|is \\['\"\\]()0é\\\\-]{0,40}") {
            for mention in mentions(&text) {
                if let Mention::Path { at, .. } = mention {
                    proptest::prop_assert!(text.get(at).is_some());
                }
            }
            let _ = one_expression(&text);
        }
    }

    /// An expression in any of the forms that have names in them: `a` to `d` and `f` are read, `p` to `z` are fields and names of
    /// arguments.
    fn expression() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let leaf =
            prop_oneof!["[a-d]", "[a-d]\\.[p-s]", Just("'p.q | r'".to_owned()), Just("1.5".to_owned())];
        leaf.prop_recursive(4, 24, 3, |inner| {
            let two = (inner.clone(), inner.clone());
            prop_oneof![
                two.clone().prop_map(|(a, b)| format!("({a} | default({b})).p")),
                two.clone().prop_map(|(a, b)| format!("({a} | round(precision={b}) == 1)")),
                two.clone().prop_map(|(a, b)| format!("({a} is eq({b}))")),
                two.clone().prop_map(|(a, b)| format!("({a})[{b}].p")),
                two.clone().prop_map(|(a, b)| format!("{{'p': {a}, b: [{b}, b]}}")),
                two.clone().prop_map(|(a, b)| format!("f({a}, x={b}, y=c.p)")),
                two.clone().prop_map(|(a, b)| format!("({a} if {b} is not known else c)")),
                two.prop_map(|(a, b)| format!("(not {a} and {b} in [c.p.q] or a['q'].r != d)")),
                inner.prop_map(|a| format!("c[{a}:2] ~ a.p({a})")),
            ]
        })
    }

    proptest::proptest! {
        /// Without blocks a template has no names of its own, so minijinja need not be asked which come from outside. (It
        /// tells fewer: none in the named arguments of a filter.)
        #[test]
        fn whatever_an_expression_names_comes_from_outside(text in expression()) {
            let env = minijinja::Environment::new();
            let read = env.compile_expression(&text).unwrap().undeclared_variables(false);
            let whole = format!("{{{{ {text} }}}}");
            let named: Vec<&str> = mentions(&whole)
                .iter()
                .filter_map(|mention| match mention {
                    Mention::Path { root, .. } => Some(*root),
                    Mention::Filter { .. } | Mention::Test { .. } => None,
                })
                .collect();
            proptest::prop_assert!(read.iter().all(|name| named.contains(&name.as_str())), "{read:?} {named:?}");
            proptest::prop_assert!(named.iter().all(|name| matches!(*name, "a" | "b" | "c" | "d" | "f")), "{named:?}");
        }
    }
}
