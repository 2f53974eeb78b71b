//! The server and the client of the protocol, over any local socket.
//!
//! A byte goes this way: [`framing`] cuts the stream into lines, [`server`] or [`client`] gives them their meaning
//! ([`crate::protocol`]), [`connection`] keeps the order of one server connection, and [`hub`] fans events out to
//! whoever subscribed.

pub mod client;
pub mod connection;
pub mod framing;
pub mod hub;
pub mod server;
