//! What a person sees of a running project.

pub mod console;
pub mod lines;
pub mod log_dir;
mod pieces;
pub mod ready_first;
pub mod table;
pub mod width;
