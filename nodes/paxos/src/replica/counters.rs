//! What a node counts. All figures only rise, from the start of the process.

/// Declares the counters once, with what is done to all of them.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts of one replica since its process started.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Adds the counts of another process.
            pub fn add(&mut self, more: &Counters) {
                $(self.$name += more.$name;)*
            }

            /// All counts by name, for metrics.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Requests taken from clients.
    requests,
    /// Answers [`crate::Outcome::Applied`].
    applied,
    /// Answers [`crate::Outcome::Read`].
    reads,
    /// Answers [`crate::Outcome::ConditionNotMet`].
    condition_not_met,
    /// Answers [`crate::Outcome::Fate`].
    fates,
    /// Answers [`crate::Outcome::NotApplied`].
    not_applied,
    /// Answers [`crate::Outcome::Unknown`].
    unknown,
    /// Answers [`crate::Outcome::Invalid`].
    invalid,
    /// Requests refused because the key's queue was full (also in `not_applied`).
    queue_full,
    /// Attempts begun, each with a ballot. Operations that share a proposal share its attempt.
    attempts,
    /// Message round trips begun by coordinators. Operations that share a proposal share its round
    /// trip: this is what goes over the wire, while each answer tells how many its operation waited for.
    round_trips,
    /// Attempts that were outbid.
    preempted,
    /// Unfinished updates that were finished.
    repairs,
    /// Refreshes of lagging replicas.
    refreshes,
    /// Rounds sent again for want of answers.
    resends,
    /// Time spent in backoff, nanoseconds.
    backoff_ns,
    /// Messages sent to other nodes.
    messages_sent,
    /// Messages received from other nodes.
    messages_received,
    /// Answers that came too late, twice, or for a process that is gone.
    answers_ignored,
    /// Messages that no correct node sends (a stranger, a ballot out of range): dropped.
    messages_refused,
    /// Promises given.
    promises,
    /// Updates accepted.
    accepts,
    /// Rows learned.
    learns,
    /// Rejects given.
    rejects,
    /// Batches of records handed to the disk.
    batches,
    /// Records in them.
    records,
    /// Requests of others turned away because of a lease, or after a restart.
    busy_given,
    /// Times an operation here was held off by a lease of another node.
    held_off,
    /// Operations forwarded to a holder.
    forwards_sent,
    /// Forwarded operations taken from others.
    forwards_taken,
    /// Forwarded operations refused, since the range is not held here (any more).
    forwards_refused,
    /// Reads answered from the own row under a read lease, without a message.
    local_reads,
    /// Leases acquired.
    leases_acquired,
    /// Leases extended.
    leases_extended,
    /// Leases that ended: run out or given back.
    leases_ended,
    /// Accepted copies dropped here because every replica had learned the row.
    pruned,
    /// Decisions that no slot of the prune queue was free for: their copies stay.
    prune_dropped,
    /// Messages sent again for the prune queue.
    prune_resends,
    /// Keys of which something has expired.
    expired,
    /// Requests rejected because their ballot was at or below the floor (also in `rejects`).
    below_floor,
    /// Puts begun, on the last-write-wins path.
    puts,
    /// Gets begun, on the last-write-wins path.
    gets,
    /// Operations answered along with another one on the same key, whose round decided for them, too.
    piggybacked,
    /// Times a free key was kept waiting for clients that had just been refused.
    reservations,
    /// Times an operation that would only be refused was left waiting behind an update.
    throttled,
    /// Operations begun while another on the same key was running here. Always 0 in a correct
    /// node: one operation a key at a time.
    overlaps,
}
