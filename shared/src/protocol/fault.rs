//! Faults that a route of `monday-tcpproxy` can have: what goes wrong, in which direction, for whom, for how long.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::amount::{Bytes, Ratio};
use crate::duration::Span;

/// One fault. Several effects in one fault hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultSpec {
    /// What it is known by; another one of that name replaces it. Default: its effects, with `+` between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Bytes arrive so much later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Span>,
    /// With `latency`: up to so much more or less, at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    /// So many bytes a second are let through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Bytes>,
    /// Bytes arrive in pieces of that size at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice: Option<Bytes>,
    /// With `slice`: so long between two pieces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice_delay: Option<Span>,
    /// The connection ends after so many bytes, which are delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_bytes: Option<Bytes>,
    /// The connection ends after so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_after: Option<Span>,
    /// How `cut_bytes` and `cut_after` end it. Default: `reset`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<FaultEnding>,
    /// Nothing is read, so that the sender is held up.
    #[serde(skip_serializing_if = "is_off")]
    pub stall: Switch,
    /// What is sent vanishes.
    #[serde(skip_serializing_if = "is_off")]
    pub blackhole: Switch,
    /// The connection is reset.
    #[serde(skip_serializing_if = "is_off")]
    pub reset: Switch,
    /// New clients are refused, as if nobody listened.
    #[serde(skip_serializing_if = "is_off")]
    pub refuse: Switch,
    /// New clients get no answer, so that their connecting times out (Linux).
    #[serde(skip_serializing_if = "is_off")]
    pub unanswered: Switch,
    /// A new client is let in, and nothing else happens for so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_delay: Option<Span>,
    /// The end of a stream is not passed on.
    #[serde(skip_serializing_if = "is_off")]
    pub swallow_half_close: Switch,
    /// The share of bytes that are changed, at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<Ratio>,

    /// Whose bytes. Default: both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<FaultDirection>,
    /// The share of connections that it concerns. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<Ratio>,
    /// Which of the connections. Default: `all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<Concerned>,
    /// It goes away by itself after so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Span>,
}

/// A direction, seen from the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultDirection {
    /// What the client sends.
    Up,
    /// What the target sends.
    Down,
    /// Both.
    #[default]
    Both,
}

/// How a fault ends a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultEnding {
    /// By a reset.
    #[default]
    Reset,
    /// As if both sides had closed it.
    Close,
}

/// Which connections a fault concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Concerned {
    /// Those that live, and those to come.
    #[default]
    All,
    /// Those to come.
    New,
}

/// On or off; as a text as well, so that `stall` or `stall=true` will do where everything is text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Switch(pub bool);

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for that form"
)]
const fn is_off(switch: &Switch) -> bool {
    !switch.0
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SwitchVisitor;
        impl Visitor<'_> for SwitchVisitor {
            type Value = Switch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false")
            }

            fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<Switch, E> {
                Ok(Switch(on))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Switch, E> {
                match text {
                    "true" => Ok(Switch(true)),
                    "false" => Ok(Switch(false)),
                    other => Err(E::custom(format!("`{other}` is neither true nor false"))),
                }
            }
        }
        deserializer.deserialize_any(SwitchVisitor)
    }
}

impl FaultSpec {
    /// The effects that it has.
    #[must_use]
    pub fn effects(&self) -> Vec<&'static str> {
        [
            ("latency", self.latency.is_some()),
            ("rate", self.rate.is_some()),
            ("slice", self.slice.is_some()),
            ("cut_bytes", self.cut_bytes.is_some()),
            ("cut_after", self.cut_after.is_some()),
            ("stall", self.stall.0),
            ("blackhole", self.blackhole.0),
            ("reset", self.reset.0),
            ("refuse", self.refuse.0),
            ("unanswered", self.unanswered.0),
            ("accept_delay", self.accept_delay.is_some()),
            ("swallow_half_close", self.swallow_half_close.0),
            ("corrupt", self.corrupt.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, has)| has.then_some(name))
        .collect()
    }

    /// What it is known by.
    #[must_use]
    pub fn known_as(&self) -> String {
        self.name
            .clone()
            .unwrap_or_else(|| self.effects().join("+"))
    }

    /// Whether it changes how clients are let in, which cannot be done for some of them.
    #[must_use]
    pub const fn is_at_the_door(&self) -> bool {
        self.refuse.0 || self.unanswered.0
    }

    /// Itself, if it makes sense.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn checked(self) -> Result<Self, String> {
        let needs = |member: &str, other: &str| Err(format!("`{member}` goes with `{other}`"));
        if self.effects().is_empty() {
            return Err(
                "a fault needs an effect, such as `latency`, `rate`, `stall` or `reset`".to_owned(),
            );
        }
        if self.jitter.is_some() && self.latency.is_none() {
            return needs("jitter", "latency");
        }
        if self.slice_delay.is_some() && self.slice.is_none() {
            return needs("slice_delay", "slice");
        }
        if self.ending.is_some() && self.cut_bytes.is_none() && self.cut_after.is_none() {
            return needs("ending", "cut_bytes` or `cut_after");
        }
        if self.slice == Some(Bytes(0)) {
            return Err("`slice` has to be at least one byte".to_owned());
        }
        if self.rate == Some(Bytes(0)) {
            return Err(
                "`rate` has to be at least one byte a second; use `stall` for none".to_owned(),
            );
        }
        if self.is_at_the_door() {
            if self.refuse.0 && self.unanswered.0 {
                return Err("a client is either refused or not answered".to_owned());
            }
            if self.direction.is_some() || self.probability.is_some() || self.connections.is_some()
            {
                return Err(
                    "`refuse` and `unanswered` concern every new client: `direction`, `probability` and `connections` do not go with them"
                        .to_owned(),
                );
            }
        }
        Ok(self)
    }
}

impl FromStr for FaultSpec {
    type Err = String;

    /// Reads `latency=100ms,jitter=20ms,direction=down`; `stall` alone is `stall=true`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut members = serde_json::Map::new();
        for part in text.split(',') {
            let (name, value) = part.split_once('=').unwrap_or((part, "true"));
            let name = name.trim().replace('-', "_");
            if name.is_empty() {
                return Err(format!(
                    "`{text}` is not a fault: write it as in `latency=100ms,jitter=20ms`"
                ));
            }
            if members.insert(name.clone(), value.trim().into()).is_some() {
                return Err(format!("`{name}` is there twice"));
            }
        }
        let fault: Self =
            serde_json::from_value(members.into()).map_err(|error| error.to_string())?;
        fault.checked()
    }
}

impl fmt::Display for FaultSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.known_as())
    }
}

/// Reads one fault or a list of them, each of which makes sense.
///
/// # Errors
/// What is wrong with the first that does not.
pub fn one_or_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<FaultSpec>, D::Error> {
    struct FaultsVisitor;
    impl<'de> Visitor<'de> for FaultsVisitor {
        type Value = Vec<FaultSpec>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a fault or a list of them")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            let one = FaultSpec::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
            Ok(vec![one.checked().map_err(A::Error::custom)?])
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            text.parse().map(|one| vec![one]).map_err(E::custom)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut faults = Vec::new();
            while let Some(fault) = list.next_element::<FaultSpec>()? {
                faults.push(fault.checked().map_err(A::Error::custom)?);
            }
            Ok(faults)
        }
    }
    deserializer.deserialize_any(FaultsVisitor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_from_a_flag() {
        let fault: FaultSpec = "latency=100ms,jitter=20ms,direction=down,probability=50%"
            .parse()
            .unwrap();
        assert_eq!(fault.latency, Some(Span::from_millis(100)));
        assert_eq!(fault.direction, Some(FaultDirection::Down));
        assert_eq!(fault.known_as(), "latency");
        let stall: FaultSpec = "stall".parse().unwrap();
        assert!(stall.stall.0);
        let json = serde_json::to_string(&fault).unwrap();
        assert_eq!(serde_json::from_str::<FaultSpec>(&json).unwrap(), fault);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, named) in [
            ("", "not a fault"),
            ("direction=up", "needs an effect"),
            ("jitter=1s,stall", "goes with `latency`"),
            ("slice=0", "at least one byte"),
            ("rate=0", "use `stall`"),
            ("latency=5", "unit"),
            ("frobnicate", "frobnicate"),
            ("stall,stall", "twice"),
            ("refuse,probability=0.5", "every new client"),
            ("corrupt=2", "share"),
        ] {
            let error = text.parse::<FaultSpec>().unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
