//! Is the server who it should be?

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Certificate, HashAlg, PublicKey, PublicKeyOrCertificate};

use super::config::{Check, Settings, matches};
use super::known_hosts::{KnownHosts, Verdict, append, fingerprint, lookup_name};

/// What is known of a server before it shows its key, and what to do about what is not.
#[derive(Debug)]
pub(super) struct HostKeys {
    known: KnownHosts,
    /// By which it is looked up.
    name: String,
    /// The host alone, which is looked up as well where it has an unusual port, and which certificates name.
    host: String,
    port: u16,
    check: Check,
    hash: bool,
    file: Option<PathBuf>,
    lenient_localhost: bool,
}

impl HostKeys {
    /// Reads what is known.
    ///
    /// # Errors
    /// Which file cannot be read.
    pub(super) fn read(settings: &Settings) -> Result<Self, String> {
        let files = settings
            .known_hosts
            .iter()
            .chain(&settings.global_known_hosts);
        let mut known = KnownHosts::read(files)
            .map_err(|(path, error)| format!("cannot read {}: {error}", path.display()))?;
        if let Some(path) = &settings.revoked_host_keys {
            // Keys, one a line; a key revocation list in its binary form is not understood.
            let text = std::fs::read_to_string(path).map_err(|error| {
                format!("cannot read RevokedHostKeys {}: {error}; write it as a text file with one public key a line", path.display())
            })?;
            for (number, key) in text.lines().enumerate() {
                let place = format!("{} (line {})", path.display(), number + 1);
                known.add(&format!("@revoked * {key}"), &place);
            }
        }
        let (host, name) = match &settings.host_key_alias {
            Some(alias) => (alias.clone(), alias.to_ascii_lowercase()),
            None => (
                settings.host.clone(),
                lookup_name(&settings.host, settings.port),
            ),
        };
        Ok(Self {
            known,
            name,
            host: host.to_ascii_lowercase(),
            port: settings.port,
            check: settings.check,
            hash: settings.hash_known_hosts,
            file: settings.known_hosts.first().cloned(),
            lenient_localhost: settings.no_authentication_for_localhost
                && matches!(settings.host.as_str(), "localhost" | "127.0.0.1" | "::1"),
        })
    }

    /// The kinds of keys that it is known by.
    pub(super) fn kinds(&self) -> Vec<russh::keys::Algorithm> {
        let mut kinds = self.known.kinds(&self.name);
        kinds.extend(self.known.kinds(&self.host));
        kinds
    }

    /// Whether there is an authority that may vouch for it.
    pub(super) fn has_authority(&self) -> bool {
        self.known.authorities(&self.name).next().is_some()
            || self.known.authorities(&self.host).next().is_some()
    }

    /// Checks what it has shown. A host that becomes known is written down.
    ///
    /// # Errors
    /// Why it is not trusted, with the fingerprint and what to do.
    pub(super) fn check(&self, shown: &PublicKeyOrCertificate) -> Result<(), String> {
        if self.lenient_localhost {
            return Ok(());
        }
        if let Some(certificate) = shown.certificate() {
            match self.check_certificate(certificate) {
                Ok(()) => return Ok(()),
                // As ssh(1) does it: the key may be known by itself.
                Err(why) => {
                    tracing::debug!(host = self.name, why, "a host certificate is not trusted");
                }
            }
        }
        self.check_key(&shown.public_key())
    }

    fn check_key(&self, key: &PublicKey) -> Result<(), String> {
        let shown = fingerprint(key);
        let kind = key.algorithm();
        match self.known.verdict(&self.name, key) {
            Verdict::Known => Ok(()),
            Verdict::Revoked { place } => Err(format!(
                "its {kind} key {shown} is revoked ({place}); it must not be used any more: ask whoever runs the server for its new key"
            )),
            Verdict::Changed { place, known } => Err(format!(
                "its {kind} key is {shown}, but {place} knows it by {known}: either the server was set up anew, or somebody is in between; \
                 if you know that it has changed, remove the old key with `ssh-keygen -R '{}'` and connect again",
                self.name
            )),
            // A key without a port in its name is good for every port.
            Verdict::Unknown { .. } if self.known.verdict(&self.host, key) == Verdict::Known => {
                Ok(())
            }
            Verdict::Unknown { others } => self.meet(key, &shown, &others),
        }
    }

    /// A key that is not known yet.
    fn meet(&self, key: &PublicKey, shown: &str, others: &[String]) -> Result<(), String> {
        let kind = key.algorithm();
        let but = if others.is_empty() {
            String::new()
        } else {
            format!(" (it is known by {})", others.join(", "))
        };
        match self.check {
            Check::Yes | Check::Ask => Err(format!(
                "it is not known{but}, and its {kind} key {shown} is not accepted unseen (StrictHostKeyChecking): compare the fingerprint with whoever runs the server, \
                 then run `ssh-keyscan -p {} {} >> ~/.ssh/known_hosts`, or connect with ssh(1) once",
                self.port, self.host
            )),
            Check::AcceptNew | Check::No => {
                let Some(file) = &self.file else {
                    return Ok(());
                };
                match append(file, &self.name, key, self.hash) {
                    Ok(()) => {
                        tracing::info!(host = self.name, key = shown, "a new host is known now");
                    }
                    Err(error) => tracing::warn!(
                        host = self.name,
                        "a new host cannot be written to {}: {error}",
                        file.display()
                    ),
                }
                Ok(())
            }
        }
    }

    fn check_certificate(&self, certificate: &Certificate) -> Result<(), String> {
        let authorities: Vec<&PublicKey> = self
            .known
            .authorities(&self.name)
            .chain(self.known.authorities(&self.host))
            .collect();
        let signer = PublicKey::new(certificate.signature_key().clone(), "");
        if !authorities
            .iter()
            .any(|authority| authority.key_data() == signer.key_data())
        {
            return Err("its authority is not known".to_owned());
        }
        let key = PublicKey::new(certificate.public_key().clone(), "");
        if self.known.revoked(&self.name, &signer).is_some()
            || self.known.revoked(&self.name, &key).is_some()
        {
            return Err("it is revoked".to_owned());
        }
        if certificate.cert_type() != CertType::Host {
            return Err("it is not for hosts".to_owned());
        }
        if !certificate.critical_options().is_empty() {
            return Err("it has critical options".to_owned());
        }
        let principals = certificate.valid_principals();
        if principals.is_empty() || !principals.iter().any(|name| matches(&self.host, name)) {
            return Err(format!("it is for {}", principals.join(", ")));
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.as_secs());
        certificate
            .validate_at(now, &[signer.fingerprint(HashAlg::Sha256)])
            .map_err(|error| error.to_string())
    }
}
