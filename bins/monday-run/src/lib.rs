//! `monday-run` starts one command, shows its output and leaves none of its processes behind.
//!
//! It is the command's **guardian**. The command leads a session and a group of its own, so that one signal reaches
//! all that stayed together; and `monday-run` is a subreaper, so that what did not stay (a daemon that forked twice, a
//! grandchild that called setsid) becomes its child and is found and ended as well. There is one `monday-run` for each
//! command: everything below it is that command's.
//!
//! From a request to a process:
//!
//! - [`cli`] and `control` take requests: flags, and messages of the control socket;
//! - [`guardian`] is the task that owns the command. It is told what to do through a handle, and each request is
//!   answered when it is done;
//! - [`state`] decides what comes next, `stop` how a command is brought to its end: two state machines that know
//!   neither processes nor clocks;
//! - `children` is the only one who starts, signals and waits for processes, with [`spawn`] for the start and its
//!   errors and `session` for what happens between fork and exec.
//!
//! From a process to a reader:
//!
//! - `output` reads a stream to its last byte, `lines` cuts it into lines, `tap` looks for one, the hub of `monday_shared` fans them out to
//!   the control socket and to standard output, where `text` shows them;
//! - [`run`] is the life of the executable around all this.

mod children;
pub mod cli;
mod control;
pub mod error;
pub mod guardian;
mod helper;
mod live;
mod log_file;
mod notify;
mod output;
mod probe;
mod pty;
pub mod request;
mod restart;
pub mod run;
mod session;
pub mod spawn;
pub mod spec;
mod state;
mod stop;
mod stop_commands;
mod tap;
mod text;
mod words;
