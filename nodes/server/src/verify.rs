//! Reads a whole data folder and reports whether it is sound, without changing it.

use std::path::Path;
use std::sync::Arc;

use heckle_paxos::{Config, Mutants, NodeId as CoreNodeId, Replica};
use serde::Serialize;

use crate::StorageError;
use crate::amnesia::check_folder;
use crate::client_protocol::FolderId;
use crate::options::NodeId;
use crate::points::storage::StoragePoints;
use crate::storage::folder::Folder;
use crate::storage::recovery;
use crate::storage::segment::Owner;
use crate::storage::vfs::real::RealVfs;
use crate::wire::record::{LogRecord, decode_log_record};

/// The contents of a sound folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifiedFolder {
    /// Name of the cluster.
    pub cluster: String,
    /// The node that owns the folder.
    pub node: String,
    /// Id of the folder.
    pub folder: FolderId,
    /// All nodes of the cluster. Empty in a folder of an earlier release.
    pub members: Vec<String>,
    /// Number of times the node has been started on the folder.
    pub incarnation: u32,
    /// Number of records, including those of the snapshot.
    pub records: u64,
    /// Sequence number of the last batch.
    pub last_batch: u64,
    /// Number of keys.
    pub keys: u64,
    /// Number of keys with a row.
    pub rows: u64,
    /// Bytes of a torn tail, which the next start cuts off. It contains no acknowledged write.
    pub torn_bytes: u64,
}

/// Reads and checks everything in a data folder that no node is using.
///
/// # Errors
/// Returns the first damage found, with its file and position. Also fails if the log lacks something it once had, or the
/// folder is unusable.
pub fn verify_folder(path: &Path) -> Result<VerifiedFolder, StorageError> {
    let unusable = |why: &str| StorageError::Unusable { path: path.to_owned(), cause: std::io::Error::other(why) };
    if !path.is_dir() {
        return Err(unusable("there is no such folder"));
    }
    let folder = Folder::open(Arc::new(RealVfs::default()), path)?;
    let Some(identity) = folder.known_identity()? else { return Err(unusable("no node has used this folder")) };
    let core_id = |id: NodeId| CoreNodeId(id.number());
    let mut members: Vec<CoreNodeId> = identity.members.iter().copied().map(core_id).collect();
    if members.is_empty() {
        members.push(core_id(identity.node));
    }
    let mut config = Config::new(core_id(identity.node), members);
    config.mutants = Mutants::NONE;
    let mut replica = Replica::new(config).map_err(|error| unusable(&error.to_string()))?;
    let owner = Owner { cluster: identity.cluster.clone(), node: identity.node, folder: identity.folder };
    let at = folder.log(owner, Arc::new(StoragePoints::default()));
    let read = recovery::read(&at, &mut |bytes| {
        match decode_log_record(bytes).map_err(|error| error.to_string())? {
            LogRecord::Core(record) => replica.recover(record),
            LogRecord::Seen(..) => {}
        }
        Ok(())
    })?;
    check_folder(path, &identity, &read, replica.incarnation())?;
    let state = replica.state_bytes();
    Ok(VerifiedFolder {
        cluster: identity.cluster,
        node: identity.node.to_string(),
        folder: FolderId(identity.folder),
        members: identity.members.iter().map(NodeId::to_string).collect(),
        incarnation: replica.incarnation(),
        records: read.records,
        last_batch: read.next_batch - 1,
        keys: state.keys,
        rows: state.rows,
        torn_bytes: read.torn_bytes,
    })
}
