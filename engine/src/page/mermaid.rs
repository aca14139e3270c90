//! A Mermaid flowchart as a [`Flow`].

use std::ops::Range;

use merman_core::{DiagramParseOutcome, Engine, Error, ParsedEditorFacts};
use serde_json::Value;

use super::words::{of_markdown, words};
use super::{Flow, FlowArrow, FlowBox, FlowGroup, spots};

/// A text that is no flowchart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FlowError {
    /// What is wrong.
    pub message: String,
    /// Where, in the text; empty if that is not known.
    pub at: Range<usize>,
}

/// Signs that Mermaid has in names and its parser here has not. Each stands for itself in the middle of a name.
const SIGNS: [(char, char); 9] = [
    ('/', '\u{16c7}'),
    ('?', '\u{294}'),
    ('!', '\u{1c3}'),
    ('+', '\u{16ed}'),
    ('$', '\u{16a0}'),
    ('%', '\u{16a2}'),
    ('\'', '\u{2bc}'),
    ('*', '\u{16a6}'),
    ('\\', '\u{16a8}'),
];
/// How many of them are put up with in one text.
const MOST_SIGNS: usize = 64;

/// Reads a flowchart.
///
/// # Errors
/// If it is none, or Mermaid would refuse it.
pub fn flow(text: &str) -> Result<Flow, FlowError> {
    let mut tried = Tried { text: text.to_owned(), put: Vec::new() };
    loop {
        match parse(&tried.text) {
            Ok(flow) => return Ok(tried.back(flow)),
            Err(error) if tried.put.len() < MOST_SIGNS && tried.replace(&error) => {}
            Err(mut error) => {
                error.at = tried.place(&error.at);
                return Err(error);
            }
        }
    }
}

/// A text in which signs were replaced.
struct Tried {
    text: String,
    /// Where (in the replaced text), and by how many bytes more.
    put: Vec<(usize, usize)>,
}

impl Tried {
    /// Replaces the sign at which the parser stopped, if it is one that belongs to a name.
    fn replace(&mut self, error: &FlowError) -> bool {
        let at = error.at.start;
        let sign = self.text.get(at..).and_then(|rest| rest.chars().next());
        let Some((_, stand_in)) = SIGNS.iter().find(|(written, _)| Some(*written) == sign) else {
            return false;
        };
        self.text.replace_range(at..=at, stand_in.encode_utf8(&mut [0; 4]));
        let more = stand_in.len_utf8() - 1;
        self.put.iter_mut().filter(|(put, _)| *put > at).for_each(|(put, _)| *put += more);
        self.put.push((at, more));
        true
    }

    fn place(&self, at: &Range<usize>) -> Range<usize> {
        let byte = |at: usize| {
            at - self.put.iter().filter(|(put, _)| *put < at).map(|(_, more)| more).sum::<usize>()
        };
        byte(at.start)..byte(at.end)
    }

    fn back(&self, mut flow: Flow) -> Flow {
        if self.put.is_empty() {
            return flow;
        }
        let name = |text: &mut String| {
            for (written, stand_in) in SIGNS {
                *text = text.replace(stand_in, written.encode_utf8(&mut [0; 4]));
            }
        };
        for one in &mut flow.boxes {
            name(&mut one.id);
            name(&mut one.title);
            one.at = self.place(&one.at);
        }
        for arrow in &mut flow.arrows {
            name(&mut arrow.from);
            name(&mut arrow.to);
            arrow.at = self.place(&arrow.at);
        }
        flow.groups.iter_mut().flat_map(|group| &mut group.members).for_each(name);
        flow
    }
}

fn parse(text: &str) -> Result<Flow, FlowError> {
    let nowhere = |message: String| FlowError { message, at: 0..0 };
    let none = || nowhere("this is no Mermaid flowchart: it begins with `flowchart` or `graph`".to_owned());
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
        ParsedEditorFacts::Available(facts) => spots::Spots::of(text, facts),
        _ => spots::Spots::default(),
    };
    Ok(of_model(&model, &spots))
}

fn refused(error: &Error) -> FlowError {
    match error {
        Error::DiagramParse { diagnostic, .. } => FlowError {
            message: message(diagnostic.message()),
            at: diagnostic.span().map_or(0..0, |span| span.start..span.end),
        },
        other => FlowError { message: other.to_string(), at: 0..0 },
    }
}

/// The parser's sentence without the byte in it, which is shown otherwise.
fn message(text: &str) -> String {
    match text.find("nexpected character at") {
        Some(_) => "Mermaid does not expect this character here".to_owned(),
        None => text.to_owned(),
    }
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
            id: text(group, "id"),
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
        // The library makes a box of every group that an arrow or a style names.
        if groups.iter().any(|group| group.id == id) {
            return None;
        }
        let title = said(node, "label");
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
    Flow { boxes: boxes.collect(), arrows: arrows.collect(), groups }
}
