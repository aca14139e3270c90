//! Arithmetic and order in templates: what stands right beside each operator.

use std::ops::Range;

use super::scan::Mention;
use super::scan::{PathStep, Token, WORDS, codes, path, tokens};

/// What stands beside an operator, as far as it is read.
#[derive(Debug, PartialEq)]
pub(super) enum Operand<'t> {
    /// A number.
    Number,
    /// `root.a.b`, and no filter after it.
    Path { root: &'t str, steps: Vec<PathStep<'t>>, at: Range<usize> },
    /// Anything else.
    Other,
}

/// An operator with what stands beside it.
#[derive(Debug, PartialEq)]
pub(super) struct Operation<'t> {
    /// `+`, `//`, `<=` …
    pub(super) sign: &'t str,
    pub(super) left: Operand<'t>,
    pub(super) right: Operand<'t>,
}

/// All arithmetic and all comparisons of order in the code of `text`, in written order.
pub(super) fn operations(text: &str) -> Vec<Operation<'_>> {
    let mut found = Vec::new();
    if !text.contains(['+', '-', '*', '/', '%', '<', '>']) {
        return found;
    }
    for code in codes(text) {
        read(text, &tokens(text, &code.inner), &mut found);
    }
    found
}

type Tokens<'t> = [(Token<'t>, Range<usize>)];

fn is(tokens: &Tokens<'_>, at: usize, wanted: &str) -> bool {
    matches!(tokens.get(at), Some((Token::Sign(c), _)) if wanted.contains(*c))
}

fn read<'t>(text: &'t str, tokens: &Tokens<'t>, found: &mut Vec<Operation<'t>>) {
    let mut left = None;
    let mut at = 0;
    while at < tokens.len() {
        // The name of a filter or a test is no value.
        let named = is(tokens, at, "|") || matches!(tokens[at].0, Token::Name("is"));
        if let Some(len) = operator(tokens, at) {
            if let Some(left) = left.take() {
                let sign = &text[tokens[at].1.start..tokens[at + len - 1].1.end];
                found.push(Operation { sign, left, right: operand(tokens, at + len).0 });
            }
            at += len;
            continue;
        }
        let (value, next) = operand(tokens, at);
        // `~` binds closer than `+`, and makes a text of a number.
        let joined = at > 0 && is(tokens, at - 1, "~") && value == Operand::Number;
        left = match tokens[at].0 {
            _ if named || joined => Some(Operand::Other),
            Token::Sign(c) if !")]}".contains(c) => None,
            Token::Name(word) if WORDS.contains(&word) => None,
            _ => Some(value),
        };
        at = if named { at + 2 } else { next };
    }
}

/// How many tokens make an operator of arithmetic or order here.
fn operator(tokens: &Tokens<'_>, at: usize) -> Option<usize> {
    let Some((Token::Sign(sign), place)) = tokens.get(at) else { return None };
    let follows = |wanted: char| matches!(tokens.get(at + 1), Some((Token::Sign(c), next)) if *c == wanted && next.start == place.end);
    match sign {
        '*' | '/' if follows(*sign) => Some(2),
        '<' | '>' if follows('=') => Some(2),
        '+' | '-' | '*' | '/' | '%' | '<' | '>' => Some(1),
        _ => None,
    }
}

/// The value that begins at a token, and which token comes after it. With a filter, a call or `~` after it, it is
/// something else.
fn operand<'t>(tokens: &Tokens<'t>, at: usize) -> (Operand<'t>, usize) {
    match tokens.get(at) {
        Some((Token::Number, _)) => {
            let broken = is(tokens, at + 1, ".") && matches!(tokens.get(at + 2), Some((Token::Number, _)));
            let next = if broken { at + 3 } else { at + 1 };
            (if is(tokens, next, "|~") { Operand::Other } else { Operand::Number }, next)
        }
        Some((Token::Name(root), start)) if !WORDS.contains(root) => {
            let (mention, next) = path(tokens, at, root, start);
            match mention {
                Mention::Path { root, steps, at, called: false } if !is(tokens, next, "|~[.") => {
                    (Operand::Path { root, steps, at }, next)
                }
                _ => (Operand::Other, next),
            }
        }
        _ => (Operand::Other, at + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        let one = |operand: &Operand<'_>| match operand {
            Operand::Number => "number".to_owned(),
            Operand::Path { at, .. } => text[at.clone()].to_owned(),
            Operand::Other => "…".to_owned(),
        };
        let all = operations(text);
        all.iter().map(|it| format!("{} {} {}", one(&it.left), it.sign, one(&it.right))).collect()
    }

    #[test]
    fn operators_and_what_stands_beside_them_are_found() {
        assert_eq!(said("{{ inputs.stall + 60 }}"), ["inputs.stall + number"]);
        assert_eq!(
            said("{{ 1.5 * a.b[0].c }} {% if x>=5 %}{% endif %}"),
            ["number * a.b[0].c", "x >= number"]
        );
        assert_eq!(said("{{ a // 2 ** b }}"), ["a // number", "number ** b"]);
        assert_eq!(said("{{ x | int + 1 }}"), ["… + number"]);
        assert_eq!(said("{{ 1 + x | int }}"), ["number + …"]);
        assert_eq!(said("{{ x is known and 5 > y }}"), ["number > y"]);
        assert_eq!(
            said("{{ (a) + 1 }}{{ f(x) - 1 }}{{ a[i] - 1 }}"),
            ["… + number", "… - number", "… - number"]
        );
        assert_eq!(said("{{ 'a' ~ 5 + x }}{{ x + 5 ~ 'a' }}"), ["… + x", "x + …"]);
        assert_eq!(said("{{ -x }}{{ [-1] }}{{ f(*x) }}{{ x == 'a' }}{{ a != 5 }}"), [] as [&str; 0]);
        assert_eq!(said("{%- if a -%}{{ '1 + b' }}{%- endif -%}"), [] as [&str; 0]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[{}%+*/<>=a.1|is ~\\['\"\\]()é-]{0,40}") {
            operations(&text);
        }
    }
}
