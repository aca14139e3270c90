//! Every kind of trouble: the right path, exactly the expected calls, and a job that trains past the failing step.

use std::os::unix::fs::PermissionsExt;

use super::kit::{Ran, World, in_rank, shown};

const EVIDENCE: [&str; 6] =
    ["job:found", "error:gpu_oom", "health:healthy", "tenants:clean", "snapshot:none", "checkpoint:found"];

/// Runs dry, checks that nothing was touched, runs for real, and checks that the real path was shown.
fn dry_then_real(world: &World, more: &[&str]) -> Ran {
    let before = world.files();
    let dry =
        world.run(&["run", "training-oom", "--job", &world.job, "--watch", "3m", "--dry-run", "--json"]);
    assert_eq!(dry.status, Some(0), "{}\n{}", dry.stderr, dry.stdout);
    assert_eq!(world.files(), before, "a dry run touched the job's files");
    assert!(world.changes().is_empty(), "a dry run executed {:?}", world.changes());
    let tree = dry.events.into_iter().next().expect("one object");
    let ran = world.treat(more);
    assert!(shown(&tree, &ran.path()), "{:?} is not among the paths of the dry run:\n{tree}", ran.path());
    ran
}

fn path(parts: &[&[&str]]) -> Vec<String> {
    parts.concat().iter().map(|word| (*word).to_owned()).collect()
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn fragmentation_is_cured_by_the_allocator() {
    let world = World::new("fragmentation", &[]);
    let script = world.script();
    let ran = dry_then_real(&world, &[]);
    let cure = [
        "stop:released",
        "hardware:healthy",
        "classify:fragmentation",
        "fragmentation:fix",
        "fix_allocator:edited",
    ];
    let proof = [
        "relaunch:submitted",
        "placed:started",
        "neighbours:clean",
        "verify:passed",
        "headroom:enough",
        "done",
    ];
    assert_eq!(ran.path(), path(&[&EVIDENCE, &cure, &proof]), "{}", ran.stderr);
    assert_eq!(ran.status, Some(0));
    assert_eq!(world.counts(), [("sbatch".to_owned(), 1), ("scancel".to_owned(), 1)].into());
    assert_eq!(
        world.changes().iter().find(|argv| argv[0] == "scancel").expect("one")[1..],
        *std::slice::from_ref(&world.job)
    );

    let error = ran.output("error");
    assert_eq!(error["rank"], world.about["rank"]);
    // The last step that was finished is the one before that in which it died.
    assert_eq!(error["step"].as_i64().map(|step| step + 1), world.about["step"].as_i64());
    assert_eq!(error["node"], world.about["node"]);
    let verify = ran.output("verify");
    assert!(verify["last_step"].as_i64() > error["step"].as_i64(), "{verify}");
    assert!(verify["checkpoint_step"].as_i64() > ran.output("checkpoint")["step"].as_i64(), "{verify}");
    let job = &ran.jobs()[0];
    let node = world.about["node"].as_str().expect("a node");
    for name in ["PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"] {
        assert_eq!(in_rank(job, node, name).as_deref(), Some("expandable_segments:True"), "{name}");
    }
    let added: Vec<String> =
        world.script().lines().filter(|line| !script.contains(line)).map(str::to_owned).collect();
    assert_eq!(added.len(), 2, "a minimal edit: {added:?}");
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn a_true_oom_takes_two_rungs() {
    let world = World::new("true-oom", &[]);
    let ran = dry_then_real(&world, &[]);
    let rung = [
        "stop:released",
        "hardware:healthy",
        "classify:true_oom",
        "true_oom:shrink",
        "lever:edited",
        "relaunch:submitted",
        "placed:started",
        "neighbours:clean",
    ];
    let proof = ["verify:passed", "headroom:enough", "done"];
    assert_eq!(
        ran.path(),
        path(&[&EVIDENCE, &rung, &["verify:oom"], &EVIDENCE, &rung, &proof]),
        "{}",
        ran.stderr
    );
    assert_eq!(world.counts(), [("sbatch".to_owned(), 2), ("scancel".to_owned(), 2)].into());
    let node = world.about["node"].as_str().expect("a node");
    let job = ran.jobs()[1].clone();
    assert_eq!(in_rank(&job, node, "MICRO_BATCH_SIZE").as_deref(), Some("2"));
    assert_eq!(in_rank(&job, node, "GRADIENT_ACCUMULATION_STEPS").as_deref(), Some("4"));
    assert_eq!(in_rank(&job, node, "SEQ_LENGTH").as_deref(), Some("4096"));
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn a_faulty_gpu_is_drained_and_avoided() {
    let world = World::new("faulty-gpu", &[]);
    let ran = dry_then_real(&world, &["--answer", "gpu_fault=replace"]);
    let expected = [
        "job:found",
        "error:gpu_oom",
        "health:faulty",
        "tenants:unknown",
        "snapshot:none",
        "checkpoint:found",
        "stop:released",
        "hardware:faulty",
        "reducible:any",
        "gpu_fault:replace",
        "drain:drained",
        "relaunch_elsewhere:submitted",
        "placed:started",
        "neighbours:clean",
        "verify:passed",
        "headroom:enough",
        "done",
    ];
    ran.assert_path(&expected);
    assert_eq!(
        world.counts(),
        [("sbatch".to_owned(), 1), ("scancel".to_owned(), 1), ("scontrol".to_owned(), 1)].into()
    );
    let node = world.about["node"].as_str().expect("a node");
    let nodes = ran.output("verify")["nodes"].to_string();
    assert!(!nodes.contains(node), "{nodes}");
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn a_faulty_gpu_that_may_not_be_drained_is_avoided_and_asked_for() {
    let world = World::new("faulty-gpu", &[]);
    // Only root can reach the nodes here, and nobody can take a right from root: the order to drain, and nothing else, is given
    // by an account to which Slurm grants none.
    let dir = tempfile::tempdir_in("/var/tmp").expect("a directory");
    let scontrol = dir.path().join("scontrol");
    let text = "#!/bin/sh\nif [ \"$1\" = update ]; then set -- setpriv --reuid 33 --regid 33 --clear-groups /usr/bin/scontrol \"$@\"; \
                else set -- /usr/bin/scontrol \"$@\"; fi\nexec \"$@\"\n";
    std::fs::write(&scontrol, text).expect("written");
    std::fs::set_permissions(&scontrol, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let mut treating = world.treating(&["--answer", "gpu_fault=replace", "--answer", "ask_admin=go_on"]);
    let path = treating
        .get_envs()
        .find(|(name, _)| *name == "PATH")
        .and_then(|(_, path)| path)
        .expect("a path")
        .to_owned();
    treating.env("PATH", format!("{}:{}", dir.path().display(), path.display()));
    let ran = Ran::of(&mut treating);
    let expected = [
        "job:found",
        "error:gpu_oom",
        "health:faulty",
        "tenants:unknown",
        "snapshot:none",
        "checkpoint:found",
        "stop:released",
        "hardware:faulty",
        "reducible:any",
        "gpu_fault:replace",
        "drain:denied",
        "ask_admin:go_on",
        "relaunch_elsewhere:submitted",
        "placed:started",
        "neighbours:clean",
        "verify:passed",
        "headroom:enough",
        "done",
    ];
    ran.assert_path(&expected);
    assert_eq!(ran.status, Some(0));
    assert_eq!(world.counts(), [("sbatch".to_owned(), 1), ("scancel".to_owned(), 1)].into());
    let node = world.about["node"].as_str().expect("a node");
    let request = ran.output("drain")["items"][0]["request"].as_str().expect("a request");
    assert!(
        request.contains(&format!("scontrol update NodeName={node} State=DRAIN 'Reason=GPU fault")),
        "{request}"
    );
    let state =
        std::process::Command::new("sinfo").args(["-h", "-n", node, "-o", "%T"]).output().expect("runs");
    assert!(!String::from_utf8_lossy(&state.stdout).contains("drain"), "{state:?}");
    let sbatch = world.changes().into_iter().find(|argv| argv[0] == "sbatch").expect("one");
    assert!(sbatch.contains(&format!("--exclude={node}")), "{sbatch:?}");
    assert!(!ran.output("verify")["nodes"].to_string().contains(node));
    let said = ran.message();
    assert!(said.contains(&format!("Still to do: {node} is not drained; send the message")), "{said}");
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn a_co_tenant_is_avoided() {
    let world = World::new("co-tenant", &[]);
    let ran = dry_then_real(&world, &["--answer", "co_tenant=avoid"]);
    let expected = [
        "job:found",
        "error:gpu_oom",
        "health:healthy",
        "tenants:shared",
        "snapshot:none",
        "checkpoint:found",
        "stop:released",
        "hardware:healthy",
        "classify:co_tenant",
        "co_tenant:avoid",
        "relaunch_elsewhere:submitted",
        "placed:started",
        "neighbours:clean",
        "verify:passed",
        "headroom:enough",
        "done",
    ];
    ran.assert_path(&expected);
    assert_eq!(world.counts(), [("sbatch".to_owned(), 1), ("scancel".to_owned(), 1)].into());
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn a_host_oom_and_a_plain_error_change_nothing() {
    for (name, status, expected) in [
        ("host-oom", 4, ["job:found", "error:host_oom", "host_oom"]),
        ("not-an-oom", 0, ["job:found", "error:none", "not_an_oom"]),
    ] {
        let world = World::new(name, &[]);
        let before = world.files();
        let ran = dry_then_real(&world, &[]);
        ran.assert_path(&expected);
        assert_eq!(ran.status, Some(status));
        assert!(world.changes().is_empty(), "{:?}", world.changes());
        assert_eq!(world.files(), before);
    }
}

#[test]
#[ignore = "needs tests/cluster/up"]
fn a_masked_oom_is_not_guessed_at() {
    let world = World::new("masked", &[]);
    let ran = dry_then_real(&world, &[]);
    assert_eq!(ran.path().last().map(String::as_str), Some("by_hand"), "{:?}", ran.path());
    assert_eq!(ran.status, Some(4));
    assert_eq!(world.counts().get("sbatch"), None);
}
