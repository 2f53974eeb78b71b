//! The two comment lines that enclose a block: `# monday-ipalias begin …` and `# monday-ipalias end …`.
//!
//! The first one says who owns the block, so a block whose owner died is known for what it is after a crash and after
//! a reboot, when nothing but the hosts file is left. It also says what has to be undone when the block goes: a line
//! ending that the last foreign line did not have, or the file as a whole.

use std::fmt;
use std::hash::Hasher as _;

use monday_shared::socket::runtime_dir::Fnv;

use super::text::Ending;
use crate::owner::{InstanceId, Owner};

/// What every marker begins with.
const PREFIX: &str = "# monday-ipalias ";

/// The line that opens a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Whose block it is.
    pub instance: InstanceId,
    /// The process behind it.
    pub owner: Owner,
    /// The ending that was given to the line before it, which had none.
    pub terminated: Option<Terminated>,
    /// The file was made for this block.
    pub created: bool,
}

/// An ending that was added to a foreign line, and which line that was: only if it still stands there is the ending
/// taken away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminated {
    /// What was added.
    pub with: Ending,
    line_hash: u64,
}

/// A line that is a marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// A block begins.
    Begin(Begin),
    /// The block of that instance ends.
    End(InstanceId),
    /// It begins as a marker does and goes on as none does.
    Garbled,
}

impl Terminated {
    /// The line got that ending.
    #[must_use]
    pub fn new(line: &[u8], with: Ending) -> Self {
        let mut hasher = Fnv::default();
        hasher.write(line);
        Self {
            with,
            line_hash: hasher.finish(),
        }
    }

    /// Whether it is about that line (without its ending).
    #[must_use]
    pub fn is_of(self, line: &[u8]) -> bool {
        self == Self::new(line, self.with)
    }

    fn parse(text: &str) -> Option<Self> {
        let (with, hash) = text.split_once('.')?;
        let with = match with {
            "lf" => Ending::Lf,
            "crlf" => Ending::CrLf,
            _ => return None,
        };
        let line_hash = u64::from_str_radix(hash, 16).ok()?;
        Some(Self { with, line_hash })
    }
}

impl Marker {
    /// Reads a line (without its ending); `None` if it is not a marker at all, as a comment of a person's about us.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let rest = line.strip_prefix(PREFIX.as_bytes())?;
        let first = rest.split(u8::is_ascii_whitespace).next();
        if !matches!(first, Some(b"begin" | b"end")) {
            return None;
        }
        let parsed = std::str::from_utf8(rest).ok().and_then(|rest| {
            let mut words = rest.split_ascii_whitespace();
            match words.next()? {
                "begin" => parse_begin(words).map(Self::Begin),
                "end" => {
                    let instance = words.next()?.parse().ok()?;
                    words.next().is_none().then_some(Self::End(instance))
                }
                _ => None,
            }
        });
        Some(parsed.unwrap_or(Self::Garbled))
    }
}

fn parse_begin<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Begin> {
    let instance = words.next()?.parse().ok()?;
    let (mut pid, mut started, mut boot) = (None, None, None);
    let (mut terminated, mut created) = (None, false);
    for word in words {
        match word.split_once('=') {
            Some(("pid", value)) => pid = Some(value.parse().ok()?),
            Some(("started", value)) => started = Some(value.parse().ok()?),
            Some(("boot", value)) => boot = Some(value.to_owned()),
            Some(("terminated", value)) => terminated = Some(Terminated::parse(value)?),
            None if word == "created" => created = true,
            _ => return None,
        }
    }
    Some(Begin {
        instance,
        owner: Owner {
            pid: pid?,
            started: started?,
            boot: boot?,
        },
        terminated,
        created,
    })
}

impl fmt::Display for Begin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Owner { pid, started, boot } = &self.owner;
        write!(
            f,
            "{PREFIX}begin {} pid={pid} started={started} boot={boot}",
            self.instance
        )?;
        if let Some(Terminated { with, line_hash }) = self.terminated {
            let with = match with {
                Ending::Lf => "lf",
                Ending::CrLf => "crlf",
            };
            write!(f, " terminated={with}.{line_hash:016x}")?;
        }
        if self.created {
            write!(f, " created")?;
        }
        Ok(())
    }
}

/// The line that closes the block of an instance.
#[must_use]
pub fn end_line(instance: &InstanceId) -> String {
    format!("{PREFIX}end {instance}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin() -> Begin {
        let owner = Owner::this_process();
        Begin {
            instance: InstanceId::new(&owner),
            owner,
            terminated: None,
            created: false,
        }
    }

    #[test]
    fn a_marker_reads_back_as_it_was_written() {
        let plain = begin();
        let full = Begin {
            terminated: Some(Terminated::new(b"1.2.3.4 x", Ending::CrLf)),
            created: true,
            ..begin()
        };
        for begin in [plain, full] {
            let line = begin.to_string();
            assert_eq!(Marker::parse(line.as_bytes()), Some(Marker::Begin(begin)));
        }
        let id = begin().instance;
        assert_eq!(
            Marker::parse(end_line(&id).as_bytes()),
            Some(Marker::End(id))
        );
    }

    #[test]
    fn other_comments_are_no_markers_and_damaged_markers_are_garbled() {
        for foreign in [
            "",
            "# monday",
            "#monday-ipalias begin",
            "# monday-ipalias adds its names below",
            "# monday-ipalias ",
            "# monday-ipalias begins here",
            "127.0.0.1 localhost",
        ] {
            assert_eq!(Marker::parse(foreign.as_bytes()), None);
        }
        let line = begin().to_string();
        for damaged in [
            line.replace("pid=", "pid=x"),
            line.replace("pid=", "who="),
            line.replace(" boot=", " "),
            format!("{line} terminated=lf"),
            format!("{line} more"),
            format!("{} x", end_line(&begin().instance)),
            "# monday-ipalias end 12".to_owned(),
            "# monday-ipalias end".to_owned(),
        ] {
            assert_eq!(
                Marker::parse(damaged.as_bytes()),
                Some(Marker::Garbled),
                "{damaged}"
            );
        }
        assert_eq!(
            Marker::parse(b"# monday-ipalias begin \xff"),
            Some(Marker::Garbled)
        );
    }

    #[test]
    fn an_added_ending_is_known_by_the_line_that_got_it() {
        let terminated = Terminated::new(b"10.0.0.1 a", Ending::Lf);
        assert!(terminated.is_of(b"10.0.0.1 a"));
        assert!(!terminated.is_of(b"10.0.0.1 b"));
    }
}
