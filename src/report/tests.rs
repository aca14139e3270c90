//! Hostile text in every place of a report: it shows, and is never markup.

use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag};
use serde_json::Value;

use super::escape;
use super::model::Report;
use super::{html, markdown};

/// A report in which every list has something.
fn sample() -> Value {
    serde_json::from_str(include_str!("sample.json")).unwrap()
}

/// Every text of the report with `more` behind it, but times and words that are fixed.
fn with(value: &mut Value, more: &str) {
    match value {
        Value::String(text) => {
            let fixed = ["visit", "agreed", "ended", "bytes"].contains(&text.as_str())
                || text.starts_with("2026-11-24T");
            if !fixed {
                text.push_str(more);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|one| with(one, more)),
        Value::Object(map) => map.values_mut().for_each(|one| with(one, more)),
        _ => {}
    }
}

fn report(more: &str) -> Report {
    let mut value = sample();
    with(&mut value, more);
    serde_json::from_value(value).unwrap()
}

/// Names of the elements and attributes of a page, in order; that it is XML says that nothing broke out of its place.
fn shape(page: &str) -> Vec<String> {
    let body = page.strip_prefix("<!DOCTYPE html>").unwrap();
    let page =
        roxmltree::Document::parse(body.trim_start()).unwrap_or_else(|error| panic!("{error}: {body}"));
    let elements = page.descendants().filter(|node| node.is_element());
    elements
        .map(|node| {
            let attributes: Vec<&str> = node.attributes().map(|attribute| attribute.name()).collect();
            format!("{} {}", node.tag_name().name(), attributes.join(" "))
        })
        .collect()
}

/// Text of the same length and lines that means nothing.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { c } else { 'x' }).collect()
}

const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</style></pre></code><iframe src=//evil.example>",
    "]]><!-- {{ 7 * 7 }} {% raw %} -->",
    "&lt;b&gt; &#60;script&#62;",
    "\u{1b}[2J\u{202e}\u{0}\u{feff}\u{ffff}",
    "javascript:alert(1) https://evil.example www.evil.example",
];

#[test]
fn hostile_text_changes_nothing_about_a_page() {
    let flow = "<svg xmlns=\"http://www.w3.org/2000/svg\"><text>a</text></svg>";
    let expected = shape(&html(&report(""), Some(flow)).unwrap());
    for element in ["script", "iframe", "img", "link", "a", "object", "form", "base"] {
        assert!(!expected.iter().any(|found| found.split(' ').next() == Some(element)), "{element}");
    }
    let handlers = expected.iter().flat_map(|element| element.split(' ').skip(1));
    assert!(
        handlers
            .into_iter()
            .all(|name| !name.starts_with("on") && !["src", "href", "action"].contains(&name))
    );
    for text in HOSTILE {
        let page = |text: &str| shape(&html(&report(text), Some(flow)).unwrap());
        assert_eq!(page(text).len(), page(&harmless(text)).len(), "{text}");
        let shown = html(&report(text), None).unwrap();
        assert!(
            !shown.contains("<script") && !shown.contains("<img") && !shown.contains("<iframe"),
            "{text}"
        );
    }
}

/// What a reader of Markdown makes of a page: markup only, text left out.
fn markup(page: &str) -> Vec<String> {
    let all = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_MATH;
    Parser::new_ext(page, all)
        .filter_map(|event| match event {
            Event::Text(_) | Event::SoftBreak | Event::Code(_) => None,
            Event::Start(Tag::CodeBlock(_)) => Some("code block".to_owned()),
            other => Some(format!("{other:?}").chars().take(40).collect()),
        })
        .collect()
}

#[test]
fn hostile_text_changes_nothing_about_markdown() {
    let more = [
        "`x` ``` ",
        "**x** _y_ ~~z~~",
        "[a](https://evil.example) ![i](x)",
        "| a | b |",
        "\n\n# head\n- item\n> q",
        "$x$ <b>",
        "\\",
    ];
    for text in HOSTILE.iter().chain(&more) {
        let page = |text: &str| markup(&markdown(&report(text), "flowchart TD"));
        assert_eq!(page(text), page(&harmless(text)), "{text}");
    }
}

proptest! {
    #[test]
    fn text_in_markdown_is_text(text in "[ -~äö→\\n]{0,40}") {
        for page in [format!("- {}\n", escape::markdown(&text)), format!("a: **{}** b\n", escape::markdown(&format!("x{text}y")))] {
            let all = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES | Options::ENABLE_MATH;
            for event in Parser::new_ext(&page, all) {
                let plain = matches!(event, Event::Text(_)
                    | Event::Start(Tag::List(None) | Tag::Item | Tag::Paragraph | Tag::Strong) | Event::End(_));
                prop_assert!(plain, "{page:?}: {event:?}");
            }
        }
    }

    #[test]
    fn code_in_markdown_is_code(text in "[ -~ä→]{1,40}") {
        prop_assume!(!text.trim().is_empty());
        let page = format!("a {} b", escape::markdown_code(&text));
        let codes: Vec<String> = Parser::new(&page).filter_map(|event| match event {
            Event::Code(code) => Some(code.to_string()),
            _ => None,
        }).collect();
        prop_assert_eq!(codes, [text]);
    }

    #[test]
    fn text_in_html_comes_back(text in "\\PC{0,40}") {
        let page = format!("<p title=\"{0}\">{0}</p>", escape::html_exact(&text));
        let parsed = roxmltree::Document::parse(&page).unwrap();
        let shown = parsed.root_element().text().unwrap_or_default();
        prop_assert_eq!(shown, crate::terminal::exact(&text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"));
    }
}

#[test]
fn the_schema_is_written_down() {
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(Report)).unwrap() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/report.schema.json");
    if std::env::var_os("INSTA_UPDATE").is_some_and(|value| value == "always") {
        std::fs::write(path, &schema).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), schema, "INSTA_UPDATE=always writes it");
}
