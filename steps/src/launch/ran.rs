//! The script that a job ran, as Slurm kept it.

use engine::site::{Command, Exit};
use engine::step::{StepCx, StepError, StepErrorKind};

use crate::text::clean;

/// The bytes of the script that `job` was submitted with, or `None` where Slurm no longer has it or does not show it:
/// the job left Slurm's memory, is another user's, or has no script.
///
/// # Errors
/// Where Slurm gives no answer or one that is not understood.
pub(super) async fn ran_script(cx: &StepCx, job: &str) -> Result<Option<Vec<u8>>, StepError> {
    // The tasks of an array and the parts of a heterogeneous job share one script.
    let id = job.split(['_', '+']).next().unwrap_or_default();
    if id.is_empty() || id.len() > 10 || !id.bytes().all(|b| b.is_ascii_digit()) {
        let message = format!("{} is not the id of a Slurm job", clean(job));
        return Err(StepError::new(StepErrorKind::Params, message));
    }
    let mut command = Command::argv(["scontrol", "write", "batch_script", id, "-"]);
    command.env.insert("LC_ALL".to_owned(), "C".to_owned());
    // What a surrounding job left in the environment must not lead the client elsewhere; SLURM_CONF stays.
    command.env_remove = ["SBATCH_*", "SLURM_JOB*", "SLURM_STEP*"].map(str::to_owned).to_vec();
    let output = cx.site.run(&command).await?;
    if output.truncated {
        return Err(StepError::malformed(format!("the script of job {id} is longer than any script")));
    }
    if output.success() {
        return Ok(Some(output.stdout));
    }
    // src/scontrol/info_job.c, Slurm 24.05: "job script retrieval failed: …" with one of these.
    let error = output.err_text();
    let gone = ["Invalid job id", "Invalid user id", "Job script not specified", "Access/permission denied"];
    if gone.iter().any(|reason| error.contains(reason)) {
        return Ok(None);
    }
    let how = match output.exit {
        Exit::Code(code) => format!("status {code}"),
        Exit::Signal(signal) => format!("signal {signal}"),
    };
    let said = clean(error.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing"));
    Err(StepError::failed(format!("scontrol write batch_script {id} ended with {how}: {said}"))
        .help("Check that Slurm answers, with `scontrol ping`."))
}
