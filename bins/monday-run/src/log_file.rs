//! A file that gets the command's output, and is renamed before it becomes too large.
//!
//! A thread of its own writes, and the command waits for it: what is in the file is all there was. If the disk is full,
//! what cannot be written is counted, and the count is written once that works again.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use monday_shared::life::report::Format as _;
use monday_shared::protocol::run::{Event, LogFile, Output};
use tokio::sync::{mpsc, oneshot};

use crate::text::Text;

/// How many batches wait for the disk before the command waits.
const BATCHES_AHEAD: usize = 8;

/// Takes output for the file.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    batches: mpsc::Sender<Output>,
}

/// The thread that writes.
#[derive(Debug)]
pub(crate) struct Writer {
    /// What it writes.
    pub(crate) file: LogFile,
    batches: mpsc::Sender<Output>,
    ended: oneshot::Receiver<()>,
}

impl Writer {
    /// Opens the file, which is continued if it exists; its folder is made where it is missing.
    ///
    /// # Errors
    /// What the file system says, or that no thread can be made.
    pub(crate) fn start(file: LogFile) -> io::Result<Self> {
        let mut rotating = Rotating::open(file.clone())?;
        let (batches, mut to_write) = mpsc::channel(BATCHES_AHEAD);
        let (done, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("log file".to_owned())
            .stack_size(128 * 1024)
            .spawn(move || {
                while let Some(output) = to_write.blocking_recv() {
                    rotating.output(output);
                }
                let _ = done.send(());
            })?;
        Ok(Self {
            file,
            batches,
            ended,
        })
    }

    /// Where output goes in.
    pub(crate) fn log(&self) -> Log {
        Log {
            batches: self.batches.clone(),
        }
    }

    /// Waits until everything is written that was put in.
    pub(crate) async fn finish(self) {
        drop(self.batches);
        // An error means that the thread is gone, which is the same.
        let _ = self.ended.await;
    }
}

impl Log {
    /// Puts output in, when there is room.
    pub(crate) async fn put(&self, output: Output) {
        // The thread ends only when nobody puts anything in.
        let _ = self.batches.send(output).await;
    }
}

/// The file itself.
#[derive(Debug)]
struct Rotating {
    settings: LogFile,
    file: File,
    bytes: u64,
    text: Text,
    /// Lines that could not be written since the last that could.
    lost: u64,
    /// It could not be renamed the last time, which was said.
    is_stuck: bool,
}

impl Rotating {
    fn open(settings: LogFile) -> io::Result<Self> {
        if let Some(folder) = Path::new(&settings.path).parent() {
            std::fs::create_dir_all(folder)?;
        }
        let (file, bytes) = open(&settings.path)?;
        Ok(Self {
            bytes,
            file,
            settings,
            text: Text::for_file(),
            lost: 0,
            is_stuck: false,
        })
    }

    fn output(&mut self, output: Output) {
        let lines = output.lines.len() as u64;
        let mut bytes = Vec::new();
        if self.lost > 0 {
            self.text.lagged(self.lost, &mut bytes);
        }
        self.text.event(&Event::Output(output), &mut bytes);
        match self.write(&bytes) {
            Ok(()) => self.lost = 0,
            Err(error) => {
                if self.lost == 0 {
                    let path = self.settings.path.display();
                    tracing::warn!(%error, "cannot write to the log file {path}; lines are lost there until that works again");
                }
                self.lost += lines;
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let more = bytes.len() as u64;
        if self.bytes > 0 && self.bytes + more > self.settings.max_bytes {
            self.rotate()?;
        }
        let written = self.file.write_all(bytes);
        // Whatever was written before it failed counts as well.
        self.bytes = self.file.metadata().map_or(self.bytes + more, |m| m.len());
        written
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.settings.keep == 0 {
            self.file.set_len(0)?;
            self.bytes = 0;
            return Ok(());
        }
        let renamed = self.rename();
        if let Err(error) = &renamed
            && !self.is_stuck
        {
            let path = self.settings.path.display();
            tracing::warn!(%error, "cannot rename the log file {path}, which goes on growing");
        }
        self.is_stuck = renamed.is_err();
        // In any case: somebody may have removed or replaced it.
        (self.file, self.bytes) = open(&self.settings.path)?;
        Ok(())
    }

    /// Makes room at the path. A file that somebody has removed is no fault, and no reason to move those before it.
    fn rename(&self) -> io::Result<()> {
        let path = &self.settings.path;
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        if !is_there(path) {
            return Ok(());
        }
        let keep = self.settings.keep;
        // Only as far as there is need: this is tried again if the last step fails, and must not push all of them out.
        let free = (1..keep).find(|&number| !is_there(&numbered(path, number)));
        for number in (1..free.unwrap_or(keep)).rev() {
            std::fs::rename(numbered(path, number), numbered(path, number + 1))?;
        }
        std::fs::rename(path, numbered(path, 1))
    }
}

/// Opens the file, which is continued if it exists, and says how many bytes it has. What could keep us waiting is refused: a
/// pipe would until somebody reads it.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let check = |metadata: &Metadata| {
        let kind = metadata.file_type();
        if kind.is_fifo() || kind.is_socket() {
            let why = "it is a pipe or a socket, and a log file has to be a regular file";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(())
    };
    if let Ok(metadata) = path.metadata() {
        check(&metadata)?;
    }
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        // It may have become a pipe since.
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let metadata = file.metadata()?;
    check(&metadata)?;
    Ok((file, metadata.len()))
}

/// `api.log` becomes `api.log.1`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use monday_shared::protocol::run::{Line, Stream};

    use super::*;

    #[test]
    fn the_folder_of_the_file_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/of/api.log");
        let _ = Rotating::open(LogFile::new(path.clone())).unwrap();
        assert!(path.is_file());
    }

    fn line(text: &str) -> Output {
        Output {
            generation: 1,
            stream: Stream::Stdout,
            lines: vec![Line(text.as_bytes().to_vec())],
            partial: false,
            unterminated: false,
        }
    }

    fn settings(folder: &Path, max_bytes: u64, keep: u32) -> LogFile {
        LogFile {
            path: folder.join("x.log"),
            max_bytes,
            keep,
        }
    }

    fn read(folder: &Path, name: &str) -> Option<String> {
        std::fs::read_to_string(folder.join(name)).ok()
    }

    #[tokio::test]
    async fn everything_is_written_and_the_file_is_continued() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["one", "two"] {
            let writer = Writer::start(settings(folder.path(), 1000, 1)).unwrap();
            writer.log().put(line(text)).await;
            writer.finish().await;
        }
        assert_eq!(read(folder.path(), "x.log").unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_full_file_is_renamed_and_only_so_many_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = Rotating::open(settings(folder.path(), 8, 2)).unwrap();
        for number in 1..=8 {
            file.output(line(&format!("no {number}")));
        }
        assert_eq!(read(folder.path(), "x.log").unwrap(), "no 8\n");
        assert_eq!(read(folder.path(), "x.log.1").unwrap(), "no 7\n");
        assert_eq!(read(folder.path(), "x.log.2").unwrap(), "no 6\n");
        assert_eq!(read(folder.path(), "x.log.3"), None);
    }

    #[test]
    fn a_line_larger_than_the_limit_is_written_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = Rotating::open(settings(folder.path(), 4, 0)).unwrap();
        file.output(line("much longer"));
        assert_eq!(read(folder.path(), "x.log").unwrap(), "much longer\n");
        file.output(line("x"));
        assert_eq!(read(folder.path(), "x.log").unwrap(), "x\n");
    }

    #[test]
    fn a_full_disk_loses_lines_with_a_count() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = Rotating::open(settings(folder.path(), 1000, 1)).unwrap();
        let good = std::mem::replace(
            &mut file.file,
            File::options().write(true).open("/dev/full").unwrap(),
        );
        file.output(line("lost"));
        file.output(line("lost too"));
        file.file = good;
        file.output(line("back"));
        assert_eq!(
            read(folder.path(), "x.log").unwrap(),
            "(2 lines were lost here)\nback\n"
        );
    }

    #[test]
    fn a_file_that_was_removed_is_begun_anew_and_those_before_it_stay() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = Rotating::open(settings(folder.path(), 8, 2)).unwrap();
        file.output(line("no 1"));
        file.output(line("no 2"));
        std::fs::remove_file(folder.path().join("x.log")).unwrap();
        for number in 3..=4 {
            file.output(line(&format!("no {number}")));
        }
        assert_eq!(read(folder.path(), "x.log").unwrap(), "no 4\n");
        assert_eq!(read(folder.path(), "x.log.1").unwrap(), "no 3\n");
        assert_eq!(read(folder.path(), "x.log.2").unwrap(), "no 1\n");
    }

    #[test]
    fn a_file_that_cannot_be_renamed_is_continued() {
        let folder = tempfile::tempdir().unwrap();
        // Not even root can rename a file over a folder.
        let obstacle = folder.path().join("x.log.1");
        std::fs::create_dir(&obstacle).unwrap();
        let mut file = Rotating::open(settings(folder.path(), 8, 1)).unwrap();
        for number in 1..=3 {
            file.output(line(&format!("no {number}")));
        }
        assert_eq!(read(folder.path(), "x.log").unwrap(), "no 1\nno 2\nno 3\n");
        std::fs::remove_dir(obstacle).unwrap();
        file.output(line("no 4"));
        assert_eq!(read(folder.path(), "x.log").unwrap(), "no 4\n");
        assert_eq!(
            read(folder.path(), "x.log.1").unwrap(),
            "no 1\nno 2\nno 3\n"
        );
    }

    #[test]
    fn a_pipe_is_refused_at_once_whether_or_not_somebody_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), 8, 2);
        nix::unistd::mkfifo(&settings.path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let refused = || Rotating::open(settings.clone()).unwrap_err().to_string();
        assert!(refused().contains("regular file"));
        let reader = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&settings.path)
            .unwrap();
        assert!(refused().contains("regular file"));
        drop(reader);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(Writer::start(settings(&file, 1, 1)).is_err());
    }
}
