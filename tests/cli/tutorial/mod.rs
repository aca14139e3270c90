//! Tutorials: every command in them works, and says what is printed there.
//!
//! Blocks of the language `sh` are run one after the other in one shell; a block `text` right after one is what is printed,
//! with `…` for what is left out. `# exit code 2` at the end of a block says how its last command ends.

mod host;
mod page;

use std::fs;
use std::path::Path;

use self::host::Host;
use self::page::{Block, says};
use super::bench::Bench;

#[test]
fn the_first_runbook_is_made_as_the_tutorial_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/tutorial-first-runbook.md")).unwrap();
    let mut blocks = page::blocks(&text);
    let finished = fs::read_to_string(root.join("examples/disk-full/runbook.yaml")).unwrap();
    let shown: Vec<&Block> = blocks.iter().filter(|block| block.language == "yaml").collect();
    assert!(shown.len() >= 5);
    for block in shown {
        assert!(
            finished.contains(&block.text),
            "line {}: the example has other lines:\n{}",
            block.line,
            block.text
        );
    }

    let bench = Bench::new();
    std::os::unix::fs::symlink(root, bench.path("runbook")).unwrap();
    let host = Host::start(&bench);
    if host.is_none() {
        let first = blocks.iter().position(|block| block.text.contains("--host web-1")).unwrap();
        blocks.truncate(first);
    }
    let mut script = "exec 2>&1\n".to_owned();
    for block in blocks.iter().filter(|block| block.language == "sh") {
        script.push_str(&format!("{}printf '%s\\n' \"@@ {} $?\"\n", block.text, block.line));
    }
    let said = bench.shell(&script).exits(0).out;
    let mut rest = said.as_str();
    for pair in blocks.windows(2).filter(|pair| pair[0].language == "sh") {
        let (Block { line, text, .. }, next) = (&pair[0], &pair[1]);
        let (printed, after) = rest.split_once(&format!("@@ {line} ")).unwrap_or_else(|| panic!("{rest}"));
        let (code, after) = after.split_once('\n').unwrap();
        rest = after;
        let wanted = text.trim_end().rsplit_once("# exit code ").map_or("0", |(_, code)| code);
        assert_eq!(code, wanted, "line {line}:\n{printed}");
        let held = if next.language == "text" { says(printed, &next.text) } else { Ok(()) };
        if let Err(missing) = held {
            panic!("line {}: this is not printed there:\n{missing}\n--- printed\n{printed}", next.line);
        }
    }
}
