//! Commands on hosts: one multiplexed ssh connection for each, opened at first use by the system's own ssh.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::site::{Command, Output, SiteError, SiteErrorKind};
use openssh::Session;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::drain::{Drained, Pipes, drain};
use super::heard::{Heard, printable};
use super::{host, wrap};

/// sshd lets 10 sessions share a connection if it is not told otherwise (`MaxSessions`); two are left for others.
const SESSIONS_PER_HOST: usize = 8;

/// What a master says whose host opens no further session.
const REFUSED: &str = "refused the request";
/// How often a refused session is asked for again, and how long is waited before.
const REFUSALS: u32 = 40;
const BETWEEN_REFUSALS: Duration = Duration::from_millis(50);
/// Connections being opened at a time: a bastion in between drops what comes in a rush (`MaxStartups`).
const OPENING_AT_ONCE: usize = 32;
/// What the network may add to a command's time before the host is taken for lost.
const NETWORK_GRACE: Duration = Duration::from_secs(3);

/// The connections of one site.
pub(super) struct Remote {
    config: Option<PathBuf>,
    connect_timeout: Duration,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
    sockets: tokio::sync::OnceCell<TempDir>,
    opening: Semaphore,
}

struct Host {
    name: String,
    session: tokio::sync::Mutex<Option<Arc<Session>>>,
    slots: Semaphore,
}

impl Remote {
    pub(super) fn new(config: Option<PathBuf>, connect_timeout: Duration) -> Self {
        Self {
            config,
            connect_timeout,
            hosts: Mutex::default(),
            sockets: tokio::sync::OnceCell::new(),
            opening: Semaphore::new(OPENING_AT_ONCE),
        }
    }

    /// Closes every connection; the next command opens anew.
    pub(super) async fn close(&self) {
        let hosts = std::mem::take(&mut *self.hosts.lock().unwrap_or_else(PoisonError::into_inner));
        // Dropping the last reference tells the master to exit, over its socket and blocking.
        let _ = tokio::task::spawn_blocking(move || drop(hosts)).await;
    }

    /// Runs a command on `name`.
    pub(super) async fn run(&self, name: &str, command: &Command) -> Result<Output, SiteError> {
        host::check(name)?;
        let nonce = nonce();
        let line = wrap::line(command, &nonce)?;
        let host = self.host(name);
        let _slot = host.slots.acquire().await.map_err(|_| unreachable_host(name, "is being closed"))?;
        let session = self.session(&host).await?;
        Running::start(&session, name, command, &line).await?.finish(&host, &session, &nonce).await
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = hosts.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(Host {
                name: name.to_owned(),
                session: tokio::sync::Mutex::default(),
                slots: Semaphore::new(SESSIONS_PER_HOST),
            })
        });
        host.clone()
    }

    /// The open connection to a host, opened by whoever comes first.
    async fn session(&self, host: &Host) -> Result<Arc<Session>, SiteError> {
        let mut session = host.session.lock().await;
        if let Some(open) = session.as_ref() {
            // The master may have ended (idle, network, killed). To know it before anything was asked of it is what
            // makes "not started" certain; it costs one accept on a local socket.
            if tokio::net::UnixStream::connect(open.control_socket()).await.is_ok() {
                return Ok(open.clone());
            }
            *session = None;
        }
        let _turn =
            self.opening.acquire().await.map_err(|_| unreachable_host(&host.name, "is being closed"))?;
        let opened = Arc::new(self.connect(&host.name).await?);
        *session = Some(opened.clone());
        Ok(opened)
    }

    /// Starts a master as the user's own ssh and configuration would; openssh's builder would override
    /// `StrictHostKeyChecking`.
    async fn connect(&self, name: &str) -> Result<Session, SiteError> {
        let broken = |error: std::io::Error| {
            SiteError::new(SiteErrorKind::NotStarted, format!("could not start ssh to {name}: {error}"))
        };
        let sockets = self.sockets.get_or_try_init(|| async { socket_dir() }).await.map_err(broken)?;
        let dir = tempfile::Builder::new().prefix("h").rand_bytes(6).tempdir_in(sockets).map_err(broken)?;
        let (log, chatter) = (dir.path().join("log"), dir.path().join("err"));
        let mut ssh = tokio::process::Command::new("ssh");
        ssh.args(["-M", "-N", "-f", "-T", "-S"]).arg(dir.path().join("master")).arg("-E").arg(&log);
        for option in [
            "BatchMode=yes",
            // If this program is killed, its masters go by themselves.
            "ControlPersist=10m",
            "ClearAllForwardings=yes",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.arg("-o").arg(format!("ConnectTimeout={}", self.connect_timeout.as_secs().max(1)));
        if let Some(config) = &self.config {
            ssh.arg("-F").arg(config);
        }
        ssh.args(["--", name]);
        // The banner of a host that refuses goes to stderr, not to the log. A file: the master keeps it open.
        ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&chatter).map_err(broken)?);
        ssh.process_group(0).kill_on_drop(true);
        // ConnectTimeout covers connecting, not a host that stops talking during authentication.
        let patience = self.connect_timeout * 3;
        let status = match tokio::time::timeout(patience, ssh.status()).await {
            Ok(status) => status.map_err(broken)?,
            Err(_) => {
                return Err(unreachable_host(name, &format!("did not finish its greeting in {patience:?}")));
            }
        };
        if status.success() {
            return Ok(Session::new_native_mux(dir));
        }
        let said = [&chatter, &log].map(|path| std::fs::read(path).unwrap_or_default()).concat();
        Err(refused(name, &String::from_utf8_lossy(&said)))
    }
}

/// A private directory for control sockets, on a local file system, with a path so short that a socket's fits (108
/// bytes with the suffix that ssh adds while it binds).
fn socket_dir() -> std::io::Result<TempDir> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let candidates = runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]);
    let fits = |dir: &PathBuf| dir.is_absolute() && dir.as_os_str().len() <= 48;
    let mut failure = std::io::Error::other("no directory for control sockets");
    for parent in candidates.filter(fits) {
        let private = std::fs::Permissions::from_mode(0o700);
        match tempfile::Builder::new().prefix("runbook-").permissions(private).tempdir_in(parent) {
            Ok(dir) => return Ok(dir),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn nonce() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("runbook-{:016x}{:016x}-", random(), random())
}

fn unreachable_host(name: &str, why: &str) -> SiteError {
    SiteError::new(SiteErrorKind::Unreachable, format!("{name}: {why}"))
}

/// Why ssh could not connect. In each case nothing was started.
fn refused(name: &str, said: &str) -> SiteError {
    let noise = |line: &&str| line.is_empty() || line.starts_with("Warning: Permanently added");
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !noise(line)).collect();
    let last = &lines[lines.len().saturating_sub(3)..];
    let reason =
        if last.is_empty() { "ssh could not connect".to_owned() } else { printable(&last.join("; ")) };
    let denied =
        ["ermission denied", "Access denied", "Host key verification failed", "Too many authentication"];
    let kind = if denied.iter().any(|words| said.contains(words)) {
        SiteErrorKind::Denied
    } else {
        SiteErrorKind::Unreachable
    };
    SiteError::new(kind, format!("{name}: {reason}"))
}

/// A command on its way.
struct Running<'a> {
    child: openssh::Child<&'a Session>,
    name: &'a str,
    command: &'a Command,
    began: Instant,
}

impl<'a> Running<'a> {
    async fn start(
        session: &'a Session,
        name: &'a str,
        command: &'a Command,
        line: &str,
    ) -> Result<Self, SiteError> {
        let began = Instant::now();
        let input = || if command.stdin.is_some() { openssh::Stdio::piped() } else { openssh::Stdio::null() };
        // A session that has just ended may still count at the host: what was refused did not start, so it may be asked
        // for again.
        let mut patience = REFUSALS;
        let spawned = loop {
            let spawned = session
                .raw_command(line)
                .stdin(input())
                .stdout(openssh::Stdio::piped())
                .stderr(openssh::Stdio::piped())
                .spawn()
                .await;
            match &spawned {
                Err(error @ openssh::Error::SshMux(_)) if patience > 0 && chain(error).contains(REFUSED) => {
                    patience -= 1;
                    tokio::time::sleep(BETWEEN_REFUSALS).await;
                }
                _ => break spawned,
            }
        };
        let child = spawned.map_err(|error| {
            let reason = chain(&error);
            match error {
                // The master says that the host opened no session.
                openssh::Error::SshMux(_) if reason.contains(REFUSED) => {
                    unreachable_host(name, &format!("opens no further session: {reason}"))
                }
                openssh::Error::ChildIo(_) | openssh::Error::InvalidCommand => {
                    SiteError::new(SiteErrorKind::NotStarted, format!("{name}: {reason}"))
                }
                _ => SiteError::new(
                    SiteErrorKind::Unknown,
                    format!("{name}: the connection was lost while starting {command}: {reason}"),
                ),
            }
        })?;
        Ok(Self { child, name, command, began })
    }

    async fn finish(mut self, host: &Host, session: &Session, nonce: &str) -> Result<Output, SiteError> {
        let (Some(stdout), Some(stderr)) = (self.child.stdout().take(), self.child.stderr().take()) else {
            return Err(SiteError::new(SiteErrorKind::Unknown, format!("{}: lost its streams", self.name)));
        };
        let pipes = Pipes { stdin: self.child.stdin().take(), stdout, stderr };
        let input = self.command.stdin.as_deref().unwrap_or_default();
        let limit = self.command.timeout + Duration::from_secs(1 + wrap::KILL_AFTER_SECONDS);
        let mut heard = Heard::new(nonce, self.command.output_limit);
        let deadline = self.began + limit + NETWORK_GRACE;
        // The exit status is asked for last: taking it ends the session, and output still on its way is lost.
        let drained = drain(pipes, input, None::<std::future::Pending<()>>, deadline, &mut heard).await;
        heard.finish();
        let ended = match drained {
            Drained::Ended(_) if heard.status.is_none() => {
                tokio::time::timeout(NETWORK_GRACE, self.child.wait()).await.ok()
            }
            Drained::Ended(_) => None,
            Drained::OutOfTime => {
                // Not even the host's own timer was heard of: whoever comes next connects anew.
                host.forget(session).await;
                None
            }
        };
        heard.conclude(self.name, self.command, self.began.elapsed(), ended.as_ref())
    }
}

impl Host {
    async fn forget(&self, broken: &Session) {
        let mut session = self.session.lock().await;
        if session.as_ref().is_some_and(|open| open.control_socket() == broken.control_socket()) {
            *session = None;
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += ": ";
        text += &cause.to_string();
        source = cause.source();
    }
    printable(&text)
}

/// Where this process's control sockets lie, for the tests.
#[cfg(test)]
pub(super) fn sockets_of(remote: &Remote) -> Option<&std::path::Path> {
    remote.sockets.get().map(TempDir::path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_ssh_are_kept_apart() {
        let gone = refused("gpu-1", "ssh: connect to host gpu-1 port 22: No route to host\n");
        assert_eq!(gone.kind, SiteErrorKind::Unreachable);
        assert_eq!(gone.message, "gpu-1: ssh: connect to host gpu-1 port 22: No route to host");
        let said =
            "Access denied by pam_slurm_adopt: you have no active jobs on this node\r\nConnection closed\n";
        assert_eq!(refused("gpu-1", said).kind, SiteErrorKind::Denied);
        assert!(!refused("gpu-1", "bad\x1b[2Jline\n").message.contains('\x1b'));
    }

    #[test]
    fn no_two_commands_share_a_nonce() {
        assert_ne!(nonce(), nonce());
    }
}
