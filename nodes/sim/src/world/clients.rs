//! The clients of the world.

use super::{Request, Requester, World, WorldEvent};
use crate::config::{MS, Mix, US};
use heckle_paxos::{
    Ballot, Call, ClientRequest, ClientToken, Diagnostics, Event, Level, Outcome, Phase, PlainCall, PlainRequest, Provenance, Rounds,
};
use rand::RngExt;

/// Maximum number of times an operation is resent.
const MAX_RESENDS: u32 = 3;

impl World {
    pub(super) fn client_delay(&mut self) -> u64 {
        self.rngs.clients.random_range(50 * US..=MS)
    }

    pub(super) fn on_client_next(&mut self, client: usize) {
        if self.now_ns >= self.config.load_ns || self.clients[client].open.is_some() {
            return;
        }
        let reads = client < self.config.readers as usize;
        let mix = if reads { Mix { cas: 0, write: 0, read: 1 } } else { self.config.mix };
        let (op, key, call) = self.clients[client].next_call(mix, &mut self.next_value, &mut self.rngs.clients);
        let past_paxos = self.config.cheap_ppm > 0
            && matches!(call, Call::Read | Call::Write { .. })
            && self.rngs.clients.random_range(0..1_000_000) < self.config.cheap_ppm;
        let node = self.clients[client].node;
        let (epoch, ballot) = self.clients[client].known;
        self.clients[client].born = if epoch == self.nodes[node].epoch { ballot } else { Ballot::ZERO };
        let at = self.begin_op(op, key, call, node);
        self.ops[at].cheap = past_paxos;
        // A client that gives up before the node does may have two requests running at the same time.
        let hedges = self.config.resend_ppm > 0 && self.config.patience_ns < 2 * self.config.op_timeout_ns;
        let born = self.clients[client].born;
        let provenance = match (hedges, self.config.fate_ppm > 0 && !born.is_zero()) {
            (true, _) => Provenance::Resent { born },
            (false, true) => Provenance::FirstAfter { born },
            (false, false) => Provenance::First,
        };
        self.send_request(at, Requester::Client(client), node, provenance, self.config.op_timeout_ns);
    }

    pub(super) fn send_request(&mut self, op: usize, requester: Requester, node: usize, provenance: Provenance, timeout_ns: u64) {
        let token = self.requests.len() as u64;
        let epoch = self.nodes[node].epoch;
        self.requests.push(Request { op, requester, node, epoch, provenance, timeout_ns });
        self.ops[op].node = node;
        if let Requester::Client(client) = requester {
            self.clients[client].open = Some((op, token));
        }
        let at_ns = self.now_ns + self.client_delay();
        self.push(at_ns, WorldEvent::ClientRequest { token });
        let patience_ns = match requester {
            Requester::Client(_) | Requester::FateQuery(_) => self.config.patience_ns,
            // A final read may take up to its time limit, and so may the one queued before it.
            Requester::FinalRead => 2 * timeout_ns,
        };
        self.push(self.now_ns + patience_ns, WorldEvent::ClientLost { token });
    }

    /// Delivers a request to its node, unless the process to which the client was connected has ended.
    pub(super) fn on_request(&mut self, token: u64) {
        let request = self.requests[token as usize];
        if self.nodes[request.node].epoch != request.epoch || self.nodes[request.node].replica.is_none() {
            self.push(self.now_ns, WorldEvent::ClientLost { token });
            return;
        }
        let op = &self.ops[request.op];
        if op.cheap {
            let call = match &op.call {
                Call::Write { new } => PlainCall::Put { new: new.clone() },
                Call::Read | Call::Cas { .. } | Call::Fate { .. } => PlainCall::Get,
            };
            let (level, timeout_ns) = (Level::Quorum, request.timeout_ns);
            let plain_request = PlainRequest { op: op.op, key: op.key.clone(), call, level, timeout_ns };
            self.step(request.node, Event::Plain { token: ClientToken(token), request: plain_request });
            return;
        }
        let client_request = ClientRequest {
            op: op.op,
            key: op.key.clone(),
            call: op.call.clone(),
            timeout_ns: request.timeout_ns,
            provenance: request.provenance,
        };
        self.step(request.node, Event::Client { token: ClientToken(token), request: client_request });
    }

    pub(super) fn on_client_answer(&mut self, token: u64, outcome: Outcome, diagnostics: Diagnostics) {
        let request = self.requests[token as usize];
        let client = match request.requester {
            Requester::Client(client) => client,
            Requester::FinalRead => {
                if self.ops[request.op].completed_ns.is_none() {
                    self.record(request.op, &outcome, diagnostics);
                    self.on_final_answer(request.op, &outcome);
                }
                return;
            }
            Requester::FateQuery(query) => {
                if self.ops[request.op].completed_ns.is_none() {
                    self.record(request.op, &outcome, diagnostics);
                    self.on_fate_answer(query, &outcome);
                }
                return;
            }
        };
        // Ignore a late reply to a request that the client has given up.
        if self.clients[client].open != Some((request.op, token)) {
            return;
        }
        let home = self.clients[client].node;
        if request.node == home && self.nodes[home].epoch == request.epoch {
            let (epoch, known) = self.clients[client].known;
            let newest = if epoch == request.epoch { known.max(diagnostics.ballot) } else { diagnostics.ballot };
            self.clients[client].known = (request.epoch, newest);
        }
        self.record(request.op, &outcome, diagnostics);
        if matches!(outcome, Outcome::Unknown { .. }) {
            self.resend_or_retire(client, request);
            return;
        }
        let op = &self.ops[request.op];
        let (key, call) = (self.op_keys[request.op], op.call.clone());
        self.clients[client].learn(key, &call, &outcome);
        self.clients[client].open = None;
        self.schedule_next_op(client);
    }

    /// Handles a request that will get no reply.
    pub(super) fn on_client_lost(&mut self, token: u64) {
        let request = self.requests[token as usize];
        let outcome = Outcome::Unknown { why: heckle_paxos::UnknownWhy::Timeout };
        let answered = self.ops[request.op].completed_ns.is_some();
        match request.requester {
            Requester::Client(client) if self.clients[client].open == Some((request.op, token)) => {
                if self.rngs.clients.random_range(0..1_000_000) < self.config.gone_ppm && self.nodes[request.node].epoch == request.epoch {
                    let requests = vec![(self.ops[request.op].key.clone(), ClientToken(token))];
                    self.step(request.node, Event::ClientGone { requests });
                }
                self.resend_or_retire(client, request);
            }
            Requester::FinalRead if !answered => self.on_final_answer(request.op, &outcome),
            Requester::FateQuery(query) if !answered => {
                // The client ignores any later reply.
                self.ops[request.op].completed_ns = Some(self.now_ns);
                self.on_fate_answer(query, &outcome);
            }
            Requester::Client(_) | Requester::FinalRead | Requester::FateQuery(_) => {}
        }
    }

    /// Handles an unknown outcome: the client resends the operation to another node, or continues as a new process.
    fn resend_or_retire(&mut self, client: usize, request: Request) {
        let op = request.op;
        let again = self.rngs.clients.random_range(0..1_000_000) < self.config.resend_ppm;
        let retry = again && self.ops[op].call.is_update() && !self.ops[op].cheap && self.ops[op].resends < MAX_RESENDS;
        if retry && self.now_ns < self.config.load_ns {
            self.ops[op].resends += 1;
            let born = self.clients[client].born;
            let node = self.rngs.clients.random_range(0..self.nodes.len());
            self.send_request(op, Requester::Client(client), node, Provenance::Resent { born }, self.config.op_timeout_ns);
            return;
        }
        self.maybe_query_fate(op, self.clients[client].born);
        self.next_number += 1;
        self.clients[client].retire(self.next_number);
        // Wait briefly: a node that is down refuses requests immediately, so thousands of them would pile up.
        let at_ns = self.now_ns + self.rngs.clients.random_range(5 * MS..=50 * MS);
        self.push(at_ns, WorldEvent::ClientNext { client });
    }

    fn schedule_next_op(&mut self, client: usize) {
        let at_ns = self.now_ns + self.rngs.clients.random_range(0..=self.config.think_ns);
        self.push(at_ns, WorldEvent::ClientNext { client });
    }

    /// Records a reply and passes it to the checker.
    fn record(&mut self, op: usize, outcome: &Outcome, diagnostics: Diagnostics) {
        let ballot = diagnostics.ballot;
        self.note(ballot.micros ^ u64::from(ballot.node.0) << 48);
        // In the modes that save rounds, only a reply given at a fence guarantees a fence.
        let fences = match self.config.core.rounds {
            // A read of an absent key has no ballot.
            Rounds::Classic | Rounds::Merged => diagnostics.phase != Phase::Read,
            Rounds::AsyncLearn | Rounds::Fast => diagnostics.phase == Phase::Fence,
        };
        let record = &mut self.ops[op];
        record.completed_ns = Some(self.now_ns);
        record.outcome = Some(outcome.clone());
        record.diagnostics = Some(diagnostics);
        // Puts and gets are not in the chain of the key's rows.
        if !self.ops[op].cheap {
            self.checker.answered(&self.ops[op], outcome, fences.then_some(ballot));
        }
    }
}
