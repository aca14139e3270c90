//! Logs of a job, packed or not, through to what `oom.read` says of them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    steps::hostile::log(bytes);
});
