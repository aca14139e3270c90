//! A recording as it is written: an exchange at a time, so that what a run was told before it died can be rehearsed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::content::Content;
use super::recording::{Exchange, FORMAT, Recording, RecordingError, beside, contents};
use crate::duration::Timespan;

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
    /// When it was last written into before it was opened; of a new one, its clock.
    written: Timestamp,
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
        Ok(Self { path: path.to_owned(), file, contents: 0, written: clock, broken: None })
    }

    /// Goes on with the recording at `path`, which is returned as it is so far. A last exchange whose line does not end is
    /// cut off: the machine died while it was written.
    ///
    /// # Errors
    /// A file that cannot be read or written, or that is no recording to which exchanges can be added as they are written.
    pub fn go_on(path: &Path) -> Result<(Self, Recording), RecordingError> {
        let at = |source| RecordingError::Io { path: path.to_owned(), source };
        let mut text = fs::read_to_string(path).map_err(at)?;
        if !text.ends_with('\n') {
            text.truncate(text.rfind("\n- ").map_or(text.len(), |at| at + 1));
        }
        // An edited one may be laid out in another way: tried before anything is touched.
        let last = Exchange::Idle(Timespan::default());
        let more = text.clone() + &yaml(&[&last]).map_err(at)?;
        let mut recording = match Recording::parse(&more, path) {
            Ok(recording) if recording.exchanges.last() == Some(&last) => recording,
            _ => {
                Recording::parse(&text, path)?;
                let message = "nothing can be added at its end: its exchanges do not each begin with `-` at the beginning of a line";
                return Err(RecordingError::Malformed { path: path.to_owned(), message: message.to_owned() });
            }
        };
        recording.exchanges.pop();
        let file = File::options().append(true).open(path).map_err(at)?;
        let modified = file.metadata().and_then(|metadata| metadata.modified()).map_err(at)?;
        file.set_len(text.len() as u64).map_err(at)?;
        let written = Timestamp::try_from(modified).unwrap_or(recording.clock);
        let contents = recording.exchanges.iter_mut().map(|exchange| contents(exchange).len()).sum();
        Ok((Self { path: path.to_owned(), file, contents, written, broken: None }, recording))
    }

    /// When it was last written into before it was opened; of a new one, its clock.
    pub(super) fn written(&self) -> Timestamp {
        self.written
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
