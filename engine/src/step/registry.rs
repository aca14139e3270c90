//! The step kinds a program knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Step;

/// The step kinds a program knows, by name.
#[derive(Default, Clone)]
pub struct Registry {
    steps: BTreeMap<&'static str, Arc<dyn Step>>,
}

impl Registry {
    /// Adds a step kind.
    ///
    /// # Panics
    /// If the kind is there already: two steps of one name are a mistake in the program.
    pub fn register(&mut self, step: impl Step + 'static) {
        let kind = step.spec().kind;
        assert!(self.steps.insert(kind, Arc::new(step)).is_none(), "step kind {kind} is registered twice");
    }

    /// The step of this kind.
    pub fn get(&self, kind: &str) -> Option<&Arc<dyn Step>> {
        self.steps.get(kind)
    }

    /// All kinds, sorted.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.steps.keys().copied()
    }

    /// All steps, sorted by kind.
    pub fn steps(&self) -> impl Iterator<Item = &Arc<dyn Step>> {
        self.steps.values()
    }
}
