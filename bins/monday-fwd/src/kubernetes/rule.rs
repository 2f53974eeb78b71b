//! What to listen on and where it leads, as people write it: `[NAME@]L:R`.

use std::str::FromStr;

use monday_shared::address::split_name;

use super::target::Port;

/// `[NAME@][BIND:]L:R`, or `[NAME@]P` for `P:P`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) name: Option<String>,
    /// Where to listen, as a specification writes it.
    pub(super) listen: String,
    pub(super) port: Port,
}

const FORM: &str =
    "write [NAME@]L:R, for example web@8080:http; L is listened on, R is the pod's port";

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rule) = split_name(text)?;
        let (listen, port) = rule.rsplit_once(':').unwrap_or((rule, rule));
        let port: Port = port.parse().map_err(|why| format!("{why}; {FORM}"))?;
        let listen = if listen.starts_with('/') || listen.contains(':') {
            listen.to_owned()
        } else {
            let digits = !listen.is_empty() && listen.bytes().all(|byte| byte.is_ascii_digit());
            match listen.parse::<u16>() {
                Ok(number) if digits => format!("127.0.0.1:{number}"),
                _ => return Err(format!("`{listen}` cannot be listened on: {FORM}")),
            }
        };
        Ok(Self {
            name: name.map(str::to_owned),
            listen,
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<String>, String, String) {
        let rule: Rule = text.parse().unwrap();
        (rule.name, rule.listen, rule.port.to_string())
    }

    #[test]
    fn the_usual_forms_are_read() {
        let of = |listen: &str, port: &str| (None, listen.to_owned(), port.to_owned());
        assert_eq!(read("8080:80"), of("127.0.0.1:8080", "80"));
        assert_eq!(read("80"), of("127.0.0.1:80", "80"));
        assert_eq!(read("0:http"), of("127.0.0.1:0", "http"));
        assert_eq!(read("[::1]:80:81"), of("[::1]:80", "81"));
        assert_eq!(read("/run/s:80"), of("/run/s", "80"));
        assert_eq!(read("web@0:80").0.as_deref(), Some("web"));
    }

    #[test]
    fn a_mistake_is_named() {
        for (text, named) in [
            ("", "is no port"),
            ("@80:80", "name before @ is empty"),
            ("80:0", "`0` is no port"),
            ("http", "`http` cannot be listened on"),
            ("65536:80", "`65536` cannot be listened on"),
        ] {
            let error = text.parse::<Rule>().unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
