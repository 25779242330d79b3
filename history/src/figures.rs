//! What a system reports about one operation: a small map of named figures.
//!
//! The system says what its figures are ([`FigureInfo`]), and the header of a history repeats it, so that a stored run explains
//! itself. An operation holds them packed: a million operations have ten figures each, most of them below 64, and few readers ask.

use crate::ids::FigureId;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Describes one figure of a system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FigureInfo {
    /// Its name: the field of a completion's line that holds it.
    pub name: Cow<'static, str>,
    /// What it is measured in.
    pub unit: Unit,
    /// Its meaning in a few words, for people.
    pub about: Cow<'static, str>,
    /// The measure that it is, where reports have a place for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<Measure>,
}

impl FigureInfo {
    /// A figure that reports list and do not add up.
    pub const fn new(name: &'static str, unit: Unit, about: &'static str) -> Self {
        FigureInfo { name: Cow::Borrowed(name), unit, about: Cow::Borrowed(about), measure: None }
    }

    /// The same, taken for `measure` by reports.
    #[must_use]
    pub const fn measuring(mut self, measure: Measure) -> Self {
        self.measure = Some(measure);
        self
    }
}

/// What a figure is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// How often, or how many.
    Count,
    /// A length of time in nanoseconds.
    Ns,
    /// A size in bytes.
    Bytes,
    /// No number: a name, a phase.
    Text,
}

/// What many systems count per operation. Reports, charts and checks show each of these where a system has a figure for it, and
/// nothing where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Attempts that the operation took.
    Attempts,
    /// Round trips between nodes.
    RoundTrips,
    /// How often a competing operation pushed it aside.
    Preemptions,
    /// Unfinished operations of others that it completed first.
    Repairs,
    /// Time spent waiting between attempts.
    Backoff,
    /// How far the operation got.
    Phase,
}

impl Measure {
    /// All of them.
    pub const ALL: [Measure; 6] =
        [Measure::Attempts, Measure::RoundTrips, Measure::Preemptions, Measure::Repairs, Measure::Backoff, Measure::Phase];
}

/// The figure that holds the system's own id of an operation: what a question about its fate names.
pub const OP_ID: &str = "op_id";

/// The fields that lines of a history have themselves: no figure has one of these names.
pub(crate) const RESERVED: [&str; 28] = [
    "e",
    "op",
    "id",
    "process",
    "client",
    "t",
    "intended",
    "node",
    "key",
    "f",
    "expected",
    "new",
    "value",
    "applied",
    "current",
    "reason",
    "intent",
    "attempt",
    "payload",
    "path",
    "consistency",
    "kind",
    "targets",
    "state",
    "evidence",
    "fate",
    "what",
    "detail",
];

/// One figure of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Figure<'a> {
    /// A count, a size or nanoseconds.
    Number(i64),
    /// A text.
    Text(Cow<'a, str>),
}

impl From<u32> for Figure<'_> {
    fn from(n: u32) -> Self {
        Figure::Number(n.into())
    }
}

impl From<u64> for Figure<'_> {
    /// What is beyond an `i64` stays at its end.
    fn from(n: u64) -> Self {
        Figure::Number(i64::try_from(n).unwrap_or(i64::MAX))
    }
}

impl From<String> for Figure<'_> {
    fn from(text: String) -> Self {
        Figure::Text(Cow::Owned(text))
    }
}

impl<'a> From<&'a str> for Figure<'a> {
    fn from(text: &'a str) -> Self {
        Figure::Text(Cow::Borrowed(text))
    }
}

/// The figures of one operation, in the order in which they were reported.
///
/// Packed: for each figure the number `2 * id + 1` for a text or `2 * id` for a number, then the text's length and bytes or the
/// number itself. All numbers are varints of 7 bits a byte, the lowest first; signed ones are zigzag.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(Box<[u8]>);

impl Diagnostics {
    /// Packs figures. No id may come twice.
    pub fn pack<'a>(figures: impl IntoIterator<Item = (FigureId, Figure<'a>)>) -> Self {
        let mut packer = Packer::default();
        for (id, figure) in figures {
            packer.push(id, &figure);
        }
        packer.finish()
    }

    /// These figures and one more.
    #[must_use]
    pub fn with(&self, id: FigureId, figure: &Figure<'_>) -> Self {
        let mut packer = Packer { bytes: self.0.to_vec() };
        packer.push(id, figure);
        packer.finish()
    }

    /// All figures, in order.
    pub fn iter(&self) -> impl Iterator<Item = (FigureId, Figure<'_>)> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || if rest.is_empty() { None } else { take_figure(&mut rest) })
    }

    /// One figure.
    pub fn get(&self, id: FigureId) -> Option<Figure<'_>> {
        self.iter().find(|(found, _)| *found == id).map(|(_, figure)| figure)
    }

    /// One figure as a count; a negative number is none.
    pub fn count(&self, id: FigureId) -> Option<u64> {
        match self.get(id)? {
            Figure::Number(n) => u64::try_from(n).ok(),
            Figure::Text(_) => None,
        }
    }

    /// One figure as a text.
    pub fn text(&self, id: FigureId) -> Option<Cow<'_, str>> {
        match self.get(id)? {
            Figure::Text(text) => Some(text),
            Figure::Number(_) => None,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Packs figures one by one.
#[derive(Debug)]
pub(crate) struct Packer {
    bytes: Vec<u8>,
}

/// Room for the figures of most operations.
const PACKED_BYTES: usize = 96;

impl Default for Packer {
    fn default() -> Self {
        Packer { bytes: Vec::with_capacity(PACKED_BYTES) }
    }
}

impl Packer {
    pub(crate) fn push(&mut self, id: FigureId, figure: &Figure<'_>) {
        let head = u64::from(id.0) << 1;
        match figure {
            Figure::Number(n) => {
                self.varint(head);
                self.varint(((*n << 1) ^ (*n >> 63)) as u64);
            }
            Figure::Text(text) => {
                self.varint(head | 1);
                self.varint(text.len() as u64);
                self.bytes.extend_from_slice(text.as_bytes());
            }
        }
    }

    pub(crate) fn finish(self) -> Diagnostics {
        Diagnostics(self.bytes.into_boxed_slice())
    }

    #[inline]
    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.bytes.push((n & 0x7f) as u8 | 0x80);
            n >>= 7;
        }
        self.bytes.push(n as u8);
    }
}

/// Only [`Packer`] makes the bytes, so `None` is the end.
fn take_figure<'a>(rest: &mut &'a [u8]) -> Option<(FigureId, Figure<'a>)> {
    let head = take_varint(rest)?;
    let id = FigureId(u16::try_from(head >> 1).ok()?);
    let number = take_varint(rest)?;
    if head & 1 == 0 {
        return Some((id, Figure::Number((number >> 1) as i64 ^ -((number & 1) as i64))));
    }
    let (text, after) = rest.split_at_checked(usize::try_from(number).ok()?)?;
    *rest = after;
    Some((id, Figure::Text(Cow::Borrowed(std::str::from_utf8(text).ok()?))))
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut n = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        n |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// The figures of histories whose header describes none: those that reports have a place for. What else such a history has is kept
/// under its name.
pub(crate) fn of_earlier_histories() -> Vec<FigureInfo> {
    vec![
        FigureInfo::new("rounds", Unit::Count, "attempts that the operation took").measuring(Measure::Attempts),
        FigureInfo::new("round_trips", Unit::Count, "round trips to a quorum").measuring(Measure::RoundTrips),
        FigureInfo::new("preempted", Unit::Count, "how often the operation was outbid").measuring(Measure::Preemptions),
        FigureInfo::new("repairs", Unit::Count, "unfinished updates of others that it completed first").measuring(Measure::Repairs),
        FigureInfo::new("backoff_ns", Unit::Ns, "time spent backing off").measuring(Measure::Backoff),
        FigureInfo::new("phase", Unit::Text, "how far the operation got").measuring(Measure::Phase),
        FigureInfo::new(OP_ID, Unit::Text, "the system's id of an operation of unknown outcome"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_come_back_as_they_were_packed() {
        let long = "x".repeat(300);
        let numbers = [0, 1, -1, 63, 64, -64, -65, 1 << 20, i64::MAX, i64::MIN];
        let all: Vec<(FigureId, Figure<'_>)> = (0u16..)
            .zip(numbers.map(Figure::Number).into_iter().chain(["", "é", &long].map(Figure::from)))
            .map(|(i, figure)| (FigureId(i * 5_000), figure))
            .collect();
        let packed = Diagnostics::pack(all.clone());
        assert_eq!(packed.iter().collect::<Vec<_>>(), all);
        for (id, figure) in all {
            assert_eq!(packed.get(id), Some(figure));
        }
        assert_eq!(packed.get(FigureId(3)), None);
        assert_eq!((packed.count(FigureId(5_000)), packed.count(FigureId(10_000))), (Some(1), None), "a negative number is no count");
        let more = packed.with(FigureId(3), &Figure::from(7u32));
        assert_eq!((more.count(FigureId(3)), more.iter().count()), (Some(7), packed.iter().count() + 1));
    }

    #[test]
    fn ten_small_figures_take_twenty_bytes() {
        let packed = Diagnostics::pack((0..10).map(|i| (FigureId(i), Figure::from(u32::from(i)))));
        assert_eq!(packed.0.len(), 20);
        assert!(Diagnostics::default().is_empty() && !packed.is_empty());
    }
}
