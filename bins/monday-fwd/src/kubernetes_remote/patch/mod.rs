//! What a session changes of a Deployment, and how that is undone: functions over the Deployment's JSON, without a cluster.
//!
//! - [`replace`] puts the agent in the place of a container;
//! - [`change`] is one changed field, with what it was and what it became;
//! - [`marks`] are the annotations and labels that a session leaves on the object, its own inverse among them;
//! - [`restore`] takes all of it back. It is three-way: a field that somebody else has changed meanwhile stays theirs;
//! - [`json_patch`] says the difference of two objects as RFC 6902 does.

pub(crate) mod change;
pub(crate) mod json_patch;
pub(crate) mod marks;
pub(crate) mod replace;
pub(crate) mod restore;

#[cfg(test)]
mod tests;
