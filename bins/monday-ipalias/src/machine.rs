//! The machine's own name.

/// The machine's own name. The line `127.0.1.1 box` of Debian and Ubuntu is what the machine finds itself by.
pub(crate) fn own_name() -> String {
    let own = nix::unistd::gethostname().unwrap_or_default();
    own.to_string_lossy().into_owned()
}

/// Whether that is the machine's name, with or without its domain.
pub(crate) fn is_own(own: &str, name: &str) -> bool {
    let first = |name: &str| {
        name.split('.')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    own.eq_ignore_ascii_case(name)
        || (!own.contains('.') || !name.contains('.')) && first(own) == first(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_name_is_known_with_and_without_its_domain() {
        for (own, name, is) in [
            ("box", "box", true),
            ("box", "BOX", true),
            ("box.lan", "box", true),
            ("box", "box.lan", true),
            ("box.lan", "box.other", false),
            ("box", "api.local", false),
        ] {
            assert_eq!(is_own(own, name), is, "{own} {name}");
        }
    }
}
