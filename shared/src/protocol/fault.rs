//! Faults that a route of `monday-tcpproxy` can have: what goes wrong, in which direction, for whom, for how long.

use std::fmt;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::amount::{Bytes, Ratio};
use crate::duration::Span;

/// One fault. Several effects in one fault hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Concerned {
    /// Those that live, and those to come.
    #[default]
    All,
    /// Those to come.
    New,
}

/// On or off; as a text as well, so that `stall` or `stall=true` will do where everything is text. In YAML that is `yes` or
/// `on` as well.
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
                    "true" | "yes" | "on" => Ok(Switch(true)),
                    "false" | "no" | "off" => Ok(Switch(false)),
                    other => Err(E::custom(format!(
                        "`{other}` is neither true nor false: write `true`, or leave it out"
                    ))),
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
    pub fn checked(self) -> Result<Self, FaultError> {
        let wrong = |member, what: &str, instead: &str| {
            Err(FaultError {
                member,
                what: what.to_owned(),
                instead: instead.to_owned(),
            })
        };
        let alone = |member, other: &str| {
            let what = format!("`{member}` goes with {other}");
            let instead = format!("write that as well, or leave `{member}` out");
            wrong(Some(member), &what, &instead)
        };
        if self.effects().is_empty() {
            return wrong(
                None,
                "a fault needs an effect",
                "write one, such as `latency`, `rate`, `stall` or `reset`",
            );
        }
        if self.jitter.is_some() && self.latency.is_none() {
            return alone("jitter", "`latency`");
        }
        if self.slice_delay.is_some() && self.slice.is_none() {
            return alone("slice_delay", "`slice`");
        }
        if self.ending.is_some() && self.cut_bytes.is_none() && self.cut_after.is_none() {
            return alone("ending", "`cut_bytes` or `cut_after`");
        }
        if self.slice == Some(Bytes(0)) {
            let what = "`slice` has to be at least one byte";
            return wrong(Some("slice"), what, "write 1 for the smallest pieces");
        }
        if self.rate == Some(Bytes(0)) {
            let what = "`rate` has to be at least one byte a second";
            return wrong(Some("rate"), what, "use `stall` for none");
        }
        if self.refuse.0 && self.unanswered.0 {
            let what = "a client is either refused or not answered";
            return wrong(Some("unanswered"), what, "leave one of the two out");
        }
        if self.is_at_the_door() {
            let misplaced = [
                ("direction", self.direction.is_some()),
                ("probability", self.probability.is_some()),
                ("connections", self.connections.is_some()),
            ];
            if let Some((member, _)) = misplaced.into_iter().find(|(_, is_there)| *is_there) {
                let what = "`refuse` and `unanswered` concern every new client";
                let instead = format!("leave `{member}` out, or make two faults of this one");
                return wrong(Some(member), what, &instead);
            }
        }
        Ok(self)
    }
}

/// Why a fault makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {instead}")]
pub struct FaultError {
    /// The member that is wrong; nothing: the fault as a whole.
    pub member: Option<&'static str>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub instead: String,
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
        fault.checked().map_err(|error| error.to_string())
    }
}

impl fmt::Display for FaultSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.known_as())
    }
}

/// A fault as a file or a message has it: its members, which may not make sense together ([`FaultSpec::checked`]), or the
/// text of a flag, which does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Written(pub FaultSpec);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FaultVisitor;
        impl<'de> Visitor<'de> for FaultVisitor {
            type Value = Written;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a fault such as `{latency: 100ms}`")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Written, A::Error> {
                FaultSpec::deserialize(MapAccessDeserializer::new(map)).map(Written)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Written, E> {
                text.parse().map(Written).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(FaultVisitor)
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

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            let Written(one) = Written::deserialize(MapAccessDeserializer::new(map))?;
            Ok(vec![one.checked().map_err(A::Error::custom)?])
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            text.parse().map(|one| vec![one]).map_err(E::custom)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut faults = Vec::new();
            while let Some(Written(fault)) = list.next_element()? {
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
