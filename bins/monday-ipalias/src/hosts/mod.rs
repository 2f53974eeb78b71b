//! The hosts file: what stands in it, what of it is ours, and how it is written so that nothing is ever lost.
//!
//! - [`text`]: its lines with their endings, as bytes;
//! - [`marker`]: the comment lines that enclose a block of ours and say who owns it;
//! - [`block`]: finds blocks and foreign lines, and makes the new content: pure functions of bytes;
//! - [`view`]: what the file says about a name or an address;
//! - [`mod@file`]: lock, read, edit, compare, write, read again;
//! - [`swap`] and [`in_place`]: the two ways to write, with [`journal`] for the second;
//! - [`snapshot`] and [`displaced`]: how the writes of others are noticed;
//! - [`extraction`]: names taken out of lines of others; [`adoption`]: those of an earlier tool, on a person's command;
//! - [`trusted`]: where root writes for a user;
//! - [`folder_lock`]: the lock; [`step`]: the steps of writing, for tests.

pub mod adoption;
pub mod block;
pub mod displaced;
pub mod extraction;
pub mod file;
pub mod folder_lock;
pub mod in_place;
pub mod journal;
pub mod marker;
pub mod snapshot;
pub mod step;
pub mod swap;
pub mod text;
pub mod trusted;
pub mod view;
