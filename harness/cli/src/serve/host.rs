//! Checks which of this server's names a request uses. A page of another site can make a browser send requests to a name that the
//! site's owner has pointed at 127.0.0.1 (DNS rebinding), and can then read the replies as its own. Such requests carry that name in
//! `Host`, so a server on loopback answers only to names of the machine itself.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether a `Host` is a name of the machine itself. Any port is allowed, since a port may be forwarded.
pub(super) fn is_loopback(host: &str) -> bool {
    match parts(host) {
        Some(Name::V6(address)) => address.is_loopback(),
        Some(Name::Other(name)) => name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok_and(|a| a.is_loopback()),
        None => false,
    }
}

/// Whether a `Host` is well-formed.
pub(super) fn is_well_formed(host: &str) -> bool {
    parts(host).is_some()
}

enum Name<'a> {
    V6(Ipv6Addr),
    Other(&'a str),
}

fn parts(host: &str) -> Option<Name<'_>> {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let has_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return address.parse().ok().filter(|_| has_port).map(Name::V6);
    }
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let is_name = !name.is_empty() && name.len() <= 253 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    (is_name && port.is_none_or(is_port)).then_some(Name::Other(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in ["localhost", "LocalHost:8080", "127.0.0.1", "127.8.9.10:65535", "[::1]", "[::1]:80"] {
            assert!(is_loopback(host) && is_well_formed(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "10.0.0.1:80",
            "0.0.0.0",
            "[::2]:80",
            "localhost.",
        ] {
            assert!(!is_loopback(host) && is_well_formed(host), "{host}");
        }
        for host in [
            "",
            ":80",
            "localhost:",
            "localhost:x",
            "localhost:99999",
            "localhost:80:80",
            "a b",
            "user@localhost",
            "[::1",
            "[::1]x",
            "[]",
            "[localhost]",
            "loc\u{e4}lhost",
            "localhost/x",
            "127.1,localhost",
            "*",
        ] {
            assert!(!is_loopback(host) && !is_well_formed(host), "{host}");
        }
        for host in ["127.1", "0177.0.0.1", "2130706433", "0x7f.0.0.1"] {
            assert!(!is_loopback(host), "{host}: only the usual form is known");
        }
    }
}
