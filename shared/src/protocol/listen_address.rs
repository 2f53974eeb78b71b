//! Addresses of listeners as they are written in requests and replies: IP addresses with ports, and Unix-domain sockets.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What an address begins with that is the path of a Unix-domain socket.
pub const UNIX_PREFIX: &str = "unix:";

/// Where something really listens: `127.0.0.1:5432`, or `unix:/run/db.sock`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// The path of a Unix-domain socket.
    Unix(PathBuf),
}

impl ListenAddress {
    /// The IP address and port, unless it is a Unix-domain socket.
    #[must_use]
    pub const fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX_PREFIX}{}", path.display()),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(UNIX_PREFIX) {
            Some(path) => Ok(Self::Unix(path.into())),
            None => text
                .parse()
                .map(Self::Ip)
                .map_err(|_| format!("`{text}` is neither IP:port nor unix:PATH")),
        }
    }
}

impl Serialize for ListenAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// The addresses that one route listens on: in JSON a string for one, with commas between several, or a list of
/// strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listens(pub Vec<String>);

impl From<&str> for Listens {
    fn from(text: &str) -> Self {
        Self(text.split(',').map(|one| one.trim().to_owned()).collect())
    }
}

impl From<String> for Listens {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<&String> for Listens {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<Vec<String>> for Listens {
    fn from(list: Vec<String>) -> Self {
        Self(list)
    }
}

impl fmt::Display for Listens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

impl Serialize for Listens {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] if !one.contains(',') => serializer.serialize_str(one),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Listens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListensVisitor;

        impl<'de> Visitor<'de> for ListensVisitor {
            type Value = Listens;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address to listen on, or a list of them")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Listens, E> {
                Ok(text.into())
            }

            // A port alone, as a file of routes may have it without quotes.
            fn visit_u64<E: serde::de::Error>(self, port: u64) -> Result<Listens, E> {
                Ok(port.to_string().into())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Listens, A::Error> {
                let mut addresses = Vec::new();
                while let Some(address) = list.next_element()? {
                    addresses.push(address);
                }
                Ok(Listens(addresses))
            }
        }

        deserializer.deserialize_any(ListensVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_a_string_and_several_are_a_list_or_have_commas_between() {
        for (json, addresses) in [
            (r#""0""#, vec!["0"]),
            (r#""127.0.0.1:0,[::1]:0""#, vec!["127.0.0.1:0", "[::1]:0"]),
            (r#"["unix:/a,b","0"]"#, vec!["unix:/a,b", "0"]),
        ] {
            let listens: Listens = serde_json::from_str(json).unwrap();
            assert_eq!(listens.0, addresses);
            let again = serde_json::to_string(&listens).unwrap();
            assert_eq!(serde_json::from_str::<Listens>(&again).unwrap(), listens);
        }
        assert_eq!(
            serde_json::to_string(&Listens::from("0")).unwrap(),
            r#""0""#
        );
    }

    #[test]
    fn an_address_reads_what_it_writes() {
        for text in ["127.0.0.1:80", "[::1]:80", "unix:/run/x y.sock"] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        assert!("db:80".parse::<ListenAddress>().is_err());
    }
}
