//! The batch: the unit of writing, checksumming and syncing.
//!
//! ```text
//! 0        4         8          16      20      24
//! | 'HKBT' | len u32 | seq u64  | count | crc   | count x (len u32, record), len bytes in all | pad to 8
//! ```
//! The checksum covers the file's salt, the fields before it and the payload. The salt is random for each file and
//! never leaves the disk. So bytes chosen by a client cannot pass for a batch when recovery searches the rest of a
//! file for one.

/// Size of the header in front of a batch's payload, in bytes.
pub(crate) const BATCH_HEADER: usize = 24;
/// Batches start at multiples of this many bytes, which makes the search for later ones cheap.
pub(crate) const BATCH_ALIGN: usize = 8;
/// Payload in bytes that may accumulate before the event loop waits for the disk.
pub(crate) const MAX_BATCH_PAYLOAD: usize = 4 << 20;

const MAGIC: &[u8; 4] = b"HKBT";

/// Builds one batch from its records.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    bytes: Vec<u8>,
    count: u32,
}

impl BatchBuilder {
    pub(crate) fn new() -> BatchBuilder {
        BatchBuilder { bytes: vec![0; BATCH_HEADER], count: 0 }
    }

    /// Adds one record. `fill` writes it in place.
    pub(crate) fn add(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        fill(&mut self.bytes);
        let len = u32::try_from(self.bytes.len() - start - 4).expect("a record is far below 4 GiB");
        self.bytes[start..start + 4].copy_from_slice(&len.to_le_bytes());
        self.count += 1;
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn payload_len(&self) -> usize {
        self.bytes.len() - BATCH_HEADER
    }

    /// Size of the batch in a file, in bytes.
    pub(crate) fn file_len(&self) -> usize {
        self.bytes.len().next_multiple_of(BATCH_ALIGN)
    }

    /// Fills in the header and returns the bytes to write. May be called again with another sequence number.
    pub(crate) fn seal(&mut self, salt: u64, seq: u64) -> &[u8] {
        let end = BATCH_HEADER + self.payload_len();
        let len = u32::try_from(self.payload_len()).expect("a batch is far below 4 GiB");
        self.bytes[0..4].copy_from_slice(MAGIC);
        self.bytes[4..8].copy_from_slice(&len.to_le_bytes());
        self.bytes[8..16].copy_from_slice(&seq.to_le_bytes());
        self.bytes[16..20].copy_from_slice(&self.count.to_le_bytes());
        let crc = checksum(salt, &self.bytes[..20], &self.bytes[BATCH_HEADER..end]);
        self.bytes[20..24].copy_from_slice(&crc.to_le_bytes());
        &self.bytes
    }

    /// Empties the builder for the next batch. Its memory is kept, unless a huge batch has made it too large.
    pub(crate) fn clear(&mut self) {
        self.bytes.truncate(BATCH_HEADER);
        self.bytes.shrink_to(2 * MAX_BATCH_PAYLOAD);
        self.count = 0;
    }
}

fn checksum(salt: u64, head: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(head);
    hasher.update(payload);
    hasher.finalize()
}

/// A complete batch with a valid checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch<'a> {
    pub(crate) seq: u64,
    pub(crate) count: u32,
    payload: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Returns the batch at the start of `bytes`, if there is a valid one.
    pub(crate) fn parse(bytes: &'a [u8], salt: u64) -> Option<Batch<'a>> {
        let header = bytes.get(..BATCH_HEADER)?;
        if &header[..4] != MAGIC {
            return None;
        }
        let len = u32_at(header, 4) as usize;
        let payload = bytes.get(BATCH_HEADER..)?.get(..len)?;
        let end = BATCH_HEADER + len;
        let padding = &bytes[end..end.next_multiple_of(BATCH_ALIGN).min(bytes.len())];
        if padding.iter().any(|&byte| byte != 0) {
            return None;
        }
        (checksum(salt, &header[..20], payload) == u32_at(header, 20)).then(|| Batch {
            seq: u64::from_le_bytes(header[8..16].try_into().expect("eight bytes")),
            count: u32_at(header, 16),
            payload,
        })
    }

    /// The size, in a file, of the batch at the start of `bytes`, as declared by its header. Nothing else is checked.
    /// The magic and the length lie in one sector, so a crash leaves both or neither.
    pub(crate) fn declared_len(bytes: &[u8]) -> Option<usize> {
        let header = bytes.get(..BATCH_HEADER).filter(|header| &header[..4] == MAGIC)?;
        Some((BATCH_HEADER + u32_at(header, 4) as usize).next_multiple_of(BATCH_ALIGN))
    }

    /// Size of the batch in a file, in bytes.
    pub(crate) fn file_len(&self) -> usize {
        (BATCH_HEADER + self.payload.len()).next_multiple_of(BATCH_ALIGN)
    }

    /// The records of the batch, in order. The checksum was valid, so a record that does not fit indicates a bug in
    /// the writer: the caller compares the number of records with [`count`](Batch::count).
    pub(crate) fn records(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.payload;
        std::iter::from_fn(move || {
            let len = u32_at(rest.get(..4)?, 0) as usize;
            let record = rest.get(4..)?.get(..len)?;
            rest = &rest[4 + len..];
            Some(record)
        })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_round_trip_and_detect_flipped_bits() {
        let mut builder = BatchBuilder::new();
        for record in [&b"one"[..], b"", b"three"] {
            builder.add(|out| out.extend_from_slice(record));
        }
        let bytes = builder.seal(7, 42).to_vec();
        let batch = Batch::parse(&bytes, 7).unwrap();
        assert_eq!((batch.seq, batch.count), (42, 3));
        assert_eq!(batch.records().collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
        assert_eq!(batch.file_len(), builder.file_len());
        assert_eq!(Batch::parse(&bytes, 8), None, "the salt of another file");
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Batch::parse(&bad, 7), None, "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert_eq!(Batch::parse(&bytes[..cut], 7), None, "cut at {cut}");
        }
    }

    #[test]
    fn builders_are_reusable() {
        let mut builder = BatchBuilder::new();
        builder.add(|out| out.extend_from_slice(b"old"));
        builder.clear();
        assert_eq!((builder.count(), builder.payload_len()), (0, 0));
        builder.add(|out| out.extend_from_slice(b"new"));
        let bytes = builder.seal(1, 1).to_vec();
        assert_eq!(Batch::parse(&bytes, 1).unwrap().records().collect::<Vec<_>>(), [b"new"]);
    }
}
