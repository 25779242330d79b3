//! Encodes plain data as bytes, appended to a buffer without an intermediate copy.

use serde::Serialize;

/// Appends the encoding of `value`.
pub(crate) fn append<T: Serialize>(value: &T, out: &mut impl Sink) {
    // Serializing plain data into memory cannot fail.
    postcard::serialize_with_flavor(value, Appender(out)).expect("plain data encodes");
}

/// A growing buffer. Messages (for a socket) and records (for a batch) are encoded into it without an intermediate
/// copy.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for bytes::BytesMut {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

struct Appender<'a, S>(&'a mut S);

impl<S: Sink> postcard::ser_flavors::Flavor for Appender<'_, S> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.put(&[byte]);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.put(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
