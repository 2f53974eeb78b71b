//! Placeholder.

pub mod config;
pub mod diagnostic;
pub mod plan;
