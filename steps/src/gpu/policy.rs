//! What an Xid says about the node: the table in `xid.yaml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What follows from an Xid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// The GPU needs a reset, a reboot or a repair.
    Fault,
    /// The process did it, or only the process was hit.
    App,
    /// Bookkeeping.
    Ignore,
    /// Somebody should look; no reason to keep the node from work.
    Investigate,
    /// The table does not know this Xid.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Rule {
    Fault,
    App,
    Ignore,
    Investigate,
    Link,
    Recovery,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    xid: u32,
    action: Rule,
    text: String,
    #[serde(default)]
    hangs: bool,
}

/// What the table says of one Xid line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ruling {
    /// What follows.
    pub(crate) action: Action,
    /// What it means, a few words.
    pub(crate) meaning: String,
    /// nvidia-smi is known to hang with this one.
    pub(crate) hangs: bool,
}

/// The table.
#[derive(Debug, Clone)]
pub(crate) struct Policy(BTreeMap<u32, Entry>);

impl Policy {
    /// The table that ships.
    ///
    /// # Errors
    /// The YAML does not parse; a test holds that it does.
    pub(crate) fn shipped() -> Result<Self, String> {
        Self::parse(include_str!("xid.yaml"))
    }

    /// This table with the entries of another in the place of its own: what a site sees differently.
    ///
    /// # Errors
    /// The other one is no such table.
    pub(crate) fn with(mut self, yaml: &str) -> Result<Self, String> {
        self.0.extend(Self::parse(yaml)?.0);
        Ok(self)
    }

    fn parse(yaml: &str) -> Result<Self, String> {
        let entries: Vec<Entry> =
            serde_yaml::from_str(yaml).map_err(|error| format!("table of Xids: {error}"))?;
        let count = entries.len();
        let table: BTreeMap<u32, Entry> = entries.into_iter().map(|entry| (entry.xid, entry)).collect();
        if table.len() < count {
            return Err("table of Xids: an Xid is there twice".to_owned());
        }
        Ok(Self(table))
    }

    /// Judges an Xid by its number and the text of its line.
    pub(crate) fn rule(&self, xid: u32, text: &str) -> Ruling {
        let Some(entry) = self.0.get(&xid) else {
            let meaning = format!("Xid {xid} is not in the table");
            return Ruling { action: Action::Unknown, meaning, hangs: false };
        };
        let action = match entry.action {
            Rule::Fault => Action::Fault,
            Rule::App => Action::App,
            Rule::Ignore => Action::Ignore,
            Rule::Investigate => Action::Investigate,
            Rule::Link if fatal(text) => Action::Fault,
            Rule::Link => Action::Investigate,
            Rule::Recovery => recovery(text),
        };
        Ruling { action, meaning: entry.text.clone(), hangs: entry.hangs }
    }
}

/// Whether a line of NVLink or NVSwitch says `Fatal` (and not `Non-fatal`).
pub(crate) fn fatal(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == "fatal")
}

/// `GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)`.
fn recovery(text: &str) -> Action {
    let wanted = text.rsplit_once(" to ").and_then(|(_, to)| to.split_once('(')?.1.split_once(')'));
    match wanted {
        Some((wanted, _)) if wanted.trim().eq_ignore_ascii_case("none") => Action::Ignore,
        Some(_) => Action::Fault,
        None => Action::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(xid: u32, text: &str) -> Action {
        Policy::shipped().unwrap().rule(xid, text).action
    }

    #[test]
    fn the_shipped_table_judges_as_the_catalog_does() {
        for xid in [46, 48, 62, 64, 74, 79, 95, 109, 110, 119, 120, 140, 143, 158] {
            assert_eq!(action(xid, ""), Action::Fault, "{xid}");
        }
        for xid in [13, 31, 32, 43, 69, 94] {
            assert_eq!(action(xid, ""), Action::App, "{xid}");
        }
        assert_eq!(
            (action(63, ""), action(45, ""), action(92, ""), action(999, "")),
            (Action::Ignore, Action::Ignore, Action::Investigate, Action::Unknown)
        );
    }

    #[test]
    fn the_line_decides_where_the_number_does_not() {
        assert_eq!(action(149, "NETIR_LINK_EVT Fatal XC0 i0 Link 08 (0x004505c6)"), Action::Fault);
        assert_eq!(action(149, "NETIR_LINK_EVT Non-fatal XC0 i0 Link 08"), Action::Investigate);
        assert_eq!(
            action(154, "GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)"),
            Action::Fault
        );
        assert_eq!(
            action(154, "GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)"),
            Action::Ignore
        );
        assert_eq!(action(154, "something new"), Action::Unknown);
    }

    #[test]
    fn a_site_may_see_some_of_it_differently() {
        let policy = Policy::shipped().unwrap().with("- { xid: 109, action: app, text: ours }").unwrap();
        assert_eq!((policy.rule(109, "").action, policy.rule(95, "").action), (Action::App, Action::Fault));
        for wrong in ["xid: 109", "- { xid: 109, action: panic, text: a }", "- { xid: 109 }"] {
            assert!(Policy::shipped().unwrap().with(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_double_entry_is_refused() {
        assert!(
            Policy::parse("- { xid: 1, action: app, text: a }\n- { xid: 1, action: fault, text: b }")
                .is_err()
        );
    }
}
