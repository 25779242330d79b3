//! Assembles each intent from its ops.
//!
//! An intent is won by its first update that took effect. Later ops of the intent (such as the release of a lock) are
//! not counted here. An intent that was not won waited *at least* until its last op completed, so it is censored at
//! that time.

use super::fault_time::FaultTime;
use heckle_history::{ClientId, History, IntentId, KeyId, Nanos, NodeIx, Operation, Outcome, Seen};
use std::collections::BTreeMap;

/// One intent of a client, with its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    /// Id of the intent.
    pub id: IntentId,
    /// The client that had the intent.
    pub client: ClientId,
    /// The node to which its first attempt was sent.
    pub node: Option<NodeIx>,
    /// Key of the intent.
    pub key: KeyId,
    /// When its first attempt was due.
    pub began: Nanos,
    /// When it was won, or last known to be waiting.
    pub ended: Nanos,
    /// How it ended.
    pub end: End,
    /// Number of attempts.
    pub attempts: u32,
    /// Number of attempts that were refused or proved not to have happened.
    pub lost: u32,
    /// Its waiting time, excluding time in which a fault was active.
    pub calm_wait: Nanos,
}

/// How an intent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its change took effect.
    Won,
    /// An attempt has an unknown outcome, so the client did not retry.
    Unknown,
    /// It was abandoned, or the load ended first.
    Waiting,
}

impl Intent {
    /// Returns its waiting time, or the lower bound if it is censored.
    pub fn wait(&self) -> Nanos {
        self.ended.since(self.began)
    }
}

/// Returns the intents of a history, ordered by start time. The history must have been read with details; otherwise the result is
/// empty.
pub fn of(history: &History, faults: &FaultTime) -> Vec<Intent> {
    let mut intents: BTreeMap<IntentId, Intent> = BTreeMap::new();
    for (op, detail) in history.ops.iter().zip(&history.details) {
        let (Some(id), Some(client)) = (detail.intent, detail.client) else { continue };
        let intent = intents.entry(id).or_insert_with(|| Intent {
            id,
            client,
            node: detail.sent_to.or(op.node),
            key: op.key,
            began: op.intended,
            ended: op.intended,
            end: End::Waiting,
            attempts: 0,
            lost: 0,
            calm_wait: Nanos(0),
        });
        if intent.end != End::Won {
            take(intent, op, detail.attempt.unwrap_or(1), history.end);
        }
    }
    let mut intents: Vec<Intent> = intents.into_values().collect();
    for intent in &mut intents {
        intent.calm_wait = faults.calm(intent.began, intent.ended);
    }
    intents.sort_by_key(|i| (i.began, i.id));
    intents
}

fn take(intent: &mut Intent, op: &Operation, attempt: u32, end: Nanos) {
    intent.attempts = intent.attempts.max(attempt);
    intent.ended = intent.ended.max(op.completed.min(end));
    let before = intent.attempts.saturating_sub(1);
    (intent.end, intent.lost) = match op.outcome {
        Outcome::Ok(Seen::Applied | Seen::Written) => (End::Won, before),
        Outcome::Ok(Seen::ConditionNotMet(_)) | Outcome::Failed => (End::Waiting, intent.attempts),
        // A read by itself is not a lost attempt; the number of the next attempt shows whether one was lost.
        Outcome::Ok(Seen::Value(_)) => (End::Waiting, before),
        Outcome::Unknown => (End::Unknown, before),
        Outcome::Open => (End::Waiting, before),
    };
}

/// Returns the largest number of consecutive attempts that a client lost, and that client.
pub fn most_consecutive_losses(intents: &[Intent]) -> Option<(ClientId, u32)> {
    let mut by_client: BTreeMap<ClientId, Vec<&Intent>> = BTreeMap::new();
    for intent in intents {
        by_client.entry(intent.client).or_default().push(intent);
    }
    let mut most: Option<(ClientId, u32)> = None;
    for (client, mut own) in by_client {
        own.sort_by_key(|i| (i.ended, i.id));
        let mut run = 0u32;
        for intent in own {
            run = run.saturating_add(intent.lost);
            if run > most.map_or(0, |(_, n)| n) {
                most = Some((client, run));
            }
            if intent.end == End::Won {
                run = 0;
            }
        }
    }
    most
}
