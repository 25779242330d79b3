//! Writes the events of operations without a general JSON writer, which would take most of a recorder's time at high rates.
//!
//! The result is identical byte for byte; a test compares the two. Rare events, and events with texts that need an escape, are
//! left to the general writer.

use crate::event::{Call, Completion, Current, Event, Invoke, Path, Seen};
use crate::figures::Figure;
use crate::names::Names;

/// Appends the line of `event` and returns `true`, or returns `false` and leaves `out` unchanged.
pub(super) fn print(event: &Event, names: &Names, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut line = Line { out };
    let printed = match event {
        Event::Invoke(i) => invoke(i, names, &mut line),
        Event::Ok(c) => completion("ok", c, names, &mut line, |line| seen(c.seen, line)),
        Event::Fail(c) => completion("fail", c, names, &mut line, |_| {}),
        Event::Unknown(c) => completion("unknown", c, names, &mut line, |_| {}),
        Event::Fault(_) | Event::Fate { .. } | Event::Node(_) => None,
    };
    if printed.is_none() {
        out.truncate(start);
    }
    printed.is_some()
}

fn invoke(i: &Invoke, names: &Names, line: &mut Line<'_>) -> Option<()> {
    line.raw("{\"e\":\"invoke\",\"op\":").count(i.op.0).raw(",\"process\":").count(i.process.0.into());
    if let Some(client) = i.client {
        line.raw(",\"client\":\"c").count(client.0.into()).raw("\"");
    }
    line.raw(",\"t\":").count(i.t.0);
    line.optional(",\"intended\":", i.intended.map(|t| t.0));
    if let Some(node) = i.node {
        line.raw(",\"node\":").text(names.node_name(node))?;
    }
    line.raw(",\"key\":").text(names.key_name(i.key))?;
    match i.call {
        Call::Read => line.raw(",\"f\":\"read\""),
        Call::Write { new } => line.raw(",\"f\":\"write\",\"new\":").number(new.0),
        Call::Cas { expected, new } => {
            line.raw(",\"f\":\"cas\",\"expected\":").nullable(expected.map(|v| v.0)).raw(",\"new\":").number(new.0)
        }
    };
    line.optional(",\"intent\":", i.intent.map(|intent| intent.0));
    line.optional(",\"attempt\":", i.attempt.map(u64::from));
    if let Some(payload) = i.payload {
        line.raw(",\"payload\":").number(payload);
    }
    if let Path::LastWriteWins(consistency) = i.path {
        line.raw(",\"path\":\"cheap\",\"consistency\":\"").raw(consistency.name()).raw("\"");
    }
    line.raw("}\n");
    Some(())
}

fn completion<S>(e: &str, c: &Completion<S>, names: &Names, line: &mut Line<'_>, seen: impl FnOnce(&mut Line<'_>)) -> Option<()> {
    line.raw("{\"e\":\"").raw(e).raw("\",\"op\":").count(c.op.0).raw(",\"t\":").count(c.t.0);
    if let Some(node) = c.node {
        line.raw(",\"node\":").text(names.node_name(node))?;
    }
    seen(line);
    if let Some(reason) = &c.reason {
        line.raw(",\"reason\":").text(reason)?;
    }
    for (id, figure) in c.diagnostics.iter().flat_map(|figures| figures.iter()) {
        line.raw(",").text(&names.figure_info(id).name)?.raw(":");
        match figure {
            Figure::Number(number) => line.number(number),
            Figure::Text(text) => line.text(&text)?,
        };
    }
    line.raw("}\n");
    Some(())
}

fn seen(seen: Seen, line: &mut Line<'_>) {
    match seen {
        Seen::Value(value) => line.raw(",\"f\":\"read\",\"value\":").nullable(value.map(|v| v.0)),
        Seen::Written => line.raw(",\"f\":\"write\""),
        Seen::Applied => line.raw(",\"f\":\"cas\",\"applied\":true"),
        Seen::ConditionNotMet(Current::Known(value)) => {
            line.raw(",\"f\":\"cas\",\"applied\":false,\"current\":").nullable(value.map(|v| v.0))
        }
        Seen::ConditionNotMet(Current::NotReported) => line.raw(",\"f\":\"cas\",\"applied\":false"),
    };
}

/// The line being written.
struct Line<'o> {
    out: &'o mut Vec<u8>,
}

impl Line<'_> {
    #[inline]
    fn raw(&mut self, text: &str) -> &mut Self {
        self.out.extend_from_slice(text.as_bytes());
        self
    }

    /// Appends a text in quotation marks; `None` if it needs an escape.
    #[inline]
    fn text(&mut self, text: &str) -> Option<&mut Self> {
        if text.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
            return None;
        }
        Some(self.raw("\"").raw(text).raw("\""))
    }

    #[inline]
    fn count(&mut self, mut number: u64) -> &mut Self {
        const MAX_DIGITS: usize = 20;
        let (mut digits, mut at) = ([0; MAX_DIGITS], MAX_DIGITS);
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[at..]);
        self
    }

    #[inline]
    fn number(&mut self, number: i64) -> &mut Self {
        if number < 0 {
            self.raw("-");
        }
        self.count(number.unsigned_abs())
    }

    #[inline]
    fn nullable(&mut self, number: Option<i64>) -> &mut Self {
        match number {
            Some(number) => self.number(number),
            None => self.raw("null"),
        }
    }

    #[inline]
    fn optional(&mut self, field: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.raw(field).count(number);
        }
    }
}
