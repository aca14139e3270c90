//! The port to the outside world: the only way by which anything here touches processes, hosts, files or the clock.

mod command;
mod error;
mod port;
mod words;

pub use command::{Command, Exit, Output, Program, quote};
pub use error::{SiteError, SiteErrorKind};
pub use port::{DirEntry, FileKind, FileStat, Site, digest};
pub use words::{Found, Search, Sweep, Words, find_by_reading};
