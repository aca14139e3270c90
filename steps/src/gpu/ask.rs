//! Asking nvidia-smi on a node.

use std::time::Duration;

use engine::site::{Command, Exit, Output, Site, SiteErrorKind};
use engine::step::StepError;

use super::smi::{Cell, Refusal, Row, Table, invalid_field, refusal, table};
use crate::text::clean_to;

/// How a command on a node ended, as far as a diagnosis cares.
#[derive(Debug, Clone)]
pub(crate) enum Ran {
    /// It ran to its end.
    Ended(Output),
    /// It did not come back within its time.
    Hung,
    /// Somebody refused: the node's login, the command's file.
    Denied(String),
}

/// Runs a command on a node. Whatever is worth a retry is an error.
///
/// # Errors
/// The node could not be reached, or the connection was lost.
pub(crate) async fn run(site: &dyn Site, command: Command) -> Result<Ran, StepError> {
    match site.run(&command).await {
        Ok(output) => Ok(Ran::Ended(output)),
        Err(error) if error.kind == SiteErrorKind::Timeout => Ok(Ran::Hung),
        Err(error) if error.kind == SiteErrorKind::Denied => Ok(Ran::Denied(clean_to(&error.message, 160))),
        Err(error) => {
            let help = "Nothing was changed. See whether the node answers ssh, then try again.";
            Err(StepError::from(error).help(help))
        }
    }
}

/// What a query of nvidia-smi gave.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    fields: Vec<&'static str>,
    /// The rows and the lines that are none.
    pub(crate) table: Table,
    /// Why there are no rows, or not all.
    pub(crate) problem: Option<Problem>,
}

/// Why a query gave no rows, or not all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// nvidia-smi did not come back within its time.
    Hung,
    /// nvidia-smi or the node refused.
    Refused(Refusal),
}

impl Answer {
    /// A cell by its field's name; `None` if this driver does not know the field.
    pub(crate) fn cell<'a>(&self, row: &'a Row, field: &str) -> Option<&'a Cell> {
        row.get(self.fields.iter().position(|known| *known == field)?)
    }
}

/// Asks `nvidia-smi {switch}={fields} --format=csv,noheader,nounits` on a node. A field that this driver does
/// not know is left out and the rest asked again.
///
/// # Errors
/// As for [`run`].
pub(crate) async fn query(
    site: &dyn Site,
    node: &str,
    switch: &str,
    fields: &[&'static str],
    timeout: Duration,
) -> Result<Answer, StepError> {
    let mut fields = fields.to_vec();
    loop {
        let argv = [
            "nvidia-smi".to_owned(),
            format!("{switch}={}", fields.join(",")),
            "--format=csv,noheader,nounits".to_owned(),
        ];
        let output = match run(site, Command::argv(argv).on(node).timeout(timeout)).await? {
            Ran::Ended(output) => output,
            Ran::Hung => return Ok(Answer { fields, table: Table::default(), problem: Some(Problem::Hung) }),
            Ran::Denied(why) => {
                let problem = Some(Problem::Refused(Refusal::Denied(why)));
                return Ok(Answer { fields, table: Table::default(), problem });
            }
        };
        let (stdout, stderr) = (output.text(), output.err_text());
        if let Some(unknown) = invalid_field(&stdout).or_else(|| invalid_field(&stderr)) {
            let before = fields.len();
            fields.retain(|field| *field != unknown);
            if fields.len() < before && !fields.is_empty() {
                continue;
            }
        }
        let table = table(&stdout, fields.len());
        // Status 14 says that an infoROM is corrupted; the table is whole.
        let problem = match output.exit {
            Exit::Code(0 | 14) if !table.rows.is_empty() => None,
            // Nobody computes: an empty table.
            Exit::Code(0) if table.other.is_empty() && table.lost.is_empty() => None,
            exit => Some(Problem::Refused(refusal(exit, &stdout, &stderr))),
        };
        return Ok(Answer { fields, table, problem });
    }
}
