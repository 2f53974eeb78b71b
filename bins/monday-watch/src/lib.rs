//! `monday-watch` says what changed below folders and files, and runs a command each time.
//!
//! From a write to an event:
//!
//! ```text
//! backend ── watcher ── watch ── root ── tree ── event ─┐
//! (inotify)  (thread)  (an id)  (a path)   │            ├── change ── debounce ── settle ── the event `changed`
//!                                          └──── scan ──┘  (a batch)  (when?)     (what came of it?)
//! ```
//!
//! - **Only what is kept is watched**, one folder at a time ([`rules`]); a folder is watched first and listed then, so that
//!   nothing that is made in between is missed. Files are seen through their folders, so a save by rename is a change
//!   like any other.
//! - **Nothing is lost.** What every file was is kept in some twenty bytes ([`snapshot`]). When the system drops events, the
//!   tree is compared with that; where it tells nothing at all, again and again.
//! - **Nothing is told twice or for nothing**: a batch waits until it is quiet ([`debounce`]), what came and went is
//!   not in it ([`change`]), nor what was only opened.
//! - **A path is more than its end**: the folders and links that lead to it are watched too, so it may be moved,
//!   exchanged, removed and made again.
//! - While nothing happens, nothing is done: the thread sleeps in poll(2).
//!
//! [`watcher`] owns all watches and is asked through a handle; `control` is the protocol over it, [`job`] runs a command,
//! [`run`] is the life of the executable, [`cli`] its flags, `text` what people see.

mod backend;
pub mod change;
pub mod cli;
mod control;
pub mod debounce;
pub mod error;
mod ignore_files;
pub mod job;
pub mod limit;
mod platform;
mod poll;
mod repository;
mod root;
pub mod rules;
pub mod run;
pub mod snapshot;
mod text;
mod tree;
mod watch;
pub mod watcher;
mod way;
