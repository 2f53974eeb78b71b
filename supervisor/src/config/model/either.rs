//! Keys that take a single value or a map, and sections that take their commands alone.

use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::list::{List, Present};
use super::scalar::Text;

/// A single value, or a map that says more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Either<S, M> {
    /// A single value.
    Short(S),
    /// A map.
    Long(M),
}

impl<'de, S: Deserialize<'de>, M: Deserialize<'de>> Deserialize<'de> for Either<S, M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EitherVisitor<S, M>(PhantomData<(S, M)>);

        impl<'de, S: Deserialize<'de>, M: Deserialize<'de>> Visitor<'de> for EitherVisitor<S, M> {
            type Value = Either<S, M>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a single value or a map")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                S::deserialize(StrDeserializer::new(text)).map(Either::Short)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                M::deserialize(MapAccessDeserializer::new(map)).map(Either::Long)
            }
        }

        deserializer.deserialize_any(EitherVisitor(PhantomData))
    }
}

impl<S: JsonSchema, M: JsonSchema> JsonSchema for Either<S, M> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("{}Or{}", S::schema_name(), M::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let short = generator.subschema_for::<S>();
        let long = generator.subschema_for::<M>();
        json_schema!({ "if": { "type": "object" }, "then": long, "else": short })
    }
}

/// A section that can be written as its commands alone.
pub trait FromCommands {
    /// The section with these commands and nothing else.
    fn from_commands(commands: List<Text>) -> Self;
}

/// Reads a section: a map, or its command or commands alone.
pub(super) fn section<'de, D, S>(deserializer: D) -> Result<Option<S>, D::Error>
where
    D: Deserializer<'de>,
    S: FromCommands + Deserialize<'de>,
{
    struct SectionVisitor<S>(PhantomData<S>);

    impl<'de, S: FromCommands + Deserialize<'de>> Visitor<'de> for SectionVisitor<S> {
        type Value = Option<S>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map with commands")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(S::from_commands(List(vec![text.into()]))))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut commands = Vec::new();
            while let Some(Present(command)) = items.next_element()? {
                commands.push(command);
            }
            Ok(Some(S::from_commands(List(commands))))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            S::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }

    deserializer.deserialize_any(SectionVisitor(PhantomData))
}

/// What an editor is told of a section: the map, or its commands alone.
pub(super) struct SectionSchema<S>(PhantomData<S>);

impl<S: JsonSchema> JsonSchema for SectionSchema<S> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("{}OrCommands", S::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let map = generator.subschema_for::<S>();
        let commands = generator.subschema_for::<List<Text>>();
        json_schema!({ "if": { "type": "object" }, "then": map, "else": commands })
    }
}
