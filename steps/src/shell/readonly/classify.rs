//! Shows that a shell text only reads, from its syntax tree.
//!
//! The shell that will run the text may be dash or bash; whatever the two could read differently, or the parser could
//! read differently from them, is not admitted.

use tree_sitter::{Node, Parser};

use super::rules::command_reads;
use super::word::Word;

/// Longer texts are no probes.
const LONGEST: usize = 64 << 10;
/// Deeper nesting is no probe either.
const DEEPEST: usize = 40;

/// Variables that a command may be given in front: they shape its output and nothing else.
const HARMLESS_VARIABLES: [&str; 8] =
    ["LC_ALL", "LANG", "LC_TIME", "LC_NUMERIC", "TZ", "COLUMNS", "SLURM_TIME_FORMAT", "NO_COLOR"];

/// Whether a program with its arguments only reads.
pub(in crate::shell) fn argv_reads(argv: &[String]) -> bool {
    let words: Vec<Word> = argv.iter().cloned().map(Word::Is).collect();
    command_reads(&words)
}

/// Whether a text for `sh -c` only reads.
pub(in crate::shell) fn script_reads(text: &str) -> bool {
    // Carriage returns and other control characters are blanks to some and letters to others.
    let odd = |c: char| (c.is_control() && c != '\n' && c != '\t') || (c.is_whitespace() && !c.is_ascii());
    if text.len() > LONGEST || text.chars().any(odd) || text.contains("\\\n") {
        return false;
    }
    let mut parser = Parser::new();
    if parser.set_language(&tree_sitter_bash::LANGUAGE.into()).is_err() {
        return false;
    }
    let Some(tree) = parser.parse(text, None) else { return false };
    let root = tree.root_node();
    let judge = Judge { source: text };
    !root.has_error() && root.named_child_count() > 0 && judge.saw_all(root) && judge.statement(root, 0)
}

struct Judge<'s> {
    source: &'s str,
}

impl Judge<'_> {
    fn text(&self, node: Node<'_>) -> &str {
        self.source.get(node.byte_range()).unwrap_or_default()
    }

    /// Whether the parser left nothing out but blanks: what it skipped nobody has judged.
    fn saw_all(&self, root: Node<'_>) -> bool {
        let mut end = 0;
        let mut cursor = root.walk();
        loop {
            let node = cursor.node();
            if node.child_count() == 0 || node.kind() == "string_content" {
                let Some(gap) = self.source.get(end..node.start_byte()) else { return false };
                if !gap.chars().all(|c| matches!(c, ' ' | '\t' | '\n')) {
                    return false;
                }
                end = node.end_byte();
            } else if cursor.goto_first_child() {
                continue;
            }
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return self.source[end..].trim().is_empty();
                }
            }
        }
    }

    fn statement(&self, node: Node<'_>, depth: usize) -> bool {
        if depth > DEEPEST {
            return false;
        }
        match node.kind() {
            "program" => self.parts(node, &["\n", ";"], depth),
            "list" => self.parts(node, &["&&", "||", ";", "\n"], depth),
            "pipeline" => self.parts(node, &["|"], depth),
            "subshell" => self.parts(node, &["(", ")", "\n", ";"], depth),
            "compound_statement" => self.parts(node, &["{", "}", "\n", ";"], depth),
            "negated_command" => self.parts(node, &["!"], depth),
            // Within backquotes a backslash quotes once more, which the parser does not follow.
            "command_substitution" if self.text(node).starts_with('`') && self.text(node).contains('\\') => {
                false
            }
            "command_substitution" => self.parts(node, &["$(", ")", "`", "\n", ";"], depth),
            "redirected_statement" => self.redirected(node, depth),
            "command" => self.command(node, depth),
            // Elsewhere than at the start of a line, `#` may belong to a word: `'a'#b; rm x` is no comment.
            "comment" => {
                let before = self.source.get(..node.start_byte()).unwrap_or("x");
                before.rsplit('\n').next().unwrap_or_default().trim_matches([' ', '\t']).is_empty()
            }
            _ => false,
        }
    }

    /// Every child a statement that reads, or one of these tokens.
    fn parts(&self, node: Node<'_>, tokens: &[&str], depth: usize) -> bool {
        let mut cursor = node.walk();
        node.children(&mut cursor).all(|child| {
            if child.is_named() { self.statement(child, depth + 1) } else { tokens.contains(&child.kind()) }
        })
    }

    fn redirected(&self, node: Node<'_>, depth: usize) -> bool {
        let mut cursor = node.walk();
        node.children(&mut cursor).all(|child| match child.kind() {
            "file_redirect" => self.redirect(child),
            _ => child.is_named() && self.statement(child, depth + 1),
        })
    }

    /// Out to nowhere, one output into the other, or in from a file.
    fn redirect(&self, node: Node<'_>) -> bool {
        let mut operator = None;
        let mut target = None;
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            match child.kind() {
                "file_descriptor" if operator.is_none() => {}
                kind if !child.is_named() && operator.is_none() => operator = Some(kind),
                _ if child.is_named() && operator.is_some() && target.is_none() => target = Some(child),
                _ => return false,
            }
        }
        let (Some(operator), Some(target)) = (operator, target) else { return false };
        let mut inner = Vec::new();
        let Some(Word::Is(word)) = Word::of(target, self.source, &mut inner) else { return false };
        match operator {
            ">" | ">>" => word == "/dev/null",
            ">&" => word == "1" || word == "2",
            // bash opens a network connection for names below /dev/tcp and /dev/udp.
            "<" => word == "/dev/null" || !(word.contains("/dev/") || word.starts_with("dev/")),
            _ => false,
        }
    }

    fn command(&self, node: Node<'_>, depth: usize) -> bool {
        let mut words = Vec::new();
        let mut inner = Vec::new();
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            match child.kind() {
                "variable_assignment" if words.is_empty() => {
                    if !self.harmless_assignment(child) {
                        return false;
                    }
                }
                "file_redirect" => {
                    if !self.redirect(child) {
                        return false;
                    }
                }
                "command_name" if words.is_empty() => {
                    // A quoted or escaped name is a way around an alias; nobody writes a probe like that.
                    let name = self.text(child);
                    if !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c)) {
                        return false;
                    }
                    words.push(Word::Is(name.to_owned()));
                }
                _ if words.is_empty() => return false,
                _ => match Word::of(child, self.source, &mut inner) {
                    Some(word) => words.push(word),
                    None => return false,
                },
            }
        }
        command_reads(&words) && inner.into_iter().all(|node| self.statement(node, depth + 1))
    }

    fn harmless_assignment(&self, node: Node<'_>) -> bool {
        let Some((name, value)) = self.text(node).split_once('=') else { return false };
        HARMLESS_VARIABLES.contains(&name)
            && value.chars().all(|c| c.is_ascii_alphanumeric() || "_-./:+%,".contains(c))
    }
}
