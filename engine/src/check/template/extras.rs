//! The names that templates have without any node.

/// The filter that takes a value out of the quoting for the shell.
pub(super) const RAW: &str = "shell_raw";
/// The fields of `run`.
pub(super) const RUN_FIELDS: [&str; 4] = ["id", "operator", "started", "runbook"];

/// Filters of minijinja 3 (`defaults.rs`).
pub(super) const FILTERS: [&str; 45] = [
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "trim",
    "unique",
    "upper",
];
/// Tests of minijinja 3 (`defaults.rs`).
pub(super) const TESTS: [&str; 36] = [
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "safe",
    "sameas",
    "sequence",
    "startingwith",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];
/// Functions of minijinja 3 (`defaults.rs`).
pub(super) const FUNCTIONS: [&str; 4] = ["range", "dict", "debug", "namespace"];

#[cfg(test)]
mod tests {
    use minijinja::{Environment, ErrorKind, Value};

    use super::*;

    #[test]
    fn the_lists_are_those_of_the_library() {
        let env = Environment::new();
        let mut state = env.empty_state();
        for name in FILTERS {
            let unknown = state.apply_filter(name, &[]).is_err_and(|e| e.kind() == ErrorKind::UnknownFilter);
            assert!(!unknown, "{name}");
        }
        for name in TESTS {
            let args = [Value::from(1)];
            let unknown = state.perform_test(name, &args).is_err_and(|e| e.kind() == ErrorKind::UnknownTest);
            assert!(!unknown, "{name}");
        }
        let mut globals: Vec<&str> = env.globals().map(|(name, _)| name).collect();
        let mut functions = FUNCTIONS.to_vec();
        globals.sort_unstable();
        functions.sort_unstable();
        assert_eq!(globals, functions);
    }
}
