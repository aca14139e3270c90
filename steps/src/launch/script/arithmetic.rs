//! Arithmetic of the shell on whole numbers that are known: `$((GLOBAL / (MICRO * 8)))`.

/// The value of an expression, or `None` if it holds anything but numbers, variables that `number` knows, `+ - * / %` and
/// brackets, or does not come out.
pub(super) fn evaluate(text: &str, number: &mut dyn FnMut(&str) -> Option<i64>) -> Option<i64> {
    let mut parser = Parser { rest: text, number, depth: 0 };
    let value = parser.sum()?;
    parser.rest.trim().is_empty().then_some(value)
}

struct Parser<'t, 'n> {
    rest: &'t str,
    number: &'n mut dyn FnMut(&str) -> Option<i64>,
    depth: usize,
}

/// Deepest nesting of brackets and signs.
const DEEPEST: usize = 30;

impl Parser<'_, '_> {
    fn sign(&mut self, signs: &[char]) -> Option<char> {
        self.rest = self.rest.trim_start();
        let sign = self.rest.chars().next().filter(|c| signs.contains(c))?;
        // `**`, `++`, `<<` and their like mean something else.
        let doubled = self.rest[1..].starts_with(['*', '+', '-', '=']);
        if doubled && sign != '(' {
            return None;
        }
        self.rest = &self.rest[1..];
        Some(sign)
    }

    fn sum(&mut self) -> Option<i64> {
        let mut value = self.product()?;
        while let Some(sign) = self.sign(&['+', '-']) {
            let other = self.product()?;
            value = if sign == '+' { value.checked_add(other) } else { value.checked_sub(other) }?;
        }
        Some(value)
    }

    fn product(&mut self) -> Option<i64> {
        let mut value = self.atom()?;
        while let Some(sign) = self.sign(&['*', '/', '%']) {
            let other = self.atom()?;
            value = match sign {
                '*' => value.checked_mul(other),
                '/' => value.checked_div(other),
                _ => value.checked_rem(other),
            }?;
        }
        Some(value)
    }

    fn atom(&mut self) -> Option<i64> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let value = self.inner();
        self.depth -= 1;
        value
    }

    fn inner(&mut self) -> Option<i64> {
        if self.sign(&['(']).is_some() {
            let value = self.sum()?;
            return self.sign(&[')']).map(|_| value);
        }
        if self.sign(&['-']).is_some() {
            return self.atom()?.checked_neg();
        }
        let rest = self.rest;
        let (open, rest) = match rest.strip_prefix("${").map(|rest| (true, rest)) {
            Some(braced) => braced,
            None => (false, rest.strip_prefix('$').unwrap_or(rest)),
        };
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = if open { rest.strip_prefix('}')? } else { rest };
        match word.bytes().next()? {
            // A zero in front makes it octal or hexadecimal.
            b'0' if word.len() > 1 => None,
            b'0'..=b'9' => word.parse().ok(),
            _ => (self.number)(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str) -> Option<i64> {
        evaluate(text, &mut |name| match name {
            "A" => Some(6),
            "B" => Some(4),
            _ => None,
        })
    }

    #[test]
    fn known_numbers_are_reckoned() {
        for (text, expected) in [
            (" A * B ", Some(24)),
            ("$A/${B}+1", Some(2)),
            ("2 * (A - B) % 3", Some(1)),
            ("-A + 10", Some(4)),
            ("A / 0", None),
            ("A ** 2", None),
            ("C + 1", None),
            ("010", None),
            ("A ? 1 : 2", None),
            ("A++", None),
            ("A == 6", None),
            ("", None),
            ("9223372036854775807 + 1", None),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}|[AB0-9()+*/%${} -]{0,40}") {
            let _ = value(&text);
        }
    }
}
