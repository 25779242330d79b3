//! The wire format: integers in network byte order, byte strings behind their length, each message behind its own length.

/// A record that is being written.
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
    /// If it is longer than any message may be.
    pub(crate) fn bytes(mut self, value: &[u8]) -> Self {
        self = self.int(i32::try_from(value.len()).expect("values are bounded"));
        self.0.extend(value);
        self
    }

    pub(crate) fn string(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }

    /// The record behind its length, as a message.
    pub(crate) fn message(self) -> Vec<u8> {
        Writer::default().bytes(&self.0).0
    }
}

/// A record that is being read. What is not there is `None`.
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

    /// A byte string; one that is absent is empty.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        match self.int()? {
            -1 => Some(&[]),
            len => self.take(usize::try_from(len).ok()?),
        }
    }
}

/// What a read of a znode is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Znode<'a> {
    /// Its data.
    pub(crate) data: &'a [u8],
    /// How often the data was set.
    pub(crate) version: i32,
}

impl<'a> Znode<'a> {
    /// Data and statistics. Before the version stand four numbers of 8 bytes: two transactions and two times.
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
    fn what_is_written_is_read_back_and_what_is_cut_short_is_not_there() {
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
    fn a_znode_is_its_data_and_version() {
        let body = Writer::default().bytes(b"data").long(1).long(2).long(3).long(4).int(7).int(8).message();
        assert_eq!(Znode::read(Reader(&body[4..])), Some(Znode { data: b"data", version: 7 }));
        assert_eq!(Znode::read(Reader(&body[4..body.len() - 5])), None);
    }
}
