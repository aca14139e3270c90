//! A chart as a list for the terminal: every box with where its outcomes lead.

use engine::chart::{Arrow, ArrowKind, Chart, ChartBox, Kind};
use engine::plan::EndKind;

use crate::terminal::{Screen, line, wrap};

/// Columns of the sign and the page's box before a title.
const INDENT: usize = 4;

/// The lines of a chart.
pub(crate) fn text(screen: &Screen, chart: &Chart) -> Vec<String> {
    let mut lines = vec![screen.paint.bold(&line(&chart.title)), String::new()];
    for one in chart.boxes.iter().filter(|one| !matches!(one.kind, Kind::End(_)) || one.visits > 0) {
        lines.extend(of_box(screen, one));
        for arrow in chart.leaving(&one.id) {
            lines.extend(of_arrow(screen, chart, arrow));
        }
    }
    lines.push(String::new());
    lines.extend(legend(screen, chart));
    lines
}

fn of_box(screen: &Screen, one: &ChartBox) -> Vec<String> {
    let (paint, depth) = (screen.paint, one.scope.split('/').filter(|part| !part.is_empty()).count());
    let sign = sign(screen, one);
    let again = if one.visits > 1 { format!(", {} times", one.visits) } else { String::new() };
    let here = if one.here { ", the run stands here" } else { "" };
    let flow = one.flow.as_deref().map(|flow| format!("{} ", line(flow))).unwrap_or_default();
    let mut about = match one.kind {
        Kind::End(end) => end.word().replace('_', " "),
        _ => line(one.step.as_deref().unwrap_or_default()),
    };
    if one.gated {
        about.push_str(", asks first");
    }
    let head = format!("{flow}{}", line(&one.title));
    let indent = depth * 2;
    let mut lines = wrap(&head, indent + INDENT - 2, screen.width());
    if let Some(first) = lines.first_mut() {
        *first = format!("{}{sign} {}", " ".repeat(indent), paint.bold(first.trim_start()));
    }
    let about = format!("{} {} {about}{again}{here}", line(&one.id), screen.glyphs.dot);
    lines.extend(wrap(&about, indent + INDENT, screen.width()).iter().map(|text| paint.dim(text)));
    lines
}

fn of_arrow(screen: &Screen, chart: &Chart, arrow: &Arrow) -> Vec<String> {
    let (paint, depth) = (screen.paint, arrow.from.matches('/').count());
    let says = match arrow.kind {
        ArrowKind::Enters => "begins with".to_owned(),
        ArrowKind::Declined | ArrowKind::Broke => arrow.text(),
        ArrowKind::Outcome => {
            let word = |says: &engine::chart::Says| match &says.label {
                Some(label) => format!("{} \"{}\"", line(&says.outcome), line(label)),
                None => line(&says.outcome),
            };
            arrow.says.iter().map(word).collect::<Vec<_>>().join(", ")
        }
    };
    let target = match chart.get(&arrow.to).map(|to| to.kind) {
        Some(Kind::End(end)) => format!("{} ({})", line(&arrow.to), end.word().replace('_', " ")),
        _ => line(&arrow.to),
    };
    let space = if says.is_empty() { "" } else { " " };
    let indent = depth * 2 + INDENT;
    let mut lines =
        wrap(&format!("{says}{space}{} {target}", screen.glyphs.arrow), indent + 2, screen.width());
    if arrow.walked > 0 {
        lines = lines.iter().map(|text| paint.good(text)).collect();
        if let Some(first) = lines.first_mut() {
            *first =
                format!("{}{} {}", " ".repeat(indent), paint.good(screen.glyphs.done), first.trim_start());
        }
    }
    lines
}

fn sign(screen: &Screen, one: &ChartBox) -> String {
    let (paint, glyphs) = (screen.paint, screen.glyphs);
    match one.kind {
        Kind::Decides => paint.dim("?"),
        Kind::Reads | Kind::Unknown => paint.word(glyphs.dot),
        Kind::Changes => paint.warn(glyphs.changed),
        Kind::Irreversible => paint.bad(glyphs.changed),
        Kind::Runbook => paint.word(glyphs.into),
        Kind::End(EndKind::Resolved | EndKind::NoAction) => paint.good(glyphs.done),
        Kind::End(EndKind::Escalated) => paint.warn(glyphs.escalated),
    }
}

/// What the signs that occur mean.
fn legend(screen: &Screen, chart: &Chart) -> Vec<String> {
    let known: [(Kind, &str); 5] = [
        (Kind::Decides, "decides"),
        (Kind::Reads, "reads"),
        (Kind::Changes, "changes"),
        (Kind::Irreversible, "changes for good"),
        (Kind::Runbook, "runs another runbook"),
    ];
    let words = known.iter().filter_map(|(kind, word)| {
        let one = chart.boxes.iter().find(|one| one.kind == *kind)?;
        Some(format!("{} {word}", sign(screen, one)))
    });
    let mut words: Vec<String> = words.collect();
    if chart.of_a_run {
        words.push(format!("{} the way of the run", screen.paint.good(screen.glyphs.done)));
    }
    wrap(&words.join("   "), 0, screen.width())
}
