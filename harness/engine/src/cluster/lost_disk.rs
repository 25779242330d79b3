//! Faults that destroy data a node has synced: the node is started on an empty folder or an old copy, and must refuse to serve.
//! Afterwards its data is restored.

use super::self_end::SelfEnd;
use super::signals::EndCause;
use super::{Cluster, Evidence, SIGNAL_TIMEOUT};
use heckle_faults::{DiskLoss, Node};
use heckle_system_api::launch::data_folder;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Extra time for a node to refuse at the end of the fault, in case the nodes that can prove its loss were unreachable.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Name of the fault in the history.
const BY: &str = "lost-disk";

impl Cluster {
    /// Copies the data folder of a node. The node is stopped during the copy.
    ///
    /// # Errors
    /// If the node cannot be stopped or continued, or the folder cannot be copied.
    pub fn copy_disk(&self, node: Node) -> Result<Evidence, String> {
        let mut slot = self.slot(node);
        self.shared.check_process(&mut slot);
        let Some(process) = slot.process.as_mut() else { return Ok(was_down(node)) };
        process.signal(libc::SIGSTOP).map_err(|e| format!("cannot stop {node}: {e}"))?;
        process.await_stopped(true, SIGNAL_TIMEOUT);
        let folder = self.data_of(node);
        let copied = replace_with_copy(&folder, &beside(&folder, "copy"));
        process.signal(libc::SIGCONT).map_err(|e| format!("cannot continue {node}: {e}"))?;
        copied.map_err(|e| format!("cannot copy {}: {e}", folder.display()))?;
        Ok([("copied".to_owned(), 1.into())].into())
    }

    /// Kills a node and restarts it with less data on its disk. From now on the node is expected to refuse to serve.
    ///
    /// # Errors
    /// If the node cannot be killed or started, or its folder cannot be replaced.
    pub fn lose_disk(&self, node: Node, loss: DiskLoss) -> Result<Evidence, String> {
        let disks = self.shared.system.disks().ok_or_else(|| format!("the disks of {} cannot be replaced", self.system().name()))?;
        let mut evidence = match self.kill(node)? {
            EndCause::Fault(evidence) => evidence,
            EndCause::Earlier => return Ok(was_down(node)),
        };
        let folder = self.data_of(node);
        let failed = |e: io::Error| format!("cannot replace {}: {e}", folder.display());
        let kept = beside(&folder, "kept");
        fs::rename(&folder, &kept).map_err(failed)?;
        match loss {
            DiskLoss::OldCopy => fs::rename(beside(&folder, "copy"), &folder),
            DiskLoss::Wiped => fs::create_dir(&folder),
            DiskLoss::OnlyIdentity => fs::create_dir(&folder)
                .and_then(|()| disks.identity_files().iter().try_for_each(|name| fs::copy(kept.join(name), folder.join(name)).map(drop))),
        }
        .map_err(failed)?;
        self.expect_end(node, SelfEnd::Code(disks.refused_exit_code()), BY);
        let mut slot = self.slot(node);
        slot.spec.node.set_data_lost(true);
        self.shared.launch(&mut slot)?;
        slot.end_handled = false;
        evidence.insert("started_without_data".into(), 1.into());
        Ok(evidence)
    }

    /// Restores a node's data and restarts the node, unless it has taken part in decisions without that data. Such a node keeps its
    /// current data, since the old data would undo the promises it has made since. A node that has neither refused nor taken part may
    /// simply not have reached the nodes that could prove its loss.
    ///
    /// # Errors
    /// If the node does not report its state, the folder cannot be restored, or the node does not start.
    pub fn return_disk(&self, node: Node) -> Result<Evidence, String> {
        let folder = self.data_of(node);
        let kept = beside(&folder, "kept");
        if !kept.exists() {
            // The node was down when the fault began, so no data was removed.
            return Ok(Evidence::new());
        }
        let deadline = Instant::now() + REFUSAL_TIMEOUT;
        while self.is_running(node) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut evidence = Evidence::new();
        if self.takes_part(node)? {
            self.await_self_end(node, || Ok(()))?;
            let _ = fs::remove_dir_all(&kept);
            let mut slot = self.slot(node);
            if slot.process.is_some() {
                self.shared.await_ready(&mut slot)?;
                evidence.insert("served".into(), 1.into());
            }
        } else {
            self.kill(node)?;
            let refused = self.await_self_end(node, || Ok(()))?;
            let put_back = fs::remove_dir_all(&folder).and_then(|()| fs::rename(&kept, &folder));
            put_back.map_err(|e| format!("cannot put back {}: {e}", folder.display()))?;
            self.slot(node).spec.node.set_data_lost(false);
            evidence = self.restart(node)?;
            if refused {
                evidence.insert("refused".into(), 1.into());
                return Ok(evidence);
            }
        }
        evidence.insert(format!("not_refused_{node}"), node.to_string().into());
        Ok(evidence)
    }

    /// Whether a node with replaced data is running and takes part in decisions.
    fn takes_part(&self, node: Node) -> Result<bool, String> {
        let Some(disks) = self.shared.system.disks() else { return Ok(false) };
        let spec = self.spec(node);
        let answer = disks.takes_part(&spec);
        // A node that has just ended cannot answer.
        if self.is_running(node) { answer.map_err(|e| format!("{node} does not report its state: {e}")) } else { Ok(false) }
    }

    fn data_of(&self, node: Node) -> PathBuf {
        data_folder(&self.shared.folder, &node.to_string())
    }
}

fn was_down(node: Node) -> Evidence {
    [("was_down".to_owned(), node.to_string().into())].into()
}

fn beside(folder: &Path, what: &str) -> PathBuf {
    folder.with_extension(what)
}

/// Copies a folder recursively, replacing any earlier copy.
fn replace_with_copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::remove_dir_all(to) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => copy_folder(from, to),
    }
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
