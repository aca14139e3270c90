//! A runbook as it was written: every name and text with its place, nothing resolved yet.

use std::time::Duration;

use super::node::{Node, Word};
use crate::diagnostic::Span;
use crate::plan::{EndKind, InputSpec, Retry};
use crate::run::Rule;

/// One runbook.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) name: Word,
    pub(crate) title: String,
    pub(crate) severity: Option<String>,
    /// The written page beside it.
    pub(crate) page: Option<Word>,
    /// Where it differs from that page on purpose.
    pub(crate) differs: Vec<Differs>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) vars: Vec<(Word, Node)>,
    pub(crate) start: Option<Word>,
    pub(crate) nodes: Vec<DocNode>,
    /// Texts that are shown as written and were given as templates.
    pub(crate) plain: Vec<Word>,
}

/// One input.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) name: Word,
    pub(crate) spec: InputSpec,
}

/// One difference from the page that is on purpose.
#[derive(Debug, Clone)]
pub(crate) struct Differs {
    /// What kind of thing differs.
    pub(crate) what: Differing,
    /// Which, as written.
    pub(crate) which: Word,
}

/// What can differ from the page on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Differing {
    /// The graph has a way that the page does not draw: `K -> A`.
    Way,
    /// The page draws an arrow along which no way leads: `K -> A`.
    Arrow,
    /// The page has a box that is no node.
    Box,
    /// A node of a box says something else than the box.
    Title,
    /// The page has a command that no step runs as written, or a step runs one that is not on the page.
    Command,
}

/// One node.
#[derive(Debug, Clone)]
pub(crate) struct DocNode {
    pub(crate) name: Word,
    pub(crate) title: Option<Word>,
    pub(crate) flow: Option<Word>,
    pub(crate) why: Option<String>,
    pub(crate) body: DocBody,
}

/// What happens at a node.
#[derive(Debug, Clone)]
pub(crate) enum DocBody {
    Step(Box<DocStep>),
    Runbook(DocRunbook),
    End {
        end: EndKind,
        end_at: Span,
        message: Option<Word>,
    },
    /// What was written is no node; the error was reported. Its name still counts.
    Broken,
}

/// A node that binds to a step.
#[derive(Debug, Clone)]
pub(crate) struct DocStep {
    pub(crate) kind: Word,
    pub(crate) with: Option<Node>,
    pub(crate) approve: DocApprove,
    pub(crate) undo: Option<Box<DocUndo>>,
    pub(crate) retry: Option<Box<Retry>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_visits: Option<u32>,
    pub(crate) on_failure: DocFailure,
    pub(crate) for_each: Option<Box<DocForEach>>,
    pub(crate) refine: Vec<(Word, Word)>,
    pub(crate) set: Vec<(Word, Node)>,
    pub(crate) next: DocNext,
    pub(crate) declined: Option<Word>,
}

/// A node that runs another runbook.
#[derive(Debug, Clone)]
pub(crate) struct DocRunbook {
    pub(crate) runbook: Word,
    pub(crate) inputs: Vec<(Word, Node)>,
    pub(crate) max_visits: Option<u32>,
    pub(crate) next: DocNext,
}

/// The gate as written.
#[derive(Debug, Clone)]
pub(crate) enum DocApprove {
    Default,
    Required { prompt: Option<Word>, rule: Box<Rule> },
    Never { at: Span },
}

/// The undo as written.
#[derive(Debug, Clone)]
pub(crate) enum DocUndo {
    Auto { at: Span },
    Step { kind: Word, with: Option<Node> },
}

/// `on_failure` as written.
#[derive(Debug, Clone)]
pub(crate) enum DocFailure {
    Default,
    Stop(Span),
    Unwind(Span),
    Goto(Word),
}

/// A fan-out as written.
#[derive(Debug, Clone)]
pub(crate) struct DocForEach {
    pub(crate) items: Word,
    pub(crate) item: Word,
    pub(crate) at_once: u32,
    pub(crate) tolerate: u32,
}

/// Edges as written.
#[derive(Debug, Clone, Default)]
pub(crate) struct DocNext {
    /// Where they are written: the key `next`.
    pub(crate) at: Option<Span>,
    pub(crate) edges: Vec<DocEdge>,
    /// `otherwise`, or the single target.
    pub(crate) otherwise: Option<Word>,
    /// It is a single target, so `otherwise` is not a word that the author wrote.
    pub(crate) single: bool,
    /// Something in it was wrong and was reported: what is missing may be that.
    pub(crate) broken: bool,
}

/// One edge.
#[derive(Debug, Clone)]
pub(crate) struct DocEdge {
    pub(crate) outcome: Word,
    pub(crate) to: Word,
    pub(crate) label: Option<Word>,
}
