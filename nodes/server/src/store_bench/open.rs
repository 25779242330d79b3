//! Each candidate, opened: all that it holds is shown, then it takes batches.

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

/// A store that stands open.
pub(super) struct Opened {
    pub(super) store: Box<dyn Store>,
    pub(super) at: LogFolder,
    /// Its lock, where the store has none of its own.
    _folder: Option<Folder>,
}

/// Opens a folder, empty or not. The store that comes of it notes in `times` how long each durable batch takes.
pub(super) fn open(candidate: Candidate, path: &Path, times: &Times, visit: &mut Visit<'_>) -> Result<Opened, StorageError> {
    match candidate {
        Candidate::WriteAheadLog => log(path, times, visit),
        #[cfg(feature = "stores")]
        Candidate::Fjall => indexed(path, super::fjall::Fjall::open(path)?, times, visit),
        #[cfg(feature = "stores")]
        Candidate::Redb => indexed(path, super::redb::Redb::open(path)?, times, visit),
    }
}

/// As a node opens it at its start.
fn log(path: &Path, times: &Times, visit: &mut Visit<'_>) -> Result<Opened, StorageError> {
    let folder = Folder::open(Arc::new(RealVfs::default()), path)?;
    let node = node();
    let identity = folder.identity(CLUSTER, node, 1)?;
    let at = folder.log(Owner { cluster: CLUSTER.to_owned(), node, folder: identity.folder }, Arc::default());
    let recovered = recover(&at, visit)?;
    // A segment's salt must differ from those before it, as in a node, which draws it from the system's random bits.
    let rng = Pcg64::seed_from_u64(recovered.next_batch);
    let wal = Wal::new(at.clone(), SEGMENT_BYTES, rng, recovered);
    Ok(Opened { store: Box::new(Timed { wal, times: times.clone() }), at, _folder: Some(folder) })
}

#[cfg(feature = "stores")]
fn indexed<I: super::indexed::Index + 'static>(
    path: &Path,
    index: I,
    times: &Times,
    visit: &mut Visit<'_>,
) -> Result<Opened, StorageError> {
    let store = super::indexed::Indexed::recover(index, times.clone(), visit)?;
    let owner = Owner { cluster: CLUSTER.to_owned(), node: node(), folder: 1 };
    Ok(Opened {
        store: Box::new(store),
        at: LogFolder { vfs: Arc::new(RealVfs::default()), path: path.to_owned(), owner, points: Arc::default() },
        _folder: None,
    })
}

fn node() -> NodeId {
    NodeId::new(2).expect("a number of a node")
}

/// The log, and how long each of its batches takes.
struct Timed {
    wal: Wal,
    times: Times,
}

impl Store for Timed {
    fn append(&mut self, batch: &mut BatchBuilder) -> Result<(), StorageError> {
        self.times.of(|| self.wal.append(batch))
    }

    fn seal(&mut self) -> Result<u64, StorageError> {
        self.wal.seal()
    }

    fn forget_up_to(&mut self, batch: u64) -> Result<(), StorageError> {
        self.wal.forget_up_to(batch)
    }

    fn segments(&self) -> usize {
        self.wal.segments()
    }

    fn finish(&mut self) -> Result<(), StorageError> {
        self.wal.finish()
    }
}
