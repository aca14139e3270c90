//! Takes up a run to take its changes back, or only to look at that.

use std::collections::BTreeSet;

use crate::journal::{Journal, Record};
use crate::run::Entry;
use crate::step::Undone;

use super::walker::{WalkError, Walker, World};

/// What is to be taken back of a run.
#[derive(Debug, Clone, Default)]
pub struct Rollback {
    /// The oldest visit whose changes are taken back; all if not given.
    pub to: Option<u64>,
    /// Nodes whose changes stay as they are.
    pub leave: BTreeSet<String>,
}

impl<J: Journal> Walker<J> {
    /// Takes up a run to take its changes back, back to those of the visit `to`. What it did at the nodes of `leave` stays
    /// as it is.
    ///
    /// # Errors
    /// If the entries do not add up, or the plan needs a step that is not there.
    pub fn roll_back(
        journal: J,
        records: &[Record],
        operator: String,
        host: String,
        world: World,
        asked: &Rollback,
    ) -> Result<Self, WalkError> {
        let records = world.redactor.restored(records);
        let mut walker = Self::over(journal, world, &records)?;
        (walker.operator, walker.host) = (operator.clone(), host.clone());
        walker.append(Entry::RollbackBegan { operator: operator.clone(), host, to: asked.to })?;
        for change in walker.state.changes() {
            if !change.settled() && asked.leave.contains(&change.node) {
                let result = Ok(Undone::Left(operator.clone()));
                walker.append(Entry::Undone { visit: change.visit, item: change.item, result })?;
            }
        }
        Ok(walker)
    }

    /// Takes up a run to look at it: nothing is written.
    ///
    /// # Errors
    /// If the entries do not add up, or the plan needs a step that is not there.
    pub fn look(journal: J, records: &[Record], world: World) -> Result<Self, WalkError> {
        let records = world.redactor.restored(records);
        Self::over(journal, world, &records)
    }
}
