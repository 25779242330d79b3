//! Changes that no sync has covered, and how a power loss affects them.
//!
//! - For each 512-byte sector, any prefix of its writes survives, and the next write may be torn at a random byte.
//! - The length of a file is one that it has had since its last sync.
//! - Every name change survives or is lost independently.
//!
//! These guarantees are weaker than those of journaling file systems, and are exactly those of POSIX. Folders themselves
//! are durable.

mod change;
mod names;
mod power_loss;

#[cfg(test)]
pub(crate) use change::SECTOR;
pub(crate) use change::{Change, lose_content};
pub(crate) use names::{NameChange, lose_names};
pub use power_loss::PowerLoss;
