//! Values as a shell writes them: read where they are literal, written in the style they had.

use std::ops::Range;

use engine::site::quote;
use tree_sitter::Node;

/// How a value is quoted where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `A=b`
    Bare,
    /// `A='b'`
    Single,
    /// `A="b"`
    Double,
}

/// What stands to the right of an assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// The shell takes it as it stands.
    Literal(String),
    /// `${A:-default}` of the assigned variable itself, alone or in double quotes.
    OwnDefault {
        /// The default.
        text: String,
        /// Where it stands.
        range: Range<usize>,
        /// Whether an empty value gives way to the default, too (`:-`, `:=`).
        over_empty: bool,
    },
    /// Only running the script tells.
    Computed,
}

/// The style in which the value node is written.
pub(super) fn style(node: Node<'_>) -> Style {
    match node.kind() {
        "raw_string" => Style::Single,
        "string" => Style::Double,
        _ => Style::Bare,
    }
}

/// Reads the value that `node` assigns to `name`.
pub(super) fn value(node: Node<'_>, name: &str, source: &str) -> Value {
    if let Some(text) = literal(node, source) {
        // Unquoted `~` at the start or after a colon is a home directory (bash manual, "Tilde Expansion").
        let bare = &source[node.byte_range()];
        let tilde = style(node) == Style::Bare && (bare.starts_with('~') || bare.contains(":~"));
        return if tilde { Value::Computed } else { Value::Literal(text) };
    }
    let expansion = match node.kind() {
        "string" => node.named_child(0).filter(|inner| {
            inner.start_byte() == node.start_byte() + 1 && inner.end_byte() + 1 == node.end_byte()
        }),
        _ => Some(node),
    };
    expansion.and_then(|node| own_default(node, name, source)).unwrap_or(Value::Computed)
}

/// `${name:-literal}`, and its forms with `-`, `:=` and `=`.
pub(super) fn own_default(node: Node<'_>, name: &str, source: &str) -> Option<Value> {
    if node.kind() != "expansion" {
        return None;
    }
    let mut cursor = node.walk();
    let children: Vec<Node<'_>> = node.children(&mut cursor).collect();
    let (open, variable, operator, rest, close) = match children.as_slice() {
        [open, variable, operator, rest @ .., close] => (open, variable, operator, rest, close),
        _ => return None,
    };
    let known = open.kind() == "${" && close.kind() == "}" && variable.kind() == "variable_name";
    let over_empty = match operator.kind() {
        ":-" | ":=" => true,
        "-" | "=" => false,
        _ => return None,
    };
    if !known || &source[variable.byte_range()] != name {
        return None;
    }
    let range = operator.end_byte()..close.start_byte();
    let text = match rest {
        [] if range.is_empty() => String::new(),
        [one] if one.byte_range() == range => literal(*one, source)?,
        _ => return None,
    };
    Some(Value::OwnDefault { text, range, over_empty })
}

/// The text of a node in which the shell has nothing to expand.
pub(super) fn literal(node: Node<'_>, source: &str) -> Option<String> {
    let text = &source[node.byte_range()];
    match node.kind() {
        "word" | "number" if node.named_child_count() == 0 => Some(unescape(text, |_| true)),
        "raw_string" => Some(text.strip_prefix('\'')?.strip_suffix('\'')?.to_owned()),
        "string" => {
            let mut cursor = node.walk();
            if node.named_children(&mut cursor).any(|child| child.kind() != "string_content") {
                return None;
            }
            // In double quotes a backslash only escapes these (bash manual, "Double Quotes").
            Some(unescape(text.strip_prefix('"')?.strip_suffix('"')?, |c| {
                matches!(c, '$' | '`' | '"' | '\\')
            }))
        }
        "concatenation" => {
            let mut whole = String::new();
            let mut at = node.start_byte();
            let mut cursor = node.walk();
            for child in node.children(&mut cursor) {
                if child.start_byte() != at {
                    return None;
                }
                at = child.end_byte();
                whole.push_str(&literal(child, source)?);
            }
            (at == node.end_byte()).then_some(whole)
        }
        _ => None,
    }
}

/// Takes away backslashes before characters that they escape; an escaped line end vanishes.
fn unescape(text: &str, escapes: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('\n') => {}
            Some(next) if escapes(next) => out.push(next),
            Some(next) => out.extend(['\\', next]),
            None => out.push('\\'),
        }
    }
    out
}

/// Writes `value` so that a shell reads exactly it, in `style` where that can carry it.
pub(super) fn render(value: &str, style: Style) -> String {
    match style {
        Style::Single if !value.contains('\'') => format!("'{value}'"),
        Style::Double => {
            let mut out = String::from("\"");
            for c in value.chars() {
                if matches!(c, '$' | '`' | '"' | '\\') {
                    out.push('\\');
                }
                out.push(c);
            }
            out.push('"');
            out
        }
        Style::Bare | Style::Single => quote(value),
    }
}

/// Whether `value` needs no quotes, so that it may stand inside `${A:-…}` as well.
pub(super) fn is_plain(value: &str) -> bool {
    !value.is_empty() && quote(value) == value
}
