//! Variables, in every form in which people write them: a map, a list of maps, a list of `NAME=VALUE`, or one
//! `NAME=VALUE` alone.

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::list::Present;

/// Variables, in the order of the file; a later one of the same name wins.
///
/// A value keeps the text of the file: `8005`, `on`, `1.50`, `017` stay as they are; nothing and `~` are the empty text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Env(pub IndexMap<String, String>);

impl Env {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These variables, and those: the latter win.
    #[must_use]
    pub fn overridden_by(&self, others: &Self) -> Self {
        let mut merged = self.0.clone();
        merged.extend(
            others
                .0
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        Self(merged)
    }
}

impl<'de> Deserialize<'de> for Env {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let variables = deserializer.deserialize_any(EnvVisitor { in_list: false })?;
        Ok(Self(variables.into_iter().collect()))
    }
}

/// The variables of one item of a list.
struct Item(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(EnvVisitor { in_list: true })
            .map(Self)
    }
}

struct EnvVisitor {
    in_list: bool,
}

impl<'de> Visitor<'de> for EnvVisitor {
    type Value = Vec<(String, String)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("variables: a map, or a list of NAME=VALUE")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        // The value is whatever follows, line ends included: so a certificate in a literal block is one value.
        match text.split_once('=') {
            Some((name, value)) => Ok(vec![(name_of(name)?, value.to_owned())]),
            None => Err(E::custom(format!(
                "`{text}` is not a variable\nwrite NAME=VALUE, or a map `NAME: VALUE`; what monday's own environment has is passed on anyway"
            ))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut variables = Vec::new();
        while let Some((name, Value(value))) = map.next_entry::<String, Value>()? {
            variables.push((name_of(&name)?, value));
        }
        Ok(variables)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        if self.in_list {
            return Err(A::Error::custom(
                "a list in the list of variables\nwrite NAME=VALUE, or `NAME: VALUE`",
            ));
        }
        let mut variables = Vec::new();
        while let Some(Present(Item(more))) = items.next_element()? {
            variables.extend(more);
        }
        Ok(variables)
    }
}

/// The operating system takes any name without `=` and NUL; a blank around it is a slip.
fn name_of<E: Error>(name: &str) -> Result<String, E> {
    let name = name.trim();
    if name.is_empty() || name.contains(['=', '\0']) {
        let shown = name.escape_debug();
        return Err(E::custom(format!(
            "`{shown}` is not the name of a variable\na name is not empty and has no `=` in it"
        )));
    }
    Ok(name.to_owned())
}

/// The value of a variable.
struct Value(String);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;
        impl Visitor<'_> for ValueVisitor {
            type Value = String;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_unit<E: Error>(self) -> Result<String, E> {
                Ok(String::new())
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
                if text.contains('\0') {
                    return Err(E::custom(
                        "there is a NUL character, which no variable can hold\nremove the `\\0`",
                    ));
                }
                Ok(text.to_owned())
            }
        }
        deserializer.deserialize_any(ValueVisitor).map(Self)
    }
}

impl JsonSchema for Env {
    fn schema_name() -> Cow<'static, str> {
        "Env".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let map = json_schema!({
            "type": "object",
            "additionalProperties": { "type": ["string", "number", "boolean", "null"] },
        });
        let pair = json_schema!({ "type": "string", "pattern": "^[^=]+=" });
        json_schema!({
            "if": { "type": "object" },
            "then": map,
            "else": {
                "if": { "type": "array" },
                "then": { "items": { "if": { "type": "object" }, "then": map, "else": pair } },
                "else": { "anyOf": [pair, { "type": "null" }] },
            },
        })
    }
}
