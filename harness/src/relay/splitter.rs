//! Where a frame ends: cuts a byte stream into frames by their headers, without looking at a payload.

use heckle_server::frame::{FrameKind, HEADER_LEN, MAGIC, frame_kind, frame_len};

/// What one indivisible piece of a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// A frame of the handshake: never lost, doubled or reordered, or the connection would hang.
    Handshake,
    /// Any other frame.
    Frame,
    /// Bytes of a stream that is not made of frames.
    Raw,
}

/// What the next bytes of a stream are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    /// A whole piece of this many bytes.
    Whole(Unit, usize),
    /// The start of a frame of at least this many bytes.
    Partial(usize),
}

/// Remembers of one direction whether it is made of frames.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    raw: bool,
}

impl Splitter {
    /// Looks at the next bytes, which must not be none. Once a stream has lost its place it stays raw to its end:
    /// a frame header found later could be part of a payload.
    pub(super) fn split(&mut self, bytes: &[u8]) -> Split {
        debug_assert!(!bytes.is_empty());
        if self.raw {
            return Split::Whole(Unit::Raw, bytes.len());
        }
        let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
            // The magic is checked as soon as its bytes are there, so that a short line of another protocol
            // does not leave both sides waiting for each other.
            let known = bytes.len().min(MAGIC.len());
            return if bytes[..known] == MAGIC[..known] { Split::Partial(HEADER_LEN) } else { self.give_up(bytes) };
        };
        match (frame_kind(header), frame_len(header)) {
            (Ok(_), Ok(len)) if bytes.len() < len => Split::Partial(len),
            (Ok(kind), Ok(len)) => Split::Whole(unit_of(kind), len),
            (Err(_), _) | (_, Err(_)) => self.give_up(bytes),
        }
    }

    /// Whether this stream turned out not to be made of frames.
    pub(super) fn is_raw(&self) -> bool {
        self.raw
    }

    fn give_up(&mut self, bytes: &[u8]) -> Split {
        self.raw = true;
        Split::Whole(Unit::Raw, bytes.len())
    }
}

fn unit_of(kind: FrameKind) -> Unit {
    match kind {
        FrameKind::ClientHello | FrameKind::ClientWelcome | FrameKind::Refused | FrameKind::PeerHello | FrameKind::PeerWelcome => {
            Unit::Handshake
        }
        FrameKind::Request | FrameKind::Response | FrameKind::PeerMessage | FrameKind::PeerLease | FrameKind::PeerBeat => Unit::Frame,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use heckle_server::frame::encode_frame;

    #[track_caller]
    fn check(bytes: &[u8], want: Split) {
        assert_eq!(Splitter::default().split(bytes), want, "{}", bytes.escape_ascii());
    }

    fn message() -> BytesMut {
        let mut wire = BytesMut::new();
        encode_frame(FrameKind::PeerMessage, b"12345", &mut wire);
        wire
    }

    #[test]
    fn frames_end_where_their_header_says() {
        let mut wire = BytesMut::new();
        encode_frame(FrameKind::PeerHello, b"me", &mut wire);
        wire.extend_from_slice(&message());
        let (hello, message) = (HEADER_LEN + 2, HEADER_LEN + 5);
        check(&wire, Split::Whole(Unit::Handshake, hello));
        check(&wire[hello..], Split::Whole(Unit::Frame, message));
        check(&wire[hello..hello + message - 1], Split::Partial(message));
        check(&wire[hello..hello + 6], Split::Partial(HEADER_LEN));
        check(&wire[hello..=hello], Split::Partial(HEADER_LEN));
    }

    #[test]
    fn what_is_no_frame_is_raw_to_its_end() {
        let (mut version, mut kind, mut len) = (message(), message(), message());
        (version[2], kind[3], len[7]) = (9, 99, 255);
        for nonsense in [&b"X"[..], b"hX", b"GET / HTTP/1.1 and more", &version, &kind, &len] {
            check(nonsense, Split::Whole(Unit::Raw, nonsense.len()));
        }
        let mut splitter = Splitter::default();
        assert_eq!(splitter.split(b"?"), Split::Whole(Unit::Raw, 1));
        assert!(splitter.is_raw());
        assert_eq!(splitter.split(&message()), Split::Whole(Unit::Raw, HEADER_LEN + 5));
    }
}
