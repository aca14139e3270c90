//! The run that nothing happens to, and what every other run of the case must come to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use engine::journal::Record;
use engine::run::Entry;
use engine::walk::Ending;
use tokio::sync::OnceCell;

use super::case::{Case, registry};
use super::process::{Disk, End, Left, place, way};
use super::stage::Stage;

/// A run of a case without accidents.
pub(crate) struct Reference {
    pub case: Arc<Case>,
    pub ending: Ending,
    pub records: Vec<Record>,
    /// Its journal as it is on disk.
    pub lines: Vec<String>,
    pub changes: Vec<String>,
    /// Type and node of every entry.
    pub places: Vec<String>,
    /// The world after every entry; the first is the one before.
    pub stages: Vec<Arc<Stage>>,
}

impl Reference {
    /// The same for all tests of this process: nothing is changed in it.
    pub(crate) async fn shared(runbook: &str, recording: &str) -> Arc<Self> {
        type Slot = Arc<OnceCell<Arc<Reference>>>;
        static ALL: Mutex<BTreeMap<String, Slot>> = Mutex::new(BTreeMap::new());
        let slot = Arc::clone(ALL.lock().unwrap().entry(format!("{runbook}/{recording}")).or_default());
        let made = slot.get_or_init(async || Arc::new(Self::of(runbook, recording).await));
        Arc::clone(made.await)
    }

    async fn of(runbook: &str, recording: &str) -> Self {
        let case = Arc::new(Case::of(runbook, recording));
        let stage = Stage::keeping(case.world());
        let disk = Disk::new(&case);
        let End::Rest(ending, records) = disk.process(&stage, registry(), Left::Killed).await else {
            panic!("{}: nobody killed it", case.name)
        };
        assert!(matches!(ending, Ending::Ended { .. }), "{}: {ending:?}", case.name);
        let places: Vec<String> = records.iter().map(|record| place(&record.entry)).collect();
        let stages = stage.kept();
        let seen = stage.seen();
        assert_eq!((&seen.wrong, seen.entries), (&Vec::new(), records.len()), "{}", case.name);
        let changes = seen.changes.clone();
        drop(seen);
        Self { lines: disk.lines(), case, ending, records, changes, places, stages }
    }

    /// The world and the disk as they are before the visit to which an entry belongs.
    pub(crate) fn before(&self, entry: usize) -> (Arc<Stage>, Disk) {
        let visit = |number: usize| visit(&self.records[number - 1].entry);
        let start = (1..entry).rev().find(|earlier| visit(*earlier) != visit(entry)).unwrap_or(0);
        (self.stages[start].fork(), Disk::with(&self.case, &self.lines[..start]))
    }

    /// The entry after which a change shows.
    pub(crate) fn entry_of(&self, change: usize) -> usize {
        let made = self.stages.iter().position(|stage| stage.seen().changes.len() >= change);
        made.expect("the change is in the run")
    }

    /// Holds a run that was cut off or broke against this one.
    #[track_caller]
    pub(crate) fn holds(&self, end: End, stage: &Stage, how: &str) {
        let End::Rest(ending, records) = end else { panic!("{}, {how}: it died again", self.case.name) };
        let seen = stage.seen();
        assert_eq!(seen.changes, self.changes, "{}, {how}: {ending:?}", self.case.name);
        assert_eq!(seen.wrong, Vec::<String>::new(), "{}, {how}", self.case.name);
        if !self.case.restless {
            assert_eq!(way(&records), way(&self.records), "{}, {how}", self.case.name);
        }
        assert_eq!(ending, self.ending, "{}, {how}", self.case.name);
    }
}

/// The visit that an entry belongs to; the end of the run is one of its own.
fn visit(entry: &Entry) -> Option<u64> {
    serde_json::to_value(entry).unwrap()["visit"].as_u64()
}
