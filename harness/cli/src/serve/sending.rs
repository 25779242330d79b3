//! Sending within a deadline.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Time within which a peer must accept some data.
const PIECE_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends bytes until a deadline. A peer that accepts only a byte now and then gets no extra time.
pub(super) fn write_until(mut stream: &TcpStream, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now()).min(PIECE_TIMEOUT);
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
