//! Connections whose first line says what happens on them:
//!
//! | line | what the pod does |
//! |---|---|
//! | `who` | says its name and closes |
//! | `echo` | sends back what comes |
//! | `send N` | sends N bytes of the pattern and closes |
//! | `take N` | reads N bytes of the pattern, says `took N` and closes |
//! | `both N` | both at once, and says `took N` after the last byte |
//! | `late S TEXT` | says TEXT after S seconds and closes |
//! | `swallow NAME` | reads the pattern until the end, for `journal` |
//! | `journal NAME` | says what came of that: `open`, `ended N`, or what was wrong; and closes |
//! | `stall` | neither reads nor writes |
//! | `close` | closes |

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::{POD, pattern};

/// What came of every `swallow`.
static JOURNAL: Mutex<Option<HashMap<String, String>>> = Mutex::new(None);

pub(crate) fn serve(stream: TcpStream) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["who"] => writeln!(writer, "{}", *POD),
        ["echo"] => {
            let ahead = reader.buffer().to_vec();
            writer.write_all(&ahead)?;
            echo(writer)
        }
        ["send", length] => pattern::write(&mut writer, number(length)?),
        ["take", length] => take(&mut reader, &mut writer, number(length)?),
        ["both", length] => both(reader, writer, number(length)?),
        ["late", seconds, ref text @ ..] => {
            thread::sleep(Duration::from_secs(number(seconds)?));
            writeln!(writer, "{}", text.join(" "))
        }
        ["swallow", name] => {
            journal(name, "open");
            let came = match pattern::read(&mut reader, u64::MAX) {
                Ok(length) => format!("ended {length}"),
                Err(error) => error.to_string(),
            };
            journal(name, &came);
            Ok(())
        }
        ["journal", name] => {
            let known = JOURNAL.lock().unwrap_or_else(PoisonError::into_inner);
            let text = known.as_ref().and_then(|known| known.get(name).cloned());
            drop(known);
            writeln!(writer, "{}", text.as_deref().unwrap_or("unknown"))
        }
        ["stall"] => loop {
            thread::park();
        },
        ["close"] => Ok(()),
        _ => writeln!(writer, "not understood: {line}"),
    }
}

/// Sends back what comes.
pub(crate) fn echo(stream: TcpStream) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    io::copy(&mut &stream, &mut writer).map(drop)
}

fn take(reader: &mut impl Read, writer: &mut TcpStream, length: u64) -> io::Result<()> {
    match pattern::read(reader, length) {
        Ok(length) => writeln!(writer, "took {length}"),
        Err(error) => writeln!(writer, "{error}"),
    }
}

fn both(mut reader: BufReader<TcpStream>, writer: TcpStream, length: u64) -> io::Result<()> {
    let mut sender = writer.try_clone()?;
    let sending = thread::spawn(move || pattern::write(&mut sender, length));
    let came = pattern::read(&mut reader, length);
    sending
        .join()
        .map_err(|_| io::Error::other("the sender panicked"))??;
    let mut writer = writer;
    match came {
        Ok(length) => writeln!(writer, "took {length}"),
        Err(error) => writeln!(writer, "{error}"),
    }
}

fn number(word: &str) -> io::Result<u64> {
    word.parse().map_err(io::Error::other)
}

fn journal(name: &str, text: &str) {
    let mut known = JOURNAL.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_with(HashMap::new);
    known.insert(name.to_owned(), text.to_owned());
}
