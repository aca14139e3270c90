//! The worlds that steps act on: the live one, and recorded ones.

mod content;
mod drain;
mod files;
mod heard;
mod host;
mod idle;
mod live;
mod local;
mod marks;
mod placeholder;
mod recorded;
mod recorder;
mod recording;
mod rehearsed;
mod remote;
mod tape;
mod visits;
mod wrap;
mod writer;

#[cfg(test)]
mod live_tests;
#[cfg(test)]
mod recorded_tests;
#[cfg(test)]
mod sshd;

pub use content::Content;
pub use live::LiveSite;
pub use recorded::RecordedSite;
pub use recorder::Recorder;
pub use recording::{
    Exchange, FORMAT, Failure, Listed, Looked, Ran, ReadPart, Recording, RecordingError, Removed, Replaced,
    Sought,
};
pub use rehearsed::RehearsedSite;
pub use writer::RecordingWriter;
