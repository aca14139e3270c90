//! File name patterns of `sbatch` and `srun`: `%x-%j.out`, `rank-%4t.log`.
//!
//! From the manual page of sbatch, section "filename pattern" (<https://slurm.schedmd.com/sbatch.html>).

use std::collections::BTreeMap;

use regex::Regex;

use super::record::Record;

/// What the letters stand for in one job.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    job: Option<String>,
    array_job: Option<String>,
    array_task: Option<String>,
    name: Option<String>,
    user: Option<String>,
}

impl Values {
    pub(crate) fn of(record: &Record) -> Self {
        let number = record.number.map(|number| number.to_string());
        Self {
            array_job: record.array_job.map(|number| number.to_string()).or_else(|| number.clone()),
            // A job that is no task has "no value", which Slurm prints as this.
            array_task: Some(
                record.array_task.map_or_else(|| "4294967294".to_owned(), |task| task.to_string()),
            ),
            job: number,
            name: record.name.clone(),
            user: record.user.clone(),
        }
    }

    /// `None`: the letter stands for something that differs per process.
    fn get(&self, letter: char) -> Option<Option<&str>> {
        Some(match letter {
            'j' => self.job.as_deref(),
            'A' => self.array_job.as_deref(),
            'a' => self.array_task.as_deref(),
            'x' => self.name.as_deref(),
            'u' => self.user.as_deref(),
            // 25.05: the task modulo 10.
            'b' => self.array_task.as_deref().and_then(|task| task.get(task.len().checked_sub(1)?..)),
            _ => return None,
        })
    }
}

/// A pattern with what is known of it filled in.
#[derive(Debug, Clone)]
pub(crate) enum Expanded {
    /// One file.
    File(String),
    /// The files below a directory whose names match.
    Files {
        /// The directory.
        dir: String,
        /// Of whole names: of directories below it, one in the other, and last of the files.
        names: Vec<Regex>,
    },
}

/// Fills a pattern in; `dir` is where a relative one begins. `None` if a value in it is not known.
pub(crate) fn expand(pattern: &str, dir: &str, values: &Values) -> Option<Expanded> {
    let pattern = super::script::absolute(dir, pattern);
    // A backslash turns all replacement off.
    if pattern.contains('\\') {
        return Some(Expanded::File(pattern.replace('\\', "")));
    }
    let mut text = String::new();
    let mut regex = String::new();
    let mut open = false;
    let mut split = None;
    let mut names = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            if c == '/' {
                if open {
                    names.push(whole(&regex)?);
                } else {
                    split = Some(text.len());
                }
                regex.clear();
            } else {
                regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
            }
            text.push(c);
            continue;
        }
        if rest.next_if_eq(&'%').is_some() {
            text.push('%');
            regex.push('%');
            continue;
        }
        let mut width = String::new();
        while let Some(digit) = rest.next_if(char::is_ascii_digit) {
            width.push(digit);
        }
        let letter = rest.next()?;
        match values.get(letter) {
            Some(value) => {
                let value = value?;
                // The name of a job may hold anything; a slash in it would lead elsewhere.
                if value.contains('/') {
                    return None;
                }
                let width = width.parse::<usize>().unwrap_or(0).min(10);
                let numeric = value.bytes().all(|b| b.is_ascii_digit());
                let value = if numeric { format!("{value:0>width$}") } else { value.to_owned() };
                text.push_str(&value);
                regex.push_str(&regex::escape(&value));
            }
            None => {
                open = true;
                match letter {
                    't' | 'n' => regex.push_str(r"\d+"),
                    's' => regex.push_str(r"(?:\d+|batch|interactive|extern)"),
                    'N' => regex.push_str(r"[A-Za-z0-9.-]+"),
                    // The job and its step: of no other job.
                    'J' => {
                        regex.push_str(&regex::escape(values.job.as_deref()?));
                        regex.push_str(r"(?:\.\w+)?");
                    }
                    _ => return None,
                }
            }
        }
    }
    if !open {
        return Some(Expanded::File(text));
    }
    let dir = text.get(..split?)?;
    names.push(whole(&regex)?);
    Some(Expanded::Files { dir: if dir.is_empty() { "/" } else { dir }.to_owned(), names })
}

fn whole(pattern: &str) -> Option<Regex> {
    Regex::new(&format!("^(?:{pattern})$")).ok()
}

/// The directories in which torchrun puts the output of its workers, as far as a batch script names them: `--log-dir`
/// and its variable (torch/distributed/run.py).
pub(crate) fn of_torchrun(script: &str, record: &Record) -> Vec<String> {
    let (variables, lines) = read(script, record);
    let mut dirs: Vec<String> = variables.get("PET_LOG_DIR").cloned().into_iter().collect();
    for words in &lines {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let written = match word.as_str() {
                "--log-dir" | "--log_dir" => words.next().cloned(),
                word => ["--log-dir=", "--log_dir="]
                    .iter()
                    .find_map(|start| word.strip_prefix(start))
                    .map(str::to_owned),
            };
            dirs.extend(written.and_then(|dir| fill(&dir, &variables)));
        }
    }
    dirs.sort();
    dirs.dedup();
    dirs.truncate(16);
    dirs
}

/// The `--output`/`-o` and `--error`/`-e` patterns of the `srun` commands in a batch script, as far as they can be read
/// without running it: variables that the script sets to plain text, and Slurm's own, are filled in; a pattern with any
/// other expansion in it is left out.
pub(crate) fn of_srun(script: &str, record: &Record) -> Vec<String> {
    let (variables, lines) = read(script, record);
    let mut patterns = Vec::new();
    for words in &lines {
        let Some(at) = words.iter().position(|word| word == "srun" || word.ends_with("/srun")) else {
            continue;
        };
        let mut words = words[at + 1..].iter();
        while let Some(word) = words.next() {
            let written = match word.as_str() {
                "-o" | "--output" | "-e" | "--error" => words.next().map(String::as_str),
                word => ["--output=", "--error="]
                    .iter()
                    .find_map(|start| word.strip_prefix(start))
                    .or_else(|| word.strip_prefix("-o").filter(|_| !word.starts_with("-o=")))
                    .or_else(|| word.strip_prefix("-e").filter(|rest| rest.contains('%'))),
            };
            patterns.extend(written.and_then(|pattern| fill(pattern, &variables)));
        }
    }
    patterns.sort();
    patterns.dedup();
    patterns.truncate(16);
    patterns
}

/// The variables that a script sets to plain text, and Slurm's own, and the words of its commands.
fn read(script: &str, record: &Record) -> (BTreeMap<String, String>, Vec<Vec<String>>) {
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            variables.insert(name.to_owned(), value);
        }
    };
    set("SLURM_JOB_ID", record.number.map(|n| n.to_string()));
    set("SLURM_JOBID", record.number.map(|n| n.to_string()));
    set("SLURM_ARRAY_JOB_ID", record.array_job.map(|n| n.to_string()));
    set("SLURM_ARRAY_TASK_ID", record.array_task.map(|n| n.to_string()));
    set("SLURM_JOB_NAME", record.name.clone());
    set("SLURM_SUBMIT_DIR", record.work_dir.clone());
    let mut lines = Vec::new();
    let joined = script.replace("\\\n", " ");
    for line in joined.lines().take(5000) {
        let line = line.trim();
        if line.starts_with('#') {
            continue;
        }
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let start = usize::from(words.first().is_some_and(|word| word == "export"));
        if let Some((name, value)) = words.get(start).and_then(|word| word.split_once('='))
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && let Some(value) = fill(value, &variables)
        {
            variables.insert(name.to_owned(), value);
        }
        lines.push(words);
    }
    (variables, lines)
}

/// A shell word without its quotes and with its variables; `None` if it would take a shell to know it.
fn fill(word: &str, variables: &BTreeMap<String, String>) -> Option<String> {
    let word = word.trim_end_matches(';');
    let inner = word.strip_prefix('"').and_then(|word| word.strip_suffix('"')).unwrap_or(word);
    if let Some(plain) = word.strip_prefix('\'').and_then(|word| word.strip_suffix('\'')) {
        return Some(plain.to_owned()).filter(|plain| !plain.contains('\''));
    }
    let mut text = String::new();
    let mut rest = inner;
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let name = if let Some(braced) = rest.strip_prefix('{') {
            let (name, after) = braced.split_once('}')?;
            rest = after;
            name
        } else {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            rest = after;
            name
        };
        text.push_str(variables.get(name)?);
    }
    text.push_str(rest);
    let foreign = |c: char| "\"'`$*?[](){}<>|&~\\".contains(c);
    (!text.is_empty() && !text.contains(foreign)).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::slurm::fields::{Fields, JOB_KEYS, records};
    use crate::slurm::fixtures as fixture;

    fn task() -> Record {
        let text = records(fixture::ARRAY_22_05, "JobId")[1];
        Record::from_scontrol(&Fields::split(text, JOB_KEYS, &[])).unwrap()
    }

    fn file(pattern: &str) -> Option<String> {
        match expand(pattern, "/d", &Values::of(&task()))? {
            Expanded::File(path) => Some(path),
            Expanded::Files { .. } => None,
        }
    }

    #[test]
    fn letters() {
        assert_eq!(file("%x-%A_%a.%j.%u").as_deref(), Some("/d/llama3-8b-2_2.4.root"));
        assert_eq!(file("/logs/%6j-%%t").as_deref(), Some("/logs/000004-%t"));
        assert_eq!(file("a\\%j").as_deref(), Some("/d/a%j"));
        assert_eq!(file("./out").as_deref(), Some("/d/out"));
    }

    #[test]
    fn letters_of_processes_match_names() {
        let expanded = expand("logs/%j-rank%t.(x)", "/d", &Values::of(&task())).unwrap();
        let Expanded::Files { dir, names } = expanded else { panic!() };
        let [name] = names.as_slice() else { panic!() };
        assert_eq!(dir, "/d/logs");
        assert!(name.is_match("4-rank12.(x)"));
        assert!(!name.is_match("4-rank12.(x).old") && !name.is_match("5-rank12.(x)"));
        let expanded = expand("%N/%J/out", "/d", &Values::of(&task())).unwrap();
        let Expanded::Files { dir, names } = expanded else { panic!() };
        assert_eq!(dir, "/d");
        let matched: Vec<bool> =
            names.iter().zip(["gpu-21", "4.0", "out"]).map(|(n, part)| n.is_match(part)).collect();
        assert_eq!(matched, [true, true, true]);
        assert!(!names[1].is_match("5.0") && names[1].is_match("4"));
        assert!(expand("%q", "/d", &Values::of(&task())).is_none());
        assert!(expand("x%", "/d", &Values::of(&task())).is_none());
    }

    #[test]
    fn srun_patterns_of_a_script() {
        let script = "#!/bin/bash\n#SBATCH -o no.out\nLOGS=\"logs/$SLURM_JOB_NAME\"\nexport RUN=$(date)\n\
                      # srun -o not.this\nsrun --output=$LOGS/%t.out \\\n  -e \"${LOGS}/%t.err\" python train.py -o model\n\
                      srun --output=$RUN/%t.out x\n";
        assert_eq!(of_srun(script, &task()), ["logs/llama3-8b/%t.err", "logs/llama3-8b/%t.out", "model"]);
    }

    #[test]
    fn torchruns_directories_of_a_script() {
        let script = "RUN=runs/$SLURM_JOB_ID\nexport PET_LOG_DIR=/tmp/pet\nsrun torchrun --log-dir $RUN/logs \\\n --tee 3 train.py\n\
                      torchrun --log_dir=\"/scratch/$SLURM_JOB_ID\" --log-dir=$(date) t.py\n# --log-dir /no\n";
        assert_eq!(of_torchrun(script, &task()), ["/scratch/4", "/tmp/pet", "runs/4/logs"]);
    }

    proptest! {
        #[test]
        fn no_text_panics(pattern in "\\PC{0,60}", odd in "(%[0-9a-zA-Z%/]{0,3}|[/.a]){0,10}", script in "[srun \\-oe=$\\{\\}\"'%t\n/]{0,80}") {
            let _ = expand(&pattern, "/d", &Values::of(&task()));
            let _ = expand(&odd, "/d", &Values::of(&task()));
            let _ = of_srun(&script, &task());
            let _ = of_torchrun(&script, &task());
        }
    }
}
