//! Slurm's answers as JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    steps::hostile::slurm_json(bytes);
});
