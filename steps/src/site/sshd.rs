//! A real sshd on loopback, for tests: own keys, own configuration, gone when dropped.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(super) struct Sshd {
    dir: TempDir,
    daemon: Child,
}

impl Sshd {
    /// Starts one; `None`, with the reason on stderr, where this machine has no OpenSSH server.
    pub(super) fn start() -> Option<Self> {
        let program = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/lib/ssh/sshd"];
        let Some(program) = program.iter().find(|path| fs::exists(path).unwrap_or(false)) else {
            eprintln!("SKIPPED: no sshd on this machine (package openssh-server)");
            return None;
        };
        let _ = fs::create_dir("/run/sshd"); // sshd as root wants it; there already, or not root: fine
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        for key in ["host_key", "user_key"] {
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]).status();
            assert!(made.unwrap().success());
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PidFile none\nMaxStartups 100\nPermitRootLogin yes\nSetEnv HOME={}\n",
            path("host_key"),
            path("user_key.pub"),
            dir.path().display(), // the user's own shell start-up files stay out of it
        );
        fs::write(path("sshd_config"), config).unwrap();
        let host_key = fs::read_to_string(path("host_key.pub")).unwrap();
        fs::write(path("known_hosts"), format!("runbook-test {host_key}")).unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let client = format!(
            "Host gpu-*\n  Port {port}\nHost gone-*\n  Port {closed}\nHost stranger\n  Port {port}\n  HostKeyAlias other\n\
             Host *\n  HostName 127.0.0.1\n  HostKeyAlias runbook-test\n  IdentityFile {}\n  IdentitiesOnly yes\n\
             \x20 UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n",
            path("user_key"),
            path("known_hosts"),
        );
        fs::write(path("ssh_config"), client).unwrap();
        let daemon = Command::new(program)
            .args(["-D", "-f", &path("sshd_config"), "-E", &path("sshd.log")])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let sshd = Self { dir, daemon };
        let patience = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < patience, "sshd does not listen: {}", sshd.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(sshd)
    }

    /// The client's configuration: hosts `gpu-*` are this server, `gone-*` refuse, `stranger` has an unknown key.
    pub(super) fn client_config(&self) -> PathBuf {
        self.dir.path().join("ssh_config")
    }

    pub(super) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    fn log(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = fs::File::open(self.dir.path().join("sshd.log")) {
            let _ = file.read_to_string(&mut text);
        }
        text
    }

    /// Connections that were accepted so far.
    pub(super) fn logins(&self) -> usize {
        self.log().matches("Accepted publickey").count()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
