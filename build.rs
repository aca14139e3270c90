//! How the program is linked: at a fixed address, where a linker for Linux can.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A program that may lie anywhere has 73,000 addresses to fill in, and pages to copy for them, each time it
    // starts: a third of a start (docs/benchmarks.md, and docs/threat-model.md for what is given up).
    let of = |what: &str| var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if of("OS") == "linux" && of("ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
