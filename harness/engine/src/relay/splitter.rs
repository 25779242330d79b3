//! Splits a byte stream into whole messages according to the system's framing, without reading a payload.

use heckle_system_api::capability::{Framing, Piece};

/// The kind of an indivisible piece of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// A handshake message: never lost, duplicated or reordered, or the connection would hang.
    Handshake,
    /// Any other message.
    Frame,
    /// Bytes of a stream without messages.
    Raw,
}

/// Result of splitting the next bytes of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    /// A whole piece of this many bytes.
    Whole(Unit, usize),
    /// The start of a message of at least this many bytes.
    Partial(usize),
}

/// Remembers whether a direction consists of messages.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    raw: bool,
}

impl Splitter {
    /// Splits the next bytes, of which there must be at least one. Once a stream has lost its message boundaries it
    /// stays raw to its end: a header found later could be part of a payload.
    pub(super) fn split(&mut self, bytes: &[u8], framing: &dyn Framing) -> Split {
        debug_assert!(!bytes.is_empty());
        if !self.raw {
            match framing.next(bytes) {
                Piece::Handshake(len) if fits(len, bytes) => return Split::Whole(Unit::Handshake, len),
                Piece::Message(len) if fits(len, bytes) => return Split::Whole(Unit::Frame, len),
                Piece::Partial(len) if len > bytes.len() => return Split::Partial(len),
                // An inconsistent framing must not make the relay wait forever or read past the end.
                Piece::Handshake(_) | Piece::Message(_) | Piece::Partial(_) | Piece::Foreign => self.raw = true,
            }
        }
        Split::Whole(Unit::Raw, bytes.len())
    }

    /// Whether this stream turned out not to consist of messages.
    pub(super) fn is_raw(&self) -> bool {
        self.raw
    }
}

fn fits(len: usize, bytes: &[u8]) -> bool {
    (1..=bytes.len()).contains(&len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A framing by lines. A line that begins with `!` is a handshake, and `?` begins another protocol. `#` and a
    /// digit give a false length.
    struct Lines;

    impl Framing for Lines {
        fn next(&self, bytes: &[u8]) -> Piece {
            match (bytes[0], bytes.iter().position(|b| *b == b'\n').map(|at| at + 1)) {
                (b'?', _) => Piece::Foreign,
                (b'0', _) => Piece::Message(0),
                (b'9', _) => Piece::Message(bytes.len() + 1),
                (b'8', _) => Piece::Partial(bytes.len()),
                (_, None) => Piece::Partial(bytes.len() + 1),
                (b'!', Some(len)) => Piece::Handshake(len),
                (_, Some(len)) => Piece::Message(len),
            }
        }
    }

    #[track_caller]
    fn check(bytes: &[u8], want: Split) {
        assert_eq!(Splitter::default().split(bytes, &Lines), want, "{}", bytes.escape_ascii());
    }

    #[test]
    fn messages_end_where_the_framing_says() {
        check(b"!hello\nrest", Split::Whole(Unit::Handshake, 7));
        check(b"rest\n", Split::Whole(Unit::Frame, 5));
        check(b"res", Split::Partial(4));
    }

    #[test]
    fn non_messages_and_inconsistent_framings_become_raw() {
        for nonsense in [&b"?"[..], b"0", b"9abc", b"8abc"] {
            check(nonsense, Split::Whole(Unit::Raw, nonsense.len()));
        }
        let mut splitter = Splitter::default();
        assert_eq!(splitter.split(b"?", &Lines), Split::Whole(Unit::Raw, 1));
        assert!(splitter.is_raw());
        assert_eq!(splitter.split(b"a line\n", &Lines), Split::Whole(Unit::Raw, 7));
    }
}
