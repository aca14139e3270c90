//! What `shell` and `ssh` have in common: one command, judged, shown, run, confirmed, undone.

use engine::site::{Command, Exit};
use engine::step::{
    Confirmation, Done, Effect, Performed, Predicted, Preview, Price, StepCx, StepError, StepErrorKind,
    UndoPlan, UndoPreview, Undone,
};

use super::answer::{Answer, done};
use super::params::{Declared, ShellParams, SshParams};
use super::readonly::{Verdict, of_argv, of_script};
use crate::text::clean_to;

/// One command on this machine or a host.
pub(super) struct Work {
    host: Option<String>,
    params: ShellParams,
}

impl From<&ShellParams> for Work {
    fn from(params: &ShellParams) -> Self {
        Self { host: None, params: params.clone() }
    }
}

impl From<&SshParams> for Work {
    fn from(params: &SshParams) -> Self {
        let SshParams { host, run, argv, cwd, stdin, timeout, effect, reason, confirm, undo, ok, parse } =
            params.clone();
        let params = ShellParams { run, argv, cwd, stdin, timeout, effect, reason, confirm, undo, ok, parse };
        Self { host: Some(host), params }
    }
}

impl Work {
    /// What the command does at most: what the author says, else what can be shown.
    pub(super) fn effect(&self) -> Effect {
        let declared = self.params.effect.filter(|_| self.has_reason() || !self.declared_reading());
        let reads = match declared {
            Some(Declared::Reads) => true,
            Some(Declared::Changes) => false,
            None => self.verdict() == Verdict::Reads,
        };
        match (reads, &self.params.undo) {
            (true, _) => Effect::Reads,
            (false, Some(_)) => Effect::Reversible,
            (false, None) => Effect::Irreversible,
        }
    }

    pub(super) fn preview(&self) -> Result<Preview<(), Answer>, StepError> {
        let command = self.command()?;
        let mut notes = Vec::new();
        if let Some(dir) = &self.params.cwd {
            notes.push(format!("in the directory {}", clean_to(dir, 200)));
        }
        if let Some(input) = &self.params.stdin {
            notes.push(format!("{} bytes on its standard input: {}", input.len(), clean_to(input, 400)));
        }
        match (self.params.effect, &self.params.reason) {
            (Some(Declared::Reads), Some(reason)) => {
                notes.push(format!("taken for reading: {}", clean_to(reason, 200)))
            }
            (Some(Declared::Changes), Some(reason)) => {
                notes.push(format!("a change: {}", clean_to(reason, 200)))
            }
            (None, _) => {
                if let Verdict::MayChange { why } = self.verdict() {
                    notes.push(format!("it cannot be shown that it only reads: {}", clean_to(&why, 200)));
                }
            }
            _ => {}
        }
        if self.params.confirm.is_none() {
            notes.push("whether it happened cannot be found out afterwards: it has no `confirm`".to_owned());
        }
        let predicted = |outcome: &str| Predicted { outcome: outcome.to_owned(), output: Answer::default() };
        Ok(Preview {
            target: self.host.clone().unwrap_or_else(|| "this machine".to_owned()),
            commands: vec![command.to_string()],
            diffs: Vec::new(),
            notes,
            undo: self.params.undo.as_ref().map(|text| format!("runs: {text}")),
            price: Price::default(),
            intent: (),
            predicted: vec![predicted("ok"), predicted("nonzero")],
            writes: Vec::new(),
            nothing_to_do: None,
        })
    }

    pub(super) async fn perform(&self, cx: &StepCx) -> Result<Performed<Answer>, StepError> {
        let command = self.command()?;
        let running = cx.site.run(&command);
        let output = if self.effect() == Effect::Reads {
            tokio::select! {
                output = running => output?,
                () = cx.cancel.cancelled() => return Err(StepError::failed(format!("{}: stopped", shown(&command)))),
            }
        } else {
            running.await? // a change that began is brought to its end
        };
        Ok(done(&output, &self.params.ok, self.params.parse).into())
    }

    pub(super) async fn confirm(&self, cx: &StepCx) -> Result<Confirmation<Answer>, StepError> {
        let Some(probe) = self.probe() else {
            return Ok(Confirmation::Unknown("the node has no `confirm` command".to_owned()));
        };
        let output = cx.site.run(&probe).await?;
        Ok(match output.exit {
            Exit::Code(0) => {
                let line = format!("it happened: `{}` says so", shown(&probe));
                Confirmation::Happened(Done::new("ok", Answer::default()).line(line))
            }
            Exit::Code(1) => Confirmation::DidNot,
            other => Confirmation::Unknown(format!("`{}` cannot tell: {other:?}", shown(&probe))),
        })
    }

    pub(super) async fn preview_undo(&self, cx: &StepCx) -> Result<UndoPreview, StepError> {
        let (undo, blind) = match self.inverse(cx).await? {
            Ok(inverse) => inverse,
            Err(Undone::Cannot(why)) => return Ok(UndoPreview::Cannot(why)),
            Err(Undone::NothingToDo(why) | Undone::Restored(why) | Undone::Left(why)) => {
                return Ok(UndoPreview::NothingToDo(why));
            }
        };
        let why = "whether it was run already cannot be found out: `confirm` is missing or does not tell";
        Ok(UndoPreview::Would(UndoPlan {
            target: self.host.clone().unwrap_or_else(|| "this machine".to_owned()),
            commands: vec![undo.to_string()],
            notes: Vec::from_iter(blind.then(|| why.to_owned())),
            blind,
            ..UndoPlan::default()
        }))
    }

    pub(super) async fn undo(&self, cx: &StepCx) -> Result<Undone, StepError> {
        let undo = match self.inverse(cx).await? {
            Ok((undo, _)) => undo,
            Err(undone) => return Ok(undone),
        };
        let output = cx.site.run(&undo).await?;
        if output.success() {
            return Ok(Undone::Restored(format!("ran `{}`", shown(&undo))));
        }
        let said = clean_to(&output.err_text(), 200);
        Err(StepError::failed(format!("undo: `{}` ended with {:?}: {said}", shown(&undo), output.exit))
            .help("take the change back by hand, then tell the run so"))
    }

    /// The command that takes it back and whether it is blind: nothing tells if it was run already. Or why none is run.
    async fn inverse(&self, cx: &StepCx) -> Result<Result<(Command, bool), Undone>, StepError> {
        let no_undo = || Undone::Cannot("the node has no `undo` command".to_owned());
        let mut blind = true;
        if let Some(probe) = self.probe() {
            let exit = cx.site.run(&probe).await?.exit;
            if exit == Exit::Code(1) {
                let why = format!("`{}` says that it did not happen", shown(&probe));
                return Ok(Err(Undone::NothingToDo(why)));
            }
            blind = exit != Exit::Code(0);
        }
        let undo = self.params.undo.as_ref().map(|undo| self.placed(Command::script(undo).changing()));
        Ok(undo.map(|undo| (undo, blind)).ok_or_else(no_undo))
    }

    fn has_reason(&self) -> bool {
        self.params.reason.as_ref().is_some_and(|reason| !reason.trim().is_empty())
    }

    fn declared_reading(&self) -> bool {
        self.params.effect == Some(Declared::Reads)
    }

    fn verdict(&self) -> Verdict {
        match (&self.params.run, &self.params.argv) {
            (Some(text), None) => of_script(text),
            (None, Some(argv)) => of_argv(argv),
            _ => Verdict::MayChange { why: "it is not clear what is to be run".to_owned() },
        }
    }

    fn probe(&self) -> Option<Command> {
        Some(self.placed(Command::script(self.params.confirm.as_ref()?)))
    }

    fn command(&self) -> Result<Command, StepError> {
        let wrong = |message: &str| Err(StepError::new(StepErrorKind::Params, message));
        let mut command = match (&self.params.run, &self.params.argv) {
            (Some(text), None) if !text.trim().is_empty() => Command::script(text),
            (None, Some(argv)) if !argv.is_empty() => Command::argv(argv),
            _ => return wrong("needs either `run` (shell text) or `argv` (a list of words)"),
        };
        if self.declared_reading() && !self.has_reason() {
            return wrong("`effect: reads` needs a `reason`");
        }
        command.stdin = self.params.stdin.clone().map(String::into_bytes);
        command.changes = self.effect().changes();
        Ok(self.placed(command))
    }

    fn placed(&self, mut command: Command) -> Command {
        command.host.clone_from(&self.host);
        command.cwd.clone_from(&self.params.cwd);
        command.timeout = self.params.timeout.0;
        command
    }
}

fn shown(command: &Command) -> String {
    clean_to(&command.to_string(), 120)
}
