//! What an editor is told of values that are read in more than one form.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::amount::{Bytes, Ratio};
use crate::duration::Span;
use crate::protocol::fault::{FaultSpec, Switch, Written};

/// A value that is described where it is used, under no name of its own.
macro_rules! inline {
    ($($name:ident: $schema:tt,)+) => {$(
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )+};
}

inline! {
    // A number needs its unit; only none at all needs none.
    Span: { "type": ["string", "integer"], "minimum": 0, "maximum": 0, "examples": ["250ms", "10s", "1m 30s"] },
    Bytes: { "type": ["string", "integer"], "examples": ["4096", "64KiB", "10MB"] },
    Ratio: { "type": ["string", "number"], "examples": ["0.25", "25%"] },
    Switch: {
        "anyOf": [
            { "type": "boolean" },
            { "type": "string", "enum": ["true", "yes", "on", "false", "no", "off"] },
        ],
    },
}

impl JsonSchema for Written {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Fault".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let members = generator.subschema_for::<FaultSpec>();
        json_schema!({
            "if": { "type": "string" },
            "then": { "examples": ["latency=100ms,jitter=20ms"] },
            "else": members,
        })
    }
}
