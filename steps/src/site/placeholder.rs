//! A run's id in recorded text.
//!
//! What a run leaves in the world carries its id, and the same run on another day has another one. In a recording the
//! id is written `{run}`; a literal `{run` that was there before is written `{run:` so that nothing is lost. An id that
//! the edge of a partial read cuts in two is not recognised. Secrets are taken out and put back in the same way.

use engine::redact::Redactor;
use memchr::memmem;

const MARK: &[u8] = b"{run";

/// One run's id, to be taken out of what is recorded and put into what is replayed.
#[derive(Debug, Clone)]
pub(super) struct Placeholder {
    run: Vec<u8>,
    redactor: Redactor,
}

impl Placeholder {
    pub(super) fn new(run: &str) -> Self {
        Self { run: run.as_bytes().to_vec(), redactor: Redactor::default() }
    }

    pub(super) fn hiding(self, redactor: Redactor) -> Self {
        Self { redactor, ..self }
    }

    /// The run's id becomes `{run}`; the place in its journal, which is another in every run, goes.
    pub(super) fn out(&self, bytes: &[u8]) -> Vec<u8> {
        let bytes = &without_head(bytes);
        let marked = replace(bytes, MARK, b"{run:");
        let marked = if self.run.is_empty() { marked } else { replace(&marked, &self.run, b"{run}") };
        if self.redactor.is_idle() { marked } else { self.redactor.kept(&marked) }
    }

    /// `{run}` becomes the run's id.
    pub(super) fn back(&self, bytes: &[u8]) -> Vec<u8> {
        let mut result = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some(at) = memmem::find(rest, MARK) {
            let (before, after) = (&rest[..at], &rest[at + MARK.len()..]);
            result.extend_from_slice(before);
            rest = match after.first() {
                Some(b'}') => {
                    result.extend_from_slice(&self.run);
                    &after[1..]
                }
                Some(b':') => {
                    result.extend_from_slice(MARK);
                    &after[1..]
                }
                _ => {
                    result.extend_from_slice(MARK);
                    after
                }
            };
        }
        result.extend_from_slice(rest);
        self.redactor.back(result)
    }

    pub(super) fn out_text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.out(text.as_bytes())).into_owned()
    }

    pub(super) fn back_text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.back(text.as_bytes())).into_owned()
    }
}

/// Takes ` runbook-head:57-0a1b2c3d4e5f6071` out.
fn without_head(bytes: &[u8]) -> Vec<u8> {
    const HEAD: &[u8] = b" runbook-head:";
    let mut result = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memmem::find(rest, HEAD) {
        let after = &rest[at + HEAD.len()..];
        let length = after.iter().take_while(|byte| byte.is_ascii_hexdigit() || **byte == b'-').count();
        result.extend_from_slice(&rest[..at]);
        rest = &after[length..];
    }
    result.extend_from_slice(rest);
    result
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memmem::find(rest, from) {
        result.extend_from_slice(&rest[..at]);
        result.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    result.extend_from_slice(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn another_run_sees_its_own_id() {
        let recorded = Placeholder::new("20261124-k7f2").out(b"comment=runbook:20261124-k7f2/12 {run}");
        assert_eq!(recorded, b"comment=runbook:{run}/12 {run:}");
        assert_eq!(Placeholder::new("other").back(&recorded), b"comment=runbook:other/12 {run}");
    }

    #[test]
    fn the_place_in_the_journal_is_left_out() {
        let out = Placeholder::new("id-7")
            .out(b"'--comment=x runbook:id-7/1 runbook-head:57-0a1b' t\nrunbook-head:5-a");
        assert_eq!(out, b"'--comment=x runbook:{run}/1' t\nrunbook-head:5-a");
    }

    proptest! {
        #[test]
        fn the_same_run_sees_the_same(text in "(\\{run|\\}|:|id-7|x){0,20}") {
            let run = Placeholder::new("id-7");
            prop_assert_eq!(run.back(&run.out(text.as_bytes())), text.as_bytes());
        }
    }
}
