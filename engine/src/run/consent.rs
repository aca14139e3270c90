//! Who has to agree at a gate, and what is known of who answered.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::RunId;
use crate::site::digest;
use crate::step::Question;

/// Who has to agree before a change is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Accounts that must agree, each counted once; at least 1.
    pub by: u32,
    /// The account that walks the run does not count.
    pub not_operator: bool,
    /// Only members of all these groups count.
    pub groups: BTreeSet<String>,
    /// Time after its opening at which the gate closes, and with it every consent given there.
    pub expires: Option<Duration>,
}

impl Default for Rule {
    /// One person, anybody, for as long as it takes.
    fn default() -> Self {
        Self { by: 1, not_operator: false, groups: BTreeSet::new(), expires: None }
    }
}

impl Rule {
    /// The rule that asks for whatever either of two asks for. Never weaker than one of them.
    #[must_use]
    pub fn tighten(&self, other: &Self) -> Self {
        Self {
            by: self.by.max(other.by),
            not_operator: self.not_operator || other.not_operator,
            groups: self.groups.union(&other.groups).cloned().collect(),
            expires: self.expires.into_iter().chain(other.expires).min(),
        }
    }

    /// When a gate that was opened at `opened` closes; `None` if it does not.
    pub fn closes(&self, opened: Timestamp) -> Option<Timestamp> {
        let after = SignedDuration::try_from(self.expires?).ok()?;
        opened.checked_add(after).ok()
    }

    /// Why an answer of this account does not count, if it does not. `walks`: it walks the run or has walked it; `member`
    /// tells whether it is a member of a group. Fails closed: a membership that cannot be told is none.
    pub fn refusal(
        &self,
        account: &str,
        walks: bool,
        member: impl Fn(&str) -> Option<bool>,
    ) -> Option<String> {
        if walks && self.not_operator {
            return Some(format!("{account} walks this run; somebody else has to agree"));
        }
        self.groups.iter().find_map(|group| match member(group) {
            Some(true) => None,
            Some(false) => Some(format!("{account} is no member of {group}")),
            None => Some(format!("whether {account} is a member of {group} is unknown")),
        })
    }

    /// Whether one yes of whoever walks the run is enough.
    pub fn plain(&self) -> bool {
        self.by <= 1 && !self.not_operator && self.groups.is_empty()
    }
}

/// An answer that somebody left for the run from another terminal, host or account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The run that asks.
    pub run: RunId,
    /// The visit that asks.
    pub visit: u64,
    /// What it is about: the digest of what the gate shows, or of the question.
    pub about: String,
    /// What is answered.
    pub word: Word,
    /// Why.
    pub reason: Option<String>,
    /// The host it was given on.
    pub host: String,
}

impl Reply {
    /// What an answer to a question is about.
    pub fn about_question(question: &Question) -> String {
        digest(json!(question).to_string().as_bytes())
    }
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Yes, to exactly what the gate shows.
    Approve,
    /// No.
    Deny,
    /// This of a question's outcomes.
    Choose(String),
}

/// A reply, and whose it provably is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replied {
    /// The reply.
    pub reply: Reply,
    /// The account that wrote it, as the file system or the database attests: never a name that somebody typed.
    pub account: String,
    /// When it was written.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule() -> impl Strategy<Value = Rule> {
        let groups = proptest::collection::btree_set("[a-c]", 0..3);
        (1..4u32, any::<bool>(), groups, proptest::option::of(0..9u64)).prop_map(
            |(by, not_operator, groups, expires)| Rule {
                by,
                not_operator,
                groups,
                expires: expires.map(Duration::from_secs),
            },
        )
    }

    fn at_least(one: &Rule, other: &Rule) -> bool {
        one.by >= other.by
            && one.not_operator >= other.not_operator
            && one.groups.is_superset(&other.groups)
            && other.expires.is_none_or(|limit| one.expires.is_some_and(|expires| expires <= limit))
    }

    proptest! {
        #[test]
        fn a_tightened_rule_is_never_weaker(one in rule(), other in rule()) {
            let both = one.tighten(&other);
            prop_assert!(at_least(&both, &one) && at_least(&both, &other));
            prop_assert_eq!(&both, &other.tighten(&one));
            prop_assert_eq!(both.tighten(&one), both);
        }
    }
}
