//! What could be written at a place, from the text around it: while one types, the file often is no YAML.

use std::sync::LazyLock;

use regex::Regex;

/// What could stand at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// A kind of step.
    Kind,
    /// A node's name.
    Target,
    /// An outcome of this kind of step.
    Outcome(String),
    /// A parameter of this kind of step.
    Param(String),
    /// A name that a template begins with.
    Root,
    /// A field of what has this name.
    Field(String),
}

/// The keys behind which a node's name stands.
const TARGETS: [&str; 6] = ["start", "next", "otherwise", "declined", "on_failure", "to"];

/// What could be written before `offset`.
pub(super) fn context(text: &str, offset: usize) -> Option<Context> {
    let before = text.get(..offset)?;
    let line = before.rsplit('\n').next().unwrap_or_default();
    if let Some(context) = template(line) {
        return Some(context);
    }
    let keys = open_keys(before)?;
    let value = value_of(line);
    if value.is_none() && line.matches('"').count() % 2 == 1 {
        return None; // Within a text.
    }
    match (keys.last().map(String::as_str), value) {
        (_, Some("step")) => Some(Context::Kind),
        (_, Some(key)) if TARGETS.contains(&key) => Some(Context::Target),
        (Some("next"), Some(_)) => Some(Context::Target),
        (Some("next"), None) => step_around(text, offset).map(Context::Outcome),
        (Some("with"), None) => step_around(text, offset).map(Context::Param),
        _ => None,
    }
}

/// Within `{{ … }}` of this line.
fn template(line: &str) -> Option<Context> {
    let open = ["{{", "{%"].iter().filter_map(|sign| line.rfind(sign)).max()?;
    let code = &line[open + 2..];
    if code.contains("}}") || code.contains("%}") {
        return None;
    }
    let path =
        code.rsplit(|c: char| !c.is_ascii_alphanumeric() && !"_.".contains(c)).next().unwrap_or_default();
    Some(match path.split_once('.') {
        None => Context::Root,
        Some((root, rest)) if !rest.contains('.') => Context::Field(root.to_owned()),
        // What is deeper is shown over the name, but not offered.
        Some(_) => return None,
    })
}

/// The key of this line whose value is being written, if one is.
fn value_of(line: &str) -> Option<&str> {
    static KEY: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"([A-Za-z_][\w-]*):[ \t]+["']?[\w.-]*$"#).ok());
    KEY.as_ref()?.captures(line)?.get(1).map(|key| key.as_str())
}

/// The keys of the maps around the end of a text, from the outermost.
fn open_keys(before: &str) -> Option<Vec<String>> {
    static BLOCK: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"^([ ]*)(?:- )?["']?([A-Za-z_$][\w-]*)["']?:(.*)$"#).ok());
    let block = BLOCK.as_ref()?;
    let mut keys: Vec<(usize, String)> = Vec::new();
    let lines: Vec<&str> = before.split('\n').collect();
    let (last, earlier) = lines.split_last()?;
    for line in earlier {
        let Some(found) = block.captures(line) else { continue };
        let indent = found[1].len();
        keys.retain(|(earlier, _)| *earlier < indent);
        keys.push((indent, found[2].to_owned()));
    }
    let indent = last.len() - last.trim_start_matches(' ').len();
    keys.retain(|(earlier, _)| *earlier < indent);
    let mut keys: Vec<String> = keys.into_iter().map(|(_, key)| key).collect();
    // Maps in braces that were opened on this line and not closed.
    let mut pending = String::new();
    let mut word = String::new();
    let mut depth = Vec::new();
    for c in last.chars() {
        match c {
            c if c.is_alphanumeric() || c == '_' || c == '-' => word.push(c),
            ':' => pending = std::mem::take(&mut word),
            '{' => depth.push(std::mem::take(&mut pending)),
            '}' => drop(depth.pop()),
            ' ' => {}
            _ => word.clear(),
        }
        if matches!(c, ',' | '{' | '}') {
            word.clear();
            pending.clear();
        }
    }
    keys.extend(depth);
    Some(keys)
}

/// The kind of step of the node around a place.
fn step_around(text: &str, offset: usize) -> Option<String> {
    static STEP: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"(?m)(?:^|[\s{,])step:[ \t]*["']?([\w.]+)"#).ok());
    let nodes = text.find("\nnodes:").map(|at| at + 1)?;
    let indent_of = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let body = text.get(nodes..)?;
    let inner = body.lines().skip(1).find(|line| !line.trim().is_empty())?;
    let indent = indent_of(inner);
    // The node begins with the last line of that indentation, and ends with the next.
    let (mut start, mut end, mut at) = (None, text.len(), nodes);
    for line in text[nodes..].split_inclusive('\n') {
        let header =
            indent_of(line) <= indent && !line.trim().is_empty() && !line.trim_start().starts_with('#');
        if header && at <= offset {
            start = Some(at);
        } else if header {
            end = at;
            break;
        }
        at += line.len();
    }
    let node = text.get(start?..end)?;
    STEP.as_ref()?.captures(node)?.get(1).map(|kind| kind.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The context at `§`.
    fn at(text: &str) -> Option<Context> {
        let offset = text.find('§').unwrap();
        context(&text.replace('§', ""), offset)
    }

    #[test]
    fn the_text_around_says_what_could_be_written() {
        let node = |inside: &str| {
            format!(
                "runbook: x\nstart: a\nnodes:\n  a:\n    step: slurm.job\n{inside}\n  b:\n    step: wait\n"
            )
        };
        let kind = || "slurm.job".to_owned();
        for (inside, expected) in [
            ("    next: { fo§", Some(Context::Outcome(kind()))),
            ("    next: { found: b, §", Some(Context::Outcome(kind()))),
            ("    next: { found: §", Some(Context::Target)),
            ("    next: { found: b, missing: \"b§", Some(Context::Target)),
            ("    next: §", Some(Context::Target)),
            ("    next:\n      fo§", Some(Context::Outcome(kind()))),
            ("    next:\n      found: b§", Some(Context::Target)),
            ("    next:\n      found: { to: §", Some(Context::Target)),
            ("    with: { §", Some(Context::Param(kind()))),
            ("    with:\n      job: x\n      p§", Some(Context::Param(kind()))),
            ("    with: { job: §", None),
            ("    with: { job: \"{{ §", Some(Context::Root)),
            ("    with: { job: \"{{ inputs.jo§", Some(Context::Field("inputs".to_owned()))),
            ("    with: { job: \"{{ a }} §", None),
            ("    on_failure: §", Some(Context::Target)),
            ("    undo: { step: §", Some(Context::Kind)),
            ("    title: §", None),
        ] {
            assert_eq!(at(&node(inside)), expected, "{inside}");
        }
        assert_eq!(at("start: §"), Some(Context::Target));
        assert_eq!(at("nodes:\n  a: { step: oo§"), Some(Context::Kind));
        assert_eq!(
            at("x\nnodes:\n  a: { step: oom.read, next: { §"),
            Some(Context::Outcome("oom.read".to_owned()))
        );
        assert_eq!(at("§"), None);
    }
}
