//! What hangs on what in a script: whether it writes or changes a file that its launch reads, so that an edit of that file
//! would be lost, and whether what it computes follows from a place that is edited.

use tree_sitter::Node;

use super::parse::Script;

/// Programs that only look at a file.
const LOOK: &[&str] = &[
    "[",
    "basename",
    "cat",
    "diff",
    "dirname",
    "du",
    "echo",
    "file",
    "grep",
    "head",
    "jq",
    "ls",
    "md5sum",
    "printf",
    "readlink",
    "realpath",
    "sha256sum",
    "stat",
    "tail",
    "test",
    "wc",
];

impl Script {
    /// The line of the first command that may write the file of this name; counted from 1.
    pub(in crate::launch) fn touches(&self, name: &str) -> Option<usize> {
        let text = self.text();
        let holders =
            self.facts.assigned.iter().filter(|(_, texts)| texts.iter().any(|text| text.contains(name)));
        let spelled: Vec<String> = holders
            .flat_map(|(variable, _)| [format!("${variable}"), format!("${{{variable}")])
            .chain([name.to_owned()])
            .collect();
        let mut found: Vec<usize> = spelled
            .iter()
            .flat_map(|spelled| text.match_indices(spelled.as_str()).map(|(at, _)| (at, spelled.len())))
            .filter(|(at, length)| {
                // `$CONFIG` is not `$CONFIG_DIR`.
                let next = text.as_bytes().get(at + length);
                !text[*at..].starts_with('$') || next.is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'_')
            })
            .map(|(at, _)| at)
            .filter(|at| !self.facts.comments.iter().any(|range| range.contains(at)))
            .filter(|at| !self.harmless(*at))
            .collect();
        found.sort_unstable();
        found.first().map(|at| self.line(*at))
    }

    /// Whether a text that only running the script tells may follow from what is written at an offset.
    pub(in crate::launch) fn hangs_on(&self, text: &str, at: usize) -> bool {
        let events = self.facts.events.iter().filter(|event| event.whole.contains(&at));
        let mut names: Vec<&str> = events.map(|event| event.name.as_str()).collect();
        let mut next = 0;
        while let Some(name) = names.get(next).copied() {
            next += 1;
            let derived =
                self.facts.assigned.iter().filter(|(_, texts)| texts.iter().any(|text| mentions(text, name)));
            for (other, _) in derived {
                if !names.contains(&other.as_str()) {
                    names.push(other);
                }
            }
        }
        names.iter().any(|name| mentions(text, name))
    }

    /// Whether what stands there neither is written to nor given to a program that may write to it.
    fn harmless(&self, at: usize) -> bool {
        let mut node = self.node(&(at..at + 1));
        while let Some(inner) = node {
            match inner.kind() {
                "test_command" | "variable_assignment" => return true,
                "file_redirect" => return self.text()[inner.byte_range()].trim_start().starts_with('<'),
                "heredoc_redirect" | "heredoc_body" => return false,
                "command" => return self.looks(inner),
                _ => node = inner.parent(),
            }
        }
        true
    }

    fn looks(&self, command: Node<'_>) -> bool {
        if self.launches().iter().any(|launch| launch.range == command.byte_range()) {
            return true;
        }
        let name = command.child_by_field_name("name").map(|name| &self.text()[name.byte_range()]);
        name.is_some_and(|name| LOOK.contains(&name))
    }
}

/// Whether a text has this name as a whole word.
fn mentions(text: &str, name: &str) -> bool {
    let letter = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let bytes = text.as_bytes();
    text.match_indices(name).any(|(at, _)| !letter(bytes[..at].last()) && !letter(bytes.get(at + name.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_writes_the_file_is_found() {
        for (lines, expected) in [
            ("", None),
            ("C=conf/ds.json\n[ -f \"$C\" ] || exit 1\ncat $C", None),
            ("# sed -i s/a/b/ ds.json\necho ds.json", None),
            ("cat > ds.json <<EOF\n{}\nEOF", Some(1)),
            ("C=ds.json\nsed -i s/a/b/ $C", Some(2)),
            ("C=ds.json\nenvsubst < base.json > \"${C}\"", Some(2)),
            ("C=ds.json\nC_OLD=x\ncp $C_OLD /tmp", None),
            ("cp base.json ds.json", Some(1)),
            ("X=$(python make.py ds.json)", Some(1)),
        ] {
            let script = Script::parse(format!("{lines}\nsrun python x.py --deepspeed ds.json\n")).unwrap();
            assert_eq!(script.touches("ds.json"), expected, "{lines}");
        }
    }
}
