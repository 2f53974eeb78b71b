//! With what to log in, and in which order.
//!
//! As ssh(1) does it: keys of the agent that match a key file, other keys of the agent (unless `IdentitiesOnly`), then
//! key files; a certificate before its key, and nothing twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::agent::AgentIdentity;
use russh::keys::{
    Certificate, PrivateKey, PublicKey, decode_secret_key, load_openssh_certificate,
    load_public_key,
};

use super::config::Settings;
use super::known_hosts::fingerprint;

/// Something to log in with.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    /// A key or certificate that the agent signs for.
    Agent(AgentIdentity),
    /// A key file, perhaps with its certificate.
    File {
        key: Arc<PrivateKey>,
        certificate: Option<Certificate>,
        path: PathBuf,
    },
}

impl Identity {
    /// What it is called in a message.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Agent(AgentIdentity::PublicKey { key, comment }) => {
                format!("agent key {comment} ({})", fingerprint(key))
            }
            Self::Agent(AgentIdentity::Certificate { certificate, .. }) => {
                format!("certificate {} with the agent", certificate.key_id())
            }
            Self::File {
                certificate: Some(certificate),
                path,
                ..
            } => format!(
                "certificate {} with {}",
                certificate.key_id(),
                path.display()
            ),
            Self::File { path, .. } => path.display().to_string(),
        }
    }
}

/// What there is to log in with.
#[derive(Debug, Default)]
pub(super) struct Identities {
    /// In the order in which they are offered.
    pub(super) list: Vec<Identity>,
    /// Key files that cannot be used, and why.
    pub(super) unusable: Vec<String>,
}

/// A key file as far as it can be read.
struct KeyFile {
    path: PathBuf,
    public: Option<PublicKey>,
    private: Option<PrivateKey>,
    certificates: Vec<Certificate>,
    problem: Option<String>,
}

impl Identities {
    /// Puts together what the agent holds and what the files have.
    pub(super) fn gather(settings: &Settings, held: Vec<AgentIdentity>) -> Self {
        let files: Vec<KeyFile> = settings
            .identities
            .iter()
            .filter_map(|path| read(path, settings.identities_named))
            .collect();
        let mut certificates: Vec<Certificate> = Vec::new();
        let mut gathered = Self::default();
        for path in &settings.certificates {
            match load_openssh_certificate(path) {
                Ok(certificate) => certificates.push(certificate),
                Err(error) => gathered
                    .unusable
                    .push(format!("certificate {}: {error}", path.display())),
            }
        }
        let (plain, mut held_certificates): (Vec<_>, Vec<_>) = held
            .into_iter()
            .partition(|identity| matches!(identity, AgentIdentity::PublicKey { .. }));
        let holds = |key: &PublicKey| {
            plain
                .iter()
                .find(|held| held.public_key().key_data() == key.key_data())
        };
        let mut list = Vec::new();
        // Files whose key the agent holds.
        for file in &files {
            let Some(public) = &file.public else { continue };
            let Some(held) = holds(public) else { continue };
            for certificate in own_certificates(public, file, &certificates) {
                list.push(Identity::Agent(AgentIdentity::Certificate {
                    certificate,
                    comment: held.comment().to_owned(),
                }));
            }
            list.push(Identity::Agent(held.clone()));
        }
        // What else it holds.
        if settings.identities_only {
            held_certificates.retain(|held| {
                let key = held.public_key();
                files.iter().any(|file| {
                    file.public.as_ref().map(PublicKey::key_data) == Some(key.key_data())
                })
            });
        }
        list.extend(held_certificates.into_iter().map(Identity::Agent));
        if !settings.identities_only {
            list.extend(plain.iter().cloned().map(Identity::Agent));
        }
        // Files.
        for file in files {
            match (file.private, file.problem) {
                (Some(private), _) => {
                    let key = Arc::new(private);
                    let public = key.public_key().clone();
                    let own = KeyFile {
                        path: file.path.clone(),
                        public: None,
                        private: None,
                        certificates: file.certificates,
                        problem: None,
                    };
                    for certificate in own_certificates(&public, &own, &certificates) {
                        list.push(Identity::File {
                            key: Arc::clone(&key),
                            certificate: Some(certificate),
                            path: file.path.clone(),
                        });
                    }
                    list.push(Identity::File {
                        key,
                        certificate: None,
                        path: file.path,
                    });
                }
                (None, Some(problem)) => {
                    let held = file.public.as_ref().is_some_and(|key| holds(key).is_some());
                    if !held {
                        gathered.unusable.push(problem);
                    }
                }
                (None, None) => {}
            }
        }
        let mut seen: Vec<Vec<u8>> = Vec::new();
        for identity in list {
            let blob = blob(&identity);
            if !seen.contains(&blob) {
                seen.push(blob);
                gathered.list.push(identity);
            }
        }
        gathered
    }
}

/// What the server sees of an identity.
fn blob(identity: &Identity) -> Vec<u8> {
    let bytes = match identity {
        Identity::Agent(AgentIdentity::PublicKey { key, .. }) => key.to_bytes(),
        Identity::Agent(AgentIdentity::Certificate { certificate, .. })
        | Identity::File {
            certificate: Some(certificate),
            ..
        } => certificate.to_bytes(),
        Identity::File { key, .. } => key.public_key().to_bytes(),
    };
    bytes.unwrap_or_default()
}

fn own_certificates(public: &PublicKey, file: &KeyFile, named: &[Certificate]) -> Vec<Certificate> {
    named
        .iter()
        .chain(&file.certificates)
        .filter(|certificate| certificate.public_key() == public.key_data())
        .cloned()
        .collect()
}

/// Reads a key file; nothing if there is none and nobody has named it.
fn read(path: &Path, named: bool) -> Option<KeyFile> {
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let mut file = KeyFile {
        path: path.to_owned(),
        public: load_public_key(beside(".pub")).ok(),
        private: None,
        certificates: load_openssh_certificate(beside("-cert.pub"))
            .into_iter()
            .collect(),
        problem: None,
    };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // The public half is enough where the agent holds the other.
            if file.public.is_none() && named {
                file.problem = Some(format!("{}: there is no such file", path.display()));
            } else if file.public.is_some() {
                file.problem = Some(format!(
                    "{}: there is only its public half, and the agent does not hold the key",
                    path.display()
                ));
            }
            return (file.public.is_some() || file.problem.is_some()).then_some(file);
        }
        Err(error) => {
            file.problem = Some(format!("{}: {error}", path.display()));
            return Some(file);
        }
    };
    match decode_secret_key(&text, None) {
        Ok(key) => {
            file.public = Some(key.public_key().clone());
            file.private = Some(key);
        }
        Err(russh::keys::Error::KeyIsEncrypted) => {
            if file.public.is_none() {
                file.public = PrivateKey::from_openssh(&text)
                    .ok()
                    .map(|key| key.public_key().clone());
            }
            file.problem = Some(format!(
                "{} is encrypted, and nobody can be asked for its passphrase: run `ssh-add {}`",
                path.display(),
                path.display()
            ));
        }
        Err(error) => {
            // `-i KEY.pub` names the key of an agent.
            match load_public_key(path) {
                Ok(public) => {
                    file.problem = Some(format!(
                        "{} is a public key, and the agent does not hold its private half",
                        path.display()
                    ));
                    file.public = Some(public);
                }
                Err(_) => {
                    file.problem = Some(format!(
                        "{} is no key that is understood: {error}",
                        path.display()
                    ));
                }
            }
        }
    }
    Some(file)
}
