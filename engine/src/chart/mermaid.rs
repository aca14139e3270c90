//! A chart as Mermaid.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{ArrowKind, Chart, ChartBox, Kind};
use crate::plan::EndKind;

/// Words that begin a statement or end a subgraph: no box may be named so.
const KEYWORDS: [&str; 13] = [
    "end",
    "graph",
    "subgraph",
    "flowchart",
    "style",
    "linkstyle",
    "classdef",
    "class",
    "click",
    "href",
    "call",
    "default",
    "direction",
];

/// The chart as Mermaid text: a `flowchart TB` with one class per kind of box, `gate` for those that ask first, `faded`
/// for what a run passed by and `here` for where it stands.
pub fn mermaid(chart: &Chart) -> String {
    let mut text = String::from("flowchart TB\n");
    scope(&mut text, chart, "", 1);
    for arrow in &chart.arrows {
        let line = match arrow.kind {
            ArrowKind::Outcome | ArrowKind::Enters => "-->",
            ArrowKind::Declined | ArrowKind::Broke => "-.->",
        };
        let says = arrow.text();
        let says = if says.is_empty() { String::new() } else { format!("|\"{}\"|", escape(&says)) };
        let _ = writeln!(text, "    {} {line}{says} {}", name(&arrow.from), name(&arrow.to));
    }
    styles(&mut text, chart);
    text
}

/// The boxes of one runbook; those of inlined ones in subgraphs.
fn scope(text: &mut String, chart: &Chart, within: &str, depth: usize) {
    let pad = "    ".repeat(depth);
    for one in chart.boxes.iter().filter(|one| one.scope == within) {
        let (open, close) = match one.kind {
            Kind::Decides => ("{{", "}}"),
            Kind::Reads | Kind::Unknown => ("[", "]"),
            Kind::Changes => ("[/", "/]"),
            Kind::Irreversible => ("[[", "]]"),
            Kind::Runbook => ("(", ")"),
            Kind::End(_) => ("([", "])"),
        };
        let _ = writeln!(text, "{pad}{}{open}\"{}\"{close}", name(&one.id), label(one));
        if one.kind == Kind::Runbook {
            let title = one.step.as_deref().unwrap_or(&one.id);
            let _ = writeln!(text, "{pad}subgraph {}.inside [\"{}\"]", name(&one.id), escape(title));
            scope(text, chart, &one.id, depth + 1);
            let _ = writeln!(text, "{pad}end");
        }
    }
}

/// The words of a box: nothing is told by colour alone.
fn label(one: &ChartBox) -> String {
    let flow = one.flow.as_ref().map(|flow| format!("{}: ", escape(flow))).unwrap_or_default();
    let again = if one.visits > 1 { format!(" ({} times)", one.visits) } else { String::new() };
    let mut second: Vec<String> = one.step.iter().map(|step| escape(step)).collect();
    match one.kind {
        Kind::End(end) => second.push(end.word().replace('_', " ")),
        Kind::Changes => second.push("changes".to_owned()),
        Kind::Irreversible => second.push("changes for good".to_owned()),
        Kind::Decides | Kind::Reads | Kind::Runbook | Kind::Unknown => {}
    }
    if one.gated {
        second.push("asks first".to_owned());
    }
    format!("{flow}{}{again}<br/>{}", escape(&one.title), second.join(", "))
}

fn styles(text: &mut String, chart: &Chart) {
    const INK: &str = "color:#18181b";
    let mut classes: Vec<(&str, &str, String)> = Vec::new();
    for one in &chart.boxes {
        let (class, colours) = colours(one.kind);
        classes.push((class, colours, name(&one.id)));
    }
    let used: BTreeSet<(&str, &str)> = classes.iter().map(|(class, colours, _)| (*class, *colours)).collect();
    for (class, colours) in used {
        let _ = writeln!(text, "    classDef {class} {colours},{INK}");
        let members: Vec<&str> =
            classes.iter().filter(|(of, _, _)| *of == class).map(|(_, _, name)| name.as_str()).collect();
        let _ = writeln!(text, "    class {} {class}", members.join(","));
    }
    let faded = |one: &ChartBox| chart.of_a_run && one.visits == 0 && !one.here;
    let mut also = |class: &str, style: &str, is: &dyn Fn(&ChartBox) -> bool| {
        let members: Vec<String> =
            chart.boxes.iter().filter(|one| is(one)).map(|one| name(&one.id)).collect();
        if !members.is_empty() {
            let _ = writeln!(text, "    classDef {class} {style}\n    class {} {class}", members.join(","));
        }
    };
    also("gate", "stroke-width:3px", &|one| one.gated);
    also("faded", "opacity:0.4", &faded);
    also("here", "stroke:#7c3aed,stroke-width:5px", &|one| one.here);
    if chart.of_a_run {
        let mut link = |style: &str, walked: bool| {
            let arrows = chart.arrows.iter().enumerate().filter(|(_, arrow)| (arrow.walked > 0) == walked);
            let numbers: Vec<String> = arrows.map(|(at, _)| at.to_string()).collect();
            if !numbers.is_empty() {
                let _ = writeln!(text, "    linkStyle {} {style}", numbers.join(","));
            }
        };
        link("stroke:#7c3aed,stroke-width:4px", true);
        link("stroke:#d4d4d8,stroke-width:1px", false);
    }
}

fn colours(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Decides => ("decides", "fill:#f4f4f5,stroke:#71717a"),
        Kind::Reads => ("reads", "fill:#e0f2fe,stroke:#0284c7"),
        Kind::Changes => ("changes", "fill:#fef3c7,stroke:#d97706"),
        Kind::Irreversible => ("irreversible", "fill:#fee2e2,stroke:#dc2626"),
        Kind::Runbook => ("runbook", "fill:#ede9fe,stroke:#7c3aed"),
        Kind::Unknown => ("unknown", "fill:#ffffff,stroke:#71717a"),
        Kind::End(EndKind::Resolved) => ("resolved", "fill:#dcfce7,stroke:#16a34a"),
        Kind::End(EndKind::NoAction) => ("no_action", "fill:#f4f4f5,stroke:#16a34a"),
        Kind::End(EndKind::Escalated) => ("escalated", "fill:#ffedd5,stroke:#ea580c"),
    }
}

/// A name that Mermaid takes for nothing else.
fn name(id: &str) -> String {
    let dotted = id.replace('/', ".");
    let taken = dotted.split('.').any(|part| KEYWORDS.contains(&part));
    if taken { format!("n_{dotted}") } else { dotted }
}

/// Text within a quoted label: nothing of it is markup, Markdown, an entity or a line break.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '"' => escaped.push_str("#quot;"),
            '<' => escaped.push_str("#lt;"),
            '>' => escaped.push_str("#gt;"),
            '#' => escaped.push_str("#35;"),
            '&' => escaped.push_str("#amp;"),
            '`' | '\\' => {
                let _ = write!(escaped, "#{};", u32::from(c));
            }
            // Two of them begin a formula, escaped or not: a word joiner between them does not show.
            '$' if escaped.ends_with('$') => escaped.push_str("\u{2060}$"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
