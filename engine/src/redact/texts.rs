//! Every text of an entry, an event or a question that may hold what a step was given or found. Names that the runbook or
//! the program gave (nodes, outcomes, step kinds, digests) are none: no secret may stand in a runbook.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::dry_run::{Branch, DryRun, How, Shown};
use crate::event::Event;
use crate::run::{Act, Change, Entry, Gate, GateItem, Started};
use crate::step::{Choice, FileDiff, Price, Progress, Question, StepError, Undone};
use crate::walk::{Ending, Undoable};

/// What is done with each text.
pub(crate) type Visit<'v> = &'v mut dyn FnMut(&mut String);

/// Something with texts in it.
pub(crate) trait Texts {
    /// Visits all of them.
    fn texts(&mut self, visit: Visit<'_>);
}

impl Texts for String {
    fn texts(&mut self, visit: Visit<'_>) {
        visit(self);
    }
}

impl<T: Texts> Texts for Option<T> {
    fn texts(&mut self, visit: Visit<'_>) {
        if let Some(thing) = self {
            thing.texts(visit);
        }
    }
}

impl<T: Texts> Texts for Vec<T> {
    fn texts(&mut self, visit: Visit<'_>) {
        for thing in self {
            thing.texts(visit);
        }
    }
}

impl<T: Texts> Texts for Box<T> {
    fn texts(&mut self, visit: Visit<'_>) {
        (**self).texts(visit);
    }
}

impl<T: Texts, E: Texts> Texts for Result<T, E> {
    fn texts(&mut self, visit: Visit<'_>) {
        match self {
            Ok(thing) => thing.texts(visit),
            Err(error) => error.texts(visit),
        }
    }
}

impl<T: Texts> Texts for BTreeMap<String, T> {
    fn texts(&mut self, visit: Visit<'_>) {
        for thing in self.values_mut() {
            thing.texts(visit);
        }
    }
}

impl Texts for Value {
    fn texts(&mut self, visit: Visit<'_>) {
        match self {
            Self::Null | Self::Bool(_) => {}
            Self::Number(number) => {
                let written = number.to_string();
                let mut text = written.clone();
                visit(&mut text);
                if text != written {
                    *self = Self::String(text);
                }
            }
            Self::String(text) => visit(text),
            Self::Array(list) => list.texts(visit),
            Self::Object(map) => {
                for (mut name, mut value) in std::mem::replace(map, Map::with_capacity(map.len())) {
                    visit(&mut name);
                    value.texts(visit);
                    map.insert(name, value);
                }
            }
        }
    }
}

impl Texts for Entry {
    fn texts(&mut self, visit: Visit<'_>) {
        match self {
            Self::Started(started) => started.texts(visit),
            Self::GateOpened { visit: _, node: _, gate } => gate.texts(visit),
            Self::GateAnswered { visit: _, approved: _, by, via, reason, digest: _, refused } => {
                by.texts(visit);
                via.texts(visit);
                reason.texts(visit);
                refused.texts(visit);
            }
            Self::Intended { visit: _, node: _, item: _, act } => act.texts(visit),
            Self::Confirmed { visit: _, item: _, verdict: _, by } => by.texts(visit),
            Self::ItemDone { visit: _, item: _, result, changed: _ } => match result {
                Ok((_, output)) => output.texts(visit),
                Err(error) => error.texts(visit),
            },
            Self::Asked { visit: _, node: _, question, output } => {
                question.texts(visit);
                output.texts(visit);
            }
            Self::Finished {
                visit: _,
                node: _,
                outcome: _,
                output,
                summary,
                set,
                standing: _,
                changed: _,
                by,
            } => {
                output.texts(visit);
                summary.texts(visit);
                set.texts(visit);
                by.texts(visit);
            }
            Self::Entered { visit: _, node: _, inputs, vars } => {
                inputs.texts(visit);
                vars.texts(visit);
            }
            Self::Failed { visit: _, node: _, error } => error.texts(visit),
            Self::Declined { visit: _, node: _ } => {}
            Self::RollbackBegan { operator, host, to: _ } => {
                operator.texts(visit);
                host.texts(visit);
            }
            Self::UndoIntended { visit: _, act } => {
                if let Some(act) = act {
                    act.texts(visit);
                }
            }
            Self::UndoBegan { visit: _, node: _, of: _, item: _ } | Self::RolledBack { to: _ } => {}
            Self::TookOver { target, fence: _, from: _, by } => {
                target.texts(visit);
                by.texts(visit);
            }
            Self::Undone { visit: _, item: _, result } => result.texts(visit),
            Self::Stopped { why } => why.texts(visit),
            Self::Resumed { operator, host } => {
                operator.texts(visit);
                host.texts(visit);
            }
            Self::Ended { end: _, node: _, message } => message.texts(visit),
        }
    }
}

impl Texts for Started {
    fn texts(&mut self, visit: Visit<'_>) {
        let Self { run: _, program: _, plan: _, inputs, secrets: _, operator, host, mode: _, target, place } =
            self;
        inputs.texts(visit);
        operator.texts(visit);
        host.texts(visit);
        target.texts(visit);
        place.texts(visit);
    }
}

impl Texts for Gate {
    fn texts(&mut self, visit: Visit<'_>) {
        let Self {
            prompt,
            kind: _,
            changes: _,
            items,
            bound: _,
            rule: _,
            opened: _,
            digest: _,
            again: _,
            changed,
        } = self;
        prompt.texts(visit);
        items.texts(visit);
        changed.texts(visit);
    }
}

impl Texts for GateItem {
    fn texts(&mut self, visit: Visit<'_>) {
        let Self { target, commands, diffs, notes, undo, price, digest: _ } = self;
        target.texts(visit);
        commands.texts(visit);
        diffs.texts(visit);
        notes.texts(visit);
        undo.texts(visit);
        price.texts(visit);
    }
}

impl Texts for FileDiff {
    fn texts(&mut self, visit: Visit<'_>) {
        let Self { path, unified } = self;
        path.texts(visit);
        unified.texts(visit);
    }
}

impl Texts for Price {
    fn texts(&mut self, visit: Visit<'_>) {
        let Self { gpus: _, nodes, users, jobs, steps_lost: _, gpu_hours_lost: _ } = self;
        nodes.texts(visit);
        users.texts(visit);
        jobs.texts(visit);
    }
}

impl Texts for Act {
    fn texts(&mut self, visit: Visit<'_>) {
        let Self { kind: _, params, intent, undo, reversible } = self;
        params.texts(visit);
        intent.texts(visit);
        if let Some((_, params)) = undo {
            params.texts(visit);
        }
        reversible.texts(visit);
    }
}

impl Texts for Undoable {
    fn texts(&mut self, visit: Visit<'_>) {
        match self {
            Self::Would(item) => item.texts(visit),
            Self::Nothing(why) | Self::Cannot(why) => why.texts(visit),
            Self::Broken(error) => error.texts(visit),
        }
    }
}

impl Texts for Question {
    fn texts(&mut self, visit: Visit<'_>) {
        let Self { prompt, details, choices } = self;
        prompt.texts(visit);
        details.texts(visit);
        for Choice { outcome: _, label } in choices {
            label.texts(visit);
        }
    }
}

impl Texts for StepError {
    fn texts(&mut self, visit: Visit<'_>) {
        let Self { kind: _, message, help } = self;
        message.texts(visit);
        help.texts(visit);
    }
}

impl Texts for Undone {
    fn texts(&mut self, visit: Visit<'_>) {
        match self {
            Self::Restored(text) | Self::NothingToDo(text) | Self::Left(text) | Self::Cannot(text) => {
                text.texts(visit);
            }
        }
    }
}

impl Texts for Event {
    fn texts(&mut self, visit: Visit<'_>) {
        match self {
            Self::Recorded(record) => record.entry.texts(visit),
            Self::Began { visit: _, node: _, title: _, flow: _, kind: _ } => {}
            Self::Progress { visit: _, node: _, progress: Progress { message, fraction: _ } }
            | Self::Retrying { visit: _, node: _, message, seconds: _ } => message.texts(visit),
        }
    }
}

impl Texts for Ending {
    fn texts(&mut self, visit: Visit<'_>) {
        match self {
            Self::Ended { end: _, node: _, message } => message.texts(visit),
            Self::Held { node: _, why, help } => {
                why.texts(visit);
                help.texts(visit);
            }
            Self::Stuck { node: _, why, changes } => {
                why.texts(visit);
                changes.texts(visit);
            }
            Self::RolledBack { broke, changes } => {
                if let Some((_, why)) = broke {
                    why.texts(visit);
                }
                changes.texts(visit);
            }
            Self::Locked { node: _, why, holder: _ } => why.texts(visit),
            Self::Parked { node: _ } | Self::Interrupted => {}
        }
    }
}

impl Texts for Change {
    fn texts(&mut self, visit: Visit<'_>) {
        if let Some(result) = &mut self.undone {
            result.texts(visit);
        }
    }
}

impl Texts for DryRun {
    fn texts(&mut self, visit: Visit<'_>) {
        self.first.texts(visit);
    }
}

impl Texts for Shown {
    fn texts(&mut self, visit: Visit<'_>) {
        self.how.texts(visit);
        self.branches.texts(visit);
    }
}

impl Texts for How {
    fn texts(&mut self, visit: Visit<'_>) {
        match self {
            Self::Change { items, gated: _ } => items.texts(visit),
            Self::Ask { prompt } => prompt.texts(visit),
            Self::Failed { error, help } => {
                error.texts(visit);
                help.texts(visit);
            }
            Self::End { end: _, message } => message.texts(visit),
            Self::Open { .. }
            | Self::Read
            | Self::ReadTooEarly
            | Self::Enter
            | Self::Again { .. }
            | Self::TooOften
            | Self::Cut => {}
        }
    }
}

impl Texts for Branch {
    fn texts(&mut self, visit: Visit<'_>) {
        let Self { outcome: _, label: _, standing: _, summary, output, then } = self;
        summary.texts(visit);
        output.texts(visit);
        then.texts(visit);
    }
}
