//! The main job on a real Slurm with a real sshd per node. `tests/all` brings the cluster up and runs these; by hand:
//! `tests/cluster/up && cargo test --test main -- --ignored --test-threads=1 on_cluster`.

mod faults;
mod frameworks;
mod hang;
mod kit;
mod recording;
mod resume;
mod rollback;
mod worlds;
