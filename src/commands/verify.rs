//! `runbook runs verify`: whether a journal is what was written.

use std::path::Path;
use std::sync::Arc;

use engine::journal::{Audit, Finding, JournalError, Noted, Store, SummaryState, Tampering, audit, fold};
use engine::run::{Entry, Mode, RunId, Started};
use engine::step::StepCx;
use serde_json::json;

use crate::cli::Verify;
use crate::error::CliError;
use crate::exit::Exit;
use crate::place;
use crate::session::Session;
use crate::terminal::{Screen, Stream, line};
use crate::witness;

use super::resume::parse_run;

/// What was found out about one run.
struct Verified {
    run: RunId,
    audit: Audit,
    /// Heads that were found elsewhere, newest first.
    noted: Vec<Noted>,
}

pub(super) fn execute(args: &Verify) -> Result<Exit, CliError> {
    let store = place::store();
    let runs = match &args.run {
        Some(run) => vec![parse_run(&*store, run)?],
        None => store.runs()?,
    };
    let mut all = Vec::new();
    for run in runs {
        all.push(verify(&*store, run, args.head.as_deref(), args.log.as_deref())?);
    }
    let screen = Screen::on(Stream::Out);
    if args.json {
        let rows: Vec<_> = all.iter().map(row).collect();
        let text = match (&args.run, &rows[..]) {
            (Some(_), [only]) => serde_json::to_string_pretty(only),
            _ => serde_json::to_string_pretty(&rows),
        };
        screen.line(text.unwrap_or_default());
    } else {
        all.iter().for_each(|verified| show(&screen, verified));
    }
    Ok(if all.iter().all(|verified| verified.audit.holds()) { Exit::Done } else { Exit::Internal })
}

fn verify(
    store: &dyn Store,
    run: RunId,
    head: Option<&str>,
    log: Option<&Path>,
) -> Result<Verified, CliError> {
    let records = store.records(&run);
    if let Err(error @ JournalError::NoRun(_)) = records {
        return Err(error.into());
    }
    let started = records.as_ref().ok().and_then(|records| match &records.first()?.entry {
        Entry::Started(started) => Some((started, records[0].at)),
        _ => None,
    });
    // Heads before lines: what is written meanwhile is then in the lines.
    let mut noted = Vec::new();
    if let Some(hash) = head {
        noted.push(Noted { seq: None, hash: hash.to_ascii_lowercase(), by: "--head".to_owned() });
    }
    let summary = store.summary(&run).ok();
    if let Some(head) = summary.as_ref().and_then(|summary| summary.head.clone()) {
        let by = "what lists of runs say of it".to_owned();
        noted.push(Noted { seq: Some(head.seq), hash: head.hash, by });
    }
    let since = started.map_or(jiff::Timestamp::UNIX_EPOCH, |(_, at)| at);
    let in_log = witness::noted(&run, since, log);
    noted.extend(in_log.map_err(|error| CliError::read(log.unwrap_or(Path::new("/var/log")), error))?);
    if let Some((started, since)) = started {
        noted.extend(in_jobs(started, since)?);
    }
    let mut audit = audit(&run, &store.lines(&run)?);
    if summary.is_some_and(|summary| summary.state == SummaryState::Running) {
        // Its last line is being written.
        audit.findings.retain(|finding| finding.kind != Tampering::Torn);
    }
    if audit.holds()
        && let Err(what) =
            records.as_ref().map_err(ToString::to_string).and_then(|records| fold(records).map(drop))
    {
        let line = audit.lines.max(1);
        audit.findings.push(Finding { line, through: line, kind: Tampering::Illegal, what });
    }
    // The newest first: one that does not agree says enough.
    noted.sort_by_key(|noted| std::cmp::Reverse(noted.seq.unwrap_or(u64::MAX)));
    let chain_holds = audit.holds();
    for one in &noted {
        let before = audit.findings.len();
        audit.compare(one);
        if chain_holds && audit.findings.len() > before {
            break;
        }
    }
    Ok(Verified { run, audit, noted })
}

/// What the comments of the jobs say that the run submitted.
fn in_jobs(started: &Started, since: jiff::Timestamp) -> Result<Vec<Noted>, CliError> {
    let submits =
        started.plan.nodes.iter().any(|node| node.step().is_some_and(|step| step.kind == "slurm.submit"));
    if !submits || started.mode != Mode::Live {
        return Ok(Vec::new());
    }
    let session = Session::quiet(true)?;
    let cx = StepCx::new(Arc::new(steps::site::LiveSite::new()), started.run.to_string());
    let heads = session.runtime.block_on(steps::heads_of_jobs(&cx, started.run.as_str(), since));
    let noted = |head: steps::HeadOfJob| {
        let by = format!("the comment of job {}", head.job);
        Noted { seq: Some(head.seq), hash: head.hash, by }
    };
    Ok(heads.into_iter().map(noted).collect())
}

fn row(verified: &Verified) -> serde_json::Value {
    let Verified { run, audit, noted } = verified;
    json!({
        "run": run,
        "holds": audit.holds(),
        "entries": audit.lines,
        "head": audit.head,
        "findings": audit.findings,
        "noted": noted,
    })
}

fn show(screen: &Screen, verified: &Verified) {
    let Verified { run, audit, noted } = verified;
    let (paint, glyphs) = (screen.paint, screen.glyphs);
    if audit.holds() {
        let word = paint.good("the chain holds");
        screen.line(format!("{} {run}  {word}, {} entries", paint.good(glyphs.done), audit.lines));
    } else {
        let word = paint.bad("this is not what was written");
        screen.line(format!("{} {run}  {word}", paint.bad(glyphs.failed)));
        for finding in &audit.findings {
            screen.line(format!("     {}  {}", paint.warn(&word_of(finding.kind)), line(&finding.what)));
        }
    }
    if let Some(head) = &audit.head {
        screen.line(paint.dim(&format!("     head {} of entry {}", head.hash, head.seq)));
    }
    let newest = noted.iter().find(|noted| noted.seq.is_some());
    let text = match newest {
        Some(Noted { seq: Some(seq), by, .. }) => format!("compared up to entry {seq} with {by}"),
        _ if noted.is_empty() => {
            "no head was found elsewhere: a tail that was cut off would not show".to_owned()
        }
        _ => "compared with the hash that was given".to_owned(),
    };
    screen.line(paint.dim(&format!("     {}", line(&text))));
}

fn word_of(kind: Tampering) -> String {
    let word = serde_json::to_value(kind).ok().and_then(|word| word.as_str().map(str::to_owned));
    word.unwrap_or_default().replace('_', " ")
}
