//! Identifies a program that answers in place of a dead node.
//!
//! While a node's process is gone, the kernel must refuse connections to it. If a program listens on one of its ports instead, on
//! that address or on all of them, clients would treat it as the node. So the harness requests its identity and ends the run.

use bytes::BytesMut;
use heckle_server::client_protocol::{ExpectedNode, Hello, Identity, Refused, ToClient, ToNode, Welcome};
use heckle_server::control::Client;
use heckle_server::frame::FrameReader;
use heckle_system_api::launch::NodeSpec;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Time limit for a connection. On loopback it is established or refused immediately.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(100);
/// Time limit for a program to identify itself.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(300);
/// Maximum number of characters to quote of a program's answer.
const MAX_QUOTED_CHARS: usize = 200;

/// The program that answers at the address.
enum Responder {
    /// A node with this identity.
    Known(Identity),
    /// Another program, described in words.
    Unknown(String),
}

/// The address and description of a program that answers in place of a node whose process is gone. `None` if, as expected,
/// nothing listens.
pub(crate) fn find(node: &NodeSpec) -> Option<(SocketAddr, String)> {
    let mut unknown = None;
    for addr in &node.listens {
        match identify(*addr) {
            Some(Responder::Known(who)) => return Some((*addr, who.to_string())),
            Some(Responder::Unknown(what)) => unknown = unknown.or(Some((*addr, what))),
            None => {}
        }
    }
    unknown
}

fn identify(addr: SocketAddr) -> Option<Responder> {
    let stream = TcpStream::connect_timeout(&addr, CONNECT_TIMEOUT).ok()?;
    let what = match greet(stream) {
        Responder::Unknown(what) => what,
        known @ Responder::Known(_) => return Some(known),
    };
    let asked = Client::connect(addr, ANSWER_TIMEOUT).and_then(|mut client| client.identity());
    Some(asked.map_or(Responder::Unknown(what), Responder::Known))
}

/// Sends a hello as a client without an expected identity, and reads the first answer.
fn greet(mut stream: TcpStream) -> Responder {
    let mut hello = BytesMut::new();
    ToNode::Hello(Hello::new("heckle, which expects a dead node here", &ExpectedNode::default())).encode(&mut hello);
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    if stream.set_write_timeout(Some(ANSWER_TIMEOUT)).and_then(|()| stream.write_all(&hello)).is_err() {
        return Responder::Unknown("a program that closes the connection".into());
    }
    let (mut frames, mut chunk) = (FrameReader::new(), [0; 4 << 10]);
    loop {
        match frames.next_frame() {
            Ok(Some(frame)) => match ToClient::decode(&frame) {
                Ok(ToClient::Welcome(Welcome { identity, .. }) | ToClient::Refused(Refused { identity: Some(identity), .. })) => {
                    return Responder::Known(identity);
                }
                Ok(ToClient::Refused(refused)) => return Responder::Unknown(format!("a program that says \"{}\"", quote(&refused.why))),
                Ok(ToClient::Response(_)) => return Responder::Unknown("a program that answers before it is asked".into()),
                Err(e) => {
                    return Responder::Unknown(format!("a program that does not speak the client protocol ({})", quote(&e.to_string())));
                }
            },
            Ok(None) => {}
            Err(e) => return Responder::Unknown(format!("a program that does not speak the client protocol ({})", quote(&e.to_string()))),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Responder::Unknown("a program that says nothing".into());
        }
        match stream.read(&mut chunk) {
            Ok(0) => return Responder::Unknown("a program that closes the connection".into()),
            Ok(count) => frames.push(&chunk[..count]),
            Err(_) => return Responder::Unknown("a program that says nothing".into()),
        }
    }
}

/// Quotes a program's answer, shortened and without terminal control characters.
fn quote(words: &str) -> String {
    words.chars().take(MAX_QUOTED_CHARS).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_loopback::LoopbackClaim;
    use heckle_system_api::identity::{Mistaken, NodeIdentity};
    use std::net::TcpListener;

    fn dead(listens: Vec<SocketAddr>) -> NodeSpec {
        let node = NodeIdentity::new("ours", "n2", Mistaken::new(drop));
        NodeSpec { name: "n2".into(), processes: vec![], client: listens[0], ask: listens[0], listens, node }
    }

    /// Starts a program that answers with `says` on every connection and keeps the connection open. It ends with the
    /// test.
    fn program(addr: SocketAddr, says: &'static [u8]) {
        let listener = TcpListener::bind(addr).expect("a claimed port");
        std::thread::spawn(move || {
            let mut open = vec![];
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.write_all(says);
                open.push(stream);
            }
        });
    }

    #[test]
    fn finds_any_listening_program() {
        let claim = LoopbackClaim::new().expect("an address");
        let address = || claim.address().expect("a port");
        let spec = dead(vec![address(), address()]);
        assert!(find(&spec).is_none());
        for (says, words) in [
            (&b"SSH-2.0-OpenSSH_9.7 and more\r\n"[..], "does not speak the client protocol"),
            (b"\x1b[2J\x1b[2J\x1b[2J\x1b[2J\x1b[2J", "does not speak the client protocol"),
            (b"", "says nothing"),
        ] {
            let spec = dead(vec![address(), address()]);
            program(spec.listens[1], says);
            let (addr, what) = find(&spec).expect("found");
            assert!(addr == spec.listens[1] && what.contains(words) && !what.contains('\x1b'), "{addr} {what}");
        }
    }
}
