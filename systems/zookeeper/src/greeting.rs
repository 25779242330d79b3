//! The first message of an election connection, in which a server advertises its election address.
//!
//! Of two servers, the one with the larger number keeps only connections that it opened itself. If the other one dials it, it hangs
//! up and dials back to the advertised address.

use crate::jute::{Reader, Writer};
use heckle_system_api::capability::{Greeting, Rewrite};
use std::net::SocketAddr;

/// Versions of the message: with one address, and with several, separated by `|`.
const VERSIONS: [i64; 2] = [-65_536, -65_535];
/// Size of the version and server number, in bytes.
const HEAD_BYTES: usize = 16;

/// Finds election addresses.
pub(crate) struct ElectionGreeting;

impl Greeting for ElectionGreeting {
    fn rewrite(&self, bytes: &[u8], relayed: &dyn Fn(SocketAddr) -> Option<SocketAddr>) -> Rewrite {
        let mut versions = VERSIONS.iter().map(|version| version.to_be_bytes());
        let start = &bytes[..bytes.len().min(size_of::<i64>())];
        if !versions.any(|version| version.starts_with(start)) {
            return Rewrite::Keep;
        }
        let Some((head, rest)) = bytes.split_at_checked(HEAD_BYTES) else { return Rewrite::Incomplete };
        let Some(addresses) = Reader(rest).bytes() else { return Rewrite::Incomplete };
        let advertised = String::from_utf8_lossy(addresses);
        let replace = |address: &str| match address.parse().ok().and_then(relayed) {
            Some(port) => port.to_string(),
            None => address.to_owned(),
        };
        let ports: Vec<String> = advertised.split('|').map(replace).collect();
        let addresses_with_len = Writer::default().string(&ports.join("|")).into_bytes();
        Rewrite::Replace { len: HEAD_BYTES + 4 + addresses.len(), with: [head, &addresses_with_len].concat() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(version: i64, addresses: &str) -> Vec<u8> {
        Writer::default().long(version).long(2).string(addresses).into_bytes()
    }

    /// Servers listen on 127.0.0.2, and the relay has the same ports on 127.0.0.9.
    fn relayed(listens: SocketAddr) -> Option<SocketAddr> {
        let of_server = listens.ip().to_string() == "127.0.0.2";
        of_server.then(|| SocketAddr::from(([127, 0, 0, 9], listens.port())))
    }

    #[test]
    fn election_addresses_are_replaced_by_ports_of_the_relay() {
        for (version, before, after) in
            [(-65_536, "127.0.0.2:30001", "127.0.0.9:30001"), (-65_535, "127.0.0.2:30001|192.0.2.1:80", "127.0.0.9:30001|192.0.2.1:80")]
        {
            let message = greeting(version, before);
            let expected = Rewrite::Replace { len: message.len(), with: greeting(version, after) };
            // A vote follows.
            assert_eq!(ElectionGreeting.rewrite(&[&message[..], &[0; 40]].concat(), &relayed), expected);
            for len in 1..message.len() {
                assert_eq!(ElectionGreeting.rewrite(&message[..len], &relayed), Rewrite::Incomplete, "{len} bytes");
            }
        }
    }

    #[test]
    fn other_connections_are_kept() {
        let session = Writer::default().int(0).long(0).int(10_000).long(0).bytes(&[0; 16]).boolean(false).message();
        let older_version = greeting(-65_537, "127.0.0.2:30001");
        for bytes in [&session[..], b"srvr", &older_version] {
            assert_eq!(ElectionGreeting.rewrite(bytes, &relayed), Rewrite::Keep, "{}", bytes.escape_ascii());
        }
    }
}
