//! Tables as PyTorch prints them: `table.txt` has its layout, whole and abbreviated, with made-up numbers.

use proptest::prelude::*;

use engine::step::{Performed, Read, Step};
use serde_json::{Value, json};

use super::cell::{bytes, count};
use super::{MemorySummary, Tables};
use crate::oom::fixtures::released_messages;
use crate::oom::read::OomRead;
use crate::size::{GIB, MIB};
use crate::testkit::told::files;

fn read(text: &str) -> Vec<MemorySummary> {
    let mut tables = Tables::default();
    text.lines().filter_map(|line| tables.line(line)).collect()
}

fn expected() -> MemorySummary {
    MemorySummary {
        device: Some(3),
        ooms: Some(1),
        retries: Some(37),
        allocated: Some(64188 * MIB),
        peak_allocated: Some(67584 * MIB),
        reserved: Some(78848 * MIB),
        peak_reserved: Some(79360 * MIB),
        stranded: Some(14660 * MIB),
        peak_stranded: Some(15360 * MIB),
        expandable: None,
    }
}

const TABLE: &str = include_str!("table.txt");

#[test]
fn whole_and_abbreviated_tables_are_read() {
    assert_eq!(read(TABLE), [expected(), expected()]);
}

#[test]
fn prefixes_and_lines_between_do_not_matter() {
    let labelled: String =
        TABLE.lines().map(|line| format!("3: [default3]:[rank3]: {line}\nstep 41 loss 2.5\n")).collect();
    assert_eq!(read(&labelled), [expected(), expected()]);
}

#[test]
fn two_mixed_tables_are_none() {
    let whole: String = TABLE.split_inclusive("\n").take_while(|line| line.trim() != "").collect();
    let mixed: String = whole.lines().flat_map(|line| [line, "\n", line, "\n"]).collect();
    assert_eq!(read(&mixed), []);
    let cut: String = whole.lines().take(20).map(|line| format!("{line}\n")).collect();
    assert_eq!(read(&cut), []);
    assert_eq!(read(&format!("{cut}{whole}")), [expected()], "one that was cut off and a whole one");
}

#[test]
fn no_segments_and_memory_reserved_means_expandable() {
    let none =
        TABLE.replace("| GPU reserved segments |     812    ", "| GPU reserved segments |       0    ");
    assert_eq!(read(&none)[0].expandable, Some(true));
}

#[test]
fn cells_have_units() {
    for (cell, value) in [
        ("  64188 MiB ", Some(64188 * MIB)),
        ("      0 B   ", Some(0)),
        ("   9000 GiB ", Some(9000 * GIB)),
        ("   1023 MB ", Some(1023 * MIB)),
        ("      ", None),
        (" 12 XiB ", None),
        (" 99999999999999999999 GiB ", None),
        (" 18446744073709551615 GiB ", None),
    ] {
        assert_eq!(bytes(cell), value, "{cell}");
    }
    assert_eq!(
        (count("    4123    "), count("    1812 K  "), count("  x ")),
        (Some(4123), Some(1_812_000), None)
    );
}

async fn output(log: String) -> (String, Value) {
    let site = files(&[("/l/slurm-1.out", log.as_bytes())]);
    let params = json!({ "logs": ["/l/slurm-1.out"] });
    match Read::new(OomRead).perform(&site.cx(), &params, &Value::Null).await.unwrap() {
        Performed::Done(done) => (done.outcome, done.output),
        Performed::Ask(..) => panic!("it asked"),
    }
}

#[tokio::test]
async fn the_table_of_the_failing_rank_goes_with_its_error() {
    let error = &released_messages()[0].2;
    let table = |rank: u32| -> String {
        let device = format!("device ID {rank}");
        TABLE
            .lines()
            .take_while(|line| !line.is_empty())
            .map(|line| format!("[rank{rank}]: {}\n", line.replace("device ID 3", &device)))
            .collect()
    };
    // Of the wrong rank behind it, of its own before it and behind it.
    let failed = format!("[rank3]: torch.cuda.OutOfMemoryError: {error}\n");
    for (log, device) in [
        (format!("{failed}{}{}", table(1), table(3)), json!(3)),
        (format!("{}{failed}{}", table(3), table(1)), json!(3)),
        (format!("{failed}{}", table(1)), Value::Null),
        (failed.clone(), Value::Null),
    ] {
        let (outcome, output) = output(log).await;
        assert_eq!((outcome.as_str(), &output["memory_summary"]["device"]), ("gpu_oom", &device));
    }
    let (outcome, _) = output(table(3)).await;
    assert_eq!(outcome, "none", "a table alone is no error");
}

proptest! {
    #[test]
    fn no_text_panics(lines in proptest::collection::vec("[| a-zA-Z0-9=:,é-]{0,90}", 0..20)) {
        let title = "|                  PyTorch CUDA memory summary, device ID 3                 |\n";
        let _ = read(&format!("{title}{}", lines.join("\n")));
    }
}
