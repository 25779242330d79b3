//! Finds the end of a client or peer protocol frame from its header.

use heckle_server::frame::{FrameKind, HEADER_LEN, MAGIC, frame_kind, frame_len};
use heckle_system_api::capability::{Framing, Piece};

/// The framing of the bundled server.
#[derive(Debug, Clone, Copy)]
pub struct PaxosFraming;

impl Framing for PaxosFraming {
    fn next(&self, bytes: &[u8]) -> Piece {
        let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
            // The magic is checked as soon as its bytes have arrived. Otherwise, after a short line of another protocol, both sides
            // would wait for each other.
            let known = bytes.len().min(MAGIC.len());
            return if bytes[..known] == MAGIC[..known] { Piece::Partial(HEADER_LEN) } else { Piece::Foreign };
        };
        match (frame_kind(header), frame_len(header)) {
            (Ok(_), Ok(len)) if bytes.len() < len => Piece::Partial(len),
            (Ok(kind), Ok(len)) => whole(kind, len),
            (Err(_), _) | (_, Err(_)) => Piece::Foreign,
        }
    }
}

fn whole(kind: FrameKind, len: usize) -> Piece {
    match kind {
        FrameKind::ClientHello | FrameKind::ClientWelcome | FrameKind::Refused | FrameKind::PeerHello | FrameKind::PeerWelcome => {
            Piece::Handshake(len)
        }
        FrameKind::Request | FrameKind::Response | FrameKind::PeerMessage | FrameKind::PeerLease | FrameKind::PeerBeat => {
            Piece::Message(len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use heckle_server::frame::encode_frame;

    #[track_caller]
    fn check(bytes: &[u8], want: Piece) {
        assert_eq!(PaxosFraming.next(bytes), want, "{}", bytes.escape_ascii());
    }

    fn message() -> BytesMut {
        let mut wire = BytesMut::new();
        encode_frame(FrameKind::PeerMessage, b"12345", &mut wire);
        wire
    }

    #[test]
    fn header_determines_the_frame_length() {
        let mut wire = BytesMut::new();
        encode_frame(FrameKind::PeerHello, b"me", &mut wire);
        wire.extend_from_slice(&message());
        let (hello, message) = (HEADER_LEN + 2, HEADER_LEN + 5);
        check(&wire, Piece::Handshake(hello));
        check(&wire[hello..], Piece::Message(message));
        check(&wire[hello..hello + message - 1], Piece::Partial(message));
        check(&wire[hello..hello + 6], Piece::Partial(HEADER_LEN));
        check(&wire[hello..=hello], Piece::Partial(HEADER_LEN));
    }

    #[test]
    fn other_protocols_are_foreign() {
        let (mut version, mut kind, mut len) = (message(), message(), message());
        (version[2], kind[3], len[7]) = (9, 99, 255);
        for nonsense in [&b"X"[..], b"hX", b"GET / HTTP/1.1 and more", &version, &kind, &len] {
            check(nonsense, Piece::Foreign);
        }
    }
}
