//! Feeds `checks/env_file.rs` anything.

#![no_main]

#[path = "../checks/env_file.rs"]
mod env_file;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| env_file::check(data));
