//! A report as Markdown, to be read in a terminal, mailed or put into a ticket.

use super::escape::{markdown as text, markdown_block as block, markdown_code as code};
use super::facts::{Facts, Table, bytes, facts};
use super::model::{Answer, Gate, Item, Report};
use super::words::{self, clock, lasted, length, time};

/// The text. `flow` is the flow with the path taken, in Mermaid.
pub(crate) fn markdown(report: &Report, flow: &str) -> String {
    let mut page = Page::default();
    head(&mut page, report);
    memory(&mut page, report);
    timeline(&mut page, report);
    consent(&mut page, report);
    questions(&mut page, report);
    undone(&mut page, report);
    evidence(&mut page, report);
    page.section("The path it took");
    page.part(block(flow, "mermaid"));
    record(&mut page, report);
    page.text
}

/// What was written so far.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn part(&mut self, part: impl AsRef<str>) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(part.as_ref().trim_end_matches('\n'));
        self.text.push('\n');
    }

    fn section(&mut self, title: &str) {
        self.part(format!("## {title}"));
    }

    fn list(&mut self, lines: &[String]) {
        if !lines.is_empty() {
            self.part(lines.iter().map(|line| format!("- {line}\n")).collect::<String>());
        }
    }

    fn table(&mut self, columns: &[String], rows: &[Vec<String>]) {
        let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = format!("|{}\n", " --- |".repeat(columns.len()));
        self.part(row(columns) + &rule + &rows.iter().map(|cells| row(cells)).collect::<String>());
    }
}

fn head(page: &mut Page, report: &Report) {
    page.part(format!("# {}: {}", text(&report.title), words::state(report)));
    if let Some(message) = report.end.as_ref().and_then(|end| end.message.as_ref()) {
        page.part(paragraphs(message));
    }
    if let Some(recording) = &report.recording {
        page.part(format!("*Rehearsal on the recording {}: nothing real was touched.*", text(recording)));
    }
    let severity = report.severity.as_ref().map(|word| format!(", {}", text(word))).unwrap_or_default();
    let operators: Vec<String> =
        report.operators.iter().map(|one| text(&format!("{} on {}", one.account, one.host))).collect();
    let mut took = length(report.seconds);
    if report.waited_seconds >= 1.0 {
        took.push_str(&format!(", of these {} waiting for people", length(report.waited_seconds)));
    }
    let inputs = report.inputs.iter().filter(|(_, value)| !value.is_null());
    let inputs: Vec<String> = inputs
        .map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text(&format!("{name} {value}"))
        })
        .collect();
    let chain = match report.chain.holds {
        true => format!("verified: the chain of {} entries holds", report.chain.entries),
        false => "**not what was written**".to_owned(),
    };
    let lines = [
        ("run", code(&report.run)),
        ("runbook", format!("{}{severity}", text(&report.runbook))),
        ("about", text(&report.target)),
        ("walked by", operators.join(", ")),
        ("began", time(&report.started)),
        ("last entry", time(&report.last)),
        ("took", took),
        ("lost by its changes", text(&report.lost.words)),
        ("inputs", inputs.join(", ")),
        ("record", chain),
    ];
    let lines = lines.iter().filter(|(_, value)| !value.is_empty());
    page.list(&lines.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>());
    if !report.open.is_empty() {
        page.section("Left to do");
        page.list(&report.open.iter().map(|line| text(line)).collect::<Vec<_>>());
    }
}

/// Text of several lines.
fn paragraphs(message: &str) -> String {
    message.lines().map(text).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\\\n")
}

fn memory(page: &mut Page, report: &Report) {
    if report.memory.is_empty() {
        return;
    }
    page.section("GPU memory, before and after");
    let size = |size: Option<u64>| size.map_or_else(|| "unknown".to_owned(), bytes);
    let columns = [
        "whose",
        "tried",
        "capacity",
        "free",
        "allocated",
        "reserved, not allocated",
        "reserved",
        "this process",
    ];
    let rows: Vec<Vec<String>> = report
        .memory
        .iter()
        .map(|m| {
            let most = if m.most { " (the most that was seen)" } else { "" };
            let sizes = [
                m.tried,
                m.capacity,
                m.free,
                m.allocated,
                m.reserved_unallocated,
                m.reserved,
                m.this_process,
            ];
            [vec![format!("{}{most}", text(&m.title))], sizes.map(size).to_vec()].concat()
        })
        .collect();
    page.table(&columns.map(str::to_owned), &rows);
}

fn timeline(page: &mut Page, report: &Report) {
    page.section("What happened");
    let mut lines = Vec::new();
    for moment in &report.timeline {
        let flow = moment.flow.as_ref().map(|flow| format!("{} ", text(flow))).unwrap_or_default();
        let mut line = format!("{}  {flow}**{}**", clock(&moment.at), text(&moment.title));
        let outcome =
            moment.outcome.as_deref().unwrap_or(if moment.visit.is_some() { "not over" } else { "" });
        if !outcome.is_empty() {
            line.push_str(&format!(" → {}", text(outcome)));
        }
        if moment.changed {
            line.push_str(", **changed**");
        }
        if let Some(by) = &moment.by {
            line.push_str(&format!(", by {}", text(by)));
        }
        let took = lasted(moment.seconds);
        if !took.is_empty() {
            line.push_str(&format!(" ({took}"));
            let waited = lasted(moment.waited_seconds);
            line.push_str(&if waited.is_empty() {
                ")".to_owned()
            } else {
                format!(", {waited} of them waiting for people)")
            });
        }
        for more in &moment.summary {
            line.push_str(&format!("\n  - {}", text(more)));
        }
        lines.push(line);
    }
    page.list(&lines);
}

fn consent(page: &mut Page, report: &Report) {
    if report.gates.is_empty() {
        return;
    }
    page.section("What was shown, and who agreed");
    for gate in &report.gates {
        let undoes = gate.undoes.map(|visit| format!(" (takes visit {visit} back)")).unwrap_or_default();
        let flow = gate.flow.as_ref().map(|flow| format!("{} ", text(flow))).unwrap_or_default();
        page.part(format!("### {flow}{}{undoes}", text(&gate.title)));
        page.part(text(&gate.prompt));
        if gate.again {
            page.part("It had asked before, and what it showed had changed since:");
            page.list(&gate.changed.iter().map(|line| text(line)).collect::<Vec<_>>());
        }
        gate.items.iter().for_each(|one| item(page, one));
        page.part("Consent:");
        page.list(&answers(gate));
    }
}

fn item(page: &mut Page, item: &Item) {
    for command in &item.commands {
        page.part(block(command, "sh"));
    }
    for diff in &item.diffs {
        page.part(block(&diff.unified, "diff"));
    }
    let changes = !item.commands.is_empty() || !item.diffs.is_empty();
    let mut lines = Vec::new();
    if !item.target.is_empty() {
        lines.push(format!("target: {}", text(&item.target)));
    }
    if changes {
        lines.push(format!(
            "price: {}",
            item.price.words.iter().map(|line| text(line)).collect::<Vec<_>>().join("; ")
        ));
    }
    lines.extend(item.notes.iter().map(|note| format!("note: {}", text(note))));
    match &item.undo {
        Some(undo) => lines.push(format!("undo: {}", text(undo))),
        None if changes => lines.push("undo: **none, this cannot be taken back**".to_owned()),
        None => {}
    }
    page.list(&lines);
}

fn answers(gate: &Gate) -> Vec<String> {
    let closes = gate.closes.as_ref().map(|at| format!(", until {}", time(at))).unwrap_or_default();
    let mut lines =
        vec![format!("needed: {}{closes}", text(&gate.needs)), format!("asked: {}", time(&gate.opened))];
    lines.extend(gate.answers.iter().map(answer));
    let effect = gate.effect.as_ref().map(|effect| format!(" → {}", text(effect))).unwrap_or_default();
    lines.push(format!("so it is: {}{effect}", words::gate(gate.state)));
    lines.push(format!("digest: {}", code(&gate.digest)));
    lines
}

fn answer(answer: &Answer) -> String {
    let word = if answer.approved { "yes" } else { "no" };
    let via = answer
        .via
        .as_ref()
        .map_or_else(|| " at the terminal of the run".to_owned(), |via| format!(" ({})", text(via)));
    let after =
        if answer.seconds >= 1.0 { format!(", after {}", length(answer.seconds)) } else { String::new() };
    let reason = answer.reason.as_ref().map(|reason| format!(": “{}”", text(reason))).unwrap_or_default();
    let refused =
        answer.refused.as_ref().map(|why| format!("; **does not count:** {}", text(why))).unwrap_or_default();
    format!("{word}: **{}**{via}, {}{after}{reason}{refused}", text(&answer.by), clock(&answer.at))
}

fn questions(page: &mut Page, report: &Report) {
    if report.questions.is_empty() {
        return;
    }
    page.section("What people were asked");
    for question in &report.questions {
        page.part(format!("### {}", text(&question.title)));
        page.part(text(&question.prompt));
        let details: Vec<String> = question.details.iter().map(|detail| paragraphs(detail)).collect();
        page.list(&details.into_iter().filter(|detail| !detail.is_empty()).collect::<Vec<_>>());
        let choice = |(outcome, label): &(String, String)| {
            let chosen = if question.chosen.as_ref() == Some(outcome) { " **← chosen**" } else { "" };
            format!("{}: {}{chosen}", code(outcome), text(label))
        };
        page.list(&question.choices.iter().map(choice).collect::<Vec<_>>());
        page.part(match (&question.chosen, &question.by) {
            (Some(chosen), by) => {
                let by = text(by.as_deref().unwrap_or("somebody"));
                let after = question
                    .seconds
                    .filter(|seconds| *seconds >= 1.0)
                    .map(|seconds| format!(" after {}", length(seconds)));
                format!(
                    "**{by}** chose {}{}, asked {}",
                    text(chosen),
                    after.unwrap_or_default(),
                    time(&question.asked)
                )
            }
            (None, _) => format!("Nobody has answered, asked {}", time(&question.asked)),
        });
    }
}

fn undone(page: &mut Page, report: &Report) {
    if report.undone.is_empty() {
        return;
    }
    page.section("What was taken back");
    let line = |one: &super::model::Undoing| {
        format!(
            "{}  **{}** (visit {}) → {}: {}",
            clock(&one.at),
            text(&one.title),
            one.visit,
            text(&one.result),
            text(&one.text)
        )
    };
    page.list(&report.undone.iter().map(line).collect::<Vec<_>>());
}

fn evidence(page: &mut Page, report: &Report) {
    page.section("Evidence");
    if report.evidence.is_empty() {
        page.part("Nothing was read.");
    }
    for one in &report.evidence {
        page.part(format!("### {} → {}", text(&one.title), text(&one.outcome)));
        let (drawn, left) = facts(&one.output, &one.units);
        let several = drawn.len() > 1;
        drawn.iter().for_each(|facts| draw(page, facts, several));
        if left > 0 {
            page.part(format!("and {left} more: the JSON form has them"));
        }
    }
}

fn draw(page: &mut Page, facts: &Facts, several: bool) {
    if several && !facts.of.is_empty() {
        page.part(format!("#### {}", text(&facts.of)));
    }
    let mut lines: Vec<String> =
        facts.known.iter().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect();
    if !facts.unknown.is_empty() {
        lines.push(format!("unknown: {}", text(&facts.unknown.join(", "))));
    }
    page.list(&lines);
    for (name, value) in &facts.texts {
        page.part(format!("{}:", text(name)));
        page.part(block(value, ""));
    }
    facts.tables.iter().for_each(|one| table(page, one));
}

fn table(page: &mut Page, table: &Table) {
    let each: Vec<String> = table.each.iter().map(|(name, value)| text(&format!("{name} {value}"))).collect();
    let each = if each.is_empty() { String::new() } else { format!(" each {}", each.join(", ")) };
    page.part(format!("{}:{each}", text(&table.name)));
    if !table.columns.is_empty() {
        let cells = |cells: &[String]| cells.iter().map(|cell| text(cell)).collect::<Vec<_>>();
        page.table(&cells(&table.columns), &table.rows.iter().map(|row| cells(row)).collect::<Vec<_>>());
    }
    if table.left > 0 {
        page.part(format!("and {} more: the JSON form has them", table.left));
    }
}

fn record(page: &mut Page, report: &Report) {
    page.section("The record");
    let chain = &report.chain;
    let mut lines = vec![match chain.holds {
        true => format!("journal: the chain holds, {} entries", chain.entries),
        false => "journal: **this is not what was written**".to_owned(),
    }];
    lines.extend(chain.findings.iter().map(|finding| format!("found: {}", text(finding))));
    lines.push(match chain.compared.is_empty() {
        true => {
            "compared with: nothing, as no head was found elsewhere; a tail that was cut off would not show"
                .to_owned()
        }
        false => format!("compared with: {}", text(&chain.compared.join("; "))),
    });
    lines.extend(chain.head.iter().map(|head| format!("head: {}", code(head))));
    lines.push(format!("runbook: {}, SHA-256 {}", text(&report.runbook), code(&report.runbook_digest)));
    lines.push(format!("program: runbook {}", text(&report.program)));
    page.list(&lines);
}
