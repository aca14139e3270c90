//! Checking one template: its syntax, then every name in it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::Range;

use hashbrown::HashMap;
use minijinja::Environment;
use serde_json::Value as Json;

use super::arithmetic::{Kind, kind};
use super::extras::{FILTERS, FUNCTIONS, RAW, RUN_FIELDS, TESTS};
use super::operations::{Operand, operations};
use super::scan::{self, Mention, PathStep};
use crate::check::schema::{self, Inside};
use crate::check::{Findings, codes, list};
use crate::diagnostic::Span;
use crate::source::place_in_scalar;
use crate::template::{FILTERS as OUR_FILTERS, TESTS as OUR_TESTS, is_template};

/// What a name in a template stands for.
pub(in crate::check) enum Record<'a> {
    /// A record of this schema.
    Known(&'a Json),
    /// Something of which nothing is known.
    Anything,
    /// A node without output; what it does instead.
    Nothing(&'static str),
}

/// The names of one runbook.
pub(in crate::check) struct Names<'a> {
    /// The file's text, for places.
    pub(in crate::check) text: &'a str,
    /// Inputs with the schema of their values.
    pub(in crate::check) inputs: HashMap<&'a str, &'static Json>,
    /// Variables with their position in the file.
    pub(in crate::check) vars: HashMap<&'a str, usize>,
    /// Nodes with what they yield.
    pub(in crate::check) nodes: HashMap<&'a str, Record<'a>>,
}

/// Where a template stands, as far as it matters to names.
#[derive(Clone, Copy, Default)]
pub(in crate::check) struct Place<'p> {
    /// What `output` is.
    pub(in crate::check) output: Option<&'p Record<'p>>,
    /// The name of the item of a fan-out.
    pub(in crate::check) item: Option<&'p str>,
    /// It is the first value of the variable at this position: no node has run.
    pub(in crate::check) variable: Option<usize>,
    /// It belongs to the node at this position.
    pub(in crate::check) node: Option<usize>,
}

/// Checks templates.
pub(in crate::check) struct Templates<'a> {
    env: Environment<'a>,
    reads: RefCell<Vec<Read>>,
}

/// A node's template that reads the output of a node.
pub(in crate::check) struct Read {
    /// Position of the node that reads.
    pub(in crate::check) by: usize,
    /// Name of the node that is read.
    pub(in crate::check) from: String,
    /// Where.
    pub(in crate::check) at: Span,
}

impl<'a> Templates<'a> {
    pub(in crate::check) fn new() -> Self {
        let mut env = Environment::new();
        env.set_debug(true); // Errors carry their place.
        Self { env, reads: RefCell::default() }
    }

    /// All reads of outputs in the templates checked so far.
    pub(in crate::check) fn into_reads(self) -> Vec<Read> {
        self.reads.into_inner()
    }

    /// Checks a text that may hold templates.
    pub(in crate::check) fn text(
        &self,
        text: &'a str,
        at: &Span,
        names: &Names<'_>,
        place: Place<'_>,
        findings: &mut Findings,
    ) {
        if !is_template(text) {
            return;
        }
        let compiled = match crate::template::one_expression(text) {
            Some(inner) => self
                .env
                .compile_expression(&text[inner.clone()])
                .map(|_| None)
                .map_err(|error| (error, inner.start)),
            None => self
                .env
                .template_from_str(text)
                .map(|template| text.contains("{%").then(|| template.undeclared_variables(true)))
                .map_err(|error| (error, 0)),
        };
        match compiled {
            Ok(free) => Checking { text, at, names, place, free, reads: &self.reads, findings }.names(),
            Err((error, offset)) => {
                let range =
                    error.range().map_or(0..text.len(), |range| range.start + offset..range.end + offset);
                let reason = error.detail().unwrap_or("syntax error");
                let help = if scan::codes(text).is_empty() {
                    "A template that begins with `{{` ends with `}}`."
                } else if text.contains("&&") || text.contains("||") {
                    "Write `and` and `or`."
                } else {
                    "Templates are Jinja: `a.b == 'x' and not c`, `list | length`, `x is known`."
                };
                findings
                    .error(
                        codes::TEMPLATE_SYNTAX,
                        format!("this template cannot be read: {reason}"),
                        place_in_scalar(names.text, at, text, range),
                    )
                    .label("here")
                    .help(help);
            }
        }
    }

    /// Checks a text that has to be exactly one expression.
    pub(in crate::check) fn expression(
        &self,
        text: &'a str,
        at: &Span,
        what: &str,
        names: &Names<'_>,
        place: Place<'_>,
        findings: &mut Findings,
    ) {
        if scan::is_one_expression(text) {
            return self.text(text, at, names, place, findings);
        }
        let help = if is_template(text) {
            "Put everything between one pair of braces: \"{{ … }}\".".to_owned()
        } else {
            format!("Write \"{{{{ {text} }}}}\" if that is an expression; without braces it is only text.")
        };
        findings
            .error(
                codes::TEMPLATE_NOT_AN_EXPRESSION,
                format!("{what} must be one expression in `{{{{ }}}}`"),
                at.clone(),
            )
            .label("this is text")
            .help(help);
    }
}

struct Checking<'c> {
    text: &'c str,
    at: &'c Span,
    names: &'c Names<'c>,
    place: Place<'c>,
    /// What a template with blocks reads from outside, as minijinja sees it; the rest are its own loop variables. Without
    /// blocks there are none.
    free: Option<HashSet<String>>,
    reads: &'c RefCell<Vec<Read>>,
    findings: &'c mut Findings,
}

impl<'c> Checking<'c> {
    fn names(&mut self) {
        let mentions = scan::mentions(self.text);
        self.reads(&mentions);
        for mention in mentions {
            match mention {
                Mention::Filter { name, at } => self.filter(name, at),
                Mention::Test { name, at } => self.test(name, at),
                Mention::Path { root, steps, at, called, .. } => self.path(root, &steps, at, called),
            }
        }
        self.arithmetic();
    }

    /// Text beside an operator that needs numbers. What is not known for sure is left alone, as is text with text.
    fn arithmetic(&mut self) {
        let mut last = None;
        for operation in operations(self.text) {
            let own = |operand: &Operand<'_>| matches!(operand, Operand::Path { root, .. } if scan::binds(self.text, root));
            let of = |operand: &Operand<'_>| {
                if own(operand) { None } else { kind(operand, self.names, self.place) }
            };
            let (left, right) = (of(&operation.left), of(&operation.right));
            // `+` joins texts, and `<` orders them.
            let needs_numbers = !matches!(operation.sign, "+" | "<" | ">" | "<=" | ">=");
            let sides = [(&operation.left, left, right), (&operation.right, right, left)];
            let wrong = sides.into_iter().find_map(|(operand, own, other)| match (operand, own) {
                (Operand::Path { at, .. }, Some(own)) if own.is_text() => {
                    (needs_numbers || other == Some(Kind::Number)).then_some((at.clone(), own))
                }
                _ => None,
            });
            // In `2 * x + 5` once is enough.
            let Some((at, own)) = wrong.filter(|(at, _)| last.as_ref() != Some(at)) else { continue };
            last = Some(at.clone());
            let name = &self.text[at.clone()];
            let (what, help) = match own {
                Kind::Duration => (
                    "a text like `10m`",
                    "No filter makes seconds of it: take an input of type `number` for what is calculated with, or \
                     leave the time to a step."
                        .to_owned(),
                ),
                _ => (
                    "text",
                    format!("If it says a number, write `{name} | number`. Texts are joined with `~`."),
                ),
            };
            let span = self.span(at.clone());
            self.findings
                .error(
                    codes::TEMPLATE_TEXT_AS_NUMBER,
                    format!("`{name}` is {what}, and `{}` here needs numbers", operation.sign),
                    span,
                )
                .label("no number")
                .help(help);
        }
    }

    /// Notes which outputs are read. A template that asks whether `x` is known at all takes care of it, and so does a
    /// default of `x` itself (of `x.field` does not: there is no `x` to have a field).
    fn reads(&mut self, mentions: &[Mention<'_>]) {
        let Some(by) = self.place.node else { return };
        let whole = |mention: &Mention<'_>, name: &str| matches!(mention, Mention::Path { root, steps, .. } if *root == name && steps.is_empty());
        let asked = |name: &str| {
            mentions.windows(2).any(|pair| {
                whole(&pair[0], name)
                    && matches!(&pair[1], Mention::Test { name, .. } if matches!(*name, "known" | "unknown" | "defined" | "undefined"))
            })
        };
        for (number, mention) in mentions.iter().enumerate() {
            let Mention::Path { root, at, .. } = mention else { continue };
            let own = self.place.item == Some(root) || !self.names.nodes.contains_key(root);
            // A loop variable of the same name is no read: minijinja does not report it as free.
            let is_root = |name: &String| name.split('.').next() == Some(*root);
            let free = self.free.as_ref().is_none_or(|free| free.iter().any(is_root));
            let defaulted = whole(mention, root)
                && matches!(mentions.get(number + 1), Some(Mention::Filter { name: "default" | "d", .. }));
            if !own && free && !defaulted && !asked(root) {
                let at = self.span(at.start..at.start + root.len());
                self.reads.borrow_mut().push(Read { by, from: (*root).to_owned(), at });
            }
        }
    }

    fn span(&self, at: Range<usize>) -> Span {
        place_in_scalar(self.names.text, self.at, self.text, at)
    }

    fn filter(&mut self, name: &str, at: Range<usize>) {
        let span = self.span(at);
        if name == RAW {
            self.findings
                .warning(codes::SHELL_RAW, "this value goes to the shell without quoting", span)
                .label("not quoted")
                .help("Make sure that it can never hold a space, `;` or `$(`; or pass arguments as a list.");
        } else if !FILTERS.contains(&name) && !OUR_FILTERS.contains(&name) {
            let all = || FILTERS.iter().chain(OUR_FILTERS).copied();
            let meant = self.findings.meant(name, all());
            self.findings
                .error(codes::TEMPLATE_UNKNOWN_FILTER, format!("there is no filter `{name}`"), span)
                .label("unknown filter")
                .help_meant(meant, "Filters are", all());
        }
    }

    fn test(&mut self, name: &str, at: Range<usize>) {
        if TESTS.contains(&name) || OUR_TESTS.contains(&name) {
            return;
        }
        let span = self.span(at);
        let all = || OUR_TESTS.iter().copied().chain(TESTS);
        let meant = self.findings.meant(name, all());
        self.findings
            .error(codes::TEMPLATE_UNKNOWN_TEST, format!("there is no test `{name}`"), span)
            .label("unknown test")
            .help_meant(meant, "Tests are", all());
    }

    fn path(&mut self, root: &str, steps: &[PathStep<'_>], at: Range<usize>, called: bool) {
        if self.free.as_ref().is_some_and(|free| !free.contains(&reported(root, steps))) {
            return;
        }
        let root_at = at.start..at.start + root.len();
        if called {
            return self.call(root, steps, at);
        }
        match root {
            "inputs" => self.member("inputs", steps, root_at),
            "vars" => self.member("vars", steps, root_at),
            "run" => self.member("run", steps, root_at),
            _ if self.place.item == Some(root) => {}
            "output" => match self.place.output {
                Some(record) => self.record("output", record, steps),
                None => {
                    let span = self.span(root_at);
                    self.findings
                        .error(codes::TEMPLATE_UNKNOWN_NAME, "`output` does not exist here", span)
                        .label("only under `set` and `outcome`")
                        .help("Elsewhere a node's output goes by the node's name: `{{ node.field }}`.");
                }
            },
            "item" => {
                let span = self.span(root_at);
                let help = match self.place.item {
                    Some(name) => format!("In this node the item is named `{name}` by `as`."),
                    None => "`item` exists only in the parameters of a node with `for_each`.".to_owned(),
                };
                self.findings
                    .error(codes::TEMPLATE_UNKNOWN_NAME, "`item` does not exist here", span)
                    .label("no item")
                    .help(help);
            }
            _ => {
                match self.names.nodes.get(root) {
                    Some(_) if self.place.variable.is_some() => {
                        let span = self.span(root_at);
                        self.findings
                        .error(
                            codes::TEMPLATE_UNKNOWN_NAME,
                            format!("no node has run yet, so `{root}` has no output here"),
                            span,
                        )
                        .label("not yet")
                        .help(format!("Start the variable from an input or `null`, and write `set` at node `{root}`."));
                    }
                    Some(record) => self.record(root, record, steps),
                    None if FUNCTIONS.contains(&root) => {}
                    None => self.unknown_root(root, root_at),
                }
            }
        }
    }

    fn call(&mut self, root: &str, steps: &[PathStep<'_>], at: Range<usize>) {
        if steps.is_empty() && FUNCTIONS.contains(&root) {
            return;
        }
        let span = self.span(at.clone());
        let called = self.text[at].to_owned();
        let report = self.findings.error(
            codes::TEMPLATE_UNKNOWN_FUNCTION,
            format!("there is no function `{called}`"),
            span,
        );
        let report = report.label("cannot be called");
        match steps.last() {
            Some(PathStep::Field { name, .. }) => report.help(format!(
                "Values have no methods. Use a filter: `{{{{ … | {name} }}}}`, if there is one."
            )),
            _ => report.help(format!("Functions are {}.", list(FUNCTIONS).unwrap_or_default())),
        };
    }

    /// `inputs.x`, `vars.x`, `run.x`.
    fn member(&mut self, root: &str, steps: &[PathStep<'_>], root_at: Range<usize>) {
        let Some(PathStep::Field { name, at, .. }) = steps.first() else { return };
        let names = self.names;
        let known = match root {
            "inputs" => names.inputs.contains_key(name),
            "vars" => names.vars.contains_key(name),
            _ => RUN_FIELDS.contains(name),
        };
        if !known {
            let all: Vec<&str> = match root {
                "inputs" => names.inputs.keys().copied().collect(),
                "vars" => names.vars.keys().copied().collect(),
                _ => RUN_FIELDS.to_vec(),
            };
            let elsewhere = match root {
                "inputs" if names.vars.contains_key(name) => Some(format!("Did you mean `vars.{name}`?")),
                "vars" if names.inputs.contains_key(name) => Some(format!("Did you mean `inputs.{name}`?")),
                _ => None,
            };
            return self.no_member(root, name, at.clone(), all, elsewhere);
        }
        match root {
            "vars" => {
                let position = names.vars.get(name);
                if self.place.variable.is_some_and(|own| position.is_some_and(|position| *position >= own)) {
                    let span = self.span(root_at.start..at.end);
                    self.findings
                        .error(codes::TEMPLATE_UNKNOWN_NAME, format!("`vars.{name}` has no value yet"), span)
                        .label("not yet")
                        .help("Variables get their first values in written order: move it up.");
                }
            }
            "inputs" => {
                if let Some(schema) = names.inputs.get(name) {
                    self.walk(&format!("inputs.{name}"), schema, schema, &steps[1..]);
                }
            }
            _ => self.walk(&format!("run.{name}"), &Json::Null, text_schema(), &steps[1..]),
        }
    }

    fn no_member(
        &mut self,
        root: &str,
        name: &str,
        at: Range<usize>,
        mut all: Vec<&str>,
        elsewhere: Option<String>,
    ) {
        all.sort_unstable();
        let span = self.span(at);
        let meant = self.findings.meant(name, all.iter().copied());
        let what = match root {
            "inputs" => "this runbook has no input",
            "vars" => "this runbook has no variable",
            _ => "`run` has no",
        };
        let report = self
            .findings
            .error(codes::TEMPLATE_UNKNOWN_NAME, format!("{what} `{name}`"), span)
            .label("unknown name");
        match elsewhere {
            Some(help) => report.help(help),
            None => report.help_meant(meant, &format!("`{root}` has"), all.iter().copied()),
        };
    }

    fn record(&mut self, name: &str, record: &Record<'_>, steps: &[PathStep<'_>]) {
        // The word that a node ended with stands beside what its step yields.
        if let (Some(PathStep::Field { name: "outcome", .. }), Record::Known(_)) = (steps.first(), record) {
            return;
        }
        match record {
            Record::Known(schema) => self.walk(name, schema, schema, steps),
            Record::Anything => {}
            Record::Nothing(what) => {
                let Some(PathStep::Field { at, .. }) = steps.first() else { return };
                let span = self.span(at.clone());
                self.findings
                    .error(
                        codes::TEMPLATE_UNKNOWN_FIELD,
                        format!("node `{name}` {what} and has no output"),
                        span,
                    )
                    .label("nothing to read")
                    .help("Only nodes that run a step have an output.");
            }
        }
    }

    /// Follows a path into a value of `schema`.
    fn walk(&mut self, name: &str, root: &Json, schema: &Json, steps: &[PathStep<'_>]) {
        let mut schema = schema;
        let mut name = name.to_owned();
        for step in steps {
            let PathStep::Field { name: field, at, .. } = step else {
                match schema::element(root, schema) {
                    Inside::Known(inner) => schema = inner,
                    _ => return,
                }
                name.push_str("[…]");
                continue;
            };
            match schema::field(root, schema, field) {
                Inside::Known(inner) => schema = inner,
                Inside::Anything => return,
                Inside::NoSuch(fields) => {
                    let span = self.span(at.clone());
                    let meant = self.findings.meant(field, fields.iter().copied());
                    self.findings
                        .error(
                            codes::TEMPLATE_UNKNOWN_FIELD,
                            format!("`{name}` has no field `{field}`"),
                            span,
                        )
                        .label("unknown field")
                        .help_meant(meant, &format!("`{name}` has"), fields);
                    return;
                }
                Inside::Flat(kind) => {
                    let inside = schema::element(root, schema);
                    let records =
                        matches!(inside, Inside::Known(one) if schema::types(one).contains(&"object"));
                    let span = self.span(at.clone());
                    let report = self
                        .findings
                        .error(
                            codes::TEMPLATE_UNKNOWN_FIELD,
                            format!("`{name}` is {kind} and has no field `{field}`"),
                            span,
                        )
                        .label("no such field");
                    report.help(match kind {
                        "a list" if FILTERS.contains(field) => format!("Write `{name} | {field}`."),
                        "a list" if records => format!(
                            "Take one element, `{name}[0].{field}`, or all: `{name} | map(attribute='{field}')`."
                        ),
                        "a list" => format!("Take one element: `{name}[0]`."),
                        _ => format!("Use `{name}` itself."),
                    });
                    return;
                }
            }
            name.push('.');
            name.push_str(field);
        }
    }

    fn unknown_root(&mut self, root: &str, at: Range<usize>) {
        let names = self.names;
        let span = self.span(at);
        let help = if names.inputs.contains_key(root) {
            Some(format!("Did you mean `inputs.{root}`?"))
        } else if names.vars.contains_key(root) {
            Some(format!("Did you mean `vars.{root}`?"))
        } else {
            None
        };
        let roots = || names.nodes.keys().copied().chain(["inputs", "vars", "run"]);
        let meant = if help.is_some() { None } else { self.findings.meant(root, roots()) };
        let report = self
            .findings
            .error(codes::TEMPLATE_UNKNOWN_NAME, format!("nothing here is named `{root}`"), span)
            .label("unknown name");
        match (help, meant) {
            (Some(help), _) => report.help(help),
            (None, Some(meant)) => report.help(format!("Did you mean `{meant}`?")),
            (None, None) => report.help(
                "Templates see `inputs.x`, `vars.x`, `run.x` and the outputs of nodes by name. Text goes in quotes.",
            ),
        };
    }
}

fn text_schema() -> &'static Json {
    static TEXT: std::sync::LazyLock<Json> =
        std::sync::LazyLock::new(|| serde_json::json!({ "type": "string" }));
    &TEXT
}

/// A path as minijinja reports it: up to the first bracket.
fn reported(root: &str, steps: &[PathStep<'_>]) -> String {
    let mut dotted = root.to_owned();
    for step in steps {
        let PathStep::Field { name, dotted: true, .. } = step else { break };
        dotted.push('.');
        dotted.push_str(name);
    }
    dotted
}
