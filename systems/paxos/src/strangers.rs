//! Looks for whatever answers in the place of a dead node.
//!
//! While a node's process is gone its clients must be refused by the kernel. A program that listens on one of its ports instead, on
//! that very address or on all of them, would be talked to as if it were the node; the harness asks it who it is, and ends the run.

use bytes::BytesMut;
use heckle_server::client_protocol::{ExpectedNode, Hello, Identity, Refused, ToClient, ToNode, Welcome};
use heckle_server::control::Client;
use heckle_server::frame::FrameReader;
use heckle_system_api::launch::NodeSpec;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// On loopback a connection stands or is refused at once.
const CONNECT_WITHIN: Duration = Duration::from_millis(100);
/// A program that was connected to says who it is within this, or never.
const ANSWERS_WITHIN: Duration = Duration::from_millis(300);
/// Longest quotation of a stranger, in characters.
const QUOTED: usize = 200;

/// What was found.
enum Found {
    /// A node, which says which.
    Known(Identity),
    /// Something else, in words.
    Unknown(String),
}

/// Who answers at the addresses of a node whose process is gone, and where. `None` if, as it should be, nothing listens.
pub(crate) fn find(node: &NodeSpec) -> Option<(SocketAddr, String)> {
    let mut unknown = None;
    for addr in &node.listens {
        match ask(*addr) {
            Some(Found::Known(who)) => return Some((*addr, who.to_string())),
            Some(Found::Unknown(what)) => unknown = unknown.or(Some((*addr, what))),
            None => {}
        }
    }
    unknown
}

fn ask(addr: SocketAddr) -> Option<Found> {
    let stream = TcpStream::connect_timeout(&addr, CONNECT_WITHIN).ok()?;
    let what = match greet(stream) {
        Found::Unknown(what) => what,
        known @ Found::Known(_) => return Some(known),
    };
    let asked = Client::connect(addr, ANSWERS_WITHIN).and_then(|mut client| client.identity());
    Some(asked.map_or(Found::Unknown(what), Found::Known))
}

/// Introduces itself as a client that expects nobody in particular, and reads the first answer.
fn greet(mut stream: TcpStream) -> Found {
    let mut hello = BytesMut::new();
    ToNode::Hello(Hello::new("heckle, which expects a dead node here", &ExpectedNode::default())).encode(&mut hello);
    let deadline = Instant::now() + ANSWERS_WITHIN;
    if stream.set_write_timeout(Some(ANSWERS_WITHIN)).and_then(|()| stream.write_all(&hello)).is_err() {
        return Found::Unknown("a program that closes the connection".into());
    }
    let (mut frames, mut chunk) = (FrameReader::new(), [0; 4 << 10]);
    loop {
        match frames.next_frame() {
            Ok(Some(frame)) => match ToClient::decode(&frame) {
                Ok(ToClient::Welcome(Welcome { identity, .. }) | ToClient::Refused(Refused { identity: Some(identity), .. })) => {
                    return Found::Known(identity);
                }
                Ok(ToClient::Refused(refused)) => return Found::Unknown(format!("a program that says \"{}\"", quoted(&refused.why))),
                Ok(ToClient::Response(_)) => return Found::Unknown("a program that answers before it is asked".into()),
                Err(e) => return Found::Unknown(format!("a program that does not speak the client protocol ({})", quoted(&e.to_string()))),
            },
            Ok(None) => {}
            Err(e) => return Found::Unknown(format!("a program that does not speak the client protocol ({})", quoted(&e.to_string()))),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Found::Unknown("a program that says nothing".into());
        }
        match stream.read(&mut chunk) {
            Ok(0) => return Found::Unknown("a program that closes the connection".into()),
            Ok(count) => frames.push(&chunk[..count]),
            Err(_) => return Found::Unknown("a program that says nothing".into()),
        }
    }
}

/// A stranger's words, shortened, and without what a terminal would act on.
fn quoted(words: &str) -> String {
    words.chars().take(QUOTED).flat_map(char::escape_debug).collect()
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

    /// A program that answers `says` to every connection and keeps it open. It ends with the test.
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
    fn nothing_is_found_where_nothing_listens_and_a_program_is_found_whatever_it_says() {
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
