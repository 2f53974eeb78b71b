//! A span of time as people write it: `250ms`, `10s`, `1m 30s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A [`Duration`] that reads and writes the human form in flags, in the YAML and on the wire.
///
/// A bare number is refused, so that nobody has to guess its unit; `0` alone is accepted and means no time at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

impl Span {
    /// A span of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A span of milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
}

/// The longest span: ten years. A clock that is asked for a later point in time may not have one.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A text that is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// It is none.
    #[error(
        "`{0}` is not a span of time: write a number with a unit, as in `250ms`, `10s` or `1m 30s`"
    )]
    NoSpan(String),
    /// It is too long.
    #[error("`{0}` is too long: ten years are the most")]
    TooLong(String),
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let text = text.trim();
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        match humantime::parse_duration(text) {
            Ok(span) if span > LONGEST => Err(SpanError::TooLong(text.to_owned())),
            Ok(span) => Ok(Self(span)),
            Err(_) => Err(SpanError::NoSpan(text.to_owned())),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpanVisitor;
        impl Visitor<'_> for SpanVisitor {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a span of time such as \"10s\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Span, E> {
                number.to_string().parse().map_err(E::custom)
            }
        }
        deserializer
            .deserialize_any(SpanVisitor)
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_reads_what_it_writes() {
        for text in ["250ms", "10s", "1m 30s", "0s"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string(), text);
            let json = serde_json::to_string(&span).unwrap();
            assert_eq!(serde_json::from_str::<Span>(&json).unwrap(), span);
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused_unless_it_is_zero() {
        assert_eq!("0".parse::<Span>().unwrap(), Span::default());
        assert!("10".parse::<Span>().is_err());
        assert!("584542046090years".parse::<Span>().is_err());
        assert!(serde_json::from_str::<Span>("10").is_err());
        assert_eq!(serde_json::from_str::<Span>("0").unwrap(), Span::default());
    }
}
