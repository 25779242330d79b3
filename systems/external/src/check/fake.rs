//! Fake nodes for checking drivers: one refuses connections, one accepts them and never answers, and one forwards bytes to a working node
//! and discards its answers on demand.

use heckle_loopback::LoopbackClaim;
use heckle_system_api::limits::thread;
use std::io::{Read, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Maximum number of connections per fake node.
const MAX_CONNECTIONS: usize = 64;
/// Interval at which a thread checks whether its node is gone.
const LOOK: Duration = Duration::from_millis(50);
/// Time limit for connecting to a working node.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A claimed address without a listener.
pub(super) struct Refusing {
    addr: SocketAddr,
    _claim: LoopbackClaim,
}

impl Refusing {
    pub(super) fn new() -> Result<Self> {
        let claim = LoopbackClaim::new()?;
        let addr = claim.addresses(1)?[0];
        Ok(Refusing { addr, _claim: claim })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// A node that accepts connections and requests but never answers.
pub(super) struct Silent {
    addr: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Silent {
    pub(super) fn start() -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let addr = serve(&over, |_| Ok(()))?;
        Ok(Silent { addr, over })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

/// A proxy in front of a working node.
pub(super) struct Proxy {
    addr: SocketAddr,
    over: Arc<AtomicBool>,
    passes: Arc<AtomicBool>,
}

impl Proxy {
    pub(super) fn start(node: SocketAddr) -> Result<Self> {
        let (over, passes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
        let (ended, passing) = (over.clone(), passes.clone());
        let addr = serve(&over, move |client| {
            let node = TcpStream::connect_timeout(&node, CONNECT_TIMEOUT)?;
            let (back, forth) = (client.try_clone()?, node.try_clone()?);
            let always = Arc::new(AtomicBool::new(true));
            let (over, passing) = (ended.clone(), passing.clone());
            thread("check-forth", {
                let over = over.clone();
                let client = client.try_clone()?;
                move || pump(client, forth, &always, &over)
            })?;
            thread("check-back", move || pump(node, back, &passing, &over)).map(drop)
        })?;
        Ok(Proxy { addr, over, passes })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Sets whether the node's answers reach the driver. The others are lost.
    pub(super) fn pass_answers(&self, pass: bool) {
        self.passes.store(pass, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

/// Accepts connections until `over` is set. Each one is passed to `take` and kept open.
fn serve(over: &Arc<AtomicBool>, take: impl Fn(&TcpStream) -> Result<()> + Send + 'static) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let over = over.clone();
    thread("check-node", move || {
        let mut held = vec![];
        while !over.load(Ordering::SeqCst) {
            match listener.accept() {
                Ok((client, _)) if held.len() < MAX_CONNECTIONS => {
                    // If the node cannot be reached, the connection is closed.
                    if client.set_nonblocking(false).and_then(|()| take(&client)).is_ok() {
                        held.push(client);
                    }
                }
                Ok(_) => {}
                Err(_) => std::thread::sleep(LOOK / 10),
            }
        }
    })?;
    Ok(addr)
}

/// Forwards bytes, or discards them while `passes` is false.
fn pump(mut from: TcpStream, mut to: TcpStream, passes: &AtomicBool, over: &AtomicBool) {
    let mut bytes = [0; 4096];
    let _ = from.set_read_timeout(Some(LOOK));
    while !over.load(Ordering::SeqCst) {
        match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(n) if passes.load(Ordering::SeqCst) => {
                if to.write_all(&bytes[..n]).is_err() {
                    break;
                }
            }
            Ok(_) => {}
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}
