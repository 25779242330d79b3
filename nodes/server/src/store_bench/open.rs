//! Opens each candidate: passes all its records to the caller and returns a store that accepts batches.

use std::path::Path;
use std::sync::Arc;

use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::records::Visit;
use super::{Candidate, SEGMENT_BYTES, Times};
use crate::options::NodeId;
use crate::storage::batch::BatchBuilder;
use crate::storage::folder::Folder;
use crate::storage::recovery::recover;
use crate::storage::segment::Owner;
use crate::storage::vfs::real::RealVfs;
use crate::storage::wal::Wal;
use crate::storage::{LogFolder, StorageError, Store};

const CLUSTER: &str = "bench";

/// An open store.
pub(super) struct OpenStore {
    pub(super) store: Box<dyn Store>,
    pub(super) at: LogFolder,
    /// Locks the folder, if the store does not lock it itself.
    _folder: Option<Folder>,
}

/// Opens a folder, empty or not. The returned store records in `times` how long each durable batch takes.
pub(super) fn open(candidate: Candidate, path: &Path, times: &Times, visit: &mut Visit<'_>) -> Result<OpenStore, StorageError> {
    match candidate {
        Candidate::WriteAheadLog => log(path, times, visit),
        #[cfg(feature = "stores")]
        Candidate::Fjall => indexed(path, super::fjall::Fjall::open(path)?, times, visit),
        #[cfg(feature = "stores")]
        Candidate::Redb => indexed(path, super::redb::Redb::open(path)?, times, visit),
    }
}

/// Opens the log as a starting node does.
fn log(path: &Path, times: &Times, visit: &mut Visit<'_>) -> Result<OpenStore, StorageError> {
    let folder = Folder::open(Arc::new(RealVfs::default()), path)?;
    let node = node();
    let identity = folder.identity(CLUSTER, node, &[node], 1)?;
    let at = folder.log(Owner { cluster: CLUSTER.to_owned(), node, folder: identity.folder }, Arc::default());
    let recovered = recover(&at, visit)?;
    // A segment's salt must differ from earlier ones. A node draws it from the system's random bits, whereas here it
    // is derived from the batch number.
    let rng = Pcg64::seed_from_u64(recovered.next_batch);
    let wal = Wal::new(at.clone(), SEGMENT_BYTES, rng, recovered);
    Ok(OpenStore { store: Box::new(TimedLog { wal, times: times.clone() }), at, _folder: Some(folder) })
}

#[cfg(feature = "stores")]
fn indexed<I: super::indexed::Index + 'static>(
    path: &Path,
    index: I,
    times: &Times,
    visit: &mut Visit<'_>,
) -> Result<OpenStore, StorageError> {
    let store = super::indexed::Indexed::recover(index, times.clone(), visit)?;
    let owner = Owner { cluster: CLUSTER.to_owned(), node: node(), folder: 1 };
    Ok(OpenStore {
        store: Box::new(store),
        at: LogFolder { vfs: Arc::new(RealVfs::default()), path: path.to_owned(), owner, points: Arc::default() },
        _folder: None,
    })
}

fn node() -> NodeId {
    NodeId::new(2).expect("a number of a node")
}

/// The log, with a record of how long each batch takes.
struct TimedLog {
    wal: Wal,
    times: Times,
}

impl Store for TimedLog {
    fn append(&mut self, batch: &mut BatchBuilder) -> Result<(), StorageError> {
        self.times.measure(|| self.wal.append(batch))
    }

    fn seal(&mut self) -> Result<u64, StorageError> {
        self.wal.seal()
    }

    fn remove_up_to(&mut self, batch: u64) -> Result<(), StorageError> {
        self.wal.remove_up_to(batch)
    }

    fn segments(&self) -> usize {
        self.wal.segments()
    }

    fn finish(&mut self) -> Result<(), StorageError> {
        self.wal.finish()
    }
}
