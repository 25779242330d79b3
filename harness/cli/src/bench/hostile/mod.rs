//! Tests nodes under hostile clients: idle, slow and half-finished connections, reads of keys that do not exist, writes without a quorum,
//! more connections than descriptors, garbage, HTTP. The items are data (module `items`). Each item runs against three fresh nodes while
//! honest clients read, and reports how many nodes are alive, whether the reads are right, and the peak memory of a node.

mod attacks;
mod client;
mod items;
mod nodes;

use crate::exit;
use client::{HonestClient, Reads};
use items::{ITEMS, Item, Stderr};
use nodes::{Nodes, NodesSetup};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Memory that no node may exceed, in bytes.
pub const MAX_NODE_BYTES: u64 = 256_000_000;
/// Time limit for nodes to return to their previous state after an attack.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause between checks for recovery.
const RECOVERY_PAUSE: Duration = Duration::from_millis(20);
/// Pause between reads of an honest client during an attack.
const READ_PAUSE: Duration = Duration::from_millis(5);

/// How much of each attack is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// The full amount.
    Full,
    /// A small amount, for tests.
    Short,
}

/// The results of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ItemReport {
    /// Name of the item.
    pub item: &'static str,
    /// Description of the data sent.
    pub sent: String,
    /// Number of nodes.
    pub nodes: usize,
    /// Number of nodes alive after the attack.
    pub alive: usize,
    /// Number of honest clients' reads that returned the right value.
    pub reads_right: u64,
    /// Number of reads that returned a wrong value.
    pub reads_wrong: u64,
    /// Number of reads left unanswered while a quorum was up.
    pub reads_unanswered: u64,
    /// Peak resident memory of a node over its lifetime, in bytes.
    pub peak_bytes: u64,
    /// Description of the state that the attack left behind, such as keys or open operations. Empty if there is none.
    pub left_behind: String,
}

/// The results of all items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The limit on the memory of a node, in bytes.
    pub max_node_bytes: u64,
    /// One entry for each item.
    pub items: Vec<ItemReport>,
}

/// Runs all items.
///
/// # Errors
/// If nodes cannot be started, or an attack cannot be carried out on this machine.
pub fn run(folder: &Path, scale: Scale, progress: &dyn Fn(&str)) -> Result<Report, String> {
    let most_descriptors = ITEMS.iter().map(|item| item.descriptors(scale)).max().unwrap_or(0);
    heckle_server::raise_open_files(most_descriptors).map_err(|e| format!("the limit of open files: {e}"))?;
    let mut report = Report { max_node_bytes: MAX_NODE_BYTES, items: vec![] };
    for item in ITEMS {
        progress(&format!("{}: {}", item.name, item.sends(scale)));
        report.items.push(run_item(folder, item, scale).map_err(|e| format!("{}: {e}", item.name))?);
    }
    Ok(report)
}

fn run_item(folder: &Path, item: &Item, scale: Scale) -> Result<ItemReport, String> {
    let setup = NodesSetup { open_files: item.node_open_files, drain_stderr: item.stderr == Stderr::Read };
    let mut nodes = Nodes::start(folder, &setup)?;
    let mut clients = (0..nodes.len()).map(|n| HonestClient::connect(nodes.client_addr(n))).collect::<Result<Vec<_>, _>>()?;
    clients[0].write(item.name)?;
    let mut reads = Reads::default();
    read_all(&mut clients, item.name, &mut reads);
    let keys_before = nodes.largest_key_count()?;
    let amount = item.amount(scale);

    if item.without_quorum {
        nodes.freeze(1..nodes.len());
    }
    let over = AtomicBool::new(false);
    let attacked = std::thread::scope(|scope| {
        let read = || {
            let mut during = Reads::default();
            while !over.load(Ordering::Relaxed) {
                read_all(&mut clients, item.name, &mut during);
                std::thread::sleep(READ_PAUSE);
            }
            during
        };
        let reader = if item.without_quorum {
            None
        } else {
            let thread = std::thread::Builder::new().name("honest".into()).spawn_scoped(scope, read);
            Some(thread.map_err(|e| crate::limits::no_thread(&e))?)
        };
        let held = (item.attack)(&nodes, amount);
        // Keep open connections open while honest clients continue.
        if held.is_ok() && !item.without_quorum {
            std::thread::sleep(10 * READ_PAUSE);
        }
        over.store(true, Ordering::Relaxed);
        let during = reader.map(|thread| thread.join().expect("reading does not panic"));
        Ok::<_, String>((held, during))
    })?;
    let (held, during) = attacked;
    reads.add(&during.unwrap_or_default());
    match held {
        Ok(held) => drop(held),
        // An attack that ended a node cannot be completed. The dead node is the result.
        Err(_) if nodes.alive() < nodes.len() => {}
        Err(why) => return Err(why),
    }
    if item.without_quorum {
        nodes.thaw();
    }
    recover(&mut nodes, item, keys_before, reads).map(|(reads, left_behind)| ItemReport {
        item: item.name,
        sent: item.sends(scale),
        nodes: nodes.len(),
        alive: nodes.alive(),
        reads_right: reads.right,
        reads_wrong: reads.wrong,
        reads_unanswered: reads.unanswered,
        peak_bytes: nodes.peak_bytes(),
        left_behind,
    })
}

fn read_all(clients: &mut [HonestClient], key: &str, reads: &mut Reads) {
    for client in clients {
        reads.count(client.read_is(key));
    }
}

/// Waits until new clients are served and the attack has left nothing behind. Returns the reads, and a description of
/// anything that remains.
fn recover(nodes: &mut Nodes, item: &Item, keys_before: u64, mut reads: Reads) -> Result<(Reads, String), String> {
    let deadline = Instant::now() + RECOVERY_TIMEOUT;
    for n in 0..nodes.len() {
        let last = loop {
            let read = HonestClient::connect(nodes.client_addr(n)).map(|mut client| client.read_is(item.name));
            match read {
                Ok(answered @ Ok(_)) => break answered,
                Ok(Err(_)) | Err(_) if Instant::now() < deadline && nodes.alive() == nodes.len() => std::thread::sleep(RECOVERY_PAUSE),
                Ok(failed) => break failed,
                Err(why) => break Err(why),
            }
        };
        reads.count(last);
    }
    loop {
        let left = nodes.left_behind(if item.leaves_no_keys { Some(keys_before) } else { None });
        if left.is_empty() || Instant::now() > deadline || nodes.alive() < nodes.len() {
            return Ok((reads, left));
        }
        std::thread::sleep(RECOVERY_PAUSE);
    }
}

impl ItemReport {
    /// Returns the exit code for this item alone and the reason, if it failed.
    fn failure(&self, max_bytes: u64) -> Option<(u8, String)> {
        let ItemReport { item, nodes, alive, reads_wrong, reads_unanswered, peak_bytes, left_behind, .. } = self;
        if alive < nodes {
            return Some((exit::VIOLATION, format!("{item}: {} of {nodes} nodes ended", nodes - alive)));
        }
        if *reads_wrong > 0 {
            return Some((exit::VIOLATION, format!("{item}: {reads_wrong} reads returned a wrong value")));
        }
        if *reads_unanswered > 0 {
            return Some((exit::INCONCLUSIVE, format!("{item}: {reads_unanswered} reads were not answered")));
        }
        if *peak_bytes > max_bytes {
            return Some((exit::GATE, format!("{item}: a node used {:.1} MB, over {} MB", mb(*peak_bytes), max_bytes / 1_000_000)));
        }
        (!left_behind.is_empty()).then(|| (exit::GATE, format!("{item}: the attack left behind {left_behind}")))
    }
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

impl Report {
    /// Returns all failures, each with its exit code.
    pub fn failures(&self) -> Vec<(u8, String)> {
        self.items.iter().filter_map(|item| item.failure(self.max_node_bytes)).collect()
    }

    /// Returns the exit code of the whole report.
    pub fn exit_code(&self) -> u8 {
        exit::worst(&self.failures().iter().map(|(code, _)| *code).collect::<Vec<_>>())
    }

    /// Formats the report as a table.
    pub fn text(&self) -> String {
        let mut text = format!("{:<20} {:>11} {:>15} {:>9}  {}\n", "item", "nodes alive", "reads right", "peak MB", "sent");
        for item in &self.items {
            let reads = item.reads_right + item.reads_wrong + item.reads_unanswered;
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{:<20} {:>11} {:>15} {:>9.1}  {}",
                item.item,
                format!("{}/{}", item.alive, item.nodes),
                format!("{}/{reads}", item.reads_right),
                mb(item.peak_bytes),
                item.sent
            );
        }
        let _ = writeln!(text, "no node may use more than {} MB, end, or keep anything of an attack", self.max_node_bytes / 1_000_000);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> ItemReport {
        ItemReport {
            item: "idle",
            sent: "600 connections".into(),
            nodes: 3,
            alive: 3,
            reads_right: 9,
            reads_wrong: 0,
            reads_unanswered: 0,
            peak_bytes: 20_000_000,
            left_behind: String::new(),
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut ItemReport), code: u8, says: &str) {
        let mut bad = sound();
        change(&mut bad);
        let report = Report { max_node_bytes: MAX_NODE_BYTES, items: vec![sound(), bad] };
        assert_eq!(report.exit_code(), code, "{report:?}");
        let said: String = report.failures().into_iter().map(|(_, why)| why).collect();
        assert!(said.contains(says), "{said}");
    }

    #[test]
    fn whatever_does_not_hold_sets_the_exit_code() {
        check(|_| (), exit::OK, "");
        check(|item| item.alive = 2, exit::VIOLATION, "1 of 3 nodes ended");
        check(|item| item.reads_wrong = 1, exit::VIOLATION, "wrong value");
        check(|item| item.reads_unanswered = 2, exit::INCONCLUSIVE, "2 reads were not answered");
        check(|item| item.peak_bytes = 256_000_001, exit::GATE, "over 256 MB");
        check(|item| item.left_behind = "7 keys".into(), exit::GATE, "left behind 7 keys");
    }

    #[test]
    fn items_have_names_of_their_own_and_short_forms() {
        let mut names: Vec<_> = ITEMS.iter().map(|item| item.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ITEMS.len());
        for item in ITEMS {
            let (full, short) = (item.amount(Scale::Full), item.amount(Scale::Short));
            assert!(0 < short && short <= full, "{}", item.name);
        }
    }
}
