//! What client and peer connections share: reading frames, and a bounded buffer of bytes to be written.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::frame::{Frame, FrameError, FrameReader};

/// Bytes read at once.
const READ_CHUNK: usize = 64 << 10;
/// An empty buffer larger than this is given back.
const KEEP_BUFFER: usize = 1 << 20;
/// A connection that is silent for this long is asked whether it still lives, so that half-open ones end.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_PROBES: u32 = 3;
/// Bytes sent and not acknowledged for this long end a connection. The kernel's own limit is a quarter of an hour, and
/// its backoff grows meanwhile: a link that was cut and healed would stay silent for long.
const UNACKNOWLEDGED_FOR: Duration = Duration::from_secs(4);

/// Settings of every connection.
pub(crate) fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_FOR))
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("the other side closed it")]
    Closed,
    #[error("the other side closed it in the middle of a frame, {pending} bytes in")]
    CutShort { pending: usize },
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Reads frames of one connection.
#[derive(Debug)]
pub(crate) struct Incoming {
    stream: Rc<TcpStream>,
    reader: FrameReader,
}

impl Incoming {
    pub(crate) fn new(stream: Rc<TcpStream>) -> Incoming {
        Incoming { stream, reader: FrameReader::new() }
    }

    /// A frame that is already here.
    pub(crate) fn next_buffered(&mut self) -> Result<Option<Frame>, FrameError> {
        self.reader.next_frame()
    }

    /// Waits for bytes and reads what is there.
    pub(crate) async fn read_more(&mut self) -> Result<(), Ended> {
        loop {
            self.stream.readable().await?;
            let buffer = self.reader.buffer_mut();
            buffer.reserve(READ_CHUNK);
            match self.stream.try_read_buf(buffer) {
                Ok(0) if self.reader.pending() > 0 => return Err(Ended::CutShort { pending: self.reader.pending() }),
                Ok(0) => return Err(Ended::Closed),
                Ok(_) => return Ok(()),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                Err(cause) => return Err(cause.into()),
            }
        }
    }

    /// Waits for a whole frame.
    pub(crate) async fn next_frame(&mut self) -> Result<Frame, Ended> {
        loop {
            if let Some(frame) = self.next_buffered()? {
                return Ok(frame);
            }
            self.read_more().await?;
        }
    }
}

/// Bytes on their way out of one connection. Frames of a whole turn of the event loop are gathered and leave in one
/// system call; what the socket does not take is left to the [writer](Outbox::write_when_possible).
#[derive(Debug)]
pub(crate) struct Outbox {
    stream: Rc<TcpStream>,
    buffer: RefCell<BytesMut>,
    limit: usize,
    /// The socket took no more; the writer waits for it.
    blocked: Cell<bool>,
    /// Whether it waits to be flushed at the end of this turn.
    dirty: Cell<bool>,
    closed: Cell<bool>,
    wake: Notify,
}

/// The buffer is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Outbox {
    pub(crate) fn new(stream: Rc<TcpStream>, limit: usize) -> Rc<Outbox> {
        Rc::new(Outbox {
            stream,
            buffer: RefCell::default(),
            limit,
            blocked: Cell::new(false),
            dirty: Cell::new(false),
            closed: Cell::new(false),
            wake: Notify::new(),
        })
    }

    /// Lets `fill` append one frame. Nothing is appended above the limit or after the end.
    pub(crate) fn push(&self, fill: impl FnOnce(&mut BytesMut)) -> Result<(), Full> {
        let mut buffer = self.buffer.borrow_mut();
        if self.closed.get() || buffer.len() > self.limit {
            return Err(Full);
        }
        fill(&mut buffer);
        Ok(())
    }

    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.buffer.borrow().len()
    }

    /// Marks it as to be flushed; says whether it was not marked yet.
    pub(crate) fn mark_dirty(&self) -> bool {
        !self.dirty.replace(true)
    }

    /// Writes what the socket takes right now.
    pub(crate) fn flush(&self) {
        self.dirty.set(false);
        if !self.blocked.get() {
            match self.write_some() {
                Ok(()) => {}
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked.set(true);
                    self.wake.notify_one();
                }
                // The writer meets the same error and ends the connection.
                Err(_) => self.wake.notify_one(),
            }
        }
    }

    fn write_some(&self) -> io::Result<()> {
        let mut buffer = self.buffer.borrow_mut();
        while !buffer.is_empty() {
            match self.stream.try_write(&buffer) {
                Ok(count) => buffer.advance(count),
                Err(cause) => return Err(cause),
            }
        }
        if buffer.capacity() > KEEP_BUFFER {
            *buffer = BytesMut::new();
        }
        Ok(())
    }

    /// Writes what [`flush`](Outbox::flush) had to leave. Runs as long as the connection does; returns when it is
    /// closed, with the error if there was one.
    pub(crate) async fn write_when_possible(&self) -> io::Result<()> {
        loop {
            self.wake.notified().await;
            while !self.closed.get() {
                match self.write_some() {
                    Ok(()) => {
                        self.blocked.set(false);
                        break;
                    }
                    // A close must end the wait for a reader that will never read.
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

    /// Waits until everything is written, at most as long as the caller allows.
    pub(crate) async fn drained(&self) {
        while self.len() > 0 && !self.closed.get() {
            self.flush();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends the connection from this side: nothing more is taken or written, and the writer returns.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.wake.notify_one();
    }
}
