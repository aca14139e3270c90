//! A run that was recorded here is the same run where there is neither Slurm nor ssh.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::kit::{Ran, World};

/// The program with nothing but the recording: no programs, no agent, another home.
fn elsewhere(recording: &Path) -> Ran {
    let machine = tempfile::tempdir().expect("a directory");
    fs::copy(recording, machine.path().join("incident.yaml")).expect("moved");
    // Large outputs lie beside it.
    let (beside, there) = (recording.with_extension("d"), machine.path().join("incident.d"));
    if beside.is_dir() {
        fs::create_dir(&there).expect("made");
        for entry in fs::read_dir(beside).expect("readable").flatten() {
            fs::copy(entry.path(), there.join(entry.file_name())).expect("moved");
        }
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_runbook"));
    command
        .args(["rehearse", "training-oom", "--recording", "incident.yaml", "--json"])
        .args(["--answer", "co_tenant=avoid"])
        .current_dir(machine.path())
        .env_clear()
        .env("PATH", machine.path().join("nothing"))
        .env("HOME", machine.path())
        .env("RUNBOOK_STATE", machine.path().join("state"));
    let ran = Ran::of(&mut command);
    let left: Vec<_> =
        fs::read_dir(machine.path()).expect("readable").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["incident.yaml"], "nothing is written");
    ran
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn a_recorded_run_comes_to_the_same_end_elsewhere() {
    for name in ["fragmentation", "co-tenant"] {
        let world = World::new(name, &[]);
        let recording = world.dir.join(".incident.yaml");
        let options = ["--record", recording.to_str().expect("UTF-8"), "--answer", "co_tenant=avoid"];
        let real = world.treat(&options);
        assert_eq!(real.status, Some(0), "{name}: {}", real.stderr);
        // The relaunched job goes on writing checkpoints.
        let before = (world.changes(), world.script());
        let again = elsewhere(&recording);
        assert_eq!(again.path(), real.path(), "{name}: {}", again.stderr);
        assert_eq!((again.status, again.message()), (real.status, real.message()), "{name}");
        assert_eq!((world.changes(), world.script()), before, "{name}: a rehearsal touches nothing");
    }
}
