//! What each release knows, read from the table that is compiled in.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::version::{Releases, Version};

/// The table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Knowledge {
    /// The variables, the one that wins first.
    pub(super) variables: Vec<Variable>,
    keys: BTreeMap<String, Key>,
}

/// A variable that holds settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variable {
    pub(super) name: String,
    /// The first release whose CUDA allocator reads it.
    pub(super) since: Version,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    since: Version,
    #[serde(default)]
    until: Option<Version>,
    value: Kind,
    #[serde(default)]
    least: Vec<Least>,
    #[serde(default)]
    most: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Least {
    since: Version,
    is: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Boolean,
    Integer,
    OpenFraction,
    ClosedFraction,
    PowerOfTwo,
    Divisions,
    Backend,
    Text,
}

static TABLE: LazyLock<Result<Knowledge, String>> =
    LazyLock::new(|| serde_yaml::from_str(include_str!("allocator.yaml")).map_err(|error| error.to_string()));

/// The table.
///
/// # Errors
/// If the program was built with a broken one.
pub(super) fn knowledge() -> Result<&'static Knowledge, String> {
    TABLE.as_ref().map_err(|error| format!("allocator.yaml: {error}"))
}

impl Knowledge {
    /// Whether any release is known to know this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Whether the value is legal on every one of the releases.
    ///
    /// # Errors
    /// The reason why it is not.
    pub(super) fn legal_on_all(&self, key: &str, value: &str, releases: &Releases) -> Result<(), String> {
        let Some(known) = self.keys.get(key) else { return Err(format!("no release knows the key {key}")) };
        if !releases.all_since(known.since) {
            return Err(format!("{key} is unknown, and so fatal, before PyTorch {}", known.since));
        }
        if let Some(until) = known.until.filter(|until| !releases.all_before(*until)) {
            return Err(format!("{key} is unknown, and so fatal, from PyTorch {until} on"));
        }
        known.releases(releases).into_iter().try_for_each(|version| known.check(key, value, version))
    }

    /// Whether the value is legal on one of the releases at least. Keys that the table does not have may belong to a newer
    /// release or a vendor's.
    ///
    /// # Errors
    /// The reason why it is not.
    pub(super) fn legal_on_any(&self, key: &str, value: &str, releases: &Releases) -> Result<(), String> {
        let Some(known) = self.keys.get(key) else { return Ok(()) };
        if releases.all_before(known.since) {
            return Err(format!("{key} is unknown, and so fatal, before PyTorch {}", known.since));
        }
        if let Some(until) = known.until.filter(|until| releases.all_since(*until)) {
            return Err(format!("{key} is unknown, and so fatal, from PyTorch {until} on"));
        }
        let mut last = Ok(());
        for version in known.releases(releases) {
            last = known.check(key, value, version);
            if last.is_ok() {
                break;
            }
        }
        last
    }
}

impl Key {
    /// The releases among `releases` from which on something changes for this key.
    fn releases(&self, releases: &Releases) -> Vec<Version> {
        let steps = self.least.iter().map(|least| least.since);
        let within =
            |version: &Version| *version > releases.min && releases.max.is_none_or(|max| *version <= max);
        std::iter::once(releases.min).chain(steps.filter(within)).collect()
    }

    fn check(&self, key: &str, value: &str, version: Version) -> Result<(), String> {
        let fraction = value.parse::<f64>().ok().filter(|number| number.is_finite());
        let (legal, must) = match self.value {
            Kind::Boolean => (matches!(value, "True" | "False"), "True or False".to_owned()),
            Kind::Integer => {
                let least = self.least.iter().rev().find(|l| l.since <= version).map_or(0, |l| l.is);
                let legal = value.parse::<u64>().is_ok_and(|number| number >= least);
                (legal, format!("a whole number of at least {least}"))
            }
            Kind::OpenFraction => {
                (fraction.is_some_and(|f| f > 0.0 && f < 1.0), "more than 0 and less than 1".to_owned())
            }
            Kind::ClosedFraction => {
                (fraction.is_some_and(|f| (0.0..=1.0).contains(&f)), "from 0 to 1".to_owned())
            }
            Kind::PowerOfTwo => {
                let most = self.most.unwrap_or(u64::MAX);
                let legal = value.parse::<u64>().is_ok_and(|n| n.is_power_of_two() && n <= most);
                (legal, format!("a power of 2, at most {most}"))
            }
            Kind::Divisions => {
                (divisions(value, version), "a power of 2, or a list like [256:1,512:2,>:4]".to_owned())
            }
            Kind::Backend => {
                (matches!(value, "native" | "cudaMallocAsync"), "native or cudaMallocAsync".to_owned())
            }
            Kind::Text => (true, String::new()),
        };
        if legal {
            Ok(())
        } else {
            Err(format!("{key}:{value} is illegal on PyTorch {version}: it must be {must}"))
        }
    }
}

/// `4`, or `[256:1,512:2,>:8]`; 0 stands for none, in a list and since 2.4.
fn divisions(value: &str, version: Version) -> bool {
    let power = |text: &str, zero: bool| {
        text.parse::<u64>().is_ok_and(|number| number.is_power_of_two() || (zero && number == 0))
    };
    let Some(list) = value.strip_prefix('[') else { return power(value, false) };
    let Some(list) = list.strip_suffix(']') else { return false };
    list.split(',').all(|item| {
        item.split_once(':').is_some_and(|(size, divisions)| {
            (size == ">" || power(size, false)) && power(divisions, version >= Version(2, 4))
        })
    })
}
