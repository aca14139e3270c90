//! A Mermaid flowchart as a [`Flow`].

use std::ops::Range;

use merman_core::{DiagramParseOutcome, Engine, Error, ParsedEditorFacts};
use serde_json::Value;

use super::commands::lines;
use super::stand_ins::StandIns;
use super::words::{of_markdown, words};
use super::{Flow, FlowArrow, FlowBox, FlowGroup, spots, strict};

/// A text that is no flowchart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FlowError {
    /// What is wrong.
    pub message: String,
    /// Where, in the text; empty if that is not known.
    pub at: Range<usize>,
}

/// Reads a flowchart.
///
/// # Errors
/// If it is none, or Mermaid would refuse it.
pub fn flow(text: &str) -> Result<Flow, FlowError> {
    let mut tried = StandIns::of(text);
    // What is mended leads further on; what is not is the error.
    let mut furthest: Option<FlowError> = None;
    loop {
        let error = match parse(&tried.text) {
            Ok(flow) => return Ok(tried.back(flow)),
            Err(error) => error,
        };
        let at = error.at.start;
        let told = FlowError { at: tried.place(&error.at), ..error.clone() };
        let again = match error.message.as_str() {
            NO_CHARACTER => tried.replace(at),
            message if message.contains("stroke mismatch") => tried.lose_letter(),
            message if message.contains("quote it to use them") => tried.move_quote() || tried.keep_pipes(),
            message if message.contains("invalid flowchart direction") => tried.name_direction(),
            message if message.contains("`@` must be preceded") => tried.keep_ats(),
            message if message.contains("strings cannot be mixed") => {
                tried.join_words(&error.at) || tried.lose_blanks(at)
            }
            _ => false,
        };
        let further = |told: &FlowError| furthest.as_ref().is_none_or(|known| known.at.start < told.at.start);
        if again {
            if further(&told) && !told.at.is_empty() {
                furthest = Some(told);
            }
            continue;
        }
        let line = error.at.is_empty().then(|| line_of(&tried.text, &error)).flatten();
        let told = line.map_or(told, |line| FlowError { at: tried.place(&line), ..error });
        return Err(if further(&told) { told } else { furthest.unwrap_or(told) });
    }
}

/// What is said of a character that is not expected, which may be one that belongs to a name.
pub(super) const NO_CHARACTER: &str = "Mermaid does not expect this character here";

const NO_FLOWCHART: &str = "this is no Mermaid flowchart: it begins with `flowchart` or `graph`";
const NAMES_ARROW: &str = "Mermaid takes what ends with `@` for the name of an arrow: put a label in quotes";

fn parse(text: &str) -> Result<Flow, FlowError> {
    let nowhere = |message: String| FlowError { message, at: 0..0 };
    let none = || nowhere(NO_FLOWCHART.to_owned());
    let snapshot = Engine::new().parse_diagram_snapshot_sync(text).map_err(|error| refused(&error))?;
    let (meta, outcome, facts) = snapshot.ok_or_else(none)?.into_parts();
    if !meta.diagram_type.starts_with("flowchart") {
        return Err(none());
    }
    let model = match outcome {
        DiagramParseOutcome::Parsed { model, .. } => model,
        DiagramParseOutcome::Failed(error) => return Err(refused(&error)),
        DiagramParseOutcome::Panicked(_) => {
            return Err(nowhere("the parser of Mermaid broke on this text".to_owned()));
        }
    };
    let spots = match &facts {
        ParsedEditorFacts::Available(facts) => {
            let all = spots::all(text, facts);
            strict::check(text, &all)?;
            spots::Spots::of(text, &all)
        }
        _ => spots::Spots::default(),
    };
    Ok(of_model(&model, &spots))
}

/// The line of an error of which the parser does not tell the place: the first without which it is gone.
fn line_of(text: &str, error: &FlowError) -> Option<Range<usize>> {
    // How many arrows there are is in some of them.
    let words = |error: &FlowError| error.message.replace(|c: char| c.is_ascii_digit(), "");
    let goes_on = |text: &str| parse(text).err().is_some_and(|other| words(&other) == words(error));
    let links = error.message.contains("linkStyle");
    // Others may end at these, and the first one is the header.
    let alone = |line: &str| {
        let kept = ["subgraph", "end"].iter().any(|begin| line.starts_with(begin));
        !line.is_empty() && !kept && (!links || line.starts_with("linkStyle"))
    };
    let places = lines(text).skip(1).filter(|(line, _)| alone(line)).map(|(_, place)| place);
    let (mut left, mut text) = (places.collect::<Vec<_>>(), text.to_owned());
    while left.len() > 1 {
        let later = left.split_off(left.len() / 2);
        let without = blanked(&text, &later);
        if goes_on(&without) {
            text = without;
        } else {
            left = later;
        }
    }
    left.pop().filter(|line| !goes_on(&blanked(&text, std::slice::from_ref(line))))
}

/// The text with blanks in these places.
fn blanked(text: &str, places: &[Range<usize>]) -> String {
    let mut text = text.to_owned();
    for place in places {
        text.replace_range(place.clone(), &" ".repeat(place.len()));
    }
    text
}

fn refused(error: &Error) -> FlowError {
    match error {
        Error::DiagramParse { diagnostic, .. } => FlowError {
            message: message(diagnostic.message()),
            at: diagnostic.span().map_or(0..0, |span| span.start..span.end),
        },
        other => FlowError { message: message(&other.to_string()), at: 0..0 },
    }
}

/// The parser's sentence without the byte in it, which is shown otherwise.
fn message(text: &str) -> String {
    let known = [
        ("nexpected character at", NO_CHARACTER),
        ("nexpected edge id", NAMES_ARROW),
        ("No diagram type detected", NO_FLOWCHART),
    ];
    let meant = known.iter().find(|(begin, _)| text.contains(begin));
    meant.map_or(text, |(_, meant)| meant).to_owned()
}

fn of_model(model: &Value, spots: &spots::Spots) -> Flow {
    let list = |name: &str| model.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let said = |of: &Value, name: &str| {
        let label = text(of, name);
        if text(of, "labelType") == "markdown" { of_markdown(&label) } else { words(&label) }
    };
    let groups: Vec<FlowGroup> = list("subgraphs")
        .iter()
        .map(|group| FlowGroup {
            // The parser leaves quotes around a name that a title follows.
            id: text(group, "id").trim_matches('"').to_owned(),
            title: said(group, "title"),
            members: group
                .get("nodes")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|member| member.as_str().map(str::to_owned))
                .collect(),
        })
        .collect();
    let boxes = list("nodes").iter().filter_map(|node| {
        let id = text(node, "id");
        // The library makes a box of every group that an arrow or a style names. One without boxes is drawn as one itself.
        let group = groups.iter().find(|group| group.id == id);
        if let Some(group) = group {
            let leads = |name: &str| list("edges").iter().any(|edge| text(edge, name) == id);
            let drawn = group.members.is_empty() && (leads("from") || leads("to"));
            let at = spots.of_box(&id);
            return drawn.then(|| FlowBox { title: group.title.clone(), at, id });
        }
        let title = match spots.later(&id) {
            Some((label, true)) => of_markdown(label),
            Some((label, false)) => words(label),
            None => said(node, "label"),
        };
        let title = if title.is_empty() { id.clone() } else { title };
        Some(FlowBox { at: spots.of_box(&id), title, id })
    });
    let mut seen = spots.arrows();
    let arrows = list("edges").iter().filter_map(|edge| {
        let (from, to, label) = (text(edge, "from"), text(edge, "to"), said(edge, "label"));
        let at = seen.next(&from, &to);
        if text(edge, "stroke") == "invisible" {
            return None;
        }
        Some(FlowArrow { from, to, label: Some(label).filter(|label| !label.is_empty()), at })
    });
    let arrows = arrows.collect();
    let mut boxes: Vec<FlowBox> = boxes.collect();
    // The parser adds boxes that only a style names at the end.
    boxes.sort_by_key(|one| spots.first(&one.id));
    Flow { boxes, arrows, groups }
}
