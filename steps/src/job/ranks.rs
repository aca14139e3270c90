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
    let mut answers = Vec::new();
    for pid in processes(cx, number, node).await? {
        answers.extend(ask(cx, question(pid).on(node)).await?);
    }
    Ok(answers)
}

/// The processes of the job's steps on a node, launchers included; none where they cannot be listed.
///
/// # Errors
/// A recording without this exchange.
pub(super) async fn processes(cx: &StepCx, number: u64, node: &str) -> Result<Vec<u32>, StepError> {
    let Some(list) = ask(cx, list_pids(number, node)).await? else { return Ok(Vec::new()) };
    let all = read_pids(&String::from_utf8_lossy(&list));
    Ok(all.iter().filter(|process| process.of_step).map(|process| process.pid).take(MOST).collect())
}

async fn ask(cx: &StepCx, command: Command) -> Result<Option<Vec<u8>>, StepError> {
    match cx.site.run(&command).await {
        Ok(output) if output.success() => Ok(Some(output.stdout)),
        Ok(_) => Ok(None),
        Err(error) if error.kind == SiteErrorKind::NotRecorded => Err(error.into()),
        Err(_) => Ok(None),
    }
}
