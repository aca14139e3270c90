//! A directory of its own for each test, and the program in it.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::pty::OpenptFlags;
use rustix::termios::LocalModes;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of its own, which holds state, runbooks and whatever they touch.
pub(crate) struct Bench {
    directory: tempfile::TempDir,
    /// Where runs are kept, if not in the directory.
    state: Option<String>,
}

/// What the program said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub out: String,
    pub err: String,
    pub code: Option<i32>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), state: None }
    }

    /// Keeps runs elsewhere.
    #[cfg(feature = "postgres")]
    pub(crate) fn keep_runs_in(&mut self, state: &str) -> &Self {
        self.state = Some(state.to_owned());
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Puts a program in the path.
    pub(crate) fn program(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(&format!("bin/{name}"), text);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Puts a runbook of `tests/cli/fixtures` where it is found by name.
    pub(crate) fn runbook(&self, name: &str) -> &Self {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cli/fixtures/{name}.yaml"));
        self.write(&format!("runbooks/{name}/runbook.yaml"), &std::fs::read_to_string(fixture).unwrap());
        self
    }

    /// The program, with an environment that says nothing of this machine.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runbook"));
        command.args(args);
        self.surround(command)
    }

    /// Runs a script in which `runbook` is the program.
    pub(crate) fn shell(&self, script: &str) -> Said {
        let mut command = Command::new("bash");
        command.args(["-c", script]);
        Said::of(self.surround(command).output().unwrap())
    }

    fn surround(&self, mut command: Command) -> Command {
        command.current_dir(self.directory.path()).env_clear();
        let path = std::env::var("PATH").unwrap_or_default();
        let beside = Path::new(env!("CARGO_BIN_EXE_runbook")).parent().unwrap().display();
        command.env("PATH", format!("{}:{beside}:{path}", self.path("bin").display()));
        let state = self.state.clone().map_or_else(|| self.path("state").into_os_string(), Into::into);
        command.env("HOME", self.directory.path()).env("RUNBOOK_STATE", state);
        command.env("RUNBOOK_SYSLOG", "");
        command.env("LANG", "C.UTF-8").env("TERM", "xterm-256color").env("TZ", "UTC");
        command.stdin(Stdio::null());
        command
    }

    /// Runs it to its end, without a terminal.
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        Said::of(self.command(args).output().unwrap())
    }

    /// Begins it, without a terminal.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Begins it at a terminal.
    pub(crate) fn terminal(&self, args: &[&str]) -> Terminal {
        Terminal::new(self.command(args))
    }

    /// Waits until a file is there.
    pub(crate) fn wait_for(&self, name: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.path(name).exists() {
            assert!(Instant::now() < until, "{name} did not appear");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The id of the only run.
    pub(crate) fn only_run(&self) -> String {
        let runs = std::fs::read_dir(self.path("state/runs")).unwrap().flatten();
        let runs: Vec<String> = runs.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs[0].clone()
    }

    /// What differs from run to run, replaced.
    pub(crate) fn redact(&self, text: &str) -> String {
        let text = text.replace(&*self.directory.path().to_string_lossy(), "[dir]");
        let account = Command::new("id").arg("-un").output().unwrap();
        let account = String::from_utf8(account.stdout).unwrap().trim().to_owned();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let mut text = text
            .replace(&format!("{account} on {host}"), "[account] on [host]")
            .replace(&format!("by {account}"), "by [account]");
        for (pattern, with) in [
            (r"\d{8}-\d{6}-[a-z2-9]{4}", "[run]"),
            (r"  \d+(\.\d)? s\n", "\n"),
            (r"\d\d-\d\d \d\d:\d\d", "[time]"),
        ] {
            text = regex::Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
        }
        text
    }
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { out: text(output.stdout), err: text(output.stderr), code: output.status.code() }
    }

    /// Asserts how it ended.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err);
        self
    }

    /// Standard error in one line.
    pub(crate) fn words(&self) -> String {
        self.err.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// Standard output as JSON lines.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<serde_json::Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }
}

/// The program at a terminal.
pub(crate) struct Terminal {
    child: Child,
    /// The side of the terminal where a person sits.
    keys: std::fs::File,
    shown: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    pub(crate) fn new(mut command: Command) -> Self {
        let (program, keys) = keyboard();
        let same = || program.try_clone().unwrap();
        command.env("NO_COLOR", "1").stdin(same()).stdout(same()).stderr(program);
        let child = command.spawn().unwrap();
        drop(command);
        let mut reader = keys.try_clone().unwrap();
        rustix::fs::fcntl_setfl(&keys, rustix::fs::OFlags::NONBLOCK).unwrap();
        let (sender, shown) = channel();
        // The thread goes with the receiver, so that the terminal is really gone when it is hung up.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                let read = match reader.read(&mut bytes) {
                    Ok(read) => read,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => 0,
                    Err(_) => return,
                };
                if sender.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { child, keys, shown, seen: String::new() }
    }

    /// Waits until a text was shown after the last one that was waited for.
    #[track_caller]
    pub(crate) fn see(&mut self, text: &str) -> &mut Self {
        let until = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            match self.shown.recv() {
                Ok(bytes) if Instant::now() < until => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                _ => panic!("`{text}` was not shown:\n{}", self.seen),
            }
        }
        let after = self.seen.find(text).unwrap() + text.len();
        self.seen.drain(..after);
        self
    }

    /// Types.
    pub(crate) fn type_in(&mut self, text: &str) -> &mut Self {
        self.keys.write_all(text.as_bytes()).unwrap();
        self
    }

    /// Waits until the terminal no longer shows what is typed: turning that off throws away what was typed before.
    #[track_caller]
    pub(crate) fn hides(&mut self) -> &mut Self {
        let until = Instant::now() + PATIENCE;
        let shows = |keys| rustix::termios::tcgetattr(keys).unwrap().local_modes.contains(LocalModes::ECHO);
        while shows(&self.keys) {
            assert!(Instant::now() < until, "the terminal shows what is typed");
            std::thread::sleep(Duration::from_millis(5));
        }
        self
    }

    /// Types at a program that may have ended meanwhile.
    pub(crate) fn type_if_it_lives(&mut self, text: &str) {
        let _ = self.keys.write_all(text.as_bytes());
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Takes the terminal away: what the program writes from now on fails.
    pub(crate) fn hang_up(self) -> Child {
        drop((self.keys, self.shown));
        std::thread::sleep(Duration::from_millis(100));
        self.child
    }

    /// Waits for its end, whatever that is.
    pub(crate) fn ends(mut self) {
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn exits(mut self, code: i32) {
        let status = self.child.wait().unwrap();
        let rest: Vec<u8> = self.shown.try_iter().flatten().collect();
        assert_eq!(status.code(), Some(code), "{}{}", self.seen, String::from_utf8_lossy(&rest));
    }
}

/// A terminal: the side of the program and that of the person.
pub(crate) fn keyboard() -> (std::fs::File, std::fs::File) {
    let person = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&person).unwrap();
    rustix::pty::unlockpt(&person).unwrap();
    let name = rustix::pty::ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
    let size = rustix::termios::Winsize { ws_row: 50, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&person, size).unwrap();
    let program = std::fs::OpenOptions::new().read(true).write(true).open(name).unwrap();
    (program, person.into())
}

/// Sends a signal.
pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}
