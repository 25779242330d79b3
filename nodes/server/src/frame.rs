//! Length-prefixed frames: the envelope of every message on a client or a peer connection.
//!
//! ```text
//! 0      2         3      4         8                12                16
//! | 'hk' | version | kind | len u32 | crc of header  | crc of payload | payload: len bytes |
//! ```
//!
//! Integers are little-endian, checksums are CRC-32 (IEEE). The header has its own checksum: with only one checksum
//! at the end of the frame, a flipped bit in the length would leave the reader waiting for bytes that never arrive,
//! with the link silent all the while. TCP already has a checksum, but a weak one (16 bits of one's-complement sum),
//! and a fault injector above TCP corrupts whole streams.
//!
//! This module does no IO: a [`FrameReader`] takes bytes, in pieces of any size, and returns frames. A relay that
//! only splits a stream into frames uses [`frame_len`] and never reads a payload.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The first two bytes of every frame.
pub const MAGIC: [u8; 2] = *b"hk";
/// Version of the envelope (not of the messages inside: the handshake negotiates those).
pub const FRAME_VERSION: u8 = 1;
/// Length of a frame's header in bytes.
pub const HEADER_LEN: usize = 16;
/// Maximum payload in bytes. A peer message may carry an accepted update and a row, each with a value of at most
/// [`MAX_VALUE`](crate::client_protocol::MAX_VALUE) bytes and a dedupe table. This limit leaves ample room for both.
pub const MAX_PAYLOAD: usize = 8 << 20;
/// Maximum payload in bytes of a frame before the end of the handshake.
pub const MAX_HANDSHAKE: usize = 4 << 10;
/// Maximum length of a frame in bytes, including its header.
pub const MAX_FRAME: usize = HEADER_LEN + MAX_PAYLOAD;

/// The content of a frame. A fault injector may duplicate, reorder or drop [`FrameKind::PeerMessage`],
/// [`FrameKind::PeerLease`] and [`FrameKind::PeerBeat`] frames freely, since Paxos tolerates that. The other kinds
/// belong to a handshake or to an ordered client conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// A client introduces itself.
    ClientHello = 1,
    /// The node accepts a client.
    ClientWelcome = 2,
    /// The node refuses a client or a peer, gives the reason, and closes the connection.
    Refused = 3,
    /// A client requests one operation.
    Request = 4,
    /// The node replies to one operation.
    Response = 5,
    /// A node introduces itself to another.
    PeerHello = 16,
    /// The other node accepts the connection.
    PeerWelcome = 17,
    /// A message of the Paxos core.
    PeerMessage = 18,
    /// A lease message.
    PeerLease = 19,
    /// A heartbeat on an idle link, which shows that the link works.
    PeerBeat = 20,
}

impl FrameKind {
    fn from_byte(byte: u8) -> Option<FrameKind> {
        Some(match byte {
            1 => FrameKind::ClientHello,
            2 => FrameKind::ClientWelcome,
            3 => FrameKind::Refused,
            4 => FrameKind::Request,
            5 => FrameKind::Response,
            16 => FrameKind::PeerHello,
            17 => FrameKind::PeerWelcome,
            18 => FrameKind::PeerMessage,
            19 => FrameKind::PeerLease,
            20 => FrameKind::PeerBeat,
            _ => return None,
        })
    }
}

/// A complete frame with a valid checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Kind of the payload.
    pub kind: FrameKind,
    /// The message, still encoded.
    pub payload: Bytes,
}

/// Why bytes are not a frame. All of these errors are fatal: the reader no longer knows where the next frame starts,
/// so the connection must be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The bytes are not a frame: they belong to another protocol, or the reader has lost its position in the stream.
    #[error("not a heckle frame: it starts with {}, expected \"hk\"", printable(.start))]
    WrongMagic {
        /// The first bytes seen.
        start: [u8; HEADER_LEN],
    },
    /// A frame of another version of this protocol.
    #[error("frame version {found}, this node speaks version {FRAME_VERSION}: use programs of the same release on both sides")]
    OtherVersion {
        /// The version byte seen.
        found: u8,
    },
    /// The kind of the frame is unknown to this version.
    #[error("unknown kind of frame {found}")]
    UnknownKind {
        /// The kind byte seen.
        found: u8,
    },
    /// The frame claims to be longer than allowed here.
    #[error("a frame of {len} bytes is over the limit of {limit}{}", if *.limit == MAX_HANDSHAKE { " before the end of the handshake" } else { "" })]
    TooLong {
        /// The length claimed.
        len: u32,
        /// The longest payload allowed.
        limit: usize,
    },
    /// The header or the payload was corrupted in transit.
    #[error("bad checksum: the frame says {found:08x}, its bytes give {computed:08x}")]
    BadChecksum {
        /// The checksum in the header.
        found: u32,
        /// The checksum of the bytes received.
        computed: u32,
    },
}

impl FrameError {
    /// Whether the other side seems to speak HTTP. If so, the reply can be one that a browser displays.
    pub fn looks_like_http(&self) -> bool {
        const METHODS: [&[u8]; 6] = [b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"OPTIONS "];
        match self {
            FrameError::WrongMagic { start } => METHODS.iter().any(|m| start.starts_with(m)),
            FrameError::OtherVersion { .. }
            | FrameError::UnknownKind { .. }
            | FrameError::TooLong { .. }
            | FrameError::BadChecksum { .. } => false,
        }
    }
}

fn printable(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

/// Appends one frame to `out`.
///
/// # Panics
/// Panics if `payload` is longer than [`MAX_PAYLOAD`]. The caller must bound the parts of a message.
pub fn encode_frame(kind: FrameKind, payload: &[u8], out: &mut BytesMut) {
    encode_frame_with(kind, out, |out| out.extend_from_slice(payload));
}

/// Appends one frame. `fill` writes the payload in place, which saves a copy.
///
/// # Panics
/// Panics if `fill` appends more than [`MAX_PAYLOAD`] bytes.
pub fn encode_frame_with(kind: FrameKind, out: &mut BytesMut, fill: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_slice(&MAGIC);
    out.put_u8(FRAME_VERSION);
    out.put_u8(kind as u8);
    out.put_bytes(0, HEADER_LEN - 4);
    fill(out);
    let len = out.len() - start - HEADER_LEN;
    assert!(len <= MAX_PAYLOAD, "a payload of {len} bytes is over the limit of {MAX_PAYLOAD}");
    let frame = &mut out[start..];
    // The assertion above keeps the length within u32.
    frame[4..8].copy_from_slice(&(len as u32).to_le_bytes());
    let header_crc = crc32fast::hash(&frame[..8]);
    frame[8..12].copy_from_slice(&header_crc.to_le_bytes());
    let payload_crc = crc32fast::hash(&frame[HEADER_LEN..]);
    frame[12..16].copy_from_slice(&payload_crc.to_le_bytes());
}

fn check_crc(found: [u8; 4], bytes: &[u8]) -> Result<(), FrameError> {
    let (found, computed) = (u32::from_le_bytes(found), crc32fast::hash(bytes));
    if found == computed { Ok(()) } else { Err(FrameError::BadChecksum { found, computed }) }
}

/// Returns the length of the whole frame that begins with this header, including the header.
///
/// # Errors
/// Fails if the header is not valid in this version, or was corrupted in transit.
pub fn frame_len(header: &[u8; HEADER_LEN]) -> Result<usize, FrameError> {
    parse_header(header, MAX_PAYLOAD).map(|(_, len)| HEADER_LEN + len)
}

/// Returns the kind of the frame that begins with this header.
///
/// # Errors
/// As for [`frame_len`].
pub fn frame_kind(header: &[u8; HEADER_LEN]) -> Result<FrameKind, FrameError> {
    parse_header(header, MAX_PAYLOAD).map(|(kind, _)| kind)
}

fn parse_header(header: &[u8; HEADER_LEN], limit: usize) -> Result<(FrameKind, usize), FrameError> {
    if header[..2] != MAGIC {
        return Err(FrameError::WrongMagic { start: *header });
    }
    if header[2] != FRAME_VERSION {
        return Err(FrameError::OtherVersion { found: header[2] });
    }
    let kind = FrameKind::from_byte(header[3]).ok_or(FrameError::UnknownKind { found: header[3] })?;
    let len = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    check_crc([header[8], header[9], header[10], header[11]], &header[..8])?;
    if len as usize > limit {
        return Err(FrameError::TooLong { len, limit });
    }
    Ok((kind, len as usize))
}

/// Collects bytes and returns frames.
///
/// ```
/// use bytes::BytesMut;
/// use heckle_server::frame::{FrameKind, FrameReader, encode_frame};
///
/// let mut wire = BytesMut::new();
/// encode_frame(FrameKind::Request, b"hello", &mut wire);
/// let mut reader = FrameReader::new();
/// let (head, tail) = wire.split_at(7);
/// reader.push(head);
/// assert!(reader.next_frame().unwrap().is_none());
/// reader.push(tail);
/// assert_eq!(&reader.next_frame().unwrap().unwrap().payload[..], b"hello");
/// ```
#[derive(Debug)]
pub struct FrameReader {
    buffer: BytesMut,
    max_payload: usize,
}

impl Default for FrameReader {
    fn default() -> FrameReader {
        FrameReader { buffer: BytesMut::new(), max_payload: MAX_PAYLOAD }
    }
}

impl FrameReader {
    /// Creates an empty reader.
    pub fn new() -> FrameReader {
        FrameReader::default()
    }

    /// Sets the maximum payload of the following frames. Initially [`MAX_PAYLOAD`].
    pub fn set_max_payload(&mut self, bytes: usize) {
        self.max_payload = bytes.min(MAX_PAYLOAD);
    }

    /// Adds received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The internal buffer, for reads directly from a socket. Callers may only append to it.
    pub fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Number of received bytes that do not yet form a complete frame.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// Returns the next complete frame, or `None` if more bytes are needed.
    ///
    /// A stream that does not start with the magic is refused as soon as its first two bytes have arrived, so that a
    /// short line of another protocol does not leave both sides waiting for each other.
    ///
    /// # Errors
    /// Fails if the bytes are not a frame. The connection is then no longer usable.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let seen = self.buffer.len().min(HEADER_LEN);
        let mut header = [0; HEADER_LEN];
        header[..seen].copy_from_slice(&self.buffer[..seen]);
        if seen < HEADER_LEN {
            let known = seen.min(MAGIC.len());
            if header[..known] != MAGIC[..known] {
                return Err(FrameError::WrongMagic { start: header });
            }
            return Ok(None);
        }
        let (kind, len) = parse_header(&header, self.max_payload)?;
        if self.buffer.len() < HEADER_LEN + len {
            return Ok(None);
        }
        let payload = &self.buffer[HEADER_LEN..HEADER_LEN + len];
        check_crc([header[12], header[13], header[14], header[15]], payload)?;
        self.buffer.advance(HEADER_LEN);
        Ok(Some(Frame { kind, payload: self.buffer.split_to(len).freeze() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    fn wire(frames: &[(FrameKind, &[u8])]) -> BytesMut {
        let mut out = BytesMut::new();
        for (kind, payload) in frames {
            encode_frame(*kind, payload, &mut out);
        }
        out
    }

    #[track_caller]
    fn check_refused(bytes: &[u8], part_of_message: &str) {
        let mut reader = FrameReader::new();
        reader.push(bytes);
        let error = reader.next_frame().expect_err("these bytes are no frame").to_string();
        assert!(error.contains(part_of_message), "{error:?} lacks {part_of_message:?}");
    }

    #[test]
    fn frames_survive_any_split() {
        let frames = [(FrameKind::Request, &b"abc"[..]), (FrameKind::PeerMessage, b""), (FrameKind::Response, &[7; 300])];
        let bytes = wire(&frames);
        for cut in 0..=bytes.len() {
            let mut reader = FrameReader::new();
            let mut got = Vec::new();
            for part in [&bytes[..cut], &bytes[cut..]] {
                reader.push(part);
                while let Some(frame) = reader.next_frame().unwrap() {
                    got.push(frame);
                }
            }
            assert_eq!(got.len(), 3, "cut at {cut}");
            for (frame, (kind, payload)) in got.iter().zip(frames) {
                assert_eq!((frame.kind, &frame.payload[..]), (kind, payload), "cut at {cut}");
            }
            assert_eq!(reader.pending(), 0);
        }
    }

    #[test]
    fn every_flipped_bit_is_detected() {
        let bytes = wire(&[(FrameKind::Request, b"some payload")]);
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let mut reader = FrameReader::new();
            reader.push(&bad);
            // The error must come immediately: a reader waiting for more bytes would wait forever.
            assert!(reader.next_frame().is_err(), "flipped bit {bit} went unnoticed");
        }
    }

    #[test]
    fn invalid_bytes_get_a_clear_error() {
        check_refused(b"GET / HTTP/1.1\r\n", "starts with \"GET / HTTP/1");
        check_refused(b"X", "not a heckle frame");
        let changed = |at: usize, bytes: &[u8]| {
            let mut frame = wire(&[(FrameKind::Request, b"")]);
            frame[at..at + bytes.len()].copy_from_slice(bytes);
            let crc = crc32fast::hash(&frame[..8]);
            frame[8..12].copy_from_slice(&crc.to_le_bytes());
            frame
        };
        check_refused(&changed(2, &[9]), "frame version 9");
        check_refused(&changed(3, &[99]), "unknown kind of frame 99");
        check_refused(&changed(4, &u32::MAX.to_le_bytes()), "over the limit");
        assert!(FrameError::WrongMagic { start: *b"GET / HTTP/1.1\r\n" }.looks_like_http());
        assert!(!FrameError::WrongMagic { start: *b"SSH-2.0-OpenSSH_" }.looks_like_http());
    }

    #[test]
    fn a_reader_has_its_own_limit() {
        let bytes = wire(&[(FrameKind::ClientHello, &[0; MAX_HANDSHAKE]), (FrameKind::Request, &[0; MAX_HANDSHAKE + 1])]);
        let mut reader = FrameReader::new();
        reader.set_max_payload(MAX_HANDSHAKE);
        reader.push(&bytes);
        assert_eq!(reader.next_frame().unwrap().unwrap().payload.len(), MAX_HANDSHAKE);
        let error = reader.next_frame().unwrap_err();
        assert_eq!(error, FrameError::TooLong { len: MAX_HANDSHAKE as u32 + 1, limit: MAX_HANDSHAKE });
        assert!(error.to_string().contains("4097 bytes is over the limit of 4096 before"), "{error}");
        reader.set_max_payload(MAX_PAYLOAD);
        assert!(reader.next_frame().unwrap().is_some());
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(0x5eed);
        let good = wire(&[(FrameKind::Request, &[1; 64]), (FrameKind::Response, &[2; 64])]);
        for round in 0..20_000 {
            let mut bytes = good.clone();
            if round % 2 == 0 {
                for _ in 0..rng.random_range(1..8) {
                    let at = rng.random_range(0..bytes.len());
                    bytes[at] = rng.random();
                }
            } else {
                bytes.truncate(rng.random_range(0..bytes.len()));
            }
            let mut reader = FrameReader::new();
            reader.push(&bytes);
            let mut frames = 0;
            while let Ok(Some(_)) = reader.next_frame() {
                frames += 1;
            }
            assert!(frames <= 2);
        }
    }

    #[test]
    fn frame_len_needs_only_the_header() {
        let bytes = wire(&[(FrameKind::PeerMessage, b"12345"), (FrameKind::PeerHello, b"")]);
        let header: [u8; HEADER_LEN] = bytes[..HEADER_LEN].try_into().unwrap();
        assert_eq!(frame_len(&header), Ok(HEADER_LEN + 5));
        assert_eq!(frame_kind(&header), Ok(FrameKind::PeerMessage));
    }
}
