//! A real PostgreSQL of this test binary's own: on a socket in a temporary directory, gone with the binary.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Runs as the account that may run a server, ends it when its standard input ends (with the test binary, however that
/// ends), and cleans up.
const KEEPER: &str = r#"
    set -eu
    bin=$1 dir=$2 fsync=$3 port=$4
    "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --no-sync >"$dir/initdb.log" 2>&1
    printf 'local all secretive scram-sha-256\nlocal all all trust\n' >"$dir/data/pg_hba.conf"
    printf "host all all 127.0.0.1/32 trust\n" >>"$dir/data/pg_hba.conf"
    listen=
    if [ "$port" != 5432 ]; then
        listen=127.0.0.1
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
            -addext basicConstraints=critical,CA:FALSE -keyout "$dir/data/server.key" -out "$dir/server.crt" 2>/dev/null
        chmod 600 "$dir/data/server.key"
        printf "ssl = on\nssl_cert_file = '%s/server.crt'\n" "$dir" >>"$dir/data/postgresql.conf"
    fi
    serve() {
        "$bin/postgres" -D "$dir/data" -k "$dir" -p "$port" -c listen_addresses="$listen" -c fsync="$fsync" -c max_connections=250 \
            >>"$dir/server.log" 2>&1 </dev/null &
        server=$!
    }
    serve
    trap 'kill -INT $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -rf "$dir"' EXIT
    while read -r word; do
        case $word in
            crash) kill -QUIT $server; wait $server || true; rm -f "$dir"/.s.PGSQL.*; echo done ;;
            start) serve; echo done ;;
        esac
    done
"#;

/// A server.
pub(crate) struct Server {
    dir: PathBuf,
    bin: PathBuf,
    port: u16,
    keeper: std::sync::Mutex<Child>,
}

static DATABASES: AtomicUsize = AtomicUsize::new(0);

impl Server {
    /// The one that all tests share; `None` where PostgreSQL is not installed, which is noted as not run.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SERVER: OnceLock<Option<Server>> = OnceLock::new();
        SERVER
            .get_or_init(|| {
                let bin = installed();
                if bin.is_none() {
                    not_run("the tests of the state in PostgreSQL: it is not installed");
                }
                bin.map(|bin| Self::start(bin, "off", 5432))
            })
            .as_ref()
    }

    /// One of its own, that loses nothing that it acknowledged, to be crashed.
    pub(crate) fn own() -> Option<Self> {
        installed().map(|bin| Self::start(bin, "on", 5432))
    }

    /// One of its own that can be reached over the network, encrypted or not.
    pub(crate) fn on_the_network() -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        installed().map(|bin| Self::start(bin, "off", port))
    }

    fn start(bin: PathBuf, fsync: &str, port: u16) -> Self {
        let dir = tempfile::Builder::new().prefix("rb-pg").tempdir_in("/tmp").unwrap().keep();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        // PostgreSQL does not run as root.
        let mut command = if rustix::process::getuid().is_root() {
            assert!(Command::new("chown").arg("postgres").arg(&dir).status().unwrap().success());
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", "sh", "-c", KEEPER, "keeper"]);
            command
        } else {
            let mut command = Command::new("sh");
            command.args(["-c", KEEPER, "keeper"]);
            command
        };
        let keeper = command
            .arg(&bin)
            .arg(&dir)
            .arg(fsync)
            .arg(port.to_string())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let server = Self { dir, bin, port, keeper: std::sync::Mutex::new(keeper) };
        server.wait_until_up();
        let postgres = server.postgres();
        postgres.sql("CREATE ROLE operators");
        for role in ["ada", "ben", "secretive"] {
            postgres.sql(&format!("CREATE ROLE {role} LOGIN PASSWORD 'hunter2' IN ROLE operators"));
        }
        server
    }

    fn postgres(&self) -> Base<'_> {
        Base { server: self, name: "postgres".to_owned() }
    }

    fn wait_until_up(&self) {
        for _ in 0..600 {
            let up = Command::new(self.bin.join("pg_isready"))
                .args(["-q", "-p", &self.port.to_string(), "-h"])
                .arg(&self.dir)
                .status()
                .unwrap();
            if up.success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = std::fs::read_to_string(self.dir.join("server.log")).unwrap_or_default();
        panic!("the server did not come up: {log}");
    }

    /// A fresh database with tables, which the roles `ada`, `ben` and `secretive` may use as operators.
    pub(crate) fn database(&self) -> Base<'_> {
        let base = self.bare();
        state_postgres::prepare(&base.address("postgres"), Some("operators"))
            .map_or_else(|error| panic!("{error}"), |prepared| assert_eq!(prepared.before, 0));
        base
    }

    /// A fresh database without tables.
    pub(crate) fn bare(&self) -> Base<'_> {
        let name = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let base = Base { server: self, name };
        self.postgres().sql(&format!("CREATE DATABASE {}", base.name));
        base
    }

    /// The certificate by which it is known as `localhost`.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.dir.join("server.crt")
    }

    fn tell(&self, word: &str) {
        let mut keeper = self.keeper.lock().unwrap();
        writeln!(keeper.stdin.as_mut().unwrap(), "{word}").unwrap();
        let mut answer = [0; 5];
        std::io::Read::read_exact(keeper.stdout.as_mut().unwrap(), &mut answer).unwrap();
    }

    /// Ends the server at once, as a crash would.
    pub(crate) fn crash(&self) {
        self.tell("crash");
    }

    /// Starts it again.
    pub(crate) fn restart(&self) {
        self.tell("start");
        self.wait_until_up();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut keeper = self.keeper.lock().unwrap();
        drop(keeper.stdin.take());
        let _ = keeper.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A database.
pub(crate) struct Base<'s> {
    server: &'s Server,
    name: String,
}

impl Base<'_> {
    /// How a role reaches it.
    pub(crate) fn address(&self, role: &str) -> String {
        let (dir, port) = (self.server.dir.display(), self.server.port);
        format!("postgres://{role}@/{}?host={dir}&port={port}", self.name)
    }

    /// How a role reaches it over the network.
    pub(crate) fn network_address(&self, role: &str, host: &str) -> String {
        format!("postgres://{role}@{host}:{}/{}", self.server.port, self.name)
    }

    /// Asks something as its owner, and gives the answer as `psql` shows it.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub(crate) fn try_sql(&self, sql: &str) -> Result<String, String> {
        self.as_role("postgres", sql)
    }

    /// Asks something as a role.
    pub(crate) fn as_role(&self, role: &str, sql: &str) -> Result<String, String> {
        let mut child = Command::new(self.server.bin.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", role, "-d", &self.name, "-h"])
            .arg(&self.server.dir)
            .args(["-p", &self.server.port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }
}

/// Where the server's programs are: Debian keeps them out of the way, by version.
fn installed() -> Option<PathBuf> {
    let by_version = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = by_version.map(|entry| entry.path().join("bin")).collect();
    found.sort();
    found.push(PathBuf::from("/usr/bin"));
    found.into_iter().find(|bin: &PathBuf| Path::new(bin).join("initdb").exists())
}

fn not_run(what: &str) {
    if let Some(list) = std::env::var_os("RUNBOOK_NOT_RUN") {
        let mut list = std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
        writeln!(list, "{what}").unwrap();
    }
}
