//! Slurm's folded host lists.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    steps::hostile::hostlist(bytes);
});
