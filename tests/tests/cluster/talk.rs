//! The other end of `monday-pod`'s way `talk`.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use monday_tests::wait::{Deadline, PATIENCE};

use crate::forwarder::connect;

/// A connection on which that was asked.
pub(crate) fn ask(address: SocketAddr, line: &str) -> TcpStream {
    let mut stream = connect(address);
    stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    stream
}

/// The first line of the answer to that.
pub(crate) fn answer(address: SocketAddr, line: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(3 * PATIENCE))?;
    stream.set_nodelay(true)?;
    stream.write_all(format!("{line}\n").as_bytes())?;
    first_line(&stream)
}

/// The name of the pod that answers.
pub(crate) fn who(address: SocketAddr) -> io::Result<String> {
    answer(address, "who")
}

/// The next line on a connection.
pub(crate) fn first_line(stream: &TcpStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::Error::other(format!("half an answer: {line:?}"))),
    }
}

/// Sends a byte on an echo and waits for it.
pub(crate) fn echo_once(mut stream: &TcpStream, byte: u8) {
    stream.write_all(&[byte]).unwrap();
    let mut got = [0];
    stream.read_exact(&mut got).unwrap();
    assert_eq!(got, [byte]);
}

/// Waits until the pod's journal has that about a `swallow`.
pub(crate) fn await_journal(address: SocketAddr, name: &str, wanted: &str) {
    let deadline = Deadline::within(2 * PATIENCE);
    loop {
        let found = answer(address, &format!("journal {name}")).unwrap();
        if found == wanted {
            return;
        }
        let open = found == "open" || found == "unknown";
        assert!(open && !deadline.passed(), "{name}: {found}, not {wanted}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
