//! A durable entry of a journal beside its floor: the same number of bytes appended to a file of the same directory and synced.
//!
//! `durable DIRECTORY ROUNDS` takes turns entry by entry and prints the medians, in seconds, as one JSON object.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use engine::check::{Context, NoLibrary, check};
use engine::journal::{DirStore, Journal, Store};
use engine::run::{Act, Entry, Mode, RunId, Started};
use engine::source::from_bytes;
use engine::step::Registry;
use engine::template::Standing;
use jiff::Timestamp;
use serde_json::json;

const RUNBOOK: &str = include_str!("../runbooks/training-oom/runbook.yaml");
/// About what an edit of a launch script says of itself.
const DIFF: &str = "--- a\n+++ b\n@@ -9,8 +9,8 @@\n set -euo pipefail\n \n # --- model and batch\n-export MICRO_BATCH_SIZE=4\n";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).filter(|word| !word.starts_with("--"));
    let folder = arguments.next().ok_or("which directory?")?;
    let rounds: usize = arguments.next().ok_or("how many rounds?")?.parse()?;
    let run = RunId::new(Timestamp::now(), u64::from(std::process::id()));
    let mut journal = DirStore::new(&folder).create(&run)?;
    journal.append(Timestamp::now(), started(&run)?)?;
    let path = Path::new(&folder).join("floor");
    let mut floor = OpenOptions::new().append(true).create(true).open(&path)?;
    let (mut bare, mut durable) = (Vec::new(), Vec::new());
    // A line as long as the entry that is measured beside it: that of the round before.
    let mut lines = [String::new(), String::new()];
    for round in 0..=rounds as u64 {
        for (kind, entry) in [intended(round), finished(round)].into_iter().enumerate() {
            assert!(entry.durable(), "the entry is to be synced");
            let mut entry = Some(entry);
            let mut append = |into: &mut Vec<f64>| -> Result<String, Box<dyn Error>> {
                let entry = entry.take().ok_or("an entry is appended once")?;
                let begin = Instant::now();
                let record = journal.append(Timestamp::now(), entry)?;
                into.push(begin.elapsed().as_secs_f64());
                Ok(serde_json::to_string(&record)? + "\n")
            };
            if round == 0 {
                lines[kind] = append(&mut Vec::new())?;
                continue;
            }
            let mut sync = |into: &mut Vec<f64>| -> Result<(), Box<dyn Error>> {
                let begin = Instant::now();
                floor.write_all(lines[kind].as_bytes())?;
                floor.sync_data()?;
                into.push(begin.elapsed().as_secs_f64());
                Ok(())
            };
            // The second of two has it easier, so they take turns.
            if round % 2 == 0 {
                sync(&mut bare)?;
                append(&mut durable)?;
            } else {
                append(&mut durable)?;
                sync(&mut bare)?;
            }
        }
    }
    let medians = json!({ "append + fdatasync": median(bare), "a durable entry": median(durable) });
    #[expect(clippy::print_stdout, reason = "it is a program of its own")]
    {
        println!("{medians}");
    }
    Ok(())
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn started(run: &RunId) -> Result<Entry, Box<dyn Error>> {
    let mut registry = Registry::default();
    steps::register(&mut registry);
    let file = from_bytes("training-oom", RUNBOOK.into()).map_err(|_| "the runbook cannot be read")?;
    let checked = check(file, &Context { registry: &registry, library: &NoLibrary, flags: &[] });
    Ok(Entry::Started(Box::new(Started {
        run: run.clone(),
        program: "bench".to_owned(),
        plan: checked.plan.ok_or("the runbook does not check")?.data().clone(),
        inputs: BTreeMap::new(),
        secrets: Default::default(),
        operator: "anna".to_owned(),
        host: "login1".to_owned(),
        mode: Mode::Live,
        target: "job 1".to_owned(),
        place: None,
    })))
}

fn intended(round: u64) -> Entry {
    let file = json!({ "path": "/d/train.sbatch", "before_digest": "0".repeat(64), "after_digest": "1".repeat(64), "content": DIFF });
    let act = Act {
        kind: "launch.lever".to_owned(),
        params: json!({ "script": "/d/train.sbatch", "job": "1", "tried": [], "world_size": 8 }),
        intent: json!({ "files": [file], "done": null }),
        undo: None,
        reversible: Some("/d/train.sbatch gets its present content back".to_owned()),
    };
    Entry::Intended { visit: round + 1, node: "lever".to_owned(), item: None, act: Box::new(act) }
}

fn finished(round: u64) -> Entry {
    Entry::Finished {
        visit: round + 1,
        node: "lever".to_owned(),
        outcome: "edited".to_owned(),
        output: json!({ "path": "/d/train.sbatch", "diff": DIFF, "environment": { "MICRO_BATCH_SIZE": "2" } }),
        summary: vec!["micro_batch: MICRO_BATCH_SIZE 4 -> 2: same global batch".to_owned()],
        set: BTreeMap::from([("tried".to_owned(), json!(["micro_batch:4->2"]))]),
        standing: Standing::Known,
        changed: true,
        by: None,
    }
}
