//! Fate queries, sent while faults are active and the operations may still be running.

use super::{FateQuery, Requester, World, WorldEvent};
use crate::config::MS;
use heckle_paxos::{Ballot, Call, OpId, Outcome, Provenance};
use rand::RngExt;

/// Maximum number of times a query is sent.
const MAX_QUERIES: u32 = 6;

impl World {
    /// Handles an operation given up by its client, and may start a fate query for it.
    pub(super) fn maybe_query_fate(&mut self, about: usize, born: Ballot) {
        if !self.ops[about].call.is_update() || self.ops[about].cheap || self.config.fate_ppm == 0 {
            return;
        }
        if self.rngs.clients.random_range(0..1_000_000) < self.config.fate_ppm {
            self.schedule_query(FateQuery { about, born, tries: 0 });
        }
    }

    fn schedule_query(&mut self, query: FateQuery) {
        let at_ns = self.now_ns + self.rngs.clients.random_range(0..=20 * MS);
        self.push(at_ns, WorldEvent::FateQueryDue { query });
    }

    pub(super) fn on_fate_query_due(&mut self, query: FateQuery) {
        let FateQuery { about, born, tries } = query;
        let node = self.rngs.clients.random_range(0..self.nodes.len());
        self.next_number += 1;
        let op = OpId { client: self.next_number, seq: 1 };
        let call = Call::Fate { of: self.ops[about].op, born };
        let at = self.begin_op(op, self.op_keys[about], call, node);
        let requester = Requester::FateQuery(FateQuery { tries: tries + 1, ..query });
        self.send_request(at, requester, node, Provenance::First, self.config.op_timeout_ns);
    }

    pub(super) fn on_fate_answer(&mut self, query: FateQuery, outcome: &Outcome) {
        match outcome {
            Outcome::Fate { fate } => self.checker.fate(&self.ops[query.about], *fate),
            _ if query.tries < MAX_QUERIES => self.schedule_query(query),
            _ => {}
        }
    }
}
