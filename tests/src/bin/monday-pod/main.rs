//! What runs in the pods of the test cluster: `monday-pod [--ignore-term | --drain] WAY:PORT...`
//!
//! Ways: `talk` (the first line of a connection says what happens on it, see [`talk`]), `echo`, `http` (says the pod's
//! name) and `banner` (greets first, as database and mail servers do).
//!
//! It uses the standard library alone, because the harness compiles it by itself into the one static executable that the
//! image has. It ends at once on SIGTERM, as most services do that have no handler of their own and an init before them;
//! `--drain` makes it go on for half a second, `--ignore-term` until it is killed.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "whoever reads its output is a test"
)]

mod http;
// Shared with the tests, which have the other end.
#[allow(unreachable_pub, reason = "public in the harness")]
#[path = "../../pattern.rs"]
mod pattern;
mod talk;
mod term;

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

/// Kubernetes names the host of a pod after it.
static POD: LazyLock<String> = LazyLock::new(|| {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
});

/// What whoever sends requests needs to hear that a pod is ending.
const DRAIN: Duration = Duration::from_millis(500);

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("--ignore-term") => drop(words.remove(0)),
        Some("--drain") => {
            words.remove(0);
            term::end_after(DRAIN);
        }
        _ => term::end_at_once(),
    }
    let mut servers = Vec::new();
    for word in &words {
        let (way, port) = word.split_once(':').expect("WAY:PORT");
        let port: u16 = port.parse().expect("a port is a number");
        let serve: fn(TcpStream) -> io::Result<()> = match way {
            "talk" => talk::serve,
            "echo" => talk::echo,
            "http" => http::serve,
            "banner" => banner,
            _ => {
                println!("there is no way {way}");
                std::process::exit(2);
            }
        };
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("the port is free");
        servers.push(std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    // The other side may go away at any time.
                    serve(stream)
                });
            }
        }));
    }
    println!("{} serves {}", *POD, words.join(" "));
    for server in servers {
        let _ = server.join();
    }
}

fn banner(mut stream: TcpStream) -> io::Result<()> {
    writeln!(stream, "220 {} greets", *POD)?;
    talk::echo(stream)
}
