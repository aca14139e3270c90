//! The line by which a job was submitted, taken apart.
//!
//! Slurm joins the words of the submission with single blanks and quotes nothing (`SubmitLine`, since 21.08;
//! `slurm_option_get_argv_str`, SchedMD/slurm src/common/slurm_opt.c). So a value with a blank in it looks like two
//! words. What Slurm knows otherwise (script, name, comment) settles most cases; the rest is said in `doubts`.

use super::options::{Head, SbatchOption, Takes, head, unbundle};

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
        return Err(format!("it was started by {:?}, not by sbatch", super::text::clean(program)));
    }
    if words.contains(&":") {
        return Err("it is a heterogeneous job (several components parted by `:`)".to_owned());
    }
    let mut submission = Submission::default();
    let script = known.command.and_then(|command| script_at(&words, command));
    let end = script.unwrap_or(words.len());
    let mut at = 1;
    while at < end {
        if words[at] == "--" {
            at += 1;
            break;
        }
        let Some(_) = head(words[at]) else { break };
        let mut singles = unbundle(words[at]);
        let last = singles.pop().unwrap_or_default();
        submission.options.extend(singles.into_iter().filter_map(|word| flag(&word)));
        at += 1;
        let Some(Head { name, takes, inline }) = head(&last) else { continue };
        let mut option = SbatchOption { name, value: None, words: vec![last.clone()] };
        let (mut value, next) = match (takes, inline) {
            (Takes::Value, None) if at < end => (words[at].to_owned(), at + 1),
            (Takes::Value | Takes::Perhaps, Some(value)) => (value, at),
            _ => {
                submission.options.push(option);
                continue;
            }
        };
        let separate = next > at;
        at = next;
        // A value goes on over words that are no option: up to the value that is known, or to the script that is known.
        let sure = match option.name.as_str() {
            "job-name" => known.job_name,
            "comment" => known.comment,
            _ => None,
        };
        let certain = sure.and_then(|sure| joined(&value, &words[at..end], sure));
        let more = match certain {
            Some(more) => more,
            None if script.is_some() || option.name == "wrap" => {
                words[at..end].iter().take_while(|word| option.name == "wrap" || head(word).is_none()).count()
            }
            None => 0,
        };
        for word in &words[at..at + more] {
            value = format!("{value} {word}");
        }
        at += more;
        if more > 0 && certain.is_none() {
            submission.doubts.push(format!(
                "Slurm recorded the line without quotes; --{} was read as {:?}",
                option.name,
                super::text::clean(&value)
            ));
        }
        let first = if separate { last } else { last_with(&last, &option.name, &value) };
        option.words = if separate { vec![first, value.clone()] } else { vec![first] };
        option.value = Some(value);
        submission.options.push(option);
    }
    if at < words.len() {
        submission.script = Some(words[at].to_owned());
        submission.args = words[at + 1..].iter().map(|&word| word.to_owned()).collect();
        // A script whose path holds blanks: `Command` is the path alone if there are no arguments.
        if let (Some(command), Some(at)) = (known.command, script)
            && !submission.args.is_empty()
        {
            let tail = words[at..].join(" ");
            submission.doubts.push(format!(
                "Slurm recorded the line without quotes; {:?} was read as a script with {} arguments",
                super::text::clean(if tail.is_empty() { command } else { &tail }),
                submission.args.len()
            ));
        }
    }
    Ok(submission)
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

/// Where script and arguments begin, if they are those of `command`: what follows is its end.
fn script_at(words: &[&str], command: &str) -> Option<usize> {
    (1..words.len()).find(|&at| {
        let tail = words[at..].join(" ");
        let plain = tail.strip_prefix("./").unwrap_or(&tail);
        !tail.is_empty()
            && !tail.starts_with('-')
            && (command == tail || command.strip_suffix(plain).is_some_and(|dir| dir.ends_with('/')))
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
        assert!(submission.doubts.is_empty(), "{:?}", submission.doubts);
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
