//! A chart in the language of Graphviz.

use std::fmt::Write;

use super::{ArrowKind, Chart, ChartBox, Kind};

/// The chart as a digraph for `dot`.
pub fn dot(chart: &Chart) -> String {
    let mut text = format!("digraph {} {{\n", quoted(&chart.title));
    text.push_str(
        "    rankdir=TB; node [fontname=\"Helvetica\", style=filled]; edge [fontname=\"Helvetica\"];\n",
    );
    scope(&mut text, chart, "", 1);
    for arrow in &chart.arrows {
        let mut how = Vec::new();
        let says = arrow.text();
        if !says.is_empty() {
            how.push(format!("label={}", quoted(&says)));
        }
        if matches!(arrow.kind, ArrowKind::Declined | ArrowKind::Broke) {
            how.push("style=dashed".to_owned());
        }
        if chart.of_a_run {
            let walked = if arrow.walked > 0 { "color=\"#7c3aed\", penwidth=3" } else { "color=\"#d4d4d8\"" };
            how.push(walked.to_owned());
        }
        let (from, to) = (quoted(&arrow.from), quoted(&arrow.to));
        let _ = writeln!(text, "    {from} -> {to} [{}];", how.join(", "));
    }
    text.push_str("}\n");
    text
}

fn scope(text: &mut String, chart: &Chart, within: &str, depth: usize) {
    let pad = "    ".repeat(depth);
    for one in chart.boxes.iter().filter(|one| one.scope == within) {
        let _ = writeln!(text, "{pad}{} [{}];", quoted(&one.id), looks(chart, one).join(", "));
        if one.kind == Kind::Runbook {
            let title = one.step.as_deref().unwrap_or(&one.id);
            let (cluster, title) = (quoted(&format!("cluster_{}", one.id)), quoted(title));
            let _ = writeln!(text, "{pad}subgraph {cluster} {{\n{pad}    label={title};");
            scope(text, chart, &one.id, depth + 1);
            let _ = writeln!(text, "{pad}}}");
        }
    }
}

fn looks(chart: &Chart, one: &ChartBox) -> Vec<String> {
    use crate::plan::EndKind;
    let (shape, fill, word) = match one.kind {
        Kind::Decides => ("hexagon", "#f4f4f5", ""),
        Kind::Reads => ("box", "#e0f2fe", ""),
        Kind::Changes => ("parallelogram", "#fef3c7", ", changes"),
        Kind::Irreversible => ("box", "#fee2e2", ", changes for good"),
        Kind::Runbook => ("component", "#ede9fe", ""),
        Kind::Unknown => ("box", "#ffffff", ""),
        Kind::End(EndKind::Resolved) => ("oval", "#dcfce7", "resolved"),
        Kind::End(EndKind::NoAction) => ("oval", "#f4f4f5", "no action"),
        Kind::End(EndKind::Escalated) => ("oval", "#ffedd5", "escalated"),
    };
    let flow = one.flow.as_ref().map(|flow| format!("{flow}: ")).unwrap_or_default();
    let gate = if one.gated { ", asks first" } else { "" };
    let label = format!("{flow}{}\n{}{word}{gate}", one.title, one.step.as_deref().unwrap_or_default());
    let mut looks =
        vec![format!("label={}", quoted(&label)), format!("shape={shape}"), format!("fillcolor=\"{fill}\"")];
    if one.kind == Kind::Irreversible {
        looks.push("peripheries=2".to_owned());
    }
    if one.here || (chart.of_a_run && one.visits > 0) {
        looks.push("color=\"#7c3aed\", penwidth=3".to_owned());
    } else if chart.of_a_run {
        looks.push("color=\"#d4d4d8\", fontcolor=\"#a1a1aa\"".to_owned());
    } else if one.gated {
        looks.push("penwidth=3".to_owned());
    }
    looks
}

/// A string of the language: quotes and backslashes escaped, line breaks as `\n`, no other control characters.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
