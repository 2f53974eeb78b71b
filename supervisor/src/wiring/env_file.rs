//! Reads an `env_file`, whatever it is, without ever holding up the supervisor: a file on a disk that does not answer, a
//! pipe into which a password manager writes when it was asked, a device without end.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc::{O_NOCTTY, O_NONBLOCK};
use tokio::net::unix::pipe;

/// The largest env file, in bytes: half of what Linux takes for arguments and environment of a program together.
const LARGEST_BYTES: usize = 1024 * 1024;

/// How long it may take: whoever writes into a pipe may have to ask a person first.
const PATIENCE: Duration = Duration::from_secs(30);

/// The text of an env file.
///
/// # Errors
/// It cannot be read, is too large or no UTF-8, or does not come.
pub async fn read(path: &Path) -> io::Result<String> {
    read_within(path, PATIENCE).await
}

async fn read_within(path: &Path, patience: Duration) -> io::Result<String> {
    let bytes = tokio::time::timeout(patience, bytes(path)).await;
    let bytes = bytes.unwrap_or_else(|_| {
        let message = format!("nothing came out of it within {patience:?}");
        Err(io::Error::new(io::ErrorKind::TimedOut, message))
    })?;
    if bytes.len() > LARGEST_BYTES {
        let mebibytes = LARGEST_BYTES / (1024 * 1024);
        let message = format!("it is larger than {mebibytes} MiB, so it is no env file");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .split(|&byte| byte == b'\n')
            .count();
        let message = format!("its line {line} is not UTF-8");
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// The bytes, but not many more than are allowed.
async fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let is_pipe = tokio::fs::metadata(path).await?.file_type().is_fifo();
    if is_pipe {
        return from_pipe(path).await;
    }
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || from_file(path)).await;
    read.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// What is written into a pipe until its writers are gone. Nothing here blocks: a thread that waits in open(2) for a
/// writer could not be called back.
async fn from_pipe(path: &Path) -> io::Result<Vec<u8>> {
    let receiver = pipe::OpenOptions::new().open_receiver(path)?;
    let mut bytes = Vec::new();
    // The size of a pipe on Linux (pipe(7)).
    let mut piece = vec![0; 64 * 1024];
    while bytes.len() <= LARGEST_BYTES {
        // A pipe into which nobody has written yet is not readable, and not at its end either.
        receiver.readable().await?;
        match receiver.try_read(&mut piece) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

fn from_file(path: PathBuf) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = OpenOptions::new()
        .read(true)
        // A terminal neither becomes ours nor makes us wait for somebody to type.
        .custom_flags(O_NONBLOCK | O_NOCTTY)
        .open(path)?;
    file.take(LARGEST_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => {
                io::Error::new(error.kind(), "it is a device that has nothing to read")
            }
            io::ErrorKind::IsADirectory => io::Error::new(error.kind(), "it is a folder"),
            _ => error,
        })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    fn pipe() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        (folder, path)
    }

    #[tokio::test]
    async fn a_pipe_is_read_to_the_end_of_its_writer() {
        let (_folder, path) = pipe();
        let text = "A=1\n".repeat(50_000);
        let writer = std::thread::spawn({
            let (path, text) = (path.clone(), text.clone());
            move || {
                // Opens only when somebody reads.
                let mut pipe = OpenOptions::new().write(true).open(path).unwrap();
                pipe.write_all(text.as_bytes()).unwrap();
            }
        });
        assert_eq!(read(&path).await.unwrap(), text);
        writer.join().unwrap();
    }

    #[tokio::test]
    async fn a_pipe_into_which_nobody_writes_is_given_up() {
        let (_folder, path) = pipe();
        let error = read_within(&path, Duration::from_millis(50)).await;
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn what_has_no_end_is_too_large_and_what_is_empty_is_empty() {
        let endless = read(Path::new("/dev/zero")).await.unwrap_err();
        assert_eq!(endless.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read(Path::new("/dev/null")).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_folder_a_missing_file_and_other_bytes_say_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let told = read(folder.path()).await.unwrap_err().to_string();
        assert_eq!(told, "it is a folder");
        let file = folder.path().join("env");
        let missing = read(&file).await.unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        std::fs::write(&file, b"A=1\nB=caf\xe9\n").unwrap();
        let told = read(&file).await.unwrap_err().to_string();
        assert_eq!(told, "its line 2 is not UTF-8");
    }
}
