//! What nvidia-smi and the kernel's log say.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    steps::hostile::gpu(bytes);
});
