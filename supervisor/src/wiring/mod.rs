//! Makes the plan true: tells the sidecars what to do, and the state what became of it.
//!
//! Names come first, since everything else needs addresses ([`names`]); then the listeners of the forwards
//! ([`routes`]); then the apps, each with a guardian of its own ([`app`]), all at once.

pub mod addresses;
pub mod app;
pub mod names;
pub mod routes;
