//! An adapter for porcupine-rs that works around its pitfalls.
//!
//! porcupine-rs 0.3.0 has three pitfalls, each covered by a test. Its `…_info_timeout` calls return `Illegal` when time
//! runs out. It exceeds a time limit, because it checks the limit only between steps and a run waits for all its
//! threads. And it starts a thread for every partition. The adapter therefore calls it without a time limit, with one
//! partition, in a separate process that the parent can kill.

use super::model::{ModelCall, ModelKind, State, step};
use super::{SearchAnswer, SearchOp, SearchReply, SearchRequest};
use porcupine_rs::{CheckResult, Model, Operation};

/// A model of this crate in the form that porcupine-rs requires. Models of porcupine-rs have no parameters, so the kind
/// is part of the type.
#[derive(Debug, Clone)]
struct Adapter<const KIND: usize>;

#[derive(Debug, Clone)]
struct Input {
    call: ModelCall,
    certain: bool,
}

impl<const KIND: usize> Model for Adapter<KIND> {
    type State = State;
    type Op = Input;
    type Metadata = ();

    fn init() -> State {
        ModelKind::ALL[KIND].0.init()
    }

    fn step(state: &State, op: &Input) -> (bool, State) {
        match step(state, &op.call) {
            Some(next) => (true, next),
            // porcupine-rs assigns a position to every op. An op that may not have happened is placed where it has no
            // effect. Its interval extends to the end of time, so such a position exists.
            None => (!op.certain, state.clone()),
        }
    }
}

/// Searches for an order, without limits.
pub fn search(request: &SearchRequest) -> SearchReply {
    match request.model {
        ModelKind::CasRegister => run::<0>(&request.ops),
        ModelKind::Set => run::<1>(&request.ops),
        ModelKind::Queue => run::<2>(&request.ops),
        ModelKind::Counter => run::<3>(&request.ops),
        ModelKind::Mutex => run::<4>(&request.ops),
        ModelKind::Text => run::<5>(&request.ops),
        ModelKind::OwnerMutex => run::<6>(&request.ops),
        ModelKind::FencedMutex => run::<7>(&request.ops),
        ModelKind::ListAppend => run::<8>(&request.ops),
    }
}

fn run<const KIND: usize>(ops: &[SearchOp]) -> SearchReply {
    let operations: Vec<Operation<Adapter<KIND>>> = ops.iter().map(operation).collect();
    if operations.is_empty() {
        return SearchReply { answer: SearchAnswer::Valid, order: Some(vec![]), core: vec![], certified: false, limit: None };
    }
    let (answer, info) = porcupine_rs::check_operations_info(&operations);
    let answer = match answer {
        CheckResult::Ok => SearchAnswer::Valid,
        CheckResult::Illegal => SearchAnswer::Invalid,
        CheckResult::Unknown => return SearchReply::gave_up("porcupine-rs did not decide"),
    };
    let whole = info.partial_linearizations.into_iter().flatten().find(|order| order.len() == ops.len());
    let order = (answer == SearchAnswer::Valid).then(|| whole.map(|order| order.into_iter().map(|i| ops[i].id).collect())).flatten();
    SearchReply { answer, order, core: vec![], certified: false, limit: None }
}

fn operation<const KIND: usize>(op: &SearchOp) -> Operation<Adapter<KIND>> {
    let time = |t: u64| i64::try_from(t).unwrap_or(i64::MAX - 1).min(i64::MAX - 1);
    Operation {
        client_id: None,
        call_time: time(op.invoked),
        return_time: op.completed.map_or(i64::MAX, time),
        op: Input { call: op.call.clone(), certain: op.completed.is_some() },
        metadata: None,
    }
}
