//! Determines the key of an op: the field `:key`, or the first element of `[key value]`, as written by
//! `jepsen.independent`.

use super::event::{ForeignEvent, Kind};
use crate::reader::ReadError;
use rustc_hash::FxHashMap;
use serde_json::Value as Json;

/// The source of keys: `--key-from`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyFrom {
    /// From `:key` if events have it; otherwise from `[key value]` if every value is such a pair; otherwise there is only one
    /// key.
    #[default]
    Auto,
    /// From `:key`; a value that is a pair remains a value.
    Field,
    /// From `[key value]`; every value must be such a pair.
    Pair,
}

impl std::str::FromStr for KeyFrom {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "auto" => Ok(KeyFrom::Auto),
            "field" => Ok(KeyFrom::Field),
            "pair" => Ok(KeyFrom::Pair),
            other => Err(format!("`{other}` is none of auto, field, pair")),
        }
    }
}

/// The source of keys that was actually used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeySource {
    /// The file has only one key.
    #[default]
    Single,
    /// A separate field or column.
    Field,
    /// The first element of `[key value]`.
    Pair,
}

impl KeySource {
    /// Returns a description for the user.
    pub fn words(self) -> &'static str {
        match self {
            KeySource::Single => "one key, since no event names one",
            KeySource::Field => "keys as the field `key` names them",
            KeySource::Pair => "keys as the first of `[key value]` (--key-from field to take such pairs as values)",
        }
    }
}

/// Assigns a key to every event, and rejects events whose key cannot be determined.
pub(super) fn assign<'e>(events: impl Iterator<Item = &'e mut ForeignEvent>, from: KeyFrom) -> Result<KeySource, ReadError> {
    let mut events: Vec<&mut ForeignEvent> = events.collect();
    let named = events.iter().any(|e| e.key.is_some());
    let pairs = match from {
        KeyFrom::Auto => !named && events.iter().any(|e| e.kind == Kind::Invoke) && events.iter().all(|e| may_be_pair(e)),
        KeyFrom::Field => false,
        KeyFrom::Pair => true,
    };
    if pairs {
        events.iter_mut().try_for_each(|e| split(e))?;
    } else if let Some(event) = events.iter().find(|e| named && e.kind == Kind::Invoke && e.key.is_none()) {
        return Err(ReadError::at(event.line, "an op without a key, though others have one"));
    }
    same_names(&events)?;
    Ok(if pairs {
        KeySource::Pair
    } else if named {
        KeySource::Field
    } else {
        KeySource::Single
    })
}

fn pair(value: Option<&Json>) -> Option<(&Json, &Json)> {
    match value.and_then(Json::as_array).map(Vec::as_slice) {
        Some([key, value]) => Some((key, value)),
        _ => None,
    }
}

/// Returns whether an event may contain a pair. A completion may omit its value.
fn may_be_pair(event: &ForeignEvent) -> bool {
    match (event.kind, pair(event.value.as_ref())) {
        // Without a key, `[expected new]` is a pair too.
        (_, Some((_, value))) if event.f == "cas" => value.is_array() || (event.kind != Kind::Invoke && value.is_null()),
        (_, Some((key, _))) => !key.is_null(),
        (Kind::Invoke, None) => false,
        (Kind::Ok, None) => event.value.as_ref().is_none_or(Json::is_null),
        (Kind::Fail | Kind::Info, None) => true,
    }
}

fn split(event: &mut ForeignEvent) -> Result<(), ReadError> {
    let Some((key, value)) = pair(event.value.as_ref()) else {
        let has_value = event.value.as_ref().is_some_and(|v| !v.is_null());
        // The value repeated in a failed or unknown op is not used.
        return match event.kind {
            Kind::Invoke => Err(ReadError::at(event.line, "its value is no [key value]; is --key-from right?")),
            Kind::Ok if has_value => Err(ReadError::at(event.line, "its value is no [key value]; is --key-from right?")),
            Kind::Ok | Kind::Fail | Kind::Info => Ok(()),
        };
    };
    if event.key.is_some() {
        return Err(ReadError::at(event.line, "it has a :key and a [key value]; is --key-from right?"));
    }
    (event.key, event.value) = (Some(key.clone()), Some(value.clone()));
    Ok(())
}

/// Returns the name that reports use for a key.
pub(super) fn name(key: &Json) -> String {
    key.as_str().map_or_else(|| key.to_string(), str::to_owned)
}

/// Checks that different keys have different names. Reports use the names, so `7` and `"7"` would be the same key there
/// and their ops would be judged together.
fn same_names(events: &[&mut ForeignEvent]) -> Result<(), ReadError> {
    let mut kinds: FxHashMap<String, bool> = FxHashMap::default();
    for event in events {
        let Some(key) = &event.key else { continue };
        if *kinds.entry(name(key)).or_insert(key.is_string()) != key.is_string() {
            return Err(ReadError::at(event.line, format!("key {key} stands in this file as a text and as something else")));
        }
    }
    Ok(())
}
