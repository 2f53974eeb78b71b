//! The demo's program: one small HTTP server that plays both services.
//!
//! `demo back` answers by itself. `demo front` asks the back for a word and answers with it. They listen on the
//! addresses that monday gave their host names, which they find in the environment.

use std::env;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// Where the front listens on its own address.
const FRONT_PORT: u16 = 8080;
/// Where the back listens on its own address.
const BACK_PORT: u16 = 9090;
/// The back's own host name in `monday.yaml`.
const BACK_NAME: &str = "back.demo.test";
/// The front's.
const FRONT_NAME: &str = "front.demo.test";

fn main() -> io::Result<()> {
    match env::args().nth(1).as_deref() {
        Some("back") => back(),
        Some("front") => front(),
        _ => Err(io::Error::other("usage: demo back|front")),
    }
}

fn back() -> io::Result<()> {
    let listener = listen("MONDAY_HOST_BACK", BACK_PORT)?;
    say(&format!("listening on {}", listener.local_addr()?));
    let mut asked = 0;
    serve(&listener, || {
        asked += 1;
        Ok(format!(
            "hello from back (pid {}), asked {asked} times",
            std::process::id()
        ))
    })
}

fn front() -> io::Result<()> {
    let listener = listen("MONDAY_HOST_FRONT", FRONT_PORT)?;
    let own = listener.local_addr()?;
    // Others than the project's own processes have to find the name, too.
    let names_work = env::var("MONDAY_HOSTS").is_ok_and(|place| place == "system")
        && resolves_to_loopback(FRONT_NAME, FRONT_PORT);
    say(&format!("listening on {own}"));
    if names_work {
        say(&format!("open  http://{FRONT_NAME}:{FRONT_PORT}/"));
        say(
            "try   curl http://api.demo.test:8080/   the same back under a second name, through a proxy",
        );
    } else {
        say(&format!("open  http://{own}/"));
        if let Ok(api) = env::var("MONDAY_ADDR_API") {
            say(&format!(
                "try   curl http://{api}/   the back, through a proxy"
            ));
        }
    }
    serve(&listener, || {
        let word = ask_back()?;
        Ok(format!("front asked back and heard: {word}"))
    })
}

/// By its host name, or by its address where host names cannot be set.
fn ask_back() -> io::Result<String> {
    let host = if resolves_to_loopback(BACK_NAME, BACK_PORT) {
        BACK_NAME.to_owned()
    } else {
        env::var("MONDAY_HOST_BACK").map_err(io::Error::other)?
    };
    let mut stream = TcpStream::connect((host.as_str(), BACK_PORT))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET / HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    Ok(body.trim_end().to_owned())
}

fn resolves_to_loopback(name: &str, port: u16) -> bool {
    (name, port)
        .to_socket_addrs()
        .is_ok_and(|mut addresses| addresses.any(|address| address.ip().is_loopback()))
}

fn listen(variable: &str, port: u16) -> io::Result<TcpListener> {
    let host = env::var(variable)
        .map_err(|_| io::Error::other(format!("{variable} is not set: run me through monday")))?;
    TcpListener::bind((host.as_str(), port))
}

/// Answers every request with what `answer` says, one at a time: it is a demo.
fn serve(listener: &TcpListener, mut answer: impl FnMut() -> io::Result<String>) -> io::Result<()> {
    loop {
        let (stream, client) = listener.accept()?;
        match respond(&stream, &mut answer) {
            Ok(line) => say(&format!("{client} {line}")),
            Err(error) => say(&format!("{client} went away: {error}")),
        }
    }
}

fn respond(
    mut stream: &TcpStream,
    answer: &mut impl FnMut() -> io::Result<String>,
) -> io::Result<String> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let (status, body) = match answer() {
        Ok(body) => ("200 OK", body),
        Err(error) => ("502 Bad Gateway", format!("no answer from back: {error}")),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}\n",
        body.len() + 1
    )?;
    Ok(format!("{} {status}", request.trim_end()))
}

fn say(line: &str) {
    // Whoever reads this may have gone; the service goes on.
    let _ = writeln!(io::stdout(), "{line}");
}
