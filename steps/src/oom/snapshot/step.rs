//! The step `oom.snapshot`.

use async_trait::async_trait;
use engine::site::{FileKind, FileStat, Site, SiteError, SiteErrorKind};
use engine::step::{Done, Outcomes, Performed, ReadStep, StepCx, StepError, StepErrorKind};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::replay::Cure;
use super::report::{Evidence, Wanted, Worth, examine};
use crate::size::{MIB, show};
use crate::text::{clean, clean_to};

/// What `oom.snapshot` takes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnapshotParams {
    /// Snapshots, or directories that hold some (`*.pickle`, `*.pkl`). Empty or null: there are none.
    #[serde(default)]
    paths: Option<Vec<String>>,
    /// The error: the output of `oom.read`. A snapshot counts as its evidence only if its trace has a failure of these sizes.
    #[serde(default)]
    error: Option<Wanted>,
    /// Files last written before this time (RFC 3339) are passed over.
    #[serde(default)]
    from: Option<String>,
}

/// `oom.snapshot`.
pub(crate) struct OomSnapshot;

/// More files than this are not read, the newest first.
const MOST_FILES: usize = 16;
/// Larger files are not read.
const LARGEST: u64 = 256 * MIB;
/// Bytes read at once.
const CHUNK: usize = 4 << 20;

#[async_trait]
impl ReadStep for OomSnapshot {
    const KIND: &'static str = "oom.snapshot";
    const SUMMARY: &'static str =
        "Read a memory snapshot of the job and replay what failed with expandable segments";
    type Params = SnapshotParams;
    type Output = Evidence;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[
            (
                "found",
                "a snapshot was read: of several, the newest that shows the failure and can be replayed",
            ),
            ("none", "no snapshot is named, or there is none of the time of the job"),
            ("unreadable", "there is a file, and it cannot be read, is no snapshot, or would run something"),
        ])
    }

    async fn read(&self, cx: &StepCx, params: SnapshotParams) -> Result<Performed<Evidence>, StepError> {
        let from = params.from.as_deref().map(parse_from).transpose()?;
        let wanted = params.error.unwrap_or_default();
        let mut problems = Vec::new();
        let mut files = Vec::new();
        for path in params.paths.iter().flatten().filter(|path| !path.trim().is_empty()) {
            find(&*cx.site, path, &mut files, &mut problems).await?;
        }
        files.retain(|(_, stat)| from.is_none_or(|from| stat.modified >= from));
        files.sort_by(|a, b| (b.1.modified, &b.0).cmp(&(a.1.modified, &a.0)));
        if files.len() > MOST_FILES {
            problems.push(format!("{} older files were not read", files.len() - MOST_FILES));
            files.truncate(MOST_FILES);
        }
        let mut best: Option<Evidence> = None;
        for (path, stat) in files {
            cx.say(format!("reading {}", clean(&path)));
            let read = match contents(cx, &path, &stat).await? {
                Ok(bytes) => {
                    let wanted = wanted.clone();
                    tokio::task::spawn_blocking(move || examine(&bytes, &wanted))
                        .await
                        .unwrap_or_else(|_| Err("the reading was broken off".to_owned()))
                }
                Err(why) => Err(why),
            };
            match read {
                Ok(mut evidence) => {
                    evidence.file = Some(path);
                    let decides = evidence.worth() == Worth::Decides;
                    if best.as_ref().is_none_or(|best| evidence.worth() > best.worth()) {
                        best = Some(evidence);
                    }
                    if decides {
                        break;
                    }
                }
                Err(why) => problems.push(format!("{}: {}", clean_to(&path, 200), clean_to(&why, 200))),
            }
        }
        Ok(conclude(best, problems).into())
    }
}

fn conclude(best: Option<Evidence>, problems: Vec<String>) -> Done<Evidence> {
    let Some(mut evidence) = best else {
        let outcome = if problems.is_empty() { "none" } else { "unreadable" };
        let line = problems.first().cloned().unwrap_or_else(|| "no memory snapshot".to_owned());
        return Done::new(outcome, Evidence { reasons: problems, ..Evidence::default() }).line(line);
    };
    evidence.reasons.extend(problems);
    let tried = evidence.tried.map(show);
    let line = match (evidence.cure, tried) {
        (Some(Cure::Served), Some(tried)) => {
            format!("with expandable segments the {tried} would have been served")
        }
        (Some(Cure::Refused), Some(tried)) => format!("with expandable segments the {tried} is refused, too"),
        (_, Some(tried)) => {
            format!("it shows the failure of {tried}; whether another setting serves it cannot be told")
        }
        _ => "it does not show the failure".to_owned(),
    };
    let mut done = Done::new("found", evidence.clone()).line(line);
    done.summary.extend(evidence.reasons.into_iter().take(3));
    done
}

fn parse_from(text: &str) -> Result<Timestamp, StepError> {
    text.parse().map_err(|error| {
        let message = format!("oom.snapshot: `from` is no RFC 3339 time: {error}");
        StepError::new(StepErrorKind::Params, message).help("write it like 2026-11-24T03:12:44Z")
    })
}

fn recorded(error: &SiteError) -> bool {
    error.kind != SiteErrorKind::NotRecorded
}

/// The file itself, or the pickles in a directory.
async fn find(
    site: &dyn Site,
    path: &str,
    files: &mut Vec<(String, FileStat)>,
    problems: &mut Vec<String>,
) -> Result<(), SiteError> {
    let mut problem = |why: &str| problems.push(format!("{}: {}", clean_to(path, 200), clean_to(why, 200)));
    match site.stat(path).await {
        Ok(Some(stat)) if stat.kind == FileKind::File => files.push((path.to_owned(), stat)),
        Ok(Some(stat)) if stat.kind == FileKind::Dir => match site.list(path).await {
            Ok(entries) => {
                let dir = path.trim_end_matches('/');
                let pickles = entries.into_iter().filter(|entry| {
                    let end = entry.name.rsplit_once('.').map(|(_, end)| end);
                    entry.stat.kind == FileKind::File && matches!(end, Some("pickle" | "pkl"))
                });
                files.extend(pickles.map(|entry| (format!("{dir}/{}", entry.name), entry.stat)));
            }
            Err(error) if recorded(&error) => problem(&error.message),
            Err(error) => return Err(error),
        },
        Ok(Some(_)) => problem("is no regular file"),
        Ok(None) => problem("is not there"),
        Err(error) if recorded(&error) => problem(&error.message),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// The whole file; the inner error is why it cannot be had.
async fn contents(cx: &StepCx, path: &str, stat: &FileStat) -> Result<Result<Vec<u8>, String>, StepError> {
    if stat.size > LARGEST {
        return Ok(Err(format!("{} is more than the {} that are read", show(stat.size), show(LARGEST))));
    }
    let mut bytes = Vec::new();
    // One byte more than expected shows that it is still being written.
    while bytes.len() as u64 <= LARGEST {
        let next = tokio::select! {
            biased;
            () = cx.cancel.cancelled() => None,
            next = cx.site.read(path, bytes.len() as u64, CHUNK) => Some(next),
        };
        match next {
            None => {
                return Err(
                    StepError::failed("oom.snapshot: stopped").help("run it again: reading changes nothing")
                );
            }
            Some(Ok(chunk)) if chunk.is_empty() => return Ok(Ok(bytes)),
            Some(Ok(chunk)) => bytes.extend(chunk),
            Some(Err(error)) if recorded(&error) => return Ok(Err(error.message)),
            Some(Err(error)) => return Err(error.into()),
        }
    }
    Ok(Err(format!("grew beyond {}", show(LARGEST))))
}
