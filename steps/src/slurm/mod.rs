//! Slurm: reading a job, stopping it, submitting it again, draining a node.
//!
//! Every question is put in the portable text forms (`scontrol -o`, `squeue -o`, `sacct -P`), which hold from Slurm 20.11
//! to 26.05; the JSON forms differ between releases and are missing in some, so they are asked only where the text leaves a
//! doubt that they can settle (see `json`).

mod call;
mod cancel;
mod drain;
mod fields;
#[cfg(test)]
mod fixtures;
pub(crate) mod hostile;
mod hostlist;
mod id;
mod job;
mod json;
mod logs;
mod mine;
mod node;
mod options;
mod patterns;
mod pids;
mod pin;
mod poll;
mod query;
mod record;
mod register;
mod release;
mod sacct;
mod script;
mod state;
mod submission;
mod submit;
mod submit_line;
mod value;

pub(crate) use call::question;
#[cfg(test)]
pub(crate) use fixtures::{FAILED_25_11 as FAILED_JOB, IDLE_NODE, job as fixture_job};
pub(crate) use hostlist::contains as hostlist_contains;
pub(crate) use id::JobId;
pub(crate) use logs::find as find_logs;
pub use mine::{HeadOfJob, heads_of_jobs};
pub(crate) use pids::{list_pids, read_pids};
pub(crate) use poll::Poll;
pub(crate) use query::{Found, job as find_job, live as live_job, nodes as unfold_nodes};
pub(crate) use record::Record;
pub(crate) use register::register;
pub(crate) use release::{Standing, standing};
pub(crate) use script::batch_script;
pub(crate) use state::State;
