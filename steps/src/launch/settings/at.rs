//! Where a setting may stand.

use serde::Deserialize;

/// A place where a program looks for a setting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::launch) enum At {
    /// A flag of the program: `--micro-batch-size 4`, `--micro-batch-size=4`.
    Flag(String),
    /// A word `path=value` of the program, as Hydra and OmegaConf take them.
    Word(String),
    /// A key of a configuration file, `FILE:path.of.keys`; FILE is a name that the framework's table gives it.
    Key(String),
    /// A variable in the environment.
    Variable(String),
    /// A variable that the launch line hands to the program after all that the script exports: `env A=b`, `-e A=b`,
    /// `--env=A=b`, `--export=ALL,A=b`.
    Passed(String),
    /// A flag of what starts the program: `--container-image=x`.
    Starter(String),
}

impl At {
    /// The file and the path of a key.
    pub(super) fn split(key: &str) -> (&str, &str) {
        key.split_once(':').unwrap_or(("main", key))
    }

    /// For people.
    pub(in crate::launch) fn show(&self) -> String {
        match self {
            Self::Flag(name) => name.clone(),
            Self::Word(path) => format!("{path}="),
            Self::Key(key) => Self::split(key).1.to_owned(),
            Self::Variable(name) => format!("${name}"),
            Self::Passed(name) | Self::Starter(name) => name.clone(),
        }
    }
}
