//! The line by which a job was submitted, taken apart.
//!
//! Slurm joins the words of the submission with single blanks and quotes nothing (`SubmitLine`, since 21.08;
//! `slurm_option_get_argv_str`, SchedMD/slurm src/common/slurm_opt.c). So a value with a blank in it looks like two
//! words. What Slurm knows otherwise (script, name, comment) settles most cases; the rest is said in `doubts`.

use super::options::{Head, SbatchOption, Takes, head, unbundle};
use crate::text::clean;

/// What is known of the job apart from the line.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known<'a> {
    /// Path of the script and its arguments, joined by blanks (`Command` of `scontrol show job`).
    pub(crate) command: Option<&'a str>,
    pub(crate) job_name: Option<&'a str>,
    pub(crate) comment: Option<&'a str>,
}

/// A submission.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Submission {
    /// Options in their order.
    pub(crate) options: Vec<SbatchOption>,
    /// The script as it was named; `None` for `--wrap` or a script on standard input.
    pub(crate) script: Option<String>,
    /// The script's arguments.
    pub(crate) args: Vec<String>,
    /// What was read one way and could be meant another; sentences for people.
    pub(crate) doubts: Vec<String>,
}

impl Submission {
    /// The value of an option; the last one counts.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|option| option.name == name)?.value.as_deref()
    }

    /// Whether an option is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.options.iter().any(|option| option.name == name)
    }
}

/// Takes a submission apart.
///
/// # Errors
/// A sentence: it is no submission by `sbatch`, or one of several components.
pub(crate) fn parse(line: &str, known: Known<'_>) -> Result<Submission, String> {
    let words: Vec<&str> = line.split(' ').collect();
    let program = words[0].rsplit('/').next().unwrap_or_default();
    if program != "sbatch" {
        return Err(format!("it was started by {:?}, not by sbatch", clean(program)));
    }
    if words.contains(&":") {
        return Err("it is a heterogeneous job (several components parted by `:`)".to_owned());
    }
    let script = known.command.and_then(|command| script_at(line, command));
    let mut reader =
        Reader { words: &words[..script.unwrap_or(words.len())], at: 1, known, sure_end: script.is_some() };
    let mut submission = Submission::default();
    while reader.option(&mut submission) {}
    let mut at = reader.at;
    if let Some(script) = script.filter(|&script| at < script) {
        submission.doubts.push(format!(
            "Slurm recorded the line without quotes; {:?} was left out",
            words[at..script].join(" ")
        ));
        at = script;
    }
    if let [script, args @ ..] = &words[at.min(words.len())..] {
        submission.script = Some((*script).to_owned());
        submission.args = args.iter().map(|&word| word.to_owned()).collect();
        if args.len() > 1 {
            submission.doubts.push(format!(
                "Slurm recorded the line without quotes; the script's arguments were read as {}: {:?}",
                args.len(),
                clean(&args.join(" "))
            ));
        }
    }
    Ok(submission)
}

/// Reads options one by one.
struct Reader<'a> {
    /// The words before the script, if that is known.
    words: &'a [&'a str],
    at: usize,
    known: Known<'a>,
    /// Where the options end is known.
    sure_end: bool,
}

impl Reader<'_> {
    /// Reads one option; `false` at their end.
    fn option(&mut self, submission: &mut Submission) -> bool {
        let Some(&word) = self.words.get(self.at) else { return false };
        if word == "--" {
            self.at += 1;
            return false;
        }
        let mut flags = unbundle(word);
        let last = flags.pop().unwrap_or_default();
        let Some(Head { name, takes, inline }) = head(&last) else { return false };
        submission.options.extend(flags.iter().filter_map(|word| flag(word)));
        self.at += 1;
        let separate = takes == Takes::Value && inline.is_none();
        let start = if separate {
            self.at += 1;
            self.words.get(self.at - 1).map(|&word| word.to_owned())
        } else {
            inline.filter(|_| takes != Takes::Nothing)
        };
        let Some(start) = start else {
            self.at = self.at.min(self.words.len());
            submission.options.push(SbatchOption { name, value: None, words: vec![last] });
            return true;
        };
        let value = self.rest_of_value(&name, start, &mut submission.doubts);
        let words = if separate { vec![last, value.clone()] } else { vec![last_with(&last, &name, &value)] };
        submission.options.push(SbatchOption { name, value: Some(value), words });
        true
    }

    /// A value goes on over words that are no option: as far as it is known from elsewhere, or to the script.
    fn rest_of_value(&mut self, name: &str, start: String, doubts: &mut Vec<String>) -> String {
        let rest = &self.words[self.at..];
        let whole = match name {
            "job-name" => self.known.job_name,
            "comment" => self.known.comment,
            _ => None,
        };
        let certain = whole.and_then(|whole| joined(&start, rest, whole));
        let more = match certain {
            Some(more) => more,
            None if name == "wrap" => rest.len(),
            None if self.sure_end => rest.iter().take_while(|word| head(word).is_none()).count(),
            None => 0,
        };
        self.at += more;
        let value = [&[start.as_str()], &rest[..more]].concat().join(" ");
        if more > 0 && certain.is_none() {
            let read = clean(&value);
            doubts.push(format!("Slurm recorded the line without quotes; --{name} was read as {read:?}"));
        }
        value
    }
}

fn flag(word: &str) -> Option<SbatchOption> {
    let head = head(word)?;
    Some(SbatchOption { name: head.name, value: None, words: vec![word.to_owned()] })
}

/// `--comment=a` and the value `a b` as `--comment=a b`; `-Ja` likewise.
fn last_with(word: &str, name: &str, value: &str) -> String {
    match word.split_once('=').filter(|_| word.starts_with("--")) {
        Some((start, _)) => format!("{start}={value}"),
        None if word.starts_with("--") => format!("--{name}={value}"),
        None => format!("{}{value}", word.chars().take(2).collect::<String>()),
    }
}

/// How many words to add to `start` so that they are `whole`.
fn joined(start: &str, words: &[&str], whole: &str) -> Option<usize> {
    let mut value = start.to_owned();
    for more in 0..=words.len() {
        if value == whole {
            return Some(more);
        }
        if value.len() > whole.len() {
            return None;
        }
        value = format!("{value} {}", words.get(more)?);
    }
    None
}

/// The number of the word with which script and arguments begin, if they are those of `command`: the line's end is
/// the command's end.
fn script_at(line: &str, command: &str) -> Option<usize> {
    let starts = line.match_indices(' ').map(|(at, _)| at + 1);
    starts.enumerate().find_map(|(number, start)| {
        let tail = &line[start..];
        let plain = tail.strip_prefix("./").unwrap_or(tail);
        let fits = !plain.is_empty()
            && !tail.starts_with('-')
            && (command == tail || command.strip_suffix(plain).is_some_and(|dir| dir.ends_with('/')));
        fits.then_some(number + 1)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(submission: &Submission) -> Vec<&str> {
        submission.options.iter().flat_map(|option| option.words.iter().map(String::as_str)).collect()
    }

    #[test]
    fn a_plain_line() {
        let line = "/usr/bin/sbatch -N2 --gres gpu:8 -HQ --exclusive ./train.sbatch --lr 3";
        let submission = parse(line, Known::default()).unwrap();
        assert_eq!(words(&submission), ["-N2", "--gres", "gpu:8", "-H", "-Q", "--exclusive"]);
        assert_eq!(submission.script.as_deref(), Some("./train.sbatch"));
        assert_eq!(submission.args, ["--lr", "3"]);
        assert_eq!(submission.value("nodes"), Some("2"));
        assert_eq!(submission.doubts.len(), 1, "two arguments may have been one: {:?}", submission.doubts);
    }

    /// As Slurm 22.05.8 recorded it.
    #[test]
    fn blanks_in_values_are_found_again() {
        let line = "sbatch --parsable -N2 --ntasks-per-node=2 --job-name=my job=1 Reason=x \
                    --comment=hello JobState=FAILED a=b train.sbatch --lr 3 a b";
        let known = Known {
            command: Some("/root/my dir/train.sbatch --lr 3 a b"),
            job_name: Some("my job=1 Reason=x"),
            comment: Some("hello JobState=FAILED a=b"),
        };
        let submission = parse(line, known).unwrap();
        assert_eq!(
            words(&submission),
            [
                "--parsable",
                "-N2",
                "--ntasks-per-node=2",
                "--job-name=my job=1 Reason=x",
                "--comment=hello JobState=FAILED a=b"
            ]
        );
        assert_eq!(submission.script.as_deref(), Some("train.sbatch"));
        assert_eq!(submission.args, ["--lr", "3", "a", "b"]);
        assert_eq!(
            submission.doubts.len(),
            1,
            "what Slurm knows otherwise is no doubt: {:?}",
            submission.doubts
        );
    }

    #[test]
    fn quotes_are_part_of_a_value() {
        let line =
            r#"sbatch --parsable -N1 --comment=it's "q" | x --export=ALL,A=x,y --wrap sleep 200; echo "hi""#;
        let submission = parse(line, Known { comment: Some(r#"it's "q" | x"#), ..Known::default() }).unwrap();
        assert_eq!(submission.value("comment"), Some(r#"it's "q" | x"#));
        assert_eq!(submission.value("export"), Some("ALL,A=x,y"));
        assert_eq!(submission.value("wrap"), Some(r#"sleep 200; echo "hi""#));
        assert_eq!(submission.script, None);
    }

    #[test]
    fn what_cannot_be_repeated() {
        assert!(parse("srun --pty bash", Known::default()).unwrap_err().contains("srun"));
        assert!(parse("sbatch -N1 a : -N2 b", Known::default()).unwrap_err().contains("heterogeneous"));
        assert!(parse("", Known::default()).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(line in "\\PC{0,120}", command in "\\PC{0,60}") {
            let _ = parse(&format!("sbatch {line}"), Known { command: Some(&command), ..Known::default() });
        }

        /// Without blanks in words nothing is lost: the same words come out in the same order.
        #[test]
        fn words_stay_verbatim_and_in_order(
            options in prop::collection::vec("--(nodes|mem|time|gres)=[a-z0-9:]{1,5}|-N[0-9]|-p [a-z]{1,4}|--exclusive", 0..8),
            args in prop::collection::vec("[a-z0-9=-]{1,6}", 0..4),
        ) {
            let line = [&["sbatch".to_owned()][..], &options[..], &["run.sh".to_owned()][..], &args[..]].concat().join(" ");
            let submission = parse(&line, Known::default()).unwrap();
            let mut again = vec!["sbatch"];
            again.extend(words(&submission));
            again.extend(submission.script.as_deref());
            again.extend(submission.args.iter().map(String::as_str));
            prop_assert_eq!(again.join(" "), line);
        }
    }
}
