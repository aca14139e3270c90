//! What the names in a template stand for.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How well a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It was given or measured.
    Known,
    /// A change that was only previewed would yield it.
    Predicted,
    /// Only a real run can know it.
    Open,
}

/// The value behind a name.
#[derive(Debug, Clone)]
pub struct Binding {
    /// The value; `null` inside it is unknown.
    pub value: Arc<Value>,
    /// How well it stands.
    pub standing: Standing,
}

impl Binding {
    /// A value that was given or measured.
    pub fn known(value: Value) -> Self {
        Self { value: Arc::new(value), standing: Standing::Known }
    }
}

/// The names that a template may use. Cloning is cheap enough to add `item` or `output` for one evaluation.
#[derive(Debug, Clone, Default)]
pub struct Names {
    bindings: BTreeMap<String, Binding>,
}

impl Names {
    /// Adds or replaces a name.
    pub fn bind(&mut self, name: impl Into<String>, binding: Binding) {
        self.bindings.insert(name.into(), binding);
    }

    /// The same names and one more.
    #[must_use]
    pub fn with(&self, name: impl Into<String>, binding: Binding) -> Self {
        let mut names = self.clone();
        names.bind(name, binding);
        names
    }

    /// SHA-256 of all that they stand for.
    pub(crate) fn digest(&self) -> String {
        let mut text = String::new();
        for (name, binding) in &self.bindings {
            text.push_str(&format!("{name} {:?} {}\n", binding.standing, binding.value));
        }
        crate::site::digest(text.as_bytes())
    }

    /// The binding of a name.
    pub fn get(&self, name: &str) -> Option<&Binding> {
        self.bindings.get(name)
    }
}
