//! The steps that ship with `runbook`, and the sites they act on.

mod slurm;
