//! Every word of the language and what it means, in one or two sentences: hover text in editors.

/// Words with their meaning.
pub(super) type Words = &'static [(&'static str, &'static str)];

pub(super) const RUNBOOK: Words = &[
    ("runbook", "Its name, that of its directory: lower-case letters, digits and dashes."),
    ("title", "One line that tells people what it is for."),
    ("page", "The written page that it encodes, beside this file."),
    (
        "differs",
        "Where the graph and the page differ on purpose, each with its reason; `check` reports all else.",
    ),
    ("severity", "How bad it is when this is needed: a word of your site's own."),
    ("description", "More about it, for people."),
    ("inputs", "What it is told at the start. Each input becomes a flag: `job` is `--job`."),
    (
        "vars",
        "Values that change while it runs. They start from inputs and earlier variables; `set` at a node changes them.",
    ),
    ("start", "The first node."),
    ("nodes", "The boxes of the flow, by name. Templates read a node's output by that name."),
];

/// One difference from the page; it is exactly one of the first five.
pub(super) const DIFFERS: Words = &[
    ("way", "A way from box to box that only the graph has: `K -> A`."),
    ("arrow", "An arrow that only the page has: `K -> A`."),
    ("box", "A box of the page that no node is."),
    ("title", "Words of a node that are not those of its box."),
    ("command", "A command that only the page or only a step has, as it is written."),
    ("reason", "Why it differs."),
];

pub(super) const INPUT: Words = &[
    ("type", "What kind of value it is."),
    ("help", "What to give; shown by `runbook run NAME --help`."),
    ("default", "The value if none is given."),
    ("optional", "It may be left out; its value is then unknown."),
    (
        "secret",
        "Removed from whatever is written or printed; given by file, environment or terminal, never on the command line.",
    ),
    ("choices", "The words of a `choice`."),
];

pub(super) const INPUT_TYPES: Words = &[
    ("string", "Text, as it is given."),
    ("integer", "A whole number."),
    ("number", "A number."),
    ("boolean", "True or false."),
    ("choice", "One of `choices`."),
    ("list", "Several texts: the flag is given more than once."),
    ("duration", "A time like `30s`, `5m` or `1h30m`."),
    ("path", "A path of a file or directory."),
    ("host", "A name of a host."),
    ("slurm-job", "A Slurm job id; the target that the run is pinned to."),
];

/// What every node can have.
pub(super) const NODE: Words = &[
    ("title", "The words of the box, as they are shown. The node's name if nothing is said."),
    ("flow", "The box of the page's flow that this node is."),
    ("why", "Why this is done; shown at the gate."),
];

/// What a node that runs a step can have.
pub(super) const STEP: Words = &[
    ("step", "What is done here: a kind of step (`runbook steps`), or `runbook` for another runbook."),
    ("with", "The step's parameters. A string that is one `{{ expression }}` keeps the type of its value."),
    (
        "next",
        "Where each outcome leads: `{ outcome: node }`, or one node for all. `unknown` needs an edge of its own.",
    ),
    ("otherwise", "Where all other outcomes lead, but for `unknown`."),
    ("approve", "The gate. A change waits for a person even if nothing is said here."),
    ("undo", "How a rollback takes it back: `auto` if the step knows, or a step."),
    (
        "on_failure",
        "Where to go when the step breaks: `stop` (the default) holds the evidence, `unwind` rolls back, or a node.",
    ),
    ("retry", "Tries again when the step breaks. What may have happened already is never repeated."),
    ("timeout", "How long the step may take: `30s`, `5m`."),
    ("max_visits", "How often a run may come here. Every loop needs such a bound."),
    ("for_each", "Does it for every item of a list: `\"{{ job.nodes }}\"`, or `{ items, as }`."),
    ("at_once", "How many items at the same time."),
    ("tolerate", "How many items may break before the node does."),
    ("set", "Gives variables new values afterwards; `output` is what the step yielded."),
    ("outcome", "Refines the outcome: the first expression that is true names it."),
    ("declined", "Where to go when the gate is declined. Without it the run stops."),
];

pub(super) const END: Words = &[
    ("end", "The walk ends here."),
    ("message", "What is said at the end: what was found, what was changed, what is left to do."),
];

pub(super) const ENDS: Words = &[
    ("resolved", "The problem is gone, and that was seen."),
    ("no_action", "Nothing had to be done."),
    ("escalated", "A person has to take over."),
];

pub(super) const SUBRUN: Words =
    &[("runbook", "The runbook that is run here; its ends are the outcomes."), ("inputs", "Its inputs.")];

pub(super) const EDGE: Words = &[("to", "The node it leads to."), ("label", "The words on the page's edge.")];

pub(super) const GATE: Words = &[
    ("prompt", "The question."),
    ("by", "How many people have to agree."),
    ("not_operator", "Whoever started the run does not count."),
    ("group", "Only members of this group count."),
    ("expires", "How long an answer holds: `30m`."),
];

pub(super) const UNDO: Words =
    &[("step", "The kind of step that takes the change back."), ("with", "That step's parameters.")];

pub(super) const RETRY: Words = &[
    ("attempts", "How often it is tried in all."),
    ("delay", "How long to wait before the next: `5s`."),
    ("backoff", "By what each delay is longer than the one before."),
    ("on", "The breaks after which it is tried again."),
];

pub(super) const BREAKS: Words = &[
    ("unreachable", "The target could not be reached."),
    ("timeout", "It took too long."),
    ("denied", "The target refused."),
    ("malformed", "What came back was not understood."),
    ("failed", "Anything else that broke before it had an effect."),
];

pub(super) const FOR_EACH: Words = &[
    ("items", "The list, as one `{{ expression }}`."),
    ("as", "The item's name in templates; `item` if nothing is said."),
];
