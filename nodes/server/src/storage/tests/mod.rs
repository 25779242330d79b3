//! Tests of the storage: its log under damage, compaction under kills, its thread, and all of them under power loss.

mod compaction;
mod log;
mod overlay;
mod power_loss;
mod thread;

use std::path::Path;
use std::sync::Arc;

use super::LogFolder;
use super::segment::Owner;
use super::vfs::real::RealVfs;
use crate::options::NodeId;

/// A real folder that belongs to node 1 of this cluster.
fn real(path: &Path, folder: u64) -> LogFolder {
    let owner = Owner { cluster: "c".to_owned(), node: NodeId::new(1).unwrap(), folder };
    LogFolder { vfs: Arc::new(RealVfs::default()), path: path.to_owned(), owner, points: Arc::default() }
}
