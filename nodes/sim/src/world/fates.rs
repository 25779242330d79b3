//! Asking what became of operations, while faults strike and the operations may still run.

use super::{Asker, Question, What, World};
use crate::config::MS;
use heckle_paxos::{Ballot, Call, OpId, Outcome, Provenance};
use rand::RngExt;

/// A question is asked at most this often.
const MAX_ASKED: u32 = 6;

impl World {
    /// A client gives up on an operation. Another may ask for its fate.
    pub(super) fn wonder(&mut self, about: usize, born: Ballot) {
        if !self.ops[about].call.is_update() || self.ops[about].plain || self.config.fate_ppm == 0 {
            return;
        }
        if self.rngs.clients.random_range(0..1_000_000) < self.config.fate_ppm {
            self.ask_soon(Question { about, born, asked: 0 });
        }
    }

    fn ask_soon(&mut self, question: Question) {
        let at_ns = self.now_ns + self.rngs.clients.random_range(0..=20 * MS);
        self.push(at_ns, What::AskFate { question });
    }

    pub(super) fn on_ask_fate(&mut self, question: Question) {
        let Question { about, born, asked } = question;
        let node = self.rngs.clients.random_range(0..self.nodes.len());
        self.next_number += 1;
        let op = OpId { client: self.next_number, seq: 1 };
        let call = Call::Fate { of: self.ops[about].op, born };
        let at = self.begin_op(op, self.op_keys[about], call, node);
        let asker = Asker::Question(Question { asked: asked + 1, ..question });
        self.send_request(at, asker, node, Provenance::First, self.config.op_timeout_ns);
    }

    pub(super) fn on_fate_answer(&mut self, question: Question, outcome: &Outcome) {
        match outcome {
            Outcome::Fate { fate } => self.judge.fate(&self.ops[question.about], *fate),
            _ if question.asked < MAX_ASKED => self.ask_soon(question),
            _ => {}
        }
    }
}
