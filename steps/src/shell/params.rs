//! What an author writes under `with` of `shell` and `ssh`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::duration::Timespan;

/// What the author says of a command's effect, over the classifier's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Declared {
    /// It alters nothing.
    Reads,
    /// It alters something.
    Changes,
}

/// How standard output is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Parse {
    /// Not at all; it is in `stdout`.
    Text,
    /// As one JSON value, in `json`.
    Json,
    /// As lines, in `lines`.
    Lines,
}

fn default_timeout() -> Timespan {
    Timespan(engine::site::Command::DEFAULT_TIMEOUT)
}

fn default_ok() -> Vec<i32> {
    vec![0]
}

/// Both steps take the same but for the host; serde's `flatten` would lose `deny_unknown_fields`.
macro_rules! params {
    ($(#[$doc:meta])* $name:ident { $($host:tt)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($host)*
            /// Shell text for `sh -c`; values put into it are quoted. This or `argv`.
            #[serde(default)]
            #[schemars(extend("x-shell" = true))]
            pub(super) run: Option<String>,
            /// Program and arguments; no shell looks at them. This or `run`.
            #[serde(default)]
            pub(super) argv: Option<Vec<String>>,
            /// Working directory; the current one (on a host: the login directory) if nothing is said.
            #[serde(default)]
            pub(super) cwd: Option<String>,
            /// Text for its standard input; empty if nothing is said.
            #[serde(default)]
            pub(super) stdin: Option<String>,
            /// The command and its children are ended after this time: `30s`, `5m`; `1m` if nothing is said.
            #[serde(default = "default_timeout")]
            pub(super) timeout: Timespan,
            /// `reads` or `changes`, if you know better than the list of reading commands. `reads` needs a `reason`.
            #[serde(default)]
            pub(super) effect: Option<Declared>,
            /// Why `effect` holds; shown at the gate and by `check`.
            #[serde(default)]
            pub(super) reason: Option<String>,
            /// Shell text that only looks whether the change happened: it exits with 0 if so, 1 if not, else if it
            /// cannot tell. Asked after a crash in the middle.
            #[serde(default)]
            #[schemars(extend("x-shell" = true))]
            pub(super) confirm: Option<String>,
            /// Shell text that takes the change back, and does nothing if it never happened.
            #[serde(default)]
            #[schemars(extend("x-shell" = true))]
            pub(super) undo: Option<String>,
            /// Exit statuses that count as `ok`; 0 if nothing is said.
            #[serde(default = "default_ok")]
            pub(super) ok: Vec<i32>,
            /// How standard output is understood: `text` (if nothing is said), `json` or `lines`.
            #[serde(default)]
            pub(super) parse: Option<Parse>,
        }
    };
}

params! {
    /// A command on this machine.
    ShellParams {}
}

params! {
    /// A command on a host.
    SshParams {
        /// Host to run it on, as ssh knows it.
        pub(super) host: String,
    }
}
