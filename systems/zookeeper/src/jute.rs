//! The wire format: integers in network byte order, byte strings and messages with a length prefix.

/// Builds a record.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn int(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn long(mut self, value: i64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn boolean(mut self, value: bool) -> Self {
        self.0.push(u8::from(value));
        self
    }

    /// # Panics
    /// Panics if the string is longer than any message may be.
    pub(crate) fn bytes(mut self, value: &[u8]) -> Self {
        self = self.int(i32::try_from(value.len()).expect("values are bounded"));
        self.0.extend(value);
        self
    }

    pub(crate) fn string(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }

    /// Returns the record without a length prefix.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Returns the record as a message, with its length prefix.
    pub(crate) fn message(self) -> Vec<u8> {
        Writer::default().bytes(&self.0).0
    }
}

/// Parses a record. Missing fields are `None`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn int(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(crate) fn long(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    /// Reads a byte string. An absent one is returned as empty.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        match self.int()? {
            -1 => Some(&[]),
            len => self.take(usize::try_from(len).ok()?),
        }
    }
}

/// The reply to a read of a znode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Znode<'a> {
    /// Its data.
    pub(crate) data: &'a [u8],
    /// Number of times the data has been set.
    pub(crate) version: i32,
}

impl<'a> Znode<'a> {
    /// Reads the data and statistics. Four numbers of 8 bytes precede the version: two transaction ids and two times.
    pub(crate) fn read(mut record: Reader<'a>) -> Option<Self> {
        let data = record.bytes()?;
        for _ in 0..4 {
            record.long()?;
        }
        Some(Znode { data, version: record.int()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip_and_truncated_fields_are_absent() {
        let message = Writer::default().int(-2).long(1 << 40).boolean(true).string("/k1").bytes(&[]).message();
        let mut record = Reader(&message);
        let mut body = Reader(record.bytes().expect("the message"));
        assert_eq!((body.int(), body.long(), body.take(1)), (Some(-2), Some(1 << 40), Some(&[1][..])));
        assert_eq!((body.bytes(), body.bytes(), body.int()), (Some(&b"/k1"[..]), Some(&[][..]), None));
        for len in 0..message.len() {
            assert_eq!(Reader(&message[..len]).bytes(), None, "{len} bytes");
        }
        assert_eq!(Reader(&[0xff; 4]).bytes(), Some(&[][..]), "absent");
        assert_eq!(Reader(&[0xff, 0xff, 0xff, 0xfe]).bytes(), None, "a length below that");
    }

    #[test]
    fn parses_data_and_version_of_a_znode() {
        let body = Writer::default().bytes(b"data").long(1).long(2).long(3).long(4).int(7).int(8).message();
        assert_eq!(Znode::read(Reader(&body[4..])), Some(Znode { data: b"data", version: 7 }));
        assert_eq!(Znode::read(Reader(&body[4..body.len() - 5])), None);
    }
}
