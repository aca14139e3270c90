//! What the world says after an undo, of which there is no recording: its last recorded answers with another state in them.

use std::time::Duration;

use engine::site::{Command, Exit, Output, Program};

fn script(command: &Command) -> &str {
    match &command.program {
        Program::Argv(_) => "",
        Program::Script(text) => text,
    }
}

/// What was taken back so far.
#[derive(Debug, Default, Clone)]
pub(crate) struct Taken {
    jobs: Vec<String>,
    nodes: Vec<String>,
    /// Files that an undo removes with a command, by host and name.
    files: Vec<(Option<String>, String)>,
}

fn words(command: &Command) -> Vec<&str> {
    match &command.program {
        Program::Argv(argv) => argv.iter().map(String::as_str).collect(),
        Program::Script(_) => Vec::new(),
    }
}

impl Taken {
    /// Carries an order of an undo out.
    pub(crate) fn order(&mut self, command: &Command) -> Option<Output> {
        match words(command)[..] {
            ["scancel", job] => self.jobs.push(job.to_owned()),
            ["scontrol", "update", node, "State=RESUME"] => {
                self.nodes.push(node.strip_prefix("NodeName=")?.to_owned());
            }
            _ => match script(command).strip_prefix("rm -f ") {
                Some(path) => self.files.push((command.host.clone(), path.to_owned())),
                None => return None,
            },
        }
        let (stdout, stderr) = (Vec::new(), Vec::new());
        Some(Output { exit: Exit::Code(0), stdout, stderr, truncated: false, took: Duration::ZERO })
    }

    /// The recorded answer to a question as it is by now.
    pub(crate) fn now(&self, command: &Command, output: &mut Output) {
        let text = output.text().into_owned();
        let about = |list: &[String], name: &str| list.iter().any(|known| known == name);
        if let Some(path) = script(command).strip_prefix("test -e ")
            && self.files.contains(&(command.host.clone(), path.to_owned()))
        {
            output.exit = Exit::Code(1);
        }
        let text = match words(command)[..] {
            ["scontrol", "-o", "show", "job", job] if about(&self.jobs, job) => text
                .replace("JobState=RUNNING", "JobState=CANCELLED")
                .replace("JobState=PENDING", "JobState=CANCELLED"),
            ["squeue", "-h", "-j", job, ..] if about(&self.jobs, job) => {
                text.replace("RUNNING", "CANCELLED").replace("PENDING", "CANCELLED")
            }
            ["scontrol", "-o", "show", "node", node] if about(&self.nodes, node) => {
                text.replace("+DRAIN", "")
            }
            _ => return,
        };
        output.stdout = text.into_bytes();
    }
}
