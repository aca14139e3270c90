//! `runbook check`.

use engine::check::{Checked, left_to_do};
use engine::scenario::unreached;

use crate::cli::Check;
use crate::error::CliError;
use crate::exit::Exit;
use crate::findings::{row, sarif};
use crate::library::{self, Found};
use crate::load::{examine, print, registry};
use crate::rehearsal::scripts;
use crate::terminal::{Screen, Stream, counted, line};

pub(super) fn execute(args: &Check) -> Result<Exit, CliError> {
    let asked: Vec<Found> = if args.runbooks.is_empty() {
        library::all().into_values().collect()
    } else {
        args.runbooks.iter().map(|asked| library::find(asked)).collect::<Result<_, _>>()?
    };
    let registry = registry();
    let screen = Screen::on(Stream::Out);
    let (mut all, mut errors, mut warnings) = (Vec::new(), 0, 0);
    for found in asked {
        let mut checked = examine(&found, &mut registry.clone(), true)?;
        rehearsals(&found, &mut checked);
        errors += checked.errors();
        warnings += checked.warnings();
        if args.json || args.sarif {
            all.push((found, checked));
        } else {
            show(&screen, &found, &checked);
        }
    }
    let said = if args.sarif {
        Some(sarif(&all))
    } else {
        args.json.then(|| all.iter().map(|(found, checked)| row(found, checked)).collect())
    };
    if let Some(said) = said {
        screen.line(serde_json::to_string_pretty(&said).unwrap_or_default());
    }
    let denied = args.deny.is_some() && warnings > 0;
    if denied && errors == 0 {
        Screen::on(Stream::Err).line("error:   warnings are denied here (--deny warnings)");
    }
    Ok(if errors == 0 && !denied { Exit::Done } else { Exit::Usage })
}

/// Nodes that no scenario passes, and what is left to do in scenarios. What is wrong with one is said by `runbook test`.
fn rehearsals(found: &Found, checked: &mut Checked) {
    let (Some(plan), Some(file)) = (&checked.plan, checked.files.first()) else { return };
    let scripts = scripts(found).unwrap_or_default();
    let scenarios: Vec<_> = scripts.iter().filter_map(|script| script.read(plan.data()).ok()).collect();
    checked.diagnostics.extend(unreached(file, plan.data(), &scenarios));
    for script in scripts {
        let left = left_to_do(&script.file, checked.files.len());
        if !left.is_empty() {
            checked.diagnostics.extend(left);
            checked.files.push(script.file);
        }
    }
}

/// Shows what was found, and that it can be run.
fn show(screen: &Screen, found: &Found, checked: &Checked) {
    print(screen, checked);
    if let Some(plan) = &checked.plan {
        let (sign, name) = (screen.paint.good(screen.glyphs.done), screen.paint.bold(&line(&found.name)));
        let nodes = &plan.data().nodes;
        let own = nodes.iter().filter(|node| node.scope.is_empty()).count();
        let inlined = format!(", {} with the runbooks it runs", nodes.len());
        let inlined = if nodes.len() > own { inlined.as_str() } else { "" };
        screen.line(format!("{sign} {name}: {}{inlined}", counted(own as u64, "node")));
    }
}
