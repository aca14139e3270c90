//! Every change is taken back, newest first: cut off before and after its effect, and again when it is done. The second time
//! nothing is left to do.

use std::sync::Arc;

use engine::run::{Act, Entry};
use engine::site::Site;
use engine::step::{StepCx, Undone};

use super::case::registry;
use super::reference::Reference;
use super::stage::{Moment, Stage};
use super::taken::Taken;

/// Takes a change back; `None` if the process dies over it.
async fn undo(stage: &Arc<Stage>, act: &Act, token: &str, dies: Option<Moment>) -> Option<Undone> {
    stage.seen().dies = dies;
    let registry = registry();
    let step = registry.get(&act.kind).unwrap();
    let cx = StepCx::new(Arc::clone(stage) as Arc<dyn Site>, token);
    let undone = tokio::select! {
        biased;
        () = stage.died() => None,
        undone = step.undo(&cx, &act.params, &act.intent) => Some(undone.unwrap_or_else(|error| panic!("{}: {error}", act.kind))),
    };
    stage.revive();
    undone
}

async fn taken_back_twice(runbook: &str, recording: &str) {
    let reference = Reference::shared(runbook, recording).await;
    let name = &reference.case.name;
    let stage = reference.stages.last().unwrap().fork();
    stage.seen().taken = Some(Taken::default());
    let (mut acts, mut restored) = (0, 0);
    for record in reference.records.iter().rev() {
        let Entry::Intended { visit, node, item, act } = &record.entry else { continue };
        acts += 1;
        let how = format!("{name}: {} of {node} in visit {visit}", act.kind);
        let item = item.map_or_else(String::new, |item| format!(".{item}"));
        let token = format!("{}/{visit}{item}", reference.case.started().run);
        let made = |stage: &Stage| stage.seen().changes.len();
        let before = made(&stage);
        // A process that dies right before the first effect has taken nothing back, one that dies right after it has.
        match undo(&stage, act, &token, Some(Moment::BeforeChange(before + 1))).await {
            Some(Undone::Cannot(_)) if act.reversible.is_none() => {}
            // A later change of the run took its place, or the job ended by itself.
            Some(Undone::NothingToDo(_)) => {}
            Some(undone) => panic!("{how}: it did not die, but {undone:?}"),
            None => {
                assert!(act.reversible.is_some(), "{how}: it said that it cannot be taken back");
                let cut = stage.fork();
                assert_eq!(
                    undo(&cut, act, &token, Some(Moment::AfterChange(before + 1))).await,
                    None,
                    "{how}"
                );
                assert_eq!(made(&cut), before + 1, "{how}");
                // What was cut off after one of several effects does the rest.
                undo(&cut, act, &token, None).await;
                let undone = undo(&stage, act, &token, None).await.unwrap();
                assert!(matches!(undone, Undone::Restored(_)), "{how}: {undone:?}");
                assert_eq!(cut.seen().changes, stage.seen().changes, "{how}: cut off and taken up again");
                restored += 1;
            }
        }
        let whole = made(&stage);
        let again = undo(&stage, act, &token, None).await.unwrap();
        let nothing = if act.reversible.is_some() { "NothingToDo" } else { "Cannot" };
        assert!(format!("{again:?}").starts_with(nothing), "{how}, again: {again:?}");
        assert_eq!(made(&stage), whole, "{how}, again");
    }
    let intents = reference.records.iter().filter(|record| matches!(record.entry, Entry::Intended { .. }));
    assert_eq!(acts, intents.count(), "{name}");
    assert!(restored > 0 || acts < 2, "{name}: nothing was taken back");
    assert_eq!(stage.seen().wrong, Vec::<String>::new(), "{name}");
}

on_every_recording!(taken_back_twice);
