//! Power losses: all affected nodes are stopped at the same moment, killed, and lose their un-synced writes.

use super::signals::kill_and_reap;
use super::{Cluster, Evidence, NodeSlot, SIGNAL_TIMEOUT, lock, node_index};
use heckle_faults::Node;
use heckle_system_api::capability::Disks;
use heckle_system_api::launch::data_folder;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::sync::MutexGuard;
use std::time::Duration;

/// Maximum number of attempts to stop the nodes at a moment with un-synced writes.
const MAX_TRIES: u64 = 40;
/// Minimum time between two attempts.
const NEXT_TRY: Duration = Duration::from_millis(1);

/// An affected node and its process, locked against all other access.
type Hit<'a> = (Node, MutexGuard<'a, NodeSlot>);

impl Cluster {
    /// Simulates a power loss of these nodes. All of them are stopped first, so that none syncs anything after another has
    /// lost power. A node counts only if it was seen to stop, was killed by our signal, and had its un-synced data stored separately.
    ///
    /// # Errors
    /// If a process could not be stopped or killed, or a data folder could not be changed.
    pub fn lose_power(&self, nodes: &[Node], seed: u64) -> Result<Evidence, String> {
        let disks = self.shared.system.disks().ok_or_else(|| format!("the disks of {} cannot lose power", self.system().name()))?;
        let mut sorted = nodes.to_vec();
        sorted.sort();
        let mut hit: Vec<Hit<'_>> = sorted.into_iter().map(|node| (node, lock(&self.shared.nodes[node_index(node)]))).collect();
        hit.iter_mut().for_each(|(_, slot)| self.shared.check_process(slot));
        let (stopped, tries) = self.stop_with_unsynced_writes(&mut hit, disks)?;
        let mut evidence = Evidence::new();
        let mut lost_data: BTreeMap<&str, u64> = BTreeMap::new();
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
            // Each node loses different data.
            let node_seed = seed ^ (u64::from(node.0) << 48);
            match disks.lose_power(&data_folder(&self.shared.folder, &node.to_string()), node_seed)? {
                Some(lost) if ours && stopped => {
                    lost_power += 1;
                    lost.figures().into_iter().for_each(|(name, figure)| *lost_data.entry(name).or_default() += figure);
                }
                Some(_) => drop(evidence.insert(format!("not_stopped_first_{node}"), node.to_string().into())),
                None => drop(evidence.insert(format!("nothing_kept_apart_{node}"), node.to_string().into())),
            }
        }
        if lost_power > 0 {
            let figures = [("power_lost", lost_power), ("tries", tries)].into_iter().chain(lost_data);
            evidence.extend(figures.map(|(name, figure)| (name.to_owned(), figure.into())));
        }
        Ok(evidence)
    }
}

impl Cluster {
    /// Stops all of these processes at a moment when one of them has un-synced writes: without any, a power loss is just a
    /// kill. Returns which processes were seen to stop and the number of attempts. After [`MAX_TRIES`] attempts, stops
    /// them at the next moment regardless.
    fn stop_with_unsynced_writes(&self, hit: &mut [Hit<'_>], disks: &dyn Disks) -> Result<(Vec<bool>, u64), String> {
        let mut tries = 1;
        loop {
            signal_all(hit, libc::SIGSTOP)?;
            let seen = |(_, slot): &Hit<'_>| slot.process.as_ref().is_some_and(|process| process.await_stopped(true, SIGNAL_TIMEOUT));
            let stopped: Vec<bool> = hit.iter().map(seen).collect();
            let mut unsynced = Some(0);
            for (node, _) in hit.iter() {
                let of_node = disks.unsynced_writes(&data_folder(&self.shared.folder, &node.to_string()))?;
                unsynced = unsynced.zip(of_node).map(|(sum, more)| sum + more);
            }
            if unsynced != Some(0) || tries == MAX_TRIES || stopped.contains(&false) {
                return Ok((stopped, tries));
            }
            signal_all(hit, libc::SIGCONT)?;
            // An odd interval, so that the attempts do not fall into step with the syncs.
            std::thread::sleep(NEXT_TRY + Duration::from_micros(173 * tries));
            tries += 1;
        }
    }
}

fn signal_all(hit: &mut [Hit<'_>], signal: libc::c_int) -> Result<(), String> {
    for (node, slot) in hit {
        if let Some(process) = slot.process.as_mut() {
            process.signal(signal).map_err(|e| format!("cannot stop {node}: {e}"))?;
        }
    }
    Ok(())
}
