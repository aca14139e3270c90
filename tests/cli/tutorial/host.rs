//! The host of the tutorial: a real sshd on loopback, on which `df` and the others say what they said on a real one.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cli::bench::Bench;

pub(super) struct Host(Child);

/// What the programs of a host say whose logs fill a file system of their own.
const PROGRAMS: [(&str, &str); 5] = [
    (
        "df",
        "case \"$*\" in *ipcent*) echo '   3% /' ;; *target*) echo '100% /var/log' ;; *) echo '100%' ;; esac",
    ),
    ("stat", "echo /var/log"),
    ("du", "printf '1\\t/var/log/journal\\n'"),
    ("find", "for age in 9 8 7 6; do echo \"13421772$age /var/log/nginx/access.log.$age.gz\"; done"),
    ("lsof", ":"),
];

impl Host {
    /// Starts it as `web-1`; `None`, with the reason on stderr, where this machine has no OpenSSH server.
    #[expect(clippy::print_stderr, reason = "says what was not tested")]
    pub(super) fn start(bench: &Bench) -> Option<Self> {
        let program = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/lib/ssh/sshd"];
        let Some(program) = program.iter().find(|path| fs::exists(path).unwrap_or(false)) else {
            eprintln!("SKIPPED: no sshd on this machine (package openssh-server)");
            return None;
        };
        let _ = fs::create_dir("/run/sshd"); // sshd as root wants it; there already, or not root: fine
        let path = |name: &str| bench.path(&format!("web-1/{name}")).to_str().unwrap().to_owned();
        fs::create_dir(path("")).unwrap();
        for key in ["host_key", "user_key"] {
            let mut made = Command::new("ssh-keygen");
            assert!(
                made.args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]).status().unwrap().success()
            );
        }
        for (name, text) in PROGRAMS {
            bench.program(&format!("../web-1/bin/{name}"), &format!("#!/bin/sh\n{text}\n"));
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let search = std::env::var("PATH").unwrap_or_default();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PidFile none\nPermitRootLogin yes\nSetEnv HOME={} PATH={}:{search}\n",
            path("host_key"),
            path("user_key.pub"),
            path(""),
            path("bin"),
        );
        fs::write(path("sshd_config"), config).unwrap();
        let host_key = fs::read_to_string(path("host_key.pub")).unwrap();
        fs::write(path("known_hosts"), format!("web-1 {host_key}")).unwrap();
        let client = format!(
            "Host web-1\n  HostName 127.0.0.1\n  Port {port}\n  HostKeyAlias web-1\n  IdentityFile {}\n  IdentitiesOnly yes\n\
             \x20 UserKnownHostsFile {}\n",
            path("user_key"),
            path("known_hosts"),
        );
        fs::write(path("ssh_config"), client).unwrap();
        bench.program("ssh", &format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", path("ssh_config")));
        let daemon = Command::new(program)
            .args(["-D", "-f", &path("sshd_config"), "-E", &path("sshd.log")])
            .stdin(Stdio::null())
            .spawn();
        let host = Self(daemon.unwrap());
        let patience = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = fs::read_to_string(path("sshd.log")).unwrap_or_default();
            assert!(Instant::now() < patience, "sshd does not listen: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(host)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
