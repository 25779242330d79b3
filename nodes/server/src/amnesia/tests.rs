//! The rule under attack: in small clusters, nodes write, learn, stop, lose the ends of their logs or get old folders
//! back, and connect in any order. No sound node is ever refused, and no loss of an acknowledged vote goes unnoticed.

use std::collections::BTreeMap;
use std::path::Path;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::*;
use crate::options::NodeId;
use crate::storage::folder::Identity;
use crate::storage::recovery::Recovered;

/// A synced batch: the positions of other nodes that it contains.
type Batch = Vec<(NodeId, Seen)>;

/// What survives a stop.
#[derive(Clone)]
struct Folder {
    identity: Identity,
    log: Vec<Batch>,
}

struct Running {
    witness: Witness,
    synced: u64,
}

struct Node {
    id: NodeId,
    folder: Folder,
    /// Whether the end of the log looks damaged.
    is_cut: bool,
    running: Option<Running>,
    refused: bool,
    /// Newest batch on which an acknowledged write relies.
    relied_on: u64,
}

/// Damage that an attacker does to the disk of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attack {
    None,
    /// The end of the log is damaged.
    Cut,
    /// The whole folder is replaced by an old copy.
    OldCopy,
    Wiped,
}

struct World {
    nodes: Vec<Node>,
    members: Vec<NodeId>,
    rng: Pcg64,
    check: Check,
}

impl World {
    fn new(count: u16, seed: u64, check: Check) -> World {
        let members: Vec<NodeId> = (1..=count).map(|number| NodeId::new(number).unwrap()).collect();
        let node = |id: &NodeId| Node {
            id: *id,
            folder: Folder { identity: Identity::new("c", *id, &members, u64::from(id.number())), log: vec![] },
            is_cut: false,
            running: None,
            refused: false,
            relied_on: 0,
        };
        let nodes = members.iter().map(node).collect();
        World { nodes, members, rng: Pcg64::seed_from_u64(seed), check }
    }

    fn start(&mut self, at: usize) {
        let process = self.rng.random::<u64>() | 1;
        let node = &mut self.nodes[at];
        let Folder { identity, log } = &mut node.folder;
        let recovered = Recovered { next_batch: log.len() as u64 + 1, is_cut: node.is_cut, ..Recovered::default() };
        // In the model, the log lists each process that got its first batch to disk.
        let incarnation =
            identity.processes.iter().filter(|start| start.first_batch <= log.len() as u64).map(|start| start.incarnation).max();
        let incarnation = incarnation.unwrap_or(0);
        let doubt = match (self.check, check_folder(Path::new("data"), identity, &recovered, incarnation)) {
            (Check::Skipped, _) => Doubt::None,
            (Check::On, Ok(doubt)) => doubt,
            (Check::On, Err(_)) => {
                node.refused = true;
                return;
            }
        };
        identity.begin_process(ProcessStart { incarnation: incarnation + 1, process, first_batch: recovered.next_batch }, doubt);
        node.is_cut = false;
        let seen: BTreeMap<NodeId, Seen> = log.iter().flatten().copied().collect();
        let witness = Witness::new(node.id, &self.members, doubt, self.check, identity.history(), seen);
        log.push(vec![]);
        node.running = Some(Running { witness, synced: log.len() as u64 });
    }

    /// Syncs a batch with a record of the core.
    fn sync(&mut self, at: usize) {
        let Node { folder, running, .. } = &mut self.nodes[at];
        let running = running.as_mut().unwrap();
        folder.log.push(running.witness.take_unsaved());
        running.synced = folder.log.len() as u64;
    }

    /// Whether `to` accepts messages from `from`. If so, `to` hears its positions.
    fn send(&mut self, from: usize, to: usize, with_all: bool) {
        let id = self.nodes[from].id;
        let sender = self.nodes[from].running.as_ref().unwrap();
        let own = sender.witness.history().at(sender.synced).unwrap();
        let all = if with_all { sender.witness.all() } else { vec![] };
        let receiver = &mut self.nodes[to].running.as_mut().unwrap().witness;
        if receiver.registered(id).is_some_and(|registered| registered.is_of(&own)) {
            receiver.hear(id, id, own);
            all.into_iter().for_each(|(node, seen)| receiver.hear(id, node, seen));
        }
    }

    /// `from` dials `to`. Either may discover that it has lost state. If `to` is down or cut off, the attempt counts as
    /// failed.
    fn connect(&mut self, from: usize, to: usize) {
        if self.nodes[to].running.is_none() {
            self.try_in_vain(from, to);
        }
        for (speaker, listener) in [(from, to), (to, from)] {
            let id = self.nodes[speaker].id;
            let Some(Running { witness, synced }) = &self.nodes[speaker].running else { return };
            let (history, batch, seen) = (witness.history().clone(), *synced, witness.of(self.nodes[listener].id));
            let me = self.nodes[listener].id;
            let Some(running) = &mut self.nodes[listener].running else { return };
            if running.witness.register(id, &history, batch).is_ok() {
                seen.into_iter().for_each(|seen| running.witness.hear(id, me, seen));
            }
        }
        self.send(from, to, true);
        self.send(to, from, true);
        for at in [from, to] {
            let node = &mut self.nodes[at];
            if node.running.as_mut().is_some_and(|running| running.witness.take_lost().is_some()) {
                (node.running, node.refused) = (None, true);
            }
        }
    }

    fn try_in_vain(&mut self, from: usize, to: usize) {
        let id = self.nodes[to].id;
        if let Some(running) = &mut self.nodes[from].running {
            running.witness.note_unreachable(id);
        }
    }

    fn voters(&self) -> Vec<usize> {
        let votes = |at: &usize| self.nodes[*at].running.as_ref().is_some_and(|running| running.witness.may_vote());
        (0..self.nodes.len()).filter(votes).collect()
    }

    /// A write in four rounds: a quorum accepts, a quorum learns, and then the write is acknowledged.
    fn write(&mut self) {
        let mut voters = self.voters();
        let quorum = usize::from(quorum_of(self.nodes.len()));
        if voters.len() < quorum {
            return;
        }
        voters.shuffle(&mut self.rng);
        let coordinator = voters[0];
        let linked = |world: &World, at: usize| {
            let registered = |a: usize, b: usize| {
                let position = world.nodes[b].running.as_ref().and_then(|running| running.witness.history().at(0)).unwrap();
                let known = world.nodes[a].running.as_ref().unwrap().witness.registered(world.nodes[b].id);
                known.is_some_and(|known| known.is_of(&position))
            };
            at == coordinator || (registered(at, coordinator) && registered(coordinator, at))
        };
        voters.retain(|at| linked(self, *at));
        if voters.len() < quorum {
            return;
        }
        let accepted: Vec<usize> = voters[..quorum].to_vec();
        let mut votes = Vec::new();
        for &at in &accepted {
            self.sync(at);
            votes.push((at, self.nodes[at].running.as_ref().unwrap().synced));
            if at != coordinator {
                self.send(at, coordinator, false);
            }
        }
        voters.shuffle(&mut self.rng);
        for &at in &voters[..quorum] {
            if at != coordinator {
                self.send(coordinator, at, true);
            }
            self.sync(at);
        }
        for (at, batch) in votes {
            self.nodes[at].relied_on = self.nodes[at].relied_on.max(batch);
        }
    }

    fn attack(&mut self, at: usize, attack: Attack, old: &Folder) {
        let node = &mut self.nodes[at];
        node.running = None;
        match attack {
            Attack::None => node.is_cut = self.rng.random_range(0..4) == 0,
            Attack::Cut => {
                let keep = node.folder.log.len() - self.rng.random_range(1..=node.folder.log.len().min(4));
                node.folder.log.truncate(keep);
                node.is_cut = true;
            }
            Attack::OldCopy => node.folder = old.clone(),
            Attack::Wiped => node.folder = Folder { identity: Identity::new("c", node.id, &self.members, 99), log: vec![] },
        }
    }

    fn connect_all(&mut self) {
        for from in 0..self.nodes.len() {
            for to in 0..self.nodes.len() {
                if from != to {
                    self.connect(from, to);
                }
            }
        }
    }
}

/// The results of a run: whether the attack removed something that a write relied on, and whether the attacked node was
/// seen voting without it, before and after it had met all others.
struct Run {
    lost: bool,
    voted: bool,
    voted_at_the_end: bool,
    refused: bool,
}

fn run(nodes: u16, seed: u64, attack: Attack, check: Check) -> Run {
    let mut world = World::new(nodes, seed, check);
    (0..world.nodes.len()).for_each(|at| world.start(at));
    world.connect_all();
    let met = world.voters().len();
    assert_eq!(met, world.nodes.len(), "a new cluster votes once all have met");
    let victim = world.rng.random_range(0..world.nodes.len());
    let copy_at = world.rng.random_range(0..60);
    let mut old = world.nodes[victim].folder.clone();
    let step = |world: &mut World, count: usize| match world.rng.random_range(0..20) {
        0 => {
            let at = world.rng.random_range(0..count);
            world.nodes[at].running = None;
            world.nodes[at].is_cut = world.rng.random_range(0..4) == 0;
        }
        1 | 2 => {
            let at = world.rng.random_range(0..count);
            if world.nodes[at].running.is_none() && !world.nodes[at].refused {
                world.start(at);
            }
        }
        3..8 => {
            let (from, to) = (world.rng.random_range(0..count), world.rng.random_range(0..count));
            match world.rng.random_range(0..5) {
                _ if from == to => {}
                0 => world.try_in_vain(from, to),
                _ => world.connect(from, to),
            }
        }
        _ => world.write(),
    };
    let count = world.nodes.len();
    for at in 0..60 {
        if at == copy_at {
            old = world.nodes[victim].folder.clone();
        }
        step(&mut world, count);
    }
    if attack == Attack::None {
        world.nodes[victim].running = None;
    }
    world.attack(victim, attack, &old);
    let kept = if attack == Attack::Wiped { 0 } else { world.nodes[victim].folder.log.len() as u64 };
    let lost = kept < world.nodes[victim].relied_on;
    world.start(victim);
    let mut voted = false;
    for _ in 0..60 {
        step(&mut world, count);
        voted |= lost && world.voters().contains(&victim);
    }
    for at in 0..count {
        if world.nodes[at].running.is_none() && !world.nodes[at].refused {
            world.start(at);
        }
    }
    world.connect_all();
    world.connect_all();
    let others_refused = (0..count).any(|at| at != victim && world.nodes[at].refused);
    assert!(!others_refused, "seed {seed}: {attack:?} on one node has another refused");
    if attack == Attack::None {
        assert_eq!(world.voters().len(), count, "seed {seed}: all are sound, have met, and vote");
    }
    Run { lost, voted, voted_at_the_end: lost && world.voters().contains(&victim), refused: world.nodes[victim].refused }
}

#[test]
fn no_sound_node_is_refused_and_all_vote_once_they_have_met() {
    for nodes in [1, 2, 3, 4, 5] {
        for seed in 0..400 {
            assert!(!run(nodes, seed, Attack::None, Check::On).refused, "{nodes} nodes, seed {seed}");
        }
    }
}

#[test]
fn a_loss_is_noticed() {
    for attack in [Attack::Cut, Attack::OldCopy, Attack::Wiped] {
        let (mut losses, mut in_the_window) = (0, 0);
        for nodes in [3, 4, 5] {
            for seed in 0..400 {
                let run = run(nodes, seed, attack, Check::On);
                losses += u32::from(run.lost);
                in_the_window += u32::from(run.voted);
                // A loss without visible damage may go undetected until the node meets one with newer evidence. See
                // the module.
                assert!(!run.voted || attack == Attack::OldCopy, "{nodes} nodes, seed {seed}: {attack:?}");
                assert!(!run.voted_at_the_end, "{nodes} nodes, seed {seed}: {attack:?} is never noticed");
                assert!(run.refused || !run.lost, "{nodes} nodes, seed {seed}: {attack:?}");
            }
        }
        assert!(losses > 200, "{attack:?}: only {losses} losses");
        println!("{attack:?}: {losses} losses, {in_the_window} votes in the window");
    }
}

/// Two of three nodes get old folders back, and all three can reach each other.
#[test]
fn nodes_with_equally_old_folders_do_not_vote_while_one_that_knows_more_is_in_reach() {
    for seed in 0..200 {
        let mut world = World::new(3, seed, Check::On);
        (0..3).for_each(|at| world.start(at));
        world.connect_all();
        let old: Vec<Folder> = world.nodes.iter().map(|node| node.folder.clone()).collect();
        (0..10).for_each(|_| world.write());
        for at in [0, 1] {
            world.attack(at, Attack::OldCopy, &old[at]);
            world.start(at);
        }
        world.connect(0, 1);
        world.connect(1, 0);
        assert_eq!(world.voters(), [2], "seed {seed}");
        world.connect(2, 0);
        world.connect(1, 2);
        assert!(world.nodes[0].refused && world.nodes[1].refused, "seed {seed}");
    }
}

#[test]
fn without_the_check_nodes_vote_after_a_loss() {
    for attack in [Attack::Cut, Attack::OldCopy, Attack::Wiped] {
        let voted = (0..400).filter(|seed| run(3, *seed, attack, Check::Skipped).voted).count();
        assert!(voted > 20, "{attack:?}: {voted}");
    }
}

#[test]
fn more_confirmations_are_needed_the_less_is_known() {
    //           nodes  after a stop, a cut end, a new folder
    for (nodes, needed) in [(1, [0, 0, 0]), (2, [1, 1, 1]), (3, [1, 2, 2]), (4, [2, 2, 3]), (5, [2, 3, 4]), (7, [3, 4, 6])] {
        assert_eq!([Doubt::None, Doubt::Cut, Doubt::New].map(|doubt| confirmations_needed(nodes, doubt)), needed, "{nodes} nodes");
    }
}
