//! The data folder: its lock, and the identity that keeps a node from voting with another node's promises.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::amnesia::{Doubt, History, MAX_PROCESSES, Position, ProcessStart, Seen};
use crate::options::NodeId;
use crate::points::storage::StoragePoints;
use crate::storage::segment::Owner;
use crate::storage::vfs::{FolderLock, Vfs};
use crate::storage::{LogFolder, StorageError, sync_folder};

/// Format of the folder and its files. It changes with every change to the layout of a file or record.
pub(crate) const FORMAT: &str = "heckle.data/4";
/// Earlier formats: without records of puts (2), and without records of positions seen (3). Such a folder is accepted
/// and converted to [`FORMAT`] before anything is written to it, so that a program that does not support these records
/// refuses the folder instead of treating it as a torn log.
const EARLIER_FORMATS: [&str; 2] = ["heckle.data/2", "heckle.data/3"];

const IDENTITY: &str = "identity.json";
pub(crate) const LOCK: &str = "lock";

/// The node that owns the folder, and its history. The file is replaced as a whole: temporary file, sync, rename,
/// sync of the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) format: String,
    pub(crate) cluster: String,
    pub(crate) node: NodeId,
    /// Random id, drawn when the folder is created. Distinguishes a node that lost its disk from one that kept it.
    pub(crate) folder: u64,
    /// All nodes of the cluster, in ascending order. Empty in a folder of an earlier release, until its next start.
    #[serde(default)]
    pub(crate) members: Vec<NodeId>,
    /// Folders of the other nodes, as recorded by an earlier release. They are now in the log: see
    /// [`crate::amnesia`].
    #[serde(default)]
    pub(crate) peers: BTreeMap<NodeId, KnownPeer>,
    /// The processes of this node on this folder, oldest first: the last entry is the running process, or the last
    /// one to run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) processes: Vec<ProcessStart>,
    /// Why this node needs more confirmations than after an ordinary restart, until it has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) doubt: Option<Doubt>,
    /// After a clean stop: the batch that marks it in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stopped: Option<u64>,
}

impl Identity {
    /// The identity of a new folder, with this random id.
    pub(crate) fn new(cluster: &str, node: NodeId, members: &[NodeId], folder: u64) -> Identity {
        Identity {
            format: FORMAT.to_owned(),
            cluster: cluster.to_owned(),
            node,
            folder,
            members: members.to_vec(),
            peers: BTreeMap::new(),
            processes: Vec::new(),
            doubt: Some(Doubt::New),
            stopped: None,
        }
    }

    /// Adds a process. An existing entry with the same number never got its first batch to disk, and is replaced.
    pub(crate) fn begin_process(&mut self, process: ProcessStart, doubt: Doubt) {
        self.processes.retain(|earlier| earlier.incarnation < process.incarnation);
        self.processes.push(process);
        self.processes.drain(..self.processes.len().saturating_sub(MAX_PROCESSES));
        self.doubt = Some(doubt).filter(|doubt| *doubt != Doubt::None);
        self.stopped = None;
    }

    /// The processes, in the form sent to other nodes.
    pub(crate) fn history(&self) -> History {
        History { folder: self.folder, processes: self.processes.clone() }
    }

    /// The positions of other nodes seen by an earlier release.
    pub(crate) fn seen_by_earlier_release(&self) -> BTreeMap<NodeId, Seen> {
        let seen = |known: &KnownPeer| {
            let position = Position { folder: known.folder, incarnation: known.incarnation, process: 0, batch: 0 };
            Seen { registered: Some(position), ..Seen::default() }
        };
        self.peers.iter().map(|(node, known)| (*node, seen(known))).collect()
    }
}

/// The content of the file. Files of earlier releases have no checksum.
#[derive(Debug, Serialize, Deserialize)]
struct IdentityFile {
    #[serde(flatten)]
    identity: Identity,
    /// CRC-32 of the identity as compact JSON, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
}

impl IdentityFile {
    fn new(identity: &Identity) -> IdentityFile {
        IdentityFile { identity: identity.clone(), checksum: Some(checksum(identity)) }
    }

    /// Returns the identity if the checksum shows that it is undamaged.
    fn verified(self) -> Result<Identity, String> {
        match self.checksum {
            Some(found) if found == checksum(&self.identity) => Ok(self.identity),
            Some(found) => Err(format!("its checksum is {found}, and its content gives {}", checksum(&self.identity))),
            // Earlier releases wrote neither checksum nor members.
            None if self.identity.members.is_empty() => Ok(self.identity),
            None => Err("it has no checksum".to_owned()),
        }
    }
}

fn checksum(identity: &Identity) -> String {
    format!("{:08x}", crc32fast::hash(&serde_json::to_vec(identity).expect("an identity is plain data")))
}

/// What an earlier release recorded about a peer's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownPeer {
    pub(crate) folder: u64,
    /// Highest incarnation seen.
    pub(crate) incarnation: u32,
}

/// A locked data folder. The lock is released when this is dropped, or when the process ends for any reason.
#[derive(Debug)]
pub(crate) struct Folder {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    _lock: Box<dyn FolderLock>,
}

impl Folder {
    /// Creates the folder if needed, and locks it.
    pub(crate) fn open(vfs: Arc<dyn Vfs>, path: &Path) -> Result<Folder, StorageError> {
        let unusable = |cause| StorageError::Unusable { path: path.to_owned(), cause };
        vfs.create_folder(path).map_err(unusable)?;
        let lock = vfs.lock(&path.join(LOCK)).map_err(|cause| match cause.kind() {
            io::ErrorKind::WouldBlock => StorageError::Locked { path: path.to_owned() },
            _ => unusable(cause),
        })?;
        Ok(Folder { vfs, path: path.to_owned(), _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.vfs
    }

    /// The folder of the log, with the given owner.
    pub(crate) fn log(&self, owner: Owner, points: Arc<StoragePoints>) -> LogFolder {
        LogFolder { vfs: Arc::clone(&self.vfs), path: self.path.clone(), owner, points }
    }

    /// Reads the identity, or creates one for an empty folder. `new_folder` is the random id of a new folder.
    pub(crate) fn identity(&self, cluster: &str, node: NodeId, members: &[NodeId], new_folder: u64) -> Result<Identity, StorageError> {
        let Some(mut identity) = self.read_identity()? else {
            let identity = Identity::new(cluster, node, members, new_folder);
            write_identity(&*self.vfs, &self.path, &identity)?;
            return Ok(identity);
        };
        if identity.cluster != cluster || identity.node != node {
            return Err(StorageError::OtherOwner {
                path: self.path.join(IDENTITY),
                found: format!("{} of cluster {:?}", identity.node, identity.cluster),
                expected: format!("{node} of cluster {cluster:?}"),
            });
        }
        if identity.members.is_empty() {
            identity.members = members.to_vec();
            write_identity(&*self.vfs, &self.path, &identity)?;
        }
        if identity.members != members {
            // With a different list, a node could take a minority for a quorum.
            return Err(StorageError::OtherMembers {
                path: self.path.join(IDENTITY),
                found: names(&identity.members),
                expected: names(members),
            });
        }
        Ok(identity)
    }

    /// The identity of an existing folder.
    pub(crate) fn known_identity(&self) -> Result<Option<Identity>, StorageError> {
        self.parse_identity()
    }

    fn read_identity(&self) -> Result<Option<Identity>, StorageError> {
        let Some(mut identity) = self.parse_identity()? else { return Ok(None) };
        if identity.format != FORMAT {
            FORMAT.clone_into(&mut identity.format);
            write_identity(&*self.vfs, &self.path, &identity)?;
        }
        Ok(Some(identity))
    }

    /// Reads and verifies the identity without changing anything.
    fn parse_identity(&self) -> Result<Option<Identity>, StorageError> {
        #[derive(Deserialize)]
        struct Versioned {
            format: String,
        }
        let path = self.path.join(IDENTITY);
        let text = match self.vfs.read(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return self.check_no_data(&path).map(|()| None),
            Err(cause) => return Err(StorageError::io("read of", &path, cause)),
        };
        let corrupt = |cause: serde_json::Error| StorageError::corrupt(&path, 0, cause.to_string());
        let versioned: Versioned = serde_json::from_slice(&text).map_err(corrupt)?;
        let file: IdentityFile = match versioned.format.as_str() {
            format if format == FORMAT || EARLIER_FORMATS.contains(&format) => serde_json::from_slice(&text).map_err(corrupt)?,
            _ => return Err(StorageError::OtherFormat { path, found: versioned.format, expected: FORMAT.to_owned() }),
        };
        file.verified().map(Some).map_err(|why| StorageError::corrupt(&path, 0, why))
    }

    /// Checks that a folder without an identity contains no log or snapshot, since a node may have voted based on
    /// them.
    fn check_no_data(&self, identity: &Path) -> Result<(), StorageError> {
        for path in self.vfs.list(&self.path).map_err(|cause| StorageError::io("list of", &self.path, cause))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(".wal") || name.ends_with(".snap") {
                return Err(StorageError::corrupt(identity, 0, format!("the file is missing, but {name} is there")));
            }
        }
        Ok(())
    }
}

fn names(nodes: &[NodeId]) -> String {
    nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(" ")
}

/// Replaces the identity durably.
pub(crate) fn write_identity(vfs: &dyn Vfs, folder: &Path, identity: &Identity) -> Result<(), StorageError> {
    let path = folder.join(IDENTITY);
    let temporary = folder.join("identity.tmp");
    let text = serde_json::to_vec_pretty(&IdentityFile::new(identity)).expect("an identity is plain data");
    let write = || {
        let file = vfs.create(&temporary)?;
        file.write_at(&text, 0)?;
        file.sync_all()?;
        vfs.rename(&temporary, &path)
    };
    write().map_err(|cause| StorageError::io("write of", &path, cause))?;
    sync_folder(vfs, folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::vfs::real::RealVfs;
    use crate::testing::TempDir;

    fn open(path: &Path) -> Result<Folder, StorageError> {
        Folder::open(Arc::new(RealVfs::default()), path)
    }

    fn n(number: u16) -> NodeId {
        NodeId::new(number).unwrap()
    }

    #[test]
    fn identity_is_created_once() {
        let dir = TempDir::new("folder-once");
        for start in 1..4 {
            let folder = open(dir.path()).unwrap();
            let mut identity = folder.identity("c", n(1), &[n(1), n(2)], 100 + start).unwrap();
            assert_eq!((identity.folder, identity.peers.len() as u64), (101, start - 1));
            identity.peers.insert(n(10 + start as u16), KnownPeer { folder: start, incarnation: 1 });
            write_identity(&RealVfs::default(), dir.path(), &identity).unwrap();
        }
    }

    #[test]
    fn folders_are_exclusive_to_one_process_of_their_node() {
        let dir = TempDir::new("folder-owner");
        let folder = open(dir.path()).unwrap();
        folder.identity("c", n(1), &[n(1), n(2)], 1).unwrap();
        let second = open(dir.path()).unwrap_err();
        assert!(matches!(second, StorageError::Locked { .. }) && second.is_usage(), "{second}");
        for (cluster, node) in [("c", n(2)), ("d", n(1))] {
            let error = folder.identity(cluster, node, &[n(1), n(2)], 1).unwrap_err();
            assert!(matches!(error, StorageError::OtherOwner { .. }) && error.is_usage(), "{error}");
        }
    }

    #[test]
    fn a_folder_keeps_its_list_of_nodes() {
        let dir = TempDir::new("folder-members");
        let folder = open(dir.path()).unwrap();
        let all = [n(1), n(2), n(3)];
        let made = folder.identity("c", n(1), &all, 7).unwrap();
        assert_eq!(folder.identity("c", n(1), &all, 8).unwrap(), made);
        for other in [&[n(1)][..], &[n(1), n(2)], &[n(1), n(2), n(3), n(4), n(5)]] {
            let error = folder.identity("c", n(1), other, 8).unwrap_err();
            assert!(matches!(error, StorageError::OtherMembers { .. }) && error.is_usage(), "{error}");
            assert!(error.to_string().contains("n1 n2 n3"), "{error}");
        }
        // A folder of an earlier release has no members, and takes those of its next start.
        let old = serde_json::json!({"format": FORMAT, "cluster": "c", "node": "n1", "folder": 7, "peers": {}});
        std::fs::write(dir.path().join(IDENTITY), old.to_string()).unwrap();
        // A node of that release may have voted, so its folder is not new.
        assert_eq!(folder.identity("c", n(1), &all, 8).unwrap(), Identity { doubt: None, ..made });
        folder.identity("c", n(1), &[n(1)], 8).unwrap_err();
    }

    #[test]
    fn every_flipped_bit_of_an_identity_is_detected_or_harmless() {
        let dir = TempDir::new("folder-flip");
        let folder = open(dir.path()).unwrap();
        let mut made = folder.identity("c", n(1), &[n(1), n(2)], 7).unwrap();
        made.peers.insert(n(2), KnownPeer { folder: 9, incarnation: 3 });
        write_identity(&RealVfs::default(), dir.path(), &made).unwrap();
        let path = dir.path().join(IDENTITY);
        let good = std::fs::read(&path).unwrap();
        let mut refused = 0;
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bad).unwrap();
            match folder.known_identity() {
                Ok(read) => assert_eq!(read.as_ref(), Some(&made), "bit {bit} changed the identity unnoticed"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > good.len() * 6, "only {refused} of {} flips were noticed", good.len() * 8);
    }

    #[test]
    fn earlier_formats_are_upgraded_first() {
        for format in EARLIER_FORMATS {
            let dir = TempDir::new("folder-earlier");
            let folder = open(dir.path()).unwrap();
            let made = folder.identity("c", n(1), &[n(1), n(2)], 7).unwrap();
            let old = Identity { format: format.to_owned(), ..made.clone() };
            write_identity(&RealVfs::default(), dir.path(), &old).unwrap();
            assert_eq!(folder.identity("c", n(1), &[n(1), n(2)], 8).unwrap(), made);
            let on_disk = std::fs::read_to_string(dir.path().join(IDENTITY)).unwrap();
            assert!(on_disk.contains(FORMAT), "an earlier program refuses it from now on: {on_disk}");
            // Another node's folder is refused without being changed.
            write_identity(&RealVfs::default(), dir.path(), &old).unwrap();
            folder.identity("c", n(2), &[n(1), n(2)], 8).unwrap_err();
        }
    }

    #[test]
    fn an_identity_remembers_its_newest_processes_in_order() {
        let mut identity = Identity::new("c", n(1), &[n(1)], 7);
        for incarnation in 1..=40 {
            // The first run of each ends before its first batch.
            for process in [1, 2] {
                let start = ProcessStart { incarnation, process, first_batch: u64::from(incarnation) };
                identity.begin_process(start, Doubt::None);
            }
        }
        let kept: Vec<_> = identity.processes.iter().map(|start| (start.incarnation, start.process)).collect();
        assert_eq!(kept, (9..=40).map(|incarnation| (incarnation, 2)).collect::<Vec<_>>());
        assert_eq!(identity.doubt, None);
    }

    #[test]
    fn unknown_formats_and_missing_identities_are_refused() {
        let dir = TempDir::new("folder-version");
        let folder = open(dir.path()).unwrap();
        std::fs::write(dir.path().join(IDENTITY), r#"{"format":"heckle.data/9","more":1}"#).unwrap();
        let error = folder.identity("c", n(1), &[n(1), n(2)], 1).unwrap_err();
        assert!(error.to_string().contains("heckle.data/9") && error.is_usage(), "{error}");
        std::fs::write(dir.path().join(IDENTITY), "{").unwrap();
        let error = folder.identity("c", n(1), &[n(1), n(2)], 1).unwrap_err();
        assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
        std::fs::remove_file(dir.path().join(IDENTITY)).unwrap();
        std::fs::write(dir.path().join("log-1.wal"), "x").unwrap();
        let error = folder.identity("c", n(1), &[n(1), n(2)], 1).unwrap_err();
        assert!(error.to_string().contains("log-1.wal is there"), "{error}");
    }
}
