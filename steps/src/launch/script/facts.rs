//! What a batch script says, gathered in one walk over its syntax tree: who writes a variable, who reads it, who is called.

use std::collections::BTreeMap;
use std::ops::Range;

use tree_sitter::Node;

use super::value::{self, Style, Value};

/// Where something stands, as far as that decides whether and when it is executed.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    /// Byte offset.
    pub(super) at: usize,
    /// Arms that may be skipped: the branching node and which of its arms.
    pub(super) arms: Vec<(usize, usize)>,
    /// Subshells: what is set in one is not seen outside.
    pub(super) shells: Vec<usize>,
    /// Loops.
    pub(super) loops: Vec<usize>,
    /// The function whose body it is in.
    pub(super) function: Option<String>,
    /// The simple command it belongs to.
    pub(super) command: Option<usize>,
    /// Its standard output goes to a file.
    to_file: bool,
}

/// What is done to a variable.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    /// It is assigned this.
    Assign(Value, Style),
    /// It is assigned something that only running the script tells.
    Opaque,
    /// It is removed.
    Unset,
    /// It is marked for export, or no longer.
    Export(bool),
}

/// Something done to a variable.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) deed: Deed,
    pub(super) place: Place,
    /// The value as written (empty: nothing).
    pub(super) value: Range<usize>,
    /// The whole `NAME=value`.
    pub(super) whole: Range<usize>,
    /// The statement that it is or belongs to.
    pub(super) statement: Range<usize>,
    /// How many assignments and names that statement holds.
    pub(super) siblings: usize,
    /// An assignment that also exports.
    pub(super) exports: bool,
    /// It stands before a command and holds for that alone.
    pub(super) prefix: bool,
    /// Seen only in its function and those it calls.
    pub(super) local: bool,
}

/// A simple command.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) words: Vec<String>,
    pub(super) range: Range<usize>,
    pub(super) place: Place,
}

/// Everything gathered.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) events: Vec<Event>,
    pub(super) calls: Vec<Call>,
    /// Names read, and where.
    pub(super) reads: Vec<(String, usize)>,
    /// Texts assigned to each variable, as written.
    pub(super) assigned: BTreeMap<String, Vec<String>>,
    /// How often each function is defined.
    pub(super) functions: BTreeMap<String, usize>,
    /// Comments.
    pub(super) comments: Vec<Range<usize>>,
    /// Words that are only printed.
    pub(super) printed: Vec<Range<usize>>,
    /// Deepest nesting was passed: nothing below was looked at.
    pub(super) too_deep: bool,
}

/// Deepest nesting that is followed.
const DEEPEST: usize = 200;

/// Walks the tree of `source`.
pub(super) fn gather(root: Node<'_>, source: &str) -> Facts {
    let mut walk = Walk { source, facts: Facts::default() };
    walk.children(root, &Place::default(), 0);
    walk.facts
}

struct Walk<'s> {
    source: &'s str,
    facts: Facts,
}

impl Walk<'_> {
    fn text(&self, node: Node<'_>) -> String {
        self.source[node.byte_range()].to_owned()
    }

    /// Visits the children of a node that adds nothing but what its own shape says about them.
    fn children(&mut self, node: Node<'_>, place: &Place, depth: usize) {
        let mut cursor = node.walk();
        let children: Vec<Node<'_>> = node.children(&mut cursor).collect();
        let mut after_then = false;
        for (index, child) in children.iter().enumerate() {
            let mut place = place.clone();
            match node.kind() {
                "pipeline" => place.shells.push(child.id()),
                "list" if index > 0 => place.arms.push((node.id(), 1)),
                "if_statement" if after_then => match child.kind() {
                    "elif_clause" | "else_clause" => place.arms.push((node.id(), child.start_byte())),
                    _ => place.arms.push((node.id(), 0)),
                },
                "case_statement" if child.kind() == "case_item" => {
                    place.arms.push((node.id(), child.start_byte()));
                }
                "while_statement" | "for_statement" | "c_style_for_statement" => {
                    place.loops.push(node.id());
                    if child.kind() == "do_group" {
                        place.arms.push((node.id(), 0));
                    }
                }
                _ => {}
            }
            after_then |= child.kind() == "then";
            if children.get(index + 1).is_some_and(|next| next.kind() == "&") {
                place.shells.push(child.id());
            }
            self.visit(*child, place, depth + 1);
        }
    }

    fn visit(&mut self, node: Node<'_>, mut place: Place, depth: usize) {
        if depth > DEEPEST {
            self.facts.too_deep = true;
            return;
        }
        place.at = node.start_byte();
        match node.kind() {
            "comment" => self.facts.comments.push(node.byte_range()),
            "subshell" | "command_substitution" | "process_substitution" => {
                place.shells.push(node.id());
                self.children(node, &place, depth);
            }
            "function_definition" => self.function(node, depth),
            "for_statement" => {
                if let Some(variable) = node.child_by_field_name("variable") {
                    self.event(variable, node, place.clone(), Deed::Opaque);
                }
                self.children(node, &place, depth);
            }
            "variable_assignments" => self.assignments(node, &place, depth, false, false),
            "variable_assignment" => self.assignment(node, node, &place, depth),
            "declaration_command" => self.declaration(node, &place, depth),
            "unset_command" => self.unset(node, &place),
            "redirected_statement" => {
                let mut cursor = node.walk();
                place.to_file = node.children_by_field_name("redirect", &mut cursor).any(|redirect| {
                    redirect.child_by_field_name("destination").is_some_and(|to| {
                        to.kind() != "number" && !self.source[to.byte_range()].starts_with("/dev/")
                    })
                });
                self.children(node, &place, depth);
            }
            "command" => self.command(node, &place, depth),
            "expansion" => self.expansion(node, &place, depth),
            "variable_name" => self.variable(node, place),
            _ => self.children(node, &place, depth),
        }
    }

    fn function(&mut self, node: Node<'_>, depth: usize) {
        let Some((name, body)) = node.child_by_field_name("name").zip(node.child_by_field_name("body"))
        else {
            return;
        };
        let name = self.text(name);
        *self.facts.functions.entry(name.clone()).or_default() += 1;
        let place = Place { function: Some(name), ..Place::default() };
        self.visit(body, place, depth + 1);
    }

    /// The assignments that are children of `node`, which is their statement or the command that they stand before.
    fn assignments(&mut self, node: Node<'_>, place: &Place, depth: usize, exports: bool, local: bool) {
        let mut cursor = node.walk();
        let all: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
        let siblings =
            all.iter().filter(|c| matches!(c.kind(), "variable_assignment" | "variable_name")).count();
        for child in all {
            if child.kind() != "variable_assignment" {
                continue;
            }
            self.assignment(child, node, place, depth);
            if let Some(event) = self.facts.events.iter_mut().rev().find(|e| e.whole == child.byte_range()) {
                event.exports = exports;
                event.local = local;
                event.siblings = siblings;
                event.prefix = node.kind() == "command";
            }
        }
    }

    fn assignment(&mut self, node: Node<'_>, statement: Node<'_>, place: &Place, depth: usize) {
        let Some(name) = node.child_by_field_name("name") else { return };
        let value_node = node.child_by_field_name("value");
        if let Some(value) = value_node {
            self.visit(value, place.clone(), depth + 1);
        }
        let text = self.text(name);
        let plain = name.kind() == "variable_name" && node.child(1).is_some_and(|sign| sign.kind() == "=");
        let value_range = value_node.map_or(node.end_byte()..node.end_byte(), |value| value.byte_range());
        let written = &self.source[value_range.clone()];
        self.facts.assigned.entry(text.clone()).or_default().push(written.to_owned());
        let deed = match value_node {
            _ if !plain => Deed::Opaque,
            None => Deed::Assign(Value::Literal(String::new()), Style::Bare),
            Some(value) => Deed::Assign(value::value(value, &text, self.source), value::style(value)),
        };
        let mut event = self.blank(text, statement, place.clone(), deed);
        event.place.at = node.start_byte();
        event.value = value_range;
        event.whole = node.byte_range();
        self.facts.events.push(event);
    }

    fn declaration(&mut self, node: Node<'_>, place: &Place, depth: usize) {
        let word = node.child(0).map_or("", |first| first.kind());
        let mut cursor = node.walk();
        let flags: String = node
            .named_children(&mut cursor)
            .filter(|child| child.kind() == "word")
            .map(|child| self.text(child))
            .filter(|flag| flag.starts_with('-'))
            .collect();
        let exports = (word == "export" && !flags.contains('n')) || flags.contains('x');
        let unexports = word == "export" && flags.contains('n');
        // Inside a function `declare` makes a local variable, unless told `-g`.
        let local = place.function.is_some()
            && !flags.contains('g')
            && matches!(word, "local" | "declare" | "typeset");
        let first = self.facts.events.len();
        self.assignments(node, place, depth, exports, local);
        // `declare -i`, `-l`, `-u`, `-n` and arrays make something else of the value.
        if matches!(word, "declare" | "typeset" | "local") && flags.contains(['i', 'l', 'u', 'n', 'a', 'A']) {
            for event in self.facts.events.iter_mut().skip(first).filter(|event| !event.prefix) {
                event.deed = Deed::Opaque;
            }
        }
        let mut cursor = node.walk();
        for name in node.named_children(&mut cursor).filter(|child| child.kind() == "variable_name") {
            if exports || unexports {
                let place = Place { at: name.start_byte(), ..place.clone() };
                self.event(name, node, place, Deed::Export(exports));
            }
        }
        let mut cursor = node.walk();
        for other in node.named_children(&mut cursor) {
            if !matches!(other.kind(), "variable_assignment" | "variable_name" | "word") {
                self.visit(other, place.clone(), depth + 1);
            }
        }
    }

    fn unset(&mut self, node: Node<'_>, place: &Place) {
        let mut cursor = node.walk();
        let names: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
        if names.iter().any(|word| &self.source[word.byte_range()] == "-f") {
            return;
        }
        for name in names.iter().filter(|name| matches!(name.kind(), "variable_name" | "word")) {
            self.event(*name, node, place.clone(), Deed::Unset);
        }
    }

    fn command(&mut self, node: Node<'_>, place: &Place, depth: usize) {
        let place = Place { command: Some(node.id()), ..place.clone() };
        self.assignments(node, &place, depth, true, false);
        let Some(name) = node.child_by_field_name("name") else { return };
        let mut cursor = node.walk();
        let arguments: Vec<Node<'_>> = node.children_by_field_name("argument", &mut cursor).collect();
        let plain = |node: Node<'_>| value::literal(node, self.source).unwrap_or_else(|| self.text(node));
        let first = name.named_child(0).map_or_else(|| self.text(name), plain);
        let words: Vec<String> =
            std::iter::once(first).chain(arguments.iter().map(|word| plain(*word))).collect();
        let program = words.first().map_or("", String::as_str);
        let prints = (program == "echo" || (program == "printf" && words.get(1).is_none_or(|w| w != "-v")))
            && !place.to_file;
        if prints {
            self.facts.printed.push(name.end_byte()..node.end_byte());
        }
        // These store into the variables that they are given by name.
        if matches!(program, "read" | "printf" | "mapfile" | "readarray" | "getopts" | "let") && !prints {
            for argument in &arguments {
                self.event(*argument, node, place.clone(), Deed::Opaque);
            }
        }
        for argument in std::iter::once(&name).chain(&arguments) {
            self.visit(*argument, place.clone(), depth + 1);
        }
        let place = Place { at: name.start_byte(), ..place };
        self.facts.calls.push(Call { words, range: node.byte_range(), place });
    }

    /// `${A}` reads; `${A:=b}` also assigns.
    fn expansion(&mut self, node: Node<'_>, place: &Place, depth: usize) {
        let operator = node.child_by_field_name("operator").map_or("", |operator| operator.kind());
        let mut cursor = node.walk();
        let name = node.named_children(&mut cursor).find(|child| child.kind() == "variable_name");
        if let (Some(name), ":=" | "=") = (name, operator) {
            let text = self.text(name);
            let value = value::own_default(node, &text, self.source).unwrap_or(Value::Computed);
            let mut event = self.blank(text, node, place.clone(), Deed::Assign(value, Style::Bare));
            event.place.at = node.start_byte();
            event.value = node.byte_range();
            event.whole = node.byte_range();
            self.facts.events.push(event);
        }
        self.children(node, place, depth);
    }

    /// A name in an expansion or in arithmetic; there `A=1`, `A+=1`, `A++` also assign.
    fn variable(&mut self, node: Node<'_>, place: Place) {
        self.facts.reads.push((self.text(node), node.start_byte()));
        let Some(parent) = node.parent() else { return };
        let operator = parent.child_by_field_name("operator").map_or("", |operator| operator.kind());
        let assigns = match parent.kind() {
            "binary_expression" => operator.ends_with('=') && !matches!(operator, "==" | "!=" | "<=" | ">="),
            "postfix_expression" | "unary_expression" => matches!(operator, "++" | "--"),
            _ => false,
        };
        if assigns {
            self.event(node, parent, place, Deed::Opaque);
        }
    }

    fn event(&mut self, name: Node<'_>, statement: Node<'_>, place: Place, deed: Deed) {
        let mut event = self.blank(self.text(name), statement, place, deed);
        event.whole = name.byte_range();
        self.facts.events.push(event);
    }

    fn blank(&self, name: String, statement: Node<'_>, place: Place, deed: Deed) -> Event {
        Event {
            name,
            deed,
            place,
            value: 0..0,
            whole: statement.byte_range(),
            statement: statement.byte_range(),
            siblings: 1,
            exports: false,
            prefix: false,
            local: false,
        }
    }
}
