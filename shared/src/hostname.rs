//! Host names: what may stand in a hosts file.
//!
//! A name that comes over a socket ends up in a file that root owns, so nothing is let through that is not plainly a
//! name: no blank, no line break, no comment sign, nothing that a resolver or a browser would read as an address.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes (RFC 1035, section 2.3.4, without the root's dot).
const MAX_BYTES: usize = 253;

/// The longest part between two dots, in bytes (RFC 1035, section 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// Names that belong to the machine itself and would break it if they led elsewhere.
const RESERVED: [&str; 5] = [
    "localhost",
    "localhost.localdomain",
    "ip6-localhost",
    "ip6-loopback",
    "broadcasthost",
];

/// A valid host name, in lower case: names are compared without regard to case (RFC 4343).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hostname(String);

/// Why a text is not a host name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Nothing is there.
    #[error("it is empty")]
    Empty,
    /// It is too long.
    #[error("it has {0} bytes, a host name has at most {MAX_BYTES}")]
    TooLong(usize),
    /// A part between two dots is too long.
    #[error("its part `{0}` has more than {MAX_LABEL_BYTES} bytes")]
    LabelTooLong(String),
    /// A dot at the beginning, at the end or beside another one.
    #[error("a dot stands at its beginning, at its end or beside another dot")]
    EmptyLabel,
    /// A hyphen where none may stand.
    #[error("its part `{0}` begins or ends with a hyphen")]
    Hyphen(String),
    /// A character that no host name has.
    #[error(
        "the character {0:?} may not stand in it: letters, digits, hyphen, underscore and dot may (write other letters in their `xn--` form)"
    )]
    Character(char),
    /// A program would take it for an address.
    #[error("its last part is a number, so programs take it for an IP address")]
    Numeric,
    /// It is the machine's own.
    #[error("it is a name that every machine has for itself")]
    Reserved,
}

impl Hostname {
    /// The name, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Hostname {
    type Err = Flaw;

    fn from_str(text: &str) -> Result<Self, Flaw> {
        if text.is_empty() {
            return Err(Flaw::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(Flaw::TooLong(text.len()));
        }
        // The underscore is in no host name of RFC 952, but in many names of services, and resolvers take it.
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if let Some(other) = text.chars().find(|c| !allowed(*c)) {
            return Err(Flaw::Character(other));
        }
        text.split('.').try_for_each(check_label)?;
        let name = text.to_ascii_lowercase();
        if name.rsplit('.').next().is_some_and(is_number) {
            return Err(Flaw::Numeric);
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(Flaw::Reserved);
        }
        Ok(Self(name))
    }
}

fn check_label(label: &str) -> Result<(), Flaw> {
    if label.is_empty() {
        Err(Flaw::EmptyLabel)
    } else if label.len() > MAX_LABEL_BYTES {
        Err(Flaw::LabelTooLong(label.to_owned()))
    } else if label.starts_with('-') || label.ends_with('-') {
        Err(Flaw::Hyphen(label.to_owned()))
    } else {
        Ok(())
    }
}

/// Whether a last label makes the whole an IPv4 address for a browser (WHATWG URL, "ends in a number").
fn is_number(label: &str) -> bool {
    let hexadecimal = label
        .strip_prefix("0x")
        .is_some_and(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()));
    hexadecimal || label.chars().all(|c| c.is_ascii_digit())
}

impl TryFrom<String> for Hostname {
    type Error = Flaw;

    fn try_from(text: String) -> Result<Self, Flaw> {
        text.parse()
    }
}

impl From<Hostname> for String {
    fn from(name: Hostname) -> Self {
        name.0
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_taken_and_compared_in_lower_case() {
        for name in [
            "api",
            "user-api.svc.local",
            "a_b.test",
            "x1.y2",
            "1st.example",
        ] {
            assert_eq!(name.parse::<Hostname>().unwrap().as_str(), name);
        }
        assert_eq!("API.Svc.Local".parse::<Hostname>(), "api.svc.local".parse());
    }

    #[test]
    fn whatever_could_break_out_of_a_line_is_refused() {
        for hostile in [
            "a\n127.0.0.1 bank.example",
            "a b",
            "a\tb",
            "a#b",
            "a\r",
            "a\0",
            "a/b",
            "größe",
            "..",
            ".a",
            "a.",
            "a..b",
            "-a",
            "a-",
            "a.-b",
            "",
        ] {
            assert!(
                hostile.parse::<Hostname>().is_err(),
                "{hostile:?} was taken"
            );
        }
    }

    #[test]
    fn what_reads_as_an_address_or_belongs_to_the_machine_is_refused() {
        for number in ["127.0.0.1", "7", "api.7", "0x7f", "a.0x", "1.2.3"] {
            assert_eq!(number.parse::<Hostname>(), Err(Flaw::Numeric), "{number}");
        }
        assert_eq!("LocalHost".parse::<Hostname>(), Err(Flaw::Reserved));
    }

    #[test]
    fn lengths_are_limited_to_what_a_resolver_takes() {
        let label = "x".repeat(63);
        assert!(label.parse::<Hostname>().is_ok());
        assert!(format!("{label}y").parse::<Hostname>().is_err());
        let longest = format!("{label}.{label}.{label}.{}", "x".repeat(61));
        assert_eq!(longest.len(), 253);
        assert!(longest.parse::<Hostname>().is_ok());
        assert_eq!(
            format!("{longest}y").parse::<Hostname>(),
            Err(Flaw::TooLong(254))
        );
    }
}
