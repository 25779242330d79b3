//! The world's side of the clients.

use super::{Asker, Request, What, World};
use crate::config::{MS, Mix, US};
use heckle_paxos::{
    Ballot, Call, ClientRequest, ClientToken, Diagnostics, Event, Level, Outcome, Phase, PlainCall, PlainRequest, Provenance, Rounds,
};
use rand::RngExt;

/// An operation is sent again at most this often.
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
        let past_paxos = self.config.plain_ppm > 0
            && matches!(call, Call::Read | Call::Write { .. })
            && self.rngs.clients.random_range(0..1_000_000) < self.config.plain_ppm;
        let node = self.clients[client].node;
        let (epoch, ballot) = self.clients[client].known;
        self.clients[client].born = if epoch == self.nodes[node].epoch { ballot } else { Ballot::ZERO };
        let at = self.begin_op(op, key, call, node);
        self.ops[at].plain = past_paxos;
        // A client that gives up before the node does may have two requests running.
        let hedges = self.config.resend_ppm > 0 && self.config.patience_ns < 2 * self.config.op_timeout_ns;
        let born = self.clients[client].born;
        let provenance = match (hedges, self.config.fate_ppm > 0 && !born.is_zero()) {
            (true, _) => Provenance::Resent { born },
            (false, true) => Provenance::FirstAfter { born },
            (false, false) => Provenance::First,
        };
        self.send_request(at, Asker::Client(client), node, provenance, self.config.op_timeout_ns);
    }

    pub(super) fn send_request(&mut self, op: usize, asker: Asker, node: usize, provenance: Provenance, timeout_ns: u64) {
        let token = self.requests.len() as u64;
        let epoch = self.nodes[node].epoch;
        self.requests.push(Request { op, asker, node, epoch, provenance, timeout_ns });
        self.ops[op].node = node;
        if let Asker::Client(client) = asker {
            self.clients[client].open = Some((op, token));
        }
        let at_ns = self.now_ns + self.client_delay();
        self.push(at_ns, What::ClientRequest { token });
        let patience_ns = match asker {
            Asker::Client(_) | Asker::Question(_) => self.config.patience_ns,
            // Waited for as long as they may take.
            Asker::FinalRead => 2 * timeout_ns,
        };
        self.push(self.now_ns + patience_ns, What::ClientLost { token });
    }

    /// A request reaches its node, if the process is still the one that was connected.
    pub(super) fn on_request(&mut self, token: u64) {
        let request = self.requests[token as usize];
        if self.nodes[request.node].epoch != request.epoch || self.nodes[request.node].replica.is_none() {
            self.push(self.now_ns, What::ClientLost { token });
            return;
        }
        let op = &self.ops[request.op];
        if op.plain {
            let call = match &op.call {
                Call::Write { new } => PlainCall::Put { new: new.clone() },
                Call::Read | Call::Cas { .. } | Call::Fate { .. } => PlainCall::Get,
            };
            let (level, timeout_ns) = (Level::Quorum, request.timeout_ns);
            let asked = PlainRequest { op: op.op, key: op.key.clone(), call, level, timeout_ns };
            self.step(request.node, Event::Plain { token: ClientToken(token), request: asked });
            return;
        }
        let asked = ClientRequest {
            op: op.op,
            key: op.key.clone(),
            call: op.call.clone(),
            timeout_ns: request.timeout_ns,
            provenance: request.provenance,
        };
        self.step(request.node, Event::Client { token: ClientToken(token), request: asked });
    }

    pub(super) fn on_client_answer(&mut self, token: u64, outcome: Outcome, diagnostics: Diagnostics) {
        let request = self.requests[token as usize];
        let client = match request.asker {
            Asker::Client(client) => client,
            Asker::FinalRead => {
                if self.ops[request.op].completed_ns.is_none() {
                    self.record(request.op, &outcome, diagnostics);
                    self.on_final_answer(request.op, &outcome);
                }
                return;
            }
            Asker::Question(question) => {
                if self.ops[request.op].completed_ns.is_none() {
                    self.record(request.op, &outcome, diagnostics);
                    self.on_fate_answer(question, &outcome);
                }
                return;
            }
        };
        // A late answer to a request that the client has given up: it is not read.
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
        self.think(client);
    }

    /// No answer comes any more.
    pub(super) fn on_client_lost(&mut self, token: u64) {
        let request = self.requests[token as usize];
        let outcome = Outcome::Unknown { why: heckle_paxos::UnknownWhy::Timeout };
        let answered = self.ops[request.op].completed_ns.is_some();
        match request.asker {
            Asker::Client(client) if self.clients[client].open == Some((request.op, token)) => {
                self.resend_or_retire(client, request);
            }
            Asker::FinalRead if !answered => self.on_final_answer(request.op, &outcome),
            Asker::Question(question) if !answered => {
                // Later answers are ignored.
                self.ops[request.op].completed_ns = Some(self.now_ns);
                self.on_fate_answer(question, &outcome);
            }
            Asker::Client(_) | Asker::FinalRead | Asker::Question(_) => {}
        }
    }

    /// The outcome is unknown. The client asks another node to finish the operation, or stands for
    /// a new process from now on.
    fn resend_or_retire(&mut self, client: usize, request: Request) {
        let op = request.op;
        let again = self.rngs.clients.random_range(0..1_000_000) < self.config.resend_ppm;
        let retry = again && self.ops[op].call.is_update() && !self.ops[op].plain && self.ops[op].resends < MAX_RESENDS;
        if retry && self.now_ns < self.config.load_ns {
            self.ops[op].resends += 1;
            let born = self.clients[client].born;
            let node = self.rngs.clients.random_range(0..self.nodes.len());
            self.send_request(op, Asker::Client(client), node, Provenance::Resent { born }, self.config.op_timeout_ns);
            return;
        }
        self.wonder(op, self.clients[client].born);
        self.next_number += 1;
        self.clients[client].retire(self.next_number);
        // Not at once: a node that is down refuses thousands of requests in no time.
        let at_ns = self.now_ns + self.rngs.clients.random_range(5 * MS..=50 * MS);
        self.push(at_ns, What::ClientNext { client });
    }

    fn think(&mut self, client: usize) {
        let at_ns = self.now_ns + self.rngs.clients.random_range(0..=self.config.think_ns);
        self.push(at_ns, What::ClientNext { client });
    }

    /// Writes down an answer, and has it judged.
    fn record(&mut self, op: usize, outcome: &Outcome, diagnostics: Diagnostics) {
        let ballot = diagnostics.ballot;
        self.note(ballot.micros ^ u64::from(ballot.node.0) << 48);
        // Where rounds are saved, only an answer that was given at a fence promises one.
        let fences = match self.config.core.rounds {
            Rounds::Classic | Rounds::Merged => true,
            Rounds::AsyncLearn | Rounds::Fast => diagnostics.phase == Phase::Fence,
        };
        let record = &mut self.ops[op];
        record.completed_ns = Some(self.now_ns);
        record.outcome = Some(outcome.clone());
        record.diagnostics = Some(diagnostics);
        // Nothing of a put or get is in the chain of the key's rows.
        if !self.ops[op].plain {
            self.judge.answered(&self.ops[op], outcome, fences.then_some(ballot));
        }
    }
}
