//! Releases of PyTorch, as far as settings differ between them.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// Major and minor number of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32, pub(super) u32);

impl Version {
    /// Reads `2.4`, `2.4.1`, `2.4.0a0+07cecf4168.nv24.05`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().trim_start_matches('v').split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?;
        let digits = minor.find(|c: char| !c.is_ascii_digit()).unwrap_or(minor.len());
        Some(Self(major, minor[..digits].parse().ok()?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("{text} is not a release")))
    }
}

/// The releases that a job may have used: from `min` to `max` (`None`: to the newest).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Releases {
    pub(super) min: Version,
    pub(super) max: Option<Version>,
}

impl Releases {
    /// The oldest release that reads any allocator setting.
    pub(super) const OLDEST: Version = Version(1, 10);

    /// Whether every one of them is at least `version`.
    pub(super) fn all_since(&self, version: Version) -> bool {
        self.min >= version
    }

    /// Whether every one of them is older than `version`.
    pub(super) fn all_before(&self, version: Version) -> bool {
        self.max.is_some_and(|max| max < version)
    }
}

impl fmt::Display for Releases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max {
            Some(max) if max == self.min => write!(f, "PyTorch {max}"),
            Some(max) => write!(f, "PyTorch {} to {max}", self.min),
            None => write!(f, "PyTorch {} or newer", self.min),
        }
    }
}
