//! Why a node could not start or had to stop, and the matching exit codes.

use std::net::SocketAddr;

use heckle_paxos::ConfigError;

use crate::StorageError;
use crate::options::OptionsError;

/// Exit code of a node whose disk failed (`EX_IOERR`).
pub const EXIT_DISK: u8 = 74;
/// Exit code of a node whose options are invalid (`EX_USAGE`).
pub const EXIT_USAGE: u8 = 64;
/// Exit code of a node whose own data is damaged or missing (`EX_DATAERR`).
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
    /// The disk failed, or the data folder is not usable.
    #[error(transparent)]
    Storage(#[from] StorageError),
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
    /// The operating system refused something that every node needs.
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
            NodeError::Storage(error) if error.is_usage() => EXIT_USAGE,
            NodeError::Storage(StorageError::Corrupt { .. }) => EXIT_DATA,
            NodeError::Storage(_) => EXIT_DISK,
            NodeError::Io { .. } | NodeError::Panicked => EXIT_FAILED,
        }
    }
}
