//! The lifeline: standard input ends when the parent is gone.

use std::io::{ErrorKind, Read as _};

use tokio_util::sync::CancellationToken;

/// Cancels the token when standard input ends. What comes in before is read and dropped.
///
/// A thread of its own does the reading: standard input may be anything (a pipe, a file, a terminal), and not
/// everything can be polled. It is not waited for at the end of the process.
///
/// # Errors
/// If no thread can be made.
pub fn watch() -> std::io::Result<CancellationToken> {
    let cut = CancellationToken::new();
    let told = cut.clone();
    std::thread::Builder::new()
        .name("lifeline".to_owned())
        // It holds one small buffer.
        .stack_size(64 * 1024)
        .spawn(move || {
            let mut stdin = std::io::stdin().lock();
            let mut buffer = [0; 256];
            loop {
                match stdin.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            told.cancel();
        })?;
    Ok(cut)
}
