//! The encoding of a value: its number, its payload, and filler computed from both, so that a torn or mixed-up value is
//! detected.
//!
//! | bytes | holds |
//! |---|---|
//! | 0 to 7 | the number, big-endian |
//! | 8 to 15 | the payload, big-endian, if the workload has one |
//! | the rest | filler |

use heckle_history::Value;

/// Encodes values of a fixed length, with or without a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueCodec {
    bytes: usize,
    form: Payload,
}

/// Whether a payload follows the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// Filler only.
    Absent,
    /// A payload, then filler.
    Present,
}

impl Payload {
    /// The minimum length at which a torn value is detected. Without filler after it, a payload could be swapped unnoticed.
    pub const fn least_bytes(self) -> u32 {
        match self {
            Payload::Absent => 8,
            Payload::Present => 24,
        }
    }
}

/// A value that our clients never write. It represents unreadable bytes, so that the checker reports them.
const NEVER_WRITTEN: Value = Value(i64::MIN);

impl ValueCodec {
    /// # Panics
    /// Panics if `bytes` is less than [`Payload::least_bytes`]. Plans are validated earlier.
    pub fn new(bytes: u32, form: Payload) -> Self {
        assert!(bytes >= form.least_bytes(), "a value needs {} bytes or more", form.least_bytes());
        ValueCodec { bytes: bytes as usize, form }
    }

    /// Encodes a value. A missing payload is encoded as 0.
    pub fn encode(&self, value: Value, payload: Option<i64>) -> Vec<u8> {
        let number = value.0.to_be_bytes();
        match self.form {
            Payload::Absent => (0..self.bytes).map(|i| number[i % 8].wrapping_add((i / 8) as u8)).collect(),
            Payload::Present => {
                let payload = payload.unwrap_or(0);
                let check = mix(value.0 as u64 ^ mix(payload as u64)).to_be_bytes();
                let filler = (16..self.bytes).map(|i| check[i % 8].wrapping_add((i / 8) as u8));
                number.into_iter().chain(payload.to_be_bytes()).chain(filler).collect()
            }
        }
    }

    /// Decodes a value and its payload.
    pub fn decode(&self, bytes: &[u8]) -> (Value, Option<i64>) {
        let word = |at: usize| Some(i64::from_be_bytes(*bytes.get(at..)?.first_chunk::<8>()?));
        let Some(value) = word(0).map(Value) else { return (NEVER_WRITTEN, None) };
        let payload = match self.form {
            Payload::Absent => None,
            Payload::Present => word(8),
        };
        if bytes == self.encode(value, payload) { (value, payload) } else { (NEVER_WRITTEN, None) }
    }
}

/// The finaliser of splitmix64 (Steele et al. 2014).
fn mix(x: u64) -> u64 {
    let z = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_trip_and_torn_values_are_detected() {
        for (value, len) in [(1, 8), (i64::MAX, 64), (77, 13)] {
            let codec = ValueCodec::new(len, Payload::Absent);
            let bytes = codec.encode(Value(value), None);
            assert_eq!((bytes.len(), codec.decode(&bytes)), (len as usize, (Value(value), None)));
            let mut torn = bytes.clone();
            *torn.last_mut().expect("not empty") ^= 1;
            assert_ne!(codec.decode(&torn).0, Value(value));
            assert_eq!(codec.decode(&bytes[..7]).0, NEVER_WRITTEN);
        }
    }

    #[test]
    fn payload_round_trips_and_is_bound_to_its_value() {
        for (payload, len) in [(0, 24), (-1, 24), (i64::MAX, 31), (7, 1_000)] {
            let codec = ValueCodec::new(len, Payload::Present);
            let bytes = codec.encode(Value(9), Some(payload));
            assert_eq!((bytes.len(), codec.decode(&bytes)), (len as usize, (Value(9), Some(payload))));
            // The number of one value with the payload of another.
            let other = codec.encode(Value(10), Some(payload.wrapping_add(1)));
            let mixed = [&bytes[..8], &other[8..]].concat();
            assert_eq!(codec.decode(&mixed).0, NEVER_WRITTEN);
            let mut exchanged = bytes.clone();
            exchanged[8..16].copy_from_slice(&other[8..16]);
            assert_eq!(codec.decode(&exchanged).0, NEVER_WRITTEN);
            for at in 0..len as usize {
                let mut torn = bytes.clone();
                torn[at] ^= 0x40;
                assert_eq!(codec.decode(&torn).0, NEVER_WRITTEN, "byte {at}");
            }
        }
    }
}
