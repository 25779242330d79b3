//! Changes that no sync has covered, and what a power loss leaves of them.
//!
//! - Of each 512-byte sector, any prefix of the writes to it survives, and the next of them may be torn at a random byte.
//! - The length of a file is one that it had since its last sync.
//! - Every change of a name survives or is lost separately.
//!
//! These guarantees are weaker than those of journaling file systems, and exactly those of POSIX. Folders themselves are
//! durable.

mod change;
mod names;
mod power_loss;

#[cfg(test)]
pub(crate) use change::SECTOR;
pub(crate) use change::{Change, lose_content};
pub(crate) use names::{NameChange, lose_names};
pub use power_loss::PowerLoss;
