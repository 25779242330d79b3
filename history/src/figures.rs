//! The named figures that a system reports about one operation.
//!
//! The system describes its figures ([`FigureInfo`]), and the header of a history repeats the description, so a stored
//! run is self-describing. Figures are stored packed, because a million operations have ten figures each, most of them
//! below 64, and few readers need them.

use crate::ids::FigureId;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Describes one figure of a system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FigureInfo {
    /// Name of the figure: the field that holds it in the line of a completion.
    pub name: Cow<'static, str>,
    /// Unit of the figure.
    pub unit: Unit,
    /// Short description for humans.
    pub about: Cow<'static, str>,
    /// The standard measure that the figure represents, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<Measure>,
}

impl FigureInfo {
    /// Creates a figure without a standard measure: reports list it but do not total it.
    pub const fn new(name: &'static str, unit: Unit, about: &'static str) -> Self {
        FigureInfo { name: Cow::Borrowed(name), unit, about: Cow::Borrowed(about), measure: None }
    }

    /// Marks the figure as `measure` for reports.
    #[must_use]
    pub const fn measuring(mut self, measure: Measure) -> Self {
        self.measure = Some(measure);
        self
    }
}

/// The unit of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A count.
    Count,
    /// A duration in nanoseconds.
    Ns,
    /// A size in bytes.
    Bytes,
    /// A text, such as a name or a phase.
    Text,
}

/// Measures that many systems count per operation. Reports, charts and checks show a measure only if the system has a
/// figure for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Number of attempts that the operation needed.
    Attempts,
    /// Number of round trips between nodes.
    RoundTrips,
    /// Number of times a competing operation preempted it.
    Preemptions,
    /// Number of unfinished operations of other clients that it had to complete first.
    Repairs,
    /// Total time spent waiting between attempts.
    Backoff,
    /// The phase that the operation reached.
    Phase,
}

impl Measure {
    /// All measures.
    pub const ALL: [Measure; 6] =
        [Measure::Attempts, Measure::RoundTrips, Measure::Preemptions, Measure::Repairs, Measure::Backoff, Measure::Phase];
}

/// Name of the figure with the system's own id of an operation, which a fate query uses.
pub const OP_ID: &str = "op_id";

/// Field names of the format, which no figure may use.
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
    /// Converts a count; values above the range of `i64` are clamped.
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
/// Packed format: for each figure, the number `2 * id + 1` for a text or `2 * id` for a number, followed by the text's length
/// and bytes or by the number itself. All numbers are varints with 7 bits per byte, lowest bits first; signed numbers use
/// zigzag encoding.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(Box<[u8]>);

impl Diagnostics {
    /// Packs figures. No id may occur twice.
    pub fn pack<'a>(figures: impl IntoIterator<Item = (FigureId, Figure<'a>)>) -> Self {
        let mut packer = Packer::default();
        for (id, figure) in figures {
            packer.push(id, &figure);
        }
        packer.finish()
    }

    /// Returns these figures with one more appended.
    #[must_use]
    pub fn with(&self, id: FigureId, figure: &Figure<'_>) -> Self {
        let mut packer = Packer { bytes: self.0.to_vec() };
        packer.push(id, figure);
        packer.finish()
    }

    /// Iterates over all figures, in order.
    pub fn iter(&self) -> impl Iterator<Item = (FigureId, Figure<'_>)> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || if rest.is_empty() { None } else { take_figure(&mut rest) })
    }

    /// Returns one figure.
    pub fn get(&self, id: FigureId) -> Option<Figure<'_>> {
        self.iter().find(|(found, _)| *found == id).map(|(_, figure)| figure)
    }

    /// Returns one figure as a count; `None` if it is negative.
    pub fn count(&self, id: FigureId) -> Option<u64> {
        match self.get(id)? {
            Figure::Number(n) => u64::try_from(n).ok(),
            Figure::Text(_) => None,
        }
    }

    /// Returns one figure as a text.
    pub fn text(&self, id: FigureId) -> Option<Cow<'_, str>> {
        match self.get(id)? {
            Figure::Text(text) => Some(text),
            Figure::Number(_) => None,
        }
    }

    /// Returns whether there are no figures.
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

/// Initial capacity, sufficient for the figures of most operations.
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

/// Takes the next figure from packed bytes. Only [`Packer`] creates these bytes, so `None` means the end.
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

/// Returns the figures of histories whose header describes none: the standard measures. All other figures of such a
/// history are stored by name.
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
    fn figures_round_trip() {
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
