//! What `runbook check --sarif` writes is SARIF 2.1.0 by its published schema (draft 4, as `@microsoft/jest-sarif` has it).

use std::io::Write;
use std::process::{Command, Stdio};

use super::tools;
use crate::cli::bench::Bench;

/// Prints what is wrong with the log on stdin, a line each.
const VALIDATE: &str = r#"
const Ajv = require("ajv-draft-04");
const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false, unicodeRegExp: false });
const schema = require("./node_modules/@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json");
const log = JSON.parse(require("fs").readFileSync(0, "utf8"));
const valid = ajv.compile(schema);
if (!valid(log)) valid.errors.forEach((error) => console.log(error.instancePath, error.message));
"#;

fn wrong(log: &str) -> Option<String> {
    let mut node = Command::new("node")
        .args(["-e", VALIDATE])
        .current_dir(tools()?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    node.stdin.take().unwrap().write_all(log.as_bytes()).unwrap();
    let said = node.wait_with_output().unwrap();
    assert!(said.status.success());
    Some(String::from_utf8(said.stdout).unwrap())
}

#[test]
fn findings_are_sarif() {
    let bench = Bench::new();
    let gallery = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gallery");
    let pictures = std::fs::read_dir(&gallery).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<String> = pictures
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.display().to_string())
        .collect();
    let mut args = vec!["check", "--sarif"];
    args.extend(files.iter().map(String::as_str));
    let said = bench.run(&args).exits(2);
    let results = said.json()["runs"][0]["results"].as_array().unwrap().len();
    assert!(results > 100, "{results}");
    let Some(wrong) = wrong(&said.out) else { return };
    assert_eq!(wrong, "");
    let broken = said.out.replace("\"level\": \"error\"", "\"level\": \"bad\"");
    assert!(self::wrong(&broken).is_some_and(|said| !said.is_empty()), "the validator sees mistakes");
}
