//! Declares every field that an event may have, for serde. The module `read` decides which fields an event requires.

use crate::event::{Consistency, Fate, FaultState};
use crate::figures::{Diagnostics, Figure};
use crate::names::Names;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Text that borrows from the line unless it contains an escape.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E: de::Error>(self, s: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(s)))
            }
            fn visit_str<E: de::Error>(self, s: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(s.to_owned())))
            }
        }
        d.deserialize_str(Visitor)
    }
}

/// A field that the format does not define: a figure, or a field of a later version.
pub(super) enum Other<'a> {
    Null,
    Number(i64),
    Text(Cow<'a, str>),
    NoFigure,
}

/// The figures of a completion to be written.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    pub(super) figures: &'a Diagnostics,
    pub(super) names: &'a Names,
}

/// Lists the fields once: for the struct, for serde, and for the names that figures may not use.
macro_rules! line {
    ($($name:ident: $type:ty,)*) => {
        /// Every field that any event may have.
        #[derive(Default)]
        pub(super) struct Line<'a> {
            $(pub(super) $name: Option<$type>,)*
            /// The other fields of a line that was read.
            pub(super) others: Vec<(Text<'a>, Other<'a>)>,
            /// The figures of a line to write.
            pub(super) written: Option<Written<'a>>,
        }

        /// The names as constants, because a match on byte strings branches on the length first, whereas a match on
        /// strings compares them one by one.
        #[allow(non_upper_case_globals)]
        mod bytes {
            $(pub(super) const $name: &[u8] = stringify!($name).as_bytes();)*
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        impl<'a> Line<'a> {
            fn take<M: MapAccess<'a>>(&mut self, name: Text<'a>, map: &mut M) -> Result<(), M::Error> {
                match name.0.as_bytes() {
                    $(bytes::$name => {
                        if self.$name.is_some() {
                            return Err(de::Error::duplicate_field(stringify!($name)));
                        }
                        self.$name = <$type as Field<'a>>::read(map)?;
                    })*
                    _ => {
                        if self.others.is_empty() {
                            self.others.reserve(OTHERS);
                        }
                        let other = map.next_value()?;
                        self.others.push((name, other));
                    }
                }
                Ok(())
            }
        }

        impl Serialize for Line<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                $(if let Some(value) = &self.$name {
                    map.serialize_entry(stringify!($name), value)?;
                })*
                if let Some(Written { figures, names }) = self.written {
                    for (id, figure) in figures.iter() {
                        map.serialize_entry(&*names.figure_info(id).name, &figure)?;
                    }
                }
                map.end()
            }
        }
    };
}

/// Initial capacity for the figures of one operation.
const OTHERS: usize = 16;

line! {
    e: Text<'a>,
    op: u64,
    id: u64,
    process: u32,
    client: Text<'a>,
    t: u64,
    intended: u64,
    node: Text<'a>,
    key: Text<'a>,
    f: Text<'a>,
    expected: Option<i64>,
    new: i64,
    value: Option<i64>,
    applied: bool,
    current: Option<i64>,
    reason: Text<'a>,
    intent: u64,
    attempt: u32,
    payload: i64,
    path: Text<'a>,
    consistency: Consistency,
    kind: Text<'a>,
    targets: Vec<String>,
    state: FaultState,
    evidence: BTreeMap<String, Json>,
    fate: Fate,
    what: Text<'a>,
    detail: BTreeMap<String, Json>,
}

/// Parses the value of a field. `null` counts as absent, except for fields where it is a value.
trait Field<'de>: Sized {
    fn read<M: MapAccess<'de>>(map: &mut M) -> Result<Option<Self>, M::Error>;
}

macro_rules! field {
    ($($type:ty),*) => {
        $(impl<'de> Field<'de> for $type {
            fn read<M: MapAccess<'de>>(map: &mut M) -> Result<Option<Self>, M::Error> {
                map.next_value()
            }
        })*
    };
}

field!(u32, u64, i64, bool, Text<'de>, Consistency, FaultState, Fate, Vec<String>, BTreeMap<String, Json>);

/// A read of a key that was never written returns `null`, which differs from a missing field.
impl<'de> Field<'de> for Option<i64> {
    fn read<M: MapAccess<'de>>(map: &mut M) -> Result<Option<Self>, M::Error> {
        map.next_value().map(Some)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Line<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Line<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Line<'de>, M::Error> {
                let mut line = Line::default();
                while let Some(name) = map.next_key()? {
                    line.take(name, &mut map)?;
                }
                Ok(line)
            }
        }
        d.deserialize_map(Fields)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Other<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Other<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_i64<E>(self, n: i64) -> Result<Other<'de>, E> {
                Ok(Other::Number(n))
            }
            fn visit_u64<E>(self, n: u64) -> Result<Other<'de>, E> {
                Ok(i64::try_from(n).map_or(Other::NoFigure, Other::Number))
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Other<'de>, E> {
                Ok(Other::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Other<'de>, E> {
                Ok(Other::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_unit<E>(self) -> Result<Other<'de>, E> {
                Ok(Other::Null)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Other<'de>, E> {
                Ok(Other::NoFigure)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Other<'de>, E> {
                Ok(Other::NoFigure)
            }
            fn visit_seq<S: de::SeqAccess<'de>>(self, mut items: S) -> Result<Other<'de>, S::Error> {
                while items.next_element::<de::IgnoredAny>()?.is_some() {}
                Ok(Other::NoFigure)
            }
            fn visit_map<M: MapAccess<'de>>(self, mut fields: M) -> Result<Other<'de>, M::Error> {
                while fields.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
                Ok(Other::NoFigure)
            }
        }
        d.deserialize_any(Any)
    }
}

impl Serialize for Figure<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Figure::Number(n) => serializer.serialize_i64(*n),
            Figure::Text(text) => serializer.serialize_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_field_is_reserved() {
        assert_eq!(super::NAMES, crate::figures::RESERVED);
    }
}
