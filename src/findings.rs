//! Findings as JSON rows and as SARIF, for programs.
//!
//! SARIF 2.1.0 (OASIS, <https://docs.oasis-open.org/sarif/sarif/v2.1.0/>): what code hosts and editors read.

use std::collections::{BTreeMap, BTreeSet};

use engine::check::{Checked, codes};
use engine::diagnostic::{Diagnostic, Severity, SourceFile, Span};
use serde_json::{Value, json};

use crate::library::{Found, Place};

/// Where the lines of a file begin, so that each place is found without reading the file again.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// Line and column of a byte, both from 1; columns count characters.
    fn place(&self, byte: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= byte).max(1);
        let before = self.text.get(self.starts[line - 1]..byte).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// One runbook with its findings.
pub(crate) fn row(found: &Found, checked: &Checked) -> Value {
    let lines: Vec<Lines<'_>> = checked.files.iter().map(|file| Lines::of(&file.text)).collect();
    let place = |at: &Span| {
        let (line, column) = lines.get(at.file).map_or((1, 1), |lines| lines.place(at.start));
        (checked.files.get(at.file).map(|file| file.name.as_str()), line, column, at.len)
    };
    let one = |finding: &Diagnostic| {
        let (file, line, column, bytes) = place(&finding.at);
        let related = finding.related.iter().map(|(at, label)| {
            let (file, line, column, bytes) = place(at);
            json!({ "label": label, "file": file, "line": line, "column": column, "bytes": bytes })
        });
        json!({
            "code": finding.code,
            "severity": level(finding.severity),
            "message": finding.message,
            "label": finding.label,
            "help": finding.help,
            "file": file,
            "line": line,
            "column": column,
            "bytes": bytes,
            "related": related.collect::<Vec<_>>(),
        })
    };
    json!({
        "runbook": found.name,
        "file": found.shown(),
        "ok": checked.plan.is_some(),
        "errors": checked.errors(),
        "warnings": checked.warnings(),
        "findings": checked.diagnostics.iter().map(one).collect::<Vec<_>>(),
    })
}

/// The findings of all runbooks as one SARIF log.
pub(crate) fn sarif(all: &[(Found, Checked)]) -> Value {
    let used: BTreeSet<&str> =
        all.iter().flat_map(|(_, checked)| &checked.diagnostics).map(|found| found.code).collect();
    let index: BTreeMap<&str, usize> = used.into_iter().enumerate().map(|(at, code)| (code, at)).collect();
    let rules = index.keys().map(|code| {
        let explanation = codes::explain(code).unwrap_or_default();
        let first = explanation.split_inclusive(". ").next().unwrap_or_default().trim_end();
        json!({
            "id": code,
            "shortDescription": { "text": first },
            "fullDescription": { "text": explanation },
            "help": { "text": format!("{explanation} (`runbook explain {code}`)") },
        })
    });
    let results = all.iter().flat_map(|(found, checked)| {
        let lines: Vec<Lines<'_>> = checked.files.iter().map(|file| Lines::of(&file.text)).collect();
        let one = |finding: &Diagnostic| result(found, finding, checked, &lines, &index);
        checked.diagnostics.iter().map(one).collect::<Vec<_>>()
    });
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "runbook",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.collect::<Vec<_>>(),
            } },
            // Columns count characters, as everywhere in this program.
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

fn result(
    found: &Found,
    finding: &Diagnostic,
    checked: &Checked,
    lines: &[Lines<'_>],
    index: &BTreeMap<&str, usize>,
) -> Value {
    let location = |at: &Span| {
        let uri = checked.files.get(at.file).map_or_else(String::new, |file| uri(found, at.file, file));
        let mut place = json!({ "artifactLocation": { "uri": uri } });
        // A file that was refused has no text to point into.
        if let Some(lines) = lines.get(at.file).filter(|lines| !lines.text.is_empty()) {
            let (line, column) = lines.place(at.start);
            let (end_line, end_column) = lines.place((at.start + at.len).min(lines.text.len()));
            place["region"] = json!({
                "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column,
                "byteOffset": at.start, "byteLength": at.len,
            });
        }
        place
    };
    let related = finding.related.iter().enumerate().map(|(number, (at, label))| {
        json!({ "id": number + 1, "message": { "text": label }, "physicalLocation": location(at) })
    });
    let said: Vec<&str> =
        [Some(finding.message.as_str()), finding.help.as_deref()].into_iter().flatten().collect();
    json!({
        "ruleId": finding.code,
        "ruleIndex": index.get(finding.code),
        "level": level(finding.severity),
        "message": { "text": said.join(". ") },
        "locations": [{ "physicalLocation": location(&finding.at), "message": { "text": finding.label } }],
        "relatedLocations": related.collect::<Vec<_>>(),
    })
}

/// A file as a URI reference (RFC 3986): relative as it was given, so that a code host finds it in the repository.
fn uri(found: &Found, file: usize, source: &SourceFile) -> String {
    let (name, scheme) = match (&found.place, file) {
        // What is in the program is in no file of the reader's.
        (Place::Program(shipped), 0) => (format!("/{}/runbook.yaml", shipped.name), "runbook:"),
        _ if source.name.starts_with('/') => (source.name.clone(), "file://"),
        _ => (source.name.strip_prefix("./").unwrap_or(&source.name).to_owned(), ""),
    };
    let mut uri = scheme.to_owned();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_from_one() {
        let lines = Lines::of("ab\nüx\n");
        let places: Vec<_> = [0, 2, 3, 5, 6, 7].map(|byte| lines.place(byte)).into();
        assert_eq!(places, [(1, 1), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1)]);
        assert_eq!(Lines::of("").place(0), (1, 1));
    }

    #[test]
    fn files_become_references() {
        let uri = |name: &str| {
            let found = Found { name: "x".to_owned(), place: Place::File(name.into()) };
            uri(&found, 0, &SourceFile { name: name.to_owned(), text: String::new() })
        };
        assert_eq!(uri("./a b/c%.yaml"), "a%20b/c%25.yaml");
        assert_eq!(uri("/srv/ü:x.yaml"), "file:///srv/%C3%BC%3Ax.yaml");
    }
}
