//! What Mermaid refuses, or draws otherwise than it is written, and its parser here lets pass.

use super::FlowError;
use super::mermaid::NO_CHARACTER;
use super::spots::{Spot, What};
use super::stand_ins::{is_entity, is_sign};

/// Where something is wrong, and what.
type Wrong = (usize, &'static str);

/// Looks at what is written at and after each name and label, and at the lines that begin a group or say how something looks.
pub(super) fn check(text: &str, spots: &[Spot<'_>]) -> Result<(), FlowError> {
    let refuse = |(at, message): Wrong| {
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let len = text[at..].chars().next().map_or(0, char::len_utf8);
        Err(FlowError { message: message.to_owned(), at: at..at + len })
    };
    for (at, spot) in spots.iter().enumerate() {
        let (end, next) = (spot.at.end, spots.get(at + 1));
        let after = &text[end..];
        let found = match spot.what {
            What::Name if belongs(after) => Some((0, NO_CHARACTER)),
            What::Name if of_click(&text[spot.at.clone()], after) => {
                return refuse((spot.at.start, OF_CLICK));
            }
            What::Name if of_arrow(&text[spot.at.clone()], after) => return refuse((end - 1, OF_ARROW)),
            What::Name => name(end, next, after).or_else(|| class(after)).or_else(|| after_data(after)),
            What::BoxLabel => class(after).or_else(|| after_data(after)),
            What::ArrowLabel => arrow_label(&text[spot.at.clone()], after),
            What::Styled | What::Other => None,
        };
        let between = text.get(end..next.map_or(text.len(), |next| next.at.start)).unwrap_or_default();
        if let Some((at, message)) = found.or_else(|| unsaid(between)).or_else(|| tight(between)) {
            return refuse((end + at, message));
        }
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let begin = start + (line.len() - line.trim_start().len());
        start += line.len();
        // A label may go on for several lines.
        if spots.iter().any(|spot| spot.at.start < begin && begin < spot.at.end) {
            continue;
        }
        if let Some((at, message)) = statement(&text[begin..], line.trim()) {
            return refuse((begin + at, message));
        }
    }
    Ok(())
}

/// What Mermaid takes for a part of the name before it: `a&b` is one box, `A.->B` no arrow.
fn belongs(after: &str) -> bool {
    let joined = |rest: &str| rest.starts_with(|c: char| !c.is_whitespace());
    after.starts_with('.') || after.strip_prefix('&').is_some_and(joined)
}

/// Whether Mermaid takes a name for a part of the statement `click`.
fn of_click(name: &str, after: &str) -> bool {
    matches!(name, "call" | "href") && after.starts_with(char::is_whitespace)
}

const OF_CLICK: &str = "Mermaid takes this word for a part of `click`: the box needs another name";

/// Whether Mermaid takes the last letter of a name for the end of an arrow: after a number, or a letter that is not of ASCII, a
/// name may end.
fn of_arrow(name: &str, after: &str) -> bool {
    let arrow = ["--", "==", "-."].iter().any(|arrow| after.starts_with(arrow));
    let Some(rest) = name.strip_suffix(['x', 'o']).filter(|rest| arrow && !rest.is_empty()) else {
        return false;
    };
    let last = rest.trim_end_matches(|c: char| c.is_ascii_digit()).chars().next_back();
    last.is_none_or(|last| !last.is_ascii() && !is_sign(last))
}

const OF_ARROW: &str = "Mermaid takes this letter for a part of the arrow: put a space before or after it";

/// What is not read any more after `A@{ … }`.
fn after_data(after: &str) -> Option<Wrong> {
    let len = data(after)?;
    let rest = after[len..].lines().next().unwrap_or_default();
    if let Some(next) = rest.trim_start().strip_prefix('&')
        && (rest.starts_with('&') || !next.starts_with([' ', '\t']))
    {
        return Some((len, TIGHT));
    }
    let word = rest.split_whitespace().next().filter(|_| rest.starts_with([' ', '\t']))?;
    let (name, next) = word.split_once('@')?;
    let arrow = ARROWS.iter().any(|arrow| name.contains(arrow));
    let named = !name.is_empty() && !arrow && !next.starts_with('{');
    named.then_some((
        len,
        "Mermaid wants no name for an arrow right after `@{ … }`: put the data on a line of its own",
    ))
}

/// The length of the `@{ … }` with which a text begins.
fn data(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.strip_prefix("@{")?.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '}' && !quoted).then_some(at + 3)
    })
}

/// A label follows a name at once, and says something.
fn name(end: usize, next: Option<&Spot<'_>>, after: &str) -> Option<Wrong> {
    let there = after.trim_start_matches([' ', '\t']);
    let gap = after.len() - there.len();
    let label = next.is_some_and(|label| label.what == What::BoxLabel && label.at.start == end + gap);
    if gap > 0 && (label || there.starts_with("@{")) {
        return Some((0, "Mermaid wants a label right after the name"));
    }
    let within = after.strip_prefix('>').unwrap_or_else(|| after.trim_start_matches(['[', '(', '{']));
    if (within.len() < after.len() && within.starts_with("~~~")) || after.starts_with("((-") {
        return Some((0, "Mermaid wants quotes around a label that begins with these characters"));
    }
    let nothing = NOTHING.iter().any(|nothing| within.starts_with(nothing));
    (nothing && within.len() < after.len()).then_some((0, SAYS_NOTHING))
}

/// What a label without words begins with.
const NOTHING: [&str; 9] = ["]", ")", "}", "\"\"", "\"``\"", "//]", "\\\\]", "/\\]", "\\/]"];
const SAYS_NOTHING: &str = "Mermaid refuses a label without words";

/// `A:::x` has no spaces.
fn class(after: &str) -> Option<Wrong> {
    let there = after.trim_start_matches([' ', '\t']);
    let class = there.strip_prefix(":::")?;
    let apart = there.len() < after.len() || class.starts_with([' ', '\t']);
    apart.then_some((0, "Mermaid wants no space around `:::`"))
}

/// One space may follow `|x|`.
fn arrow_label(label: &str, after: &str) -> Option<Wrong> {
    let blank = ["\n", "\r", "  ", " \t", "\t ", "\t\t", " \n", " \r"];
    let apart = label.starts_with('|') && blank.iter().any(|blank| after.starts_with(blank));
    apart.then_some((0, "Mermaid wants the box one space after the label of its arrow"))
}

/// Where an arrow has a label without words.
fn unsaid(between: &str) -> Option<Wrong> {
    let line = between.lines().next().unwrap_or_default();
    let arrow = line.find(['-', '='])?;
    let labels = ["||", "|\"\"|", "|\"``\"|"].iter().filter_map(|label| line[arrow..].find(label));
    labels.min().map(|at| (arrow + at, SAYS_NOTHING))
}

/// Where `&` has no space on a side.
fn tight(between: &str) -> Option<Wrong> {
    let (before, after) = between.split_once('&')?;
    let apart = before.trim_end();
    let classed = apart.strip_prefix(":::").is_some_and(|class| !class.contains(char::is_whitespace));
    let alone = (apart.is_empty() || classed) && after.trim().is_empty();
    (alone && (apart == before || after.is_empty())).then_some((before.len(), TIGHT))
}

const TIGHT: &str = "Mermaid wants a space before and after `&`";

/// Where a line says `direction LR` and more: Mermaid reads nothing else of it.
fn direction(line: &str) -> Option<Wrong> {
    let found = line.match_indices("direction").find_map(|(at, word)| {
        let rest = &line[at + word.len()..];
        let way = rest.trim_start();
        let says = way.len() < rest.len() && WAYS.iter().any(|one| way.starts_with(one));
        says.then(|| (at, way[2..].trim_start_matches([' ', '\t', ';'])))
    });
    let (at, rest) = found?;
    let wrong = if at > 0 { Some(0) } else { (!rest.is_empty()).then(|| line.len() - rest.len()) };
    wrong.map(|at| (at, "Mermaid drops this line but for its `direction`: give that a line of its own, or say it otherwise"))
}

/// How the stroke of an arrow begins.
pub(super) const ARROWS: [&str; 4] = ["--", "==", "-.", "~~"];
/// Ways in which a flow may be drawn.
pub(super) const WAYS: [&str; 5] = ["TB", "BT", "RL", "LR", "TD"];
/// Lines that are no part of the drawing.
const ASIDE: [&str; 4] = ["%%", "accTitle", "accDescr", "click"];

/// Where a line goes wrong that begins a group or says how something looks. `text` goes on after the line.
fn statement(text: &str, line: &str) -> Option<Wrong> {
    let (word, rest) = line.split_at(line.find([' ', '\t', ';']).unwrap_or(line.len()));
    let at = word.len();
    if let Some(wrong) = direction(line).filter(|_| ASIDE.iter().all(|aside| !line.starts_with(aside))) {
        return Some(wrong);
    }
    match word {
        "subgraph" => group(&text[at..]).map(|(more, message)| (at + more, message)),
        "class" => {
            let words = rest.split(';').next().unwrap_or_default().split_whitespace().count();
            (words != 2).then_some((0, "Mermaid wants names without spaces between them, then one class"))
        }
        "style" | "classDef" | "linkStyle" => {
            let (more, message) = looks(word, rest)?;
            Some(((at + more).min(line.len() - 1), message))
        }
        _ => None,
    }
}

const QUOTES: &str = "Mermaid wants quotes around a title with this character";

/// Where a group's title goes wrong: what is not quoted is letters, spaces and few signs.
fn group(text: &str) -> Option<Wrong> {
    let says = text.trim_start_matches([' ', '\t']);
    let from = text.len() - says.len();
    let wrong = |at: usize, message| Some((from + at, message));
    let ends = |text: &str| {
        let line = text.lines().next().unwrap_or_default();
        line.is_empty() || line.starts_with(';')
    };
    if ends(says) {
        return Some((from.saturating_sub(1), "Mermaid wants a name for this group"));
    }
    let quoted = says.strip_prefix('"').and_then(|inner| inner.find('"')).map_or(0, |len| len + 2);
    if let Some(word) = says.lines().next().filter(|_| quoted == 0).and_then(taken) {
        return wrong(word, "Mermaid wants quotes around a title with this word");
    }
    for (at, c) in says.char_indices().skip_while(|(at, _)| *at < quoted) {
        match c {
            ';' | '\n' => return None,
            '[' => {
                let title = &says[at..];
                let Some(end) = end_of_title(title) else { return wrong(at, "this title does not end") };
                return match &title[..end] {
                    "[]" | "[\"\"]" => wrong(at, SAYS_NOTHING),
                    _ if at == 0 || title.starts_with("[/") || title.starts_with("[\\") => wrong(at, QUOTES),
                    _ if !ends(&title[end..]) => {
                        wrong(at + end, "Mermaid wants nothing after a group's title")
                    }
                    _ => None,
                };
            }
            '-' if says[at + 1..].starts_with(['-', '.']) => return wrong(at, QUOTES),
            ':' if says[at..].starts_with(":::") => return wrong(at, QUOTES),
            '!' | '"' | '#' | '$' | '%' | '&' | '\'' | '*' | '+' | '.' | '`' | '?' | '\\' | '_' | '/'
            | '-' | ':' | '^' => {}
            // Mermaid's letters are those of the first plane.
            _ if (c.is_alphanumeric() && c.len_utf8() < 4) || c.is_whitespace() => {}
            _ => return wrong(at, QUOTES),
        }
    }
    None
}

/// Where a title has a word that means something else: these everywhere, `end` at the end.
fn taken(line: &str) -> Option<usize> {
    let title = line.split([';', '[']).next().unwrap_or_default();
    let words: Vec<&str> = title.split_whitespace().collect();
    let last = words.last().filter(|word| **word == "end" && title.len() == line.len());
    words.iter().find(|word| TAKEN.contains(word)).or(last).and_then(|word| title.rfind(word))
}

const TAKEN: [&str; 9] =
    ["default", "interpolate", "call", "click", "href", "_self", "_blank", "_parent", "_top"];

/// The length of `[…]`.
fn end_of_title(title: &str) -> Option<usize> {
    let mut quoted = false;
    title.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == ']' && !quoted).then_some(at + 1)
    })
}

/// Where a style goes wrong: it is not left out, has no brackets and no quotes, and a colour before `;` would be an entity. Of
/// `style` and `classDef` Mermaid drops the last `;` of a line with a colour, whatever comes after it.
fn looks(word: &str, rest: &str) -> Option<Wrong> {
    let mut rest = rest.replace(is_entity, "#0;");
    let is_colour = |word: &str| word.split_once(':').is_some_and(|(_, value)| value.contains('#'));
    if word != "linkStyle"
        && rest.split_whitespace().any(is_colour)
        && let Some(last) = rest.rfind(';')
    {
        rest.remove(last);
    }
    let entity = rest.match_indices(';').map(|(at, _)| at).find(|at| {
        let word = rest[..*at].rfind(|c: char| !c.is_ascii_alphanumeric());
        word.is_some_and(|word| rest[word..].starts_with('#'))
    });
    let first = rest.split(';').next().unwrap_or_default().trim_end();
    let odd = first.find(['(', ')', '[', ']', '{', '}', '<', '>', '|', '"']);
    let none = (first.split_whitespace().count() < 2).then_some(first.len().saturating_sub(1));
    let odd = odd.map(|at| (at, "Mermaid does not expect this character in a style"));
    odd.or(entity.map(|at| (at, "Mermaid takes a colour before `;` for an entity: leave the `;` out")))
        .or(none.map(|at| (at, "Mermaid wants a style here")))
}
