//! What a setting is, and where that is written.

use super::super::config::Lookup;
use super::super::script::{Reading as Variable, Unclear};
use super::at::At;
use super::launch::{File, Launch, Occurrence};
use crate::text::clean;

/// What is known of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::launch) enum Reading {
    /// It is not given in any of the places.
    Absent,
    /// This.
    Found(Found),
    /// It is given, but what it is or whether it counts cannot be told.
    Unclear(String),
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::launch) struct Found {
    /// Where it stands.
    pub(in crate::launch) at: At,
    /// Its value; `None` for a flag without one.
    pub(in crate::launch) value: Option<String>,
    /// The line of the script or of the file; counted from 1.
    pub(in crate::launch) line: Option<usize>,
    /// For people: `--micro-batch-size (line 12)`.
    pub(in crate::launch) place: String,
    /// What a person should know about how sure it is.
    pub(in crate::launch) notes: Vec<String>,
}

impl Launch {
    /// Reads a setting: the first of these places in which it is given counts, since they stand in the order in which they
    /// overrule each other.
    pub(in crate::launch) fn read(&self, places: &[At]) -> Reading {
        for at in places {
            match self.read_at(at) {
                Reading::Absent => {}
                reading => return reading,
            }
        }
        Reading::Absent
    }

    /// Reads a setting at one place.
    pub(in crate::launch) fn read_at(&self, at: &At) -> Reading {
        match at {
            At::Flag(_) | At::Word(_) | At::Passed(_) | At::Starter(_) => self.read_lines(at),
            At::Key(key) => self.read_file(at, key),
            At::Variable(name) => match self.script.reading(name) {
                Variable::Absent | Variable::Unclear(Unclear::NoLaunch) => Reading::Absent,
                Variable::Unclear(why) => Reading::Unclear(format!("{}: {why}", clean(name))),
                Variable::Known(setting) if !setting.exported => Reading::Absent,
                Variable::Known(setting) => Reading::Found(Found {
                    at: at.clone(),
                    line: Some(setting.line),
                    place: format!("{} (line {})", clean(name), setting.line),
                    value: Some(setting.value),
                    notes: Vec::new(),
                }),
            },
        }
    }

    /// Reads on every launch line; all must agree.
    fn read_lines(&self, at: &At) -> Reading {
        let mut all = Vec::new();
        for (line, program) in &self.lines {
            let Some(Occurrence { name, value }) = self.find(at, line, program) else {
                all.push((line, None));
                continue;
            };
            let used = [Some(name), value.map(|(index, _)| index)];
            let mut used = used.into_iter().flatten().filter_map(|index| line.words.get(index));
            if used.any(|word| !word.sure()) {
                let why = format!("{}: line {} gives it only under some condition", at.show(), line.line);
                return Reading::Unclear(why);
            }
            let text = match value {
                None => None,
                Some((index, length)) => {
                    let word = &line.words[index];
                    let text = word.text();
                    let value = text[text.len() - length..].to_owned();
                    if !word.known() {
                        let why =
                            format!("{}: only running the script tells what {} is", at.show(), clean(&value));
                        return Reading::Unclear(why);
                    }
                    Some(value)
                }
            };
            all.push((line, Some((name, value.map_or(name, |(index, _)| index), text))));
        }
        let Some((line, first)) = all.first() else { return Reading::Absent };
        let value =
            |found: &Option<(usize, usize, Option<String>)>| found.as_ref().map(|(.., text)| text.clone());
        if all.iter().any(|(_, other)| value(other) != value(first)) {
            return Reading::Unclear(format!("{}: the launch lines do not agree", at.show()));
        }
        let Some((name, last, text)) = first else { return Reading::Absent };
        let mut notes = Vec::new();
        // A word that is only known when the script runs, after ours, may be the flag again.
        let value_of_flag = |index: usize| {
            let before = line.words[index - 1].text();
            before.starts_with("--") && !before.contains('=')
        };
        let later =
            (last + 1..line.words.len()).find(|index| line.words[*index].wild && !value_of_flag(*index));
        if let Some(index) = later {
            let word = clean(&line.words[index].text());
            notes.push(format!(
                "What {word} adds to the launch line is not known; it may give {} again.",
                at.show()
            ));
        }
        let written = line.words[*name].pieces.first().and_then(|piece| piece.start);
        let written = written.map_or(line.line, |start| self.script.line(start));
        let place = format!("{} (line {written})", at.show());
        Reading::Found(Found { at: at.clone(), value: text.clone(), line: Some(written), place, notes })
    }

    fn read_file(&self, at: &At, key: &str) -> Reading {
        let (file, path) = At::split(key);
        let (name, doc) = match self.files.get(file) {
            None => return Reading::Absent,
            Some(File::Unclear(why)) => return Reading::Unclear(why.clone()),
            Some(File::Read { path, doc }) => (path, doc),
        };
        let short = name.rsplit('/').next().unwrap_or(name);
        match doc.get(path) {
            Lookup::Absent => Reading::Absent,
            Lookup::Unclear => {
                Reading::Unclear(format!("{path} is written twice or by an alias in {}", clean(name)))
            }
            Lookup::One(entry) => match entry.value.word() {
                None => Reading::Unclear(format!("{path} is no plain value in {}", clean(name))),
                Some(value) => Reading::Found(Found {
                    at: at.clone(),
                    value: Some(value),
                    line: Some(doc.line(entry)),
                    place: format!("{path} ({} line {})", clean(short), doc.line(entry)),
                    notes: Vec::new(),
                }),
            },
        }
    }
}
