//! A recording as it is written: an exchange at a time, so that what a run was told before it died can be rehearsed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::content::Content;
use super::recording::{Exchange, FORMAT, RecordingError, beside, contents};

/// More bytes than this go to a file beside the recording.
const INLINE_LIMIT: usize = 16 << 10;

/// What stands before the exchanges.
#[derive(Serialize)]
struct Head<'a> {
    recording: u32,
    clock: Timestamp,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    inputs: &'a BTreeMap<String, Value>,
}

/// A recording that grows. After every exchange the file is one that can be replayed.
#[derive(Debug)]
pub struct RecordingWriter {
    path: PathBuf,
    file: File,
    /// Contents so far: they number the files beside the recording.
    contents: usize,
    broken: Option<RecordingError>,
}

impl RecordingWriter {
    /// Begins a recording at `path`, in place of what may be there.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn create(
        path: &Path,
        clock: Timestamp,
        inputs: &BTreeMap<String, Value>,
    ) -> Result<Self, RecordingError> {
        let at = |source| RecordingError::Io { path: path.to_owned(), source };
        let head = yaml(&Head { recording: FORMAT, clock, inputs }).map_err(at)?;
        let mut file = File::create(path).map_err(at)?;
        file.write_all(format!("{head}exchanges:\n").as_bytes()).map_err(at)?;
        Ok(Self { path: path.to_owned(), file, contents: 0, broken: None })
    }

    /// Adds an exchange. After the first that cannot be written no other is: a recording with a hole would tell of another
    /// world.
    pub fn push(&mut self, exchange: Exchange) {
        if self.broken.is_none() {
            self.broken = self.add(exchange).err();
        }
    }

    /// What kept exchanges from being written, if something did.
    pub fn take_error(&mut self) -> Option<RecordingError> {
        self.broken.take()
    }

    fn add(&mut self, mut exchange: Exchange) -> Result<(), RecordingError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| RecordingError::Io { path, source }
        };
        for content in contents(&mut exchange) {
            if let Content::Inline(bytes) = content
                && bytes.len() > INLINE_LIMIT
            {
                let beside = beside(&self.path);
                fs::create_dir_all(&beside).map_err(at(&beside))?;
                let name = format!("{:04}.txt", self.contents);
                let file = beside.join(&name);
                fs::write(&file, bytes).map_err(at(&file))?;
                *content = Content::File(name);
            }
            self.contents += 1;
        }
        let text = yaml(&[exchange]).map_err(at(&self.path))?;
        // One write: a process that is killed leaves all of it or nothing.
        self.file.write_all(text.as_bytes()).map_err(at(&self.path))
    }
}

fn yaml(value: &impl Serialize) -> std::io::Result<String> {
    let options = serde_yaml::ser_options! { folded_wrap_chars: usize::MAX };
    serde_yaml::to_string_with_options(value, options).map_err(std::io::Error::other)
}
