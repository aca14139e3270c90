//! Commands on this machine.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use engine::site::{Command, Exit, Output, Program, SiteError, SiteErrorKind};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::{Child, Command as Process};
use tokio::time::{Instant, sleep};

use super::drain::{Bounded, Drained, Listener, Pipes, Stream, drain};
use super::wrap::KILL_AFTER_SECONDS;

/// Runs a command on this machine, in a process group of its own.
pub(super) async fn run(command: &Command) -> Result<Output, SiteError> {
    let started = Instant::now();
    let mut child = spawn(command)?;
    let mut group = Group { leader: child.id().and_then(|id| Pid::from_raw(id.cast_signed())) };
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(SiteError::new(SiteErrorKind::Unknown, format!("{command}: lost its streams")));
    };
    let pipes = Pipes { stdin: child.stdin.take(), stdout, stderr };
    let mut kept = Kept { limit: command.output_limit, out: Bounded::default(), err: Bounded::default() };
    let deadline = started + command.timeout;
    let input = command.stdin.as_deref().unwrap_or_default();
    let drained = drain(pipes, input, Some(child.wait()), deadline, &mut kept).await;
    let Drained::Ended(Some(status)) = drained else {
        group.end(&mut child).await;
        return Err(SiteError::new(
            SiteErrorKind::Timeout,
            format!("{command}: ran past its limit of {:?} and was ended", command.timeout),
        ));
    };
    group.leader = None;
    let status = status.map_err(|error| {
        SiteError::new(SiteErrorKind::Unknown, format!("{command}: cannot tell how it ended: {error}"))
    })?;
    Ok(Output {
        exit: exit(status),
        stdout: kept.out.bytes,
        stderr: kept.err.bytes,
        truncated: kept.out.truncated || kept.err.truncated,
        took: started.elapsed(),
    })
}

/// What a command said, as far as it is kept.
struct Kept {
    limit: usize,
    out: Bounded,
    err: Bounded,
}

impl Listener for Kept {
    fn hear(&mut self, stream: Stream, chunk: &[u8]) {
        match stream {
            Stream::Out => self.out.push(chunk, self.limit),
            Stream::Err => self.err.push(chunk, self.limit),
        }
    }

    fn ended(&self) -> bool {
        false
    }
}

fn spawn(command: &Command) -> Result<Child, SiteError> {
    let mut process = match &command.program {
        Program::Argv(argv) => {
            let (program, arguments) = argv
                .split_first()
                .ok_or_else(|| SiteError::new(SiteErrorKind::NotStarted, "the command is empty"))?;
            let mut process = Process::new(program);
            process.args(arguments);
            process
        }
        Program::Script(text) => {
            let mut process = Process::new("sh");
            process.args(["-c", text]);
            process
        }
    };
    // Of the database in which runs are kept: sbatch would hand it on to a job and keep it in its record.
    process.env_remove("PGPASSWORD");
    for pattern in &command.env_remove {
        match pattern.strip_suffix('*') {
            None => {
                process.env_remove(pattern);
            }
            Some(prefix) => {
                let begins = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(prefix.as_bytes());
                for (name, _) in std::env::vars_os().filter(|(name, _)| begins(name)) {
                    process.env_remove(name);
                }
            }
        }
    }
    process.envs(&command.env);
    if let Some(dir) = &command.cwd {
        process.current_dir(dir);
    }
    let input = if command.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
    process.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Its own group: a Ctrl-C at the terminal is for us alone, and a timeout reaches its children too.
    process.process_group(0).kill_on_drop(true);
    process.spawn().map_err(|error| not_started(command, &error))
}

fn not_started(command: &Command, error: &io::Error) -> SiteError {
    let program = match &command.program {
        Program::Argv(argv) => argv.first().map_or("", String::as_str),
        Program::Script(_) => "sh",
    };
    let message = match (&command.cwd, error.kind()) {
        (Some(dir), io::ErrorKind::NotFound) if !Path::new(dir).is_dir() => {
            format!("{dir}: no such directory")
        }
        (_, io::ErrorKind::NotFound) => format!("{program}: no such program on this machine"),
        _ => format!("{program}: could not be started: {error}"),
    };
    SiteError::new(SiteErrorKind::NotStarted, message)
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

/// The process group of a command that has not ended. If nobody waits for it any more, it is ended at once.
struct Group {
    leader: Option<Pid>,
}

impl Group {
    /// Asks all of the group to end, then ends it.
    async fn end(&mut self, child: &mut Child) {
        let Some(leader) = self.leader else { return };
        let _ = kill_process_group(leader, Signal::TERM);
        let patience = Instant::now() + Duration::from_secs(KILL_AFTER_SECONDS);
        loop {
            let led = matches!(child.try_wait(), Ok(None));
            if !led && test_kill_process_group(leader).is_err() {
                break;
            }
            if Instant::now() >= patience {
                let _ = kill_process_group(leader, Signal::KILL);
                let _ = child.wait().await;
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        self.leader = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}
