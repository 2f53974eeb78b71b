//! Gives host names a loopback address of their own, and a line in the hosts file.
//!
//! ```text
//! names ── hostname (is it one?) ── plan (which address?) ──┬── lease  (other instances: who has what)
//!                                    │        │             └── hosts  (everybody else: one marked block)
//!                                   pick    probe
//!                                (by hash) (by bind)
//! ```
//!
//! - **An address belongs to a name**, by the name's hash ([`pick`]) within a range of 127.0.0.0/8 ([`range`]), and is
//!   the same from run to run. It is passed over only if another name has it, or if a port that is going to be bound on
//!   it is taken there ([`probe`]). [`plan`] decides, without any input or output.
//! - **Instances know of each other** by their leases ([`lease`]): a small file each, in the user's runtime folder. So
//!   two projects never give one address to two names, one name has one address in both, and the same name and port
//!   are refused to the second one.
//! - **The hosts file belongs to others** ([`hosts`]). One block of ours stands in it, marked with the process that owns
//!   it ([`owner`]); every other byte stays what it is, whoever else writes at the same time and whenever we are killed.
//!   The block of a process that died is removed by the next start, or by `clean`.
//! - **Where the file may not be written**, addresses are assigned nevertheless, and the reply says so ([`status`]).
//!
//! - **As root it does the least** ([`privilege`]): through sudo or doas it serves only the user who called, takes no path
//!   and no command from that user, keeps one capability, and touches the user's files as the user. Ports below 1024 are
//!   bound here and handed over ([`ports`]), so that nothing else needs a right for them. [`setup`] prints how to let it
//!   run without a password; [`adopt`] takes over what the older Go tool has left.
//! - **macOS** wants an IPv6 line beside each IPv4 one ([`companion`]) and addresses added to `lo0` ([`alias`]).
//!
//! [`ledger`] holds the names of one instance and does all of the above; [`names`] is the task around it, with a handle;
//! [`service`] is the control protocol over that handle; [`run`](run::run) is the life of the executable, [`report`] what is
//! printed without one.

pub mod adopt;
pub mod alias;
pub mod cli;
pub mod companion;
pub mod error;
pub mod hosts;
pub mod lease;
pub mod ledger;
mod lines;
mod machine;
pub mod names;
pub mod owner;
pub mod pick;
pub mod plan;
mod platform;
pub mod ports;
pub mod privilege;
pub mod probe;
pub mod range;
pub mod report;
pub mod run;
pub mod service;
pub mod settings;
pub mod setup;
pub mod status;
