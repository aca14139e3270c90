//! The one line that a host's login shell is given for a command.
//!
//! It must mean the same to sh, bash, zsh, fish and tcsh, must bound the command's time on the host itself (the
//! connection may be gone by then), and must tell "never started" from "ended" (see [`marks`](super::marks)).

use std::time::Duration;

use engine::site::{Command, Program, SiteError, SiteErrorKind, quote};

/// Seconds between the polite and the final signal to a command that ran out of time.
pub(super) const KILL_AFTER_SECONDS: u64 = 2;

/// sshd hands the whole line to the login shell as one argument; Linux allows 128 KiB for one (`MAX_ARG_STRLEN`).
const LONGEST_LINE: usize = 120 << 10;

/// Runs on the host, given the nonce and the encoded command, as the child of timeout(1).
///
/// timeout leads the process group (sshd gave the login shell a session of its own, and everything up to here is
/// `exec`): when time is up it sends TERM to the group. This script survives that, and once the command is down it
/// ends whatever else of the group is left; if the command ignores TERM, timeout's own KILL ends them all.
///
/// Free of `'`, `!`, `\` and newlines, because no two shells agree on those.
const SUPERVISOR: &str = "n=$1; c=$(printf %bx \"$2\"); c=${c%x}; t=; trap t=1 TERM; \
    printf %sS000. $n; printf %sS000. $n >&2; \
    ( eval \"$c\" ); s=$?; \
    if test $t; then printf %sT000. $n >&2; kill -KILL 0; fi; \
    printf %sE%03d. $n $s; printf %sE%03d. $n $s >&2";

/// The line for the login shell of the command's host.
pub(super) fn line(command: &Command, nonce: &str) -> Result<String, SiteError> {
    let seconds = seconds(command.timeout);
    let encoded = encode(&inner(command, nonce)?);
    let line = format!(
        "exec timeout -k {KILL_AFTER_SECONDS} {seconds} sh -c '{SUPERVISOR}' runbook {nonce} '{encoded}'"
    );
    if line.len() > LONGEST_LINE {
        let message = format!(
            "the command is too long for ssh ({} bytes, at most {LONGEST_LINE}); pass data on its standard input",
            line.len()
        );
        return Err(SiteError::new(SiteErrorKind::NotStarted, message));
    }
    Ok(line)
}

/// Whole seconds, rounded up: not every timeout(1) takes fractions.
fn seconds(limit: Duration) -> u64 {
    limit.as_secs() + u64::from(limit.subsec_nanos() > 0)
}

/// What the supervisor evaluates: directory, variables, then the command in place of the shell.
fn inner(command: &Command, nonce: &str) -> Result<String, SiteError> {
    let mut text = String::new();
    if let Some(dir) = &command.cwd {
        let dir = if dir.starts_with('-') { format!("./{dir}") } else { dir.clone() };
        text += &format!("CDPATH= cd {} >/dev/null || {{ printf {nonce}N001. >&2; exit; }}; ", quote(&dir));
    }
    for pattern in &command.env_remove {
        text += &unset(pattern)?;
    }
    for (name, value) in &command.env {
        text += &format!("export {}={}; ", variable(name)?, quote(value));
    }
    match &command.program {
        Program::Argv(argv) => {
            let program = argv.first().map_or("", String::as_str);
            if program.is_empty() || program.starts_with('-') {
                let message = format!("\"{program}\" is no program");
                return Err(SiteError::new(SiteErrorKind::NotStarted, message));
            }
            let program = quote(program);
            text += &format!("command -v {program} >/dev/null || {{ printf {nonce}N002. >&2; exit; }}; exec");
            for word in argv {
                text += " ";
                text += &quote(word);
            }
        }
        Program::Script(script) => text += &format!("exec sh -c {}", quote(script)),
    }
    if text.contains('\0') {
        return Err(SiteError::new(SiteErrorKind::NotStarted, "the command holds a NUL byte"));
    }
    Ok(text)
}

fn unset(pattern: &str) -> Result<String, SiteError> {
    Ok(match pattern.strip_suffix('*') {
        None => format!("unset {}; ", variable(pattern)?),
        // A line inside another variable's value can look like a variable; unsetting that does no harm.
        Some(prefix) => format!(
            "for v in $(env | sed -n 's/^\\({}[A-Za-z0-9_]*\\)=.*/\\1/p'); do unset \"$v\"; done; ",
            variable(prefix)?
        ),
    })
}

fn variable(name: &str) -> Result<&str, SiteError> {
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let refused =
        || SiteError::new(SiteErrorKind::NotStarted, format!("\"{name}\" is no name of a variable"));
    if valid { Ok(name) } else { Err(refused()) }
}

/// For `printf %b` inside single quotes: bytes that some login shell would take for its own become `\0ooo`.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + text.len() / 4);
    for byte in text.bytes() {
        match byte {
            b'\'' | b'!' | b'\\' => encoded += &format!("\\0{byte:03o}"),
            b' '..=b'~' => encoded.push(char::from(byte)),
            _ => encoded += &format!("\\0{byte:03o}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(shell: &str, command: &Command) -> std::process::Output {
        let line = line(command, "nonce").unwrap();
        std::process::Command::new(shell).args(["-c", &line]).output().unwrap()
    }

    fn unmarked(output: &std::process::Output) -> Vec<u8> {
        let (started, ended) = (b"nonceS000.".len(), b"nonceE000.".len());
        assert!(output.stdout.starts_with(b"nonceS000."));
        output.stdout[started..output.stdout.len() - ended].to_vec()
    }

    #[test]
    fn the_supervisor_has_nothing_that_shells_disagree_on() {
        assert!(!SUPERVISOR.contains(['\'', '!', '\\', '\n']));
    }

    #[test]
    fn directory_variables_and_status_arrive() {
        let mut command = Command::script("pwd; echo \"$A-$B-${SBATCH_X-gone}\"; exit 7").cwd("/usr");
        command.env.insert("A".into(), "it's".into());
        command.env.insert("SBATCH_X".into(), "1".into());
        command.env_remove = vec!["B".into()];
        let output = run("sh", &command);
        assert_eq!(unmarked(&output), b"/usr\nit's--1\n");
        assert_eq!(output.stderr, b"nonceS000.nonceE007.");
    }

    #[test]
    fn variables_go_by_prefix() {
        let mut command = Command::script("env | grep -c SBATCH_; true");
        command.env_remove = vec!["SBATCH_*".into()];
        let line = line(&command, "nonce").unwrap();
        let mut child = std::process::Command::new("sh");
        let output = child.args(["-c", &line]).env("SBATCH_A", "1").env("SBATCH_B", "x\ny").output().unwrap();
        assert_eq!(unmarked(&output), b"0\n");
    }

    #[test]
    fn what_cannot_start_says_so() {
        let nowhere = run("sh", &Command::argv(["true"]).cwd("/no/such/dir"));
        assert!(nowhere.stderr.windows(10).any(|w| w == b"nonceN001."));
        let nothing = run("sh", &Command::argv(["no-such-program"]));
        assert!(nothing.stderr.windows(10).any(|w| w == b"nonceN002."));
    }

    #[test]
    fn impossible_commands_are_refused() {
        let kind = |command: Command| line(&command, "n").unwrap_err().kind;
        assert_eq!(kind(Command::argv(["-x"])), SiteErrorKind::NotStarted);
        assert_eq!(kind(Command::argv(Vec::<String>::new())), SiteErrorKind::NotStarted);
        assert_eq!(kind(Command::argv(["a", "b\0c"])), SiteErrorKind::NotStarted);
        assert_eq!(kind(Command::script("x".repeat(200_000))), SiteErrorKind::NotStarted);
        let mut odd = Command::argv(["true"]);
        odd.env.insert("A;id".into(), String::new());
        assert_eq!(kind(odd), SiteErrorKind::NotStarted);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn words_arrive_as_they_are(words in prop::collection::vec("[^\0]{0,12}", 1..5), shell in prop::sample::select(vec!["sh", "bash"])) {
            let mut argv = vec!["printf".to_owned(), "%s\\n".to_owned()];
            argv.extend(words.iter().cloned());
            let output = run(shell, &Command::argv(argv));
            let expected: String = words.iter().map(|word| format!("{word}\n")).collect();
            prop_assert_eq!(String::from_utf8(unmarked(&output)).unwrap(), expected);
        }
    }
}
