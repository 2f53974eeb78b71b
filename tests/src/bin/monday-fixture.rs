//! What the tests run as an app of a project: one small program with a few ways to behave.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "whoever reads its output is a test"
)]

use std::net::TcpListener;

use monday_tests::http;

const USAGE: &str = "usage: monday-fixture http IP:PORT TEXT   answer every request with TEXT";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let ["http", address, text] = words[..] {
        serve(address, text);
    } else {
        println!("{USAGE}");
        std::process::exit(2);
    }
}

fn serve(address: &str, text: &str) {
    let listener = TcpListener::bind(address).expect("the address can be bound");
    let own = listener.local_addr().expect("a listener has an address");
    println!("listening on {own}");
    http::serve_on(&listener, text);
}
