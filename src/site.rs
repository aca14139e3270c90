//! The world of a run, recorded if asked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::redact::Redactor;
use engine::run::{RunId, Started};
use engine::site::Site;
use engine::step::Registry;
use jiff::Timestamp;
use serde_json::Value;
use steps::site::{LiveSite, Recorder, RecordingError, RecordingWriter};

use crate::error::CliError;
use crate::exit::Exit;
use crate::probed::probed;
use crate::terminal::{Screen, Stream};

type Inputs = BTreeMap<String, Value>;

/// The live world.
pub(crate) struct Live {
    site: Arc<dyn Site>,
    recorder: Option<(Arc<Recorder>, PathBuf)>,
}

/// The live world of a run; with `record`, every exchange is written there as it happens.
pub(crate) fn live(record: Option<&Path>, started: &Started, redactor: &Redactor) -> Result<Live, CliError> {
    Live::new(record, started, redactor, |path, now, given| Ok(RecordingWriter::create(path, now, &given)?))
}

/// The live world of a run that is taken up; with `record`, what was recorded of it there goes on.
pub(crate) fn live_again(
    record: Option<&Path>,
    started: &Started,
    redactor: &Redactor,
) -> Result<Live, CliError> {
    Live::new(record, started, redactor, |path, _, given| {
        if !path.exists() {
            return Err(CliError::usage(
                format!("{} is not there: a recording begins with the run", path.display()),
                "`runbook run --record FILE` begins one; resume this run without",
            ));
        }
        let (writer, recording) = RecordingWriter::go_on(path)?;
        if recording.inputs != given {
            return Err(CliError::usage(
                format!("{} is of a run with other inputs", path.display()),
                "give the file that this run was begun with",
            ));
        }
        Ok(writer)
    })
}

/// The inputs of a run, as a recording keeps them.
fn given(started: &Started, redactor: &Redactor) -> Inputs {
    let inputs = started.plan.scopes.get("").map(|scope| &scope.inputs);
    let secret = |name: &String| inputs.and_then(|inputs| inputs.get(name)).is_some_and(|spec| spec.secret);
    let given = started.inputs.iter().filter(|(name, value)| !secret(name) && !value.is_null());
    given.map(|(name, value)| (name.clone(), redactor.value(value.clone()))).collect()
}

impl Live {
    /// That the recording cannot be written is known before the first step: it is opened here.
    fn new(
        record: Option<&Path>,
        started: &Started,
        redactor: &Redactor,
        open: impl FnOnce(&Path, Timestamp, Inputs) -> Result<RecordingWriter, CliError>,
    ) -> Result<Self, CliError> {
        let site: Arc<dyn Site> = Arc::new(LiveSite::new());
        let Some(path) = record else { return Ok(Self { site, recorder: None }) };
        let writer = open(path, site.now(), given(started, redactor))?;
        let recorder = Arc::new(Recorder::new(site, started.run.as_str(), writer).hiding(redactor.clone()));
        let site = Arc::clone(&recorder) as Arc<dyn Site>;
        Ok(Self { site, recorder: Some((recorder, path.to_owned())) })
    }

    /// The steps of the run: those of one that is recorded ask their probes, too.
    pub(crate) fn steps(&self, registry: Registry) -> Registry {
        if self.recorder.is_some() { probed(&registry) } else { registry }
    }

    /// The port that steps use.
    pub(crate) fn port(&self) -> Arc<dyn Site> {
        Arc::clone(&self.site)
    }

    /// Says of the recording, if one was asked for, what kept it from being whole, which leaves the run what it is; or how
    /// it goes on with the run, which ended with `exit`.
    pub(crate) fn parting(&self, run: &RunId, exit: Option<Exit>) {
        let Some((recorder, path)) = &self.recorder else { return };
        let screen = Screen::on(Stream::Err);
        if let Some(error) = recorder.take_error() {
            CliError::from(error).print(&screen);
        } else if matches!(exit, Some(Exit::Parked | Exit::Held | Exit::Locked | Exit::Interrupted)) {
            let path = engine::site::quote(&path.to_string_lossy());
            screen.line(format!("the recording goes on with: runbook resume {run} --record {path}"));
        }
    }
}

impl From<RecordingError> for CliError {
    fn from(error: RecordingError) -> Self {
        match error {
            RecordingError::Io { path, source } => Self::File { action: "use", path, source },
            RecordingError::Malformed { .. } | RecordingError::TooNew { .. } => Self::usage(
                error.to_string(),
                "`runbook run --record FILE` makes a recording; it is YAML that may be edited",
            ),
        }
    }
}
