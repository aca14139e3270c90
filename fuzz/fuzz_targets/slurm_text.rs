//! Slurm's answers as text.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    steps::hostile::slurm_text(bytes);
});
