//! The last line of a history, which distinguishes a complete history from one that was truncated or changed.
//!
//! Every prefix of a history that ends at a line break is also a history, and often a valid one, because the ops that
//! refute it may be in the missing part. A writer therefore promises an end record in the header and writes it last. It
//! contains the number of events and a hash of every preceding byte. It protects against loss and accidents, not
//! against forgery.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::Xxh3Default;

/// Returns whether a line looks like an end record, even if another tool has inserted spaces. No event contains `"end"` that
/// early.
pub(crate) fn looks_like_one(line: &[u8]) -> bool {
    const WITHIN: usize = 16;
    line[..line.len().min(WITHIN)].windows(5).any(|w| w == b"\"end\"")
}

/// The end record: `{"e":"end","events":3,"xxh3":"…"}` and any other fields from the writer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EndRecord {
    e: EndTag,
    /// Number of preceding events.
    pub events: u64,
    /// XXH3 (64 bits, hexadecimal) of all preceding bytes after decompression, including the header.
    pub xxh3: String,
    /// When the load ended, in nanoseconds since the start of the run, if that was before the end of the load window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_ended_ns: Option<u64>,
    /// Other data known only at the end: how the run ended and the counters of its nodes.
    #[serde(flatten)]
    pub more: BTreeMap<String, Json>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
enum EndTag {
    #[default]
    #[serde(rename = "end")]
    End,
}

impl EndRecord {
    /// Returns the line, including its newline.
    pub(crate) fn line(&self) -> Vec<u8> {
        // Numbers, strings and maps with string keys always have a JSON form.
        let mut line = serde_json::to_vec(self).expect("an end record is always writable as JSON");
        line.push(b'\n');
        line
    }
}

/// Whether a history is complete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Completeness {
    /// The last line is an end record, and its count and hash match the preceding lines.
    Whole,
    /// The header promises an end record, but there is none.
    Cut,
    /// The end record does not match the preceding lines; the text describes the difference.
    Altered(String),
    /// The header promises no end record: the history was recorded by an older version or by another tool.
    #[default]
    NotPromised,
}

impl Completeness {
    /// Describes what is missing or differs; `None` if no problem is known.
    pub fn problem(&self) -> Option<String> {
        match self {
            Completeness::Whole | Completeness::NotPromised => None,
            Completeness::Cut => Some(
                "the history has no end record: it was cut, its harness was killed, or its run is still going on; only what is there was judged"
                    .to_owned(),
            ),
            Completeness::Altered(how) => Some(format!("the history was changed after it was recorded: {how}")),
        }
    }
}

/// Counts and hashes the lines, so writer and reader compute the same end record.
#[derive(Default)]
pub(crate) struct Tally {
    hash: Xxh3Default,
    pub(crate) events: u64,
}

impl Tally {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    pub(crate) fn record(&self, more: BTreeMap<String, Json>) -> EndRecord {
        EndRecord { e: EndTag::End, events: self.events, xxh3: format!("{:016x}", self.hash.digest()), load_ended_ns: None, more }
    }

    /// Describes how `record` differs from the counted values.
    pub(crate) fn compare(&self, record: &EndRecord) -> Completeness {
        let counted = self.record(BTreeMap::new());
        if record.events != counted.events {
            return Completeness::Altered(format!("its end record counts {} events, and there are {}", record.events, counted.events));
        }
        if record.xxh3 != counted.xxh3 {
            return Completeness::Altered(format!("its end record has the hash {}, and its bytes have {}", record.xxh3, counted.xxh3));
        }
        Completeness::Whole
    }
}
