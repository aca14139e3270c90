//! The step kinds `shell` and `ssh`.

use async_trait::async_trait;
use engine::step::{
    ChangeStep, Confirmation, Effect, Outcomes, Performed, Preview, StepCx, StepError, Unbounded,
    UndoPreview, Undone,
};
use serde_json::Value;

use super::answer::Answer;
use super::params::{ShellParams, SshParams};
use super::unbounded::unbounded;
use super::work::Work;
use crate::target;

/// A command on this machine.
pub(super) struct Shell;

/// A command on a host.
pub(super) struct Ssh;

macro_rules! step {
    ($step:ty, $kind:literal, $params:ty, $host:expr, $summary:literal) => {
        #[async_trait]
        impl ChangeStep for $step {
            const KIND: &'static str = $kind;
            const SUMMARY: &'static str = $summary;
            const EFFECT: Effect = Effect::Irreversible;
            type Params = $params;
            type Intent = ();
            type Output = Answer;

            fn outcomes() -> Outcomes {
                Outcomes::fixed(&[
                    ("ok", "it returned 0, or a status listed in `ok`"),
                    ("nonzero", "it returned another status, or a signal ended it"),
                ])
            }

            fn effect(&self, params: &$params) -> Effect {
                Work::from(params).effect()
            }

            fn targets(&self, params: &$params) -> Vec<String> {
                // Which files or jobs a command acts on only its author knows.
                let host: fn(&$params) -> Option<&str> = $host;
                host(params).map(target::node).into_iter().collect()
            }

            fn unbounded(with: &Value) -> Vec<Unbounded> {
                unbounded(with)
            }

            async fn preview(&self, _: &StepCx, params: &$params) -> Result<Preview<(), Answer>, StepError> {
                Work::from(params).preview()
            }

            async fn perform(
                &self,
                cx: &StepCx,
                params: &$params,
                (): &(),
            ) -> Result<Performed<Answer>, StepError> {
                Work::from(params).perform(cx).await
            }

            async fn confirm(
                &self,
                cx: &StepCx,
                params: &$params,
                (): &(),
            ) -> Result<Confirmation<Answer>, StepError> {
                Work::from(params).confirm(cx).await
            }

            async fn preview_undo(
                &self,
                cx: &StepCx,
                params: &$params,
                (): &(),
            ) -> Result<UndoPreview, StepError> {
                Work::from(params).preview_undo(cx).await
            }

            async fn undo(&self, cx: &StepCx, params: &$params, (): &()) -> Result<Undone, StepError> {
                Work::from(params).undo(cx).await
            }
        }
    };
}

step!(Shell, "shell", ShellParams, |_| None, "Run a command on this machine");
step!(Ssh, "ssh", SshParams, |params| Some(&params.host), "Run a command on a host");
