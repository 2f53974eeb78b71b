//! Host names: what a hosts file and a resolver take.

use monday_shared::hostname::{Flaw, Hostname};

use super::super::tree::Place;
use super::Checker;

/// A host name in lower case, without the dot at its end.
pub(super) fn check(name: &str, place: &Place, checker: &mut Checker) -> Option<String> {
    match parse(name) {
        Ok(name) => Some(name),
        Err(flaw) => {
            let message = format!("`{name}` cannot be a host name: {flaw}");
            checker.wrong(place, message, "", "a host name is letters, digits, `-` and `_` in parts between dots, as `user-api.svc.local`");
            None
        }
    }
}

/// A host name in the form in which it is compared. A dot at its end, which says that it is complete, is taken away:
/// a hosts file knows no other names.
pub(super) fn parse(name: &str) -> Result<String, Flaw> {
    let name: Hostname = name.strip_suffix('.').unwrap_or(name).parse()?;
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_host_names_in_lower_case() {
        assert_eq!(parse("User-API.svc.Local.").unwrap(), "user-api.svc.local");
        assert_eq!(parse("db_1").unwrap(), "db_1");
    }

    #[test]
    fn what_no_resolver_takes_is_refused() {
        for name in ["", ".", "a..", "my api", "127.0.0.1", "::1", "LOCALHOST"] {
            assert!(parse(name).is_err(), "{name:?}");
        }
    }
}
