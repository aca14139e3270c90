use std::sync::Arc;

use engine::site::SiteErrorKind;
use engine::step::{Read, Step};
use serde_json::{Value, json};

use super::*;
use crate::testkit::FakeSite;
use crate::testkit::told::{Told, told};

const QUERY: &str = "ssh gpu-21 nvidia-smi --query-gpu=index,uuid,pci.bus_id,driver_version,memory.total,memory.used,mig.mode.current,ecc.mode.current,ecc.errors.uncorrected.volatile.total,ecc.errors.uncorrected.volatile.sram,ecc.errors.uncorrected.volatile.dram,ecc.errors.uncorrected.aggregate.total,ecc.errors.uncorrected.aggregate.sram,ecc.errors.uncorrected.aggregate.dram,gpu_recovery_action,name --format=csv,noheader,nounits";
const REMAP: &str = "ssh gpu-21 nvidia-smi --query-remapped-rows=gpu_uuid,remapped_rows.pending,remapped_rows.failure --format=csv,noheader,nounits";
const JOURNAL: &str = "ssh gpu-21 journalctl -k -o short-iso --no-pager";
const BOOT: &str = "2026-03-05T08:00:00+0000 gpu-21 kernel: Linux version 6.8\n";

// Driver 580 on two H100s.
const GPUS_580: &str = "\
0, GPU-455e672a-0000-0000-0000-000000000001, 00000000:1B:00.0, 580.95.05, 81559, 4, Disabled, Enabled, 0, 0, 0, 0, 0, 0, None, NVIDIA H100 80GB HBM3
1, GPU-455e672a-0000-0000-0000-000000000002, 00000000:43:00.0, 580.95.05, 81559, 78110, Disabled, Enabled, 0, 0, 0, 3, 1, 2, None, NVIDIA H100 80GB HBM3
";
const REMAP_580: &str = "\
GPU-455e672a-0000-0000-0000-000000000001, No, No
GPU-455e672a-0000-0000-0000-000000000002, Yes, No
";

const XML: &str = "ssh gpu-21 nvidia-smi -q -x";

fn xml(second: &str) -> String {
    let ecc = "<ecc_errors><volatile><dram_uncorrectable>0</dram_uncorrectable></volatile></ecc_errors>";
    format!(
        "<nvidia_smi_log><gpu id=\"00000000:1B:00.0\">{ecc}</gpu><gpu id=\"00000000:43:00.0\">{second}</gpu></nvidia_smi_log>"
    )
}

fn healthy() -> Arc<FakeSite> {
    let no = "<ecc_errors><aggregate><sram_threshold_exceeded>No</sram_threshold_exceeded></aggregate></ecc_errors>";
    told()
        .ran(QUERY, 0, GPUS_580, "")
        .ran(REMAP, 0, REMAP_580, "")
        .ran(XML, 0, &xml(no), "")
        .ran(JOURNAL, 0, BOOT, "")
}

fn log(lines: &[&str]) -> String {
    lines
        .iter()
        .fold(BOOT.to_owned(), |log, line| format!("{log}2026-03-05T11:00:00+0000 gpu-21 kernel: {line}\n"))
}

async fn ask(fake: Arc<FakeSite>, extra: Value) -> (String, Value, Vec<String>) {
    let mut params = json!({"node": "gpu-21", "from": "2026-03-05T10:00:00Z", "to": "2026-03-05T11:30:00Z"});
    params.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let cx = fake.cx();
    match Read::new(Health).perform(&cx, &params, &Value::Null).await.unwrap() {
        Performed::Done(done) => (done.outcome, done.output, done.summary),
        Performed::Ask(..) => panic!("a read asks nothing"),
    }
}

#[tokio::test]
async fn lifetime_errors_and_a_pending_remap_are_no_fault() {
    let (outcome, output, summary) = ask(healthy(), json!({})).await;
    assert_eq!(outcome, "healthy");
    assert_eq!(output["gpus"][1]["ecc_aggregate_uncorrected"], 3);
    assert_eq!(output["gpus"][1]["remap_pending"], true);
    assert_eq!(output["gpus"][1]["sram_threshold_exceeded"], false);
    assert_eq!(output["gpus"][0]["sram_threshold_exceeded"], Value::Null);
    assert_eq!(output["gpus"][1]["bus_id"], "0000:43:00.0");
    assert_eq!(output["gpus"][0]["memory_total"], 81559u64 << 20);
    insta::assert_snapshot!(summary.join("\n"), @r"
    gpu-21: healthy: no fault found
    2 × NVIDIA H100 80GB HBM3 (79.6 GiB), driver 580.95.05; kernel log from journalctl: 0 Xid lines, 0 of weight
    ");
}

#[tokio::test]
async fn an_xid_in_the_window_makes_it_faulty_and_is_put_on_its_gpu() {
    let text = log(&[
        "NVRM: Xid (PCI:0000:43:00): 95, pid=7062, name=python, Uncontained: LTC TAG (0x2,0x1). RST: Yes, D-RST: No",
    ]);
    let (outcome, output, summary) =
        ask(healthy().ran(JOURNAL, 0, &text, ""), json!({"device": "00000000:43:00.0", "pids": [7062]}))
            .await;
    assert_eq!(outcome, "faulty");
    assert_eq!(output["xids"][0]["action"], "fault");
    insta::assert_snapshot!(summary.join("\n"), @r"
    gpu-21: faulty: Xid 95 on 0000:43:00.0 at 2026-03-05T11:00:00Z: uncontained memory error; results since are not to be trusted
    1 fault on the GPU in question, 0000:43:00.0
    2 × NVIDIA H100 80GB HBM3 (79.6 GiB), driver 580.95.05; kernel log from journalctl: 1 Xid line, 1 of weight
    ");
}

#[tokio::test]
async fn what_a_killed_process_leaves_is_no_fault() {
    let text = log(&[
        "NVRM: Xid (PCI:0000:43:00): 43, pid=7062, name=python, Ch 00000008",
        "NVRM: Xid (PCI:0000:43:00): 45, pid=7062, name=python, Ch 00000008",
    ]);
    let (outcome, output, _) = ask(healthy().ran(JOURNAL, 0, &text, ""), json!({"device": 1})).await;
    assert_eq!((outcome.as_str(), output["xids"].as_array().unwrap().len()), ("healthy", 2));
    assert_eq!(
        output["unknowns"][1],
        "device 1 is an index as one process saw it: which GPU it was is not known"
    );
}

#[tokio::test]
async fn a_driver_without_a_field_is_asked_again_without_it() {
    let without = QUERY.replace("gpu_recovery_action,", "");
    let gpus = GPUS_580.replace(", None, NVIDIA", ", NVIDIA").replace("580.95.05", "550.90.07");
    let fake = healthy()
        .ran(QUERY, 2, "Field \"gpu_recovery_action\" is not a valid field to query.\n\n", "")
        .ran(&without, 0, &gpus, "");
    let (outcome, output, _) = ask(fake, json!({})).await;
    assert_eq!((outcome.as_str(), &output["driver"]), ("healthy", &json!("550.90.07")));
    assert_eq!(output["gpus"][0]["recovery_action"], Value::Null);
}

#[tokio::test]
async fn a_lost_gpu_is_a_fault_though_the_others_answer() {
    let gpus = format!(
        "{}\nUnable to determine the device handle for GPU0000:43:00.0: Unknown Error\n",
        GPUS_580.lines().next().unwrap()
    );
    let (outcome, output, summary) = ask(
        healthy().ran(QUERY, 15, &gpus, "").ran(REMAP, 15, REMAP_580, ""),
        json!({"device": "0000:43:00"}),
    )
    .await;
    assert_eq!(outcome, "faulty");
    assert_eq!(
        output["faults"],
        json!(["Unable to determine the device handle for GPU0000:43:00.0: Unknown Error"])
    );
    assert_eq!(summary[1], "1 fault on the GPU in question, 0000:43:00.0");
}

#[tokio::test]
async fn volatile_ecc_remap_failure_and_recovery_action_are_faults() {
    let gpus = GPUS_580.replacen("0, 0, 0, 0, 0, 0, None", "2, 0, 2, 2, 0, 2, Drain and Reset", 1);
    let (outcome, output, _) = ask(
        healthy().ran(QUERY, 0, &gpus, "").ran(REMAP, 0, &REMAP_580.replace("Yes, No", "0, 1"), ""),
        json!({}),
    )
    .await;
    assert_eq!(outcome, "faulty");
    insta::assert_snapshot!(output["faults"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect::<Vec<_>>().join("\n"), @r#"
    GPU 0 (0000:1b:00.0): 2 uncorrected ECC errors since the driver was loaded
    GPU 0 (0000:1b:00.0): the driver asks for recovery action "Drain and Reset"
    GPU 1 (0000:43:00.0): a memory row could not be remapped
    "#);
}

#[tokio::test]
async fn a_card_without_ecc_is_healthy_but_hidden_counters_are_not() {
    let na = GPUS_580.replace("Enabled, 0, 0, 0, 0, 0, 0", "[N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A]");
    let na = na.replace("Enabled, 0, 0, 0, 3, 1, 2", "[N/A], [N/A], [N/A], [N/A], [N/A], [N/A], [N/A]");
    let remap = REMAP_580.replace("No, No", "[N/A], [N/A]").replace("Yes, No", "[N/A], [N/A]");
    let (outcome, output, _) =
        ask(healthy().ran(QUERY, 0, &na, "").ran(REMAP, 0, &remap, ""), json!({})).await;
    assert_eq!((outcome.as_str(), output["unknowns"].as_array().unwrap().len()), ("healthy", 4));
    // After a double-bit error a card may answer with an error instead of its counters.
    let odd = na.replacen("Disabled, [N/A]", "Disabled, [Unknown Error]", 1);
    let (outcome, output, _) =
        ask(healthy().ran(QUERY, 0, &odd, "").ran(REMAP, 0, &remap, "").ran(XML, 3, "", ""), json!({})).await;
    assert_eq!(
        (outcome.as_str(), &output["unknowns"][0]),
        ("unknown", &json!("GPU 0 (0000:1b:00.0): ECC errors could not be read"))
    );
}

#[tokio::test]
async fn a_hang_is_unknown_alone_and_faulty_with_its_xid() {
    let hung = || healthy().broke(QUERY, SiteErrorKind::Timeout);
    let (outcome, output, _) = ask(hung(), json!({"timeout": "5s"})).await;
    assert_eq!(
        (outcome.as_str(), &output["unknowns"][0]),
        ("unknown", &json!("nvidia-smi --query-gpu did not come back within 5 s"))
    );
    let text = log(&[
        "NVRM: Xid (PCI:0000:43:00): 119, pid=7, name=a, Timeout after 6s of waiting for RPC response from GPU4 GSP!",
    ]);
    let (outcome, ..) = ask(hung().ran(JOURNAL, 0, &text, ""), json!({"to": "2026-03-05T10:30:00Z"})).await;
    assert_eq!(outcome, "faulty");
}

#[tokio::test]
async fn refused_by_the_node_is_unknown_and_unreachable_is_an_error() {
    let denied = [
        "journalctl -k -o short-iso --no-pager",
        "dmesg --time-format iso",
        "dmesg -T",
        "date +%Y-%m-%dT%H:%M:%S%z",
        "tail -c 33554432 /var/log/kern.log",
        "tail -c 33554432 /var/log/messages",
        "tail -c 33554432 /var/log/syslog",
    ]
    .iter()
    .fold(told().broke(QUERY, SiteErrorKind::Denied), |fake, command| {
        fake.broke(&format!("ssh gpu-21 {command}"), SiteErrorKind::Denied)
    });
    let (outcome, output, _) = ask(denied, json!({})).await;
    assert_eq!((outcome.as_str(), output["unknowns"].as_array().unwrap().len()), ("unknown", 2));
    let cx = healthy().broke(QUERY, SiteErrorKind::Unreachable).cx();
    let error = Read::new(Health).perform(&cx, &json!({"node": "gpu-21"}), &Value::Null).await.unwrap_err();
    assert_eq!(error.kind, StepErrorKind::Unreachable);
}

#[tokio::test]
async fn it_only_runs_commands_that_read() {
    let site = healthy();
    let cx = site.cx();
    Read::new(Health)
        .perform(&cx, &json!({"node": "gpu-21", "from": "2026-03-05T10:00:00Z"}), &Value::Null)
        .await
        .unwrap();
    // The report is asked for because one card once had errors.
    assert_eq!(site.commands(), [QUERY, REMAP, XML, JOURNAL]);
}

#[tokio::test]
async fn a_device_that_names_nothing_is_refused() {
    let cx = healthy().cx();
    let error = Read::new(Health)
        .perform(&cx, &json!({"node": "gpu-21", "device": "cuda:x"}), &Value::Null)
        .await
        .unwrap_err();
    assert_eq!(error.kind, StepErrorKind::Params);
}

#[tokio::test]
async fn an_a100_under_driver_510_with_a_pending_remap_is_fit() {
    // Memory errors that were corrected or remapped are the card's own business until a row cannot be
    // remapped.
    let gpus = "0, GPU-b4c2f0c1-0000-0000-0000-000000000000, 00000000:10:1C.0, 510.73.08, 81920, 0, Disabled, Enabled, 0, 0, 0, 0, 0, 0, NVIDIA A100-SXM4-80GB\n";
    let fake = healthy()
        .ran(QUERY, 2, "Field \"gpu_recovery_action\" is not a valid field to query.\n\n", "")
        .ran(&QUERY.replace("gpu_recovery_action,", ""), 0, gpus, "")
        .ran(REMAP, 0, "GPU-b4c2f0c1-0000-0000-0000-000000000000, Yes, No\n", "")
        .ran(JOURNAL, 0, &log(&["NVRM: Xid (PCI:0000:10:1c): 63, pid=1896, Row Remapper: New row marked for remapping, reset gpu to activate.", "NVRM: Xid (PCI:0000:10:1c): 94, pid=7062, Contained: CE User Channel (0x9). RST: No, D-RST: No"]), "");
    let (outcome, output, _) = ask(fake, json!({"pids": [7062]})).await;
    assert_eq!((outcome.as_str(), &output["gpus"][0]["bus_id"]), ("healthy", &json!("0000:10:1c.0")));
    assert_eq!(
        output["unknowns"],
        json!(["GPU 0 (0000:10:1c.0): a row remapping waits for the next reset (no fault by itself)"])
    );
    assert!(output["xids"][1]["why"].as_str().unwrap().ends_with("the process is the job's own"));
}

#[tokio::test]
async fn the_report_fills_what_the_tables_leave_open() {
    let hidden = GPUS_580.replacen(
        "Enabled, 0, 0, 0, 0, 0, 0",
        "Enabled, [Unknown Error], ERR!, ERR!, ERR!, ERR!, ERR!",
        1,
    );
    let odd = REMAP_580.replace("Yes, No", "ERR!, ERR!");
    let rows = "<remapped_rows><remapped_row_pending>Yes</remapped_row_pending><remapped_row_failure>No</remapped_row_failure></remapped_rows>";
    let fake = healthy().ran(QUERY, 0, &hidden, "").ran(REMAP, 0, &odd, "").ran(XML, 0, &xml(rows), "");
    let (outcome, output, _) = ask(fake.clone(), json!({})).await;
    assert_eq!((outcome.as_str(), &output["gpus"][0]["ecc_volatile_uncorrected"]), ("healthy", &json!(0)));
    assert_eq!(output["gpus"][1]["remap_failure"], false);
    // Without it they stay open.
    let (outcome, output, _) = ask(fake.ran(XML, 3, "", "not supported"), json!({})).await;
    assert_eq!((outcome.as_str(), output["unknowns"].as_array().unwrap().len()), ("unknown", 3));
}

#[tokio::test]
async fn a_card_over_its_sram_threshold_is_a_fault_though_nothing_is_new() {
    let yes = "<ecc_errors><aggregate><sram_threshold_exceeded>Yes</sram_threshold_exceeded></aggregate></ecc_errors>";
    let (outcome, output, _) = ask(healthy().ran(XML, 0, &xml(yes), ""), json!({})).await;
    assert_eq!(outcome, "faulty");
    assert_eq!(
        output["faults"],
        json!(["GPU 1 (0000:43:00.0): more uncorrected SRAM errors in its life than NVIDIA tolerates"])
    );
}

#[tokio::test]
async fn a_site_has_its_own_table_of_xids() {
    let text = log(&["NVRM: Xid (PCI:0000:43:00): 109, pid=7062, name=python, Ch 00000008"]);
    let fake = || {
        healthy().ran(JOURNAL, 0, &text, "").aged(
            "/etc/xid.yaml",
            "- { xid: 109, action: app, text: ours }",
            1,
        )
    };
    assert_eq!(ask(fake(), json!({})).await.0, "faulty");
    assert_eq!(ask(fake(), json!({"policy": "/etc/xid.yaml"})).await.0, "healthy");
    let cx = fake().aged("/etc/xid.yaml", "- 7", 1).cx();
    let with = json!({"node": "gpu-21", "policy": "/etc/xid.yaml"});
    let error = Read::new(Health).perform(&cx, &with, &Value::Null).await.unwrap_err();
    assert_eq!(error.kind, StepErrorKind::Params);
}
