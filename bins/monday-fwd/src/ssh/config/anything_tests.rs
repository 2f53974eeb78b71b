//! Whatever stands in a file, reading it ends, and with settings or with an error that names its place.
//!
//! `PROPTEST_CASES=1000000 cargo test -p monday-fwd anything` makes more of it than the usual run.

use std::io;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Args, Query, World, resolve};

/// A world in which every file says the same.
struct Same(Vec<u8>);

impl World for Same {
    fn read(&self, _: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(Some(self.0.clone()))
    }

    fn list(&self, _: &Path) -> Vec<String> {
        vec!["a".to_owned(), "b.conf".to_owned(), ".c".to_owned()]
    }

    fn succeeds(&self, command: &str) -> bool {
        command.len().is_multiple_of(2)
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name.len() == 1).then(|| name.repeat(3))
    }
}

fn query() -> Query {
    Query {
        host: "db".to_owned(),
        local_user: "me".to_owned(),
        uid: 1000,
        home: "/home/me".into(),
        local_host: "laptop.lan".to_owned(),
    }
}

/// A word that a file may have: those that mean something, and any others.
fn word() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "Host",
        "Match",
        "Include",
        "all",
        "final",
        "canonical",
        "host",
        "!host",
        "originalhost",
        "user",
        "exec",
        "localuser",
        "tagged",
        "HostName",
        "User",
        "Port",
        "IdentityFile",
        "CertificateFile",
        "ProxyJump",
        "ProxyCommand",
        "UserKnownHostsFile",
        "StrictHostKeyChecking",
        "Ciphers",
        "ConnectTimeout",
        "RekeyLimit",
        "ServerAliveInterval",
        "AddressFamily",
        "IdentityAgent",
        "IgnoreUnknown",
        "HostKeyAlias",
        "db",
        "*",
        "!db",
        "d?",
        "%h",
        "%%",
        "%",
        "~",
        "~/x",
        "${A}",
        "${",
        "\"",
        "'",
        "\\",
        "=",
        "#",
        ",",
        "none",
        "yes",
        "no",
        "22",
        "99999999999999999999",
        "1h",
        "1w2d",
        "4G",
        "a*",
        "\t",
        "",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => "\\PC{0,12}"]
}

fn line() -> impl Strategy<Value = String> {
    (
        vec(word(), 0..6),
        prop::sample::select(vec![" ", "\t", "=", " = ", ","]),
    )
        .prop_map(|(words, between)| words.join(between))
}

proptest! {
    #[test]
    fn anything_in_ssh_config_is_read_or_refused(lines in vec(line(), 0..24)) {
        let world = Same(lines.join("\n").into_bytes());
        if let Err(error) = resolve(&Args::default(), &query(), &world) {
            prop_assert!(!error.place.is_empty() && !error.reason.is_empty());
        }
    }

    #[test]
    fn any_bytes_in_ssh_config_are_read_or_refused(bytes in vec(any::<u8>(), 0..512)) {
        let _ = resolve(&Args::default(), &query(), &Same(bytes));
    }

    #[test]
    fn any_arguments_are_read_or_refused(words in vec(word(), 0..8)) {
        if let Ok(args) = Args::read(&words) {
            let _ = resolve(&args, &query(), &Same(Vec::new()));
        }
    }
}
