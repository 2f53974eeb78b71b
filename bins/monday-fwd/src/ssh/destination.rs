//! A server as people write it: `host`, `user@host`, `user@host:port` of a jump, `ssh://user@host:port`.

use super::args::Args;

/// A server as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) user: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

impl Destination {
    /// Reads `[user@]host` or a URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("ssh://") {
            return Self::with_port(rest.trim_end_matches('/'));
        }
        let (user, host) = split_user(text);
        Self::of(text, user, host, None)
    }

    /// Reads `[user@]host[:port]`, as jumps are written.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn with_port(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix("ssh://").unwrap_or(text);
        let (user, rest) = split_user(text);
        let (host, port) = match rest.strip_prefix('[') {
            Some(inside) => {
                let (host, after) = inside
                    .split_once(']')
                    .ok_or_else(|| format!("`{text}` has no ] to its ["))?;
                (host, after.strip_prefix(':'))
            }
            // More than one colon without brackets is an address of IPv6.
            None => match rest.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (rest, None),
            },
        };
        let port = match port {
            Some(port) => Some(
                port.parse()
                    .map_err(|_| format!("`{text}`: `{port}` is no port"))?,
            ),
            None => None,
        };
        Self::of(text, user, host, port)
    }

    fn of(text: &str, user: Option<&str>, host: &str, port: Option<u16>) -> Result<Self, String> {
        // What begins with a dash would be an option to whatever command gets it.
        if host.is_empty() || host.starts_with('-') || host.contains(char::is_whitespace) {
            return Err(format!("`{text}` is no server: write [USER@]HOST"));
        }
        if user.is_some_and(|user| user.is_empty() || user.starts_with('-')) {
            return Err(format!("`{text}` has no valid user: write USER@HOST"));
        }
        Ok(Self {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        })
    }

    /// What it says besides the host, after what the arguments say.
    pub(super) fn and(&self, mut args: Args) -> Args {
        if let Some(user) = &self.user {
            args = args.and(&format!("User {user}"));
        }
        if let Some(port) = self.port {
            args = args.and(&format!("Port {port}"));
        }
        args
    }
}

fn split_user(text: &str) -> (Option<&str>, &str) {
    match text.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(read: Result<Destination, String>) -> (Option<String>, String, Option<u16>) {
        let read = read.unwrap();
        (read.user, read.host, read.port)
    }

    #[test]
    fn user_host_and_port_are_told_apart() {
        let (me, db) = (Some("me".to_owned()), "db".to_owned());
        assert_eq!(
            parts(Destination::read("me@db")),
            (me.clone(), db.clone(), None)
        );
        assert_eq!(
            parts(Destination::read("fe80::1")),
            (None, "fe80::1".into(), None)
        );
        assert_eq!(
            parts(Destination::read("ssh://me@db:2222/")),
            (me.clone(), db.clone(), Some(2222))
        );
        assert_eq!(
            parts(Destination::with_port("me@db:22")),
            (me, db, Some(22))
        );
        assert_eq!(
            parts(Destination::with_port("[::1]:23")),
            (None, "::1".into(), Some(23))
        );
        for wrong in ["", "-oX", "@db", "a b", "me@", "ssh://db:x"] {
            assert!(Destination::read(wrong).is_err(), "{wrong}");
        }
    }
}
