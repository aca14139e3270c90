//! Text for the parser in which single letters stand for what it would read otherwise than Mermaid does. Places and names are
//! told as they were written.

use std::ops::Range;

use pulldown_cmark::{Event, Parser};

use super::Flow;
use super::strict::{ARROWS, WAYS};

/// Signs that Mermaid has in names and its parser here has not. Each rune stands for one, also in the middle of a name.
const SIGNS: [(char, char); 18] = [
    ('/', 'ᚠ'),
    ('?', 'ᚢ'),
    ('!', 'ᚤ'),
    ('+', 'ᚦ'),
    ('$', 'ᚨ'),
    ('%', 'ᚪ'),
    ('\'', 'ᚬ'),
    ('*', 'ᚮ'),
    ('\\', 'ᚰ'),
    ('#', 'ᚲ'),
    ('`', 'ᚴ'),
    (':', 'ᚶ'),
    (',', 'ᚸ'),
    ('.', 'ᚺ'),
    ('-', 'ᚻ'),
    ('&', 'ᚼ'),
    ('"', 'ᚾ'),
    DIRECTION,
];
/// Stands for the first letter of `direction`, which may be the name of a box.
const DIRECTION: (char, char) = ('d', 'ᛁ');
/// How many of them are put up with in one text.
const MOST_SIGNS: usize = 64;
/// The first of the letters that stand for entities. Nothing is assigned there, and no font is known to use it.
const FIRST_ENTITY: u32 = 0x10_0000;
/// How many different entities are told apart.
const MOST_ENTITIES: usize = 0x1000;

/// A text in which something was replaced.
pub(super) struct StandIns {
    pub(super) text: String,
    /// Where (in the replaced text), and by how many bytes it is longer for it.
    put: Vec<(usize, isize)>,
    signs: usize,
    /// What the letters from [`FIRST_ENTITY`] on stand for.
    entities: Vec<String>,
}

impl StandIns {
    /// The text without its entities: the parser would take `&lt;job&gt;` for a tag and `#quot;` for a quote around the label.
    pub(super) fn of(text: &str) -> Self {
        let mut all =
            Self { text: String::with_capacity(text.len()), put: Vec::new(), signs: 0, entities: Vec::new() };
        let mut rest = text;
        while let Some(at) = rest.find(['&', '#']) {
            all.text.push_str(&rest[..at]);
            rest = &rest[at..];
            let len = match entity(rest) {
                Some((len, meant)) if all.entities.len() < MOST_ENTITIES => {
                    let letter = all.letter(meant);
                    all.put.push((all.text.len(), letter.len_utf8().cast_signed() - len.cast_signed()));
                    all.text.push(letter);
                    len
                }
                _ => {
                    all.text.push_str(&rest[..1]);
                    1
                }
            };
            rest = &rest[len..];
        }
        all.text.push_str(rest);
        all
    }

    fn letter(&mut self, meant: String) -> char {
        let known = self.entities.iter().position(|one| *one == meant);
        let at = known.unwrap_or_else(|| {
            self.entities.push(meant);
            self.entities.len() - 1
        });
        u32::try_from(at).ok().and_then(|at| char::from_u32(FIRST_ENTITY + at)).unwrap_or(' ')
    }

    /// Replaces the sign at which the parser stopped, if it is one that belongs to a name.
    pub(super) fn replace(&mut self, at: usize) -> bool {
        let mut chars = self.text.get(at..).unwrap_or_default().chars();
        let sign = chars.next();
        let ends = match sign {
            // Arrows and classes have these, too.
            Some('-') => chars.next().is_none_or(|next| matches!(next, '-' | '>' | '.')),
            Some(':') => self.text[at..].starts_with(":::"),
            // A name has it after a letter; one without does not go on.
            Some('"') => {
                let before =
                    self.text[..at].rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next();
                before.is_none_or(|name| name.chars().all(|c| c.is_ascii_digit()))
            }
            _ => false,
        };
        let stand_in = SIGNS.iter().find(|(written, _)| Some(*written) == sign && !ends);
        let Some((_, stand_in)) = stand_in.filter(|_| self.signs < MOST_SIGNS) else { return false };
        self.signs += 1;
        self.put(at, *stand_in);
        true
    }

    /// Puts a letter for the byte at a place.
    fn put(&mut self, at: usize, letter: char) {
        self.text.replace_range(at..=at, letter.encode_utf8(&mut [0; 4]));
        let more = letter.len_utf8().cast_signed() - 1;
        for (put, _) in self.put.iter_mut().filter(|(put, _)| *put > at) {
            *put = put.saturating_add_signed(more);
        }
        self.put.push((at, more));
    }

    /// Puts a letter for the bytes at these places, which ascend; whether there are any.
    fn put_all(&mut self, places: &[usize], letter: char) -> bool {
        places.iter().rev().for_each(|at| self.put(*at, letter));
        !places.is_empty()
    }

    /// `direction --> A` names a box; the parser takes the word for a statement wherever it is.
    pub(super) fn name_direction(&mut self) -> bool {
        let words = self.text.match_indices("direction").filter(|(at, word)| {
            let rest = &self.text[at + word.len()..];
            let way = rest.trim_start();
            way.len() == rest.len() || WAYS.iter().all(|one| !way.starts_with(one))
        });
        let words: Vec<usize> = words.map(|(at, _)| at).collect();
        self.signs += words.len();
        self.put_all(&words, DIRECTION.1)
    }

    /// `[mail root@node]` is a label to Mermaid, for a blank is somewhere before its `@`: the parser wants it right before.
    pub(super) fn keep_ats(&mut self) -> bool {
        let text = &self.text;
        let ats = text.match_indices('@').map(|(at, _)| at).filter(|at| {
            let mut words = text[..*at].rsplit(|c: char| c.is_whitespace() || c == '"');
            let bare = words.next().is_none_or(|word| !word.contains(['[', '(', '{', '>', '|']));
            // Data of a box, or the name of an arrow.
            let end = text[*at + 1..].trim_start_matches(['x', 'o', '<']);
            let named = end.starts_with('{') || ARROWS.iter().any(|arrow| end.starts_with(arrow));
            bare && !named
        });
        let ats: Vec<usize> = ats.collect();
        let letter = self.letter("@".to_owned());
        self.put_all(&ats, letter)
    }

    /// `[/a | b/]` is a label to Mermaid, as any other between slashes or dashes that has no bracket.
    pub(super) fn keep_pipes(&mut self) -> bool {
        let mut pipes = Vec::new();
        for (open, close) in [("[/", ["/]", "\\]"]), ("[\\", ["/]", "\\]"]), ("(-", ["-)", "-)"])] {
            for (begin, _) in self.text.match_indices(open) {
                let inner = &self.text[begin + open.len()..];
                let end = inner.find(['[', ']', '(', ')', '{', '}', '"']).unwrap_or(inner.len());
                let closed = close.iter().any(|close| inner[..inner.len().min(end + 1)].ends_with(close));
                let within = inner[..end].match_indices('|').map(|(at, _)| begin + open.len() + at);
                pipes.extend(within.filter(|_| closed));
            }
        }
        let letter = self.letter("|".to_owned());
        pipes.sort_unstable();
        self.put_all(&pipes, letter)
    }

    /// `A ==no==> B` says `n` in Mermaid: the last letter belongs to the arrow, where the parser trips over it without telling
    /// the place.
    pub(super) fn lose_letter(&mut self) -> bool {
        let mut start = 0;
        for line in self.text.split_inclusive('\n') {
            let letters = line.char_indices().filter(|(_, c)| matches!(c, 'x' | 'o' | '<'));
            let lost = letters.map(|(at, _)| at).find(|at| {
                let arrow = &line[at + 1..];
                let end = arrow.trim_start_matches('=');
                let long = arrow.len() - end.len();
                let whole = long > 2 || long == 2 && end.starts_with(['>', 'x', 'o']);
                whole && line[..*at].contains("==")
            });
            if let Some(at) = lost {
                self.text.replace_range(start + at..=start + at, " ");
                return true;
            }
            start += line.len();
        }
        false
    }

    /// `-- "x" y -->` says `x y` in Mermaid: moves the quote to the end of the label.
    pub(super) fn join_words(&mut self, at: &Range<usize>) -> bool {
        let before = self.text.get(..at.start).unwrap_or_default().trim_end();
        let label = self.text.get(at.clone()).unwrap_or_default();
        let Some((first, more)) = label.strip_prefix('"').and_then(|inner| inner.split_once('"')) else {
            return false;
        };
        let joins = !more.is_empty()
            && before.ends_with(['-', '=', '.'])
            && !more.contains('"')
            && !first.starts_with('`');
        if joins {
            self.text.replace_range(at.clone(), &format!("\"{first}{more}\""));
        }
        joins
    }

    /// Removes blanks after `subgraph "x"`, which the parser takes for more of the title.
    pub(super) fn lose_blanks(&mut self, at: usize) -> bool {
        let Some(line) = self.text.get(at..).and_then(|rest| rest.lines().next()) else { return false };
        let end = at + line.trim_end().len();
        let blanks = line.len() - line.trim_end().len();
        if blanks == 0 {
            return false;
        }
        self.text.replace_range(end..end + blanks, "");
        for (put, _) in self.put.iter_mut().filter(|(put, _)| *put > end) {
            *put -= blanks;
        }
        self.put.push((end, -blanks.cast_signed()));
        true
    }

    /// `["x" y]` says `x y` in Mermaid: moves the quote to the end of the label.
    pub(super) fn move_quote(&mut self) -> bool {
        let opens = self.text.match_indices('"').map(|(at, _)| at).collect::<Vec<_>>();
        for open in opens {
            let inner = &self.text[open + 1..];
            let bracket = self.text[..open].ends_with(['[', '(', '{', '>', '|', '/', '\\']);
            let Some(len) = inner.find('"').filter(|_| bracket && !inner.starts_with('`')) else { continue };
            let tail = &inner[len + 1..];
            let Some(end) = tail.find(['"', '[', ']', '(', ')', '{', '}', '|']) else { continue };
            let more = tail[..end].trim_end_matches(['/', '\\']).to_owned();
            if !more.is_empty() && tail[end..].starts_with([']', ')', '}', '|']) {
                let close = open + 1 + len;
                self.text.replace_range(close..=close + more.len(), &format!("{more}\""));
                return true;
            }
        }
        false
    }

    /// A place in the text as it was written.
    pub(super) fn place(&self, at: &Range<usize>) -> Range<usize> {
        let byte = |at: usize| {
            let more: isize = self.put.iter().filter(|(put, _)| *put < at).map(|(_, more)| more).sum();
            at.saturating_add_signed(-more)
        };
        byte(at.start)..byte(at.end)
    }

    /// A name as it was written.
    pub(super) fn name(&self, name: &str) -> String {
        if self.signs == 0 {
            return name.to_owned();
        }
        let written =
            |letter| SIGNS.iter().find(|(_, stand_in)| *stand_in == letter).map(|(written, _)| *written);
        name.chars().map(|letter| written(letter).unwrap_or(letter)).collect()
    }

    /// The words of a label with what its entities mean.
    pub(super) fn said(&self, words: &str) -> String {
        if self.entities.is_empty() && self.signs == 0 {
            return words.to_owned();
        }
        let mut text = String::with_capacity(words.len());
        for letter in words.chars() {
            let at = (letter as u32).checked_sub(FIRST_ENTITY).and_then(|at| usize::try_from(at).ok());
            match at.and_then(|at| self.entities.get(at)) {
                Some(meant) => text.push_str(meant),
                None if letter == DIRECTION.1 => text.push(DIRECTION.0),
                None => text.push(letter),
            }
        }
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub(super) fn back(&self, mut flow: Flow) -> Flow {
        for one in &mut flow.boxes {
            let unsaid = one.title == one.id;
            one.id = self.name(&one.id);
            one.title = if unsaid { one.id.clone() } else { self.said(&one.title) };
            if one.title.is_empty() {
                one.title.clone_from(&one.id);
            }
            one.at = self.place(&one.at);
        }
        for arrow in &mut flow.arrows {
            arrow.from = self.name(&arrow.from);
            arrow.to = self.name(&arrow.to);
            arrow.label = arrow.label.take().map(|label| self.said(&label)).filter(|label| !label.is_empty());
            arrow.at = self.place(&arrow.at);
        }
        for group in &mut flow.groups {
            group.id = self.said(&self.name(&group.id));
            group.title = self.said(&group.title);
            group.members.iter_mut().for_each(|member| *member = self.name(member));
        }
        flow
    }
}

/// Whether an entity was written where this is.
pub(super) fn is_entity(letter: char) -> bool {
    letter as u32 >= FIRST_ENTITY
}

/// Whether it stands for a sign in a name.
pub(super) fn is_sign(letter: char) -> bool {
    SIGNS.iter().any(|(_, stand_in)| *stand_in == letter)
}

/// The entity with which a text begins, as Mermaid writes it (`#lt;`, `#35;`) or HTML does, and what it means.
fn entity(text: &str) -> Option<(usize, String)> {
    let end = text.find(';')?;
    let name = &text[1..end];
    if name.is_empty() || name.len() > 32 || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    let digits = text.starts_with('#') && name.chars().all(|c| c.is_ascii_digit());
    let html = if digits { format!("&#{name};") } else { format!("&{name};") };
    let mut meant = String::new();
    for event in Parser::new(&html) {
        if let Event::Text(text) = event {
            meant.push_str(&text);
        }
    }
    (meant != html).then_some((end + 1, meant))
}
