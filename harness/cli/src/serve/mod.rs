//! `heckle serve`: a read-only HTTP server for the folder of all runs. It is deliberately small: only GET and HEAD, one request
//! per connection, no request bodies, and no writes. Modules in reading order:

mod request; // the head of a request, parsed strictly
mod host; // which names of this server a request may use
mod response; // responses, with headers that confine a page to this server
mod tree; // files and folders below the folder of all runs, without links
mod watching; // a run in progress: its state, its page, its figures
mod routes; // the response for each address
mod sending; // sending within a deadline
mod events; // the state of a run in progress, as server-sent events
mod connection; // one connection, with its size and time limits

use crate::limits;
use heckle_results::catalogue::Catalogue;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Maximum number of concurrent connections. Further ones are refused with status 503.
const MAX_CONNECTIONS: usize = 64;
/// Time for which the list of all runs is cached.
const CATALOGUE_TTL: Duration = Duration::from_secs(1);
/// Interval between checks for the end of the server.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// Options of a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of all runs.
    pub out: PathBuf,
    /// Whether a request may use any name for this server, or only names of the machine itself.
    pub any_host: bool,
}

/// A server that has bound its port.
pub struct Server {
    listener: TcpListener,
    site: Arc<Site>,
}

/// State shared by all connections.
struct Site {
    options: Options,
    list: Mutex<Option<(Instant, Arc<Catalogue>)>>,
    open: AtomicUsize,
    /// Number of connections that watch a run.
    watchers: AtomicUsize,
    /// Whether the server is ending.
    over: AtomicBool,
}

impl Site {
    /// Returns the contents of the folder of all runs, at most a second old.
    fn catalogue(&self) -> io::Result<Arc<Catalogue>> {
        // Concurrent requests wait for the one that is reading the folder instead of reading it again.
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = list.as_ref().filter(|(at, _)| at.elapsed() < CATALOGUE_TTL) {
            return Ok(known.clone());
        }
        let read = Arc::new(Catalogue::read(&self.options.out)?);
        *list = Some((Instant::now(), read.clone()));
        Ok(read)
    }
}

impl Server {
    /// Binds the port.
    ///
    /// # Errors
    /// If the address is not one of this machine, or its port is taken.
    pub fn bind(listen: SocketAddr, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        Ok(Server {
            listener,
            site: Arc::new(Site {
                options,
                list: Mutex::default(),
                open: AtomicUsize::new(0),
                watchers: AtomicUsize::new(0),
                over: AtomicBool::new(false),
            }),
        })
    }

    /// Returns the address that the server listens on, with the port chosen by the system if port 0 was requested.
    ///
    /// # Errors
    /// If the system cannot report the address.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `ended` returns true. It is called at least ten times a second.
    ///
    /// # Errors
    /// If the listener fails.
    pub fn run(&self, ended: impl Fn() -> bool) -> io::Result<()> {
        let _over = Over(&self.site.over);
        while !ended() {
            let mut ready = [rustix::event::PollFd::new(&self.listener, rustix::event::PollFlags::IN)];
            let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: CHECK_EVERY.subsec_nanos().into() };
            match rustix::event::poll(&mut ready, Some(&timeout)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(e) => return Err(e.into()),
            }
            match self.listener.accept() {
                Ok((stream, _)) => self.take(stream),
                // The peer is already gone, or this process has run out of descriptors. The next connection may succeed.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => std::thread::sleep(CHECK_EVERY),
            }
        }
        Ok(())
    }

    /// Serves a connection on its own thread.
    fn take(&self, stream: TcpStream) {
        let site = self.site.clone();
        if site.open.fetch_add(1, Ordering::SeqCst) >= MAX_CONNECTIONS {
            connection::refuse(&stream);
            site.open.fetch_sub(1, Ordering::SeqCst);
            return;
        }
        let served = site.clone();
        let thread = limits::thread("connection", move || {
            let _slot = Slot(&served.open);
            connection::serve(&stream, &served);
        });
        if thread.is_err() {
            site.open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Ends the connections that watch a run when the server ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A slot among the connections. It is freed on drop, including after a panic.
struct Slot<'a>(&'a AtomicUsize);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
