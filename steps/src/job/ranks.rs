//! What the processes of a job's ranks on one node answer.

use engine::site::{Command, SiteErrorKind};
use engine::step::{StepCx, StepError};

use crate::slurm::{list_pids, read_pids};

/// Most processes that are looked at.
const MOST: usize = 16;

/// Asks each process of the job's steps on a node, by the command that `question` makes of its pid; what did not answer is
/// left out.
///
/// # Errors
/// A recording without one of these exchanges.
pub(super) async fn answers(
    cx: &StepCx,
    number: u64,
    node: &str,
    question: impl Fn(u32) -> Command,
) -> Result<Vec<Vec<u8>>, StepError> {
    let Some(list) = ask(cx, list_pids(number, node)).await? else { return Ok(Vec::new()) };
    let mut answers = Vec::new();
    let processes = read_pids(&String::from_utf8_lossy(&list));
    for process in processes.iter().filter(|process| process.of_step).take(MOST) {
        answers.extend(ask(cx, question(process.pid).on(node)).await?);
    }
    Ok(answers)
}

async fn ask(cx: &StepCx, command: Command) -> Result<Option<Vec<u8>>, StepError> {
    match cx.site.run(&command).await {
        Ok(output) if output.success() => Ok(Some(output.stdout)),
        Ok(_) => Ok(None),
        Err(error) if error.kind == SiteErrorKind::NotRecorded => Err(error.into()),
        Err(_) => Ok(None),
    }
}
