//! Checks with a real child process whether diallers can be identified on this machine.

use super::OnUnknown;
use super::identify::{DiallerQuery, Identification, Identifier};
use super::owners::{Owner, Owners};
use heckle_faults::Node;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Time limit of the probe: longer than the identifier takes before it gives up.
const PROBE_TIMEOUT: Duration = Duration::from_secs(8);

/// Lets a child process hold one end of a connection, and identifies the owner. Returns the time taken.
///
/// # Errors
/// The reason why diallers cannot be identified.
pub fn probe() -> Result<Duration, String> {
    let run = format!("probe-{}", std::process::id());
    let failed = |e: std::io::Error| format!("no connection to try it with: {e}");
    // Held for the whole probe.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    let dialled = listener.local_addr().map_err(failed)?;
    let near = TcpStream::connect(dialled).map_err(failed)?;
    let (far, dialler) = listener.accept().map_err(failed)?;
    // The child reads to the end of the connection and holds its only descriptor: ours is closed once the child runs.
    let mut holder = Command::new("cat");
    holder.stdin(OwnedFd::from(near)).stdout(Stdio::null()).envs(Owners::environment(&run, "n1"));
    let mut child = holder.spawn().map_err(|e| format!("no child to try it with: `cat`: {e}"))?;
    drop(holder);
    let (send, answers) = channel();
    let unknown = send.clone();
    let began = Instant::now();
    let asked = Identifier::start(Owners::new(&run), OnUnknown::new(move |why| drop(unknown.send(Err(why)))), move |_, found| {
        send.send(Ok(found)).is_ok()
    });
    let found = asked.map_err(|e| format!("no thread to try it with: {e}")).and_then(|(identifier, _thread)| {
        identifier.submit(DiallerQuery { connection: 0, to: Node(1), dialler, dialled });
        let answer = answers.recv_timeout(PROBE_TIMEOUT).map_err(|_| "no answer".to_owned());
        answer?
    });
    let took = began.elapsed();
    drop(far);
    let _ = child.wait();
    match found? {
        Identification::Known(Owner::Node(Node(1))) => Ok(took),
        other => Err(format!("a child process of n1 was taken for {other:?}")),
    }
}
