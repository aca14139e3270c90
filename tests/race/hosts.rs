//! Two hosts on one machine: namespaces of their own for host name and process ids, where that is allowed.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use super::driver::{ENGINE, Part};

/// How processes get a host of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hosts {
    /// In namespaces.
    Namespaces,
    /// By claiming another name; process ids are then shared.
    Named,
}

const ENTER: [&str; 4] = ["--uts", "--pid", "--fork", "--kill-child"];

impl Hosts {
    pub(super) fn here() -> Self {
        let mut unshare = Command::new("unshare");
        unshare.args(ENTER).args(["hostname", "probe"]).stdout(Stdio::null()).stderr(Stdio::null());
        if unshare.status().is_ok_and(|status| status.success()) {
            return Self::Namespaces;
        }
        #[expect(clippy::print_stderr, reason = "what was not shown must be seen")]
        {
            eprintln!("no namespaces here: the two hosts differ in their names alone");
        }
        Self::Named
    }

    /// Starts an engine on a host, in a process group of its own.
    pub(super) fn engine(self, host: &str, state: &str, ground: &Path, run: &str, part: Part) -> Child {
        let program = std::env::current_exe().unwrap();
        let mut command = match self {
            Self::Namespaces => {
                let mut unshare = Command::new("unshare");
                unshare.args(ENTER).args(["sh", "-c", "hostname \"$0\" && exec \"$@\"", host]).arg(program);
                unshare
            }
            Self::Named => {
                let mut command = Command::new(program);
                command.env("RACE_HOST", host);
                command
            }
        };
        command.args(["--exact", ENGINE, "--ignored", "--nocapture"]).process_group(0);
        command.env("RUNBOOK_STATE", state).env("RACE_GROUND", ground);
        command.env("RACE_RUN", run).env("RACE_PART", format!("{part:?}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        command.spawn().unwrap()
    }
}

/// Signals an engine, whatever was started around it.
pub(super) fn signal(child: &Child, signal: Signal) {
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process_group(group, signal).unwrap();
}
