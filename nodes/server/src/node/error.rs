//! Why a node could not start or had to stop, and the matching exit codes.

use std::net::SocketAddr;

use heckle_paxos::ConfigError;

use crate::StorageError;
use crate::amnesia::LostState;
use crate::options::OptionsError;

/// Exit code of a node after a disk failure (`EX_IOERR`).
pub const EXIT_DISK: u8 = 74;
/// Exit code of a node with invalid options (`EX_USAGE`).
pub const EXIT_USAGE: u8 = 64;
/// Exit code of a node with damaged or missing data (`EX_DATAERR`).
pub const EXIT_DATA: u8 = 65;
/// Exit code of a node that failed for any other reason.
pub const EXIT_FAILED: u8 = 70;

/// Why a node could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The options are invalid.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The core refused its settings.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The disk failed, or the data folder is unusable.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Another node proved that this one has lost part of its state.
    #[error("{0}")]
    LostState(Box<LostState>),
    /// The node cannot listen on an address.
    #[error("cannot listen for {what} on {addr}: {cause}{}", bind_advice(.cause))]
    Bind {
        /// What the address is for.
        what: &'static str,
        /// The address.
        addr: SocketAddr,
        /// The error from the operating system.
        cause: std::io::Error,
    },
    /// The operating system refused a resource that every node needs.
    #[error("{what}: {cause}")]
    Io {
        /// What was refused.
        what: &'static str,
        /// The error from the operating system.
        cause: std::io::Error,
    },
    /// A bug: the node's thread panicked.
    #[error("the node panicked; see its log")]
    Panicked,
}

fn bind_advice(cause: &std::io::Error) -> &'static str {
    match cause.kind() {
        std::io::ErrorKind::AddrInUse => " (another program has this port: choose another, or 0 for any free one)",
        _ => "",
    }
}

impl NodeError {
    /// The exit code of a process that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            NodeError::Options(_) | NodeError::Config(_) | NodeError::Bind { .. } => EXIT_USAGE,
            NodeError::Storage(error) => storage_exit_code(error),
            NodeError::LostState(_) => EXIT_DATA,
            NodeError::Io { .. } | NodeError::Panicked => EXIT_FAILED,
        }
    }
}

/// The exit code of a process whose storage cannot start or continue. Running out of file descriptors does not count
/// as a disk failure.
pub(super) fn storage_exit_code(error: &StorageError) -> u8 {
    match error {
        error if error.is_usage() => EXIT_USAGE,
        error if error.is_out_of_descriptors() => EXIT_FAILED,
        StorageError::Corrupt { .. } | StorageError::LostLog { .. } => EXIT_DATA,
        _ => EXIT_DISK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_lack_of_descriptors_is_not_a_failed_disk() {
        let failed = |errno| StorageError::Io { what: "create of", path: "log-2.wal".into(), cause: io::Error::from_raw_os_error(errno) };
        for (errno, code) in [(libc::EMFILE, EXIT_FAILED), (libc::ENFILE, EXIT_FAILED), (libc::EIO, EXIT_DISK), (libc::ENOSPC, EXIT_DISK)] {
            assert_eq!(NodeError::Storage(failed(errno)).exit_code(), code, "{errno}");
        }
        let says = failed(libc::EMFILE).to_string();
        assert!(says.contains("The disk is not at fault") && says.contains("ulimit -n"), "{says}");
    }
}
