//! Every code a diagnostic can have, with what there is to say about it at leisure (`runbook explain CODE`).

/// A code and its explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `area::name`; stable.
    pub code: &'static str,
    /// One paragraph: what it means, why it is refused, what to write instead.
    pub explanation: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $explanation:literal;)+) => {
        $(
            #[doc = $code]
            pub(crate) const $name: &str = $code;
        )+

        /// All codes, in the order in which a runbook meets them.
        pub const ALL: &[Code] = &[$(Code { code: $code, explanation: $explanation }),+];
    };
}

/// What there is to say about a code.
pub fn explain(code: &str) -> Option<&'static str> {
    ALL.iter().find(|known| known.code == code).map(|known| known.explanation)
}

codes! {
    SOURCE_UNREADABLE = "source::unreadable",
        "The file is there but could not be read to its end: a missing permission, a directory, or a file system \
         that stopped answering. Nothing of it was used.";
    SOURCE_TOO_LARGE = "source::too_large",
        "A runbook may have 4 MiB. Real ones have a few dozen kilobytes, so a larger file is a log, a dump or an \
         attack. It is refused by its length, before it is read.";
    SOURCE_NOT_UTF8 = "source::not_utf8",
        "Runbooks are UTF-8 text. The message names the first byte that is not. Editors call the setting \
         `encoding`; `iconv -f latin1 -t utf8` converts an old file.";
    YAML_SYNTAX = "yaml::syntax",
        "The file is not well-formed YAML, so nothing else about it can be said: this is the one error that hides \
         all others. The caret shows where the parser gave up; the cause is often on the line before (an open quote, \
         an open bracket, a different indentation). Only plain YAML 1.2 is read: one document, no tags.";
    YAML_LIMITS = "yaml::limits",
        "The YAML nests deeper than 24 levels, or its aliases repeat so much that reading it would use up memory \
         (an \"alias bomb\"). No procedure needs either, so such a file is refused while it is read.";
    YAML_BARE_TEMPLATE = "yaml::bare_template",
        "A value that begins with `{{` must be in quotes: without them YAML sees the start of a map, not text. \
         Write `job: \"{{ inputs.job }}\"`. A string that is one expression keeps the type of its value, so the \
         quotes do not turn a list into text.";
    YAML_DUPLICATE_KEY = "yaml::duplicate_key",
        "The same key is written twice in one map. YAML readers differ in which of the two they take, so neither \
         is taken here: remove one. Two nodes of one name are the usual case, after a copy and paste.";
    YAML_UNKNOWN_KEY = "yaml::unknown_key",
        "This key has no meaning at this place. Keys are never skipped silently, because a misspelt `approve` or \
         `on_failure` would otherwise be as good as absent.";
    YAML_MISSING_KEY = "yaml::missing_key",
        "Something that has no default is missing. A runbook needs `runbook`, `title`, `start` and `nodes`; a node \
         needs `step` and `next`, or `end`.";
    YAML_WRONG_TYPE = "yaml::wrong_type",
        "The value has another type than this key takes: a list where text belongs, a number where true or false \
         belongs. Text that looks like a number needs quotes.";
    NAME_BAD = "name::bad",
        "Names of nodes, variables, inputs and outcomes are written like variables, `[a-z][a-z0-9_]*`, because \
         templates use them: `{{ host_oom.node }}`. In a template a dash would be a minus. Runbooks are named with \
         dashes instead, `[a-z][a-z0-9-]*`, because they are names of directories.";
    NAME_RESERVED = "name::reserved",
        "The name has a meaning of its own: in templates (`inputs`, `vars`, `run`, `output`, `item`, `loop`, `true` \
         …), in `next` (`otherwise`), or on the command line, where every input becomes a flag beside the flags that \
         `run` has already.";
    VALUE_DURATION = "value::duration",
        "A duration is a whole number with its unit, or several, the largest first: `500ms`, `30s`, `5m`, `1h30m`, \
         `2d`. A bare number is refused, because seconds and minutes look the same.";
    VALUE_WORD = "value::word",
        "This key takes one of a few words, and this is none of them. The help lists them.";
    VALUE_RANGE = "value::range",
        "The number is outside of what makes sense here: zero attempts would never do anything, zero visits would \
         make a node unreachable, and a schema may state limits of its own.";
    INPUT_DEFAULT = "input::default",
        "The default of an input must be a value that somebody could have given on the command line: of the \
         declared type and, for a choice, one of its words. An input with a default is never missing, so `optional` \
         has no meaning beside it.";
    INPUT_SECRET = "input::secret",
        "The value of a secret input is removed from everything that is written or printed. It is text of at least four \
         characters, given by a file (`--token @FILE`), by the environment (`RUNBOOK_SECRET_TOKEN`) or at the terminal, \
         and never written in a runbook.";
    NODE_KIND = "node::kind",
        "A node either does something (`step`) or ends the walk (`end`). It is exactly one of the two.";
    NODE_MISPLACED_KEY = "node::misplaced_key",
        "The key exists but has no meaning at this kind of node. An end has no `next`; a node that runs another \
         runbook has no `retry` or `approve` of its own, because the nodes of that runbook have theirs; `at_once` \
         and `tolerate` need `for_each`.";
    STEP_UNKNOWN = "step::unknown",
        "No step of this kind is built into this program. `runbook steps` lists those that are. A runbook written \
         for a newer version may use kinds that this one lacks.";
    STEP_EXTERNAL = "step::external",
        "There is an executable `runbook-step-KIND` for this step, in `steps` beside the runbook or on the PATH, and it is not \
         used: others than you and root could change it or put another in its place, or it did not describe itself as it should. \
         It would run with your rights. `runbook steps list` shows all that were found.";
    PARAM_UNKNOWN = "param::unknown",
        "The step has no parameter of this name. Parameters are never skipped silently. `runbook steps KIND` \
         shows them with their meaning and units.";
    PARAM_MISSING = "param::missing",
        "The step cannot work without this parameter. Write it under `with`; a value that may turn out to be unknown \
         while the runbook runs can still be given as a template.";
    PARAM_WRONG_TYPE = "param::wrong_type",
        "A value that is written in the runbook, or an output of known type that a template passes on, does not \
         have the type that the parameter takes. Values that only templates can compute are checked when the node \
         runs, before the step does anything.";
    OUTCOME_UNKNOWN = "outcome::unknown",
        "`next` names an outcome that the node cannot have. The outcomes are the step's own, plus those that the \
         node adds under `outcome`, plus `mixed` for a fan-out whose items end differently. Such an edge would never \
         be walked, and the outcome it was meant for has none.";
    OUTCOME_NO_EDGE = "outcome::no_edge",
        "The node can end in a way that leads nowhere. Every outcome needs an edge under `next`, or `otherwise` for \
         those that are treated alike. A run must not find out at three in the morning that nobody thought of a case.";
    OUTCOME_UNKNOWN_FALLS_THROUGH = "outcome::unknown_falls_through",
        "The step can answer `unknown`: it looked and could not tell. That answer needs an edge of its own, and \
         `otherwise` does not cover it, because a missing diagnosis must never lead to a change by accident. Most \
         often it leads to a person. Only a single target, `next: node`, takes every answer alike: there the node \
         gathers evidence and decides nothing.";
    OUTCOME_OTHERWISE_UNUSED = "outcome::otherwise_unused",
        "Every outcome has an edge already, so `otherwise` covers nothing. It is harmless, but it would hide a new \
         outcome of a later version of the step. Remove it.";
    TARGET_UNKNOWN = "target::unknown",
        "An edge (`next`, `otherwise`, `declined`, `on_failure`) or `start` leads to a node that does not exist. \
         Nodes of other runbooks cannot be reached directly: run that runbook with `step: runbook`.";
    TARGET_AMBIGUOUS = "target::ambiguous",
        "`on_failure: stop` and `on_failure: unwind` are words of the language, and there is a node of that name \
         as well. The word wins. Rename the node if the edge was meant to lead to it.";
    FLOW_UNREACHABLE = "flow::unreachable",
        "No path from `start` leads to this node, so it will never run. Usually an edge is missing or leads \
         elsewhere. Remove the node if it is not needed any more.";
    FLOW_NO_END = "flow::no_end",
        "From this node no `end` can be reached: once a run is here it can only go round in circles. Every path must \
         be able to end, if only by handing over to a person.";
    FLOW_UNBOUNDED_LOOP = "flow::unbounded_loop",
        "These nodes form a loop, and none of them limits how often it is visited. Put `max_visits` on one of \
         them; when it is used up the node fails, and the run is held with its evidence instead of repeating for ever.";
    TEMPLATE_SYNTAX = "template::syntax",
        "The text between `{{ }}` or `{% %}` is not a valid template. Templates are Jinja (minijinja): names, \
         `a.b`, `a[0]`, `==`, `and`, `or`, `not`, `in`, filters `x | length`, tests `x is known`, `a if b else c`.";
    TEMPLATE_UNKNOWN_NAME = "template::unknown_name",
        "A template uses a name that does not exist at its place. Templates see `inputs`, `vars`, `run` (`id`, \
         `operator`, `started`, `runbook`) and every node that runs a step, by its name. `output` exists only under \
         `set` and `outcome`, and `item` only in a node with `for_each`. Variables start from inputs and earlier \
         variables: when they get their first value no node has run yet.";
    TEMPLATE_UNKNOWN_FIELD = "template::unknown_field",
        "The record has no such field. What a step yields is known beforehand, so a misspelt field is found here and \
         not in the middle of an incident. Lists are read by position, `x[0]`; a fan-out yields `items`, one record \
         per item.";
    TEMPLATE_NEVER_RAN = "template::never_ran",
        "A template reads the output of a node that can only run later: no path leads from that node to this one, \
         so there never is anything to read. Usually the flow is in another order than the author had in mind.";
    TEMPLATE_MAY_NOT_HAVE_RUN = "template::may_not_have_run",
        "A template reads the output of a node that some paths pass by: the message shows the shortest of them. A run \
         on that path would fail here, because there is no output to read. Lead every path through that node, or ask \
         first, as in `{{ x.step if x is known else 0 }}` or `{{ (x | default({'step': 0})).step }}`. A node that is declined at \
         its gate, or that fails and leads on by `on_failure`, has no output either.";
    TEMPLATE_UNKNOWN_FILTER = "template::unknown_filter",
        "There is no filter of this name. Filters follow a bar: `{{ bytes | gib }}`.";
    TEMPLATE_UNKNOWN_TEST = "template::unknown_test",
        "There is no test of this name. Tests follow `is`: `{{ error.tried is known }}`.";
    TEMPLATE_UNKNOWN_FUNCTION = "template::unknown_function",
        "There is no function of this name, and values have no methods. Most of what methods do in Python is a \
         filter here: `{{ x | upper }}`, `{{ map | items }}`.";
    TEMPLATE_TEXT_AS_NUMBER = "template::text_as_number",
        "Arithmetic, or a comparison of order with a number, has text on one side. Durations, paths, hosts and job ids \
         are texts, also where they look like numbers: a run would fail at `'10m' + 60`, take `'10m' * 2` for `10m10m` \
         and `'10m' > 5` for true. `x | number` is the number that a text is, and `a ~ b` joins texts.";
    TEMPLATE_NOT_AN_EXPRESSION = "template::not_an_expression",
        "This place needs exactly one expression in `{{ }}`, because its value decides something: text would count \
         as true whatever it says, and text around an expression would turn a list into text.";
    TEMPLATE_NOT_HERE = "template::not_here",
        "Titles, labels and reasons are shown as they are written: they are the words of the page and do not change \
         while the runbook runs. Put changing text into the gate's prompt or the message of an end.";
    SET_UNKNOWN_VARIABLE = "set::unknown_variable",
        "`set` gives a new value to a variable that `vars` does not declare. Declare it there with the value it has \
         before this node runs; `null` stands for not known yet.";
    RUNBOOK_UNKNOWN = "runbook::unknown",
        "There is no runbook of this name to run as a node: neither beside this one nor in the library that ships \
         with the program.";
    RUNBOOK_RECURSIVE = "runbook::recursive",
        "A runbook runs itself, directly or through others. Runbooks that are run as nodes are written into the \
         plan where they are used, so this would never end. Use a loop with `max_visits`.";
    RUNBOOK_TOO_LARGE = "runbook::too_large",
        "With every runbook that is run as a node written out, the plan has more than 50,000 nodes. Runbooks that \
         run each other several times multiply.";
    RUNBOOK_INPUT_UNKNOWN = "runbook::input_unknown",
        "The runbook that this node runs does not take such an input. Inputs are never skipped silently: a misspelt \
         one would leave the runbook with its default.";
    RUNBOOK_INPUT_MISSING = "runbook::input_missing",
        "The runbook that this node runs needs this input: it has no default and is not optional. Give it under \
         `with: { inputs: … }`.";
    POLICY_RULE = "policy::rule",
        "A rule of the site's policy says for which changes (`match`) either who has to agree (`approve`) or that they are \
         not made, and why (`forbid`). An empty list would match nothing. While the policy has a mistake every change is \
         refused, because what it was to demand is not known.";
    CONFIG_PATTERN = "config::pattern",
        "What `redact` of a configuration lists is looked for in everything that is written or printed, and removed. It \
         cannot be looked for if it is no regular expression, and one that matches nothing at all would fit between any two \
         characters. Until it is mended no command runs, because something might be shown that must not be.";
    CONFIG_STATE = "config::state",
        "`state` of a configuration is an absolute path or an address with a scheme, `postgres://HOST/DATABASE`. A relative \
         path would be another place from every directory, and runs that are kept in two places do not see each other's locks.";
    GATE_NEVER = "gate::never",
        "`approve: never` lets a change happen without anybody seeing it first. It has to be written, and it is \
         listed here every time so that whoever reviews the runbook decides knowingly.";
    EFFECT_OVERRULED = "effect::overruled",
        "The author says that this command only reads, although the program cannot prove it. It will be executed in \
         a dry run and without a gate. Reviewers should read the command and the reason.";
    SHELL_RAW = "shell::raw",
        "`shell_raw` puts a value into a shell command without quoting. If it holds a space, a `;` or a `$(`, the \
         shell obeys. Names that come from logs, nodes or files must never go this way; lists of arguments (`argv`) \
         need no quoting at all.";
    OUTPUT_UNBOUNDED = "output::unbounded",
        "The command never comes to an end by itself, or may say more than an output keeps (the first 64 KiB): a run \
         would wait until the step's timeout, or lose the end of what was said, which in a log is the part that matters. \
         Take a part of it, as in `tail -n 200`, `journalctl -n 200` or `grep -m 50`, or bound its time with `timeout 30`.";
    TEXT_TODO = "text::todo",
        "The text says `TODO`: something is not decided yet, most often after a page was imported. A run would show or \
         use it as it is. Decide it, then remove the word. `runbook check --deny warnings` refuses runbooks that are not \
         finished.";
    UNDO_IMPOSSIBLE = "undo::impossible",
        "`undo` is written at a node whose step changes nothing, or `undo: auto` at one whose step has no inverse. \
         A rollback would pass or stop here. Leave it out, or name the step that takes the change back.";
    SCENARIO_WORLD = "scenario::world",
        "A scenario walks its runbook on a world: a `recording` by its name, `exchanges` written by hand, or both; what is \
         written by hand is answered first. A world without a recording needs a `clock`.";
    SCENARIO_NODE = "scenario::node",
        "The scenario names a node that the runbook does not have, or asks of a node what it cannot do: only gates and \
         questions are answered, and only nodes with a step can break.";
    SCENARIO_OUTCOME = "scenario::outcome",
        "The scenario names an outcome that the node cannot have. The runbook may have changed since: \
         `runbook test --update` writes down where the scenario leads now.";
    SCENARIO_INPUT = "scenario::input",
        "The runbook has no such input, or a value of this kind could not be given on its command line. `null` is a value \
         that is not known.";
    SCENARIO_FAULT = "scenario::fault",
        "A fault changes what the world answers (`on` with `error`, `replace`, `absent`, `content`, or `exit`, `stdout` and \
         `stderr`), or what a step answers (`at` with `outcome` or `breaks`). It is exactly one of these.";
    SCENARIO_NEVER_REACHED = "scenario::never_reached",
        "No scenario beside the runbook expects to pass this node, so nobody knows whether the way there and what it does \
         there work. `runbook test` shows what is covered; a scenario is a few lines of YAML in `rehearsals/`.";
    PAGE_MISSING = "page::missing",
        "The runbook names a page that is not there or cannot be read. The page lies beside the runbook: `page: page.md`.";
    PAGE_FLOW = "page::flow",
        "Nodes name boxes of the page's flow (`flow: A`), and the page has no Mermaid flowchart that can be read. The first \
         fenced block of the language `mermaid` that begins with `flowchart` or `graph` is taken.";
    PAGE_BOX = "page::box",
        "The page's flow and the graph do not have the same boxes: a box of the page is no node, or a node names a box that the \
         page does not have. Give the node `flow: …`, mend the page, or write under `differs` that it is on purpose.";
    PAGE_TITLE = "page::title",
        "A node is a box of the page and says something else than the box. People read both during an incident, so they must \
         find the same words. Breaks and spaces do not count. `differs: [{ title: \"…\", reason: … }]` allows one other wording.";
    PAGE_WAY = "page::way",
        "The page draws an arrow along which no way through the graph leads, or the graph has a way that the page does not draw. \
         Nodes that are no box of the page are passed over: a way leads from box to box. If it is on purpose, write it under \
         `differs` as `way` (only in the graph) or `arrow` (only on the page), with the reason.";
    PAGE_LABEL = "page::label",
        "What the page writes on an arrow and what the graph writes on the edge (`{ to: …, label: … }`) are not the same words.";
    PAGE_COMMAND = "page::command",
        "A shell block of the page has a command that no step runs as written, or a step runs one that is not on the page. \
         Variables and templates are compared as places, not by name. Where a step does the same in another way, write it under \
         `differs` as `command`, with the reason: an edit of the command on the page is then reported, too.";
    PAGE_NO_DIFFERENCE = "page::no_difference",
        "An entry of `differs` says that something differs from the page, and it does not, or not any more. Remove it: it would \
         hide the same difference if it came back by mistake.";
    END_NO_MESSAGE = "end::no_message",
        "Escalating means that a person takes over, and this end tells that person nothing; an end without action does \
         not say why nothing was to be done. Write a `message`: what was found, what was changed, what is left to do.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_well_formed_unique_and_explained() {
        for (at, known) in ALL.iter().enumerate() {
            let (area, name) = known.code.split_once("::").unwrap();
            let word = |text: &str| {
                !text.is_empty() && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
            };
            assert!(word(area) && word(name), "{}", known.code);
            assert!(known.explanation.len() > 60 && known.explanation.ends_with('.'), "{}", known.code);
            assert!(!known.explanation.contains("  "), "{}", known.code);
            assert!(ALL[..at].iter().all(|earlier| earlier.code != known.code), "{}", known.code);
            assert_eq!(explain(known.code), Some(known.explanation));
        }
        assert_eq!(explain("no::such"), None);
    }
}
