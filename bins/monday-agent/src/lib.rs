//! The cluster's end of `kubernetes-remote`: it runs in a pod in the place of an application, and leads the pod's ports
//! through a tunnel to a developer's machine.
//!
//! ```text
//! whoever talks to the pod ─> ports ─> link ─> SSH ─> port-forward of the API server ─> monday-fwd
//! ```
//!
//! - **It is an SSH server on the pod's loopback address** ([`server`]): nobody reaches it but who may forward ports of
//!   the pod, and nobody is let in but who has the key of the session ([`link`]). Only remote forwards are done.
//! - **A port is open while its tunnel stands** ([`ports`]), and the newest tunnel that asks for a port has it: so one that
//!   was cut is replaced at once.
//! - **The port for the probe** ([`ready`]) is opened like any other, and answered here: the pod gets traffic only while
//!   somebody takes it.
//!
//! It needs no privilege, no file and no name service.

pub mod error;
mod link;
mod ports;
pub mod ready;
pub mod run;
mod say;
mod server;
pub mod settings;
