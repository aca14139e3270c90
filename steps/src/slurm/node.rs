//! One node as slurmctld knows it.

use engine::step::{StepCx, StepError, StepErrorKind};

use super::call::{Refusal, ask};
use super::fields::{Fields, NODE_KEYS, records};

/// A node: its state and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// As Slurm prints it: `IDLE+DRAIN`.
    pub(crate) state: String,
    /// Why it is out of service, and who said so when: `Xid 95 [root@2026-11-24T02:11:45]`.
    pub(crate) reason: Option<String>,
    /// GPUs that it is configured with; `None` if Slurm does not track them.
    pub(crate) gpus: Option<u64>,
}

impl Node {
    /// Reads a record of `scontrol -o show node`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let record = records(text, "NodeName").into_iter().next()?;
        // The reason comes last and may hold anything, also what looks like a further key.
        let (front, reason) = match record.split_once(" Reason=") {
            Some((front, reason)) => (front, Some(reason)),
            None => (record, None),
        };
        let fields = Fields::split(front, NODE_KEYS, &[]);
        Some(Self {
            state: fields.known("State")?.to_owned(),
            reason: reason.and_then(super::value::known).map(dated),
            gpus: fields
                .known("CfgTRES")
                .and_then(super::value::gpus)
                .or_else(|| super::value::gpus_requested(&plain(fields.known("Gres")?))),
        })
    }

    /// No new job starts on it because somebody said so.
    pub(crate) fn is_drained(&self) -> bool {
        words(&self.state).any(|word| ["DRAIN", "DRAINED", "DRAINING", "FAIL", "FAILING"].contains(&word))
    }

    /// It is out of service.
    pub(crate) fn is_down(&self) -> bool {
        is_down(&self.state)
    }
}

/// The words of a state, without marks such as `*` (does not respond).
fn words(state: &str) -> impl Iterator<Item = &str> {
    state.split('+').map(|word| word.trim_end_matches(|c: char| !c.is_ascii_uppercase()))
}

/// Whether a node of this state is out of service, drained or not.
pub(crate) fn is_down(state: &str) -> bool {
    words(state).any(|word| word == "DOWN")
}

/// A list of resources without the places that Slurm adds: `gpu:h100:8(S:0-1)`.
fn plain(gres: &str) -> String {
    let parts = gres.split('(').enumerate();
    parts
        .map(|(at, part)| if at == 0 { part } else { part.split_once(')').map_or("", |(_, rest)| rest) })
        .collect()
}

/// `Xid 95 [root@1795488726]`, as it comes under `SLURM_TIME_FORMAT=%s`, with a time that people can read.
fn dated(reason: &str) -> String {
    let parts = || {
        let (text, who) = reason.strip_suffix(']')?.rsplit_once('[')?;
        let (who, at) = who.split_once('@')?;
        Some(format!("{text}[{who}@{}]", super::value::time(at)?))
    };
    parts().unwrap_or_else(|| reason.to_owned())
}

/// Checks the name of one node: what stands for several (`gpu-[1-4]`, `ALL`) is refused.
///
/// # Errors
/// [`StepErrorKind::Params`].
pub(crate) fn check_name(name: &str) -> Result<(), StepError> {
    let fits = !name.starts_with(['-', '.'])
        && (1..=255).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && !name.eq_ignore_ascii_case("all");
    if fits {
        return Ok(());
    }
    Err(StepError::new(StepErrorKind::Params, format!("{name:?} is not the name of one node")))
}

/// The node as it is now.
///
/// # Errors
/// Slurm does not know it or does not answer.
pub(crate) async fn show(cx: &StepCx, name: &str) -> Result<Node, StepError> {
    let unknown = || {
        StepError::failed(format!("Slurm knows no node {name}")).help("Use the name that `sinfo -N` prints.")
    };
    match ask(cx, ["scontrol", "-o", "show", "node", name]).await? {
        Ok(answer) => {
            let text = String::from_utf8_lossy(&answer);
            if text.contains("not found") {
                return Err(unknown());
            }
            Node::read(&text).ok_or_else(|| {
                StepError::malformed(format!("the answer of `scontrol show node {name}` is not understood"))
            })
        }
        Err(Refusal::NoSuch) => Err(unknown()),
        Err(Refusal::Other(text)) if text.contains("not found") => Err(unknown()),
        Err(refusal) => Err(refusal.error(&format!("scontrol show node {name}"))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::slurm::fixtures as fixture;

    #[test]
    fn states() {
        let node = Node::read(fixture::DRAINED_NODE).unwrap();
        assert!(node.is_drained() && !node.is_down());
        assert_eq!(node.reason.as_deref(), Some("runbook:run/1 Xid 95 job 123 [root@2026-11-24T02:11:45Z]"));
        let node = Node::read(fixture::IDLE_NODE).unwrap();
        assert!(!node.is_drained());
        assert_eq!(node.gpus, Some(8));
        let of = |text: &str| Node::read(&format!("NodeName=x State=IDLE {text}\n")).unwrap().gpus;
        assert_eq!(of("CfgTRES=cpu=64,gres/gpu=4"), Some(4));
        assert_eq!(of("Gres=gpu:h100:8(S:0-1) CfgTRES=cpu=64"), Some(8));
        assert_eq!(of("Gres=(null) CfgTRES=cpu=64"), None);
        assert_eq!((node.state.as_str(), node.reason), ("IDLE", None));
        let node = Node::read("NodeName=x State=DOWN*+DRAIN Reason=a State=IDLE\n").unwrap();
        assert!(node.is_drained() && node.is_down());
        assert_eq!(node.reason.as_deref(), Some("a State=IDLE"));
        assert_eq!(dated("a [b] [root@1795486305]"), "a [b] [root@2026-11-24T02:11:45Z]");
    }

    #[test]
    fn one_node_only() {
        for name in ["gpu-21", "n1.cluster"] {
            assert!(check_name(name).is_ok());
        }
        for name in ["", "gpu-[1-4]", "a,b", "ALL", "-x", "a b", "a=b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = Node::read(&text);
            let _ = Node::read(&format!("NodeName=a {text}"));
        }
    }
}
