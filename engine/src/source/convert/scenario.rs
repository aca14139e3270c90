//! Scenarios.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::input::fits;
use crate::check::{Findings, codes};
use crate::diagnostic::Span;
use crate::plan::{Body, PlanData};
use crate::scenario::{Expect, Fault, How, Passed, Scenario, Told, Trouble, Written};
use crate::source::fields::{Fields, unknown_word, word, wrong_type};
use crate::source::node::{Node, Value, Word};

const TOP: &[&str] =
    &["scenario", "recording", "clock", "exchanges", "inputs", "answers", "faults", "expect"];
const FAULT: &[&str] = &[
    "at", "times", "on", "error", "message", "exit", "stdout", "stderr", "content", "replace", "absent",
    "outcome", "output", "breaks",
];
const EXPECT: &[&str] = &["path", "end", "outputs", "commands"];
const ENDS: &[&str] = &["resolved", "no_action", "escalated", "parked", "held", "stuck", "rolled_back"];
const SITE_ERRORS: &[&str] =
    &["not_started", "unreachable", "timeout", "unknown", "not_found", "denied", "conflict", "io"];
const BREAKS: &[&str] =
    &["params", "unreachable", "timeout", "denied", "malformed", "drifted", "in_doubt", "failed"];

/// Every key of a scenario, by the map that has it.
#[cfg(test)]
pub(crate) const SCENARIO_KEYS: [&[&str]; 3] = [TOP, FAULT, EXPECT];

struct Reader<'a> {
    plan: &'a PlanData,
    findings: &'a mut Findings,
}

/// Reads a scenario of this plan.
pub(crate) fn scenario(
    root: &Node,
    text: &str,
    plan: &PlanData,
    findings: &mut Findings,
) -> Option<Scenario> {
    let top = Span { len: 0, ..root.span };
    let fields = Fields::of(root, &top, "a scenario", TOP, findings)?;
    fields.need("scenario", "Say in a line what it is about.", findings);
    let title = fields.text("scenario", findings).unwrap_or_default();
    let recording = fields.word("recording", findings);
    let recording = recording.map(|word| Written { value: Json::String(word.text.into()), at: word.span });
    let exchanges = items(&fields, "exchanges", findings);
    let exchanges: Vec<Written> =
        exchanges.iter().map(|node| Written { value: node.to_json(), at: node.span.clone() }).collect();
    let clock = fields.word("clock", findings).and_then(|written| {
        let clock = written.text.parse().ok();
        if clock.is_none() {
            let message = format!("`clock` is not a time: `{}`", written.text);
            findings
                .error(codes::SCENARIO_WORLD, message, written.span)
                .label("not a time")
                .help("Write it like `2026-11-24T03:12:44Z`.");
        }
        clock
    });
    if recording.is_none() && fields.get("clock").is_none() {
        findings
            .error(codes::SCENARIO_WORLD, "a scenario needs a world", top)
            .label("neither `recording` nor `clock`")
            .help("Name a recording, or write `clock` and `exchanges`.");
    }
    let mut reader = Reader { plan, findings };
    let inputs = reader.inputs(&fields);
    let answers = reader.answers(&fields);
    let faults = items(&fields, "faults", reader.findings);
    let faults = faults.iter().filter_map(|node| reader.fault(node)).collect();
    let expect = fields.get("expect").and_then(|(key, node)| reader.expect(key, node));
    let expect_at = lines_of(root, "expect", text);
    Some(Scenario { title, recording, clock, exchanges, inputs, answers, faults, expect, expect_at })
}

/// The items of a list.
fn items<'n>(fields: &Fields<'n>, name: &str, findings: &mut Findings) -> &'n [Node] {
    let Some((key, node)) = fields.get(name) else { return &[] };
    match &node.value {
        Value::Seq(items) => items,
        _ => {
            wrong_type(findings, node, &key.span, &format!("`{name}`"), "a list");
            &[]
        }
    }
}

/// The entries of a map.
fn entries<'n>(fields: &Fields<'n>, name: &str, findings: &mut Findings) -> &'n [(Word, Node)] {
    let Some((key, node)) = fields.get(name) else { return &[] };
    node.entries().unwrap_or_else(|| {
        wrong_type(findings, node, &key.span, &format!("`{name}`"), "a map");
        &[]
    })
}

impl Reader<'_> {
    fn inputs(&mut self, fields: &Fields<'_>) -> BTreeMap<String, Json> {
        let mut values = BTreeMap::new();
        let specs = self.plan.scopes.get("").map(|scope| &scope.inputs);
        for (name, node) in entries(fields, "inputs", self.findings) {
            let Some(spec) = specs.and_then(|specs| specs.get(name.text.as_str())) else {
                let known = || specs.into_iter().flat_map(|specs| specs.keys().map(String::as_str));
                let meant = self.findings.meant(&name.text, known());
                let message = format!("the runbook has no input `{}`", name.text);
                self.findings
                    .error(codes::SCENARIO_INPUT, message, name.span.clone())
                    .label("unknown input")
                    .help_meant(meant, "Its inputs are", known());
                continue;
            };
            if node.value != Value::Null
                && let Err(expected) = fits(&spec.r#type, node)
            {
                let at = if node.span.len == 0 { name.span.clone() } else { node.span.clone() };
                self.findings
                    .error(codes::SCENARIO_INPUT, format!("`{}` must be {expected}", name.text), at)
                    .label(format!("this is {}", node.kind()));
            }
            let value = match (node.to_json(), &spec.r#type) {
                // A job id may look like a number.
                (Json::Number(number), crate::plan::InputType::SlurmJob) => Json::String(number.to_string()),
                (value, _) => value,
            };
            values.insert(name.text.to_string(), value);
        }
        values
    }

    fn answers(&mut self, fields: &Fields<'_>) -> BTreeMap<String, Vec<String>> {
        let mut answers = BTreeMap::new();
        for (name, node) in entries(fields, "answers", self.findings) {
            let Some(known) = self.step(name) else { continue };
            let known = known.to_vec();
            let given: Vec<Word> = match &node.value {
                Value::Seq(items) => {
                    items.iter().filter_map(|item| word(item, name, self.findings)).collect()
                }
                _ => word(node, name, self.findings).into_iter().collect(),
            };
            for word in &given {
                if !matches!(word.text.as_str(), "yes" | "no" | "nobody")
                    && !known.iter().any(|outcome| *outcome == word.text)
                {
                    self.outcome(
                        &name.text,
                        word,
                        &known,
                        "Gates take `yes`, `no` and `nobody`; the outcomes are",
                    );
                }
            }
            answers.insert(name.text.to_string(), given.into_iter().map(String::from).collect());
        }
        answers
    }

    /// The outcomes of a node with a step.
    fn step(&mut self, name: &Word) -> Option<&[String]> {
        let plan = self.plan;
        let node = plan.nodes.iter().find(|node| node.id == name.text);
        let Some(node) = node else {
            self.no_node(name);
            return None;
        };
        let step = node.step();
        if step.is_none() {
            let message = format!("`{}` has no step that could answer or break", name.text);
            self.findings.error(codes::SCENARIO_NODE, message, name.span.clone()).label("no step here");
        }
        step.map(|step| step.outcomes.as_slice())
    }

    fn no_node(&mut self, name: &Word) {
        let ids = || self.plan.nodes.iter().map(|node| node.id.as_str());
        let meant = self.findings.meant(&name.text, ids());
        self.findings
            .error(
                codes::SCENARIO_NODE,
                format!("the runbook has no node `{}`", name.text),
                name.span.clone(),
            )
            .label("unknown node")
            .help_meant(meant, "Its nodes are", ids());
    }

    fn outcome(&mut self, node: &str, written: &Word, known: &[String], what: &str) {
        let names = || known.iter().map(String::as_str);
        let meant = self.findings.meant(&written.text, names());
        self.findings
            .error(
                codes::SCENARIO_OUTCOME,
                format!("`{node}` cannot end with `{}`", written.text),
                written.span.clone(),
            )
            .label("unknown outcome")
            .help_meant(meant, what, names());
    }

    fn fault(&mut self, node: &Node) -> Option<Fault> {
        let place =
            node.entries().and_then(|entries| entries.first()).map_or(&node.span, |(key, _)| &key.span);
        let place = place.clone();
        let fields = Fields::of(node, &place, "a fault", FAULT, self.findings)?;
        let at = fields.word("at", self.findings);
        let outcomes = match &at {
            Some(at) => Some(self.step(at)?.to_vec()),
            None => None,
        };
        let times = fields.count("times", 1, 1000, self.findings);
        let trouble = match fields.word("on", self.findings) {
            Some(on) => Trouble::World { on: on.text.into(), told: self.told(&fields, &place)? },
            None => self.answer(&fields, &place, at.as_ref().zip(outcomes))?,
        };
        Some(Fault { at: at.map(String::from), times, trouble })
    }

    /// What a step does instead.
    fn answer(
        &mut self,
        fields: &Fields<'_>,
        place: &Span,
        at: Option<(&Word, Vec<String>)>,
    ) -> Option<Trouble> {
        let outcome = fields.word("outcome", self.findings);
        let breaks = fields.word("breaks", self.findings);
        match (outcome, breaks, at) {
            (Some(outcome), None, Some((node, known))) => {
                if !known.iter().any(|known| *known == outcome.text) {
                    self.outcome(&node.text, &outcome, &known, "Its outcomes are");
                }
                let output = fields.get("output").map_or(Json::Null, |(_, node)| node.to_json());
                Some(Trouble::Outcome { outcome: outcome.text.into(), output })
            }
            (None, Some(breaks), Some(_)) => Some(Trouble::Breaks(self.kind(&breaks, "`breaks`", BREAKS)?)),
            _ => {
                let help = "Write `on` and what is answered to it, or `at` with `outcome` or `breaks`.";
                self.bad("a fault says what is answered, and to what", place, help);
                None
            }
        }
    }

    /// What the world answers instead.
    fn told(&mut self, fields: &Fields<'_>, place: &Span) -> Option<Told> {
        let given = |names: &[&str]| names.iter().any(|name| fields.get(name).is_some());
        let forms: [&[&str]; 5] =
            [&["error"], &["replace"], &["absent"], &["content"], &["exit", "stdout", "stderr"]];
        if forms.iter().filter(|form| given(form)).count() != 1 || given(&["outcome", "breaks", "output"]) {
            let help = "Write one of `error`, `replace`, `absent`, `content`, or a command's `exit`, `stdout`, `stderr`.";
            self.bad("a fault `on` something has one answer", place, help);
            return None;
        }
        let mut text = |name: &str| fields.text(name, self.findings);
        if given(&["content"]) {
            return text("content").map(Told::Content);
        }
        if given(forms[4]) {
            let (stdout, stderr) = (text("stdout").unwrap_or_default(), text("stderr").unwrap_or_default());
            let exit = fields.count("exit", 0, 255, self.findings).unwrap_or(0);
            return Some(Told::Answer { exit: i32::try_from(exit).unwrap_or(0), stdout, stderr });
        }
        if given(&["replace"]) {
            let mut pairs = Vec::new();
            for (old, new) in entries(fields, "replace", self.findings) {
                pairs.push((old.text.to_string(), word(new, old, self.findings)?.into()));
            }
            return Some(Told::Replaced(pairs));
        }
        if given(&["absent"]) {
            return fields.flag("absent", self.findings).filter(|absent| *absent).map(|_| Told::Absent);
        }
        let message = text("message").unwrap_or_else(|| "it is so in this scenario".to_owned());
        let error = fields.word("error", self.findings)?;
        Some(Told::Error(self.kind(&error, "`error`", SITE_ERRORS)?, message))
    }

    fn kind<T: DeserializeOwned>(&mut self, written: &Word, what: &str, words: &[&str]) -> Option<T> {
        if !words.contains(&written.text.as_str()) {
            unknown_word(self.findings, what, written, words);
            return None;
        }
        serde_json::from_value(Json::String(written.text.clone().into())).ok()
    }

    fn bad(&mut self, message: &str, at: &Span, help: &str) {
        self.findings.error(codes::SCENARIO_FAULT, message, at.clone()).label("here").help(help);
    }

    fn expect(&mut self, key: &Word, node: &Node) -> Option<Expect> {
        let fields = Fields::of(node, &key.span, "`expect`", EXPECT, self.findings)?;
        let mut path = None;
        if let Some((key, _)) = fields.get("path") {
            let steps = items(&fields, "path", self.findings);
            let written: Vec<Word> = steps.iter().filter_map(|node| word(node, key, self.findings)).collect();
            path = Some(written.iter().filter_map(|word| self.passed(word)).collect());
        }
        let end = fields.word("end", self.findings);
        if let Some(end) = end.as_ref().filter(|end| !ENDS.contains(&end.text.as_str())) {
            unknown_word(self.findings, "`end`", end, ENDS);
        }
        let mut outputs = BTreeMap::new();
        for (name, node) in entries(&fields, "outputs", self.findings) {
            if self.plan.nodes.iter().any(|node| node.id == name.text) {
                outputs.insert(name.text.to_string(), node.to_json());
            } else {
                self.no_node(name);
            }
        }
        let commands = fields.get("commands").map(|(key, _)| {
            let lines = items(&fields, "commands", self.findings);
            lines.iter().filter_map(|node| Some(word(node, key, self.findings)?.into())).collect()
        });
        Some(Expect { path, end: end.map(String::from), outputs, commands })
    }

    fn passed(&mut self, written: &Word) -> Option<Passed> {
        let Some(passed) = Passed::parse(&written.text) else {
            let message = format!("`{}` is no place of a path", written.text);
            self.findings
                .error(codes::SCENARIO_OUTCOME, message, written.span.clone())
                .label("not understood")
                .help("Write `node:outcome`, `node!failed`, `node!declined`, or `node` where the run rests.");
            return None;
        };
        let name = Word { text: passed.node.as_str().into(), span: written.span.clone() };
        let plan = self.plan;
        let Some(node) = plan.nodes.iter().find(|node| node.id == passed.node) else {
            self.no_node(&name);
            return None;
        };
        if let How::Outcome(outcome) = &passed.how {
            let ends = ["resolved", "no_action", "escalated"].map(str::to_owned);
            let known = match &node.body {
                Body::Step(step) => step.outcomes.as_slice(),
                Body::Enter(_) => &ends,
                Body::End { .. } => &[],
            };
            if !known.contains(outcome) {
                let word = Word { text: outcome.as_str().into(), span: written.span.clone() };
                self.outcome(&passed.node, &word, known, "Its outcomes are");
                return None;
            }
        }
        Some(passed)
    }
}

/// The lines of a key with its value; comments before the next key are that one's.
fn lines_of(root: &Node, name: &str, text: &str) -> Option<Range<usize>> {
    let entries = root.entries()?;
    let at = entries.iter().position(|(key, _)| key.text == name)?;
    let line = |offset: usize| text[..offset].rfind('\n').map_or(0, |end| end + 1);
    let from = line(entries[at].0.span.start);
    let mut to = entries.get(at + 1).map_or(text.len(), |(key, _)| line(key.span.start));
    while let Some(before) = text[from..to].strip_suffix('\n') {
        let last = from + before.rfind('\n').map_or(0, |end| end + 1);
        let words = text[last..to].trim();
        if last == from || !(words.is_empty() || text[last..].starts_with('#')) {
            break;
        }
        to = last;
    }
    Some(from..to)
}
