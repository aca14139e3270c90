//! Which commands of a page belong to which box: those that share a telling word with it, and what is written above them does.

use std::collections::BTreeSet;

use engine::page::{Flow, blocks, commands, on_host};
use engine::step::Registry;
use engine::template::with_words;
use serde_json::json;

/// A command of the page as a step.
#[derive(Debug, Clone)]
pub(crate) struct Proposed {
    /// As the page has it.
    pub(crate) written: String,
    /// The host, as a template or as written.
    pub(crate) host: Option<String>,
    /// What is run, with templates for variables.
    pub(crate) run: String,
    /// Whether it was shown to read only.
    pub(crate) reads: bool,
}

impl Proposed {
    /// Text that tells it from others.
    pub(crate) fn words(&self) -> String {
        self.run.replace(RAW, "").replace(END_RAW, "")
    }

    /// Its words, and those of its variables' names.
    fn told(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut own, mut names, mut rest) = (String::new(), String::new(), self.run.as_str());
        let host = self.host.clone().unwrap_or_default();
        names.extend(host.strip_prefix(INPUT));
        while let Some((before, inner)) = rest.split_once(INPUT) {
            let (name, after) = inner.split_once("}}").unwrap_or((inner, ""));
            own.push_str(before);
            names.extend([" ", name]);
            rest = after;
        }
        (words(&(own + rest)), words(&names))
    }
}

/// What the page's commands need and where they belong.
#[derive(Debug, Default)]
pub(crate) struct Attached {
    /// Commands by the position of their box.
    pub(crate) of_box: Vec<Vec<Proposed>>,
    /// Commands that read and belong to no box: evidence.
    pub(crate) evidence: Vec<Proposed>,
    /// Commands that may change something and belong to no box.
    pub(crate) left: Vec<Proposed>,
    /// Variables of the page that become inputs.
    pub(crate) inputs: BTreeSet<String>,
}

pub(crate) fn attach(page: &str, flow: &Flow, registry: &Registry) -> Attached {
    let mut attached = Attached { of_box: vec![Vec::new(); flow.boxes.len()], ..Attached::default() };
    for block in blocks(page).iter().filter(|block| block.is_shell()) {
        for (command, place) in commands(&block.text) {
            let (host, run) = match on_host(&command) {
                Some((host, run)) => (Some(templated(host, true, &mut attached.inputs)), run),
                None => (None, command.as_str()),
            };
            let run = templated(run, false, &mut attached.inputs);
            let kind = if host.is_some() { "ssh" } else { "shell" };
            let with = match &host {
                Some(host) => json!({ "host": host, "run": with_words(&run) }),
                None => json!({ "run": with_words(&run) }),
            };
            let reads = registry.get(kind).is_some_and(|step| !step.effect(&with).changes());
            let proposed = Proposed { written: command.clone(), host, run, reads };
            let above = format!("{}\n{}", block.before, comment(&block.text[..place.start]));
            match nearest(&proposed, &above, flow) {
                Some(at) => attached.of_box[at].push(proposed),
                None if reads => attached.evidence.push(proposed),
                None => attached.left.push(proposed),
            }
        }
    }
    attached
}

/// The box that shares the most words with a command; none if it shares no telling one. Of several that share as many, the one
/// that shares more with what is written above the command, then the first. What may change something is nothing to decide by.
fn nearest(command: &Proposed, above: &str, flow: &Flow) -> Option<usize> {
    let ((own, names), above) = (command.told(), words(above));
    let shared = |title: &BTreeSet<String>| {
        // That a `$HOST` is a host tells nothing of what is done there; `$OOM_NODE` and a box on an OOM node belong together.
        let named = title.intersection(&names).count();
        title.intersection(&own).count() + if named > 1 { named } else { 0 }
    };
    let decides = |id: &str| flow.arrows.iter().filter(|arrow| arrow.from == id).nth(1).is_some();
    let near = flow.boxes.iter().enumerate().filter_map(|(at, one)| {
        let title = words(&one.title);
        let fits = command.reads || !decides(&one.id);
        let (shared, above) = (shared(&title), title.intersection(&above).count());
        (shared > 0).then_some(((fits, shared, above, std::cmp::Reverse(at)), at))
    });
    near.max().map(|(_, at)| at)
}

/// The comment with which the commands before a place end.
fn comment(commands: &str) -> String {
    let lines = commands.trim_end().lines().rev().map(str::trim_start);
    lines.take_while(|line| line.starts_with('#')).collect::<Vec<_>>().join("\n")
}

/// The words of a text that are long enough to tell something.
fn words(text: &str) -> BTreeSet<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).map(|word| word.trim_end_matches('s'));
    words
        .filter(|word| word.len() > 2 && !word.starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

/// A command with a template for each variable in capitals: `"$JOB_ID"` is `{{ inputs.job_id }}`. In the name of a host it is
/// one for `any` variable, for no shell looks at it there.
fn templated(command: &str, any: bool, inputs: &mut BTreeSet<String>) -> String {
    let mut text = String::with_capacity(command.len());
    // What no template is.
    let mut plain = String::new();
    let mut rest = command;
    while let Some(at) = rest.find('$') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let (name, len) = match rest[1..].strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((name, _)) => (name, name.len() + 3),
            None => {
                let end = rest[1..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                let name = &rest[1..end.map_or(rest.len(), |end| end + 1)];
                (name, name.len() + 1)
            }
        };
        let letter = |c: char| c.is_ascii_uppercase() || (any && c.is_ascii_lowercase());
        let input =
            name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit() || c == '_');
        let after = &rest[len..];
        if input {
            let mut input = name.to_lowercase();
            if engine::source::is_reserved(&input) || TAKEN.contains(&input.as_str()) {
                input.push_str("_value");
            }
            // The engine quotes what it puts in; quotes around more than that have to stay.
            let quoted = plain.ends_with('"') && after.starts_with('"');
            let before = if quoted { &plain[..plain.len() - 1] } else { &plain[..] };
            text.push_str(&literal(before));
            text.push_str(&format!("{INPUT}{input} }}}}"));
            inputs.insert(input);
            plain.clear();
            rest = if quoted { &after[1..] } else { after };
        } else {
            plain.push_str(&rest[..len]);
            rest = after;
        }
    }
    plain.push_str(rest);
    text.push_str(&literal(&plain));
    text
}

/// Text in which nothing is a template: `docker ps --format '{{.Names}}'` has braces of its own.
fn literal(text: &str) -> String {
    let begins = ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) || text.ends_with('{');
    if begins { format!("{RAW}{text}{END_RAW}") } else { text.to_owned() }
}

const INPUT: &str = "{{ inputs.";
const RAW: &str = "{% raw %}";
const END_RAW: &str = "{% endraw %}";

/// Flags of the program.
const TAKEN: [&str; 8] = ["json", "yes", "approve", "answer", "wait", "record", "step", "delay"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_become_inputs_and_all_else_stays_what_it_is() {
        let of = |command: &str| templated(command, false, &mut BTreeSet::new());
        assert_eq!(of("scancel \"$JOB_ID\""), "scancel {{ inputs.job_id }}");
        assert_eq!(of("du -x \"$DIR/log\" $x"), "du -x \"{{ inputs.dir }}/log\" $x");
        assert_eq!(of("a \"$A$B\""), "a \"{{ inputs.a }}{{ inputs.b }}\"");
        let names = of("docker ps --format \"{{.Names}}\" \"$FILTER\"");
        assert_eq!(names, "{% raw %}docker ps --format \"{{.Names}}\" {% endraw %}{{ inputs.filter }}");
        assert_eq!(with_words(&names), "docker ps --format \"{{.Names}}\" value");
        assert_eq!(templated("root@$node", true, &mut BTreeSet::new()), "root@{{ inputs.node }}");
        assert_eq!(of("echo ${#all[@]} {$X}"), "{% raw %}echo ${#all[@]} {{% endraw %}{{ inputs.x }}}");
    }
}
