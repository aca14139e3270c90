//! `runbook run`.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::sync::Arc;

use clap::{ArgMatches, Args as _, FromArgMatches};
use engine::dry_run::dry_run;
use engine::journal::Store;
use engine::plan::{PlanData, StepNode};
use engine::run::{Mode, RunId, Started};
use engine::source::parse_duration;
use engine::walk::{Walker, World};

use super::resume::parse_run;
use crate::cli::{Answers, Named, Questions, Run, RunOptions};
use crate::error::CliError;
use crate::exit::Exit;
use crate::inputs::{self, Inputs};
use crate::library::{self, Found};
use crate::load::{load, registry};
use crate::place;
use crate::secrets::{self, Missing};
use crate::session::{Session, fresh_run};
use crate::site;
use crate::target;
use crate::terminal::{Consent, Elsewhere, Gates, Patience, Screen, Stream, line, story, tree};
use crate::witness::witnessed;

pub(super) fn execute(args: Run) -> Result<Exit, CliError> {
    let Some(Named::Runbook(words)) = args.runbook else { return Err(which("run")) };
    let found = named(&words)?;
    let mut registry = registry();
    let plan = load(&found, &mut registry)?;
    let inputs = inputs_of(plan.data());
    let command =
        about(RunOptions::augment_args(clap::Command::new(found.name.clone())), "run", &found, plan.data());
    let matches = parse("run", inputs::flags(command, &inputs, &BTreeMap::new()), &words)?;
    let options = RunOptions::from_arg_matches(&matches)?;
    let mut values = inputs::values(&matches, &inputs, &BTreeMap::new());
    let secrets = secrets::given(&matches, &inputs, &mut values, Missing::Ask)?;
    let seals = secrets::seals(&secrets)?;
    let redactor = secrets::redactor(secrets, Some(plan.data()))?;
    let (target, lock) = inputs::target(&inputs, &values);
    // Before anything starts; a dry run leaves nothing there and needs nothing of it.
    let store = (!options.dry_run).then(place::store).transpose()?;
    let started = Started {
        run: fresh_run(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        plan: Arc::clone(plan.data()),
        inputs: values,
        secrets: seals,
        operator: store.as_deref().map_or_else(place::account, place::account_in),
        host: place::host(),
        mode: Mode::Live,
        target,
        place: found.place(),
    };
    let run = started.run.clone();
    let consent = consent(&options.answers, plan.data())?;
    let session = Session::new(options.json)?;
    let site = site::live(options.record.as_deref(), &started, &redactor)?;
    let elsewhere =
        store.as_ref().map(|store| elsewhere(&options.answers, store, &started.run)).transpose()?;
    let world = session.world(
        site.steps(registry),
        site.port(),
        &started.operator,
        consent,
        redactor,
        plan.data(),
        elsewhere,
    );
    let ending = match &store {
        None => explore(&session, started, &world, &options),
        Some(store) => {
            walk(&session, &**store, started, world, lock.as_deref(), options.takes.take_over.as_deref())
        }
    };
    site.parting(&run, ending.as_ref().ok().filter(|_| store.is_some()).copied());
    ending
}

/// Shows what a real run would do.
fn explore(
    session: &Session,
    started: Started,
    world: &World,
    options: &RunOptions,
) -> Result<Exit, CliError> {
    if !options.json {
        session.reporter.head(&started, "DRY RUN: it reads, and changes nothing");
    }
    session.reporter.busy("looking at what a real run would do");
    let dry = session.runtime.block_on(dry_run(started, world))?;
    session.reporter.quiet();
    if options.json {
        Screen::on(Stream::Out).line(serde_json::to_string(&dry).unwrap_or_default());
    } else {
        let show = if options.all_paths { tree } else { story };
        session.screen.lines(&show(&session.screen, &dry));
    }
    Ok(if dry.complete { Exit::Done } else { Exit::Held })
}

/// Walks for real, with the lock of the target `lock`.
fn walk(
    session: &Session,
    store: &dyn Store,
    started: Started,
    world: World,
    lock: Option<&str>,
    take_over: Option<&str>,
) -> Result<Exit, CliError> {
    let run = started.run.clone();
    let over = take_over.map(|text| parse_run(store, text)).transpose()?;
    session.listen(Some(run.clone()))?;
    let hold = lock
        .map(|lock| {
            target::hold(session, &world, lock, &run, &started.operator, over.as_ref(), &started.plan.runbook)
        })
        .transpose()?;
    if let Some(hold) = &hold {
        target::point_out_left_open(session, store, hold, &run);
    }
    let mut walker = Walker::start(started, witnessed(store.create(&run)?, &run), world)?;
    let ending = session.walk_held(&mut walker, over, hold)?;
    Ok(Exit::from(&ending))
}

/// No runbook was named.
pub(super) fn which(verb: &str) -> CliError {
    let names: Vec<String> = library::all().into_keys().collect();
    CliError::usage(
        format!("which runbook? There is {}", names.join(", ")),
        format!("`runbook {verb} --help`"),
    )
}

/// The runbook that the first word names.
pub(super) fn named(words: &[OsString]) -> Result<Found, CliError> {
    library::find(&words.first().map(|word| word.to_string_lossy()).unwrap_or_default())
}

/// The inputs of a plan.
pub(super) fn inputs_of(plan: &PlanData) -> Inputs {
    plan.scopes.get("").map(|scope| scope.inputs.clone()).unwrap_or_default()
}

/// The command line of one runbook, with what its help says.
pub(super) fn about(command: clap::Command, verb: &str, found: &Found, plan: &PlanData) -> clap::Command {
    let mut about = line(&plan.title);
    if let Some(severity) = &plan.severity {
        about.push_str(&format!(" ({})", line(severity)));
    }
    command
        .bin_name(format!("runbook {verb} {}", found.name))
        .about(about)
        .after_help(format!("From {}", found.shown()))
        .max_term_width(100)
}

/// Reads the words of the command line again, now that the inputs are known. Options may stand before the runbook.
pub(super) fn parse(verb: &str, command: clap::Command, words: &[OsString]) -> Result<ArgMatches, CliError> {
    let all: Vec<OsString> = std::env::args_os().collect();
    let before = all.len().saturating_sub(words.len());
    let options = all.get(..before).unwrap_or_default().iter().skip_while(|word| *word != verb).skip(1);
    let words = words.iter().take(1).chain(options).chain(words.iter().skip(1));
    Ok(command.try_get_matches_from(words)?)
}

/// Who answers the gates and questions of this plan.
pub(super) fn consent(answers: &Answers, plan: &PlanData) -> Result<Consent, CliError> {
    for name in &answers.approve {
        step_of(plan, name)?;
    }
    let gates = match (answers.yes, &answers.approve[..]) {
        (true, _) => Gates::All,
        (false, []) => Gates::Ask,
        (false, nodes) => Gates::Nodes(nodes.iter().cloned().collect()),
    };
    Ok(Consent { gates, questions: questions(&answers.questions, plan)? })
}

/// Where others leave their answers, and how long the run waits for them.
pub(super) fn elsewhere(
    answers: &Answers,
    store: &Arc<dyn Store>,
    run: &RunId,
) -> Result<Elsewhere, CliError> {
    let patience = match answers.wait.as_deref() {
        None => Patience::Parks,
        Some("") => Patience::Endless,
        Some(text) => Patience::For(parse_duration(text).ok_or_else(|| {
            CliError::usage(format!("`--wait={text}` is no duration"), "write --wait=30m, or --wait alone")
        })?),
    };
    Ok(Elsewhere::new(Arc::clone(store), run.clone(), patience))
}

/// Answers to questions of this plan.
pub(super) fn questions(given: &Questions, plan: &PlanData) -> Result<HashMap<String, String>, CliError> {
    let mut questions = HashMap::new();
    for given in &given.answer {
        let Some((node, outcome)) = given.split_once('=') else {
            return Err(CliError::usage(
                format!("`--answer {given}` has no ="),
                "write --answer NODE=OUTCOME",
            ));
        };
        let known = &step_of(plan, node)?.outcomes;
        if !known.iter().any(|known| known == outcome) {
            let message = format!("the node {node} cannot end with {outcome}");
            return Err(CliError::usage(message, format!("it can with {}", known.join(", "))));
        }
        questions.insert(node.to_owned(), outcome.to_owned());
    }
    Ok(questions)
}

/// The step of the node that a person named.
fn step_of<'a>(plan: &'a PlanData, name: &str) -> Result<&'a StepNode, CliError> {
    let mut nodes = plan.nodes.iter().filter(|node| node.id == name || node.name() == name);
    nodes.find_map(|node| node.step()).ok_or_else(|| {
        let names: Vec<&str> =
            plan.nodes.iter().filter(|node| node.step().is_some()).map(|node| node.id.as_str()).collect();
        let message = format!("{} has no node {name} that a person could answer", plan.runbook);
        CliError::usage(message, format!("its nodes: {}", names.join(", ")))
    })
}
