//! Says what changed in a tree.
mod backend;
pub mod change;
pub mod debounce;
pub mod error;
mod ignore_files;
pub mod limit;
mod platform;
mod poll;
mod repository;
mod root;
pub mod rules;
pub mod snapshot;
mod tree;
mod watch;
pub mod watcher;
mod way;
