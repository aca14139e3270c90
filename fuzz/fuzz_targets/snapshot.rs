//! Memory snapshots: pickles that a job left.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    steps::hostile::snapshot(bytes);
});
