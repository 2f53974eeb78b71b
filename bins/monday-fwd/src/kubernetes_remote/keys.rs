//! The key of a session: whoever has it is let in by the session's agents.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};

/// A key.
#[derive(Clone)]
pub(crate) struct Key {
    private: PrivateKey,
    seed: [u8; 32],
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// The system has no random numbers.
    #[error("cannot make a key: the system gives no random numbers")]
    NoRandom,
    /// It cannot be understood.
    #[error("the key of the session cannot be used: {0}")]
    Unusable(String),
}

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// [`KeyError`]
    pub(crate) fn new() -> Result<Self, KeyError> {
        Self::from_seed(random()?)
    }

    /// One that was written down.
    ///
    /// # Errors
    /// [`KeyError`]
    pub(crate) fn read(text: &str) -> Result<Self, KeyError> {
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| KeyError::Unusable(error.to_string()))?;
        let seed = bytes
            .try_into()
            .map_err(|_| KeyError::Unusable("it has another length".to_owned()))?;
        Self::from_seed(seed)
    }

    fn from_seed(seed: [u8; 32]) -> Result<Self, KeyError> {
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
        let private =
            PrivateKey::new(pair, "").map_err(|error| KeyError::Unusable(error.to_string()))?;
        Ok(Self { private, seed })
    }

    /// To be written down.
    pub(crate) fn text(&self) -> String {
        STANDARD.encode(self.seed)
    }

    /// The private key.
    pub(crate) fn private(&self) -> &PrivateKey {
        &self.private
    }

    /// The public key, as `authorized_keys` has it.
    ///
    /// # Errors
    /// [`KeyError`]
    pub(crate) fn public(&self) -> Result<String, KeyError> {
        self.private
            .public_key()
            .to_openssh()
            .map_err(|error| KeyError::Unusable(error.to_string()))
    }
}

/// A name that nothing else has: good for labels.
///
/// # Errors
/// [`KeyError::NoRandom`]
pub(crate) fn session_id() -> Result<String, KeyError> {
    /// How many bytes make two sessions of one cluster differ for certain.
    const BYTES: usize = 6;
    let bytes = random()?;
    Ok(bytes[..BYTES]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat())
}

fn random() -> Result<[u8; 32], KeyError> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| KeyError::NoRandom)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_written_down_is_the_same() {
        let key = Key::new().unwrap();
        let again = Key::read(&key.text()).unwrap();
        assert_eq!(key.public().unwrap(), again.public().unwrap());
        assert!(key.public().unwrap().starts_with("ssh-ed25519 "));
        assert!(Key::read("AAAA").is_err());
    }
}
