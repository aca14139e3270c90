//! Every runbook that ships, on every recording: cut off, broken and taken back at every point.

/// The tests of a function on every recording, so that they run side by side.
macro_rules! on_every_recording {
    ($function:ident) => {
        on_every_recording! { $function
            true_oom: "training-oom", "true-oom";
            fragmentation: "training-oom", "fragmentation";
            hugging_face: "training-oom", "hugging-face";
            megatron: "training-oom", "megatron";
            torchtitan: "training-oom", "torchtitan";
            faulty_gpu: "training-oom", "faulty-gpu";
            reduced: "training-oom", "reduced";
            co_tenant: "training-oom", "co-tenant";
            taken_back: "training-oom", "taken-back";
            masked: "training-oom", "masked";
            exhausted: "training-oom", "exhausted";
            crowded: "training-oom", "crowded";
            drain_denied: "training-oom", "drain-denied";
            torn: "training-oom", "torn";
            no_checkpoint: "training-oom", "no-checkpoint";
            host_oom: "training-oom", "host-oom";
            not_an_oom: "training-oom", "not-an-oom";
            bad_node: "nccl-hang", "bad-node";
            tcp_fallback: "nccl-hang", "tcp-fallback";
            node_sweep: "node-sweep", "one-faulty";
            old_logs: "disk-full", "old-logs";
            somebodys_file: "disk-full", "somebodys-file";
            by_hand: "by-hand", "paused";
        }
    };
    ($function:ident $($name:ident: $runbook:literal, $recording:literal;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                $function($runbook, $recording).await;
            }
        )*

        #[test]
        fn no_recording_is_left_out() {
            let known = [$(concat!($runbook, "/", $recording)),*];
            super::case::assert_all(&known);
        }
    };
}

mod breaks;
mod case;
mod crash;
mod drift;
mod hidden;
mod process;
mod reference;
mod stage;
mod taken;
mod undo;
