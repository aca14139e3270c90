//! One simple command against the list.

use super::list::{Check, Entry, Takes, find, programs};
use super::verdict::{Shown, quoted};
use super::word::{Rest, Word};
use super::{conditions, printf, variables};

/// Where a program may lie if it is named by a path.
const FOLDERS: [&str; 4] = ["/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/"];

/// Shows that a program only reads with these words.
pub(super) fn command(program: &str, words: &[Word]) -> Shown {
    let name = FOLDERS.iter().find_map(|folder| program.strip_prefix(folder)).unwrap_or(program);
    let programs = programs().map_err(|error| format!("the list of commands is broken: {error}"))?;
    let entry =
        find(programs, name).ok_or_else(|| format!("{} is not on the read-only list", quoted(program)))?;
    if let Some(strange) = words.iter().find(|word| looks_like_a_flag(word.beginning())) {
        return Err(format!("{} begins with a character that looks like `-`", quoted(strange.beginning())));
    }
    match entry.check {
        Some(Check::Harmless) => Ok(()),
        Some(Check::Test) if name == "[" => match words.split_last() {
            Some((last, words)) if last.known() == Some("]") => conditions::test(words),
            _ => Err("`[` without `]`".to_owned()),
        },
        Some(Check::Test) => conditions::test(words),
        Some(Check::Printf) => printf::printf(words),
        Some(Check::Set) => variables::options(words),
        Some(Check::Read) => variables::names(words),
        None => Reading { entry, label: name.to_owned(), seen: Vec::new(), programs: false }.words(words),
    }
}

/// The reading of one command's words.
struct Reading<'a> {
    entry: &'a Entry,
    /// Program and subcommands so far, for messages.
    label: String,
    /// Flags so far.
    seen: Vec<String>,
    /// Whether a flag took the program, so that all operands name files.
    programs: bool,
}

impl Reading<'_> {
    fn words(mut self, words: &[Word]) -> Shown {
        let entry = self.entry;
        let mut flags_ended = false;
        let mut operands = 0;
        let mut at = 0;
        while let Some(word) = words.get(at) {
            at += 1;
            if !entry.names_only && leads_to_a_device(word) {
                return Err(format!("{}: opening a device can act on it", quoted(word.beginning())));
            }
            if entry.walks && word.known().is_some_and(is_a_root) {
                return Err(format!("{} holds files whose reading acts", quoted(word.beginning())));
            }
            if word.known() == Some("-exec") && entry.runs {
                at += self.started(&words[..at - 1], &words[at..])?;
                continue;
            }
            if !flags_ended && word.may_be_flag() && word.known() != Some("-") {
                if word.known() == Some("--") && !entry.no_dashdash {
                    flags_ended = true;
                } else {
                    at += self.flag(word, words.get(at))?;
                }
                continue;
            }
            operands += 1;
            // Not later: `command rm -v` is no `command -v`.
            self.required()?;
            if !entry.sub.is_empty() {
                let name = word.known().filter(|_| !flags_ended);
                let sub = name.and_then(|name| find(&entry.sub, name)).ok_or_else(|| {
                    format!("{} {} is not on the read-only list", self.label, quoted(word.beginning()))
                })?;
                let label = format!("{} {}", self.label, word.beginning());
                return Reading { entry: sub, label, seen: Vec::new(), programs: false }.words(&words[at..]);
            }
            if entry.wraps.is_some_and(|before| operands > before) {
                let program =
                    word.known().ok_or_else(|| format!("what {} starts is not literal", self.label))?;
                return if entry.appends {
                    command(program, &appended(&words[at..]))
                } else {
                    command(program, &words[at..])
                };
            }
            self.operand(word, operands)?;
        }
        if entry.program.is_some() && operands == 0 && !self.programs {
            return Err(format!("{} without a program", self.label));
        }
        if !entry.bare && !entry.sub.is_empty() {
            return Err(format!("{} without a subcommand is not on the read-only list", self.label));
        }
        if entry.wraps.is_some() && !entry.bare {
            return Err(format!("{} without a command", self.label));
        }
        self.required()
    }

    fn operand(&self, word: &Word, count: usize) -> Shown {
        let Entry { most, operand, wraps, program, .. } = self.entry;
        if let Some(language) = program {
            let count = if self.programs { count + 1 } else { count };
            return language.operand(word, count).map_err(|why| format!("{}: {why}", self.label));
        }
        let bounded = most.is_some() || wraps.is_some();
        if most.is_some_and(|most| count > most) || (bounded && !word.is_one()) {
            return Err(format!(
                "{} may take {} as something to change",
                self.label,
                quoted(word.beginning())
            ));
        }
        match operand {
            Some(pattern) if !word.known().is_some_and(|known| pattern.matches(known)) => {
                Err(format!("{} {} is not on the read-only list", self.label, quoted(word.beginning())))
            }
            _ => Ok(()),
        }
    }

    /// Looks at a word that is a flag or could become one; returns how many more words it takes.
    fn flag(&mut self, word: &Word, next: Option<&Word>) -> Shown<usize> {
        let entry = self.entry;
        let text = word.beginning();
        let refused = || format!("{} {} is not on the read-only list", self.label, quoted(text));
        if entry.any_flag && word.known().is_none() {
            return Ok(0);
        }
        // `xargs -I {}`: the mark has to be the one that is looked for.
        if entry.appends && word.known() == Some("-I") {
            return if next.and_then(Word::known) == Some("{}") { Ok(1) } else { Err(refused()) };
        }
        if !text.starts_with('-') || word.rest() == Rest::Anything {
            let shown = if text.is_empty() { "an expansion".to_owned() } else { quoted(text) };
            return Err(format!("{shown} could become a flag of {}", self.label));
        }
        let open = word.known().is_none();
        if !open
            && entry.takes_number()
            && text.len() > 1
            && text.bytes().skip(1).all(|byte| byte.is_ascii_digit())
        {
            return Ok(0);
        }
        if let Some(takes) = word.known().and_then(|flag| entry.flag(flag)) {
            self.seen.push(text.to_owned());
            return match takes {
                Takes::Value => self.value(text, next),
                Takes::Program => self.program(text, next),
                Takes::Nothing | Takes::Attached => Ok(0),
            };
        }
        if let Some((name, _)) = text.split_once('=')
            && name.starts_with("--")
        {
            entry
                .flag(name)
                .filter(|takes| matches!(takes, Takes::Value | Takes::Attached))
                .ok_or_else(refused)?;
            self.seen.push(name.to_owned());
            return Ok(0);
        }
        if text.starts_with("--") || entry.exact {
            return Err(refused());
        }
        // Short flags in one word; the first that takes a value takes the rest of the word.
        for (at, letter) in text.char_indices().skip(1) {
            let flag = format!("-{letter}");
            let takes = entry.flag(&flag).ok_or_else(refused)?;
            self.seen.push(flag);
            let attached = open || at + letter.len_utf8() < text.len();
            match takes {
                Takes::Nothing => {}
                Takes::Program if !attached => return self.program(text, next),
                Takes::Program => return Err(refused()),
                Takes::Value if !attached => return self.value(text, next),
                Takes::Value if at + letter.len_utf8() == text.len() && !word.is_filled() => {
                    return self.perhaps_value(text, next);
                }
                Takes::Value | Takes::Attached => return Ok(0),
            }
        }
        if open { Err(refused()) } else { Ok(0) }
    }

    /// Looks at the word that a flag takes as a program.
    fn program(&mut self, flag: &str, next: Option<&Word>) -> Shown<usize> {
        let (Some(language), Some(program)) = (self.entry.program, next) else {
            return Err(format!("{} {} lacks its value", self.label, quoted(flag)));
        };
        language.operand(program, 1).map_err(|why| format!("{}: {why}", self.label))?;
        self.programs = true;
        Ok(1)
    }

    /// Looks at the word after a flag whose attached value may be empty: then that word is the value, and all that
    /// follow have another meaning (`uniq -w"$x" -f a b`).
    fn perhaps_value(&self, flag: &str, next: Option<&Word>) -> Shown<usize> {
        let Entry { sub, wraps, program, .. } = self.entry;
        let ordered = !sub.is_empty() || wraps.is_some() || program.is_some();
        if next.is_some_and(|next| ordered || next.may_be_flag()) {
            return Err(format!("{} {} may take the next word as its value", self.label, quoted(flag)));
        }
        Ok(0)
    }

    /// Looks at the words after `-exec` up to the one that ends them; returns how many they are.
    fn started(&self, before: &[Word], words: &[Word]) -> Shown<usize> {
        let refused = |why: &str| Err(format!("{} `-exec`: {why}", self.label));
        let is = |word: &Word, text: &str| word.known() == Some(text);
        if before.iter().any(|word| word.known().is_some_and(|path| is_a_root(path) || is_below_a_root(path)))
        {
            return refused("it starts where reading can act");
        }
        let Some(end) = words.iter().position(|word| is(word, ";") || is(word, "+")) else {
            return refused("it has no end");
        };
        let many = is(&words[end], "+");
        // Only right after `{}` does a `+` end it; a word that is not known might.
        let closed = !many || end.checked_sub(1).is_some_and(|last| is(&words[last], "{}"));
        if !closed || words[..end].iter().any(|word| word.known().is_none()) {
            return refused("it is not clear where it ends");
        }
        let Some((program, rest)) = words[..end].split_first() else {
            return refused("it has no command");
        };
        let program = program.known().filter(|program| !program.contains("{}"));
        let Some(program) = program else { return refused("its command is not literal") };
        let found = |word: &Word| match word.beginning().split_once("{}") {
            // What is found begins as the folder that is searched, and so not with `-`.
            Some((before, _)) => {
                let mut word = Word::exact(if before.is_empty() { "./" } else { before });
                word.open(if many { Rest::Files } else { Rest::Within });
                word
            }
            None => word.clone(),
        };
        command(program, &rest.iter().map(found).collect::<Vec<_>>())?;
        Ok(end + 1)
    }

    /// Looks at the word that a flag takes as its value.
    fn value(&self, flag: &str, next: Option<&Word>) -> Shown<usize> {
        let Some(value) = next else {
            return Err(format!("{} {} lacks its value", self.label, quoted(flag)));
        };
        if self.entry.any_flag && value.known().is_none() {
            return Ok(1);
        }
        // A program of another version might not take the value, and so take it for a flag.
        let dashed =
            value.beginning().strip_prefix('-').is_some_and(|rest| !(value.is_one() && amount(rest)));
        if !value.is_one() || dashed {
            return Err(format!("{} {} {}", self.label, quoted(flag), quoted(value.beginning())));
        }
        if !self.entry.names_only && leads_to_a_device(value) {
            return Err(format!("{}: opening a device can act on it", quoted(value.beginning())));
        }
        Ok(1)
    }

    fn required(&self) -> Shown {
        let missing = self.entry.requires.iter().find(|flag| !self.seen.contains(flag));
        match missing {
            Some(flag) => Err(format!("{} without {flag}", self.label)),
            None => Ok(()),
        }
    }
}

/// The words that xargs starts a program with: `{}` and the end are words of its input.
fn appended(words: &[Word]) -> Vec<Word> {
    let anything = |beginning: &str| {
        let mut word = Word::exact(beginning);
        word.open(Rest::Anything);
        word
    };
    let replaced = words.iter().map(|word| match word.beginning().split_once("{}") {
        Some((before, _)) => anything(before),
        None => word.clone(),
    });
    replaced.chain([anything("")]).collect()
}

/// Whether all that lies below a folder includes devices, `kmsg` or `trace_pipe`.
fn is_a_root(path: &str) -> bool {
    matches!(path.trim_end_matches('/'), "" | "/proc" | "/sys" | "/dev" | "/sys/kernel")
        && path.starts_with('/')
}

/// Whether a path lies below one of the folders in which reading can act.
fn is_below_a_root(path: &str) -> bool {
    ["/proc/", "/sys/", "/dev/"].iter().any(|root| path.starts_with(root))
}

/// `5`, `5M`, and nothing more.
fn amount(text: &str) -> bool {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    text.len() - digits.len() <= 1 && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a word begins with a dash that is none for programs, but is one for the reader.
fn looks_like_a_flag(text: &str) -> bool {
    text.starts_with(['\u{ad}', '‐', '‑', '‒', '–', '—', '―', '−', '﹘', '﹣', '－'])
}

/// Whether a path leads, or may lead, to a device or to a file whose reading consumes what is read.
pub(super) fn leads_to_a_device(word: &Word) -> bool {
    let text = word.beginning();
    let path = text.rsplit('=').find(|piece| piece.contains('/')).unwrap_or(text);
    if matches!(path, "/dev/null" | "/dev/stdin") || (path.starts_with("/dev/shm/") && !path.contains("..")) {
        return false;
    }
    // `/d$x`, `/de?/x`: the first folder is not known.
    let open = word.known().is_none() && path.strip_prefix('/').is_some_and(|path| !path.contains('/'));
    let acts = |piece: &str| matches!(piece, "kmsg" | "trace_pipe") || (piece == "dev" && text.contains('/'));
    // `/proc/k*`, `$x/dev/sda`.
    let last = path.rsplit('/').next().unwrap_or_default();
    let tail = word.tail();
    let matches = |name: &str| name.starts_with(last) && !tail.contains('/') && name.ends_with(tail);
    let consumed = word.known().is_none()
        && ((path.starts_with("/proc/") && matches("kmsg"))
            || (path.contains("/trac") && matches("trace_pipe")));
    let later =
        tail.contains('/') && tail.split('/').any(|piece| matches!(piece, "dev" | "kmsg" | "trace_pipe"));
    open || consumed || later || text.split(['/', '=']).any(acts)
}
