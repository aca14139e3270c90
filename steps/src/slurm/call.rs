//! How Slurm's programs are called: argument lists only, a clean environment, a time limit, patience with rate limits.

use std::time::Duration;

use engine::site::{Command, Exit, Output, SiteError, SiteErrorKind};
use engine::step::{StepCx, StepError, StepErrorKind};

use crate::text::clean;

/// How long a program may take to answer. A program that does not find its configuration tries for 60 s.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Waits after "Rate limit exceeded", longer each time (slurm.conf `SlurmctldParameters=rl_enable`, since 23.02).
const RATE_LIMIT_WAITS: [u64; 5] = [1, 2, 5, 10, 10];

/// Variables that change what Slurm's programs do or print (manual pages of `sbatch`, `squeue`, `scancel`, `sacct`,
/// `scontrol`; "INPUT ENVIRONMENT VARIABLES") or that a job hands to what is started in it. `SLURM_CONF`,
/// `SLURM_CONF_SERVER` and `SLURM_JWT` say how to reach the cluster and stay; `SLURM_TIME_FORMAT` is set where it matters.
const SCRUBBED: &[&str] = &[
    "SALLOC_*",
    "SACCT_*",
    "SBATCH_*",
    "SCANCEL_*",
    "SCONTROL_*",
    "SINFO_*",
    "SQUEUE_*",
    "SRUN_*",
    "SLURMD_*",
    "SLURM_A*",
    "SLURM_B*",
    "SLURM_CH*",
    "SLURM_CL*",
    "SLURM_COM*",
    "SLURM_CONS*",
    "SLURM_CONT*",
    "SLURM_COR*",
    "SLURM_CP*",
    "SLURM_D*",
    "SLURM_E*",
    "SLURM_F*",
    "SLURM_G*",
    "SLURM_H*",
    "SLURM_I*",
    "SLURM_JOB*",
    "SLURM_K*",
    "SLURM_L*",
    "SLURM_M*",
    "SLURM_N*",
    "SLURM_O*",
    "SLURM_P*",
    "SLURM_Q*",
    "SLURM_R*",
    "SLURM_S*",
    "SLURM_TASK*",
    "SLURM_THREAD*",
    "SLURM_TIMELIMIT",
    "SLURM_TOPOLOGY*",
    "SLURM_TRES*",
    "SLURM_U*",
    "SLURM_W*",
];

/// A Slurm command that acts: its environment is the person's, without Slurm's own variables.
pub(crate) fn command<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::argv(argv).timeout(TIMEOUT).changing();
    command.env_remove = SCRUBBED.iter().map(|&name| name.to_owned()).collect();
    command
}

/// A Slurm command that only asks: times come as seconds since 1970 (or in UTC, see [`super::value::time`]).
pub(crate) fn question<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Command {
    let mut command = command(argv);
    command.changes = false;
    command.env.insert("SLURM_TIME_FORMAT".to_owned(), "%s".to_owned());
    command.env.insert("TZ".to_owned(), "UTC".to_owned());
    command
}

/// Why Slurm gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It knows no such job (or node).
    NoSuch,
    /// A daemon could not be reached, or did not answer in time.
    Unreachable(String),
    /// The person may not do that.
    Denied(String),
    /// Records are not kept here (`AccountingStorageType=accounting_storage/none`).
    NoRecords,
    /// Anything else that it said.
    Other(String),
}

impl Refusal {
    /// Reads what a program said on standard error.
    pub(crate) fn read(text: &str) -> Self {
        let has = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
        if has(&["Invalid job id", "Job/step not found", "Invalid node name"]) {
            Self::NoSuch
        } else if has(&[
            "storage is disabled",
            "accounting storage is disabled",
            "not running a supported accounting_storage plugin",
        ]) {
            Self::NoRecords
        } else if has(&["ermission denied", "Invalid user id", "not authorized"]) {
            Self::Denied(clean(text))
        } else if has(&[
            "Unable to contact slurm controller",
            "Unable to connect to database",
            "Unable to establish configuration source",
            "Could not establish a configuration source",
            "Connection refused",
            "Connection timed out",
            "onnection reset",
            "No route to host",
            "Unable to resolve",
            "Socket timed out",
            "Communication connection failure",
            "Zero Bytes were transmitted",
            "in standby mode",
            "onnect failure",
            "sending persistent connection",
            "DBD connection",
        ]) || is_limited(text)
        {
            Self::Unreachable(clean(text))
        } else {
            Self::Other(clean(text))
        }
    }

    /// Whether nobody answered, so that asking later may help.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// The refusal as a break of a step that was about to do `what`.
    pub(crate) fn error(self, what: &str) -> StepError {
        match self {
            Self::NoSuch => StepError::failed(format!("Slurm knows nothing of it ({what})")),
            Self::Unreachable(text) => no_answer(format!("Slurm did not answer ({what}): {text}")),
            Self::Denied(text) => {
                StepError::new(StepErrorKind::Denied, format!("Slurm refused ({what}): {text}"))
                    .help("It takes the job's owner, or an operator of this cluster.")
            }
            Self::NoRecords => StepError::failed(format!("this cluster keeps no job records ({what})")),
            Self::Other(text) => StepError::failed(format!("Slurm answered ({what}): {text}")),
        }
    }
}

/// The break of a step to which Slurm did not answer.
pub(crate) fn no_answer(message: String) -> StepError {
    StepError::new(StepErrorKind::Unreachable, message)
        .help("See whether `scontrol ping` answers, then resume.")
}

/// Whether slurmctld or slurmdbd turned a request away for being busy, before it looked at it: "Rate limit exceeded, please
/// retry momentarily" (slurmctld since 23.02), "Too many requests" (a front of slurmrestd), "Resource temporarily
/// unavailable" and "RPC limit" (slurmdbd and slurmctld under load).
fn is_limited(text: &str) -> bool {
    ["Rate limit exceeded", "oo many requests", "RPC limit", "Resource temporarily unavailable"]
        .iter()
        .any(|words| text.contains(words))
}

/// Runs a command to its end; if it was turned away for being one of too many it waits and asks again.
///
/// # Errors
/// The site's own error, or that the person stopped the wait.
pub(crate) async fn run(cx: &StepCx, command: &Command) -> Result<Output, SiteError> {
    for wait in RATE_LIMIT_WAITS {
        let output = cx.site.run(command).await?;
        let limited = !output.success() && is_limited(&output.err_text());
        if !limited || cx.cancel.is_cancelled() {
            return Ok(output);
        }
        cx.site.sleep(Duration::from_secs(wait)).await;
    }
    cx.site.run(command).await
}

/// Asks, and tells an answer from a refusal. A question has no effect, so one that got lost is no doubt, only no answer.
///
/// # Errors
/// The program is not there, or the recording holds no such exchange.
pub(crate) async fn ask<S: Into<String>>(
    cx: &StepCx,
    argv: impl IntoIterator<Item = S>,
) -> Result<Result<Vec<u8>, Refusal>, StepError> {
    let command = question(argv);
    match run(cx, &command).await {
        Ok(output) if output.truncated => Err(StepError::malformed(format!(
            "the answer to `{command}` is longer than {} bytes",
            command.output_limit
        ))),
        Ok(output) if output.success() => Ok(match refusal(&output) {
            // `scontrol write batch_script` says that it failed and returns 0 (seen with 22.05).
            refused @ (Refusal::NoSuch | Refusal::Denied(_) | Refusal::Unreachable(_))
                if output.stdout.is_empty() =>
            {
                Err(refused)
            }
            _ => Ok(output.stdout),
        }),
        Ok(output) => Ok(Err(refusal(&output))),
        Err(error) => match error.kind {
            SiteErrorKind::Timeout | SiteErrorKind::Unknown | SiteErrorKind::Unreachable => {
                Ok(Err(Refusal::Unreachable(clean(&error.message))))
            }
            SiteErrorKind::NotStarted | SiteErrorKind::NotFound => {
                Err(StepError::failed(format!("could not run `{command}`: {}", error.message))
                    .help("Run this where Slurm's commands are installed, with them in PATH."))
            }
            _ => Err(error.into()),
        },
    }
}

/// What a program that failed said.
pub(crate) fn refusal(output: &Output) -> Refusal {
    let text = if output.stderr.trim_ascii().is_empty() { output.text() } else { output.err_text() };
    if text.trim().is_empty() {
        return Refusal::Other(match output.exit {
            Exit::Code(code) => format!("nothing, with exit status {code}"),
            Exit::Signal(signal) => format!("nothing, and was ended by signal {signal}"),
        });
    }
    Refusal::read(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::FakeSite;

    #[test]
    fn refusals_are_told_apart() {
        let read = Refusal::read;
        assert_eq!(read("slurm_load_jobs error: Invalid job id specified\n"), Refusal::NoSuch);
        assert!(matches!(read("slurm_update error: Invalid user id\n"), Refusal::Denied(_)));
        assert!(matches!(
            read("scancel: error: Kill job error on job id 8: Access/permission denied"),
            Refusal::Denied(_)
        ));
        assert!(matches!(
            read("slurm_load_jobs error: Unable to contact slurm controller (connect failure)"),
            Refusal::Unreachable(_)
        ));
        assert!(matches!(
            read("sacct: error: Problem talking to the database: Connection refused"),
            Refusal::Unreachable(_)
        ));
        assert!(matches!(read("sbatch: error: invalid partition specified: nope"), Refusal::Other(_)));
        assert_eq!(read("Slurm accounting storage is disabled"), Refusal::NoRecords);
    }

    #[test]
    fn the_way_to_the_cluster_is_not_scrubbed() {
        let gone = |name: &str| {
            SCRUBBED
                .iter()
                .any(|rule| rule.strip_suffix('*').map_or(*rule == name, |start| name.starts_with(start)))
        };
        for kept in ["SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "SLURM_TIME_FORMAT", "PATH"] {
            assert!(!gone(kept), "{kept}");
        }
        for name in [
            "SLURM_JOB_ID",
            "SLURM_JOBID",
            "SLURM_CLUSTERS",
            "SLURM_CPUS_PER_TASK",
            "SLURM_EXIT_ERROR",
            "SBATCH_ACCOUNT",
            "SQUEUE_FORMAT",
            "SCANCEL_INTERACTIVE",
            "SLURM_TASKS_PER_NODE",
            "SLURM_NNODES",
            "SLURM_CONSTRAINT",
        ] {
            assert!(gone(name), "{name}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn rate_limits_are_waited_out() {
        let site = FakeSite::shared();
        site.fail("squeue", 1, "slurm_load_jobs error: Rate limit exceeded, please retry momentarily");
        site.fail("squeue", 1, "slurm_load_jobs error: Too many requests");
        site.answer("squeue", "RUNNING|gpu-20\n");
        let answer = ask(&site.cx(), ["squeue", "-h"]).await.unwrap().unwrap();
        assert_eq!(answer, b"RUNNING|gpu-20\n");
        assert_eq!(site.slept(), Duration::from_secs(3));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_daemon_that_is_away_is_no_error_of_the_step() {
        let site = FakeSite::shared();
        site.error("scontrol", SiteErrorKind::Timeout);
        assert!(matches!(ask(&site.cx(), ["scontrol", "ping"]).await.unwrap(), Err(Refusal::Unreachable(_))));
        let site = FakeSite::shared();
        site.error("scontrol", SiteErrorKind::NotStarted);
        assert_eq!(ask(&site.cx(), ["scontrol", "ping"]).await.unwrap_err().kind, StepErrorKind::Failed);
    }
}
