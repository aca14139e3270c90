//! Two real accounts on one state directory. Only root can make accounts.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::bench::{Bench, Said, Terminal};

/// The files of accounts have one lock, and whoever waits for it gives up soon.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A team of two, whose state directory is the bench's.
pub(crate) struct Team {
    pub bench: Bench,
    group: String,
    accounts: Vec<String>,
    _alone: MutexGuard<'static, ()>,
}

fn must(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Team {
    /// `None`, and a word about it, where this is not root.
    #[expect(clippy::print_stderr, reason = "what is not run is said")]
    pub(crate) fn new(bench: Bench) -> Option<Self> {
        let tools = Command::new("useradd").arg("--help").stdout(Stdio::null()).status();
        if !rustix::process::getuid().is_root() || tools.is_err() {
            let what = "the tests with two accounts: they need root and useradd";
            eprintln!("NOT RUN: {what}");
            if let Some(list) = std::env::var_os("RUNBOOK_NOT_RUN") {
                let mut list = std::fs::OpenOptions::new().append(true).open(list).unwrap();
                writeln!(list, "{what}").unwrap();
            }
            return None;
        }
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = std::process::id();
        let group = format!("rbt{pid}");
        must(Command::new("groupadd").arg(&group));
        let accounts = vec![format!("ada{pid}"), format!("ben{pid}"), format!("eve{pid}")];
        let team = Self { bench, group, accounts, _alone: alone };
        for (at, account) in team.accounts.iter().enumerate() {
            let mut add = Command::new("useradd");
            add.args(["--no-create-home", "--shell", "/bin/sh"]);
            if at < 2 {
                add.args(["--groups", &team.group]);
            }
            must(add.arg(account));
        }
        let state = team.bench.path("state");
        let open = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(state.parent().unwrap(), open(0o777)).unwrap();
        must(Command::new("install").args(["-d", "-m", "2770", "-g", &team.group]).arg(&state));
        Some(team)
    }

    pub(crate) fn ada(&self) -> &str {
        &self.accounts[0]
    }

    pub(crate) fn ben(&self) -> &str {
        &self.accounts[1]
    }

    pub(crate) fn eve(&self) -> &str {
        &self.accounts[2]
    }

    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    /// A program, run by an account.
    pub(crate) fn by(&self, account: &str, program: &str, args: &[&str]) -> Command {
        let inner = self.bench.command(&[]);
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={account}"), &format!("--regid={account}"), "--init-groups", "--"]);
        command.arg(program).args(args).current_dir(self.bench.path("")).env_clear().stdin(Stdio::null());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// `runbook`, run by an account.
    pub(crate) fn run(&self, account: &str, args: &[&str]) -> Said {
        Said::of(self.by(account, env!("CARGO_BIN_EXE_runbook"), args).output().unwrap())
    }

    /// `runbook`, at a terminal of an account.
    pub(crate) fn terminal(&self, account: &str, args: &[&str]) -> Terminal {
        Terminal::new(self.by(account, env!("CARGO_BIN_EXE_runbook"), args))
    }

    /// Shell text, run by an account; whether it succeeded.
    pub(crate) fn shell(&self, account: &str, text: &str) -> bool {
        self.by(account, "sh", &["-c", text]).output().unwrap().status.success()
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        for account in &self.accounts {
            let _ = Command::new("userdel").arg("--force").arg(account).output();
        }
        let _ = Command::new("groupdel").arg(&self.group).output();
    }
}
