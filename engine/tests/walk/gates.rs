//! Consent: to exactly what was shown, by somebody who was there.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use engine::lock::{Claim, LockError, Locks, MemoryLocks};
use engine::plan::{Approve, EndKind, Node};
use engine::policy::{Demand, Intended, Policy};
use engine::run::{Answer, AskedOf, Decided, Entry, Gate, Operator, Rule, RunId};
use engine::step::Question;
use engine::walk::{Ending, Hold, World};
use jiff::Timestamp;
use serde_json::json;

use crate::kit::*;

fn nodes() -> Vec<Node> {
    vec![
        node("act", "put", json!({"thing": "a", "value": "2"}), "*>ok"),
        end("ok", EndKind::Resolved),
        end("no", EndKind::NoAction),
    ]
}

#[tokio::test]
async fn nobody_parks_and_resume_asks_again() {
    let things = Shared::default();
    let (ending, journal) =
        walk(started(nodes(), vec![]), world(&things, Scripted::with(vec![None], false))).await;
    assert_eq!(ending, Ending::Parked { node: "act".to_owned() });
    assert!(things.lock().acts.is_empty());
    let ending = resume(&journal, world(&things, Scripted::yes())).await.unwrap();
    assert!(matches!(ending, Ending::Ended { .. }), "{ending:?}");
    assert_eq!(things.lock().acts, ["put a 2"]);
}

#[tokio::test]
async fn no_is_a_decision() {
    let things = Shared::default();
    let (ending, journal) =
        walk(started(nodes(), vec![]), world(&things, Scripted::with(vec![Some(false)], false))).await;
    assert!(matches!(ending, Ending::Held { .. }), "{ending:?}");
    assert_eq!(trail(&journal), ["act-"]);
    let mut declined = nodes();
    declined[0] = but(declined[0].clone(), |step| step.declined = Some("no".to_owned()));
    let (_, journal) =
        walk(started(declined, vec![]), world(&things, Scripted::with(vec![Some(false)], false))).await;
    assert_eq!(trail(&journal), ["act-", "no"]);
    assert!(things.lock().acts.is_empty());
}

#[tokio::test]
async fn what_drifts_while_the_person_looks_is_asked_again() {
    let things = Shared::default();
    things.set("a", "1");
    let person = Scripted::with(vec![Some(true), None], false);
    let meanwhile = things.clone();
    *person.meanwhile.lock().unwrap() = Some(Box::new(move || meanwhile.set("a", "somebody else's")));
    let (ending, _) = walk(started(nodes(), vec![]), world(&things, person.clone())).await;
    assert_eq!(ending, Ending::Parked { node: "act".to_owned() });
    assert!(things.lock().acts.is_empty(), "consent to something else was used");
    let asked = person.asked.lock().unwrap();
    assert_eq!(asked.iter().map(|gate| gate.again).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn it_is_looked_at_again_only_if_time_has_passed() {
    let run = async |person: Arc<Scripted>, things: &Shared| {
        let (ending, _) = walk(started(nodes(), vec![]), world(things, person)).await;
        assert!(matches!(ending, Ending::Ended { .. }), "{ending:?}");
        assert_eq!(things.lock().acts, ["put a 2"]);
        things.lock().previews
    };
    let things = Shared::default();
    assert_eq!(run(Scripted::yes(), &things).await, 2, "a person takes time, whatever the clock says");
    let things = Shared::default();
    assert_eq!(run(Scripted::flag(|| {}), &things).await, 1);
    for seconds in [60, -60] {
        let things = Shared::default();
        let meanwhile = things.clone();
        let stuck = Scripted::flag(move || meanwhile.lock().clock = seconds);
        assert_eq!(run(stuck, &things).await, 2, "the terminal or the disk kept it waiting");
    }
}

#[tokio::test]
async fn nothing_to_do_asks_nobody() {
    let things = Shared::default();
    things.set("a", "2");
    let person = Scripted::with(vec![], false);
    let (ending, journal) = walk(started(nodes(), vec![]), world(&things, person.clone())).await;
    assert!(matches!(ending, Ending::Ended { .. }));
    assert_eq!(trail(&journal), ["act:unchanged", "ok"]);
    assert!(person.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn only_what_is_written_ungated_is_ungated() {
    let things = Shared::default();
    let mut nodes = nodes();
    nodes[0] = but(nodes[0].clone(), |step| step.approve = Approve::Never);
    let (ending, _) = walk(started(nodes, vec![]), world(&things, Scripted::with(vec![], false))).await;
    assert!(matches!(ending, Ending::Ended { .. }));
    assert_eq!(things.lock().acts, ["put a 2"]);
}

/// People who answer one after the other; `ada` and `ben` are of the group `sre`.
struct People(Mutex<Vec<(&'static str, bool)>>);

impl People {
    fn who(answers: &[(&'static str, bool)]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(answers.to_vec())))
    }
}

#[async_trait]
impl Operator for People {
    async fn consent(&self, _at: &AskedOf, _gate: &Gate) -> Answer<bool> {
        let mut left = self.0.lock().unwrap();
        if left.is_empty() {
            return Answer::Nobody;
        }
        let (by, value) = left.remove(0);
        Answer::Given(Decided { value, by: by.to_owned(), via: None, reason: None, at_once: false })
    }

    async fn choose(&self, _at: &AskedOf, _question: &Question) -> Answer<String> {
        Answer::Nobody
    }

    async fn is_member(&self, account: &str, group: &str) -> Option<bool> {
        (account != "eve").then_some(group == "sre" && matches!(account, "ada" | "ben"))
    }
}

fn ruled(rule: Rule) -> Vec<Node> {
    let mut nodes = nodes();
    nodes[0] =
        but(nodes[0].clone(), |step| step.approve = Approve::Required { prompt: None, rule: Box::new(rule) });
    nodes
}

fn acted(things: &Shared) -> bool {
    !things.lock().acts.is_empty()
}

/// Whether these answers suffice for this rule. The operator of the run is `anna`.
async fn suffice(rule: &Rule, answers: &[(&'static str, bool)]) -> bool {
    let things = Shared::default();
    let (ending, _) = walk(started(ruled(rule.clone()), vec![]), world(&things, People::who(answers))).await;
    assert_eq!(acted(&things), matches!(ending, Ending::Ended { .. }), "{ending:?}");
    acted(&things)
}

#[tokio::test]
async fn two_have_to_agree_and_nobody_counts_twice() {
    let two = Rule { by: 2, ..Rule::default() };
    assert!(suffice(&two, &[("anna", true), ("ben", true)]).await);
    assert!(!suffice(&two, &[("anna", true)]).await);
    assert!(!suffice(&two, &[("anna", true), ("anna", true)]).await);
    assert!(!suffice(&two, &[("anna", true), ("ben", false)]).await);
    assert!(!suffice(&two, &[("ada", true), ("ada", false), ("ben", true)]).await, "ada took her yes back");
}

#[tokio::test]
async fn whoever_walks_the_run_may_say_no_but_not_yes() {
    let other = Rule { not_operator: true, ..Rule::default() };
    assert!(!suffice(&other, &[("anna", true)]).await);
    assert!(suffice(&other, &[("anna", true), ("ben", true)]).await);
    assert!(!suffice(&other, &[("anna", false), ("ben", true)]).await);
    assert!(!suffice(&other, &[("anna", true), ("anna", false), ("ben", true)]).await);
}

#[tokio::test]
async fn only_members_count_and_an_unknown_membership_is_none() {
    let sre = Rule { groups: ["sre".to_owned()].into(), ..Rule::default() };
    assert!(suffice(&sre, &[("ada", true)]).await);
    assert!(!suffice(&sre, &[("carl", true)]).await);
    assert!(!suffice(&sre, &[("eve", true)]).await);
    assert!(
        suffice(&sre, &[("eve", false), ("carl", false), ("ada", true)]).await,
        "their no does not count"
    );
}

#[tokio::test]
async fn an_open_gate_keeps_its_answers_over_a_resume() {
    let (things, two) = (Shared::default(), Rule { by: 2, ..Rule::default() });
    let (ending, journal) =
        walk(started(ruled(two), vec![]), world(&things, People::who(&[("ada", true)]))).await;
    assert_eq!(ending, Ending::Parked { node: "act".to_owned() });
    let ending = resume(&journal, world(&things, People::who(&[("ben", true)]))).await.unwrap();
    assert!(matches!(ending, Ending::Ended { .. }), "{ending:?}");
    let opened =
        journal.disk.lock().unwrap().iter().filter(|r| matches!(r.entry, Entry::GateOpened { .. })).count();
    assert_eq!(opened, 1);
}

#[tokio::test]
async fn a_closed_gate_takes_no_answer() {
    let things = Shared::default();
    let rule = Rule { expires: Some(Duration::ZERO), ..Rule::default() };
    let (ending, journal) =
        walk(started(ruled(rule), vec![]), world(&things, People::who(&[("ada", true)]))).await;
    assert_eq!(ending, Ending::Parked { node: "act".to_owned() });
    assert!(!acted(&things));
    assert!(journal.disk.lock().unwrap().iter().all(|r| !matches!(r.entry, Entry::GateAnswered { .. })));
}

#[tokio::test]
async fn an_answer_is_about_one_opening_of_a_gate() {
    let (things, people) = (Shared::default(), Scripted::with(vec![None, None], false));
    let rule = Rule { expires: Some(Duration::ZERO), ..Rule::default() };
    let (_, journal) = walk(started(ruled(rule), vec![]), world(&things, people.clone())).await;
    let _ = resume(&journal, world(&things, people)).await.unwrap();
    let opened: Vec<Gate> = journal
        .disk
        .lock()
        .unwrap()
        .iter()
        .filter_map(|record| match &record.entry {
            Entry::GateOpened { gate, .. } => Some(Gate::clone(gate)),
            _ => None,
        })
        .collect();
    assert_eq!(opened.len(), 2, "a closed gate opens anew");
    assert_eq!(opened[0].digest, opened[1].digest);
    let mut later = opened[1].clone();
    later.opened = Timestamp::UNIX_EPOCH + Duration::from_millis(1);
    assert_ne!(opened[0].about(), later.about());
}

struct Strict(Demand);

impl Policy for Strict {
    fn demands(&self, change: &Intended<'_>) -> Demand {
        assert_eq!((change.kind, change.targets), ("put", &["thing/a".to_owned()][..]));
        self.0.clone()
    }

    fn digest(&self) -> String {
        "p".to_owned()
    }
}

#[tokio::test]
async fn a_policy_only_tightens() {
    let never = || {
        let mut nodes = nodes();
        nodes[0] = but(nodes[0].clone(), |step| step.approve = Approve::Never);
        started(nodes, vec![])
    };
    let things = Shared::default();
    let under = |demand, answers: &[(&'static str, bool)]| World {
        policy: Arc::new(Strict(demand)),
        ..world(&things, People::who(answers))
    };
    let two = || Demand::Gate(Rule { by: 2, ..Rule::default() });
    let (ending, _) = walk(never(), under(two(), &[("anna", true)])).await;
    assert_eq!(ending, Ending::Parked { node: "act".to_owned() });
    let (ending, _) = walk(never(), under(Demand::Forbidden("not at night".to_owned()), &[])).await;
    assert!(matches!(&ending, Ending::Held { why, .. } if why.contains("not at night")), "{ending:?}");
    assert!(!acted(&things));
    let (ending, _) = walk(never(), under(two(), &[("anna", true), ("ben", true)])).await;
    assert!(matches!(ending, Ending::Ended { .. }), "{ending:?}");
}

fn claim(run: &str) -> Claim {
    Claim {
        target: "thing/a".to_owned(),
        run: RunId::parse(run).unwrap(),
        account: "ben".to_owned(),
        host: "login2".to_owned(),
        pid: 1,
        since: Timestamp::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn what_another_run_acts_on_is_left_alone() {
    let (things, locks) = (Shared::default(), MemoryLocks::default());
    let taken = locks.take(&claim("other")).unwrap();
    let here = |people| World { locks: Arc::new(locks.clone()), ..world(&things, people) };
    let (ending, journal) = walk(started(nodes(), vec![]), here(People::who(&[("anna", true)]))).await;
    assert!(matches!(&ending, Ending::Locked { holder, .. } if holder.as_str() == "other"), "{ending:?}");
    assert!(!acted(&things));
    drop(taken);
    let ending = resume(&journal, here(People::who(&[("anna", true)]))).await.unwrap();
    assert!(matches!(ending, Ending::Ended { .. }), "{ending:?}");
    assert!(locks.held().unwrap().is_empty(), "a walk that is over lets go");
}

/// Demands something of whoever takes a lock over.
struct OfTakeOvers(Demand);

impl Policy for OfTakeOvers {
    fn demands(&self, change: &Intended<'_>) -> Demand {
        let over = change.kind == "take-over" && change.runbook == "demo" && change.targets == ["thing/a"];
        if over { self.0.clone() } else { Demand::Nothing }
    }

    fn digest(&self) -> String {
        "p".to_owned()
    }
}

#[tokio::test]
async fn the_policy_counts_where_a_lock_is_taken_over() {
    let gate = |rule: Rule| Demand::Gate(rule);
    let other = gate(Rule { not_operator: true, ..Rule::default() });
    let cases = [
        (Demand::Nothing, "ben", None),
        (Demand::Forbidden("not at night".to_owned()), "anna", Some("not at night")),
        (gate(Rule { by: 2, ..Rule::default() }), "anna", Some("it takes 2 people")),
        (gate(Rule { groups: ["sre".to_owned()].into(), ..Rule::default() }), "anna", Some("member of sre")),
        (other.clone(), "ben", Some("ben walks this run")),
        (other, "anna", None),
    ];
    for (demand, who, refused) in cases {
        let (things, locks) = (Shared::default(), MemoryLocks::default());
        std::mem::forget(locks.take(&claim("other")).unwrap());
        let policy = Arc::new(OfTakeOvers(demand.clone()));
        let world =
            World { locks: Arc::new(locks.clone()), policy, ..world(&things, People::who(&[(who, true)])) };
        let at = AskedOf {
            run: RunId::parse("mine").unwrap(),
            visit: 0,
            node: String::new(),
            title: String::new(),
            answered: Default::default(),
            agreed: Default::default(),
            operators: Default::default(),
        };
        let from = RunId::parse("other").unwrap();
        let taken = Hold::take(&world, &claim("mine"), Some(&from), &at, "demo").await;
        match (taken, refused) {
            (Ok(_), None) => {}
            (Err(LockError::Broken { why, .. }), Some(words)) => {
                assert!(why.contains(words), "{demand:?}: {why}");
                assert_eq!(locks.held().unwrap()[0].claim.run, from, "{demand:?}");
            }
            (taken, _) => panic!("{demand:?}, {who}: {:?}", taken.err()),
        }
    }
}

/// Takes the lock over while the person looks at the gate.
struct Usurper(MemoryLocks, RunId);

#[async_trait]
impl Operator for Usurper {
    async fn consent(&self, _at: &AskedOf, _gate: &Gate) -> Answer<bool> {
        std::mem::forget(self.0.take_over(&claim("other"), &self.1).unwrap());
        Answer::Given(Decided { value: true, by: "anna".to_owned(), via: None, reason: None, at_once: false })
    }

    async fn choose(&self, _at: &AskedOf, _question: &Question) -> Answer<String> {
        Answer::Nobody
    }

    async fn is_member(&self, _account: &str, _group: &str) -> Option<bool> {
        None
    }
}

#[tokio::test]
async fn whoever_was_fenced_off_does_nothing_more() {
    let (things, locks) = (Shared::default(), MemoryLocks::default());
    let started = started(nodes(), vec![]);
    let usurper = Arc::new(Usurper(locks.clone(), started.run.clone()));
    let (ending, _) = walk(started, World { locks: Arc::new(locks), ..world(&things, usurper) }).await;
    assert!(
        matches!(&ending, Ending::Held { why, .. } if why.contains("has taken thing/a over")),
        "{ending:?}"
    );
    assert!(!acted(&things));
}
