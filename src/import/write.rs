//! The YAML.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use engine::page::{Flow, FlowArrow, FlowBox};
use engine::step::Registry;

use super::attach::{Proposed, attach};
use super::names::Names;

/// A runbook that checks and does nothing yet.
pub(crate) fn blank(name: &str) -> String {
    BLANK.replace("NAME", name).replace("TITLE", &quoted(&name.replace('-', " ")))
}

const BLANK: &str = r#"runbook: NAME
title: TITLE   # TODO: one line that tells people what it is for

inputs:
  host: { type: host, help: The host that is looked at }

start: look

nodes:
  look:
    title: Look before anything is touched
    step: ssh
    with: { host: "{{ inputs.host }}", run: uptime }   # TODO: what shows whether there is anything to do?
    next: { ok: needed, nonzero: by_hand }

  needed:
    title: Is there anything to do?
    step: ask   # TODO: `decide` by an expression, once it is clear what settles it
    with:
      prompt: Is there anything to do?
      details: ["{{ look.stdout }}"]
      choices: { "yes": "yes, a person goes on", "no": "no, all is well" }
    next: { "yes": by_hand, "no": nothing }

  nothing: { end: no_action, message: "There was nothing to do on {{ inputs.host }}." }
  by_hand: { end: escalated, message: "A person has to go on with {{ inputs.host }}." }
"#;

/// The runbook of a flow: one node per box, decisions where several arrows leave, the page's commands as proposed steps.
/// `page` is the text beside it, under the name `page_name`.
pub(crate) fn runbook(
    name: &str,
    title: &str,
    page_name: &str,
    page: &str,
    flow: &Flow,
    registry: &Registry,
) -> String {
    let attached = attach(page, flow, registry);
    let arrows = flow.between_boxes();
    let mut names = Names::default();
    let by_hand = names.keep("by_hand");
    let of_box: BTreeMap<&str, String> = flow
        .boxes
        .iter()
        .map(|one| (one.id.as_str(), names.give(&one.title, &format!("box_{}", one.id.to_lowercase()))))
        .collect();
    let done = names.give("done", "done");
    let mut writer = Writer {
        names,
        by_hand,
        done,
        of_box: &of_box,
        first: BTreeMap::new(),
        loops: loops(flow, &arrows),
        text: String::new(),
    };
    // What is run before a box is what arrows to the box lead to.
    let mut before: Vec<Vec<(String, &Proposed)>> = Vec::new();
    for (at, one) in flow.boxes.iter().enumerate() {
        let leaves = arrows.iter().filter(|arrow| arrow.from == one.id).count();
        let own = attached.of_box[at].iter().position(|command| !command.reads && leaves < 2);
        let chain: Vec<_> = attached.of_box[at]
            .iter()
            .enumerate()
            .filter(|(index, _)| Some(*index) != own)
            .map(|(_, command)| (writer.names.give(&command.words(), "command"), command))
            .collect();
        let first = chain.first().map_or_else(|| of_box[one.id.as_str()].clone(), |(name, _)| name.clone());
        writer.first.insert(one.id.clone(), first);
        before.push(chain);
    }
    let begins = beginnings(flow, &arrows);
    let start = match &begins[..] {
        [one] => writer.first[&one.id].clone(),
        _ => writer.names.give("begin", "begin"),
    };
    let evidence: Vec<_> = attached
        .evidence
        .iter()
        .map(|command| (writer.names.give(&command.words(), "command"), command))
        .collect();
    let begin = evidence.first().map_or_else(|| start.clone(), |(name, _)| name.clone());

    writer.head(name, title, page_name, &attached.inputs, &attached.left, &begin);
    if !evidence.is_empty() {
        writer.line("  # ---- evidence: commands of the page that only read and belong to no box ----");
        writer.chain(&evidence, &start, false);
    }
    if begins.len() > 1 {
        writer.beginning(&start, &begins);
    }
    for (at, one) in flow.boxes.iter().enumerate() {
        let looped = writer.loops.contains(&one.id);
        writer.chain(&before[at], &of_box[one.id.as_str()], looped);
        let leaving: Vec<&FlowArrow> = arrows.iter().filter(|arrow| arrow.from == one.id).collect();
        let own = attached.of_box[at]
            .iter()
            .find(|command| !before[at].iter().any(|(_, other)| std::ptr::eq(*other, *command)));
        writer.node(one, &leaving, own);
    }
    writer.ends();
    writer.text
}

struct Writer<'a> {
    names: Names,
    by_hand: String,
    done: String,
    of_box: &'a BTreeMap<&'a str, String>,
    /// Where arrows to a box lead.
    first: BTreeMap<String, String>,
    /// Boxes in a loop, which need a bound.
    loops: BTreeSet<String>,
    text: String,
}

impl Writer<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn head(
        &mut self,
        name: &str,
        title: &str,
        page: &str,
        inputs: &BTreeSet<String>,
        left: &[Proposed],
        start: &str,
    ) {
        let _ = writeln!(self.text, "runbook: {name}\ntitle: {}\npage: {page}", quoted(title));
        if !left.is_empty() {
            self.line("differs:");
            for command in left {
                self.line(&format!(
                    "  # TODO: this may change something; which node does it?\n  - command: {}",
                    quoted(&command.written)
                ));
                self.line("    reason: \"not yet bound to a node\"");
            }
        }
        if !inputs.is_empty() {
            self.line("\ninputs:");
            for input in inputs {
                let kind = if input.contains("host") || input.contains("node") { "host" } else { "string" };
                self.line(&format!(
                    "  {input}: {{ type: {kind}, help: \"{} of the page\" }}   # TODO: its type and help",
                    input.to_uppercase()
                ));
            }
        }
        self.line(&format!("\nstart: {start}\n\nnodes:"));
    }

    /// Nodes that run commands one after the other, then go on.
    fn chain(&mut self, chain: &[(String, &Proposed)], to: &str, looped: bool) {
        for (at, (name, command)) in chain.iter().enumerate() {
            let next = chain.get(at + 1).map_or(to, |(name, _)| name);
            self.line(&format!("  {name}:\n    title: {}", said(&first_line(&command.written))));
            self.command(command);
            self.bound(looped);
            // What was read is weighed by a person further on; that it failed is a fact like any other.
            let failed = if command.reads { next } else { &self.by_hand };
            self.line(&format!("    next: {{ ok: {next}, nonzero: {failed} }}\n"));
        }
    }

    fn command(&mut self, command: &Proposed) {
        match &command.host {
            Some(host) => self.line(&format!(
                "    step: ssh\n    with:\n      host: {}\n      run: {}",
                quoted(host),
                quoted(&command.run)
            )),
            None => self.line(&format!("    step: shell\n    with:\n      run: {}", quoted(&command.run))),
        }
        if !command.reads {
            self.line(&format!(
                "    approve: {}   # TODO: it may change something: how is it confirmed and taken back?",
                quoted("Run this command?")
            ));
        }
    }

    fn bound(&mut self, looped: bool) {
        if looped {
            self.line("    max_visits: 5   # TODO: how often may this be tried?");
        }
    }

    fn node(&mut self, one: &FlowBox, leaving: &[&FlowArrow], own: Option<&Proposed>) {
        let name = self.of_box[one.id.as_str()].clone();
        self.line(&format!("  {name}:\n    title: {}\n    flow: {}", quoted(&one.title), quoted(&one.id)));
        let looped = self.loops.contains(&one.id);
        match (leaving, own) {
            ([], None) if is_end(&one.title) => {
                self.line("    end: resolved   # TODO: what proves it? Look before saying so");
                self.line(&format!("    message: {}", said(&one.title)));
                return self.line("");
            }
            ([_, _, ..], _) => self.decision(one, leaving),
            (_, Some(command)) => {
                self.command(command);
                let (to, label) = self.only(leaving);
                self.line(&format!(
                    "    next: {{ ok: {}, nonzero: {} }}",
                    edge(&to, label.as_deref()),
                    self.by_hand
                ));
            }
            (_, None) => {
                self.line("    step: ask   # TODO: a step that does it");
                self.line(&format!("    with:\n      prompt: {}", said(&one.title)));
                self.line("      choices: { done: \"it is done\", leave: \"stop here\" }");
                let (to, label) = self.only(leaving);
                self.line(&format!(
                    "    next: {{ done: {}, leave: {} }}",
                    edge(&to, label.as_deref()),
                    self.by_hand
                ));
            }
        }
        self.bound(looped);
        self.line("");
    }

    /// Where the one arrow leads; without one, to the end.
    fn only(&self, leaving: &[&FlowArrow]) -> (String, Option<String>) {
        leaving.first().map_or_else(
            || (self.done.clone(), None),
            |arrow| (self.first.get(&arrow.to).cloned().unwrap_or_default(), arrow.label.clone()),
        )
    }

    /// A question where the page begins at several boxes.
    fn beginning(&mut self, name: &str, begins: &[&FlowBox]) {
        self.line(&format!("  {name}:\n    title: Where to begin?"));
        self.line("    step: ask   # TODO: the page begins at several boxes: what tells which?");
        self.line("    with:\n      prompt: Where to begin?\n      choices:");
        let firsts: Vec<String> = begins.iter().map(|one| self.first[&one.id].clone()).collect();
        for (one, first) in begins.iter().zip(&firsts) {
            self.line(&format!("        {first}: {}", said(&one.title)));
        }
        let next: Vec<String> = firsts.iter().map(|first| format!("{first}: {first}")).collect();
        self.line(&format!("    next: {{ {} }}\n", next.join(", ")));
    }

    fn decision(&mut self, one: &FlowBox, leaving: &[&FlowArrow]) {
        let mut outcomes = Names::default();
        outcomes.keep("leave");
        let ways: Vec<(String, String, Option<String>)> = leaving
            .iter()
            .map(|arrow| {
                let to = self.first.get(&arrow.to).cloned().unwrap_or_default();
                let says = arrow.label.clone().unwrap_or_else(|| to.replace('_', " "));
                let told = says.replace('>', " over ").replace('<', " under ");
                (outcomes.give(&told, "way"), to, arrow.label.clone())
            })
            .collect();
        self.line(
            "    step: ask   # TODO: `decide` by what was found, with `unknown: …`, where it can be known",
        );
        self.line(&format!("    with:\n      prompt: {}\n      choices:", said(&one.title)));
        for (outcome, to, label) in &ways {
            let means = label.clone().unwrap_or_else(|| to.replace('_', " "));
            self.line(&format!("        {}: {}", quoted(outcome), said(&means)));
        }
        self.line("        leave: \"cannot be told: stop here\"\n    next:");
        for (outcome, to, label) in &ways {
            self.line(&format!("      {}: {}", quoted(outcome), edge(to, label.as_deref())));
        }
        self.line(&format!("      leave: {}", self.by_hand));
    }

    fn ends(&mut self) {
        let (done, by_hand) = (self.done.clone(), self.by_hand.clone());
        if self.text.contains(&format!(": {done},")) {
            self.line(&format!("  {done}: {{ end: resolved, message: \"Done.\" }}   # TODO: what proves it? Look before saying so"));
        }
        // Where every box is an end, nothing is left to a person.
        if !self.text.contains(&format!(": {by_hand}")) {
            return;
        }
        self.line(&format!(
            "  {by_hand}: {{ end: escalated, message: \"A person has to go on.\" }}   # TODO: what was found, what is left to do"
        ));
    }
}

/// Whether a box at which a flow ends says nothing but that.
fn is_end(title: &str) -> bool {
    const WORDS: [&str; 9] =
        ["closed", "done", "end", "finish", "finished", "fixed", "recovered", "resolved", "solved"];
    WORDS.iter().any(|word| title.trim_end_matches(['.', '!']).eq_ignore_ascii_case(word))
}

fn edge(to: &str, label: Option<&str>) -> String {
    match label {
        Some(label) => format!("{{ to: {to}, label: {} }}", quoted(label)),
        None => to.to_owned(),
    }
}

/// The boxes at which a flow begins: those to which no arrow leads, and one of every part that has none.
fn beginnings<'f>(flow: &'f Flow, arrows: &[FlowArrow]) -> Vec<&'f FlowBox> {
    let mut begins: Vec<&FlowBox> = flow
        .boxes
        .iter()
        .filter(|one| arrows.iter().all(|arrow| arrow.to != one.id || arrow.from == one.id))
        .collect();
    let mut reached: BTreeSet<&str> = begins.iter().map(|one| one.id.as_str()).collect();
    loop {
        while let Some(arrow) = arrows
            .iter()
            .find(|arrow| reached.contains(arrow.from.as_str()) && !reached.contains(arrow.to.as_str()))
        {
            reached.insert(&arrow.to);
        }
        let Some(other) = flow.boxes.iter().find(|one| !reached.contains(one.id.as_str())) else { break };
        reached.insert(&other.id);
        begins.push(other);
    }
    begins
}

/// Boxes from which a way leads back to themselves.
fn loops(flow: &Flow, arrows: &[FlowArrow]) -> BTreeSet<String> {
    let back = |start: &String| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(at) = open.pop() {
            for arrow in arrows.iter().filter(|arrow| arrow.from == *at) {
                if arrow.to == *start {
                    return true;
                }
                if seen.insert(&arrow.to) {
                    open.push(&arrow.to);
                }
            }
        }
        false
    };
    flow.boxes.iter().map(|one| &one.id).filter(|id| back(id)).cloned().collect()
}

/// What a command begins with.
fn first_line(command: &str) -> String {
    match command.split_once('\n') {
        Some((first, _)) => format!("{first} …"),
        None => command.to_owned(),
    }
}

/// Text of the page in which nothing is a template.
fn said(text: &str) -> String {
    quoted(&text.replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #"))
}

/// A string of JSON, which is one of YAML.
pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}
