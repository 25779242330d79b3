//! A loopback address of one's own, for a cluster on one machine.
//!
//! A port that was found free and is bound a moment later may be another program's by then. So nothing here picks a port: a cluster
//! claims a whole address of 127.0.0.0/8 by a listener on a guard port there, which it holds until it ends. A bind is
//! atomic, so of all clusters on the machine one has the address, and its nodes find their ports free there at every start.
//! Nothing listens in the place of a dead node, so its clients are refused, as they must be.
//!
//! The ports lie below the range from which the kernel draws (`ip_local_port_range`), so that no outgoing connection and no
//! listener on port 0 is given one of them. What is left are programs that listen on all addresses at once (`0.0.0.0`) on
//! just that port. They answer at any address: that is why clients ask for identities too.
#![forbid(unsafe_code)]

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering};

/// Addresses that are tried on one guard port before the port itself is taken to be the trouble.
const DRAWS: u32 = 16;
/// Guard ports that are tried, in this order by every program: one listener on `0.0.0.0` hides the first.
const GUARDS: u16 = 8;
/// Where ports begin, if the kernel's range leaves so much room: above what services like to use.
const FIRST: u16 = 12_000;
/// Fewer ports than these are no room.
const ROOM: u16 = 1_000;

/// A loopback address that no other claim of this machine has, until it is dropped.
#[derive(Debug)]
pub struct LoopbackClaim {
    ip: Ipv4Addr,
    _guard: TcpListener,
    /// The ports it gives away.
    ports: RangeInclusive<u16>,
    /// Where it begins in them, below 2^24: at a place of its own, so that one program that listens on all addresses hinders few claims.
    start: u32,
    /// How many it has looked at.
    given: AtomicU32,
}

impl LoopbackClaim {
    /// Claims an address drawn at random.
    ///
    /// # Errors
    /// If there is none to be had: some program listens on all addresses at every guard port, or descriptors are short.
    pub fn new() -> io::Result<LoopbackClaim> {
        let ports = server_ports();
        let mut last_error = None;
        for guard in ports.clone().take(usize::from(GUARDS)) {
            for _ in 0..DRAWS {
                match LoopbackClaim::at(draw(), guard, &ports) {
                    Ok(claim) => return Ok(claim),
                    Err(cause) if cause.kind() == io::ErrorKind::AddrInUse => last_error = Some(cause),
                    Err(cause) => return Err(cause),
                }
            }
        }
        let ports = format!("{}..={}", ports.start(), ports.start().saturating_add(GUARDS - 1));
        let cause = last_error.map_or_else(String::new, |e| format!(": {e}"));
        Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("no address of 127.0.0.0/8 can be claimed, since programs listen on all addresses at the ports {ports}{cause}"),
        ))
    }

    fn at(ip: Ipv4Addr, guard: u16, ports: &RangeInclusive<u16>) -> io::Result<LoopbackClaim> {
        let listener = TcpListener::bind((ip, guard))?;
        let ports = ports.start().saturating_add(GUARDS)..=*ports.end();
        Ok(LoopbackClaim { ip, _guard: listener, ports, start: random() as u32 >> 8, given: AtomicU32::new(0) })
    }

    /// The address.
    pub fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// An address and port for a listener that may come and go. No two calls give the same.
    ///
    /// # Errors
    /// If the ports have run out.
    pub fn address(&self) -> io::Result<SocketAddr> {
        loop {
            let given = self.given.fetch_add(1, Ordering::Relaxed);
            let count = self.ports.len() as u32;
            if given >= count {
                let (first, last) = (self.ports.start(), self.ports.end());
                return Err(io::Error::other(format!("all ports of {} from {first} to {last} were given away", self.ip)));
            }
            let nth = (self.start.wrapping_add(given) % count) as u16;
            let addr = SocketAddr::from((self.ip, self.ports.start() + nth));
            // The claim is what keeps it free. A program that listens on all addresses at this port is passed over, as is a
            // node that an earlier owner of the address left behind.
            if TcpListener::bind(addr).is_ok() {
                return Ok(addr);
            }
        }
    }

    /// As many of them.
    ///
    /// # Errors
    /// As [`address`](LoopbackClaim::address).
    pub fn addresses(&self, count: usize) -> io::Result<Vec<SocketAddr>> {
        (0..count).map(|_| self.address()).collect()
    }
}

/// An address of 127.0.0.0/8, but for 127.0.0.0/16, where everybody else is.
fn draw() -> Ipv4Addr {
    let [a, b, c, ..] = random().to_le_bytes();
    Ipv4Addr::new(127, 1 + a % 254, b, 1 + c % 254)
}

/// The keys of a new hasher are random.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The ports that servers may have.
fn server_ports() -> RangeInclusive<u16> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default();
    ports_outside(&read("ip_local_port_range"), &read("ip_unprivileged_port_start"))
}

/// The larger part of what is outside the kernel's range, below it if there is room.
fn ports_outside(kernel_range: &str, unprivileged_start: &str) -> RangeInclusive<u16> {
    let mut kernel = kernel_range.split_whitespace().map(|port| port.parse::<u16>().ok());
    let (low, high) = (kernel.next().flatten().unwrap_or(32_768), kernel.next().flatten().unwrap_or(60_999));
    let first = unprivileged_start.trim().parse::<u16>().unwrap_or(1_024).max(1_024);
    let below = low.saturating_sub(1);
    if below >= FIRST.max(first).saturating_add(ROOM) {
        FIRST.max(first)..=below
    } else if below >= first.saturating_add(ROOM) {
        first..=below
    } else if high <= u16::MAX - ROOM {
        high + 1..=u16::MAX
    } else {
        // The kernel may draw any port. It draws them for 127.0.0.1 and for 0.0.0.0, hardly ever for a claimed address; where it
        // does, a node's bind fails, or the identity is wrong: an error, never a wrong verdict.
        FIRST.max(first)..=u16::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_claimed_once_and_free_again_afterwards() {
        let claim = LoopbackClaim::new().unwrap();
        assert!(claim.ip().is_loopback() && claim.ip().octets()[1] > 0, "{}", claim.ip());
        let ports = server_ports();
        let guard = claim._guard.local_addr().unwrap().port();
        let second = LoopbackClaim::at(claim.ip(), guard, &ports).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        let ip = claim.ip();
        drop(claim);
        LoopbackClaim::at(ip, guard, &ports).unwrap();
    }

    #[test]
    fn its_ports_differ_lie_outside_the_kernels_range_and_can_be_bound_again_and_again() {
        let claim = LoopbackClaim::new().unwrap();
        let ports = claim.addresses(30).unwrap();
        let distinct: std::collections::BTreeSet<_> = ports.iter().collect();
        assert_eq!(distinct.len(), 30);
        let range = server_ports();
        for addr in ports {
            assert!(addr.ip() == claim.ip() && range.contains(&addr.port()) && addr.port() != *range.start(), "{addr}");
            for _ in 0..2 {
                TcpListener::bind(addr).unwrap();
            }
            assert_eq!(std::net::TcpStream::connect(addr).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        }
    }

    #[test]
    fn a_port_that_is_held_on_all_addresses_is_passed_over() {
        let claim = LoopbackClaim::new().unwrap();
        // A listener on all addresses at a port of this claim alone: the kernel's own choice would be outside its ports.
        let (mut held, mut port) = (None, 0);
        for candidate in server_ports().rev() {
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, candidate)) {
                (held, port) = (Some(listener), candidate);
                break;
            }
        }
        assert!(held.is_some());
        // Whatever the order, all others are given before the claim is at its end.
        let all: Vec<SocketAddr> = std::iter::from_fn(|| claim.address().ok()).collect();
        assert!(all.len() > 100 && !all.contains(&SocketAddr::from((claim.ip(), port))), "{}", all.len());
    }

    #[test]
    fn ports_run_out_with_an_error() {
        let claim = LoopbackClaim::new().unwrap();
        claim.given.store(claim.ports.len() as u32 - 1, Ordering::Relaxed);
        let _ = claim.address();
        let error = claim.address().unwrap_err().to_string();
        assert!(error.contains("were given away"), "{error}");
        assert!(claim.address().is_err(), "and stay so");
    }

    #[test]
    fn ports_of_servers_are_not_those_that_the_kernel_draws() {
        for (kernel, unprivileged, ports) in [
            ("32768\t60999\n", "1024\n", 12_000..=32_767),
            ("", "", 12_000..=32_767),
            ("10000 65535", "0", 1_024..=9_999),
            ("1024 50000", "1024", 50_001..=65_535),
            ("32768 60999", "20000", 20_000..=32_767),
            ("1024 65535", "1024", 12_000..=65_535),
            ("nonsense", "nonsense", 12_000..=32_767),
        ] {
            assert_eq!(ports_outside(kernel, unprivileged), ports, "{kernel:?}, {unprivileged:?}");
        }
    }
}
