//! What a label says, whatever it is dressed in.

use pulldown_cmark::{Event, Parser};

/// The words of a label on one line: tags are dropped, breaks (`<br/>`, a line break, `\n` as two characters) are spaces.
pub fn words(label: &str) -> String {
    let label = label.replace("\\n", " ");
    let mut text = String::with_capacity(label.len());
    let mut rest = label.as_str();
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        match tag(rest) {
            Some(len) => {
                if is_break(&rest[1..len - 1]) {
                    text.push(' ');
                }
                rest = &rest[len..];
            }
            None => {
                text.push('<');
                rest = &rest[1..];
            }
        }
    }
    text.push_str(rest);
    // The parser escapes what was written as it is.
    for (entity, sign) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")] {
        text = text.replace(entity, sign);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The words of a label in Markdown, of which Mermaid reads what is within a line: `1. x` and `# x` are what they are.
pub(super) fn of_markdown(label: &str) -> String {
    let lines: Vec<String> = label.lines().map(|line| format!("{NO_BLOCK}{}", line.trim_start())).collect();
    let mut text = String::new();
    for event in Parser::new(&lines.join("\n")) {
        match event {
            Event::Text(words) | Event::Code(words) => text.push_str(&words),
            Event::SoftBreak | Event::HardBreak | Event::End(_) => text.push(' '),
            Event::InlineHtml(tag) | Event::Html(tag) => text.push_str(&tag),
            _ => {}
        }
    }
    words(&text.replace(NO_BLOCK, ""))
}

/// A sign with which no block of Markdown begins, nor any label.
const NO_BLOCK: char = '\u{2e30}';

/// Whether what comes after a tag is on another line: `br/`, `/li`, `p class="x"`.
fn is_break(tag: &str) -> bool {
    let tag = tag.trim_start_matches('/');
    let name = tag.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    BREAKS.iter().any(|block| name.eq_ignore_ascii_case(block))
}

const BREAKS: [&str; 17] = [
    "br", "hr", "p", "div", "li", "ul", "ol", "tr", "td", "th", "table", "pre", "h1", "h2", "h3", "h4", "h5",
];

/// The length of the tag with which a text begins: `<b>`, `</b>`, `<br/>`, `<a href="…">`.
fn tag(text: &str) -> Option<usize> {
    let name = text.strip_prefix("</").or_else(|| text.strip_prefix('<'))?;
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    text.find('>').map(|at| at + 1)
}
