//! Reads lines that have exactly the form written by this crate: fields in order, no whitespace, plain ASCII texts.
//!
//! A history of ten million operations has twenty million lines, and a general JSON parser would take most of the time of a
//! check. Any other line, correct or not, is left to that parser. This module therefore reports no errors and decides nothing
//! about the format. A test compares the two on intact and on damaged lines.

use super::read::Figures;
use crate::event::{Call, Completion, Consistency, Current, Event, Invoke, Path, Seen};
use crate::figures::{Diagnostics, Figure};
use crate::ids::{ClientId, IntentId, Nanos, NodeIx, OpId, ProcessId, Value};
use crate::names::{MAX_NODES, Names};
use std::borrow::Cow;

/// Maximum number of digits in a number. Longer numbers are left to the general parser, so none can overflow here.
const MAX_DIGITS: usize = 18;

/// Reads the event at the start of `text` and returns it with the length of its line, including the newline. Returns `None` if
/// the line has a different form or is incomplete; `names` is then unchanged.
pub(crate) fn scan(text: &[u8], names: &mut Names) -> Option<(Event, usize)> {
    let mut line = Cursor { text, at: 0 };
    line.expect(b"{\"e\":\"")?;
    let event = match line.text.get(line.at)? {
        b'i' => invoke(&mut line, names)?,
        b'o' => ok(&mut line, names)?,
        b'f' => {
            line.expect(b"fail\"")?;
            Event::Fail(Head::read(&mut line)?.completion((), &mut line, names)?)
        }
        b'u' => {
            line.expect(b"unknown\"")?;
            Event::Unknown(Head::read(&mut line)?.completion((), &mut line, names)?)
        }
        _ => return None,
    };
    Some((event, line.at))
}

fn invoke(line: &mut Cursor<'_>, names: &mut Names) -> Option<Event> {
    line.expect(b"invoke\",\"op\":")?;
    let op = OpId(line.count()?);
    line.expect(b",\"process\":")?;
    let process = ProcessId(u32::try_from(line.count()?).ok()?);
    let client = if line.skip(b",\"client\":\"c") {
        let number = u32::try_from(line.count()?).ok()?;
        line.expect(b"\"")?;
        Some(ClientId(number))
    } else {
        None
    };
    line.expect(b",\"t\":")?;
    let t = Nanos(line.count()?);
    let intended = line.optional(b",\"intended\":", Cursor::count)?.map(Nanos);
    let node = line.optional(b",\"node\":\"", Cursor::text)?;
    line.expect(b",\"key\":\"")?;
    let key = line.text()?;
    line.expect(b",\"f\":\"")?;
    let call = call(line)?;
    let intent = line.optional(b",\"intent\":", Cursor::count)?.map(IntentId);
    let attempt = line.optional(b",\"attempt\":", |line| u32::try_from(line.count()?).ok())?;
    let payload = line.optional(b",\"payload\":", Cursor::number)?;
    let path = path(line, call)?;
    line.expect(b"}\n")?;
    // Add names last, because a line that is left to the general parser must not have added any.
    has_room_for(node, names)?;
    let (key, node) = (names.key(key), node.map(|name| names.node(name)));
    Some(Event::Invoke(Invoke { op, process, client, t, intended, key, call, node, intent, attempt, payload, path }))
}

fn call(line: &mut Cursor<'_>) -> Option<Call> {
    if line.skip(b"read\"") {
        return Some(Call::Read);
    }
    if line.skip(b"write\",\"new\":") {
        return Some(Call::Write { new: Value(line.number()?) });
    }
    line.expect(b"cas\",\"expected\":")?;
    let expected = line.nullable()?.map(Value);
    line.expect(b",\"new\":")?;
    Some(Call::Cas { expected, new: Value(line.number()?) })
}

fn path(line: &mut Cursor<'_>, call: Call) -> Option<Path> {
    if !line.skip(b",\"path\":\"cheap\",\"consistency\":\"") {
        return Some(Path::Consensus);
    }
    if matches!(call, Call::Cas { .. }) {
        return None;
    }
    let consistency = if line.skip(b"one\"") {
        Consistency::One
    } else {
        line.expect(b"quorum\"")?;
        Consistency::Quorum
    };
    Some(Path::LastWriteWins(consistency))
}

fn ok(line: &mut Cursor<'_>, names: &mut Names) -> Option<Event> {
    line.expect(b"ok\"")?;
    let head = Head::read(line)?;
    line.expect(b",\"f\":\"")?;
    let seen = if line.skip(b"read\",\"value\":") {
        Seen::Value(line.nullable()?.map(Value))
    } else if line.skip(b"write\"") {
        Seen::Written
    } else if line.skip(b"cas\",\"applied\":true") {
        Seen::Applied
    } else {
        line.expect(b"cas\",\"applied\":false")?;
        let current = line.optional(b",\"current\":", Cursor::nullable)?;
        Seen::ConditionNotMet(current.map_or(Current::NotReported, |value| Current::Known(value.map(Value))))
    };
    Some(Event::Ok(head.completion(seen, line, names)?))
}

/// The fields at the beginning of every completion.
struct Head<'a> {
    op: OpId,
    t: Nanos,
    node: Option<&'a str>,
}

impl<'a> Head<'a> {
    fn read(line: &mut Cursor<'a>) -> Option<Head<'a>> {
        line.expect(b",\"op\":")?;
        let op = OpId(line.count()?);
        line.expect(b",\"t\":")?;
        let t = Nanos(line.count()?);
        let node = line.optional(b",\"node\":\"", Cursor::text)?;
        Some(Head { op, t, node })
    }

    /// Reads the rest of the line.
    fn completion<S>(self, seen: S, line: &mut Cursor<'a>, names: &mut Names) -> Option<Completion<S>> {
        let Head { op, t, node } = self;
        let reason = line.optional(b",\"reason\":\"", Cursor::text)?;
        let diagnostics = figures(line, names)?;
        line.expect(b"}\n")?;
        has_room_for(node, names)?;
        let node: Option<NodeIx> = node.map(|name| names.node(name));
        Some(Completion { op, t, seen, node, reason: reason.map(Box::from), diagnostics })
    }
}

/// Reads figures that `names` already contains. A figure that appears for the first time is left to the general parser.
fn figures(line: &mut Cursor<'_>, names: &Names) -> Option<Option<Diagnostics>> {
    if !line.is_at(b",\"") {
        return Some(None);
    }
    let mut figures = Figures::default();
    while line.skip(b",\"") {
        let name = line.text()?;
        let id = names.known_figure(name, figures.next())?;
        line.expect(b":")?;
        let figure = if line.skip(b"\"") { Figure::Text(Cow::Borrowed(line.text()?)) } else { Figure::Number(line.number()?) };
        figures.push(id, &figure, names).ok()?;
    }
    Some(figures.finish())
}

/// Returns `None` if a new node might exceed the maximum, which the general parser reports.
fn has_room_for(node: Option<&str>, names: &Names) -> Option<()> {
    (node.is_none() || names.node_count() < MAX_NODES).then_some(())
}

/// A position in the text.
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    fn is_at(&self, words: &[u8]) -> bool {
        self.text.get(self.at..).is_some_and(|rest| rest.starts_with(words))
    }

    /// Skips `words` if they come next.
    #[inline]
    fn skip(&mut self, words: &[u8]) -> bool {
        let found = self.is_at(words);
        if found {
            self.at += words.len();
        }
        found
    }

    #[inline]
    fn expect(&mut self, words: &[u8]) -> Option<()> {
        self.skip(words).then_some(())
    }

    /// Reads a value if `words` come next; the value must then be present.
    #[inline]
    fn optional<T>(&mut self, words: &[u8], value: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.skip(words) { value(self).map(Some) } else { Some(None) }
    }

    /// Reads a number without a sign or leading zeros.
    #[inline]
    fn count(&mut self) -> Option<u64> {
        let rest = self.text.get(self.at..)?;
        let (mut number, mut digits) = (0u64, 0);
        for &byte in rest.iter().take(MAX_DIGITS + 1) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
            digits += 1;
        }
        let leading_zero = digits > 1 && rest[0] == b'0';
        if digits == 0 || digits > MAX_DIGITS || leading_zero {
            return None;
        }
        self.at += digits;
        Some(number)
    }

    #[inline]
    fn number(&mut self) -> Option<i64> {
        let negative = self.skip(b"-");
        let number = self.count()? as i64;
        match (negative, number) {
            (false, number) => Some(number),
            // JSON has a negative zero, which the general parser does not accept as an integer.
            (true, 0) => None,
            (true, number) => Some(-number),
        }
    }

    #[inline]
    fn nullable(&mut self) -> Option<Option<i64>> {
        if self.skip(b"null") { Some(None) } else { self.number().map(Some) }
    }

    /// Returns the text up to the next quotation mark and skips the mark.
    #[inline]
    fn text(&mut self) -> Option<&'a str> {
        let rest = self.text.get(self.at..)?;
        let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f | 0x7f..))?;
        if rest[length] != b'"' {
            return None;
        }
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).ok()
    }
}
