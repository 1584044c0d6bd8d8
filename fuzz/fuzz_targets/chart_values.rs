#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_properties::render::chart_values(data));
