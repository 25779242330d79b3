//! Addresses that a dialler advertises at the start of a connection.

use super::*;
use heckle_system_api::capability::Rewrite;

/// A line `@ADDRESS` at the start of a connection advertises an address.
struct AtSign;

impl Greeting for AtSign {
    fn rewrite(&self, bytes: &[u8], relayed: &dyn Fn(SocketAddr) -> Option<SocketAddr>) -> Rewrite {
        if bytes[0] != b'@' {
            return Rewrite::Keep;
        }
        let Some(len) = bytes.iter().position(|b| *b == b'\n') else { return Rewrite::Incomplete };
        let address = str::from_utf8(&bytes[1..len]).ok().and_then(|text| text.parse().ok());
        match address.and_then(relayed) {
            Some(port) => Rewrite::Replace { len, with: format!("@{port}").into_bytes() },
            None => Rewrite::Keep,
        }
    }
}

fn rig(name: &str) -> Rig {
    Rig::with_greeting(name, Some(Arc::new(AtSign)))
}

fn listens(rig: &Rig) -> SocketAddr {
    rig.listener.local_addr().expect("bound")
}

#[test]
fn an_advertised_address_becomes_the_port_of_the_relay() {
    let rig = rig("advertised");
    let mut client = rig.client();
    let greeting = format!("@{}\n", listens(&rig));
    client.write_all(format!("{greeting}{greeting}").as_bytes()).expect("open");
    // Only the first bytes count as a greeting.
    hear(&mut rig.accepted(), format!("@{}\n{greeting}", rig.address).as_bytes());
}

#[test]
fn a_greeting_is_held_until_it_is_complete() {
    let rig = rig("in-parts");
    let mut client = rig.client();
    let greeting = format!("@{}\n", listens(&rig));
    let (first, second) = greeting.as_bytes().split_at(7);
    client.write_all(first).expect("open");
    let mut target = rig.accepted();
    hear_nothing(&mut target);
    client.write_all(second).expect("open");
    hear(&mut target, format!("@{}\n", rig.address).as_bytes());
}

#[test]
fn a_greeting_without_end_passes_unchanged() {
    for (name, bytes, close) in [("closed", &b"@127.0.0.1"[..], true), ("long", &[b'@'; 2_000], false)] {
        let rig = rig(name);
        let mut client = rig.client();
        client.write_all(bytes).expect("open");
        if close {
            client.shutdown(std::net::Shutdown::Write).expect("open");
        }
        hear(&mut rig.accepted(), bytes);
    }
}

#[test]
fn other_bytes_and_other_addresses_pass_unchanged() {
    for (name, bytes) in [("other-bytes", &b"hello"[..]), ("other-address", b"@192.0.2.1:80\n")] {
        let rig = rig(name);
        let mut client = rig.client();
        client.write_all(bytes).expect("open");
        hear(&mut rig.accepted(), bytes);
    }
}

/// The side that was dialled does not greet.
#[test]
fn replies_pass_unchanged() {
    let rig = rig("replies");
    let mut client = rig.client();
    let reply = format!("@{}\n", listens(&rig));
    rig.accepted().write_all(reply.as_bytes()).expect("open");
    hear(&mut client, reply.as_bytes());
}
