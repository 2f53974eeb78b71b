//! `depends_on`: a list of names, or a map from names to what has to be true of them.

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::either::Either;
use super::list::Present;
use super::scalar::{Text, words};

words! {
    /// What has to be true of something that an app depends on.
    #[derive(Default)]
    Condition, "a condition" {
        /// It was started.
        Started = "started",
        /// It is ready; of an app without a readiness check that is the same as started.
        #[default]
        Ready = "ready",
        /// It ended with status 0.
        Completed = "completed",
    }
}

/// What has to be true of one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    default,
    expecting = "`started`, `ready`, `completed`, or a map with `condition`"
)]
pub struct Requirement {
    /// `started`, `ready` (default) or `completed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
}

/// The names that an app depends on, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DependsOn(pub IndexMap<String, Requirement>);

impl DependsOn {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for DependsOn {
    /// As a list where nothing but names is said.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self
            .0
            .values()
            .all(|requirement| *requirement == Requirement::default())
        {
            return serializer.collect_seq(self.0.keys());
        }
        serializer.collect_map(&self.0)
    }
}

impl<'de> Deserialize<'de> for DependsOn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DependsVisitor;

        impl<'de> Visitor<'de> for DependsVisitor {
            type Value = DependsOn;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of names, or a map from names to conditions")
            }

            fn visit_unit<E: Error>(self) -> Result<DependsOn, E> {
                Ok(DependsOn::default())
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<DependsOn, E> {
                Ok(DependsOn(
                    [(name.to_owned(), Requirement::default())].into(),
                ))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<DependsOn, A::Error> {
                let mut all = IndexMap::new();
                while let Some(Present(Text(name))) = names.next_element()? {
                    all.insert(name, Requirement::default());
                }
                Ok(DependsOn(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DependsOn, A::Error> {
                let mut all = IndexMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    let requirement = map.next_value::<Option<Either<Condition, Requirement>>>()?;
                    let requirement = match requirement {
                        None => Requirement::default(),
                        Some(Either::Short(condition)) => Requirement {
                            condition: Some(condition),
                        },
                        Some(Either::Long(requirement)) => requirement,
                    };
                    all.insert(name, requirement);
                }
                Ok(DependsOn(all))
            }
        }

        deserializer.deserialize_any(DependsVisitor)
    }
}

impl JsonSchema for DependsOn {
    fn schema_name() -> Cow<'static, str> {
        "DependsOn".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let requirement = generator.subschema_for::<Option<Either<Condition, Requirement>>>();
        json_schema!({
            "if": { "type": "object" },
            "then": { "additionalProperties": requirement },
            "else": {
                "if": { "type": "array" },
                "then": { "items": { "type": "string" } },
                "else": { "type": ["string", "null"] },
            },
        })
    }
}
