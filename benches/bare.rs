//! The floor of a start-up: a program with clap and tokio that does nothing.

use clap::Parser;

/// Does nothing.
#[derive(Parser)]
#[command(version)]
struct Bare {
    /// What not to do.
    what: Option<String>,
}

fn main() {
    let bare = Bare::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    if let Ok(runtime) = runtime {
        runtime.block_on(async move { drop(bare.what) });
    }
}
