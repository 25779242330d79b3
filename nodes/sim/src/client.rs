//! Contending clients. Each is a sequential process, and its CASes expect the value it last saw.

use crate::config::Mix;
use heckle_paxos::{Ballot, Call, Key, OpId, Outcome, Value};
use rand::{Rng, RngExt};

/// One client, with its current process.
#[derive(Debug)]
pub struct Client {
    /// The process number, which changes after every unknown outcome.
    pub number: u64,
    /// Number of operations invoked by this process so far.
    pub seq: u64,
    /// The node to which the client is connected, counted from 0.
    pub node: usize,
    /// The value last seen, for each key.
    seen: Vec<Option<Value>>,
    /// The epoch of a process of its node, and the ballot in the last reply from it. The process uses higher ballots
    /// for later operations.
    pub known: (u32, Ballot),
    /// The known ballot when the open operation was first sent.
    pub born: Ballot,
    /// The open operation: its index in the report's list, and the token of the current request.
    pub open: Option<(usize, u64)>,
}

impl Client {
    /// Creates a client of `node` that has seen no values.
    #[must_use]
    pub fn new(number: u64, node: usize, keys: usize) -> Self {
        Self { number, seq: 0, node, seen: vec![None; keys], known: (0, Ballot::ZERO), born: Ballot::ZERO, open: None }
    }

    /// Chooses the next operation. `fresh` is the number of values used so far, so that each write gets a new one.
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

    /// Updates the seen value from a reply.
    pub fn learn(&mut self, key: usize, call: &Call, outcome: &Outcome) {
        match (outcome, call) {
            (Outcome::Applied, Call::Write { new } | Call::Cas { new, .. }) => self.seen[key] = Some(new.clone()),
            (Outcome::Read { current } | Outcome::ConditionNotMet { current }, _) => self.seen[key].clone_from(current),
            (Outcome::Applied, Call::Read | Call::Fate { .. })
            | (Outcome::Fate { .. } | Outcome::NotApplied { .. } | Outcome::Unknown { .. } | Outcome::Invalid { .. }, _) => {}
        }
    }

    /// Becomes a new process, because the old one has an operation with an unknown outcome.
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
