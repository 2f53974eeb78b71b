//! SPDY/3.1, as much of it as a client of `pods/portforward` needs.
//!
//! Kubernetes carries port-forwards in SPDY frames, either on the connection itself or inside a websocket (KEP-4006).
//! A local connection is a *pair* of streams: one for data, one on which the far end says why it failed.
//!
//! - [`parser`] cuts what the server sends into frames, in constant memory whatever it sends;
//! - [`frame`] writes ours; header blocks need a zlib stream, which [`header`] writes without compressing;
//! - [`session`] is one connection: it reads, writes, answers PINGs and proves that it is healthy;
//! - [`carry`] lets a local connection have a session for as long as it lasts.
//!
//! The server works through the frames of a session with a few workers and without flow control, so that a stream that
//! nobody reads blocks others. Here a session carries one pair at a time, and is used again only once it is proven that
//! no worker is stuck ([`session::Session::prove`]).
//!
//! Source: the SPDY/3.1 draft, and `moby/spdystream`, which is what answers.

pub(crate) mod carry;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod parser;
pub(crate) mod session;
