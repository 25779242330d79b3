//! Power losses: all nodes that are hit stop at the same moment, are killed, and lose what they had not synced.

use super::signals::kill_and_reap;
use super::{Cluster, Evidence, NodeSlot, SIGNAL_WITHIN, lock, node_index};
use heckle_faults::Node;
use heckle_system_api::capability::LostData;
use heckle_system_api::launch::data_folder;
use std::os::unix::process::ExitStatusExt;
use std::sync::MutexGuard;
use std::time::Instant;

impl Cluster {
    /// Takes the power from these nodes. They are stopped first, so that none syncs anything after another has lost power.
    /// A node counts only if it was seen to stop, was ended by our signal, and its un-synced data was kept apart.
    ///
    /// # Errors
    /// If a process could not be stopped or killed, or a data folder could not be changed.
    pub fn lose_power(&self, nodes: &[Node], seed: u64) -> Result<Evidence, String> {
        let disks = self.shared.system.disks().ok_or_else(|| format!("the disks of {} cannot lose power", self.system().name()))?;
        let mut sorted = nodes.to_vec();
        sorted.sort();
        let mut hit: Vec<(Node, MutexGuard<'_, NodeSlot>)> =
            sorted.into_iter().map(|node| (node, lock(&self.shared.nodes[node_index(node)]))).collect();
        let began = Instant::now();
        for (node, slot) in &mut hit {
            self.shared.check_process(slot);
            if let Some(process) = slot.process.as_mut() {
                process.signal(libc::SIGSTOP).map_err(|e| format!("cannot stop {node}: {e}"))?;
            }
        }
        let stopped: Vec<bool> =
            hit.iter().map(|(_, slot)| slot.process.as_ref().is_some_and(|process| process.await_stopped(true, SIGNAL_WITHIN))).collect();
        let stopped_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut evidence = Evidence::new();
        let mut sum = LostData::default();
        let mut lost_power = 0;
        for ((node, slot), stopped) in hit.iter_mut().zip(stopped) {
            let Some(process) = slot.process.as_mut() else {
                evidence.insert(format!("was_down_{node}"), node.to_string().into());
                continue;
            };
            evidence.insert(format!("pid_{node}"), process.pid().into());
            let status = kill_and_reap(*node, process)?;
            let ours = status.signal() == Some(libc::SIGKILL);
            self.shared.record_asked_end(*node, slot, status, "power-loss");
            // Every node has a seed of its own.
            let of_node = seed ^ (u64::from(node.0) << 48);
            match disks.lose_power(&data_folder(&self.shared.folder, &node.to_string()), of_node)? {
                Some(lost) if ours && stopped => {
                    lost_power += 1;
                    add(&mut sum, lost);
                }
                Some(_) => drop(evidence.insert(format!("not_stopped_first_{node}"), node.to_string().into())),
                None => drop(evidence.insert(format!("nothing_kept_apart_{node}"), node.to_string().into())),
            }
        }
        if lost_power > 0 {
            let figures = [
                ("power_lost", lost_power),
                ("all_stopped_us", stopped_us),
                ("unsynced", sum.unsynced),
                ("bytes_lost", sum.bytes_lost),
                ("bytes_kept", sum.bytes_kept),
                ("writes_torn", sum.writes_torn),
                ("names_lost", sum.names_lost),
                ("names_kept", sum.names_kept),
            ];
            evidence.extend(figures.map(|(name, figure)| (name.to_owned(), figure.into())));
        }
        Ok(evidence)
    }
}

fn add(sum: &mut LostData, lost: LostData) {
    sum.unsynced += lost.unsynced;
    sum.bytes_lost += lost.bytes_lost;
    sum.bytes_kept += lost.bytes_kept;
    sum.writes_torn += lost.writes_torn;
    sum.names_lost += lost.names_lost;
    sum.names_kept += lost.names_kept;
}
