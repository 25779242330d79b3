//! Clients that contend: each is a sequential process that expects what it saw last.

use crate::config::Mix;
use heckle_paxos::{Ballot, Call, Key, OpId, Outcome, Value};
use rand::{Rng, RngExt};

/// One client and the process it stands for at the moment.
#[derive(Debug)]
pub struct Client {
    /// The process number; a new one after every unknown outcome.
    pub number: u64,
    /// Operations of this process so far.
    pub seq: u64,
    /// The node it talks to, counted from 0.
    pub node: usize,
    /// What it saw last under each key.
    seen: Vec<Option<Value>>,
    /// The last ballot in an answer of a process of its node (named by its epoch): that process gives
    /// higher ones to later operations.
    pub known: (u32, Ballot),
    /// What was known in that way when the open operation was sent first.
    pub born: Ballot,
    /// The open operation: index into the report's list, and the token of the request that counts.
    pub open: Option<(usize, u64)>,
}

impl Client {
    /// A client of `node` that has seen nothing.
    #[must_use]
    pub fn new(number: u64, node: usize, keys: usize) -> Self {
        Self { number, seq: 0, node, seen: vec![None; keys], known: (0, Ballot::ZERO), born: Ballot::ZERO, open: None }
    }

    /// Decides the next operation. `fresh` gives values that were never used before.
    pub fn next_call<R: Rng>(&mut self, mix: Mix, fresh: &mut u64, rng: &mut R) -> (OpId, usize, Call) {
        self.seq += 1;
        let key = rng.random_range(0..self.seen.len());
        let all = mix.cas + mix.write + mix.read;
        let drawn = rng.random_range(0..all.max(1));
        let call = if drawn < mix.read {
            Call::Read
        } else {
            *fresh += 1;
            let new = Value::from(fresh.to_be_bytes().as_slice());
            if drawn < mix.read + mix.write { Call::Write { new } } else { Call::Cas { expected: self.seen[key].clone(), new } }
        };
        (OpId { client: self.number, seq: self.seq }, key, call)
    }

    /// Remembers what an answer shows.
    pub fn learn(&mut self, key: usize, call: &Call, outcome: &Outcome) {
        match (outcome, call) {
            (Outcome::Applied, Call::Write { new } | Call::Cas { new, .. }) => self.seen[key] = Some(new.clone()),
            (Outcome::Read { current } | Outcome::ConditionNotMet { current }, _) => self.seen[key].clone_from(current),
            (Outcome::Applied, Call::Read | Call::Fate { .. })
            | (Outcome::Fate { .. } | Outcome::NotApplied { .. } | Outcome::Unknown { .. } | Outcome::Invalid { .. }, _) => {}
        }
    }

    /// Becomes a new process: the old one has an operation of unknown outcome.
    pub fn retire(&mut self, number: u64) {
        self.number = number;
        self.seq = 0;
        self.open = None;
    }
}

/// The name of a register.
#[must_use]
pub fn key_name(key: usize) -> Key {
    Key::from(format!("k{key}").as_str())
}
