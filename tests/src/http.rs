//! As much of HTTP as the tests need: a server that always says the same, and a client that asks once.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::wait::PATIENCE;

/// Starts a server on a free port of 127.0.0.1 that answers every request with this text, until the tests end.
///
/// # Panics
/// If there is no port.
#[must_use]
pub fn serve(text: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener.local_addr().expect("a listener has an address");
    let text = text.to_owned();
    std::thread::spawn(move || serve_on(&listener, &text));
    address
}

/// Answers every request on that listener with this text, for ever.
pub fn serve_on(listener: &TcpListener, text: &str) {
    for stream in listener.incoming().flatten() {
        let text = text.to_owned();
        // One that stalls shall not hold up the next.
        std::thread::spawn(move || {
            // The client may go away at any time.
            let _ = answer(&stream, &text);
        });
    }
}

fn answer(mut stream: &TcpStream, text: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}

/// Asks once and returns the body.
///
/// # Errors
/// What the operating system says, or that nothing came.
pub fn get(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET / HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((_, body)) => Ok(body.to_owned()),
        None => Err(std::io::Error::other(format!("no answer, but: {answer:?}"))),
    }
}
