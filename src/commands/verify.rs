//! `runbook runs verify`: whether a journal is what was written.

use std::path::Path;
use std::sync::Arc;

use engine::journal::{Audit, Finding, Noted, Store, SummaryState, Tampering, audit, fold};
use engine::run::RunId;
use engine::step::StepCx;
use jiff::Timestamp;
use serde_json::json;

use crate::cli::Verify;
use crate::error::CliError;
use crate::exit::Exit;
use crate::place;
use crate::session::Session;
use crate::terminal::{Screen, Stream, line};
use crate::witness::Log;

use super::resume::parse_run;

/// What was found out about one run.
pub(super) struct Verified {
    run: RunId,
    pub audit: Audit,
    /// Heads that were found elsewhere, newest first.
    pub noted: Vec<Noted>,
}

pub(super) fn execute(args: &Verify) -> Result<Exit, CliError> {
    let store = place::store()?;
    let runs = match &args.run {
        Some(run) => vec![parse_run(&*store, run)?],
        None => store.runs()?,
    };
    // Heads before lines: what is written meanwhile is then in the lines.
    let file = args.log.as_deref();
    let log =
        Log::read(file).map_err(|error| CliError::read(file.unwrap_or(Path::new("/var/log")), error))?;
    let jobs = heads_of_jobs(&*store, &runs)?;
    let mut all = Vec::new();
    for run in runs {
        let mut noted = Vec::new();
        if let Some(hash) = &args.head {
            noted.push(Noted { seq: None, hash: hash.to_ascii_lowercase(), by: "--head".to_owned() });
        }
        noted.extend(log.of(&run).cloned());
        noted.extend(jobs.iter().filter(|head| head.run == run.as_str()).map(|head| {
            let by = format!("the comment of job {}", head.job);
            Noted { seq: Some(head.seq), hash: head.hash.clone(), by }
        }));
        all.push(verify(&*store, run, noted)?);
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

/// What can be found out about a run without asking anybody else.
pub(super) fn from_here(store: &dyn Store, run: &RunId) -> Result<Verified, CliError> {
    let log = Log::read(None).map_err(|error| CliError::read("/var/log", error))?;
    verify(store, run.clone(), log.of(run).cloned().collect())
}

fn verify(store: &dyn Store, run: RunId, mut noted: Vec<Noted>) -> Result<Verified, CliError> {
    let summary = store.summary(&run).ok();
    if let Some(head) = summary.as_ref().and_then(|summary| summary.head.clone()) {
        let by = "what lists of runs say of it".to_owned();
        noted.push(Noted { seq: Some(head.seq), hash: head.hash, by });
    }
    let mut audit = audit(&run, &store.lines(&run)?);
    if summary.is_some_and(|summary| summary.state == SummaryState::Running) {
        // Its last line is being written.
        audit.findings.retain(|finding| finding.kind != Tampering::Torn);
    }
    let folded = || {
        let records = store.records(&run).map_err(|error| error.to_string())?;
        fold(&records).map(drop)
    };
    if audit.holds()
        && let Err(what) = folded()
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

/// What the comments of the jobs say that these runs submitted; nothing is asked if none of them could.
fn heads_of_jobs(store: &dyn Store, runs: &[RunId]) -> Result<Vec<steps::HeadOfJob>, CliError> {
    let mut since: Option<Timestamp> = None;
    for run in runs {
        let text = store.lines(run)?;
        if text.windows(SUBMITS.len()).any(|bytes| bytes == SUBMITS) {
            since = since.into_iter().chain(run.began()).min();
        }
    }
    let Some(since) = since else { return Ok(Vec::new()) };
    let session = Session::quiet(true)?;
    let cx = StepCx::new(Arc::new(steps::site::LiveSite::new()), "verify");
    Ok(session.runtime.block_on(steps::heads_of_jobs(&cx, since)))
}

/// In the frozen plan of a run that can submit jobs.
const SUBMITS: &[u8] = b"\"slurm.submit\"";

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
