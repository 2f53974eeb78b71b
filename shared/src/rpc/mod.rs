//! The server and the client of the protocol, over any local socket.
//!
//! A byte goes this way: [`framing`] cuts the stream into lines, [`connection`] (of a [`server`]) or [`client`] gives them
//! their meaning ([`crate::protocol`]), a [`service`] answers, and [`hub`] fans events out to
//! whoever subscribed, with what [`history`] keeps for those who come late.

pub mod client;
pub mod connection;
pub mod framing;
pub mod history;
pub mod hub;
pub mod server;
pub mod service;
