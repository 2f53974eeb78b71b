//! Host names: what a hosts file and a resolver take.

use std::net::IpAddr;

use super::super::tree::Place;
use super::Checker;

/// RFC 1035: the whole name, and each part between dots.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// A host name in lower case, without the dot at its end.
pub(super) fn check(name: &str, place: &Place, checker: &mut Checker) -> Option<String> {
    match parse(name) {
        Ok(name) => Some(name),
        Err(reason) => {
            let message = format!("`{name}` cannot be a host name: {reason}");
            checker.wrong(place, message, "", "a host name is letters, digits, `-` and `_` in parts between dots, as `user-api.svc.local`");
            None
        }
    }
}

/// A host name in the form in which it is compared.
pub(super) fn parse(name: &str) -> Result<String, &'static str> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if name.is_empty() {
        return Err("it is empty");
    }
    if name.parse::<IpAddr>().is_ok() {
        return Err("it is an address");
    }
    if name == "localhost" {
        return Err("it always means 127.0.0.1");
    }
    if name.len() > LONGEST_NAME {
        return Err("it is longer than 253 characters");
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    for label in name.split('.') {
        if label.is_empty() {
            return Err("there is nothing between two dots");
        }
        if label.len() > LONGEST_LABEL {
            return Err("a part of it is longer than 63 characters");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err("a part of it begins or ends with `-`");
        }
        if !label.chars().all(fits) {
            return Err("it contains another character than letters, digits, `-`, `_` and dots");
        }
    }
    Ok(name)
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
        let long = "a".repeat(64);
        for name in [
            "",
            ".",
            "a..b",
            "-a",
            "a-",
            "my api",
            "a/b",
            "größe",
            "127.0.0.1",
            "::1",
            "LOCALHOST",
            &long,
            "a\nb",
        ] {
            assert!(parse(name).is_err(), "{name:?}");
        }
    }
}
