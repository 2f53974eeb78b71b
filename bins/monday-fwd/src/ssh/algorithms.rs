//! Which algorithms are offered, and in which order.

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, kex, mac};

use super::config::{Settings, matches};

/// The ciphers where the processor knows AES: with it, AES-GCM moves half as much again as `ChaCha20`.
const WITH_AES: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// The ciphers where it does not.
const WITHOUT_AES: &[cipher::Name] = &[
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// The host keys that are accepted.
const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

/// What is offered to a server of which these kinds of keys are known, and for which authorities may vouch or not.
///
/// # Errors
/// A list of the configuration of which nothing is left.
pub(super) fn preferred(
    settings: &Settings,
    known: &[Algorithm],
    has_authority: bool,
) -> Result<Preferred, String> {
    let usual = Preferred::DEFAULT;
    let ciphers = if has_aes() { WITH_AES } else { WITHOUT_AES };
    let all_ciphers: Vec<_> = cipher::ALL_CIPHERS
        .iter()
        .map(|name| **name)
        .filter(|name| *name != cipher::CLEAR && *name != cipher::NONE)
        .collect();
    let all_macs: Vec<_> = mac::ALL_MAC_ALGORITHMS
        .iter()
        .map(|name| **name)
        .filter(|name| *name != mac::NONE)
        .collect();
    let all_kex: Vec<_> = kex::ALL_KEX_ALGORITHMS
        .iter()
        .map(|name| **name)
        .filter(|name| *name != kex::NONE)
        .collect();
    let is_extension = |name: &kex::Name| {
        let name = name.as_ref();
        name.starts_with("ext-info") || name.starts_with("kex-strict")
    };
    let (extensions, exchanges): (Vec<_>, Vec<_>) =
        usual.kex.iter().copied().partition(is_extension);
    let mut kex = chosen(
        "KexAlgorithms",
        settings.kex.as_deref(),
        &exchanges,
        &all_kex,
    )?;
    kex.extend(extensions);
    let keys = match settings.host_key_algorithms.as_deref() {
        None => by_what_is_known(known),
        some => {
            let all = HOST_KEYS.to_vec();
            let all: Vec<_> = all
                .into_iter()
                .chain([Algorithm::Rsa { hash: None }])
                .map(Key)
                .collect();
            let usual: Vec<_> = HOST_KEYS.iter().cloned().map(Key).collect();
            let chosen = chosen("HostKeyAlgorithms", some, &usual, &all)?;
            chosen.into_iter().map(|Key(algorithm)| algorithm).collect()
        }
    };
    Ok(Preferred {
        kex: Cow::Owned(kex),
        host_key_certificates: if has_authority {
            Cow::Owned(keys.clone())
        } else {
            Cow::Borrowed(&[])
        },
        key: Cow::Owned(keys),
        cipher: Cow::Owned(chosen(
            "Ciphers",
            settings.ciphers.as_deref(),
            ciphers,
            &all_ciphers,
        )?),
        mac: Cow::Owned(chosen(
            "MACs",
            settings.macs.as_deref(),
            &usual.mac,
            &all_macs,
        )?),
        compression: usual.compression,
    })
}

/// A host-key algorithm with its name.
#[derive(Clone, PartialEq)]
struct Key(Algorithm);

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        self.0.as_str()
    }
}

/// The kinds of keys that the host is known by come first, so that it shows one that can be recognised. A key of RSA
/// stands for both of its signatures.
fn by_what_is_known(known: &[Algorithm]) -> Vec<Algorithm> {
    let is_known = |algorithm: &Algorithm| {
        known.iter().any(|known| {
            known == algorithm
                || matches!(
                    (known, algorithm),
                    (Algorithm::Rsa { .. }, Algorithm::Rsa { .. })
                )
        })
    };
    let (mut first, then): (Vec<_>, Vec<_>) = HOST_KEYS.iter().cloned().partition(is_known);
    first.extend(then);
    first
}

/// A list of the configuration: names, or with `+` those besides the usual ones, with `-` the usual ones without those,
/// with `^` those before the usual ones (`ssh_config(5)`).
fn chosen<T: Clone + PartialEq + AsRef<str>>(
    keyword: &str,
    written: Option<&str>,
    usual: &[T],
    all: &[T],
) -> Result<Vec<T>, String> {
    let Some(written) = written else {
        return Ok(usual.to_vec());
    };
    let (mode, list) = match written.split_at_checked(1) {
        Some((mode @ ("+" | "-" | "^"), list)) => (mode, list),
        _ => ("", written),
    };
    let named = || {
        list.split(',').flat_map(|pattern| {
            let pattern = pattern.trim();
            all.iter()
                .filter(move |name| matches(name.as_ref(), pattern))
                .cloned()
        })
    };
    let chosen: Vec<T> = match mode {
        "+" => usual.iter().cloned().chain(named()).collect(),
        "-" => {
            let without: Vec<T> = named().collect();
            usual
                .iter()
                .filter(|name| !without.contains(name))
                .cloned()
                .collect()
        }
        "^" => named().chain(usual.iter().cloned()).collect(),
        _ => named().collect(),
    };
    let mut once = Vec::new();
    for name in chosen {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    if once.is_empty() {
        let all: Vec<&str> = all.iter().map(AsRef::as_ref).collect();
        return Err(format!(
            "`{keyword} {written}` names nothing that is known here; known are {}",
            all.join(", ")
        ));
    }
    Ok(once)
}

/// Whether the processor has instructions for AES.
fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(written: &str) -> Vec<&'static str> {
        let all = ["a1", "a2", "b1", "c1"];
        chosen("Ciphers", Some(written), &["a1", "b1"], &all).unwrap()
    }

    #[test]
    fn lists_replace_add_take_away_or_go_first() {
        assert_eq!(list("c1,a1"), ["c1", "a1"]);
        assert_eq!(list("+c1"), ["a1", "b1", "c1"]);
        assert_eq!(list("-a*"), ["b1"]);
        assert_eq!(list("^c1"), ["c1", "a1", "b1"]);
        assert_eq!(list("x,b1"), ["b1"]);
        let nothing = chosen("Ciphers", Some("x"), &["a"], &["a", "b"]).unwrap_err();
        assert!(nothing.contains("known are a, b"), "{nothing}");
    }

    #[test]
    fn what_the_host_is_known_by_comes_first() {
        let known = [Algorithm::Rsa { hash: None }];
        let order: Vec<_> = by_what_is_known(&known)
            .iter()
            .map(|a| a.as_str().to_owned())
            .collect();
        assert_eq!(order[..3], ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]);
    }
}
