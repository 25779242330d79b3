//! Code shared by client and peer connections: reading frames, and a bounded buffer of outgoing bytes.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::frame::{Frame, FrameError, FrameReader, MAX_HANDSHAKE};
use crate::resources::ReplyBudget;
use crate::resources::partial_frames::PartialShare;

/// Maximum number of bytes per read.
const READ_CHUNK: usize = 64 << 10;
/// An empty buffer larger than this is freed.
const MAX_IDLE_BUFFER: usize = 1 << 20;
/// A connection idle for this long is probed, so that half-open connections end.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_PROBES: u32 = 3;
/// A connection ends if sent bytes are not acknowledged for this long. The kernel's own limit is about fifteen
/// minutes, with a growing backoff: a link that is cut and then healed would stay silent for too long.
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(4);

/// Sets the socket options of every connection.
pub(crate) fn set_socket_options(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_TIMEOUT))
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the other side closed it")]
    Closed,
    #[error("the other side closed it in the middle of a frame, {pending} bytes in")]
    CutShort { pending: usize },
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(
        "it sent {pending} bytes of a frame and not the rest, while the unfinished frames of all clients reached the limit of the node"
    )]
    Evicted { pending: usize },
}

/// Reads the frames of one connection.
#[derive(Debug)]
pub(crate) struct Incoming {
    stream: Rc<TcpStream>,
    reader: FrameReader,
    /// Number of bytes to make room for before each read.
    chunk: usize,
    /// For clients: this connection's share of the unfinished frames.
    share: Option<PartialShare>,
}

impl Incoming {
    /// Creates a reader that allows only handshake frames. [`set_max_payload`](Incoming::set_max_payload) allows
    /// longer ones.
    pub(crate) fn new(stream: Rc<TcpStream>, share: Option<PartialShare>) -> Incoming {
        let mut reader = FrameReader::new();
        reader.set_max_payload(MAX_HANDSHAKE);
        Incoming { stream, reader, chunk: MAX_HANDSHAKE, share }
    }

    /// Sets the maximum payload, once the handshake is over.
    pub(crate) fn set_max_payload(&mut self, bytes: usize) {
        self.reader.set_max_payload(bytes);
        self.chunk = READ_CHUNK;
    }

    /// Returns a frame that has already been read, if any.
    pub(crate) fn next_buffered(&mut self) -> Result<Option<Frame>, FrameError> {
        self.reader.next_frame()
    }

    /// Waits for bytes and reads those available.
    pub(crate) async fn read_more(&mut self) -> Result<(), ReadError> {
        let pending = self.reader.pending();
        if self.share.as_mut().is_some_and(|share| !share.set(pending)) {
            return Err(ReadError::Evicted { pending });
        }
        loop {
            match &self.share {
                Some(share) if pending > 0 => tokio::select! {
                    readable = self.stream.readable() => readable?,
                    () = share.evicted() => return Err(ReadError::Evicted { pending }),
                },
                Some(_) | None => self.stream.readable().await?,
            }
            // The buffer grows with the bytes that arrive, not with the length that a header announces.
            let buffer = self.reader.buffer_mut();
            buffer.reserve(self.chunk);
            match self.stream.try_read_buf(buffer) {
                Ok(0) if self.reader.pending() > 0 => return Err(ReadError::CutShort { pending: self.reader.pending() }),
                Ok(0) => return Err(ReadError::Closed),
                Ok(_) => return Ok(()),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                Err(cause) => return Err(cause.into()),
            }
        }
    }

    /// Waits for a complete frame.
    pub(crate) async fn next_frame(&mut self) -> Result<Frame, ReadError> {
        loop {
            if let Some(frame) = self.next_buffered()? {
                return Ok(frame);
            }
            self.read_more().await?;
        }
    }
}

/// Bytes to be sent on one connection. The frames of a whole turn of the event loop are collected and sent in one
/// system call. The [writer](Outbox::write_when_possible) sends any bytes that the socket does not accept immediately.
#[derive(Debug)]
pub(crate) struct Outbox {
    stream: Rc<TcpStream>,
    buffer: RefCell<BytesMut>,
    limit: usize,
    budget: Rc<ReplyBudget>,
    /// Whether the socket accepts no more bytes, so that the writer is waiting for it.
    blocked: Cell<bool>,
    /// Whether the outbox is marked to be flushed at the end of this turn.
    dirty: Cell<bool>,
    closed: Cell<bool>,
    wake: Notify,
}

/// The error returned when the buffer is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BufferFull;

impl Outbox {
    pub(crate) fn new(stream: Rc<TcpStream>, limit: usize, budget: &Rc<ReplyBudget>) -> Rc<Outbox> {
        Rc::new(Outbox {
            stream,
            buffer: RefCell::default(),
            limit,
            budget: Rc::clone(budget),
            blocked: Cell::new(false),
            dirty: Cell::new(false),
            closed: Cell::new(false),
            wake: Notify::new(),
        })
    }

    /// Lets `fill` append one frame. Fails if this buffer or the shared budget is over its limit, or the connection
    /// is closed.
    pub(crate) fn push(&self, fill: impl FnOnce(&mut BytesMut)) -> Result<(), BufferFull> {
        let mut buffer = self.buffer.borrow_mut();
        let before = buffer.len();
        if self.closed.get() || before > self.limit || !self.budget.allows(before) {
            return Err(BufferFull);
        }
        fill(&mut buffer);
        self.budget.changed(before, buffer.len());
        Ok(())
    }

    /// Number of bytes waiting to be sent.
    pub(crate) fn len(&self) -> usize {
        self.buffer.borrow().len()
    }

    /// Marks the outbox to be flushed. Returns whether it was not already marked.
    pub(crate) fn mark_dirty(&self) -> bool {
        !self.dirty.replace(true)
    }

    /// Writes as many bytes as the socket accepts without blocking.
    pub(crate) fn flush(&self) {
        self.dirty.set(false);
        if !self.blocked.get() {
            match self.write_some() {
                Ok(()) => {}
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked.set(true);
                    self.wake.notify_one();
                }
                // The writer will get the same error and end the connection.
                Err(_) => self.wake.notify_one(),
            }
        }
    }

    fn write_some(&self) -> io::Result<()> {
        let mut buffer = self.buffer.borrow_mut();
        let before = buffer.len();
        let written = self.write_buffer(&mut buffer);
        self.budget.changed(before, buffer.len());
        written?;
        if buffer.capacity() > MAX_IDLE_BUFFER {
            *buffer = BytesMut::new();
        }
        Ok(())
    }

    fn write_buffer(&self, buffer: &mut BytesMut) -> io::Result<()> {
        while !buffer.is_empty() {
            buffer.advance(self.stream.try_write(buffer)?);
        }
        Ok(())
    }

    /// Writes the bytes that [`flush`](Outbox::flush) could not. Runs until the connection is closed, and returns the
    /// error, if any.
    pub(crate) async fn write_when_possible(&self) -> io::Result<()> {
        loop {
            self.wake.notified().await;
            while !self.closed.get() {
                match self.write_some() {
                    Ok(()) => {
                        self.blocked.set(false);
                        break;
                    }
                    // Closing must end the wait for a peer that never reads.
                    Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => tokio::select! {
                        writable = self.stream.writable() => writable?,
                        () = self.wake.notified() => {}
                    },
                    Err(cause) => return Err(cause),
                }
            }
            if self.closed.get() {
                return Ok(());
            }
        }
    }

    /// Waits until everything is written. The caller limits the time.
    pub(crate) async fn wait_until_drained(&self) {
        while self.len() > 0 && !self.closed.get() {
            self.flush();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Closes the connection from this side: no further bytes are accepted or written, and the writer returns.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.wake.notify_one();
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.budget.changed(self.len(), 0);
    }
}
