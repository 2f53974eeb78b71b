//! HTTP/1.1 with connections that stay open: the pod's name, whatever is asked.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use crate::POD;

pub(crate) fn serve(stream: TcpStream) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(mut line) = lines.next().transpose()? {
        let mut last = line.ends_with("HTTP/1.0");
        while !line.is_empty() {
            last |= line.eq_ignore_ascii_case("connection: close");
            let Some(next) = lines.next() else {
                return Ok(());
            };
            line = next?;
        }
        let close = if last { "Connection: close\r\n" } else { "" };
        // One write: a second one would wait for the first one's acknowledgement somewhere.
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n{close}\r\n{}\n",
            POD.len() + 1,
            *POD
        );
        writer.write_all(answer.as_bytes())?;
        if last {
            break;
        }
    }
    Ok(())
}
