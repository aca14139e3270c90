//! A job that hangs: the node at fault is left out, and the job steps again.

use super::kit::{World, shown};

#[test]
#[ignore = "needs tests/cluster/up"]
fn a_node_with_an_xid_is_left_out() {
    let world = World::new("bad-node", &[]);
    let before = world.files();
    let fixed = ["run", "nccl-hang", "--job", &world.job, "--stall", "3s", "--watch", "3m", "--json"];
    let dry = world.run(&[&fixed[..], &["--dry-run"]].concat());
    assert_eq!(dry.status, Some(0), "{}\n{}", dry.stderr, dry.stdout);
    assert_eq!((world.files(), world.changes()), (before, vec![]), "a dry run touches nothing");

    let ran = world.run(&[&fixed[..], &["--yes"]].concat());
    ran.assert_path(&[
        "job:found",
        "moving:stalled",
        "error:none",
        "trouble:ok",
        "died:of_nothing",
        "health:mixed",
        "manager:ok",
        "ports:ok",
        "network:ok",
        "fault:at_fault",
        "checkpoint:found",
        "stop:released",
        "cure:node",
        "relaunch_elsewhere:submitted",
        "verify:passed",
        "done",
    ]);
    assert!(shown(&dry.events[0], &ran.path()), "{:?} is not among the paths of the dry run", ran.path());
    assert_eq!(world.counts(), [("sbatch".to_owned(), 1), ("scancel".to_owned(), 1)].into());
    let (node, verify) = (world.about["node"].as_str().expect("a node"), ran.output("verify"));
    assert!(verify["last_step"].as_i64() >= world.about["step"].as_i64(), "{verify}");
    assert!(!verify["nodes"].to_string().contains(node), "{verify}");
    assert!(ran.message().contains(&format!("tell the administrators of {node}")), "{}", ran.message());
}
