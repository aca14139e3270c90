//! A text for bash, walked statement by statement.

use std::collections::HashMap;

use tree_sitter::{Node, Parser};

use super::command::command;
use super::decode::{Surroundings, child, word};
use super::verdict::{Shown, quoted};
use super::word::{Word, tame};
use super::{conditions, decode};

/// Longest text that is looked at, in bytes.
const LONGEST: usize = 16 << 10;
/// Deepest nesting that is followed.
const DEEPEST: usize = 60;

/// Shows that bash only reads when it executes this text.
pub(super) fn script(text: &str) -> Shown {
    if text.len() > LONGEST {
        return Err(format!("the text is longer than {} KiB", LONGEST >> 10));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err("a control character".to_owned());
    }
    let mut parser = Parser::new();
    let tree = match parser.set_language(&tree_sitter_bash::LANGUAGE.into()) {
        Ok(()) => parser.parse(text, None),
        Err(_) => None,
    };
    let tree = tree.ok_or("the text could not be parsed")?;
    let root = tree.root_node();
    if root.has_error() {
        return Err("the text is not understood as shell text".to_owned());
    }
    let mut walk = Walk { text, assigned: HashMap::new(), tame: Vec::new(), commands: 0, reads: false };
    walk.layout(root, 0)?;
    walk.blank(0, root.start_byte(), true)?;
    walk.blank(root.end_byte(), text.len(), true)?;
    walk.statements(root)?;
    if walk.commands == 0 { Err("there is no command".to_owned()) } else { Ok(()) }
}

pub(super) struct Walk<'t> {
    pub(super) text: &'t str,
    /// How often each name is assigned, by loops too.
    assigned: HashMap<String, usize>,
    /// Variables of the loops around this place whose values are all tame.
    pub(super) tame: Vec<String>,
    pub(super) commands: usize,
    /// Whether `read` sets variables anywhere.
    reads: bool,
}

impl Surroundings for Walk<'_> {
    fn text(&self, node: Node<'_>) -> &str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    fn is_tame(&self, variable: &str) -> bool {
        self.tame.iter().any(|tame| tame == variable)
            && self.assigned.get(variable) == Some(&1)
            && !self.reads
    }

    fn substitution(&mut self, node: Node<'_>) -> Shown {
        // Between backquotes a backslash is read twice.
        if self.text(node).starts_with('`') && self.text(node).contains('\\') {
            return Err("a backslash between backquotes".to_owned());
        }
        self.statements(node)
    }
}

impl Walk<'_> {
    /// Everything that stands between the pieces has to be blank for bash too: the grammar skips more than bash does.
    fn layout(&mut self, node: Node<'_>, depth: usize) -> Shown {
        if depth > DEEPEST {
            return Err("the text is nested too deeply".to_owned());
        }
        if node.is_missing() || node.is_error() {
            return Err("the text is not understood as shell text".to_owned());
        }
        match node.kind() {
            "comment" => {
                let before = self.text.get(..node.start_byte()).unwrap_or_default();
                let apart = before.is_empty() || before.ends_with([' ', '\t', '\n']);
                if !apart || before.ends_with("\\\n") {
                    return Err(format!("{} may be no comment", quoted(self.text(node))));
                }
            }
            "variable_name" if node.parent().is_some_and(|parent| parent.kind() != "simple_expansion") => {
                *self.assigned.entry(self.text(node).to_owned()).or_default() += 1;
            }
            "command_name" => self.reads |= self.text(node) == "read",
            // Read piece by piece where it is decoded.
            "string" | "concatenation" => {
                for at in 0..node.child_count() {
                    if let Some(child) = child(node, at) {
                        self.layout(child, depth + 1)?;
                    }
                }
                return Ok(());
            }
            _ => {}
        }
        let in_braces = node.parent().is_some_and(|parent| parent.kind() == "brace_expression");
        if !node.is_named() && !in_braces {
            self.token(node)?;
        }
        let one_line = matches!(
            node.kind(),
            "command"
                | "file_redirect"
                | "herestring_redirect"
                | "redirected_statement"
                | "test_command"
                | "unary_expression"
                | "binary_expression"
                | "negated_command"
                | "command_name"
        );
        let solid = matches!(
            node.kind(),
            "simple_expansion"
                | "expansion"
                | "variable_assignment"
                | "raw_string"
                | "word"
                | "brace_expression"
        );
        let mut end = node.start_byte();
        for at in 0..node.child_count() {
            let Some(child) = child(node, at) else { continue };
            let start = child.start_byte();
            if solid && start != end {
                return Err(format!("{} is not understood", quoted(self.text(node))));
            }
            self.blank(end, start, !one_line)?;
            self.layout(child, depth + 1)?;
            end = child.end_byte();
        }
        if node.child_count() > 0 { self.blank(end, node.end_byte(), !one_line) } else { Ok(()) }
    }

    /// A token has to be what the grammar calls it, and a word that opens something has to stand apart: `![[` and `{ls` are
    /// words for bash.
    fn token(&self, node: Node<'_>) -> Shown {
        let after = self.text.get(node.end_byte()..).unwrap_or_default();
        let opens = matches!(
            node.kind(),
            "!" | "{" | "[" | "[[" | "if" | "then" | "elif" | "else" | "do" | "for" | "in"
        );
        if self.text(node) != node.kind() || (opens && !after.starts_with([' ', '\t', '\n'])) {
            return Err(format!("{} is not understood", quoted(self.text(node))));
        }
        Ok(())
    }

    fn blank(&self, from: usize, to: usize, lines: bool) -> Shown {
        let gap = self.text.get(from..to).unwrap_or("?");
        let mut before = self.text.get(..from).unwrap_or_default().chars().next_back();
        let mut characters = gap.chars();
        while let Some(character) = characters.next() {
            let blank = match character {
                ' ' | '\t' => true,
                '\n' => lines,
                // A line that goes on, between two words.
                '\\' => matches!(before, Some(' ' | '\t')) && characters.next() == Some('\n'),
                _ => false,
            };
            if !blank {
                return Err(format!("{} is not understood", quoted(gap)));
            }
            before = Some(if character == '\\' { ' ' } else { character });
        }
        Ok(())
    }

    pub(super) fn children<'n>(node: Node<'n>) -> impl Iterator<Item = Node<'n>> {
        (0..node.child_count())
            .filter_map(move |at| child(node, at))
            .filter(|child| child.kind() != "comment")
    }

    /// Statements with what joins them: `;`, `&&`, `|`, `if`, braces and the like.
    fn statements(&mut self, node: Node<'_>) -> Shown {
        for child in Self::children(node) {
            if child.is_named() {
                self.statement(child)?;
            } else if !matches!(
                child.kind(),
                ";" | "\n"
                    | "("
                    | ")"
                    | "{"
                    | "}"
                    | "&&"
                    | "||"
                    | "|"
                    | "|&"
                    | "!"
                    | "$("
                    | "`"
                    | "if"
                    | "then"
                    | "elif"
                    | "else"
                    | "fi"
                    | "do"
                    | "done"
            ) {
                return Err(quoted(child.kind()));
            }
        }
        Ok(())
    }

    pub(super) fn statement(&mut self, node: Node<'_>) -> Shown {
        match node.kind() {
            "list" | "pipeline" | "negated_command" | "subshell" | "compound_statement" | "if_statement"
            | "elif_clause" | "else_clause" | "do_group" => self.statements(node),
            "command" => self.command(node),
            "for_statement" => self.loop_over(node),
            "while_statement" => self.loop_while(node),
            "declaration_command" => self.export(node),
            "test_command" => self.test(node),
            "redirected_statement" => Self::children(node).try_for_each(|child| self.statement(child)),
            "file_redirect" => self.redirect(node),
            "herestring_redirect" => self.here_string(node),
            "variable_assignment" => {
                self.commands += 1;
                self.assignment(node, true)
            }
            _ => Err(format!("{} ({})", quoted(self.text(node)), node.kind().replace('_', " "))),
        }
    }

    fn command(&mut self, node: Node<'_>) -> Shown {
        let mut program = None;
        let mut words = Vec::new();
        let mut end = None;
        let mut separates = false;
        for child in Self::children(node) {
            // What bash reads as one word must not be two for the grammar.
            if end == Some(child.start_byte()) && !child.kind().ends_with("_redirect") {
                return Err(format!("{} is not understood", quoted(self.text(node))));
            }
            end = Some(child.end_byte());
            match child.kind() {
                "command_name" => program = Some(self.program(child)?),
                "variable_assignment" if self.is_separator(child) => separates = true,
                "variable_assignment" => self.assignment(child, false)?,
                "file_redirect" => self.redirect(child)?,
                "herestring_redirect" => self.here_string(child)?,
                _ if program.is_some() => words.push(word(child, self)?),
                _ => return Err(quoted(self.text(child))),
            }
        }
        self.commands += 1;
        let program = program.ok_or("a command without a name")?;
        // With some builtins an assignment lasts, and what is split by it may become a flag.
        if separates && program != "read" {
            return Err("setting `IFS` may change what commands do".to_owned());
        }
        command(&program, &words)
    }

    /// The program's name: literal, without quotes.
    fn program(&self, node: Node<'_>) -> Shown<String> {
        let text = self.text(node);
        let plain = |c: char| c.is_ascii_alphanumeric() || "_./+-:[".contains(c);
        let known = child(node, 0).is_some_and(|inner| inner.kind() == "word" && node.child_count() == 1);
        if known && !text.is_empty() && text.chars().all(plain) {
            Ok(text.to_owned())
        } else {
            Err(format!("{} is not a literal command name", quoted(text)))
        }
    }

    /// `[ … ]` and `[[ … ]]`, which the grammar reads as expressions.
    fn test(&mut self, node: Node<'_>) -> Shown {
        self.commands += 1;
        let mut leaves = Vec::new();
        flatten(node, &mut leaves);
        let apart = leaves.windows(2).all(|pair| pair[0].end_byte() < pair[1].start_byte());
        let (Some(open), Some(close), true) = (leaves.first(), leaves.last(), apart) else {
            return Err(quoted(self.text(node)));
        };
        let mut words = Vec::new();
        for leaf in leaves.get(1..leaves.len() - 1).unwrap_or_default() {
            let pattern =
                leaf.kind() == "extglob_pattern" && tame(&self.text(*leaf).replace(['*', '?'], "x"));
            let operator = !leaf.is_named() || leaf.kind() == "test_operator" || pattern;
            words.push(if operator { Word::exact(self.text(*leaf)) } else { word(*leaf, self)? });
        }
        match (open.kind(), close.kind()) {
            ("[", "]") => conditions::test(&words),
            ("[[", "]]") => conditions::double(&words),
            _ => Err(quoted(self.text(node))),
        }
    }

    fn redirect(&mut self, node: Node<'_>) -> Shown {
        let refused = format!("the redirection {}", quoted(self.text(node)));
        let mut parts: Vec<Node<'_>> = Self::children(node).collect();
        if let [descriptor, operator, ..] = parts.as_slice()
            && descriptor.kind() == "file_descriptor"
        {
            // In `sort -o2>/dev/null` the grammar takes all of `-o2` for the descriptor.
            let number = self.text(*descriptor).bytes().all(|byte| byte.is_ascii_digit());
            let apart = self.text[..descriptor.start_byte()].ends_with([' ', '\t', '\n'])
                || descriptor.start_byte() == 0;
            if !number || !apart || descriptor.end_byte() != operator.start_byte() {
                return Err(refused);
            }
            parts.remove(0);
        }
        // The grammar takes all words that follow for destinations; bash takes one.
        let [operator, destination] = parts.as_slice() else {
            return Err(refused);
        };
        let destination = word(*destination, self)?;
        let Some(path) = destination.known() else {
            return Err(refused);
        };
        let allowed = match operator.kind() {
            ">" | ">>" | "&>" | "&>>" => path == "/dev/null",
            ">&" => matches!(path, "1" | "2"),
            // `/dev/tcp/HOST/PORT` opens a connection.
            "<" => {
                path == "/dev/null"
                    || !path.split('/').any(|piece| matches!(piece, "dev" | "kmsg" | "trace_pipe"))
            }
            _ => false,
        };
        if allowed { Ok(()) } else { Err(refused) }
    }

    fn here_string(&mut self, node: Node<'_>) -> Shown {
        for part in Self::children(node) {
            match part.kind() {
                "<<<" => {}
                "file_descriptor" => return Err(quoted(self.text(node))),
                _ => {
                    decode::word(part, self)?;
                }
            }
        }
        Ok(())
    }
}

fn flatten<'n>(node: Node<'n>, leaves: &mut Vec<Node<'n>>) {
    for at in 0..node.child_count() {
        match child(node, at) {
            Some(inner) if matches!(inner.kind(), "unary_expression" | "binary_expression") => {
                flatten(inner, leaves)
            }
            Some(inner) => leaves.push(inner),
            None => {}
        }
    }
}
