//! After the quiet tail, reads every key serially through every node that may be queried. Every acknowledged write must
//! still be visible, and these reads reveal a lost update that no client has read so far.

use super::{LoadContext, LoadTotals, record_completion};
use crate::plan::Plan;
use heckle_history::{Call, Event, Invoke, NodeIx, OpId, Path, ProcessId};
use heckle_system_api::connection::{Connection, Op, Outcome};
use std::sync::Arc;

/// Maximum number of keys read at the end. If there are more, only the first ones are read, which are the busiest in a skewed load.
pub const MAX_KEYS_READ: usize = 1_000;
/// Attempts per final read.
const ATTEMPTS: u32 = 3;

/// Reads all keys through these nodes, recorded like all ops. Returns the number of (key, node) pairs that no attempt could
/// read.
///
/// # Errors
/// If a thread, port or runtime cannot be created.
pub fn run(plan: &Plan, outside: &LoadContext, used: LoadTotals, through: &[NodeIx]) -> Result<u64, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("cannot start the client runtime: {e}"))?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (mut op, mut process, mut unread) = (used.ops, used.processes, 0);
        for node in through {
            let i = usize::from(node.0);
            let connection = plan.system.connect(&outside.nodes[i], format!("final-{i}"), plan.codec());
            for key in plan.keys.names().iter().take(MAX_KEYS_READ) {
                if outside.stop.asked() {
                    return Ok(unread);
                }
                let mut read = false;
                for _ in 0..ATTEMPTS {
                    let read_op = Op {
                        id: OpId(op),
                        process: ProcessId(process),
                        key: Arc::from(key.as_str()),
                        call: Call::Read,
                        path: Path::Consensus,
                        payload: None,
                        expected_payload: None,
                        timeout: plan.op_timeout.0,
                    };
                    op += 1;
                    match read_once(outside, &*connection, *node, read_op).await {
                        Outcome::Ok(_) => read = true,
                        Outcome::NotApplied => {}
                        Outcome::Unknown => process += 1,
                    }
                    if read {
                        break;
                    }
                }
                unread += u64::from(!read);
            }
            // Reads through the next node belong to a new process, since each process talks to one node.
            process += 1;
        }
        Ok(unread)
    })
}

async fn read_once(outside: &LoadContext, connection: &dyn Connection, node: NodeIx, asked: Op) -> Outcome {
    let key = outside.names.find_key(&asked.key).expect("all keys are in the header");
    let (op, process, call) = (asked.id, asked.process, asked.call);
    outside.recorder.record(|t| {
        let node = Some(node);
        Event::Invoke(Invoke { node, ..Invoke::new(op, process, t, key, call) })
    });
    let reply = connection.call(asked).await;
    let outcome = reply.outcome;
    record_completion(&outside.recorder, op, node, reply);
    outcome
}
