//! The command line of a repeated submission, made from what is known of the first.

use super::id::JobId;
use super::mine::{HEAD, marked};
use super::options::SbatchOption;
use super::record::Record;
use super::script::absolute;
use super::submit_line::{Known, Submission, parse};

/// What the new submission is made of.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The job whose submission is repeated.
    pub(crate) record: &'a Record,
    /// The file from which its script was taken, if it is still there.
    pub(crate) on_disk: Option<&'a str>,
    /// Another script, absolute.
    pub(crate) script: Option<&'a str>,
    /// Options that replace those of the same name.
    pub(crate) options: &'a [SbatchOption],
    /// A job whose end is waited for.
    pub(crate) after: Option<&'a JobId>,
    /// The visit that does it.
    pub(crate) token: &'a str,
    /// Where the journal stood when that visit began.
    pub(crate) head: Option<&'a str>,
}

/// A submission ready to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// `sbatch` and its arguments.
    pub(crate) argv: Vec<String>,
    /// The script goes to standard input: there was never a file.
    pub(crate) needs_stdin: bool,
    /// The script's path, if it is a file.
    pub(crate) script: Option<String>,
    /// The new job's comment.
    pub(crate) comment: String,
    /// What a person should know.
    pub(crate) notes: Vec<String>,
}

/// Options that are about the first submission alone and do not come along.
const LEFT_OUT: &[&str] =
    &["parsable", "test-only", "quiet", "verbose", "wait", "comment", "dependency", "begin"];
/// Options that this step sets itself.
const OURS: &[&str] = &["parsable", "test-only", "wrap", "wait", "dependency"];

/// Makes the command line.
///
/// # Errors
/// A sentence that says why this submission cannot be repeated.
pub(crate) fn plan(request: &Request<'_>) -> Result<Plan, String> {
    let record = request.record;
    if let Some(option) = request.options.iter().find(|option| OURS.contains(&option.name.as_str())) {
        return Err(format!("the option --{} cannot be given here", option.name));
    }
    let mut notes = Vec::new();
    let mut first = original(request, &mut notes)?;
    notes.append(&mut first.doubts);
    for name in ["dependency", "begin"] {
        if first.has(name) {
            notes.push(format!(
                "--{name}={} of the first submission is left out",
                crate::text::clean(first.value(name).unwrap_or(""))
            ));
        }
    }
    let replaced = |option: &SbatchOption| {
        let name = option.name.as_str();
        LEFT_OUT.contains(&name)
            || request.options.iter().any(|new| new.name == name)
            || (name == "array" && record.array_task.is_some())
            || (name == "wrap" && request.script.is_some())
    };
    let mut argv = vec!["sbatch".to_owned(), "--parsable".to_owned()];
    for option in first.options.iter().filter(|option| !replaced(option)) {
        // A relative directory was meant from where the first submission was made, which nobody recorded.
        match (option.name.as_str(), option.value.as_deref(), record.work_dir.as_deref()) {
            ("chdir", Some(value), Some(dir)) if !value.starts_with('/') => {
                argv.push(format!("--chdir={dir}"))
            }
            _ => argv.extend(option.words.iter().cloned()),
        }
    }
    let new = request.options.iter().filter(|option| option.name != "comment");
    argv.extend(new.flat_map(|option| option.words.iter().cloned()));
    if let Some(task) = record.array_task {
        argv.push(format!("--array={task}"));
        notes.push(format!(
            "only task {task} of array {} is submitted again",
            record.array_job.unwrap_or_default()
        ));
    }
    if let Some(after) = request.after {
        argv.push(format!("--dependency=afterany:{after}"));
    }
    let own =
        request.options.iter().rev().find(|option| option.name == "comment").and_then(|o| o.value.as_deref());
    let mut comment = marked(own.or(record.comment.as_deref()).unwrap_or_default(), request.token);
    if let Some(head) = request.head {
        comment.push_str(&format!(" {HEAD}{head}"));
    }
    argv.push(format!("--comment={comment}"));

    let wrapped = request.script.is_none() && first.has("wrap");
    let script = match (request.script, &first.script, request.on_disk) {
        (Some(script), ..) => Some(script.to_owned()),
        (None, Some(word), Some(path)) => {
            let same = record.work_dir.as_deref().is_some_and(|dir| absolute(dir, word) == path);
            Some(if same { word.clone() } else { path.to_owned() })
        }
        (None, Some(word), None) => {
            return Err(format!("its script {} is no longer there", crate::text::clean(word)));
        }
        (None, None, _) => None,
    };
    argv.extend(script.iter().cloned());
    argv.extend(first.args.iter().cloned());
    Ok(Plan {
        needs_stdin: script.is_none() && !wrapped,
        script: script
            .map(|script| record.work_dir.as_deref().map_or(script.clone(), |dir| absolute(dir, &script))),
        argv,
        comment,
        notes,
    })
}

/// The first submission: as it was recorded, else as much of it as slurmctld knows.
fn original(request: &Request<'_>, notes: &mut Vec<String>) -> Result<Submission, String> {
    let record = request.record;
    if record.batch == Some(false) {
        return Err("it is interactive, not a batch job".to_owned());
    }
    if let Some(line) = &record.submit_line {
        let known = Known {
            command: record.command.as_deref(),
            job_name: record.name.as_deref(),
            comment: record.comment.as_deref(),
        };
        return parse(line, known);
    }
    let known = [
        ("partition", record.partition.clone()),
        ("account", record.account.clone()),
        ("qos", record.qos.clone()),
        ("nodes", record.num_nodes.map(|n| n.to_string())),
        ("tasks", record.tasks.map(|n| n.to_string())),
        ("GPUs", record.gpus.map(|n| n.to_string())),
    ];
    let known: Vec<String> = known
        .iter()
        .filter_map(|(name, value)| Some(format!("{name} {}", crate::text::clean(value.as_ref()?))))
        .collect();
    notes.push(format!(
        "nobody recorded the line of the first submission: options that are not in the script are missing here; the job had {}",
        known.join(", ")
    ));
    let mut submission = Submission::default();
    if let (Some(path), Some(command)) = (request.on_disk, &record.command)
        && let Some(args) = command.strip_prefix(path)
    {
        submission.script = Some(path.to_owned());
        submission.args = args.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        if !submission.args.is_empty() {
            submission.doubts.push(
                "Slurm records a script's arguments without quotes; blanks were taken to part them"
                    .to_owned(),
            );
        }
    } else if let Some(command) = &record.command
        && request.script.is_none()
    {
        return Err(format!("its script {} is no longer there", crate::text::clean(command)));
    }
    Ok(submission)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slurm::fields::{Fields, JOB_KEYS};
    use crate::slurm::fixtures as fixture;
    use crate::slurm::options::read_list;

    fn record(submit_line: Option<&str>) -> Record {
        let fields = Fields::split(fixture::FAILED_25_11, JOB_KEYS, &[]);
        let mut record = Record::from_scontrol(&fields).unwrap();
        record.submit_line = submit_line.map(str::to_owned);
        record
    }

    fn made(record: &Record, options: &[&str]) -> Result<Plan, String> {
        let words: Vec<String> = options.iter().map(|&word| word.to_owned()).collect();
        plan(&Request {
            record,
            on_disk: Some("/home/kim/train.sbatch"),
            script: None,
            options: &read_list(&words)?,
            after: None,
            token: "r/12",
            head: None,
        })
    }

    #[test]
    fn the_first_line_with_later_options_instead_of_earlier_ones() {
        let record = record(Some(
            "sbatch -W -N2 --exclude gpu-1 --dependency=afterok:4 --comment=nightly train.sbatch --lr=3",
        ));
        let plan = made(&record, &["--exclude=gpu-21", "--nodes=1"]).unwrap();
        assert_eq!(
            plan.argv,
            [
                "sbatch",
                "--parsable",
                "--exclude=gpu-21",
                "--nodes=1",
                "--comment=nightly runbook:r/12",
                "train.sbatch",
                "--lr=3"
            ]
        );
        assert_eq!(plan.script.as_deref(), Some("/home/kim/train.sbatch"));
        assert!(!plan.needs_stdin);
        assert_eq!(plan.notes, ["--dependency=afterok:4 of the first submission is left out"]);
    }

    #[test]
    fn without_a_recorded_line_it_says_what_is_missing() {
        let plan = made(&record(None), &[]).unwrap();
        assert_eq!(
            plan.argv,
            ["sbatch", "--parsable", "--comment=nightly runbook:r/12", "/home/kim/train.sbatch"]
        );
        assert!(
            plan.notes[0].contains("partition train, account ml, qos normal, nodes 2, tasks 16, GPUs 16"),
            "{:?}",
            plan.notes
        );
    }

    #[test]
    fn one_task_of_an_array() {
        let mut record = record(Some("sbatch --array=1-9%2 train.sbatch"));
        (record.array_job, record.array_task) = (Some(5), Some(7));
        let plan = made(&record, &[]).unwrap();
        assert_eq!(
            plan.argv,
            ["sbatch", "--parsable", "--array=7", "--comment=nightly runbook:r/12", "train.sbatch"]
        );
    }

    #[test]
    fn a_script_that_was_never_a_file() {
        let mut record = record(Some("sbatch -N1"));
        record.command = None;
        assert!(made(&record, &[]).unwrap().needs_stdin);
        record.submit_line = Some("sbatch -N1 --wrap sleep 5".to_owned());
        let plan = made(&record, &[]).unwrap();
        assert_eq!(
            plan.argv,
            ["sbatch", "--parsable", "-N1", "--wrap", "sleep 5", "--comment=nightly runbook:r/12"]
        );
        assert!(!plan.needs_stdin && plan.script.is_none());
    }

    #[test]
    fn a_relative_directory_becomes_the_known_one() {
        let plan = made(&record(Some("sbatch -D kim ../x/train.sbatch")), &[]).unwrap();
        assert_eq!(plan.argv[2], "--chdir=/home/kim");
        assert_eq!(plan.argv.last().unwrap(), "/home/kim/train.sbatch");
    }

    #[test]
    fn what_cannot_be_repeated() {
        assert!(made(&record(Some("srun --pty bash")), &[]).unwrap_err().contains("srun"));
        assert!(made(&record(Some("sbatch train.sbatch")), &["--dependency=afterok:1"]).is_err());
        let gone = record(Some("sbatch train.sbatch"));
        let request = Request {
            record: &gone,
            on_disk: None,
            script: None,
            options: &[],
            after: None,
            token: "t",
            head: None,
        };
        assert!(plan(&request).unwrap_err().contains("no longer there"));
    }
}
