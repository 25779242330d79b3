//! Finds the inode of a dialler's socket by the two addresses of its connection: through `sock_diag` (see
//! `sock_diag(7)`), or in `/proc/net/tcp` and `tcp6` if the kernel does not support it.

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

/// Message types and flags of `linux/netlink.h` and `linux/sock_diag.h`.
const NLMSG_ERROR: u16 = 2;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const IPPROTO_TCP: u8 = 6;
/// Sizes of a netlink header, and of a whole request.
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;
/// Offsets of state and inode in a reply.
const STATE_AT: usize = HEADER + 1;
const INODE_AT: usize = HEADER + 68;
/// States of a socket that can still send or receive: established or half-closed.
const ALIVE: [u8; 4] = [1, 4, 5, 8];

const LISTENING: u8 = 10;

/// Looks up sockets in the kernel.
pub(in crate::relay) struct Sockets {
    diag: Option<OwnedFd>,
}

impl Sockets {
    pub(in crate::relay) fn new() -> Self {
        let flags = SocketFlags::CLOEXEC;
        Sockets { diag: rustix::net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::SOCK_DIAG)).ok() }
    }

    /// Whether a process listens at an address; `None` if the kernel cannot be queried.
    pub(in crate::relay) fn listens(&self, at: SocketAddrV4) -> Option<bool> {
        // No connection has this remote address, so the lookup finds the socket that would accept a new one.
        let unspecified = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let found = query_diag(self.diag.as_ref()?, at, unspecified).ok()?;
        Some(found.is_some_and(|socket| socket.state == LISTENING))
    }

    /// Returns the inode of the live socket with local address `local` and remote address `remote`, if there is one.
    ///
    /// # Errors
    /// If both ways of querying the kernel fail.
    pub(super) fn inode(&self, local: SocketAddrV4, remote: SocketAddrV4) -> io::Result<Option<u64>> {
        match self.diag.as_ref().map(|diag| query_diag(diag, local, remote)) {
            Some(Ok(Some(found))) => Ok(found.live_inode()),
            // Without its TCP module, `sock_diag` also reports that there is no such socket.
            Some(Ok(None) | Err(_)) | None => Ok(query_tables(local, remote)?.and_then(Socket::live_inode)),
        }
    }
}

/// Returns the IPv4 address, including from its IPv6-mapped form.
pub(in crate::relay) fn v4(addr: SocketAddr) -> Option<SocketAddrV4> {
    match addr {
        SocketAddr::V4(addr) => Some(addr),
        SocketAddr::V6(addr) => Some(SocketAddrV4::new(addr.ip().to_ipv4_mapped()?, addr.port())),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Socket {
    state: u8,
    inode: u64,
}

impl Socket {
    /// Returns the inode of a live socket. A socket without an inode is no longer open in any process.
    fn live_inode(self) -> Option<u64> {
        (ALIVE.contains(&self.state) && self.inode != 0).then_some(self.inode)
    }
}

/// Queries one socket. An IPv6 socket with mapped addresses is found by its IPv4 addresses.
fn query_diag(diag: &OwnedFd, local: SocketAddrV4, remote: SocketAddrV4) -> io::Result<Option<Socket>> {
    let mut request = [0u8; REQUEST];
    request[0..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request[6..8].copy_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    let body = &mut request[HEADER..];
    (body[0], body[1]) = (AF_INET, IPPROTO_TCP);
    body[4..8].fill(0xff);
    body[8..10].copy_from_slice(&local.port().to_be_bytes());
    body[10..12].copy_from_slice(&remote.port().to_be_bytes());
    body[12..16].copy_from_slice(&local.ip().octets());
    body[28..32].copy_from_slice(&remote.ip().octets());
    // The wildcard cookie, which matches any socket with these addresses.
    body[48..56].fill(0xff);
    rustix::net::send(diag, &request, SendFlags::empty())?;
    let mut answer = [0u8; 1024];
    let (len, _) = rustix::net::recv(diag, &mut answer, RecvFlags::empty())?;
    read_answer(&answer[..len])
}

fn read_answer(answer: &[u8]) -> io::Result<Option<Socket>> {
    let short = || io::Error::new(io::ErrorKind::UnexpectedEof, "the kernel's answer is too short");
    let word = |at: usize| answer.get(at..at + 4).map(|b| [b[0], b[1], b[2], b[3]]).ok_or_else(short);
    let [a, b, ..] = word(4)?;
    match u16::from_ne_bytes([a, b]) {
        NLMSG_ERROR => match -i32::from_ne_bytes(word(HEADER)?) {
            libc::ENOENT => Ok(None),
            error => Err(io::Error::from_raw_os_error(error)),
        },
        SOCK_DIAG_BY_FAMILY => {
            let state = *answer.get(STATE_AT).ok_or_else(short)?;
            Ok(Some(Socket { state, inode: u64::from(u32::from_ne_bytes(word(INODE_AT)?)) }))
        }
        other => Err(io::Error::other(format!("the kernel answered a question about sockets with a message of type {other}"))),
    }
}

/// Searches the tables of all sockets.
fn query_tables(local: SocketAddrV4, remote: SocketAddrV4) -> io::Result<Option<Socket>> {
    let mut last_error = None;
    for (file, mapped) in [("/proc/net/tcp", ""), ("/proc/net/tcp6", "0000000000000000FFFF0000")] {
        let wanted = [local, remote].map(|addr| format!("{mapped}{}", table_form(addr)));
        match File::open(file) {
            Ok(table) => {
                for line in BufReader::new(table).lines() {
                    if let Some(found) = parse_line(&line?, &wanted) {
                        return Ok(Some(found));
                    }
                }
            }
            Err(e) => last_error = Some(e),
        }
    }
    last_error.map_or(Ok(None), Err)
}

/// Formats an address as in the tables: address and port in hexadecimal, the address in the machine's byte order.
fn table_form(addr: SocketAddrV4) -> String {
    let number = |ip: Ipv4Addr| u32::from_ne_bytes(ip.octets());
    format!("{:08X}:{:04X}", number(*addr.ip()), addr.port())
}

fn parse_line(line: &str, [local, remote]: &[String; 2]) -> Option<Socket> {
    let mut fields = line.split_whitespace().skip(1);
    if fields.next()? != local || fields.next()? != remote {
        return None;
    }
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    Some(Socket { state, inode: fields.nth(5)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    fn inode_of(stream: &TcpStream) -> u64 {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", stream.as_raw_fd())).expect("an open descriptor");
        link.to_string_lossy().trim_start_matches("socket:[").trim_end_matches(']').parse().expect("an inode")
    }

    /// Checks that both ways of querying agree, and that neither finds a closed socket.
    #[track_caller]
    fn check(connect: &str) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let near = TcpStream::connect((connect, port)).expect("it listens");
        let (far, peer) = listener.accept().expect("it was dialled");
        let (local, remote) = (v4(peer).expect("IPv4"), v4(far.local_addr().expect("connected")).expect("IPv4"));
        let sockets = Sockets::new();
        let want = Some(inode_of(&near));
        assert_eq!(sockets.inode(local, remote).expect("asked"), want, "{connect}");
        assert_eq!(Sockets { diag: None }.inode(local, remote).expect("read"), want, "{connect}");
        // The other end of the same connection is a different socket.
        assert_eq!(sockets.inode(remote, local).expect("asked"), Some(inode_of(&far)));
        drop(near);
        for asked in [sockets, Sockets { diag: None }] {
            assert_eq!(asked.inode(local, remote).expect("asked"), None, "{connect}: closed");
        }
    }

    #[test]
    fn a_socket_is_found_by_its_addresses_or_mapped_addresses() {
        check("127.0.0.1");
        if TcpListener::bind(("::1", 0)).is_ok() {
            check("::ffff:127.0.0.1");
        } else {
            eprintln!("SKIPPED: no IPv6 here");
        }
    }

    #[test]
    fn a_listener_is_seen_until_it_is_closed() {
        let claim = heckle_loopback::LoopbackClaim::new().expect("an address");
        let at = claim.address().expect("a port");
        let (sockets, addr) = (Sockets::new(), v4(at).expect("IPv4"));
        assert_eq!(sockets.listens(addr), Some(false));
        let listener = TcpListener::bind(at).expect("a claimed port");
        let _near = TcpStream::connect(at).expect("it listens");
        let _far = listener.accept().expect("it was dialled");
        assert_eq!(sockets.listens(addr), Some(true));
        drop(listener);
        assert_eq!(sockets.listens(addr), Some(false), "a connection is no listener");
        assert_eq!(Sockets { diag: None }.listens(addr), None);
    }

    #[test]
    fn malformed_replies_are_errors() {
        let whole: Vec<u8> = [&88u32.to_ne_bytes()[..], &SOCK_DIAG_BY_FAMILY.to_ne_bytes(), &[0; 82]].concat();
        assert_eq!(read_answer(&whole).expect("whole"), Some(Socket { state: 0, inode: 0 }));
        for len in 0..whole.len() {
            assert!(read_answer(&whole[..len]).is_err(), "{len} bytes");
        }
        let error = |code: i32| [&36u32.to_ne_bytes()[..], &NLMSG_ERROR.to_ne_bytes(), &[0; 10], &(-code).to_ne_bytes()].concat();
        assert_eq!(read_answer(&error(libc::ENOENT)).expect("an answer"), None);
        assert_eq!(read_answer(&error(libc::EPERM)).expect_err("refused").raw_os_error(), Some(libc::EPERM));
        assert!(read_answer(&[&whole[..4], &[9, 9], &whole[6..]].concat()).is_err(), "another type");
    }

    #[test]
    fn a_table_line_must_match_both_addresses() {
        let line = "  11: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 48151 1 0000000000000000 20";
        let addresses = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        assert_eq!(parse_line(line, &addresses("0100007F:9C40", "0100007F:1F90")), Some(Socket { state: 1, inode: 48_151 }));
        assert_eq!(parse_line(line, &addresses("0100007F:1F90", "0100007F:9C40")), None);
        assert_eq!(parse_line("", &addresses("", "")), None);
    }
}
