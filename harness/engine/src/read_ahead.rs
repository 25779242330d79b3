//! Reads an input on a separate thread, so that decompressing the next part of a history overlaps with parsing the current one.

use crate::limits;
use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Size of a block.
const BLOCK_BYTES: usize = 1 << 18;
/// Maximum number of blocks waiting to be read. Together with the block being filled and the block being read, it bounds the memory used.
const MAX_WAITING: usize = 4;

/// Reader that reads an input at most a few blocks ahead.
pub struct ReadAhead {
    blocks: Receiver<io::Result<Vec<u8>>>,
    /// `None` once the end of the input has been seen.
    thread: Option<JoinHandle<()>>,
    /// Returns consumed blocks to be filled again.
    empty: Sender<Vec<u8>>,
    block: Vec<u8>,
    /// Number of bytes of `block` consumed so far.
    consumed: usize,
}

impl ReadAhead {
    /// Starts reading `input`. The thread ends at the end of the input, after an error, or soon after this reader is dropped.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn new(input: impl Read + Send + 'static) -> Result<ReadAhead, String> {
        let (send, blocks) = sync_channel(MAX_WAITING);
        let (empty, spare) = channel();
        let read = move || read_blocks(input, &send, &spare);
        let thread = Builder::new().name("read-ahead".into()).spawn(read).map_err(|e| limits::no_thread(&e))?;
        Ok(ReadAhead { blocks, thread: Some(thread), empty, block: vec![], consumed: 0 })
    }
}

fn read_blocks(mut input: impl Read, blocks: &SyncSender<io::Result<Vec<u8>>>, spare: &Receiver<Vec<u8>>) {
    loop {
        let mut block = spare.try_recv().unwrap_or_default();
        block.clear();
        let read = input.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block);
        let ended = block.len() < BLOCK_BYTES;
        if !block.is_empty() && blocks.send(Ok(block)).is_err() {
            return;
        }
        if let Err(e) = read {
            // Data read before the error is delivered first. The send fails only if the reader was dropped, which needs no handling.
            let _ = blocks.send(Err(e));
            return;
        }
        if ended {
            return;
        }
    }
}

impl BufRead for ReadAhead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.consumed == self.block.len() {
            let next = match self.blocks.recv() {
                Ok(block) => block?,
                // The thread ended without reporting an input error. If it panicked, the rest of the input is missing.
                Err(_) => match self.thread.take().map(JoinHandle::join) {
                    Some(Err(_)) => return Err(io::Error::other("the thread that reads it panicked")),
                    Some(Ok(())) | None => vec![],
                },
            };
            self.consumed = 0;
            let read = std::mem::replace(&mut self.block, next);
            let _ = self.empty.send(read);
        }
        Ok(&self.block[self.consumed..])
    }

    fn consume(&mut self, bytes: usize) {
        self.consumed = (self.consumed + bytes).min(self.block.len());
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let bytes = available.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&available[..bytes]);
        self.consume(bytes);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns `bytes`, in reads of varying sizes, then the error, if any.
    struct Script {
        bytes: Vec<u8>,
        at: usize,
        error: Option<io::ErrorKind>,
    }

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = buffer.len().min(70_001).min(self.bytes.len() - self.at);
            if n == 0
                && let Some(kind) = self.error.take()
            {
                return Err(kind.into());
            }
            buffer[..n].copy_from_slice(&self.bytes[self.at..self.at + n]);
            self.at += n;
            Ok(n)
        }
    }

    #[test]
    fn bytes_and_errors_come_in_order() {
        for length in [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 7, 12 * BLOCK_BYTES] {
            let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            for error in [None, Some(io::ErrorKind::UnexpectedEof)] {
                let mut input = ReadAhead::new(Script { bytes: bytes.clone(), at: 0, error }).expect("a thread");
                let mut read = vec![];
                let result = input.read_to_end(&mut read);
                assert_eq!(read, bytes);
                assert_eq!(result.map_err(|e| e.kind()).err(), error, "{length} bytes");
            }
        }
    }

    #[test]
    fn a_reader_that_is_dropped_ends_its_thread() {
        struct Endless {
            _alive: Sender<()>,
        }
        impl Read for Endless {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                Ok(buffer.len())
            }
        }
        let (alive, ended) = channel();
        let mut input = ReadAhead::new(Endless { _alive: alive }).expect("a thread");
        input.read_exact(&mut [0; 100]).expect("endless");
        drop(input);
        let ended = ended.recv_timeout(std::time::Duration::from_secs(60));
        assert_eq!(ended, Err(std::sync::mpsc::RecvTimeoutError::Disconnected), "the thread drops its input");
    }

    #[test]
    fn a_panic_of_the_thread_is_no_end_of_the_input() {
        struct Broken(u8);
        impl Read for Broken {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                assert!(self.0 < 10, "on purpose");
                Ok(buffer.len().min(BLOCK_BYTES))
            }
        }
        let mut input = ReadAhead::new(Broken(0)).expect("a thread");
        let error = input.read_to_end(&mut vec![]).expect_err("the thread panicked");
        assert!(error.to_string().contains("panicked"), "{error}");
    }
}
