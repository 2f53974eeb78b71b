//! What the agent is told by its environment.

use russh::keys::PublicKey;

use crate::error::Error;

/// The variable with the key of whoever may use the agent, as `authorized_keys` has it.
pub const KEY: &str = "MONDAY_AGENT_KEY";

/// The variable with the port at which the agent says that the tunnel stands.
pub const READY_PORT: &str = "MONDAY_AGENT_READY_PORT";

/// What the agent is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The key of whoever may use it.
    pub key: PublicKey,
    /// The port at which it says that the tunnel stands.
    pub ready_port: u16,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// [`Error::Missing`] and [`Error::Senseless`].
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        const WHAT: &str = "the public key of whoever may use the agent, as authorized_keys has it";
        let text = variable(KEY).ok_or(Error::Missing {
            name: KEY,
            what: WHAT,
        })?;
        let key = PublicKey::from_openssh(&text).map_err(|_| Error::Senseless {
            name: KEY,
            value: text,
            what: WHAT,
        })?;
        Ok(Self {
            key,
            ready_port: ready_port(variable)?,
        })
    }
}

/// The port at which the agent says that the tunnel stands.
///
/// # Errors
/// [`Error::Missing`] and [`Error::Senseless`].
pub fn ready_port(variable: impl Fn(&str) -> Option<String>) -> Result<u16, Error> {
    const WHAT: &str = "a port from 1 to 65535, at which the agent says that its tunnel stands";
    let text = variable(READY_PORT).ok_or(Error::Missing {
        name: READY_PORT,
        what: WHAT,
    })?;
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(Error::Senseless {
            name: READY_PORT,
            value: text,
            what: WHAT,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let only = |name: &'static str, value: &'static str| {
            move |asked: &str| (asked == name).then(|| value.to_owned())
        };
        let missing = Settings::read(|_| None).unwrap_err().to_string();
        assert!(
            missing.starts_with("MONDAY_AGENT_KEY is not set"),
            "{missing}"
        );
        let wrong = Settings::read(only(KEY, "ssh-ed25519 x")).unwrap_err();
        assert!(matches!(wrong, Error::Senseless { .. }), "{wrong}");
        assert!(ready_port(only(READY_PORT, "0")).is_err());
        assert_eq!(ready_port(only(READY_PORT, "5023")).unwrap(), 5023);
    }
}
