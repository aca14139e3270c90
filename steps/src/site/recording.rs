//! The exchanges of one real run with its site, as a YAML file that people edit.
//!
//! Variables of a command's environment and what was written to its standard input are never in it, because both carry
//! secrets; of the input there is the digest.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use engine::site::{DirEntry, FileStat, SiteError, SiteErrorKind};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::content::Content;
use super::writer::RecordingWriter;
use crate::duration::Timespan;

/// The format this program writes, and the newest it reads.
pub const FORMAT: u32 = 2;

/// The exchanges of one run with its site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// Version of the format.
    #[serde(rename = "recording")]
    pub format: u32,
    /// The time at which it begins.
    pub clock: Timestamp,
    /// Inputs of the run it was made of, secret ones left out; a rehearsal takes from here what it is not given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, serde_json::Value>,
    /// What was asked and what the answer was, in order.
    #[serde(deserialize_with = "none_or_some")]
    pub exchanges: Vec<Exchange>,
}

/// Of a run that ended before it asked anything there is the key alone.
fn none_or_some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Exchange>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// One question to the site and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exchange {
    /// A command.
    Run(Ran),
    /// Part of a file.
    Read(ReadPart),
    /// What a path is.
    Stat(Looked),
    /// Words looked for in part of a file.
    Find(Sought),
    /// A directory's entries.
    List(Listed),
    /// A file's new content.
    Replace(Replaced),
    /// A file's removal.
    Remove(Removed),
    /// So long the run asked nothing and waited for nothing of its own: a person was thinking, or it was parked.
    Idle(Timespan),
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// How far it got.
    pub kind: SiteErrorKind,
    /// What happened.
    pub message: String,
}

/// A command and what it answered.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ran {
    /// Host; absent is this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Program and arguments, or `script`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// Shell text, or `argv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// Working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// SHA-256 of its standard input; absent fits any input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// It altered something: what was recorded before it is answered before it, the rest afterwards.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changes: bool,
    /// Status it returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// Signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Standard output.
    #[serde(default, skip_serializing_if = "Content::is_empty")]
    pub stdout: Content,
    /// Standard error.
    #[serde(default, skip_serializing_if = "Content::is_empty")]
    pub stderr: Content,
    /// One of the two was longer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// How long it took; a replay moves its clock by it.
    #[serde(default)]
    pub took: Timespan,
    /// Why it gave no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// Part of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadPart {
    /// The file.
    pub path: String,
    /// From this byte.
    #[serde(default)]
    pub offset: u64,
    /// So many bytes were asked for; absent is all there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// What was there.
    #[serde(default, skip_serializing_if = "Content::is_empty")]
    pub content: Content,
    /// Why it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// What a path is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Looked {
    /// The path.
    pub path: String,
    /// What it is; `null` is nothing.
    pub is: Option<FileStat>,
    /// Why it could not be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// Where in part of a file the first of the words stood that the run was looking for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sought {
    /// The file.
    pub path: String,
    /// From this byte.
    #[serde(default)]
    pub from: u64,
    /// Up to this byte; absent is the end of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// Where it began; absent: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// Up to where it was looked.
    #[serde(default)]
    pub end: u64,
    /// Line feeds passed, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// Why it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// A directory's entries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// The directory.
    pub path: String,
    /// Its entries.
    pub entries: Vec<DirEntry>,
    /// Why it could not be listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// A file's new content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replaced {
    /// The file.
    pub path: String,
    /// Digest of the content it had to have; absent: it had to be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// Its new content. A replay keeps what the replayed run writes, which may be something else.
    #[serde(default, skip_serializing_if = "Content::is_empty")]
    pub content: Content,
    /// Why it could not be replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// A file's removal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removed {
    /// The file.
    pub path: String,
    /// Digest of the content it had to have.
    pub expected: String,
    /// Why it could not be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

impl Exchange {
    /// Whether the world is another one after it.
    pub(super) fn changes(&self) -> bool {
        match self {
            Self::Run(ran) => ran.changes,
            Self::Replace(replaced) => replaced.error.is_none(),
            Self::Remove(removed) => removed.error.is_none(),
            Self::Read(_) | Self::Stat(_) | Self::Find(_) | Self::List(_) | Self::Idle(_) => false,
        }
    }
}

impl From<&SiteError> for Failure {
    fn from(error: &SiteError) -> Self {
        Self { kind: error.kind, message: error.message.clone() }
    }
}

/// Why a recording could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// A file of it could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no recording; the message has line and column.
    #[error("{}: not a recording: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// A newer program wrote it.
    #[error("{}: format {found}, this program reads up to {FORMAT}", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

impl Recording {
    /// An empty recording that begins at `clock`.
    pub fn new(clock: Timestamp) -> Self {
        Self { format: FORMAT, clock, inputs: BTreeMap::new(), exchanges: Vec::new() }
    }

    /// Reads a recording and the files beside it.
    ///
    /// # Errors
    /// A file that cannot be read, text that is no recording, a format newer than this program.
    pub fn load(path: &Path) -> Result<Self, RecordingError> {
        let at = |path: PathBuf| move |source| RecordingError::Io { path, source };
        Self::parse(&fs::read_to_string(path).map_err(at(path.to_owned()))?, path)
    }

    /// Reads the text of a recording, which is or would be at `path`, and the files beside it.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(text: &str, path: &Path) -> Result<Self, RecordingError> {
        let at = |path: PathBuf| move |source| RecordingError::Io { path, source };
        let malformed = |message| RecordingError::Malformed { path: path.to_owned(), message };
        // The budget of the YAML reader is against alias bombs; a long recording is long without them.
        let budget = serde_yaml::budget! {
            max_reader_input_bytes: None,
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
            max_aliases: 0,
        };
        let options = serde_yaml::options! { budget: budget };
        let read = |text: &str| {
            let read = serde_yaml::from_str_with_options::<Self>(text, options.clone());
            read.map_err(|error| error.to_string()).and_then(Self::asked)
        };
        let mut recording = read(text).or_else(|message| {
            // The machine died while the last exchange was written: the others tell of the world until then.
            let torn = text.rfind("\n- ").filter(|_| !text.ends_with('\n'));
            torn.and_then(|at| read(&text[..=at]).ok()).ok_or_else(|| malformed(message))
        })?;
        if recording.format > FORMAT {
            return Err(RecordingError::TooNew { path: path.to_owned(), found: recording.format });
        }
        let beside = beside(path);
        for content in recording.exchanges.iter_mut().flat_map(contents) {
            if let Content::File(name) = content {
                let file = beside.join(&name);
                *content = Content::Inline(fs::read(&file).map_err(at(file.clone()))?);
            }
        }
        Ok(recording)
    }

    /// The recording, if every exchange says what was asked.
    fn asked(self) -> Result<Self, String> {
        let asks = |exchange: &Exchange| match exchange {
            Exchange::Run(ran) => ran.argv.is_some() != ran.script.is_some(),
            _ => true,
        };
        let all = self.exchanges.iter().all(asks);
        if all { Ok(self) } else { Err("a `run` has either `argv` or `script`".to_owned()) }
    }

    /// Writes the recording, and its large contents to files in the directory `<path>.d` (without the extension).
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), RecordingError> {
        let mut writer = RecordingWriter::create(path, self.clock, &self.inputs)?;
        self.exchanges.iter().cloned().for_each(|exchange| writer.push(exchange));
        writer.take_error().map_or(Ok(()), Err)
    }
}

/// Contents of an exchange that may be long.
pub(super) fn contents(exchange: &mut Exchange) -> Vec<&mut Content> {
    match exchange {
        Exchange::Run(ran) => vec![&mut ran.stdout, &mut ran.stderr],
        Exchange::Read(read) => vec![&mut read.content],
        Exchange::Replace(replaced) => vec![&mut replaced.content],
        Exchange::Stat(_)
        | Exchange::Find(_)
        | Exchange::List(_)
        | Exchange::Remove(_)
        | Exchange::Idle(_) => Vec::new(),
    }
}

/// Where the large contents of a recording lie.
pub(super) fn beside(path: &Path) -> PathBuf {
    path.with_extension("d")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ran(stdout: &[u8]) -> Exchange {
        Exchange::Run(Ran {
            host: Some("gpu-1".into()),
            argv: Some(vec!["echo".into(), "true".into(), "it's 7".into()]),
            exit: Some(0),
            stdout: Content::Inline(stdout.to_vec()),
            took: Timespan(std::time::Duration::from_millis(420)),
            ..Ran::default()
        })
    }

    fn saved(recording: &Recording) -> (tempfile::TempDir, PathBuf, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("night.yaml");
        recording.save(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        (dir, path, text)
    }

    #[test]
    fn reads_like_text() {
        let mut recording = Recording::new("2026-11-24T03:12:44Z".parse().unwrap());
        recording.exchanges = vec![
            ran(b"two\nlines\n"),
            ran(&[0xff, 0]),
            ran(&[b'x'; 20_000]),
            Exchange::Stat(Looked { path: "/a".into(), is: None, error: None }),
        ];
        let (_dir, path, text) = saved(&recording);
        insta::assert_snapshot!(text, @r#"
recording: 2
clock: "2026-11-24T03:12:44Z"
exchanges:
- run:
    host: gpu-1
    argv:
    - echo
    - "true"
    - it's 7
    exit: 0
    stdout: |
      two
      lines
    took: 420ms
- run:
    host: gpu-1
    argv:
    - echo
    - "true"
    - it's 7
    exit: 0
    stdout:
      base64: /wA=
    took: 420ms
- run:
    host: gpu-1
    argv:
    - echo
    - "true"
    - it's 7
    exit: 0
    stdout:
      file: 0004.txt
    took: 420ms
- stat:
    path: /a
    is: null
"#);
        assert_eq!(Recording::load(&path).unwrap(), recording);
    }

    #[test]
    fn what_was_written_before_a_crash_can_be_replayed() {
        let mut recording = Recording::new("2026-11-24T03:12:44Z".parse().unwrap());
        let (_dir, path, empty) = saved(&recording);
        assert_eq!(Recording::parse(&empty, &path).unwrap(), recording, "it died before it asked anything");
        recording.exchanges = vec![ran(b"two\nlines\n"), ran(b"more\n")];
        let (_dir, path, text) = saved(&recording);
        assert!(text.starts_with(&empty));
        let second = text.rfind("- run").unwrap();
        let last = recording.exchanges.pop();
        for cut in [second, second + 2, second + 20] {
            assert_eq!(Recording::parse(&text[..cut], &path).unwrap(), recording, "{}", &text[..cut]);
        }
        recording.exchanges.extend(last);
        assert_eq!(Recording::parse(text.trim_end(), &path).unwrap(), recording, "edited, and complete");
    }

    /// Wherever the machine died: what follows is added to what was whole.
    #[test]
    fn a_recording_goes_on_after_its_last_whole_exchange() {
        let mut recording = Recording::new("2026-11-24T03:12:44Z".parse().unwrap());
        recording.exchanges = vec![ran(&[b'x'; 20_000]), ran(b"two\nlines\n")];
        let (_dir, path, text) = saved(&recording);
        let added = ran(&[b'y'; 20_000]);
        for (cut, whole) in [(text.len(), 2), (text.len() - 20, 1), (text.rfind("- run").unwrap(), 1)] {
            fs::write(&path, &text[..cut]).unwrap();
            let (mut writer, so_far) = RecordingWriter::go_on(&path).unwrap();
            assert_eq!(so_far.exchanges, recording.exchanges[..whole], "{cut}");
            writer.push(added.clone());
            assert!(writer.take_error().is_none());
            let mut all = recording.exchanges[..whole].to_vec();
            all.push(added.clone());
            assert_eq!(Recording::load(&path).unwrap().exchanges, all, "{cut}");
        }
        for other in [text.replace("\n", "\n  "), text.replace("exchanges:\n", "exchanges: []\nx:\n")] {
            fs::write(&path, &other).unwrap();
            RecordingWriter::go_on(&path).unwrap_err();
            assert_eq!(fs::read_to_string(&path).unwrap(), other);
        }
        let indented = text.replacen("exchanges:\n", "exchanges:\n  ", 1).replace("\n-", "\n  -");
        fs::write(&path, indented.replace("\n    ", "\n      ")).unwrap();
        assert!(RecordingWriter::go_on(&path).unwrap_err().to_string().contains("nothing can be added"));
    }

    #[test]
    fn what_is_no_recording_is_refused_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.yaml");
        let load = |text: &str| {
            fs::write(&path, text).unwrap();
            Recording::load(&path).unwrap_err().to_string().replace(dir.path().to_str().unwrap(), "")
        };
        let head = "recording: 1\nclock: 2026-11-24T03:12:44Z\nexchanges:\n";
        assert!(load("recording: 3\nclock: 2026-11-24T03:12:44Z\nexchanges: []\n").contains("format 3"));
        assert!(load(&format!("{head}- run: {{ exit: 0 }}\n")).contains("either `argv` or `script`"));
        assert!(
            load(&format!("{head}- read: {{ path: /a, content: {{ file: ../../etc/passwd }} }}\n"))
                .contains("plain file name")
        );
        assert!(load(&format!("{head}- run: {{ argv: [a], exti: 0 }}\n")).contains("exti"));
        assert!(load("[").contains("r.yaml"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_bytes_are_kept(bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..60), "[ \t\r\n#:|>'\"a\u{85}\u{feff}\u{1b}-]{0,40}".prop_map(String::into_bytes), "\\PC{0,40}".prop_map(String::into_bytes)], word in "\\PC{0,12}") {
            let mut recording = Recording::new(Timestamp::UNIX_EPOCH);
            let mut exchange = ran(&bytes);
            if let Exchange::Run(ran) = &mut exchange {
                ran.argv = Some(vec![word]);
            }
            recording.exchanges = vec![exchange];
            let (_dir, path, text) = saved(&recording);
            prop_assert_eq!(Recording::load(&path).map_err(|e| format!("{e}\n{text}")).unwrap(), recording);
        }
    }
}
