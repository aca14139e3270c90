//! What a run is about is locked before the run begins, so that two runs never treat it side by side.

use engine::journal::{Store, Summary, SummaryState};
use engine::lock::Claim;
use engine::run::{AskedOf, RunId};
use engine::walk::{Hold, World};

use crate::error::CliError;
use crate::place;
use crate::session::Session;
use crate::terminal::line;

/// Takes the lock of a target for a run of this runbook that is about to walk. If the run `from` has it, a person is asked.
///
/// # Errors
/// If somebody else has it.
pub(crate) fn hold(
    session: &Session,
    world: &World,
    target: &str,
    run: &RunId,
    account: &str,
    from: Option<&RunId>,
    runbook: &str,
) -> Result<Hold, CliError> {
    let claim = Claim {
        target: target.to_owned(),
        run: run.clone(),
        account: account.to_owned(),
        host: place::host(),
        pid: std::process::id(),
        since: world.site.now(),
    };
    let at = AskedOf {
        run: run.clone(),
        visit: 0,
        node: String::new(),
        title: String::new(),
        answered: Default::default(),
        agreed: Default::default(),
        operators: Default::default(),
    };
    Ok(session.runtime.block_on(Hold::take(world, &claim, from, &at, runbook))?)
}

/// Points out a run about the same target that was left open.
pub(crate) fn point_out_left_open(session: &Session, store: &dyn Store, hold: &Hold, run: &RunId) {
    let Some(before) = hold.before().filter(|before| before.run != *run) else { return };
    let summary = store.summary(&before.run).ok();
    let over = |summary: &Summary| matches!(summary.state, SummaryState::Ended | SummaryState::RolledBack);
    let Some(open) = summary.filter(|summary| !over(summary)) else { return };
    let (about, open) = (line(&open.target), open.run);
    session.screen.line(format!("note: {open} about {about} was left open: runbook resume {open}"));
}
