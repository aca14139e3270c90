//! The quick look at large files: in which of them there is anything to read.

use std::sync::Arc;

use engine::site::{Search, Site, SiteError, SiteErrorKind};
use engine::step::{StepCx, StepError};

use super::logs::LogFile;
use super::triggers::searched;

/// Bytes of one part, at most: the parts of a very large file are searched at the same time.
const LONGEST: u64 = 64 << 20;
/// Bytes and parts searched between two looks at whether a person wants to stop.
const AT_ONCE: u64 = 1 << 30;
const MOST_PARTS: usize = 1024;

/// Part of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Index of the file.
    pub(super) file: usize,
    pub(super) from: u64,
    /// The end of the file if it is larger than that.
    pub(super) to: u64,
}

/// What a part holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing that can matter.
    Quiet,
    /// Something to read.
    Hit,
    /// It could not be read.
    Problem(String),
}

/// Looks at parts of files; the answers are in their order.
///
/// # Errors
/// A person stopped it, or a recording does not hold the answer.
pub(super) async fn sweep(cx: &StepCx, files: &[LogFile], parts: &[Part]) -> Result<Vec<Look>, StepError> {
    let mut looks = vec![Look::Quiet; parts.len()];
    let pieces: Vec<(usize, Part)> = parts
        .iter()
        .enumerate()
        .flat_map(|(at, part)| split(*part, files).map(move |piece| (at, piece)))
        .collect();
    let size = |part: &Part| part.to.min(files[part.file].size).saturating_sub(part.from);
    let total: u64 = pieces.iter().map(|(_, piece)| size(piece)).sum();
    let (mut done, mut rest) = (0, pieces.as_slice());
    while !rest.is_empty() {
        if total > AT_ONCE {
            cx.say(format!(
                "searching {} logs: {} of {} MB",
                parts.len(),
                done / 1_000_000,
                total / 1_000_000
            ));
        }
        let mut bytes = 0;
        let fits = |(_, piece): &&(usize, Part)| {
            bytes += size(piece);
            bytes <= AT_ONCE
        };
        let count = rest.iter().take(MOST_PARTS).take_while(fits).count().max(1);
        let (batch, later) = rest.split_at(count);
        for ((at, _), look) in batch.iter().zip(look(cx, files, batch).await?) {
            // The worst that is known of a part counts.
            if matches!(looks[*at], Look::Quiet) {
                looks[*at] = look;
            }
        }
        done += batch.iter().map(|(_, piece)| size(piece)).sum::<u64>();
        rest = later;
    }
    Ok(looks)
}

async fn look(cx: &StepCx, files: &[LogFile], batch: &[(usize, Part)]) -> Result<Vec<Look>, StepError> {
    let search =
        |part: &Part| Search { words: searched().clone(), from: part.from, to: part.to, count_lines: false };
    let asked: Vec<(String, Search)> =
        batch.iter().map(|(_, part)| (files[part.file].path.clone(), search(part))).collect();
    let site: Arc<dyn Site> = cx.site.clone();
    let answers = tokio::select! {
        biased;
        () = cx.cancel.cancelled() => return Err(stopped()),
        answers = site.find_many(&asked) => answers,
    };
    let look = |answer: Result<engine::site::Found, SiteError>| match answer {
        Ok(found) => Ok(if found.at.is_some() { Look::Hit } else { Look::Quiet }),
        // A recording that lacks the file is incomplete; that is no finding.
        Err(error) if error.kind == SiteErrorKind::NotRecorded => Err(error.into()),
        Err(error) => Ok(Look::Problem(error.message)),
    };
    answers.into_iter().map(look).collect()
}

fn split(part: Part, files: &[LogFile]) -> impl Iterator<Item = Part> + use<> {
    let end = part.to.min(files[part.file].size);
    let mut from = part.from;
    let mut more = true;
    std::iter::from_fn(move || {
        if !more {
            return None;
        }
        let to = from.saturating_add(LONGEST);
        more = to < end;
        // The last one goes to the end as it was asked for: the file may have grown.
        let piece = Part { from, to: if more { to } else { part.to }, ..part };
        from = to;
        Some(piece)
    })
}

/// What a step says that a person stopped.
pub(super) fn stopped() -> StepError {
    StepError::failed("oom.read: stopped before all logs were read")
        .help("run it again: reading changes nothing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::told::files;

    #[test]
    fn parts_of_a_large_file_join() {
        let file = |size| vec![LogFile::here("/l/a", size)];
        let of = |size, from, to| -> Vec<(u64, u64)> {
            split(Part { file: 0, from, to }, &file(size)).map(|part| (part.from, part.to)).collect()
        };
        assert_eq!(of(10, 2, u64::MAX), [(2, u64::MAX)]);
        assert_eq!(of(0, 0, u64::MAX), [(0, u64::MAX)]);
        assert_eq!(
            of(3 * LONGEST, 1, 2 * LONGEST + 5),
            [(1, LONGEST + 1), (LONGEST + 1, 2 * LONGEST + 1), (2 * LONGEST + 1, 2 * LONGEST + 5)]
        );
    }

    #[tokio::test]
    async fn looks_come_in_order() {
        let site = files(&[("/l/a", b"fine"), ("/l/b", b"fine, CUDA out of memory")]);
        let cx = site.cx();
        let all: Vec<LogFile> = ["/l/a", "/l/b", "/l/gone"].map(|path| LogFile::here(path, 24)).into();
        let part = |file, from| Part { file, from, to: u64::MAX };
        let parts = [part(1, 0), part(0, 0), part(2, 0), part(1, 20)];
        let looks = sweep(&cx, &all, &parts).await.unwrap();
        assert_eq!(looks[..2], [Look::Hit, Look::Quiet]);
        assert!(matches!(&looks[2], Look::Problem(why) if why.contains("gone")));
        assert_eq!(looks[3], Look::Quiet);
        cx.cancel.cancel();
        assert!(sweep(&cx, &all, &parts).await.is_err());
    }
}
