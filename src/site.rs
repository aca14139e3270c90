//! The world of a run, recorded if asked.

use std::path::Path;
use std::sync::Arc;

use engine::redact::Redactor;
use engine::run::Started;
use engine::site::Site;
use steps::site::{LiveSite, Recorder, RecordingError, RecordingWriter};

use crate::error::CliError;

/// The live world.
pub(crate) struct Live {
    site: Arc<dyn Site>,
    recorder: Option<Arc<Recorder>>,
}

/// The live world of a run; with `record`, every exchange is written there as it happens.
pub(crate) fn live(record: Option<&Path>, started: &Started, redactor: &Redactor) -> Result<Live, CliError> {
    let site: Arc<dyn Site> = Arc::new(LiveSite::new());
    let Some(path) = record else { return Ok(Live { site, recorder: None }) };
    let inputs = started.plan.scopes.get("").map(|scope| &scope.inputs);
    let secret = |name: &String| inputs.and_then(|inputs| inputs.get(name)).is_some_and(|spec| spec.secret);
    let given = started.inputs.iter().filter(|(name, value)| !secret(name) && !value.is_null());
    let given = given.map(|(name, value)| (name.clone(), redactor.value(value.clone()))).collect();
    // That it cannot be written is known before the first step.
    let writer = RecordingWriter::create(path, site.now(), &given)?;
    let recorder = Arc::new(Recorder::new(site, started.run.as_str(), writer).hiding(redactor.clone()));
    Ok(Live { site: Arc::clone(&recorder) as Arc<dyn Site>, recorder: Some(recorder) })
}

impl Live {
    /// The port that steps use.
    pub(crate) fn port(&self) -> Arc<dyn Site> {
        Arc::clone(&self.site)
    }

    /// What kept the recording from being whole, if one was asked for.
    pub(crate) fn unrecorded(&self) -> Option<CliError> {
        Some(self.recorder.as_ref()?.take_error()?.into())
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
