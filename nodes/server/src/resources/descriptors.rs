//! File descriptors. The process raises its own limit as far as it needs, up to the hard limit. Descriptors for the log and the
//! peers are set aside first, and clients share the rest: a node without free descriptors can neither open the next segment of
//! its log nor reconnect to a peer.

use std::io;

/// Standard streams, the runtime, timers, and files opened briefly.
const OWN: u64 = 24;
/// The log: current segment, spare, snapshot, lock, folder.
const LOG: u64 = 16;
/// The connections to and from one peer, and a replacement for each.
const PER_PEER: u64 = 4;
/// Maximum number of connections of each kind, if there are enough descriptors.
const UNIDENTIFIED_PEERS: u64 = 128;
const CONTROL: u64 = 64;
const METRICS: u64 = 16;
const REFUSALS: u64 = 32;

/// Maximum number of open connections of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptors {
    /// Clients.
    pub(crate) clients: usize,
    /// Connections from peers that have not yet identified themselves.
    pub(crate) unidentified_peers: usize,
    /// Control connections.
    pub(crate) control: usize,
    /// Scrapers of the metrics endpoint.
    pub(crate) metrics: usize,
    /// Refused clients that are being sent the reason.
    pub(crate) refusals: usize,
}

impl Descriptors {
    /// Divides `limit` descriptors. `None` if there is no room for even one client.
    pub(crate) fn divide(limit: u64, max_clients: usize, peers: usize) -> Option<Descriptors> {
        let free = limit.checked_sub(OWN + LOG + PER_PEER * peers as u64)?;
        // If descriptors are scarce, most of them go to clients.
        let share = |most: u64, of: u64| most.min(free / of).max(1);
        let unidentified_peers = share(UNIDENTIFIED_PEERS, 8);
        let (control, metrics, refusals) = (share(CONTROL, 16), share(METRICS, 32), share(REFUSALS, 32));
        let left = free.checked_sub(unidentified_peers + control + metrics + refusals).filter(|left| *left > 0)?;
        Some(Descriptors {
            clients: max_clients.min(usize::try_from(left).unwrap_or(usize::MAX)),
            unidentified_peers: unidentified_peers as usize,
            control: control as usize,
            metrics: metrics as usize,
            refusals: refusals as usize,
        })
    }

    /// The numbers for a node that shares its process, and so cannot divide the process's descriptors.
    pub(crate) fn shared(max_clients: usize) -> Descriptors {
        Descriptors {
            clients: max_clients,
            unidentified_peers: UNIDENTIFIED_PEERS as usize,
            control: CONTROL as usize,
            metrics: METRICS as usize,
            refusals: REFUSALS as usize,
        }
    }

    /// Number of descriptors needed to give every kind its maximum.
    pub(crate) fn needed(max_clients: usize, peers: usize) -> u64 {
        OWN + LOG + PER_PEER * peers as u64 + UNIDENTIFIED_PEERS + CONTROL + METRICS + REFUSALS + max_clients as u64
    }
}

/// Raises this process's limit on open files to `needed`, or as far as the hard limit allows. Returns the new limit.
///
/// # Errors
/// Fails if the limit cannot be read.
pub fn raise_limit(needed: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a local variable of the right type.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur >= needed {
        return Ok(limit.rlim_cur);
    }
    let raised = libc::rlimit { rlim_cur: needed.min(limit.rlim_max), rlim_max: limit.rlim_max };
    // SAFETY: as above. A process may always raise its soft limit up to its hard limit. If this fails, the old limit
    // stays in force.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0;
    Ok(if set { raised.rlim_cur } else { limit.rlim_cur })
}

/// Whether an error means that this process or this machine can open no more files.
pub(crate) fn is_exhausted(cause: &io::Error) -> bool {
    matches!(cause.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(limit: u64, max_clients: usize, peers: usize, clients: Option<usize>) {
        let divided = Descriptors::divide(limit, max_clients, peers);
        assert_eq!(divided.map(|all| all.clients), clients, "{limit} descriptors: {divided:?}");
        let Some(Descriptors { clients, unidentified_peers, control, metrics, refusals }) = divided else { return };
        let sum = clients + unidentified_peers + control + metrics + refusals;
        assert!(sum as u64 + OWN + LOG + PER_PEER * peers as u64 <= limit, "{limit} descriptors are shared out twice: {divided:?}");
    }

    #[test]
    fn clients_get_what_is_left() {
        //    descriptors, clients wanted, peers, clients admitted
        check(1_024, 1_024, 2, Some(747));
        check(4_096, 1_024, 2, Some(1_024));
        check(256, 1_024, 2, Some(157));
        check(64, 1_024, 2, Some(11));
        check(53, 1_024, 2, Some(1));
        check(52, 1_024, 2, None);
        check(0, 1_024, 2, None);
    }

    #[test]
    fn needed_descriptors_cover_all_limits() {
        for (max_clients, peers) in [(1, 0), (1_024, 2), (100_000, 63)] {
            check(Descriptors::needed(max_clients, peers), max_clients, peers, Some(max_clients));
        }
    }
}
