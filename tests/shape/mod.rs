//! The shape of the code base: arrows between crates, and what is deliberately absent.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn arrows_point_one_way() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ours: BTreeSet<&str> =
        metadata["packages"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    let mut arrows = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            if dependency["kind"].is_null() && ours.contains(name) {
                arrows.insert((package["name"].as_str().unwrap(), name));
            }
        }
    }
    let allowed = [
        ("runbook", "runbook-engine"),
        ("runbook", "runbook-postgres"),
        ("runbook", "runbook-steps"),
        ("runbook-postgres", "runbook-engine"),
        ("runbook-steps", "runbook-engine"),
    ];
    assert_eq!(arrows, allowed.into());
}

/// The Rust files below a directory that are part of the program: modules declared `#[cfg(test)]` are left out.
fn sources(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut found = files(dir);
    let tests: BTreeSet<PathBuf> = found
        .iter()
        .flat_map(|(path, text)| {
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            let names = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
            let names = names.filter_map(|pair| {
                pair[1].trim_start_matches("pub(crate) ").strip_prefix("mod ")?.strip_suffix(';')
            });
            names.map(|name| path.with_file_name(name).with_extension("rs")).collect::<Vec<_>>()
        })
        .collect();
    found.retain(|(path, _)| !tests.contains(path));
    found
}

fn files(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

#[test]
fn the_engine_knows_no_step_kind() {
    let families = [
        "\"slurm.",
        "\"oom.",
        "\"gpu.",
        "\"launch.",
        "\"checkpoint.",
        "\"job.",
        "\"ssh\"",
        "\"shell.",
        "\"decide\"",
        "\"ask\"",
    ];
    for (path, text) in sources(&root().join("engine/src")) {
        // A unit test at the end of a file may name what it likes.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for family in families {
            assert!(!code.contains(family), "{} names {family}", path.display());
        }
    }
}

#[test]
fn only_the_sites_touch_the_world() {
    let doors = [
        "std::fs",
        "std::process::Command",
        "tokio::fs",
        "tokio::process",
        "SystemTime",
        "Timestamp::now",
        "Zoned::now",
    ];
    for (path, text) in sources(&root().join("steps/src")) {
        if path.starts_with(root().join("steps/src/site")) {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let in_tests = path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains("test"));
        for door in doors {
            assert!(in_tests || !code.contains(door), "{} uses {door}: go through the Site", path.display());
        }
    }
}

#[test]
fn files_stay_small() {
    for dir in ["src", "engine/src", "postgres/src", "steps/src"] {
        for (path, text) in sources(&root().join(dir)) {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default().lines().count();
            assert!(code <= 600, "{} has {code} lines: a file past 600 needs a reason", path.display());
        }
    }
}
