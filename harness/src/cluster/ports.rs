//! Free loopback ports that stay free: below the range the kernel hands to outgoing connections, so that nobody
//! is given one of them while its node is down.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

const FIRST: u16 = 12_000;
const LAST: u16 = 31_999;

/// Picks `count` ports that nobody listens on now.
///
/// # Errors
/// If the machine has not so many.
pub fn pick(count: usize) -> Result<Vec<SocketAddr>, String> {
    let span = u32::from(LAST - FIRST);
    let start = rand::random::<u32>() % span;
    let mut held = vec![];
    for i in 0..span {
        let port = FIRST + ((start + i) % span) as u16;
        // Held until all are found, so that none is found twice.
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push(listener);
        }
        if held.len() == count {
            return held.iter().map(|l| l.local_addr().map_err(|e| e.to_string())).collect();
        }
    }
    Err(format!(
        "{count} free ports between {FIRST} and {LAST} are needed, only {} were found: end other clusters (`heckle clean`)",
        held.len()
    ))
}

#[cfg(test)]
mod tests {
    #[test]
    fn ports_are_different_and_free() {
        let ports = super::pick(30).expect("a machine has thirty free ports");
        let distinct: std::collections::BTreeSet<_> = ports.iter().collect();
        assert_eq!(distinct.len(), 30);
        assert!(ports.iter().all(|p| std::net::TcpListener::bind(p).is_ok()));
    }
}
