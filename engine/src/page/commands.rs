//! The commands of shell text, one a line, comparable whatever their variables are called.

use std::ops::Range;

use super::quotes::plain;
use super::unfinished::Unfinished;
use crate::template::substituted;

/// The commands of a shell block, each with its place: comments and empty lines are no commands, a line that ends with a
/// backslash goes on, and so does a loop, a condition, a group, a quote or a here-document until its end.
pub fn commands(text: &str) -> Vec<(String, Range<usize>)> {
    let mut all: Vec<(String, Range<usize>)> = Vec::new();
    let mut goes_on = false;
    let mut lines = lines(text).peekable();
    while let Some((line, place)) = lines.next() {
        if line.is_empty() || (!goes_on && line.starts_with('#')) {
            goes_on = false;
            continue;
        }
        // How a page shows what is typed.
        let typed = line.strip_prefix("$ ").unwrap_or(line);
        if !goes_on && let Some(end) = whole(typed, lines.clone()) {
            let whole = &text[place.start..end];
            all.push((whole.strip_prefix("$ ").unwrap_or(whole).to_owned(), place.start..end));
            while lines.next_if(|(_, place)| place.end <= end).is_some() {}
            continue;
        }
        let (words, more) = match typed.strip_suffix('\\') {
            Some(words) => (words.trim_end(), true),
            None => (typed, false),
        };
        match all.last_mut().filter(|_| goes_on) {
            Some((text, whole)) => {
                text.push(' ');
                text.push_str(words);
                whole.end = place.end;
            }
            None => all.push((words.to_owned(), place)),
        }
        goes_on = more;
    }
    all
}

/// Lines without the spaces around them, each with its place.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (&str, Range<usize>)> + Clone {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let trimmed = line.trim();
        let start = at + (line.len() - line.trim_start().len());
        at += line.len();
        (trimmed, start..start + trimmed.len())
    })
}

/// Where a command ends that goes on for several lines; `None` if it does not, or never ends.
fn whole<'t>(first: &str, next: impl Iterator<Item = (&'t str, Range<usize>)>) -> Option<usize> {
    let mut unfinished = Unfinished::default();
    unfinished.read(first);
    if !unfinished.is_open() {
        return None;
    }
    for (line, place) in next {
        unfinished.read(line);
        if !unfinished.is_open() {
            return Some(place.end);
        }
    }
    None
}

/// What stands for a variable or a template.
pub(super) const HOLE: &str = "\u{2423}";

/// A command of a page with a hole for every variable, single spaces, and without quotes that say nothing: `scancel ␣` of
/// `scancel "$JOB_ID"`.
pub(super) fn shape(command: &str) -> String {
    let shape = holes(command);
    plain(&shape).unwrap_or_else(|| spaced(&shape))
}

/// The same of a step's text, in which templates are holes, too.
pub(super) fn shape_of_step(text: &str) -> String {
    shape(&substituted(text, |_| Some(HOLE)))
}

fn holes(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        match variable(rest) {
            Some(len) => {
                shape.push_str(HOLE);
                rest = &rest[len..];
            }
            None => {
                shape.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    shape
}

fn spaced(shape: &str) -> String {
    // A template is quoted by the engine, a variable by who writes the page.
    let quoted = [format!("\"{HOLE}\""), format!("'{HOLE}'")];
    let bare = quoted.iter().fold(shape.to_owned(), |shape, quoted| shape.replace(quoted, HOLE));
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The length of the variable with which a text begins: `$JOB`, `${JOB}`.
fn variable(text: &str) -> Option<usize> {
    let name = text.strip_prefix('$')?;
    if name.starts_with('{') {
        return name.find('}').map(|end| end + 2);
    }
    let len = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
    (len > 0).then_some(len + 1)
}

/// What runs on a host in a command such as `ssh "$NODE" 'uptime'`: the host's word and the command there.
pub fn on_host(command: &str) -> Option<(&str, &str)> {
    let rest = command.strip_prefix("ssh ")?.trim_start();
    let (host, there) = rest.split_once(' ')?;
    let there = there.trim();
    if host.starts_with('-') || there.is_empty() {
        return None;
    }
    let quote = there.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let inner = quote
        .and_then(|quote| there.strip_prefix(quote)?.strip_suffix(quote))
        .filter(|inner| quote.is_some_and(|quote| !inner.contains(quote)));
    Some((host.trim_matches(['"', '\'']), inner.unwrap_or(there)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_command_and_may_go_on() {
        let text = "# note\n  $ df -h \\\n    /var\n\nuptime # x\n";
        let found = commands(text);
        assert_eq!(found[0].0, "df -h /var");
        assert_eq!(&text[found[0].1.clone()], "$ df -h \\\n    /var");
        assert_eq!(found[1].0, "uptime # x");
    }

    #[test]
    fn what_belongs_together_is_one_command() {
        let text =
            "uptime\n$ for h in a b; do\n  ssh $h df\n\n  # and\ndone\ncat <<E\n$ x\nE\necho don't\ndf\n";
        let found = commands(text);
        let said: Vec<&str> = found.iter().map(|(command, _)| command.as_str()).collect();
        let long = "for h in a b; do\n  ssh $h df\n\n  # and\ndone";
        assert_eq!(said, ["uptime", long, "cat <<E\n$ x\nE", "echo don't", "df"]);
        assert_eq!(&text[found[1].1.clone()], format!("$ {long}"));
    }

    #[test]
    fn variables_and_templates_are_the_same_place() {
        assert_eq!(shape("scancel \"$JOB_ID\""), shape_of_step("scancel {{ vars.job }}"));
        assert_eq!(shape("a  ${X}/b"), shape_of_step("a {{ x | y }}/b"));
        assert_ne!(shape("scancel -f $X"), shape("scancel $X"));
        assert_eq!(shape("price $ 3"), "price $ 3");
        let page = "docker ps --format '{{.Names}}' \"$X\"";
        assert_eq!(
            shape(page),
            shape_of_step("{% raw %}docker ps --format '{{.Names}}' {% endraw %}{{ x }}")
        );
        assert_ne!(shape(page), shape_of_step("{% raw %}docker ps --format '{{.ID}}' {% endraw %}{{ x }}"));
    }

    #[test]
    fn the_command_on_a_host_is_taken_out() {
        assert_eq!(on_host("ssh \"$NODE\" 'df -h'"), Some(("$NODE", "df -h")));
        assert_eq!(on_host("ssh web-1 uptime"), Some(("web-1", "uptime")));
        assert_eq!(on_host("ssh -v web-1 uptime"), None);
        assert_eq!(on_host("sshd -T"), None);
    }
}
