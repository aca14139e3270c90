//! Whether a second set of a checkpoint's files has room, and whether it can share the first one's bytes.

use engine::site::{Command, SiteErrorKind};
use engine::step::{StepCx, StepError};

use super::gather::stat;
use crate::size::show;

/// What is known of the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Bytes that a user may still write there.
    pub(crate) free: Option<u64>,
    /// Both lie on one file system.
    pub(crate) same: Option<bool>,
}

impl Room {
    /// Why it cannot be done; `None`: nothing that is known speaks against it.
    pub(crate) fn refuses(self, copy: bool, bytes: u64) -> Option<String> {
        match (copy, self.same, self.free) {
            (false, Some(false), _) => Some(
                "it lies on another file system, so hard links are not possible: set `copy: true`".to_owned(),
            ),
            (true, _, Some(free)) if free < bytes => {
                Some(format!("{} are free there, and it has {}", show(free), show(bytes)))
            }
            _ => None,
        }
    }
}

/// Looks at the place: `holder` need not exist yet.
///
/// # Errors
/// The file system does not answer, or the recording holds no such exchange.
pub(crate) async fn room(cx: &StepCx, source: &str, holder: &str) -> Result<Room, StepError> {
    let mut place = holder;
    while stat(&*cx.site, place).await?.is_none() {
        match place.rsplit_once('/') {
            Some((parent, _)) if !parent.is_empty() => place = parent,
            _ => {
                place = "/";
                break;
            }
        }
    }
    let devices = ask(cx, &["stat", "-L", "-c", "%d", "--", source, place]).await?;
    let same = devices.as_deref().and_then(|text| {
        let mut lines = text.lines();
        Some(lines.next()?.trim() == lines.next()?.trim())
    });
    let free = ask(cx, &["df", "-B1", "--output=avail", "--", place]).await?;
    let free = free.and_then(|text| text.lines().last()?.trim().parse().ok());
    Ok(Room { free, same })
}

async fn ask(cx: &StepCx, argv: &[&str]) -> Result<Option<String>, StepError> {
    match cx.site.run(&Command::argv(argv.iter().copied())).await {
        Ok(output) if output.success() => Ok(Some(output.text().into_owned())),
        Ok(_) => Ok(None),
        Err(error) if error.kind == SiteErrorKind::NotRecorded => Err(error.into()),
        Err(_) => Ok(None),
    }
}
