//! Makes the plan true: tells the sidecars what to do, and the state what became of it.
//!
//! Names come first, since everything else needs addresses ([`names`]); then the tunnels and the listeners
//! of the forwards ([`tunnels`], [`routes`]); then the apps, each with a [`pipeline`] and a guardian ([`app`]) of its own, as soon as what they depend
//! on is there ([`progress`]).

pub mod addresses;
pub mod app;
pub mod change_filter;
pub mod changes;
pub mod env_file;
pub mod names;
pub mod pipeline;
pub mod progress;
pub mod remote;
pub mod routes;
pub mod run_spec;
pub mod step;
pub mod taken_port;
mod traces;
mod tracked;
pub mod tunnels;
