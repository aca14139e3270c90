//! What a person sees before saying yes. Commands and edits stand alone on their lines, without a frame beside them, so
//! that they can be copied.

use std::collections::BTreeSet;

use engine::plan::Node;
use engine::run::{Gate, GateItem, Rule};
use engine::step::{FileDiff, Price, Question};

use super::clean::{clean, exact, line};
use super::price;
use super::screen::{Paint, Screen};
use super::wrap::{cut, labelled, span, wrap};

/// What stands around a gate or a question.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    /// The box of the page's flow.
    pub flow: Option<String>,
    /// What the box says.
    pub title: String,
    /// Why it is done.
    pub why: Option<String>,
    /// Accounts that walk the run or have walked it.
    pub operators: BTreeSet<String>,
    /// Accounts that agreed so far to what waits there.
    pub agreed: BTreeSet<String>,
}

impl Place {
    /// Of a node as it is written.
    pub(crate) fn of(node: &Node) -> Self {
        Self { flow: node.flow.clone(), title: node.title.clone(), why: node.why.clone(), ..Self::default() }
    }
}

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What fits a screen.
    Glance,
    /// Everything.
    Whole,
}

const INDENT: usize = 3;
/// Items of a fan-out at a glance.
const ITEMS: usize = 6;
/// Lines of one command or edit at a glance.
const LINES: usize = 40;

/// The card of a gate.
pub(crate) fn gate(screen: &Screen, place: &Place, gate: &Gate, detail: Detail) -> Vec<String> {
    let paint = screen.paint;
    let what = if gate.changes { "change" } else { "gate" };
    let mut lines = vec![head(screen, what, place)];
    lines.extend(wrap(&line(&gate.prompt), INDENT, screen.width()).iter().map(|text| paint.bold(text)));
    if gate.again {
        let text = "This differs from what you were shown before: look again.";
        lines.extend(wrap(text, INDENT, screen.width()).iter().map(|text| paint.warn(text)));
        let keep = if detail == Detail::Whole { usize::MAX - 1 } else { ITEMS };
        let changed =
            gate.changed.iter().flat_map(|text| labelled("changed", &line(text), INDENT, screen.width()));
        lines.extend(cut(changed.collect(), keep, |left| {
            format!("            {} {left} more; d shows all of them", screen.glyphs.more)
        }));
    }
    if let Some(why) = &place.why {
        lines.extend(labelled("why", &line(why), INDENT, screen.width()));
    }
    if gate.changes && gate.items.len() > 1 {
        lines.extend(together(screen, &gate.items));
    }
    let keep = if detail == Detail::Whole { usize::MAX - 1 } else { ITEMS };
    let shown = if gate.items.len() > keep + 1 { &gate.items[..keep] } else { &gate.items[..] };
    for (at, one) in shown.iter().enumerate() {
        if gate.items.len() > 1 {
            lines.push(String::new());
            lines.push(format!("   {}", paint.dim(&format!("{} of {}", at + 1, gate.items.len()))));
        }
        lines.extend(item(screen, one, detail));
    }
    if shown.len() < gate.items.len() {
        let rest = &gate.items[shown.len()..];
        let targets: Vec<String> = rest.iter().map(|item| line(&item.target)).collect();
        lines.push(String::new());
        lines.push(format!(
            "   {} {} more of the same kind; d shows all of them:",
            screen.glyphs.more,
            rest.len()
        ));
        lines.extend(cut(wrap(&targets.join(", "), INDENT + 2, screen.width()), 4, |left| {
            format!("     {} {left} more lines", screen.glyphs.more)
        }));
    }
    lines.extend(consent(screen, place, gate));
    lines.push(rule(screen));
    lines
}

/// Who has to agree and until when, where that is more than whoever sits there.
fn consent(screen: &Screen, place: &Place, gate: &Gate) -> Vec<String> {
    let mut lines = Vec::new();
    if !gate.rule.plain() {
        let mut needs = who(&gate.rule, &place.operators);
        if !place.agreed.is_empty() {
            let agreed: Vec<String> = place.agreed.iter().map(|account| line(account)).collect();
            needs.push_str(&format!("; {} agreed: {}", agreed.len(), agreed.join(", ")));
        }
        lines.extend(labelled("needs", &needs, INDENT, screen.width()));
    }
    if let (Some(closes), Some(after)) = (gate.closes(), gate.rule.expires) {
        let text = format!("{}, {} after it was opened", clock(closes), span(after));
        lines.extend(labelled("closes", &text, INDENT, screen.width()));
    }
    lines
}

/// Who has to agree, in words: `2 people, of group sre, not ada`.
pub(crate) fn who(rule: &Rule, operators: &BTreeSet<String>) -> String {
    let list = |names: &BTreeSet<String>, joint: &str| {
        names.iter().map(|name| line(name)).collect::<Vec<_>>().join(joint)
    };
    let mut text = if rule.by == 1 { "1 person".to_owned() } else { format!("{} people", rule.by) };
    match rule.groups.len() {
        0 => {}
        1 => text.push_str(&format!(", of group {}", list(&rule.groups, ""))),
        _ => text.push_str(&format!(", of all of the groups {}", list(&rule.groups, ", "))),
    }
    if rule.not_operator && operators.is_empty() {
        text.push_str(", not whoever walks the run");
    } else if rule.not_operator {
        text.push_str(&format!(", not {}", list(operators, " or ")));
    }
    text
}

/// A time of day, with its date if that is not today's.
pub(crate) fn clock(at: jiff::Timestamp) -> String {
    let zone = jiff::tz::TimeZone::system();
    let (at, now) = (at.to_zoned_datetime(zone.clone()), jiff::Timestamp::now().to_zoned_datetime(zone));
    at.strftime(if at.date() == now.date() { "%H:%M:%S" } else { "%m-%d %H:%M" }).to_string()
}

/// The card of a question.
pub(crate) fn question(screen: &Screen, place: &Place, question: &Question) -> Vec<String> {
    let mut lines = vec![head(screen, "question", place)];
    lines.extend(
        wrap(&line(&question.prompt), INDENT, screen.width()).iter().map(|text| screen.paint.bold(text)),
    );
    for detail in &question.details {
        lines.extend(wrap(&clean(detail), INDENT + 2, screen.width()));
    }
    lines.push(String::new());
    for (at, choice) in question.choices.iter().enumerate() {
        let label =
            if choice.label.is_empty() { String::new() } else { format!("  {}", line(&choice.label)) };
        lines.push(format!(
            "   {}  {}{label}",
            screen.paint.bold(&(at + 1).to_string()),
            line(&choice.outcome)
        ));
    }
    lines.push(rule(screen));
    lines
}

/// The outcome that a number or a word stands for.
pub(crate) fn choice<'a>(question: &'a Question, typed: &str) -> Option<&'a str> {
    let number = typed.parse::<usize>().ok().and_then(|number| question.choices.get(number.checked_sub(1)?));
    let choice = number.or_else(|| question.choices.iter().find(|choice| choice.outcome == typed))?;
    Some(&choice.outcome)
}

/// What one change is: target, commands, edits, notes, the way back.
pub(crate) fn item(screen: &Screen, item: &GateItem, detail: Detail) -> Vec<String> {
    let (paint, width) = (screen.paint, screen.width());
    let mut lines = Vec::new();
    // An edit names its file already.
    let named = item.commands.is_empty() && matches!(&item.diffs[..], [only] if only.path == item.target);
    if !item.target.is_empty() && !named {
        lines.extend(labelled("target", &line(&item.target), INDENT, width));
    }
    if !item.commands.is_empty() {
        lines.push("   runs".to_owned());
        for command in &item.commands {
            let text = exact(command);
            let text = text.lines().map(|text| format!("     {}", paint.bold(text))).collect();
            lines.extend(limited(screen, text, detail));
        }
    }
    for diff in &item.diffs {
        lines.extend(labelled("edits", &exact(&diff.path).replace('\n', "\\n"), INDENT, width));
        lines.extend(limited(screen, unified(paint, diff, 5), detail));
    }
    // A gate before a read shows neither.
    let changes = !item.commands.is_empty() || !item.diffs.is_empty();
    if changes {
        lines.extend(priced(screen, &item.price));
    }
    for note in &item.notes {
        lines.extend(labelled("note", &line(note), INDENT, width).iter().map(|text| paint.warn(text)));
    }
    lines.extend(match &item.undo {
        Some(undo) => labelled("undo", &line(undo), INDENT, width),
        None if !changes => Vec::new(),
        None => labelled("undo", "none: this cannot be taken back", INDENT, width)
            .iter()
            .map(|text| paint.warn(text))
            .collect(),
    });
    lines
}

/// The price of all items together, and how many of them can be taken back.
fn together(screen: &Screen, items: &[GateItem]) -> Vec<String> {
    let back = items.iter().filter(|item| item.undo.is_some()).count();
    let back = match items.len() - back {
        0 => format!("each of the {back} can be taken back"),
        _ if back == 0 => format!("none of the {} can be taken back", items.len()),
        not => format!("{back} can be taken back, {not} cannot"),
    };
    let mut lines = labelled("in all", &format!("{} changes: {back}", items.len()), INDENT, screen.width());
    lines.extend(priced(screen, &Price::total(items.iter().map(|item| &item.price))));
    lines
}

fn priced(screen: &Screen, price: &Price) -> Vec<String> {
    labelled("price", &price::words(price).join("\n"), INDENT, screen.width())
}

/// The lines of an edit, coloured. The names of the files, which the head of a unified diff repeats, are left out.
pub(crate) fn unified(paint: Paint, diff: &FileDiff, indent: usize) -> Vec<String> {
    let pad = " ".repeat(indent);
    let text = exact(&diff.unified);
    let is_head =
        |(at, text): &(usize, &str)| *at < 2 && (text.starts_with("--- ") || text.starts_with("+++ "));
    text.lines()
        .enumerate()
        .filter(|numbered| !is_head(numbered))
        .map(|(_, text)| {
            let painted = match text.as_bytes().first() {
                Some(b'+') => paint.good(text),
                Some(b'-') => paint.minus(text),
                Some(b'@') => paint.dim(text),
                _ => text.to_owned(),
            };
            format!("{pad}{painted}").trim_end().to_owned()
        })
        .collect()
}

fn limited(screen: &Screen, lines: Vec<String>, detail: Detail) -> Vec<String> {
    match detail {
        Detail::Whole => lines,
        Detail::Glance => cut(lines, LINES, |left| {
            screen.paint.warn(&format!("     {} {left} more lines; d shows all of them", screen.glyphs.more))
        }),
    }
}

fn head(screen: &Screen, what: &str, place: &Place) -> String {
    let flow = place.flow.as_deref().map(|flow| format!("{flow}  ")).unwrap_or_default();
    let text = format!("{what} {} {flow}{}", screen.glyphs.dot, line(&place.title));
    let start = screen.glyphs.rule.repeat(2);
    let left = screen.width().saturating_sub(console::measure_text_width(&text) + 4);
    let end = screen.glyphs.rule.repeat(left);
    format!("{} {} {}", screen.paint.warn(&start), screen.paint.bold(&text), screen.paint.warn(&end))
        .trim_end()
        .to_owned()
}

fn rule(screen: &Screen) -> String {
    screen.paint.warn(&screen.glyphs.rule.repeat(screen.width()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            flow: Some("C".into()),
            title: "scancel job (free the GPUs)".into(),
            why: Some("One dead rank leaves the others blocked in a collective.".into()),
            ..Place::default()
        }
    }

    fn stop(job: u32) -> GateItem {
        GateItem {
            target: format!("job {job} on cluster lab"),
            commands: vec![format!("scancel {job}")],
            diffs: Vec::new(),
            notes: vec!["4 nodes, 32 GPUs are freed".into()],
            undo: None,
            price: Price {
                gpus: Some(32),
                nodes: vec!["gpu-20".into(), "gpu-21".into()],
                users: vec!["ada".into()],
                jobs: vec![job.to_string()],
                steps_lost: Some(137),
                gpu_hours_lost: Some(8.0),
            },
            digest: "d".into(),
        }
    }

    fn of(items: Vec<GateItem>) -> Gate {
        Gate {
            prompt: "Stop it".into(),
            kind: "slurm.cancel".into(),
            changes: true,
            items,
            bound: engine::run::Bound::default(),
            rule: engine::run::Rule::default(),
            opened: jiff::Timestamp::UNIX_EPOCH,
            digest: "d".into(),
            again: false,
            changed: Vec::new(),
        }
    }

    fn show(gate: &Gate, detail: Detail) -> String {
        super::gate(&Screen::plain(std::io::sink()), &place(), gate, detail).join("\n")
    }

    #[test]
    fn one_change() {
        insta::assert_snapshot!(show(&of(vec![stop(123_456)]), Detail::Glance), @r#"
        ━━ change · C  scancel job (free the GPUs) ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
           Stop it
           why      One dead rank leaves the others blocked in a collective.
           target   job 123456 on cluster lab
           runs
             scancel 123456
           price    32 GPUs, 2 nodes (gpu-20, gpu-21), job 123456, user ada
                    loses 137 steps and 8.0 GPU-hours since the last good checkpoint
           note     4 nodes, 32 GPUs are freed
           undo     none: this cannot be taken back
        ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
        "#);
    }

    #[test]
    fn an_edit_that_can_be_undone() {
        let mut edit = stop(1);
        edit.commands.clear();
        edit.notes.clear();
        edit.price = Price::nothing();
        edit.target = "/home/ada/train.sbatch".into();
        edit.undo = Some("the original is put back".into());
        edit.diffs = vec![FileDiff {
            path: "/home/ada/train.sbatch".into(),
            unified: "--- a\n+++ b\n@@ -1,3 +1,4 @@\n #!/bin/bash\n-export A=1\n+export A=2\n+export B=\u{1b}[2J\n srun x\n".into(),
        }];
        let mut gate = of(vec![edit]);
        gate.again = true;
        insta::assert_snapshot!(show(&gate, Detail::Glance), @r#"
        ━━ change · C  scancel job (free the GPUs) ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
           Stop it
           This differs from what you were shown before: look again.
           why      One dead rank leaves the others blocked in a collective.
           edits    /home/ada/train.sbatch
             @@ -1,3 +1,4 @@
              #!/bin/bash
             -export A=1
             +export A=2
             +export B=\u{1b}[2J
              srun x
           price    hits no GPU, node or job
           undo     the original is put back
        ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
        "#);
    }

    #[test]
    fn who_has_to_agree_and_who_did() {
        let mut gate = of(vec![stop(1)]);
        gate.rule = Rule {
            by: 2,
            not_operator: true,
            groups: ["sre".to_owned()].into(),
            expires: Some(std::time::Duration::from_secs(1800)),
        };
        gate.again = true;
        gate.changed = vec!["job 1: its commands".into()];
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let place = Place { operators: names(&["ada"]), agreed: names(&["ben"]), ..place() };
        let lines = super::gate(&Screen::plain(std::io::sink()), &place, &gate, Detail::Glance);
        let shown: Vec<&str> = lines
            .iter()
            .map(String::as_str)
            .filter(|text| ["changed", "needs", "closes"].iter().any(|word| text.trim().starts_with(word)))
            .collect();
        assert_eq!(
            shown[..2],
            ["   changed  job 1: its commands", "   needs    2 people, of group sre, not ada; 1 agreed: ben",]
        );
        assert!(shown[2].ends_with(", 30 min 00 s after it was opened"), "{shown:?}");
        assert_eq!(
            who(&Rule { not_operator: true, ..Rule::default() }, &names(&[])),
            "1 person, not whoever walks the run"
        );
    }

    #[test]
    fn many_changes_are_cut_at_a_glance_only() {
        let gate = of((1..=40).map(stop).collect());
        let glance = show(&gate, Detail::Glance);
        assert!(glance.contains("… 34 more of the same kind"), "{glance}");
        let all = "   in all   40 changes: none of the 40 can be taken back\n   price    1280 GPUs, 2 nodes (gpu-20, gpu-21), 40 jobs";
        assert!(glance.contains(all), "{glance}");
        assert!(!glance.contains("scancel 7\n"));
        let whole = show(&gate, Detail::Whole);
        assert!((1..=40).all(|job| whole.contains(&format!("     scancel {job}\n"))));
    }

    #[test]
    fn a_question_lists_its_answers() {
        let choice = |outcome: &str, label: &str| engine::step::Choice {
            outcome: outcome.into(),
            label: label.into(),
        };
        let asked = Question {
            prompt: "Was slurm.submit carried out?".into(),
            details: vec!["with {\"job\":1}".into()],
            choices: vec![choice("done", "go on after it"), choice("abort", "leave the run as it is")],
        };
        let lines = question(&Screen::plain(std::io::sink()), &place(), &asked).join("\n");
        insta::assert_snapshot!(lines, @r#"
        ━━ question · C  scancel job (free the GPUs) ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
           Was slurm.submit carried out?
             with {"job":1}

           1  done  go on after it
           2  abort  leave the run as it is
        ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
        "#);
    }
}
