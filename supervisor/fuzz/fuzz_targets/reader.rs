//! Feeds `checks/reader.rs` anything.

#![no_main]

#[path = "../checks/reader.rs"]
mod reader;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| reader::check(data));
