//! The JSON form of an event: one flat object per line, schema `heckle.history/1`.
//!
//! The object is flat and its texts borrow from the line, because a file may have ten million lines, and serde's tagged
//! enums would first buffer every object as a tree. Additional fields of a completion are figures of the system. On
//! other lines they are skipped, so a later minor version can add fields.

mod fields; // all fields that an event may have, for serde
mod read; // converts fields to events, enforcing every rule of the format
mod scan; // the fast path for reading lines in the form written by this crate
mod write; // converts events to fields
mod print; // the fast path for writing the events of operations

use crate::event::Event;
use crate::names::Names;
use fields::Line;
pub(crate) use scan::scan;

/// Parses one event from its line.
///
/// # Errors
/// Describes the error. The caller knows the line number.
pub fn parse(line: &[u8], names: &mut Names) -> Result<Event, String> {
    let line: Line<'_> = serde_json::from_slice(line).map_err(|e| format!("not an event: {e}"))?;
    line.into_event(names)
}

/// Writes one event as a line, including the newline.
pub fn format(event: &Event, names: &Names, out: &mut Vec<u8>) {
    if !print::print(event, names, out) {
        format_any(event, names, out);
    }
}

/// Writes an event of any kind.
fn format_any(event: &Event, names: &Names, out: &mut Vec<u8>) {
    let line = Line::from_event(event, names);
    // Writing to a Vec cannot fail and every field has a JSON form, so this cannot fail.
    serde_json::to_writer(&mut *out, &line).expect("an event is always writable as JSON");
    out.push(b'\n');
}

#[cfg(test)]
mod tests;
