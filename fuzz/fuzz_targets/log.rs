//! Logs of a job, as files of any format.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    steps::hostile::log(bytes);
});
