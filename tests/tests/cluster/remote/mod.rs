//! Workloads whose traffic comes to this machine, and how they are put back.

mod bytes;
mod kills;
mod others;
mod project;
mod refusals;
mod serves;
mod stage;
