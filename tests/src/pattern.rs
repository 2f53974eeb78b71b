//! Bytes that show where they belong: a piece that is lost, doubled or moved is noticed.

use std::io::{self, Read, Write};

/// No buffer on the way has a size that this divides.
const PERIOD: usize = 251;

/// A whole number of periods, large enough that the work is in the system calls.
const CHUNK: usize = PERIOD * 1024;

/// `CHUNK` bytes of the pattern, and a period more, so that a piece of any phase can be cut out.
fn chunk() -> Vec<u8> {
    (0..=250).cycle().take(CHUNK + PERIOD).collect()
}

/// Writes the first `length` bytes of the pattern.
///
/// # Errors
/// What the writer says.
pub fn write(to: &mut impl Write, length: u64) -> io::Result<()> {
    let chunk = chunk();
    let mut left = length;
    while left > 0 {
        let now = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        to.write_all(&chunk[..now])?;
        left -= now as u64;
    }
    Ok(())
}

/// Reads until the end, or `length` bytes, and says how many came.
///
/// # Errors
/// What the reader says, or at which place something else came than the pattern has there.
pub fn read(from: &mut impl Read, length: u64) -> io::Result<u64> {
    let chunk = chunk();
    let mut buffer = vec![0; CHUNK];
    let mut done = 0;
    while done < length {
        let now = usize::try_from(length - done).map_or(CHUNK, |left| left.min(CHUNK));
        let read = match from.read(&mut buffer[..now]) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        // Smaller than a period.
        #[allow(clippy::cast_possible_truncation)]
        let phase = (done % PERIOD as u64) as usize;
        if buffer[..read] != chunk[phase..phase + read] {
            return Err(io::Error::other(format!(
                "after byte {done} something else came"
            )));
        }
        done += read as u64;
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_is_lost_is_noticed() {
        let mut bytes = Vec::new();
        write(&mut bytes, 1_000_000).unwrap();
        assert_eq!(bytes.len(), 1_000_000);
        assert_eq!(read(&mut bytes.as_slice(), u64::MAX).unwrap(), 1_000_000);
        assert_eq!(read(&mut bytes.as_slice(), 17).unwrap(), 17);
        bytes.remove(700_000);
        assert!(read(&mut bytes.as_slice(), u64::MAX).is_err());
    }
}
