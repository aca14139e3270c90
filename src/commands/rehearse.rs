//! `runbook rehearse`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args as _, FromArgMatches};
use engine::diagnostic::SourceFile;
use engine::event::Event;
use engine::journal::MemoryJournal;
use engine::plan::PlanData;
use engine::run::{Mode, Started};
use engine::scenario::Scenario;
use engine::walk::Walker;
use steps::site::Recording;

use crate::cli::{Named, Rehearse, RehearseOptions};
use crate::error::CliError;
use crate::exit::Exit;
use crate::inputs;
use crate::library::Tape;
use crate::load::{load, registry, show};
use crate::place;
use crate::rehearsal::{Scripted, Set, Worlds};
use crate::secrets::{self, Missing};
use crate::session::{Session, fresh_run};
use crate::terminal::{Consent, Gates, Keyboard, Screen, Stream, line};

use super::run::{about, inputs_of, named, parse, questions, which};

pub(super) fn execute(args: Rehearse) -> Result<Exit, CliError> {
    let Some(Named::Runbook(words)) = args.runbook else { return Err(which("rehearse")) };
    let found = named(&words)?;
    let mut registry = registry();
    let plan = load(&found, &mut registry)?;
    let inputs = inputs_of(plan.data());
    // Which recording it is says which inputs are still needed, so the command line is read twice.
    let command = about(
        RehearseOptions::augment_args(clap::Command::new(found.name.clone())),
        "rehearse",
        &found,
        plan.data(),
    );
    let first =
        parse("rehearse", inputs::flags(command.clone(), &inputs, &inputs::unknown(&inputs)), &words)?;
    let options = RehearseOptions::from_arg_matches(&first)?;
    let tape = found.recording(options.recording.as_deref())?;
    let set = set(plan.data(), &tape)?;
    let matches = parse("rehearse", inputs::flags(command, &inputs, set.inputs()), &words)?;
    let mut values = inputs::values(&matches, &inputs, set.inputs());
    let secrets = secrets::given(&matches, &inputs, &mut values, Missing::StandIn)?;
    let redactor = secrets::redactor(secrets, Some(plan.data()))?;
    let (target, _) = inputs::target(&inputs, &values);
    let started = Started {
        run: fresh_run(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        plan: Arc::clone(plan.data()),
        inputs: values,
        secrets: BTreeMap::new(),
        operator: place::account(),
        host: place::host(),
        mode: Mode::Rehearsal { recording: tape.name },
        target,
        place: found.place(),
    };
    let session = Session::new(options.json)?;
    let run = options.keep.then(|| started.run.clone());
    session.listen(run.clone())?;
    let consent = Consent { gates: Gates::Rehearsal, questions: questions(&options.questions, plan.data())? };
    let stage = set.stage(&started.run, &redactor);
    let port = Arc::clone(&stage.site) as _;
    let registry = stage.registry(registry);
    let mut world = session.world(registry, port, &started.operator, consent, redactor, plan.data(), None);
    // It touches nothing that the site could protect.
    world.policy = Arc::new(engine::policy::NoPolicy);
    world.operator = Arc::new(Scripted::new(stage.answers.clone(), Some(world.operator)));
    let listener = paced(world.listener, &session, &options);
    world.listener = Arc::new(move |event| {
        stage.hear(event);
        listener(event);
    });
    let ending = match run {
        Some(run) => {
            let mut walker = Walker::start(started, place::store()?.create(&run)?, world)?;
            let ending = session.walk(&mut walker, false)?;
            let (journal, state) = walker.journal();
            journal.let_go(state)?;
            ending
        }
        None => session.walk(&mut Walker::start(started, MemoryJournal::default(), world)?, false)?,
    };
    Ok(Exit::from(&ending))
}

/// The world of a recording or a scenario.
fn set(plan: &PlanData, tape: &Tape) -> Result<Set, CliError> {
    if !Scenario::is_one(&tape.text) {
        return Ok(Set::recorded(Recording::parse(&tape.text, &tape.path)?));
    }
    let file = SourceFile { name: tape.path.display().to_string(), text: tape.text.clone() };
    let set = Scenario::read(&file, plan)
        .and_then(|scenario| Worlds::default().set(&scenario, &tape.path).map_err(|found| vec![*found]));
    set.map_err(|found| {
        show(&Screen::on(Stream::Err), &found, std::slice::from_ref(&file));
        CliError::NotChecked { name: tape.name.clone(), count: found.len() }
    })
}

type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// Waits before every node, as asked.
fn paced(listener: Listener, session: &Session, options: &RehearseOptions) -> Listener {
    let delay = options.delay.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let keyboard = options.step.then(Keyboard::of_terminal).flatten();
    if delay.is_none() && keyboard.is_none() {
        return listener;
    }
    let (screen, handle) = (Arc::clone(&session.screen), session.runtime.handle().clone());
    let stop = session.stop();
    let reporter = Arc::clone(&session.reporter);
    Arc::new(move |event| {
        if let Event::Began { title, .. } = event {
            if let Some(keyboard) = keyboard {
                reporter.quiet();
                screen.raw(&screen.paint.dim(&format!("next: {}  (Enter: go on, q: stop) ", line(title))));
                // At the end of input nothing is waited for any more.
                // The walk stands still meanwhile; only a thread outside its runtime may wait for the line.
                let typed =
                    std::thread::scope(|scope| scope.spawn(|| handle.block_on(keyboard.line())).join());
                if matches!(typed, Ok(Some(word)) if word.trim().eq_ignore_ascii_case("q")) {
                    stop.cancel();
                    return;
                }
            }
            // Nothing is real, nobody else is kept waiting.
            std::thread::sleep(delay.unwrap_or_default());
        }
        listener(event);
    })
}
