//! The lines of a stream as they come.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};

use crate::wait::Deadline;

/// The lines of one stream, those that were read and those to come.
#[derive(Debug)]
pub(crate) struct Lines {
    incoming: Receiver<String>,
    seen: Vec<String>,
}

impl Lines {
    /// A thread reads, so that the process never waits for the test.
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        let (lines, incoming) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { return };
                if lines
                    .send(String::from_utf8_lossy(&line).into_owned())
                    .is_err()
                {
                    return;
                }
            }
        });
        Self {
            incoming,
            seen: Vec::new(),
        }
    }

    /// The next line.
    pub(crate) fn next(&mut self, deadline: Deadline) -> Result<String, RecvTimeoutError> {
        // A stream that never pauses would be read for ever otherwise.
        if deadline.passed() {
            return Err(RecvTimeoutError::Timeout);
        }
        let line = self.incoming.recv_timeout(deadline.left())?;
        self.seen.push(line.clone());
        Ok(line)
    }

    /// Everything until the end of the stream.
    pub(crate) fn all(&mut self, deadline: Deadline) -> Result<String, RecvTimeoutError> {
        loop {
            match self.next(deadline) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(self.text()),
                Err(RecvTimeoutError::Timeout) => return Err(RecvTimeoutError::Timeout),
            }
        }
    }

    /// What was read until now.
    pub(crate) fn text(&mut self) -> String {
        self.seen.extend(self.incoming.try_iter());
        let mut text = self.seen.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }
}
