//! Events made by hand, as a person sees them.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use engine::dry_run::{Branch, DryRun, How, Shown};
use engine::event::Event;
use engine::journal::Record;
use engine::plan::{Body, EndKind, Node, PlanData, Scope};
use engine::run::{Change, Entry, GateItem, Mode, RunId, Started, Verdict};
use engine::step::{Price, Progress, StepError, Undone};
use engine::template::Standing;
use engine::walk::Ending;
use serde_json::Value;

use super::{Reporter, Screen, last_words, story, tree};

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Desk {
    paper: Paper,
    screen: Arc<Screen>,
    reporter: Reporter,
    seconds: i64,
    seq: u64,
}

impl Desk {
    fn new() -> Self {
        let paper = Paper::default();
        let screen = Arc::new(Screen::plain(paper.clone()));
        Self { reporter: Reporter::new(Arc::clone(&screen)), paper, screen, seconds: 0, seq: 0 }
    }

    /// Reports an entry that was written `after` seconds after the one before it.
    fn entry(&mut self, after: i64, entry: Entry) -> &mut Self {
        self.seconds += after;
        self.seq += 1;
        let at = jiff::Timestamp::from_second(1_795_000_000 + self.seconds).unwrap();
        self.reporter.hear(&Event::Recorded(Record { seq: self.seq, at, prev: String::new(), entry }));
        self
    }

    fn finished(
        &mut self,
        after: i64,
        visit: u64,
        node: &str,
        outcome: &str,
        summary: &[&str],
        changed: bool,
    ) -> &mut Self {
        self.entry(
            after,
            Entry::Finished {
                visit,
                node: node.into(),
                outcome: outcome.into(),
                output: Value::Null,
                summary: summary.iter().map(|line| (*line).to_owned()).collect(),
                set: BTreeMap::new(),
                standing: Standing::Known,
                changed,
                by: None,
            },
        )
    }

    fn end(&mut self, ending: &Ending) -> String {
        self.screen.lines(&last_words(&self.screen, &self.reporter, ending, true));
        String::from_utf8(self.paper.0.lock().unwrap().clone()).unwrap()
    }
}

fn node(id: &str, title: &str, flow: &str) -> Node {
    let body = Body::End { end: EndKind::Resolved, message: None };
    let flow = Some(flow.to_owned()).filter(|flow| !flow.is_empty());
    Node { id: id.into(), scope: String::new(), title: title.into(), flow, why: None, body }
}

fn started() -> Entry {
    let scope = Scope { runbook: "training-oom".into(), inputs: BTreeMap::new(), vars: Vec::new() };
    let plan = PlanData {
        format: 1,
        runbook: "training-oom".into(),
        title: "Training out-of-memory".into(),
        severity: Some("job-down".into()),
        source_digest: String::new(),
        scopes: BTreeMap::from([(String::new(), scope)]),
        start: "error".into(),
        nodes: vec![
            node("error", "Read error fields", "B"),
            node("stop", "scancel job (free the GPUs)", "C"),
            node("fault/drain", "Drain \u{1b}[31mnode", ""),
            node("by_hand", "by_hand", ""),
        ],
    };
    Entry::Started(Box::new(Started {
        secrets: std::collections::BTreeMap::new(),
        run: RunId::parse("20261124-031244-k7f2").unwrap(),
        program: "0".into(),
        plan: plan.into(),
        inputs: BTreeMap::new(),
        operator: "ada".into(),
        host: "login2".into(),
        mode: Mode::Rehearsal { recording: "fragmentation".into() },
        target: "job 123456".into(),
        place: None,
    }))
}

#[test]
fn a_run_as_a_person_sees_it() {
    let mut desk = Desk::new();
    desk.entry(0, started());
    desk.finished(
        2,
        1,
        "error",
        "gpu_oom",
        &["rank 3 on gpu-21\u{7}: tried 2.0 GiB", "free \u{1b}[2J0.4 GiB"],
        false,
    );
    desk.reporter.hear(&Event::Began {
        visit: 2,
        node: "stop".into(),
        title: "scancel job (free the GPUs)".into(),
        flow: Some("C".into()),
        kind: "slurm.cancel".into(),
    });
    desk.reporter.hear(&Event::Progress {
        visit: 2,
        node: "stop".into(),
        progress: Progress { message: "waiting for the job to end".into(), fraction: None },
    });
    desk.reporter.hear(&Event::Retrying {
        visit: 2,
        node: "stop".into(),
        message: "slurmctld did not answer".into(),
        seconds: 5.0,
    });
    let answered = |approved, reason: Option<&str>| Entry::GateAnswered {
        visit: 2,
        approved,
        by: "ada".into(),
        via: None,
        refused: None,
        reason: reason.map(str::to_owned),
        digest: String::new(),
    };
    desk.entry(60, answered(false, Some("not during the demo")));
    desk.entry(0, Entry::Declined { visit: 2, node: "stop".into() });
    desk.entry(5, answered(true, None));
    desk.finished(130, 2, "stop", "released", &["32 GPUs are free"], true);
    desk.entry(1, Entry::Confirmed { visit: 2, item: None, verdict: Verdict::DidNot, by: "probe".into() });
    let error = StepError::failed("gpu-21: scontrol: Access/permission denied")
        .help("ask an operator of the cluster");
    desk.entry(0, Entry::ItemDone { visit: 3, item: 1, result: Err(error.clone()), changed: true });
    desk.entry(0, Entry::Failed { visit: 3, node: "fault/drain".into(), error });
    desk.entry(
        0,
        Entry::Undone {
            visit: 2,
            item: None,
            result: Ok(Undone::Cannot("it cannot be started again".into())),
        },
    );
    let shown = desk.end(&Ending::Held {
        node: "fault/drain".into(),
        why: "gpu-21: scontrol: Access/permission denied".into(),
        help: Some("ask an operator of the cluster".into()),
    });
    insta::assert_snapshot!(shown, @r#"
    training-oom · Training out-of-memory · job-down
    run 20261124-031244-k7f2 · job 123456 · ada on login2
    REHEARSAL on the recording fragmentation: nothing real is touched

    ✓ B  Read error fields → gpu_oom  2.0 s
         rank 3 on gpu-21 : tried 2.0 GiB
         free 0.4 GiB
         ↻ slurmctld did not answer; trying again in 5.0 s
       declined by ada: not during the demo

    ✗ C  scancel job (free the GPUs) → declined
       approved by ada

    ● C  scancel job (free the GPUs) → released  changed  2 min 10 s
         32 GPUs are free
         scancel job (free the GPUs): looked into what was begun: it did not happen (probe)
         ✗ item 2: gpu-21: scontrol: Access/permission denied
      ✗ ·  Drain node → broke
         gpu-21: scontrol: Access/permission denied
         hint: ask an operator of the cluster
    ✗ C  scancel job (free the GPUs) → not taken back
         it cannot be started again

    ✗ HELD: the evidence is kept
      at       Drain node
      why      gpu-21: scontrol: Access/permission denied
      hint     ask an operator of the cluster

      changed  scancel job (free the GPUs): released
      This was a rehearsal: nothing real was touched.
      run      20261124-031244-k7f2
      go on    runbook resume 20261124-031244-k7f2  (tries it again)
    "#);
}

#[test]
fn the_ways_to_end() {
    let end = |ending| {
        let mut desk = Desk::new();
        desk.entry(0, started());
        desk.paper.0.lock().unwrap().clear();
        desk.end(&ending)
    };
    let message = Some("What was found.\nWhat is left to do.".to_owned());
    let ended = |end| Ending::Ended { end, node: "by_hand".into(), message: message.clone() };
    let change = |visit, node: &str, undone| Change {
        visit,
        item: None,
        node: node.into(),
        kind: "x".into(),
        irreversible: false,
        in_doubt: false,
        undone,
    };
    let changes = vec![
        change(9, "fault/drain", Some(Ok(Undone::Restored("gpu-21 is back in service".into())))),
        change(7, "stop", Some(Ok(Undone::Cannot("the file was edited since".into())))),
        change(2, "stop", None),
    ];
    let all = [
        ended(EndKind::Resolved),
        ended(EndKind::NoAction),
        ended(EndKind::Escalated),
        Ending::Parked { node: "stop".into() },
        Ending::Stuck {
            node: "stop".into(),
            why: "the file was edited since".into(),
            changes: changes.clone(),
        },
        Ending::RolledBack {
            broke: Some(("stop".into(), "out of time".into())),
            changes: changes[..1].into(),
        },
        Ending::Interrupted,
    ];
    insta::assert_snapshot!(all.map(end).concat(), @r#"
    ✓ RESOLVED
      What was found.
      What is left to do.

      changed  nothing
      This was a rehearsal: nothing real was touched.
      run      20261124-031244-k7f2
    ✓ NO ACTION NEEDED
      What was found.
      What is left to do.

      changed  nothing
      This was a rehearsal: nothing real was touched.
      run      20261124-031244-k7f2
    ▲ ESCALATED: a person has to take over
      What was found.
      What is left to do.

      changed  nothing
      This was a rehearsal: nothing real was touched.
      run      20261124-031244-k7f2
    ‖ WAITING: nobody was there to answer
      at       scancel job (free the GPUs)

      changed  nothing
      This was a rehearsal: nothing real was touched.
      run      20261124-031244-k7f2
      go on    runbook resume 20261124-031244-k7f2  (shows it again and asks)
    ✗ STUCK: a change could not be taken back
      at       scancel job (free the GPUs)
      why      the file was edited since
      restored Drain node: gpu-21 is back in service
      not      scancel job (free the GPUs): could not be taken back
               scancel job (free the GPUs): not tried

      This was a rehearsal: nothing real was touched.
      run      20261124-031244-k7f2
      go on    runbook rollback 20261124-031244-k7f2  (tries it again)
               runbook rollback 20261124-031244-k7f2 --leave stop  (leaves it as it is)
    ✓ ROLLED BACK: what was changed is taken back
      broke    scancel job (free the GPUs)
      why      out of time
      restored Drain node: gpu-21 is back in service

      This was a rehearsal: nothing real was touched.
      run      20261124-031244-k7f2
    ‖ INTERRUPTED: stopped at a safe point

      changed  nothing
      This was a rehearsal: nothing real was touched.
      run      20261124-031244-k7f2
      go on    runbook resume 20261124-031244-k7f2  (goes on from here)
    "#);
}

/// A fork behind a change, one way back and one more change.
fn dry() -> DryRun {
    let shown = |number, node: &str, how, branches| Shown {
        number,
        node: node.into(),
        title: format!("Title of {node}"),
        flow: None,
        kind: None,
        how,
        policy: None,
        branches,
    };
    let branch = |outcome: &str, standing, then| Branch {
        outcome: outcome.into(),
        label: (outcome == "faulty").then(|| "yes".to_owned()),
        standing,
        summary: vec![format!("what {outcome} means")],
        output: Value::Null,
        then: Box::new(then),
    };
    let end =
        |number, end| shown(number, "end", How::End { end, message: Some("all is well".into()) }, Vec::new());
    let item = GateItem {
        target: "job 1".into(),
        commands: vec!["scancel 1".into()],
        diffs: Vec::new(),
        notes: Vec::new(),
        undo: None,
        price: Price { gpus: Some(8), jobs: vec!["1".into()], ..Price::default() },
        digest: "d".into(),
    };
    let change = |number, branches| {
        shown(number, "stop", How::Change { items: vec![item.clone()], gated: true }, branches)
    };
    let health =
        |branches| shown(3, "health", How::Open { on: vec!["stop.state".into()], changes: false }, branches);
    let first = shown(
        1,
        "error",
        How::Read,
        vec![branch(
            "gpu_oom",
            Standing::Known,
            change(
                2,
                vec![
                    branch(
                        "released",
                        Standing::Predicted,
                        health(vec![
                            branch(
                                "faulty",
                                Standing::Open,
                                shown(4, "drain", How::Open { on: Vec::new(), changes: true }, Vec::new()),
                            ),
                            branch(
                                "healthy",
                                Standing::Open,
                                change(
                                    5,
                                    vec![branch("released", Standing::Predicted, end(6, EndKind::Resolved))],
                                ),
                            ),
                            branch(
                                "unknown",
                                Standing::Open,
                                shown(7, "stop", How::Again { number: 2 }, Vec::new()),
                            ),
                        ]),
                    ),
                    branch("stuck", Standing::Open, end(8, EndKind::Escalated)),
                ],
            ),
        )],
    );
    DryRun { first, complete: false }
}

#[test]
fn a_dry_run_as_a_tree() {
    let screen = Screen::plain(std::io::sink());
    insta::assert_snapshot!(tree(&screen, &dry()).join("\n"), @r#"
    ✓ ·  Title of error
         → gpu_oom  found now
           what gpu_oom means
    ● ·  Title of stop  would change; asks first  #2
         target   job 1
         runs
           scancel 1
         price    8 GPUs, job 1
                  what is lost since the last good checkpoint is not known
         undo     none: this cannot be taken back
      ├─ released  predicted
      │    what released means
      │  ? ·  Title of health  not known yet
      │       depends on stop.state
      │    ├─ faulty "yes"  possible
      │    │    what faulty means
      │    │  ? ·  Title of drain  would change; what exactly is not known yet
      │    ├─ healthy  possible
      │    │    what healthy means
      │    │  ● ·  Title of stop  would change; asks first
      │    │       the same change as at #2
      │    │       → released  predicted
      │    │         what released means
      │    │  ✓ resolved  Title of end
      │    │       all is well
      │    └─ unknown  possible
      │         what unknown means
      │       ↻ ·  Title of stop as from #2
      └─ stuck  possible
           what stuck means
         ▲ escalated  Title of end
              all is well

    Not every path could be looked at: there are too many.
    As far as is shown, a real run would ask before each of its changes, at 2 nodes.
    Dry run: nothing was changed.
    "#);
}

#[test]
fn a_dry_run_as_a_story() {
    let screen = Screen::plain(std::io::sink());
    insta::assert_snapshot!(story(&screen, &dry()).join("\n"), @r#"
    ✓ ·  Title of error
         → gpu_oom  found now
           what gpu_oom means
    ● ·  Title of stop  would change; asks first
         target   job 1
         runs
           scancel 1
         price    8 GPUs, job 1
                  what is lost since the last good checkpoint is not known
         undo     none: this cannot be taken back
         → released  predicted
           what released means
         or stuck → escalated (Title of end)
    ? ·  Title of health  not known yet
         depends on stop.state
         → faulty "yes"  possible
           what faulty means
         or healthy, unknown → ↻ Title of stop
    ? ·  Title of drain  would change; what exactly is not known yet

    Not every path could be looked at: there are too many.
    As far as is shown, a real run would ask before each of its changes, at 2 nodes.
    Dry run: nothing was changed.
    `--all-paths` shows every path, `--json` all there is to know.
    "#);
}
