use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::journal::chain::Chain;
use crate::plan::PlanData;
use crate::run::{Entry, Mode, Started};

fn started(run: &RunId) -> Entry {
    let plan = PlanData {
        format: 1,
        runbook: "test".to_owned(),
        title: "Test".to_owned(),
        severity: None,
        source_digest: String::new(),
        scopes: BTreeMap::new(),
        start: "a".to_owned(),
        nodes: Vec::new(),
    };
    Entry::Started(Box::new(Started {
        run: run.clone(),
        program: "test".to_owned(),
        plan: Arc::new(plan),
        inputs: BTreeMap::new(),
        secrets: BTreeMap::new(),
        operator: "anna".to_owned(),
        host: "login1".to_owned(),
        mode: Mode::Live,
        target: String::new(),
        place: None,
    }))
}

fn id(number: u64) -> RunId {
    RunId::new(Timestamp::UNIX_EPOCH, number)
}

/// The lines of a journal, newlines included.
fn journal(run: &RunId, words: &[String]) -> Vec<String> {
    let mut chain = Chain::new(run);
    let entries = words.iter().map(|why| Entry::Stopped { why: why.clone() });
    let entries = std::iter::once(started(run)).chain(entries);
    entries.map(|entry| chain.write(Timestamp::UNIX_EPOCH, entry).unwrap().1).collect()
}

fn of(lines: &[String]) -> Audit {
    audit(&id(1), lines.concat().as_bytes())
}

/// The head that a whole journal has, as somebody kept it elsewhere.
fn noted(lines: &[String]) -> Noted {
    let head = of(lines).head.unwrap();
    Noted { seq: Some(head.seq), hash: head.hash[..16].to_owned(), by: "syslog".to_owned() }
}

fn named(audit: &Audit) -> Vec<(Tampering, usize, usize)> {
    audit.findings.iter().map(|finding| (finding.kind, finding.line, finding.through)).collect()
}

fn words() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-z\"\\\\é\u{1b} ]{0,12}", 3..9)
}

proptest! {
    #[test]
    fn an_untouched_journal_holds(words in words()) {
        let lines = journal(&id(1), &words);
        let mut audit = of(&lines);
        audit.compare(&noted(&lines));
        prop_assert!(audit.holds(), "{:?}", audit.findings);
        prop_assert_eq!(audit.head.map(|head| head.seq), Some(lines.len() as u64));
    }

    #[test]
    fn a_flipped_byte_is_named_with_its_line(words in words(), at: prop::sample::Index, to: u8) {
        let lines = journal(&id(1), &words);
        let mut text = lines.concat().into_bytes();
        let at = at.index(text.len());
        prop_assume!(text[at] != to && text[at] != b'\n');
        let line = text[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        text[at] = to;
        let mut audit = audit(&id(1), &text);
        audit.compare(&noted(&lines));
        // Nothing comes after the last line: its own text is vouched for by the head alone.
        let by_head = |finding: &Finding| line == lines.len() && finding.kind == Tampering::Rewritten;
        let last_link = |finding: &Finding| line == lines.len() && finding.line == line - 1;
        let right = |finding: &Finding| {
            finding.kind == Tampering::Altered && (finding.line == line || last_link(finding)) || by_head(finding)
        };
        prop_assert!(audit.findings.iter().any(right), "line {line}: {:?}", audit.findings);
    }

    #[test]
    fn dropped_lines_are_named(words in words(), from: prop::sample::Index, count in 1usize..4) {
        let lines = journal(&id(1), &words);
        let from = from.index(lines.len());
        let to = (from + count).min(lines.len());
        prop_assume!(to - from < lines.len());
        let left = [&lines[..from], &lines[to..]].concat();
        let mut audit = of(&left);
        audit.compare(&noted(&lines));
        let expected = if to == lines.len() {
            (Tampering::Truncated, from + 1, from + 1)
        } else {
            (Tampering::Dropped, from + 1, to)
        };
        prop_assert_eq!(named(&audit), [expected]);
    }

    #[test]
    fn swapped_lines_are_named(words in words(), a: prop::sample::Index, b: prop::sample::Index) {
        let mut lines = journal(&id(1), &words);
        let head = noted(&lines);
        let (a, b) = (a.index(lines.len()), b.index(lines.len()));
        prop_assume!(a != b);
        lines.swap(a, b);
        let mut audit = of(&lines);
        audit.compare(&head);
        prop_assert_eq!(named(&audit), [(Tampering::Swapped, a.min(b) + 1, a.min(b) + 1)]);
        let both = format!("and {} were", a.max(b) + 1);
        prop_assert!(audit.findings[0].what.contains(&both), "{:?}", audit.findings);
    }

    #[test]
    fn a_moved_line_is_named(words in words(), from: prop::sample::Index, to: prop::sample::Index) {
        let mut lines = journal(&id(1), &words);
        let (from, to) = (from.index(lines.len()), to.index(lines.len()));
        prop_assume!(from.abs_diff(to) > 1);
        let line = lines.remove(from);
        lines.insert(to, line);
        prop_assert_eq!(named(&of(&lines)), [(Tampering::Moved, to + 1, to + 1)]);
    }

    #[test]
    fn a_cut_tail_is_named(words in words(), keep: prop::sample::Index) {
        let lines = journal(&id(1), &words);
        let text = lines.concat();
        let keep = keep.index(text.len() - 1) + 1;
        let mut audit = audit(&id(1), &text.as_bytes()[..keep]);
        audit.compare(&noted(&lines));
        let whole = text.as_bytes()[..keep].iter().filter(|byte| **byte == b'\n').count();
        prop_assert!(named(&audit).contains(&(Tampering::Truncated, whole + 1, whole + 1)), "{:?}", audit.findings);
        let torn = text.as_bytes()[keep - 1] != b'\n';
        prop_assert_eq!(audit.findings.iter().any(|finding| finding.kind == Tampering::Torn), torn);
    }

    #[test]
    fn lines_of_another_run_are_named(
        words in words(), others in words(), at: prop::sample::Index, count in 1usize..4, instead: bool
    ) {
        let (lines, other) = (journal(&id(1), &words), journal(&id(2), &others));
        let at = at.index(lines.len());
        let end = (at + count).min(other.len());
        prop_assume!(at < end);
        let rest = if instead { end.min(lines.len()) } else { at };
        let spliced = [&lines[..at], &other[at..end], &lines[rest..]].concat();
        let audit = of(&spliced);
        let splices: Vec<_> = named(&audit).into_iter().filter(|found| found.0 == Tampering::Spliced).collect();
        prop_assert_eq!(splices, [(Tampering::Spliced, at + 1, end)]);
        // What stands in the place of lines of this run is missing; what was only put between them is not.
        let altered = audit.findings.iter().any(|finding| finding.kind == Tampering::Altered);
        prop_assert!(!altered, "{:?}", audit.findings);
    }

    #[test]
    fn a_repeated_line_is_named(words in words(), from: prop::sample::Index, to: prop::sample::Index) {
        let mut lines = journal(&id(1), &words);
        let (from, to) = (from.index(lines.len()), to.index(lines.len()));
        let copy = lines[from].clone();
        lines.insert(to.max(from) + 1, copy);
        let second = to.max(from) + 2;
        prop_assert_eq!(named(&of(&lines)), [(Tampering::Repeated, second, second)]);
    }

    #[test]
    fn a_forged_line_between_two_is_named(words in words(), after: prop::sample::Index, why in "[a-z]{5}") {
        let mut lines = journal(&id(1), &words);
        let after = after.index(lines.len() - 2) + 1;
        let mut chain = Chain::new(&id(1));
        for line in &lines[..after] {
            chain.read(&[line.trim_end()], Path::new("journal")).unwrap();
        }
        let (_, forged) = chain.write(Timestamp::UNIX_EPOCH, Entry::Stopped { why: format!("forged {why}") }).unwrap();
        lines.insert(after, forged);
        prop_assert_eq!(named(&of(&lines)), [(Tampering::PutIn, after + 1, after + 1)]);
    }

    #[test]
    fn a_journal_written_anew_is_told_from_the_head_that_was_noted(words in words(), from: prop::sample::Index) {
        let lines = journal(&id(1), &words);
        let mut anew = words.clone();
        let from = from.index(anew.len());
        anew[from].push_str("forged");
        let mut audit = of(&journal(&id(1), &anew));
        prop_assert!(audit.holds(), "it adds up by itself");
        audit.compare(&noted(&lines));
        prop_assert_eq!(named(&audit), [(Tampering::Rewritten, lines.len(), lines.len())]);
    }

    #[test]
    fn nothing_panics(text: Vec<u8>, words in words(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let _ = audit(&id(1), &text);
        let mut lines = journal(&id(1), &words);
        for cut in cuts {
            let at = cut.index(lines.len());
            lines.swap(at, 0);
            let copy = lines[at].replacen("\"seq\":", "\"seq\":1", 1);
            lines.push(copy);
        }
        let _ = of(&lines);
    }
}

#[test]
fn a_head_without_its_number_is_looked_for() {
    let lines = journal(&id(1), &["a".to_owned(), "b".to_owned()]);
    let by = "--head".to_owned();
    let head = Noted { seq: None, hash: of(&lines).head.unwrap().hash[..12].to_owned(), by };
    let mut whole = of(&lines);
    whole.compare(&head);
    assert!(whole.holds());
    let mut cut = of(&lines[..2]);
    cut.compare(&head);
    assert_eq!(named(&cut), [(Tampering::Truncated, 3, 3)]);
}

#[test]
fn a_line_of_a_newer_program_is_named_as_such() {
    let mut lines = journal(&id(1), &["a".to_owned()]);
    let mut chain = Chain::new(&id(1));
    for line in &lines {
        chain.read(&[line.trim_end()], Path::new("journal")).unwrap();
    }
    let (_, line) = chain.write(Timestamp::UNIX_EPOCH, Entry::Stopped { why: "b".to_owned() }).unwrap();
    lines.push(line.replacen("\"format\":2", "\"format\":3", 1));
    assert_eq!(named(&of(&lines)), [(Tampering::Newer, 3, 3)]);
}
