//! `runbook new`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::check::Checked;
use engine::page::{Flow, blocks, flow};
use engine::plan::PlanData;
use engine::step::Registry;

use crate::cli::New;
use crate::error::CliError;
use crate::exit::Exit;
use crate::import;
use crate::library::{Found, Place};
use crate::load::{examine, registry, show};
use crate::rehearsal::{Suite, scripts};
use crate::session::Session;
use crate::terminal::{Screen, Stream, line};

pub(super) fn execute(args: &New) -> Result<Exit, CliError> {
    let legal = args.name.starts_with(|c: char| c.is_ascii_lowercase())
        && args.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !legal {
        let message = format!("a runbook cannot be named {}", args.name);
        return Err(CliError::usage(
            message,
            "lower-case letters, digits and `-`, beginning with a letter: `disk-full`",
        ));
    }
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from("runbooks")).join(&args.name);
    let file = dir.join("runbook.yaml");
    if file.exists() {
        return Err(CliError::usage(
            format!("{} is there already", file.display()),
            "give another name or --dir",
        ));
    }
    let mut registry = registry();
    let (yaml, page) = match &args.from {
        None => (import::blank(&args.name), None),
        Some(path) => {
            let page = read(path)?;
            let yaml = import::runbook(
                &args.name,
                &title(&args.name, &page.text),
                "page.md",
                &page.text,
                &page.flow,
                &registry,
            );
            (yaml, Some(page.text))
        }
    };
    std::fs::create_dir_all(&dir).map_err(|error| CliError::write(&dir, error))?;
    if let Some(page) = page {
        let path = dir.join("page.md");
        std::fs::write(&path, page).map_err(|error| CliError::write(path, error))?;
    }
    std::fs::write(&file, yaml).map_err(|error| CliError::write(&file, error))?;
    let screen = Screen::on(Stream::Out);
    let found = Found { name: args.name.clone(), place: Place::File(file.clone()) };
    let checked = examine(&found, &mut registry, true)?;
    tell(&screen, &checked);
    screen.line(format!("wrote {}", line(&file.display().to_string())));
    if let Some(plan) = &checked.plan {
        rehearse(&screen, &found, plan.data(), &registry)?;
    }
    screen.line(format!(
        "go on with the TODOs: runbook check {0} lists them, runbook test {0} walks it, runbook graph {0} draws it",
        line(&dir.display().to_string())
    ));
    Ok(if checked.errors() == 0 { Exit::Done } else { Exit::Usage })
}

/// What is left to do, a line each: there is much of it in a runbook that is new. All else as `check` shows it.
fn tell(screen: &Screen, checked: &Checked) {
    let (left, other): (Vec<_>, Vec<_>) =
        checked.diagnostics.iter().cloned().partition(|found| found.code == engine::check::TEXT_TODO);
    show(screen, &other, &checked.files);
    for (found, file) in left.iter().filter_map(|found| Some((found, checked.files.get(found.at.file)?))) {
        let number = file.text[..found.at.start].matches('\n').count() + 1;
        screen.line(format!("TODO {}:{number}  {}", line(&file.name), line(&found.message)));
    }
}

/// Writes a first scenario beside a new runbook, with what comes of it. One that is there is left alone.
fn rehearse(
    screen: &Screen,
    found: &Found,
    plan: &Arc<PlanData>,
    registry: &Registry,
) -> Result<(), CliError> {
    let Place::File(file) = &found.place else { return Ok(()) };
    let path = file.with_file_name("rehearsals").join("first.yaml");
    if path.exists() {
        return Ok(());
    }
    let dir = path.parent().unwrap_or(&path);
    std::fs::create_dir_all(dir).map_err(|error| CliError::write(dir, error))?;
    std::fs::write(&path, import::rehearsal(plan, registry))
        .map_err(|error| CliError::write(&path, error))?;
    let mut scripts = scripts(found)?;
    scripts.retain(|script| script.path == path);
    let suite = Suite::walk(plan, &scripts, &Session::quiet(false)?.runtime, true, |_| ())?;
    screen.line(format!("wrote {}", line(&path.display().to_string())));
    for told in suite.tried.iter().flat_map(|tried| tried.verdict.lines()) {
        screen.line(format!("  it cannot be walked yet: {}", line(&told)));
    }
    Ok(())
}

/// What a runbook is made from.
struct Source {
    /// Markdown, to lie beside the runbook.
    text: String,
    flow: Flow,
}

fn read(path: &Path) -> Result<Source, CliError> {
    let text = std::fs::read_to_string(path).map_err(|error| CliError::read(path, error))?;
    let mermaid = path.extension().is_some_and(|extension| extension == "mmd" || extension == "mermaid");
    let head = if mermaid { "# Flow\n\n```mermaid\n" } else { "" };
    let text = if mermaid {
        format!("{head}{}\n```\n", text.trim_start_matches('\u{feff}').trim_end_matches(['\n', '\r']))
    } else {
        text
    };
    let all = blocks(&text);
    let Some(block) = engine::page::flowchart(&all) else {
        return Err(CliError::usage(
            format!("{} has no Mermaid flow", path.display()),
            "draw one in a block of the language `mermaid`; without --from a runbook to fill in is written",
        ));
    };
    let flow = flow(&block.text).map_err(|error| {
        let at = block.place(&error.at).start;
        let number = text[head.len().min(at)..at].matches('\n').count() + 1;
        CliError::usage(
            format!("{}, line {number}: {error}", path.display()),
            "Mermaid itself refuses this, too: mend the diagram first",
        )
    })?;
    if flow.boxes.is_empty() {
        return Err(CliError::usage(format!("the flow of {} has no box", path.display()), "draw one first"));
    }
    Ok(Source { flow, text })
}

/// The page's first heading, else the name in words.
fn title(name: &str, page: &str) -> String {
    let heading = page.lines().find_map(|line| line.strip_prefix("# ")).map(str::trim);
    heading
        .filter(|heading| !heading.is_empty() && *heading != "Flow")
        .map_or_else(|| name.replace('-', " "), str::to_owned)
}
