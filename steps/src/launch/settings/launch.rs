//! The launch: script, launch lines, files.

use std::collections::BTreeMap;

use super::super::config::Doc;
use super::super::script::{Line, Script, Word, join};
use super::at::At;
use super::program::{Program, program};

/// A configuration file that the launch refers to.
#[derive(Debug, Clone)]
pub(in crate::launch) enum File {
    /// It was read and understood.
    Read {
        /// From the root.
        path: String,
        /// Its content.
        doc: Doc,
    },
    /// The launch refers to it, but it cannot be told what is in it.
    Unclear(String),
}

impl File {
    /// Its path, if that is known.
    pub(in crate::launch) fn name(&self) -> Option<&str> {
        match self {
            Self::Read { path, .. } => Some(path),
            Self::Unclear(_) => None,
        }
    }
}

/// The launch of a training.
#[derive(Debug, Clone)]
pub(in crate::launch) struct Launch {
    /// The batch script.
    pub(in crate::launch) script: Script,
    /// Values of variables that come from Slurm.
    given: BTreeMap<String, String>,
    /// Launch lines, and the program of each.
    pub(super) lines: Vec<(Line, Program)>,
    /// `-` and `_` mean the same in names of flags.
    pub(super) loose: bool,
    /// Files by the name that the framework's table gives them.
    pub(in crate::launch) files: BTreeMap<String, File>,
}

/// An occurrence of a flag on a launch line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Occurrence {
    /// Index of the word with its name.
    pub(super) name: usize,
    /// Index of the word that holds its value, and how many bytes at the end of that word are the value.
    pub(super) value: Option<(usize, usize)>,
}

impl Launch {
    /// The launch that a script makes.
    pub(in crate::launch) fn new(script: Script, given: BTreeMap<String, String>) -> Self {
        let lines =
            script.lines(&given).into_iter().filter_map(|line| program(&line).map(|program| (line, program)));
        let lines = lines.collect();
        Self { script, given, lines, loose: false, files: BTreeMap::new() }
    }

    /// The same launch with another script.
    pub(super) fn with(&self, script: Script) -> Self {
        let Self { loose, files, given, .. } = self.clone();
        Self { loose, files, ..Self::new(script, given) }
    }

    /// Lets `-` and `_` mean the same in names of flags.
    pub(in crate::launch) fn loosen(&mut self, loose: bool) {
        self.loose = loose;
    }

    /// The programs that are started.
    pub(in crate::launch) fn programs(&self) -> impl Iterator<Item = &Program> {
        self.lines.iter().map(|(_, program)| program)
    }

    /// Whether all launch lines have the flag.
    pub(in crate::launch) fn has_flag(&self, flag: &str) -> bool {
        !self.lines.is_empty()
            && self.lines.iter().all(|(line, program)| self.last(line, program, flag).is_some())
    }

    /// Whether all launch lines have a word that `is` so among the program's arguments.
    pub(in crate::launch) fn has_word(&self, is: impl Fn(&str) -> bool) -> bool {
        let has = |(line, program): &(Line, Program)| {
            line.words[program.first..].iter().any(|word| is(&word.text()))
        };
        !self.lines.is_empty() && self.lines.iter().all(has)
    }

    /// The words after a flag of the program or of what starts it, one for each launch line; `None` where it is not given.
    pub(in crate::launch) fn arguments(&self, flag: &str) -> Vec<Option<(&Line, &Word, usize)>> {
        let argument = |(line, _): &'_ (Line, Program)| {
            let found = occurrences(&line.words, 0, flag, self.loose).next_back()?;
            found.value
        };
        self.lines
            .iter()
            .map(|entry| {
                let (index, length) = argument(entry)?;
                Some((&entry.0, entry.0.words.get(index)?, length))
            })
            .collect()
    }

    /// The first words of the programs that end so, one for each launch line.
    pub(in crate::launch) fn ending(&self, ends: &[String]) -> Vec<Option<(&Line, &Word, usize)>> {
        let fits = |word: &&Word| {
            let text = word.text();
            !text.starts_with('-')
                && !text.contains('=')
                && ends.iter().any(|end| text.ends_with(end.as_str()))
        };
        self.lines
            .iter()
            .map(|(line, program)| {
                let word = line.words[program.first.min(line.words.len())..].iter().find(fits)?;
                Some((line, word, word.text().len()))
            })
            .collect()
    }

    /// Whether a word comes from a `${A:-default}`, which gives way to a value from outside of the script.
    pub(in crate::launch) fn has_default(&self, word: &Word) -> bool {
        let text = self.script.text();
        let default = |site: &std::ops::Range<usize>| {
            text.get(site.clone()).is_some_and(|text| text.starts_with("${") && text.contains('-'))
        };
        word.pieces.iter().flat_map(|piece| &piece.sites).any(default)
    }

    /// The path that a word names.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub(in crate::launch) fn path(
        &self,
        (line, word, length): (&Line, &Word, usize),
    ) -> Result<String, String> {
        let text = word.text();
        let named = &text[text.len() - length..];
        if !word.known() {
            return Err(format!("which file {named} is, only running the script tells"));
        }
        if let Some(writer) = self.script.touches(named.rsplit('/').next().unwrap_or(named)) {
            return Err(format!("line {writer} of the script writes {named} itself, or may"));
        }
        join(line.dir.as_deref(), named)
            .ok_or_else(|| format!("in which directory {named} is cannot be told"))
    }

    /// A path that a file or a variable names, seen from where the program runs.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub(in crate::launch) fn beside(&self, named: &str) -> Result<String, String> {
        if let Some(writer) = self.script.touches(named.rsplit('/').next().unwrap_or(named)) {
            return Err(format!("line {writer} of the script writes {named} itself, or may"));
        }
        let mut dirs = self.lines.iter().map(|(line, _)| line.dir.as_deref());
        let dir = dirs.next().flatten().filter(|first| dirs.all(|dir| dir == Some(*first)));
        join(dir, named).ok_or_else(|| format!("in which directory {named} is cannot be told"))
    }

    /// Whether the path that a flag names is given from the root.
    pub(in crate::launch) fn written_from_root(&self, flag: &str) -> bool {
        let from_root = |word: &Word, length: usize| {
            let text = word.text();
            text[text.len() - length..].starts_with('/')
        };
        self.arguments(flag).iter().flatten().all(|(_, word, length)| from_root(word, *length))
    }

    /// Where a setting stands on a launch line: the last occurrence counts.
    pub(super) fn find(&self, at: &At, line: &Line, program: &Program) -> Option<Occurrence> {
        match at {
            At::Flag(flag) => self.last(line, program, flag),
            At::Word(path) => {
                let value = |(index, word): (usize, &Word)| {
                    let text = word.text();
                    let value =
                        text.trim_start_matches('+').strip_prefix(path.as_str())?.strip_prefix('=')?;
                    Some(Occurrence { name: index, value: Some((index, value.len())) })
                };
                line.words.iter().enumerate().skip(program.first).filter_map(value).next_back()
            }
            At::Starter(flag) => occurrences(&line.words[..program.before(line)], 0, flag, false).next_back(),
            At::Passed(name) => {
                let value = |(index, word): (usize, &Word)| Some((index, passed(&word.text(), name)?));
                let words = line.words[..program.before(line)].iter().enumerate();
                let (name, length) = words.filter_map(value).next_back()?;
                Some(Occurrence { name, value: Some((name, length)) })
            }
            At::Key(_) | At::Variable(_) => None,
        }
    }

    /// Whether a launch line has a word that `is` so among those before the program.
    pub(in crate::launch) fn starts_with_word(&self, is: impl Fn(&str) -> bool) -> Option<usize> {
        let has = |(line, program): &&(Line, Program)| {
            line.words[..program.before(line)].iter().any(|word| is(&word.text()))
        };
        self.lines.iter().find(has).map(|(line, _)| line.line)
    }

    /// The last occurrence of a program's flag on a line.
    pub(super) fn last(&self, line: &Line, program: &Program, flag: &str) -> Option<Occurrence> {
        occurrences(&line.words, program.first, flag, self.loose).next_back()
    }
}

/// The occurrences of a flag among words, from index `first` on.
fn occurrences<'w>(
    words: &'w [Word],
    first: usize,
    flag: &str,
    loose: bool,
) -> impl DoubleEndedIterator<Item = Occurrence> + use<'w> {
    let plain = move |name: &str| if loose { name.replace('_', "-") } else { name.to_owned() };
    let wanted = plain(flag);
    words.iter().enumerate().skip(first).filter_map(move |(index, word)| {
        let text = word.text();
        if let Some((name, value)) = text.split_once('=') {
            let length = value.len();
            return (plain(name) == wanted)
                .then_some(Occurrence { name: index, value: Some((index, length)) });
        }
        if plain(&text) != wanted {
            return None;
        }
        let next =
            words.get(index + 1).map(Word::text).filter(|next| !next.starts_with("--") && next != "\\");
        Some(Occurrence { name: index, value: next.map(|next| (index + 1, next.len())) })
    })
}

/// How many bytes at the end of a word are the value that it gives to a variable.
fn passed(text: &str, name: &str) -> Option<usize> {
    let (before, value) = text.split_once(&format!("{name}="))?;
    let list = before.starts_with("--export=") && before.ends_with([',', '=']);
    (list || matches!(before, "" | "--env=" | "-e")).then_some(value.len())
}
