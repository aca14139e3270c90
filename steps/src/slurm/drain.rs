//! `slurm.drain`: takes a suspect node out of service.

use async_trait::async_trait;
use engine::step::{
    ChangeStep, Confirmation, Done, Effect, Outcomes, Performed, Predicted, Preview, Price, StepCx,
    StepError, StepErrorKind, UndoPlan, UndoPreview, Undone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::{Refusal, command, refusal, run};
use super::mine::{carries, marked};
use super::node::{Node, check_name, is_down, show};
use crate::target;
use crate::text::clean;

/// Parameters of `slurm.drain`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// Name of one node, as Slurm knows it.
    node: String,
    /// Why, for the administrators: what was seen, where, in which job. One line.
    reason: String,
}

/// The change in full.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Intent {
    node: String,
    reason: String,
    token: String,
    state: String,
    /// The reason that stood there.
    #[serde(default)]
    old_reason: Option<String>,
}

/// How the node stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Output {
    /// The node.
    node: String,
    /// Its state before, as Slurm prints it: `MIXED`.
    state_before: Option<String>,
    /// Its state afterwards: `MIXED+DRAIN`.
    state_after: Option<String>,
    /// The reason that Slurm shows.
    reason: Option<String>,
    /// No new job starts on it.
    drained: Option<bool>,
    /// A message to the administrators, ready to be sent, where it takes one of them.
    request: Option<String>,
}

/// See the module.
pub(crate) struct Drain;

#[async_trait]
impl ChangeStep for Drain {
    const KIND: &'static str = "slurm.drain";
    const SUMMARY: &'static str = "Take a node out of service for new jobs; running jobs go on";
    const EFFECT: Effect = Effect::Reversible;
    type Params = Params;
    type Intent = Intent;
    type Output = Output;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[
            ("drained", "No new job starts on the node (or it was out of service already)"),
            ("denied", "It takes an administrator; the output holds a message to them"),
        ])
    }

    fn targets(&self, params: &Params) -> Vec<String> {
        vec![target::node(&params.node)]
    }

    async fn preview(&self, cx: &StepCx, params: &Params) -> Result<Preview<Intent, Output>, StepError> {
        check_name(&params.node)?;
        let reason = clean(&params.reason);
        if reason.is_empty() {
            return Err(StepError::new(StepErrorKind::Params, "a node is not drained without a reason"));
        }
        let node = show(cx, &params.node).await?;
        if out_of_service(&node) {
            return Ok(Preview::nothing(already(&params.node, &node)));
        }
        let intent = Intent {
            node: params.node.clone(),
            reason: marked(&reason, &cx.token),
            token: cx.token.clone(),
            state: node.state.clone(),
            old_reason: node.reason.clone(),
        };
        let mut notes =
            vec![format!("{} is {}: running jobs go on, no new one starts", params.node, clean(&node.state))];
        if let Some(old) = &node.reason {
            notes.push(format!("replaces the reason of an earlier time: {}", clean(old)));
        }
        if reason.starts_with("Action:") {
            notes.push(
                "some clouds take a reason that begins with `Action:` as an order to replace or reboot"
                    .to_owned(),
            );
        }
        let predicted =
            [("drained", Some(true)), ("denied", Some(false))].map(|(outcome, drained)| Predicted {
                outcome: outcome.to_owned(),
                output: Output {
                    node: params.node.clone(),
                    state_before: Some(node.state.clone()),
                    state_after: None,
                    reason: drained.filter(|drained| *drained).map(|_| intent.reason.clone()),
                    drained,
                    request: None,
                },
            });
        Ok(Preview {
            target: format!("node {}", params.node),
            commands: vec![update(&intent, "DRAIN").to_string()],
            diffs: Vec::new(),
            notes,
            // Jobs that run there go on: nobody's work is lost.
            price: Price { gpus: node.gpus, nodes: vec![params.node.clone()], ..Price::nothing() },
            undo: Some(format!(
                "{} (only while the reason is still this one)",
                update(&intent, intent.back())
            )),
            intent,
            predicted: predicted.into(),
            writes: Vec::new(),
            nothing_to_do: None,
        })
    }

    async fn perform(
        &self,
        cx: &StepCx,
        _: &Params,
        intent: &Intent,
    ) -> Result<Performed<Output>, StepError> {
        let before = show(cx, &intent.node).await?;
        // Somebody may have taken it out meanwhile: their reason stays.
        if out_of_service(&before) {
            return Ok(already(&intent.node, &before).into());
        }
        same(&before, intent)?;
        let output = run(cx, &update(intent, "DRAIN")).await.map_err(doubt)?;
        if !output.success() {
            return match refusal(&output) {
                Refusal::Denied(text) => Ok(denied(intent, &text).into()),
                refusal => Err(refusal.error(&format!("draining {}", intent.node))),
            };
        }
        let after = show(cx, &intent.node).await?;
        if !after.is_drained() {
            return Err(StepError::failed(format!(
                "Slurm took the order, but {} is {}",
                intent.node,
                clean(&after.state)
            )));
        }
        Ok(drained(intent, &after).into())
    }

    async fn confirm(
        &self,
        cx: &StepCx,
        _: &Params,
        intent: &Intent,
    ) -> Result<Confirmation<Output>, StepError> {
        Ok(match show(cx, &intent.node).await {
            Ok(node) if node.is_drained() && is_ours(&node, intent) => {
                Confirmation::Happened(drained(intent, &node))
            }
            Ok(node) if node.is_drained() => Confirmation::Happened(already(&intent.node, &node)),
            Ok(_) => Confirmation::DidNot,
            Err(error) => Confirmation::Unknown(error.message),
        })
    }

    async fn preview_undo(&self, cx: &StepCx, _: &Params, intent: &Intent) -> Result<UndoPreview, StepError> {
        if let Some(why) = left_alone(&show(cx, &intent.node).await?, intent) {
            return Ok(UndoPreview::NothingToDo(why));
        }
        Ok(UndoPreview::Would(UndoPlan {
            target: format!("node {}", intent.node),
            commands: vec![update(intent, intent.back()).to_string()],
            notes: vec![format!(
                "it is still drained for the reason that this run gave: {}",
                clean(&intent.reason)
            )],
            ..UndoPlan::default()
        }))
    }

    async fn undo(&self, cx: &StepCx, _: &Params, intent: &Intent) -> Result<Undone, StepError> {
        let node = show(cx, &intent.node).await?;
        let name = &intent.node;
        if let Some(why) = left_alone(&node, intent) {
            return Ok(Undone::NothingToDo(why));
        }
        let output = run(cx, &update(intent, intent.back())).await.map_err(doubt)?;
        if !output.success() {
            return match refusal(&output) {
                Refusal::Denied(text) => {
                    Ok(Undone::Cannot(format!("resuming {name} takes an administrator: {text}")))
                }
                refusal => Err(refusal.error(&format!("resuming {name}"))),
            };
        }
        let after = show(cx, name).await?;
        if after.is_drained() {
            return Ok(Undone::Cannot(format!(
                "Slurm took the order, but {name} is still {}",
                clean(&after.state)
            )));
        }
        Ok(Undone::Restored(format!("{name} is back in service")))
    }
}

impl Intent {
    /// The state that takes the drain back. `RESUME` would also put a node into service that was down before; `UNDRAIN`
    /// clears the drain alone (manual page of scontrol, "NODES - SPECIFICATIONS FOR UPDATE COMMAND").
    fn back(&self) -> &'static str {
        if is_down(&self.state) { "UNDRAIN" } else { "RESUME" }
    }
}

/// It was taken out of service by somebody who said why.
fn out_of_service(node: &Node) -> bool {
    node.is_drained() || (node.is_down() && node.reason.is_some())
}

/// Why there is nothing to take back.
fn left_alone(node: &Node, intent: &Intent) -> Option<String> {
    let name = &intent.node;
    if !node.is_drained() {
        return Some(format!("{name} is in service"));
    }
    let reason = clean(node.reason.as_deref().unwrap_or("none"));
    (!is_ours(node, intent)).then(|| format!("{name} stays drained for another reason: {reason}"))
}

/// Whether the node is still as it was shown: a job that started on it meanwhile is hit, too.
///
/// # Errors
/// [`StepErrorKind::Drifted`] if it is not.
fn same(now: &Node, intent: &Intent) -> Result<(), StepError> {
    let told = |state: &str, reason: Option<&str>| {
        let reason = reason.map_or_else(String::new, |reason| format!(" ({})", clean(reason)));
        format!("{}{reason}", clean(state))
    };
    let (is, was) =
        (told(&now.state, now.reason.as_deref()), told(&intent.state, intent.old_reason.as_deref()));
    if is == was {
        return Ok(());
    }
    let message = format!("{} is {is} by now; it was {was} when it was shown", intent.node);
    Err(StepError::new(StepErrorKind::Drifted, message)
        .help("Nothing was done. Resume to see it as it is now."))
}

fn update(intent: &Intent, state: &str) -> engine::site::Command {
    let mut argv = vec!["scontrol".to_owned(), "update".to_owned()];
    argv.push(format!("NodeName={}", intent.node));
    argv.push(format!("State={state}"));
    if state == "DRAIN" {
        argv.push(format!("Reason={}", intent.reason));
    }
    command(argv)
}

fn is_ours(node: &Node, intent: &Intent) -> bool {
    node.reason.as_deref().is_some_and(|reason| carries(reason, &intent.token))
}

/// An order that got no answer may have been taken.
fn doubt(error: engine::site::SiteError) -> StepError {
    let in_doubt = error.in_doubt();
    let mut error = StepError::from(error);
    if in_doubt {
        error.kind = StepErrorKind::InDoubt;
    }
    error
}

fn drained(intent: &Intent, node: &Node) -> Done<Output> {
    let output = Output {
        node: intent.node.clone(),
        state_before: Some(intent.state.clone()),
        state_after: Some(node.state.clone()),
        reason: node.reason.clone(),
        drained: Some(true),
        request: None,
    };
    Done::new("drained", output).line(format!(
        "{} is {}: {}",
        intent.node,
        clean(&node.state),
        clean(&intent.reason)
    ))
}

fn already(name: &str, node: &Node) -> Done<Output> {
    let reason = clean(node.reason.as_deref().unwrap_or("no reason given"));
    let line = format!("{name} is out of service already ({}): {reason}", clean(&node.state));
    let output = Output {
        node: name.to_owned(),
        state_before: Some(node.state.clone()),
        state_after: Some(node.state.clone()),
        reason: node.reason.clone(),
        drained: Some(true),
        request: None,
    };
    Done::new("drained", output).line(line)
}

fn denied(intent: &Intent, said: &str) -> Done<Output> {
    let request = format!(
        "Please take node {} out of service: {}\n\n    {}\n",
        intent.node,
        intent.reason,
        update(intent, "DRAIN")
    );
    let output = Output {
        node: intent.node.clone(),
        state_before: Some(intent.state.clone()),
        state_after: Some(intent.state.clone()),
        reason: None,
        drained: Some(false),
        request: Some(request),
    };
    Done::new("denied", output)
        .line(format!("draining {} takes an administrator of this cluster ({})", intent.node, clean(said)))
        .line("a message to them is ready; meanwhile `--exclude` keeps your jobs off the node")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::step::{Change, Step};
    use serde_json::{Value, json};

    use super::*;
    use crate::slurm::fixtures as fixture;
    use crate::testkit::FakeSite;

    fn with() -> Value {
        json!({ "node": "gpu-23", "reason": "Xid 95\njob 123" })
    }

    async fn intent() -> Value {
        let site = FakeSite::shared();
        site.answer("scontrol -o show node gpu-23", fixture::IDLE_NODE);
        let shown = Change::new(Drain).preview(&site.cx(), &with()).await.unwrap();
        assert_eq!(
            shown.commands,
            ["scontrol update NodeName=gpu-23 State=DRAIN 'Reason=Xid 95 job 123 runbook:run/1'"]
        );
        let price = Price { gpus: Some(8), nodes: vec!["gpu-23".to_owned()], ..Price::nothing() };
        assert_eq!(shown.price, price);
        shown.intent
    }

    async fn perform(site: &Arc<FakeSite>) -> Done<Value> {
        match Change::new(Drain).perform(&site.cx(), &with(), &intent().await).await.unwrap() {
            Performed::Done(done) => done,
            Performed::Ask(..) => panic!("it never asks"),
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn drains_and_looks_again() {
        let site = FakeSite::shared();
        site.answer("scontrol -o show node", fixture::IDLE_NODE);
        site.answer("scontrol -o show node", fixture::DRAINED_NODE);
        site.answer("scontrol update", "");
        let done = perform(&site).await;
        assert_eq!(done.outcome, "drained");
        assert_eq!(
            (&done.output["state_before"], &done.output["state_after"]),
            (&json!("IDLE"), &json!("IDLE+DRAIN"))
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_user_gets_a_message_for_the_administrators() {
        let site = FakeSite::shared();
        site.answer("scontrol -o show node", fixture::IDLE_NODE);
        site.fail("scontrol update", 1, "slurm_update error: Invalid user id");
        let done = perform(&site).await;
        assert_eq!(done.outcome, "denied");
        insta::assert_snapshot!(done.output["request"].as_str().unwrap(), @r#"
            Please take node gpu-23 out of service: Xid 95 job 123 runbook:run/1

                scontrol update NodeName=gpu-23 State=DRAIN 'Reason=Xid 95 job 123 runbook:run/1'
            "#);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn somebody_elses_reason_stays() {
        let site = FakeSite::shared();
        let other = fixture::DRAINED_NODE.replace("runbook:run/1 Xid 95 job 123", "RMA 4711");
        site.answer("scontrol -o show node", other.clone());
        let done = Change::new(Drain).preview(&site.cx(), &with()).await.unwrap().nothing_to_do.unwrap();
        assert_eq!(done.outcome, "drained");
        assert!(done.summary[0].contains("RMA 4711"), "{:?}", done.summary);
        let undone = Change::new(Drain).undo(&site.cx(), &with(), &intent().await).await.unwrap();
        assert!(matches!(undone, Undone::NothingToDo(_)));
        assert!(site.lines().iter().all(|call| !call.contains("update")));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn undo_takes_back_only_its_own() {
        let site = FakeSite::shared();
        site.answer("scontrol -o show node", fixture::DRAINED_NODE);
        site.answer("scontrol -o show node", fixture::IDLE_NODE);
        site.answer("scontrol update", "");
        let undone = Change::new(Drain).undo(&site.cx(), &with(), &intent().await).await.unwrap();
        assert_eq!(undone, Undone::Restored("gpu-23 is back in service".to_owned()));
        assert!(site.lines().contains(&"scontrol update NodeName=gpu-23 State=RESUME".to_owned()));
        // Again: it is in service, so nothing is done.
        let again = Change::new(Drain).undo(&site.cx(), &with(), &intent().await).await.unwrap();
        assert!(matches!(again, Undone::NothingToDo(_)));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn confirming() {
        let intent = intent().await;
        let confirm = async |text: &str| {
            let site = FakeSite::shared();
            site.answer("scontrol -o show node", text);
            Change::new(Drain).confirm(&site.cx(), &with(), &intent).await.unwrap()
        };
        assert!(matches!(confirm(fixture::DRAINED_NODE).await, Confirmation::Happened(_)));
        assert_eq!(confirm(fixture::IDLE_NODE).await, Confirmation::DidNot);
        assert!(matches!(confirm("Node gpu-23 not found").await, Confirmation::Unknown(_)));
    }
}
