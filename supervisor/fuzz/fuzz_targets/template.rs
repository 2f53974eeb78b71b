//! Feeds `checks/template.rs` anything.

#![no_main]

#[path = "../checks/template.rs"]
mod template;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| template::check(data));
