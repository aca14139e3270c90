//! Reading what is inside a checkpoint, bounded.

use engine::site::{DirEntry, FileKind, FileStat, Site, SiteError, SiteErrorKind};
use engine::step::StepError;
use jiff::Timestamp;

use super::check::Item;

/// Directories listed per checkpoint at most.
const MOST_DIRS: usize = 200;
/// Files taken per checkpoint at most.
const MOST_FILES: usize = 20_000;
const UNANSWERED: &str = "Nothing was changed. See whether the file system answers, then try again.";

/// The files of one checkpoint.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    /// Files, with paths from the checkpoint on.
    pub(crate) items: Vec<Item>,
    /// Their size, bytes.
    pub(crate) bytes: u64,
    /// The latest modification of one.
    pub(crate) modified: Option<Timestamp>,
    /// There were more than are looked at, or a part may not be read.
    pub(crate) partial: Option<String>,
}

/// A directory's entries, or why they cannot be had.
///
/// # Errors
/// Anything that is worth a retry.
pub(crate) async fn entries(site: &dyn Site, dir: &str) -> Result<Result<Vec<DirEntry>, String>, StepError> {
    match site.list(dir).await {
        Ok(entries) => Ok(Ok(entries)),
        Err(error) if answers(&error) => Ok(Err(error.message)),
        Err(error) => Err(StepError::from(error).help(UNANSWERED)),
    }
}

/// What a path is; `None` also where it may not be seen.
///
/// # Errors
/// Anything that is worth a retry.
pub(crate) async fn stat(site: &dyn Site, path: &str) -> Result<Option<FileStat>, StepError> {
    match site.stat(path).await {
        Ok(stat) => Ok(stat),
        Err(error) if answers(&error) => Ok(None),
        Err(error) => Err(StepError::from(error).help(UNANSWERED)),
    }
}

/// The files of a checkpoint, which may be a single file: that has an empty path.
///
/// # Errors
/// Anything that is worth a retry.
pub(crate) async fn whole(site: &dyn Site, path: &str) -> Result<Option<Tree>, StepError> {
    Ok(match stat(site, path).await? {
        Some(stat) if stat.kind == FileKind::Dir => Some(tree(site, path).await?),
        Some(stat) => Some(Tree {
            items: vec![Item { path: String::new(), size: stat.size }],
            bytes: stat.size,
            modified: Some(stat.modified),
            partial: None,
        }),
        None => None,
    })
}

/// Whether an error is an answer about the file, not a break of the way to it.
fn answers(error: &SiteError) -> bool {
    matches!(error.kind, SiteErrorKind::NotFound | SiteErrorKind::Denied | SiteErrorKind::Io)
}

/// All files below a directory, three levels deep.
///
/// # Errors
/// Anything that is worth a retry.
pub(crate) async fn tree(site: &dyn Site, root: &str) -> Result<Tree, StepError> {
    let mut tree = Tree::default();
    let mut open = vec![(String::new(), 0)];
    let mut listed = 0;
    while let Some((below, depth)) = open.pop() {
        listed += 1;
        if listed > MOST_DIRS || tree.items.len() > MOST_FILES {
            tree.partial = Some("it holds more than is looked at".to_owned());
            break;
        }
        let found = match entries(site, &format!("{root}/{below}")).await? {
            Ok(found) => found,
            Err(why) => {
                tree.partial = Some(why);
                continue;
            }
        };
        for entry in found {
            let path = format!("{below}{}", entry.name);
            match entry.stat.kind {
                FileKind::Dir if depth < 3 => open.push((format!("{path}/"), depth + 1)),
                FileKind::Dir => tree.partial = Some("it is nested more deeply than is looked at".to_owned()),
                FileKind::File => {
                    tree.bytes = tree.bytes.saturating_add(entry.stat.size);
                    tree.modified = tree.modified.max(Some(entry.stat.modified));
                    tree.items.push(Item { path, size: entry.stat.size });
                }
                FileKind::Other => {}
            }
        }
    }
    Ok(tree)
}

/// Bytes of a file, or why they cannot be had.
///
/// # Errors
/// Anything that is worth a retry.
pub(crate) async fn bytes(
    site: &dyn Site,
    path: &str,
    offset: u64,
    length: usize,
) -> Result<Result<Vec<u8>, String>, StepError> {
    match site.read(path, offset, length).await {
        Ok(bytes) => Ok(Ok(bytes)),
        Err(error) if answers(&error) => Ok(Err(error.message)),
        Err(error) => Err(StepError::from(error).help(UNANSWERED)),
    }
}

/// The first `length` bytes of a text file, trimmed, or why they cannot be had.
///
/// # Errors
/// Anything that is worth a retry.
pub(crate) async fn head(
    site: &dyn Site,
    path: &str,
    length: usize,
) -> Result<Result<String, String>, StepError> {
    Ok(bytes(site, path, 0, length).await?.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
}
