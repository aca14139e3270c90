//! `for` over a list, and `while read`.

use tree_sitter::Node;

use super::command::leads_to_a_device;
use super::decode::{Surroundings, child, word};
use super::script::Walk;
use super::variables::is_own;
use super::verdict::{Shown, quoted};
use super::word::tame;

impl Walk<'_> {
    pub(super) fn loop_over(&mut self, node: Node<'_>) -> Shown {
        let parts: Vec<Node<'_>> = Self::children(node).collect();
        let [keyword, name, rest @ ..] = parts.as_slice() else {
            return Err("a loop".to_owned());
        };
        let variable = self.text(*name).to_owned();
        if keyword.kind() != "for" || name.kind() != "variable_name" || !is_own(&variable) {
            return Err(format!("a loop over {}", quoted(&variable)));
        }
        let mut listed = false;
        let mut values_tame = true;
        let mut body = None;
        // The list ends with its line; the grammar reads on where a shell begins to look for `do`.
        let listed_on = node.start_position().row;
        for part in rest {
            match part.kind() {
                "in" => listed = true,
                ";" | "\n" => {}
                "do_group" => body = Some(*part),
                _ if part.start_position().row != listed_on => {
                    return Err(format!("{} after the line of the loop", quoted(self.text(*part))));
                }
                // Each a number.
                "brace_expression" => drop(word(*part, self)?),
                _ => {
                    let value = word(*part, self)?;
                    if leads_to_a_device(&value) {
                        return Err(format!("{}: opening a device can act on it", quoted(value.beginning())));
                    }
                    values_tame &= value.known().is_some_and(tame);
                }
            }
        }
        let (true, Some(body)) = (listed, body) else {
            return Err(format!("a loop over {} without a list", quoted(&variable)));
        };
        if values_tame {
            self.tame.push(variable);
        }
        let shown = self.statement(body);
        if values_tame {
            self.tame.pop();
        }
        shown
    }

    /// `while read -r x; do …; done`: it ends with its input.
    pub(super) fn loop_while(&mut self, node: Node<'_>) -> Shown {
        let mut parts = Self::children(node);
        let (Some(keyword), Some(condition)) = (parts.next(), parts.next()) else {
            return Err("a loop".to_owned());
        };
        let name = (0..condition.child_count()).filter_map(|at| child(condition, at));
        let mut name = name.filter(|part| part.kind() == "command_name");
        let reads = name.next().is_some_and(|name| self.text(name) == "read");
        if keyword.kind() != "while" || condition.kind() != "command" || !reads {
            return Err(format!("a loop that need not end: {}", quoted(self.text(condition))));
        }
        self.statement(condition)?;
        for part in parts {
            match part.kind() {
                ";" | "\n" => {}
                "do_group" => self.statement(part)?,
                _ => return Err(quoted(self.text(part))),
            }
        }
        Ok(())
    }
}
