//! Reserves a separate loopback address for a cluster on one machine.
//!
//! Another program may take a free port before it is bound. So this crate does not search for free ports. Instead, a cluster claims
//! a whole address in 127.0.0.0/8 with a listener on a guard port, which it holds until it ends. A bind is atomic, so only one
//! cluster on the machine can have the address, and its nodes find their ports free at every start. Nothing else listens in place of
//! a dead node, so its clients are refused, as they must be.
//!
//! The ports are below the kernel's range of ephemeral ports (`ip_local_port_range`), so that no outgoing connection and no listener
//! on port 0 gets one of them. The exception is a program that listens on all addresses (`0.0.0.0`) on the same port. It answers on
//! every address, which is why clients also check identities.
#![forbid(unsafe_code)]

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering};

/// Number of addresses to try with one guard port before trying the next port.
const MAX_DRAWS: u32 = 16;
/// Number of guard ports. All programs try them in the same order. A listener on `0.0.0.0` makes one of them unusable.
const GUARD_PORTS: u16 = 8;
/// The first port, if the kernel's range leaves enough room. It is above the ports that services commonly use.
const FIRST_PORT: u16 = 12_000;
/// Minimum number of ports.
const MIN_PORTS: u16 = 1_000;

/// Environment variable with the range of ports to use, such as `20000-29999`. For machines on which other programs listen on all
/// addresses, and for tests that do so.
pub const PORTS_VARIABLE: &str = "HECKLE_PORTS";

/// A loopback address that no other claim on this machine shares. Released on drop.
#[derive(Debug)]
pub struct LoopbackClaim {
    ip: Ipv4Addr,
    _guard: TcpListener,
    /// The ports to hand out.
    ports: RangeInclusive<u16>,
    /// Offset of the first port, below 2^24. It differs between claims, so that a program listening on all addresses affects few of
    /// them.
    start: u32,
    /// Number of ports tried so far.
    given: AtomicU32,
}

impl LoopbackClaim {
    /// Claims a randomly chosen address.
    ///
    /// # Errors
    /// Fails if no address is available because some program listens on all addresses at every guard port, if file descriptors run
    /// out, or if [`PORTS_VARIABLE`] is not a range of ports.
    pub fn new() -> io::Result<LoopbackClaim> {
        let ports = match std::env::var_os(PORTS_VARIABLE) {
            Some(range) => parse_ports(&range.to_string_lossy()).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?,
            None => server_ports(),
        };
        let mut last_error = None;
        for guard in ports.clone().take(usize::from(GUARD_PORTS)) {
            for _ in 0..MAX_DRAWS {
                match LoopbackClaim::at(draw_address(), guard, &ports) {
                    Ok(claim) => return Ok(claim),
                    Err(cause) if cause.kind() == io::ErrorKind::AddrInUse => last_error = Some(cause),
                    Err(cause) => return Err(cause),
                }
            }
        }
        let ports = format!("{}..={}", ports.start(), ports.start().saturating_add(GUARD_PORTS - 1));
        let cause = last_error.map_or_else(String::new, |e| format!(": {e}"));
        Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("no address of 127.0.0.0/8 can be claimed, since programs listen on all addresses at the ports {ports}{cause}"),
        ))
    }

    fn at(ip: Ipv4Addr, guard: u16, ports: &RangeInclusive<u16>) -> io::Result<LoopbackClaim> {
        let listener = TcpListener::bind((ip, guard))?;
        let ports = ports.start().saturating_add(GUARD_PORTS)..=*ports.end();
        Ok(LoopbackClaim { ip, _guard: listener, ports, start: random_number() as u32 >> 8, given: AtomicU32::new(0) })
    }

    /// The address.
    pub fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// Returns an address and port for a listener that may start and stop repeatedly. Each call returns a different
    /// one.
    ///
    /// # Errors
    /// Fails if all ports have been used.
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
            // The claim keeps the port free. A port is skipped if a program listens on it on all addresses, or if it is in use by a
            // node left behind by an earlier owner of the address.
            if TcpListener::bind(addr).is_ok() {
                return Ok(addr);
            }
        }
    }

    /// Returns `count` different addresses.
    ///
    /// # Errors
    /// As for [`address`](LoopbackClaim::address).
    pub fn addresses(&self, count: usize) -> io::Result<Vec<SocketAddr>> {
        (0..count).map(|_| self.address()).collect()
    }
}

/// Draws an address in 127.0.0.0/8 outside 127.0.0.0/16, which most other programs use.
fn draw_address() -> Ipv4Addr {
    let [a, b, c, ..] = random_number().to_le_bytes();
    Ipv4Addr::new(127, 1 + a % 254, b, 1 + c % 254)
}

/// A new hasher has random keys.
fn random_number() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Reads a range such as `20000-29999`.
fn parse_ports(range: &str) -> Result<RangeInclusive<u16>, String> {
    let bounds = range.split_once('-').and_then(|(first, last)| Some((first.trim().parse().ok()?, last.trim().parse().ok()?)));
    match bounds {
        Some((first, last)) if first > 0 && last >= first && last - first >= MIN_PORTS - 1 => Ok(first..=last),
        _ => Err(format!("{PORTS_VARIABLE}={range}: not a range of at least {MIN_PORTS} ports, such as 20000-29999")),
    }
}

/// The ports for servers.
fn server_ports() -> RangeInclusive<u16> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default();
    ports_outside(&read("ip_local_port_range"), &read("ip_unprivileged_port_start"))
}

/// The ports below the kernel's range if there are enough of them, or else those above it.
fn ports_outside(kernel_range: &str, unprivileged_start: &str) -> RangeInclusive<u16> {
    let mut kernel = kernel_range.split_whitespace().map(|port| port.parse::<u16>().ok());
    let (low, high) = (kernel.next().flatten().unwrap_or(32_768), kernel.next().flatten().unwrap_or(60_999));
    let first = unprivileged_start.trim().parse::<u16>().unwrap_or(1_024).max(1_024);
    let below = low.saturating_sub(1);
    if below >= FIRST_PORT.max(first).saturating_add(MIN_PORTS) {
        FIRST_PORT.max(first)..=below
    } else if below >= first.saturating_add(MIN_PORTS) {
        first..=below
    } else if high <= u16::MAX - MIN_PORTS {
        high + 1..=u16::MAX
    } else {
        // The kernel may choose any port for outgoing connections. It chooses them for 127.0.0.1 and 0.0.0.0, but hardly ever
        // for a claimed address. If it does, either a node's bind or the identity check fails. That is an error, never a wrong
        // verdict.
        FIRST_PORT.max(first)..=u16::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_claim_at_a_time() {
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
    fn ports_are_distinct_outside_the_kernel_range_and_reusable() {
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
    fn skips_a_port_bound_on_all_addresses() {
        // The ports are below those of every other claim, so that the listener on all addresses does not make a node of another
        // test or run fail to bind.
        let (ports, guard) = (FIRST_PORT - 2_000..=FIRST_PORT - 1, *server_ports().start());
        let claim = LoopbackClaim::at(draw_address(), guard, &ports).unwrap();
        let bind = |port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).ok().map(|listener| (listener, port));
        let (_held, port) = claim.ports.clone().rev().find_map(bind).unwrap();
        // All other ports are handed out before the claim runs out, regardless of their order.
        let all: Vec<SocketAddr> = std::iter::from_fn(|| claim.address().ok()).collect();
        assert!(all.len() > 100 && !all.contains(&SocketAddr::from((claim.ip(), port))), "{}", all.len());
    }

    #[test]
    fn running_out_of_ports_is_an_error() {
        let claim = LoopbackClaim::new().unwrap();
        claim.given.store(claim.ports.len() as u32 - 1, Ordering::Relaxed);
        let _ = claim.address();
        let error = claim.address().unwrap_err().to_string();
        assert!(error.contains("were given away"), "{error}");
        assert!(claim.address().is_err(), "and stay so");
    }

    #[test]
    fn a_range_of_ports_has_two_bounds_and_enough_ports() {
        assert_eq!(parse_ports("20000-29999"), Ok(20_000..=29_999));
        assert_eq!(parse_ports("1-1000"), Ok(1..=1_000));
        for wrong in ["", "20000", "20000-20998", "0-2000", "30000-20000", "20000-70000", "a-b", "-", "1-2-3000"] {
            assert!(parse_ports(wrong).is_err_and(|e| e.starts_with(&format!("HECKLE_PORTS={wrong}: "))), "{wrong}");
        }
    }

    #[test]
    fn server_ports_are_outside_the_kernel_range() {
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
