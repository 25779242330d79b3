//! Checks whether a correct node can have sent a message. Any other message is refused before it reaches any state,
//! so that it cannot trip an assertion: assertions are for this node's own bugs.
//!
//! Plausible lies remain possible, such as a promise that omits an accepted update. Paxos assumes that nodes fail by
//! stopping, not by lying.

use super::{Body, Message};
use crate::ballot::Ballot;
use crate::config::Config;
use crate::lease::{LeaseBallot, LeaseBody, LeaseMessage};
use crate::row::{Accepted, Row, RowData, Update};

/// Bound on row versions and forward serial numbers, too large to be reached by counting.
const MAX_COUNT: u64 = 1 << 62;

/// Whether a correct node can have sent this message.
pub(crate) fn is_possible(message: &Message, config: &Config) -> bool {
    let Message { key, tag, body } = message;
    let sizes = !key.is_empty() && key.len() <= config.max_key_bytes;
    // Deliberate bugs break these relations, and it is the checker's job to find the consequences.
    let related = !config.mutants.is_none() || are_related(tag.ballot, body);
    sizes && is_believable(tag.ballot) && has_believable_numbers(tag.ballot, body) && related
}

fn is_believable(ballot: Ballot) -> bool {
    ballot.micros <= Ballot::MAX_MICROS
}

/// Stamps of operations are only compared, never counted up from, so they need no bound.
fn is_believable_data(data: &RowData) -> bool {
    data.version <= MAX_COUNT
}

fn is_believable_update(update: &Update) -> bool {
    match update {
        Update::Empty => true,
        Update::Row(data) => is_believable_data(data),
    }
}

fn is_believable_row(row: &Row) -> bool {
    is_believable(row.learned) && is_believable_data(&row.data)
}

/// Whether all numbers are within bounds that leave room for arithmetic, and any ballot to be promised in advance is higher than the
/// current one. This must also hold with deliberate bugs: the control `non-unique-nonce` repeats ballots, which is safe as long as none
/// is promised twice.
fn has_believable_numbers(ballot: Ballot, body: &Body) -> bool {
    match body {
        Body::Accepted | Body::Chosen | Body::PutDone | Body::Get => true,
        Body::Busy { holder, .. } => holder.is_none_or(is_believable_run),
        Body::Put { cell } => cell.us <= Ballot::MAX_MICROS,
        Body::Got { cell } => cell.as_ref().is_none_or(|cell| cell.us <= Ballot::MAX_MICROS),
        Body::Prepare { have } => have.is_none_or(is_believable),
        Body::Propose { update, next } => is_believable_update(update) && next.is_none_or(|next| is_believable(next) && next > ballot),
        Body::Promise { old_promise, accepted, learned, newer } => {
            let held = accepted.as_ref().is_none_or(|held| is_believable(held.ballot) && is_believable_update(&held.update));
            is_believable(*old_promise) && is_believable(*learned) && held && newer.as_ref().is_none_or(is_believable_row)
        }
        Body::Read { have } => is_believable(*have),
        Body::RowRead { learned, newer } => is_believable(*learned) && newer.as_ref().is_none_or(is_believable_row),
        Body::Learn { row } => is_believable_row(row),
        Body::Learned { learned } => is_believable(*learned),
        Body::Prune { ballot: named } | Body::Pruned { pruned: named } => is_believable(*named),
        Body::Reject { seen, .. } => is_believable(*seen),
        Body::Forward(forward) => forward.serial <= MAX_COUNT && forward.born_us <= Ballot::MAX_MICROS && is_believable_run(forward.lease),
        Body::NotHolder { serial } => *serial <= MAX_COUNT,
        Body::Forwarded(result) => {
            let ballots = [result.diagnostics.ballot, result.diagnostics.max_seen_ballot];
            ballots.into_iter().all(is_believable) && result.lease.is_none_or(|(ballot, _)| is_believable_run(ballot))
        }
    }
}

fn is_believable_run(ballot: LeaseBallot) -> bool {
    ballot.run <= LeaseBallot::MAX_RUN
}

/// Whether a correct node can have sent this lease message.
pub(crate) fn is_possible_lease(message: &LeaseMessage) -> bool {
    let inner = match message.body {
        LeaseBody::Promise { granted } => [granted.map(|(ballot, _)| ballot), None],
        LeaseBody::Refused { seen, granted } => [granted.map(|(ballot, _)| ballot), Some(seen)],
        LeaseBody::Prepare | LeaseBody::Propose { .. } | LeaseBody::Granted | LeaseBody::Release | LeaseBody::Wanted => [None, None],
    };
    is_believable_run(message.ballot) && inner.into_iter().flatten().all(is_believable_run)
}

/// Whether the ballots in a reply are consistent with the rules of the acceptor.
fn are_related(ballot: Ballot, body: &Body) -> bool {
    if let Body::Promise { old_promise, accepted, learned, newer } = body {
        // A promise is given only above everything promised, accepted or learned before.
        let held = accepted.as_ref().is_none_or(|held: &Accepted| held.ballot < ballot);
        return *old_promise < ballot && *learned < ballot && held && is_row_at(newer.as_ref(), *learned);
    }
    if let Body::RowRead { learned, newer } = body {
        return is_row_at(newer.as_ref(), *learned);
    }
    true
}

/// Whether the row in the message, if any, has the learned ballot.
fn is_row_at(row: Option<&Row>, learned: Ballot) -> bool {
    row.is_none_or(|row| row.learned == learned && !learned.is_zero())
}
